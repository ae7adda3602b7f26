//! `compute prompt`: prompts, added to a bundle that is there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use shared::{
    feature::FeatureBlock,
    layout::SequencesOptions,
    manifest::{Manifest, RunInfo, SaeInfo},
    paths,
    prompt::Prompt,
    quantiles::Quantiles,
};
use tch::{Device, Kind};

use crate::{
    backend::{Dtype, Precision, SaeDtype, parse_device},
    bundle::{Bundle, add_prompts},
    corpus::Tokenizer,
    hub::{self, Artifact, ArtifactKind},
    interrupt,
    model::{Model, ModelConfig, Preprocessing},
    pass::{Subject, Tap, TappedSae},
    prompts::{self, PromptSettings},
    run::{Decoder, provenance::sha256},
    sae::{Sae, SaeFormat},
    terminal,
};

/// Options of `compute prompt`.
#[derive(Debug, Args)]
pub struct PromptArgs {
    /// Folder of the bundle
    pub bundle: PathBuf,
    /// The model that it was computed from
    #[arg(long, value_name = "FOLDER")]
    pub model: PathBuf,
    /// The SAE that it was computed from
    #[arg(long, value_name = "PATH")]
    pub sae: PathBuf,
    /// The SAE's format, where its files do not say it
    #[arg(long, value_name = "NAME")]
    pub sae_format: Option<SaeFormat>,
    /// The tokenizer, where it is not beside the model
    #[arg(long, value_name = "PATH")]
    pub tokenizer: Option<PathBuf>,
    /// A prompt; may be given several times
    #[arg(long = "prompt", value_name = "TEXT")]
    pub prompts: Vec<String>,
    /// A file with a prompt in each line, or with a JSON list of them
    #[arg(long, value_name = "FILE")]
    pub prompts_file: Option<PathBuf>,
    /// Where to compute: auto, cpu, or cuda:N
    #[arg(long, default_value = "auto")]
    pub device: String,
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
        let prompts = Session::open(self, &bundle)?.compute(&texts)?;
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
        let mut known: Vec<String> = Vec::new();
        for i in 0..bundle.manifest.n_prompts as usize {
            known.push(bundle.file::<Prompt>(&paths::prompt(i))?.text);
        }
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

/// A bundle with the model and the SAE that it was computed from.
struct Session<'a> {
    bundle: &'a Bundle,
    run: RunInfo,
    tokenizer: Option<Tokenizer>,
    subject: Subject,
    features: Vec<u32>,
}

impl<'a> Session<'a> {
    fn open(args: &PromptArgs, bundle: &'a Bundle) -> Result<Self> {
        let manifest = &bundle.manifest;
        let at = args.bundle.display();
        let Some(run) = manifest.run.clone() else {
            bail!("the bundle does not say how it was computed, so prompts cannot be added ({at})")
        };
        let model = hub::find(&args.model, ArtifactKind::Model)?;
        let sae = hub::find(&args.sae, ArtifactKind::Sae)?;
        check_hash("model", &model, manifest.model.sha256.as_deref())?;
        check_hash("SAE", &sae, manifest.sae.sha256.as_deref())?;
        let tokenizer = match &args.tokenizer {
            Some(given) => hub::find(given, ArtifactKind::Tokenizer)?.path,
            None => model.path.clone(),
        };
        let device = parse_device(&args.device)?;
        let features: Vec<u32> = manifest.feature_ids().collect();
        let subject = subject(args, manifest, &run, (&model, &sae), (device, &features))?;
        Ok(Self { bundle, run, tokenizer: Tokenizer::of_model(&tokenizer)?, subject, features })
    }

    fn compute(&self, texts: &[String]) -> Result<Vec<Prompt>> {
        let config = self.subject.model.config();
        let all_ids = prompts::tokenize(texts, config, self.bos(config), self.tokenizer.as_ref())?;
        let directions = Decoder::of(&self.subject)?.resid;
        let settings = PromptSettings {
            features: &self.features,
            effects: self.run.effects.as_deref() != Some("none"),
            sequences: self.sequences(),
        };
        let mut block: Option<(usize, FeatureBlock)> = None;
        let quantiles = |i: usize| self.quantiles(self.features[i], &mut block);
        let mut quantiles = quantiles;
        let mut prompts = Vec::with_capacity(texts.len());
        for (text, ids) in texts.iter().zip(&all_ids) {
            interrupt::check()?;
            prompts.push(prompts::compute(
                (text, ids),
                settings,
                &self.subject,
                &directions,
                &mut quantiles,
            )?);
        }
        Ok(prompts)
    }

    /// The token that begins every row, if any.
    fn bos(&self, config: &ModelConfig) -> Option<u32> {
        let has_bos = self.bundle.manifest.dataset.prepend_bos == Some(true);
        config.bos_token_id.map(|id| id as u32).filter(|_| has_bos)
    }

    fn sequences(&self) -> Option<SequencesOptions> {
        let layouts = &self.bundle.manifest.layouts;
        layouts.feature.needs().and(&layouts.prompt.needs()).sequences
    }

    /// A feature's quantiles; features come in ascending order, so that each block is read once.
    fn quantiles(&self, feature: u32, block: &mut Option<(usize, FeatureBlock)>) -> Result<Vec<f64>> {
        let i = self.bundle.manifest.block_of(feature)?;
        if block.as_ref().is_none_or(|(held, _)| *held != i) {
            *block = Some((i, self.bundle.file(&paths::block(i))?));
        }
        let features = block.as_ref().map_or(&[][..], |(_, block)| &block.features);
        let found = features.binary_search_by_key(&feature, |held| held.feature).ok();
        let quantiles = found.and_then(|at| features[at].quantiles.as_ref().map(Quantiles::values));
        quantiles.with_context(|| format!("the bundle has no quantiles of feature {feature}"))
    }
}

/// The model and the SAE as the run had them.
fn subject(
    args: &PromptArgs,
    manifest: &Manifest,
    run: &RunInfo,
    (model, sae): (&Artifact, &Artifact),
    (device, features): (Device, &[u32]),
) -> Result<Subject> {
    let dtype = match run.dtype.as_str() {
        "bf16" => Dtype::Bf16,
        "tf32" => Dtype::Tf32,
        _ => Dtype::F32,
    };
    let precision = Precision::new(dtype, device)?;
    let model = Model::load(&model.path, device, precision.kind)?;
    let SaeInfo { hook, hook_out, d_sae, .. } = &manifest.sae;
    let hook = model.hook_point(hook)?;
    let hook_out = hook_out.as_ref().map_or(Ok(hook), |name| model.hook_point(name))?;
    let kind = if run.sae_dtype.as_deref() == Some("bf16") { SaeDtype::Bf16.kind() } else { Kind::Float };
    let chosen: Vec<i64> = features.iter().map(|feature| i64::from(*feature)).collect();
    let sae = if chosen.len() == *d_sae as usize {
        Sae::load(sae, args.sae_format, device)?
    } else {
        Sae::load_features(sae, args.sae_format, device, &chosen)?
    };
    let skipped = manifest.dataset.special_tokens.iter().map(|id| i64::from(*id)).collect();
    let preprocessing = Preprocessing {
        center_writing_weights: run.center_writing_weights,
        fold_value_biases: run.fold_value_biases,
    };
    let sae = TappedSae { sae: sae.encoding_in(kind), hook_out, skipped, neuron_sums: false };
    Ok(Subject {
        model,
        tf32: precision.tf32,
        taps: vec![Tap { hook, preprocessing, saes: vec![sae] }],
        device,
    })
}

/// Fails where weights are not those that the bundle was computed from.
fn check_hash(what: &str, found: &Artifact, expected: Option<&str>) -> Result<()> {
    let Some(expected) = expected else {
        bail!("the bundle does not say which {what} it was computed from, so prompts cannot be added")
    };
    let got = sha256(&found.path)?;
    ensure!(
        got == expected,
        "not the {what} that the bundle was computed from: its SHA-256 is {got}, expected {expected} ({})",
        found.path.display()
    );
    Ok(())
}
