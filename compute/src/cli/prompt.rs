//! `compute prompt`: prompts, added to a bundle that is there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use crate::{
    bundle::{Bundle, add_prompts},
    hub,
    session::{Session, WeightOptions},
    terminal,
};

/// Options of `compute prompt`.
#[derive(Debug, Args)]
pub struct PromptArgs {
    /// Folder of the bundle
    pub bundle: PathBuf,
    /// Model and SAE
    #[command(flatten)]
    pub weights: WeightOptions,
    /// A prompt; may be given several times
    #[arg(long = "prompt", value_name = "TEXT")]
    pub prompts: Vec<String>,
    /// A file with a prompt in each line, or with a JSON list of them
    #[arg(long, value_name = "FILE")]
    pub prompts_file: Option<PathBuf>,
    /// Print nothing but errors
    #[arg(long, short)]
    pub quiet: bool,
}

impl PromptArgs {
    /// Computes the prompts and puts them into the bundle.
    pub fn run(&self) -> Result<()> {
        let _no_grad = tch::no_grad_guard();
        if self.quiet {
            hub::be_quiet();
        }
        Bundle::check_folder(&self.bundle)?;
        let bundle = Bundle::open(&self.bundle)?;
        let texts = self.texts(&bundle)?;
        if texts.is_empty() {
            return self.say(0);
        }
        let prompts = Session::open(&self.weights, &bundle)?.compute(&texts)?;
        let n = prompts.len();
        add_prompts(&self.bundle, prompts)?;
        self.say(n)
    }

    fn say(&self, n: usize) -> Result<()> {
        let said = format!("prompts   {n} added ({})\n", self.bundle.display());
        if self.quiet { Ok(()) } else { terminal::print(&said) }
    }

    /// The prompts that the bundle lacks.
    fn texts(&self, bundle: &Bundle) -> Result<Vec<String>> {
        let mut given = self.prompts.clone();
        if let Some(path) = &self.prompts_file {
            given.extend(read_prompts(path)?);
        }
        ensure!(!given.is_empty(), "no prompt: add --prompt TEXT or --prompts-file FILE");
        let known = bundle.prompt_texts()?;
        let mut texts: Vec<String> = Vec::new();
        for text in given {
            if !known.contains(&text) && !texts.contains(&text) {
                texts.push(text);
            }
        }
        Ok(texts)
    }
}

/// The prompts in a file: a JSON list of texts, or a text in each line that is not empty.
fn read_prompts(path: &Path) -> Result<Vec<String>> {
    const MAX_BYTES: u64 = 16 << 20;
    let reading = || format!("could not read the prompts ({})", path.display());
    let about = fs::metadata(path).with_context(reading)?;
    ensure!(
        about.is_file() && about.len() <= MAX_BYTES,
        "expected a file of at most 16 MiB ({})",
        path.display()
    );
    let text = fs::read_to_string(path).with_context(reading)?;
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(&text).with_context(|| {
            format!("could not read the prompts: expected a JSON list of texts ({})", path.display())
        });
    }
    Ok(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect())
}
