//! A bundle with the weights that it was computed from, to compute prompts that it lacks.

use std::path::PathBuf;

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
use tch::{Device, Kind, Tensor};

use crate::{
    backend::{Dtype, Precision, SaeDtype, parse_device},
    bundle::Bundle,
    corpus::Tokenizer,
    hub::{self, Artifact, ArtifactKind},
    interrupt,
    model::{Model, ModelConfig, Preprocessing},
    pass::{Subject, Tap, TappedSae},
    prompts::{self, PromptSettings},
    run::{Decoder, provenance::sha256},
    sae::{Sae, SaeFormat},
};

/// Which weights a bundle was computed from.
#[derive(Debug, Clone, Args)]
pub struct WeightOptions {
    /// The model that the bundle was computed from
    #[arg(long, value_name = "FOLDER")]
    pub model: PathBuf,
    /// The SAE that the bundle was computed from
    #[arg(long, value_name = "PATH")]
    pub sae: PathBuf,
    /// The SAE's format, where its files do not say it
    #[arg(long, value_name = "NAME")]
    pub sae_format: Option<SaeFormat>,
    /// The tokenizer, where it is not beside the model
    #[arg(long, value_name = "PATH")]
    pub tokenizer: Option<PathBuf>,
    /// Where to compute: auto, cpu, or cuda:N
    #[arg(long, default_value = "auto")]
    pub device: String,
}

/// A bundle with the model and the SAE that it was computed from.
#[derive(Debug)]
pub struct Session<'a> {
    bundle: &'a Bundle,
    run: RunInfo,
    tokenizer: Option<Tokenizer>,
    subject: Subject,
    /// Of the decoder, `[n_features, d_model]`.
    directions: Tensor,
    features: Vec<u32>,
}

impl<'a> Session<'a> {
    /// Loads the weights; fails where they are not those that `bundle` was computed from.
    pub fn open(args: &WeightOptions, bundle: &'a Bundle) -> Result<Self> {
        let manifest = &bundle.manifest;
        let Some(run) = manifest.run.clone() else {
            bail!("the bundle does not say how it was computed, so prompts cannot be added")
        };
        let model = hub::find(&args.model, ArtifactKind::Model)?;
        let sae = hub::find(&args.sae, ArtifactKind::Sae)?;
        model.fetch_weights()?;
        check_hash("model", &model, manifest.model.sha256.as_deref())?;
        check_hash("SAE", &sae, manifest.sae.sha256.as_deref())?;
        let tokenizer = match &args.tokenizer {
            Some(given) => hub::find(given, ArtifactKind::Tokenizer)?.path,
            None => model.path.clone(),
        };
        let device = parse_device(&args.device)?;
        let features: Vec<u32> = manifest.feature_ids().collect();
        let subject = subject(args, manifest, &run, (&model, &sae), (device, &features))?;
        let directions = Decoder::of(&subject, 0)?.resid;
        let tokenizer = Tokenizer::of_model(&tokenizer)?;
        Ok(Self { bundle, run, tokenizer, subject, directions, features })
    }

    /// Computes the prompts `texts`.
    pub fn compute(&self, texts: &[String]) -> Result<Vec<Prompt>> {
        let config = self.subject.model.config();
        let all_ids = prompts::tokenize(texts, config, self.bos(config), self.tokenizer.as_ref())?;
        let settings = PromptSettings {
            features: &self.features,
            effects: self.run.effects.as_deref() != Some("none"),
            sequences: self.sequences(),
            sae_number: 0,
        };
        let mut block: Option<(usize, FeatureBlock)> = None;
        let mut quantiles = |i: usize| self.quantiles(self.features[i], &mut block);
        let mut prompts = Vec::with_capacity(texts.len());
        for (text, ids) in texts.iter().zip(&all_ids) {
            interrupt::check()?;
            prompts.push(prompts::compute(
                (text, ids),
                settings,
                &self.subject,
                &self.directions,
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
    args: &WeightOptions,
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
    let hook = hook.as_deref().context("the bundle does not say at which hook point its SAE reads")?;
    let hook = model.hook_point(hook)?;
    let hook_out = hook_out.as_ref().map_or(Ok(hook), |name| model.hook_point(name))?;
    let kind = if run.sae_dtype.as_deref() == Some("bf16") { SaeDtype::Bf16.kind() } else { Kind::Float };
    let chosen: Vec<i64> = features.iter().map(|feature| i64::from(*feature)).collect();
    let sae = if d_sae.is_some_and(|d_sae| chosen.len() == d_sae as usize) {
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
