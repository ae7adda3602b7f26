//! Reads what a plan names: the tokenizer, the corpus and the weights.

use std::{path::Path, thread};

use anyhow::{Error, Result, anyhow};
use tokenizers::Tokenizer;

use crate::{
    corpus::{self, Rows},
    model::Model,
    pass::Subject,
    plan::Input,
    sae::Sae,
};

/// The tokenizer beside the model, where there is one.
pub fn tokenizer(input: &Input) -> Result<Option<Tokenizer>> {
    Ok(corpus::tokenizer_of(&input.model.path)?)
}

/// The rows of the corpus, and model and SAEs.
///
/// Text is read and cut into tokens on a thread of its own while weights are loaded.
///
/// - `sae_b`: path of the second SAE
pub fn all(input: &Input, tokenizer: Option<&Tokenizer>, sae_b: Option<&Path>) -> Result<(Rows, Subject)> {
    let (read, loaded) = thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let d_vocab = input.model_config.d_vocab as usize;
            corpus::load(tokenizer, &input.data.path, &input.text_column, &input.rule, d_vocab)
        });
        let loaded = subject(input, sae_b);
        (reading.join(), loaded)
    });
    let rows = read.map_err(|_panic| anyhow!("the thread that reads the corpus stopped"))??;
    let skipped = if input.skip_special { special_tokens(input, tokenizer) } else { Vec::new() };
    Ok((rows, Subject { skipped, ..loaded? }))
}

/// Model and SAEs; no tokens are skipped.
fn subject(input: &Input, sae_b: Option<&Path>) -> Result<Subject> {
    let sae = |path: &Path| {
        Ok::<_, Error>(Sae::load(path, input.sae_format, input.device)?.encoding_in(input.sae_kind))
    };
    Ok(Subject {
        model: Model::load(&input.model.path, input.device, input.precision.kind)?,
        tf32: input.precision.tf32,
        hook: input.hook,
        preprocessing: input.preprocessing,
        sae: sae(&input.sae.path)?,
        sae_b: sae_b.map(sae).transpose()?,
        skipped: Vec::new(),
        device: input.device,
    })
}

/// Special tokens of the model and of its tokenizer.
fn special_tokens(input: &Input, tokenizer: Option<&Tokenizer>) -> Vec<i64> {
    let of_model = [input.model_config.bos_token_id, input.model_config.eos_token_id];
    of_model.into_iter().flatten().chain(corpus::special_tokens(tokenizer)).collect()
}
