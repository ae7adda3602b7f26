//! The text of a run, cut into tokens.

use std::thread;

use crate::{
    corpus::{self, Rows, Tokenizer},
    plan::{Input, Plan},
    prompts,
};
use anyhow::{Result, anyhow};

/// All tokens that a run reads.
#[derive(Debug)]
pub struct Corpus {
    /// The tokenizer beside the model, where there is one.
    pub tokenizer: Option<Tokenizer>,
    /// The rows.
    pub rows: Rows,
    /// Token ids of each prompt.
    pub prompts: Vec<Vec<u32>>,
}

/// Reads the corpus and cuts it into rows of tokens.
pub fn prepare(plan: &Plan) -> Result<Corpus> {
    Ok(prepare_beside(plan, || Ok(()))?.0)
}

/// The same on a thread of its own, while `meanwhile` is done on this one. Prompts are checked before both.
pub fn prepare_beside<T>(plan: &Plan, meanwhile: impl FnOnce() -> Result<T>) -> Result<(Corpus, T)> {
    let tokenizer = Tokenizer::of_model(&plan.input.tokenizer)?;
    let prompts = tokenize_prompts(plan, tokenizer.as_ref())?;
    let (rows, done) = rows_beside(&plan.input, tokenizer.as_ref(), meanwhile)?;
    Ok((Corpus { tokenizer, rows, prompts }, done))
}

/// Tokenizes the plan's prompts.
pub fn tokenize_prompts(plan: &Plan, tokenizer: Option<&Tokenizer>) -> Result<Vec<Vec<u32>>> {
    let Input { model_config, rule, .. } = &plan.input;
    prompts::tokenize(&plan.prompts, model_config, rule.bos, tokenizer)
}

/// Reads the rows on a thread of its own, while `meanwhile` is done on this one.
pub fn rows_beside<T>(
    input: &Input,
    tokenizer: Option<&Tokenizer>,
    meanwhile: impl FnOnce() -> Result<T>,
) -> Result<(Rows, T)> {
    let d_vocab = input.model_config.d_vocab as usize;
    let read = || corpus::load(tokenizer, &input.data, &input.corpus, (&input.rule, input.form), d_vocab);
    let (read, done) = thread::scope(|scope| {
        let reading = scope.spawn(read);
        let done = meanwhile();
        (reading.join(), done)
    });
    Ok((read.map_err(|_panic| anyhow!("the thread that reads the corpus stopped"))??, done?))
}
