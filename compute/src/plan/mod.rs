//! What a run will do: the command line, checked against the files' headers before any long work starts.

mod layouts;
mod options;
mod site;

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use shared::{
    layout::{Edges, Needs},
    manifest::{FeatureRange, Layouts},
};

use crate::{
    bundle,
    corpus::{self, Form, Rule, Source},
    hub::{self, Artifact, ArtifactKind},
    labels,
    model::{HookPoint, ModelConfig, Preprocessing},
    sae::{Location, SaeConfig, SaeFormat},
};
pub use layouts::read_layout;
pub use options::{InputOptions, MachineOptions, RunOptions};
pub use site::{Planned, SitePlan};

/// Model, SAE and text, validated: their files' headers fit together.
#[derive(Debug, Serialize, Deserialize)]
pub struct Input {
    /// The model's folder.
    pub model: Artifact,
    /// What the model's config says.
    pub model_config: ModelConfig,
    /// The tokenizer's file, or the folder in which it is, if anywhere.
    pub tokenizer: PathBuf,
    /// The SAE.
    pub sae: Artifact,
    /// What the SAE's files say.
    pub sae_config: SaeConfig,
    /// Format of the SAEs, where the command line says.
    pub sae_format: Option<SaeFormat>,
    /// The corpus' files.
    pub data: Source,
    /// How the corpus is read.
    pub corpus: corpus::Options,
    /// Whether it is rows already.
    pub form: Form,
    /// Hook point that the SAEs read.
    pub hook: HookPoint,
    /// Hook point that the SAE writes: another one for transcoders.
    pub hook_out: HookPoint,
    /// What is done to activations before the SAEs read them.
    pub preprocessing: Preprocessing,
    /// How text becomes rows.
    pub rule: Rule,
    /// Whether features count as inactive at special tokens; `None` = at those that the SAE's config excludes.
    pub skip_special: Option<bool>,
    /// Seed of every random choice.
    pub seed: u64,
    /// Where to compute and in which number types; no device is opened before the weights are loaded.
    pub machine: MachineOptions,
}

/// A run, validated.
#[derive(Debug, Serialize, Deserialize)]
pub struct Plan {
    /// What is read.
    pub input: Input,
    /// Which SAE of the subject is shown, tap after tap; 0 where there are no others but SAE B.
    pub sae_number: usize,
    /// The second SAE, and what its files say.
    pub sae_b: Option<(Artifact, SaeConfig)>,
    /// Where the bundle goes.
    pub out: PathBuf,
    /// Texts of the prompt view.
    pub prompts: Vec<String>,
    /// Features to compute, as ranges and one by one.
    pub feature_ranges: Vec<FeatureRange>,
    /// Features to compute, ascending.
    pub features: Vec<u32>,
    /// Layouts to gather for.
    pub layouts: Layouts,
    /// The data that they show.
    pub needs: Needs,
    /// Whether effects are computed.
    pub effects: bool,
    /// Whether the last residuals that effects start from are computed again rather than kept.
    pub recompute_resid: bool,
    /// Labels of those features.
    pub labels: Option<labels::FeatureLabels>,
    /// Memory that the run may take, in bytes.
    pub max_memory: Option<usize>,
}

/// Row length for text where neither the reader nor the SAE names one.
const DEFAULT_SEQ_LEN: usize = 128;

/// What all SAEs of a run have in common: the model and the text.
#[derive(Debug, Clone)]
struct ModelAndText {
    model: Artifact,
    model_config: ModelConfig,
    tokenizer: PathBuf,
    data: Source,
    corpus: corpus::Options,
    form: Form,
}

impl ModelAndText {
    fn new(args: &InputOptions) -> Result<Self> {
        let model = hub::find(&args.model, ArtifactKind::Model)?;
        let data = hub::find_data(&args.data)?;
        let model_config = ModelConfig::read(&model.path)?;
        let tokenizer = tokenizer(args, &model.path, &model_config)?;
        let beside = if tokenizer.is_file() {
            tokenizer.parent().map(Path::to_owned).unwrap_or_default()
        } else {
            tokenizer.clone()
        };
        let corpus = corpus::Options {
            column: args.text_column.clone(),
            strict: args.strict,
            max_document: args.max_document.as_u64(),
            model: beside,
            chat_template: args.chat_template.clone(),
            quiet: false,
        };
        let form = corpus::form(&data, &corpus, model_config.n_ctx as usize)?;
        Ok(Self { model, model_config, tokenizer, data, corpus, form })
    }

    fn with_sae(self, args: &InputOptions, given: &Path) -> Result<Input> {
        let Self { model, model_config, tokenizer, data, corpus, form } = self;
        let sae = hub::find(given, ArtifactKind::Sae)?;
        let mut sae_config = Location::from(&sae).config(args.sae_format)?;
        sae_config.hook_out = args.hook_out.clone().or(sae_config.hook_out);
        let hook = hook(args, given, &model_config, &sae_config)?;
        let hook_out = match &sae_config.hook_out {
            Some(name) => model_config.hook_point(name)?,
            None if sae_config.transcoder => bail!(
                "a transcoder that does not say which hook point it writes: add --hook-out, such as --hook-out \
                 blocks.0.hook_mlp_out ({})",
                given.display()
            ),
            None => hook,
        };
        check_width(&sae.path, "reads", sae_config.d_in, &hook, &model_config)?;
        check_width(&sae.path, "writes", sae_config.d_out, &hook_out, &model_config)?;
        let rule = rule(args, form, &model_config, &sae_config)?;
        let preprocessing = Preprocessing {
            center_writing_weights: args
                .center_writing_weights
                .or(sae_config.center_writing_weights)
                .unwrap_or_default(),
            fold_value_biases: args.fold_value_biases.or(sae_config.fold_value_biases).unwrap_or_default(),
        };
        ensure!(args.machine.batch_rows != Some(0), "--batch-rows is 0, expected at least 1");
        Ok(Input {
            model,
            model_config,
            tokenizer,
            sae,
            sae_config,
            sae_format: args.sae_format,
            data,
            corpus,
            form,
            hook,
            hook_out,
            preprocessing,
            rule,
            skip_special: args.skip_special,
            seed: args.seed,
            machine: args.machine.clone(),
        })
    }
}

impl Input {
    /// Checks `args`, which name one SAE, against the headers of the files that they name.
    pub fn new(args: &InputOptions) -> Result<Self> {
        let saes = hub::find_saes(&args.saes)?;
        let [sae] = saes.as_slice() else {
            bail!("--sae names {} SAEs, and this command takes one: `compute run` takes several", saes.len())
        };
        ModelAndText::new(args)?.with_sae(args, sae)
    }
}

impl Plan {
    /// Checks `args`, which name one SAE, against the headers of the files that they name.
    pub fn new(args: &RunOptions) -> Result<Self> {
        Self::of(args, Input::new(&args.input)?, args.out.clone())
    }

    /// Checks what `args` say beside the input `input`, whose bundle will be at `out`.
    fn of(args: &RunOptions, mut input: Input, out: PathBuf) -> Result<Self> {
        if let Some(name) = &args.model_name {
            input.model.name.clone_from(name);
        }
        let sae_b = match &args.sae_b {
            Some(path) => {
                let sae_b = hub::find(path, ArtifactKind::Sae)?;
                let config = Location::from(&sae_b).config(input.sae_format)?;
                Some((sae_b, config))
            }
            None => None,
        };
        if let Some((sae_b, b)) = &sae_b {
            check_width(&sae_b.path, "reads", b.d_in, &input.hook, &input.model_config)?;
        }
        let feature_ranges = parse_features(&args.features, input.sae_config.d_sae as u32)?;
        let features = feature_ranges.iter().flat_map(|r| r.start..r.end).collect();
        let has = |feature| feature_ranges.iter().any(|r| (r.start..r.end).contains(&feature));
        let labels = args.labels.as_ref().map(|path| labels::FeatureLabels::read(path, has)).transpose()?;
        let layouts = layouts::of(args)?;
        let mut needs = layouts.feature.needs().and(&layouts.prompt.needs());
        for (which, layout) in [("feature", &layouts.feature), ("prompt", &layouts.prompt)] {
            if let Some(refusal) = needs.covers(&layout.needs()).first() {
                let (component, option) = (refusal.component, refusal.option);
                bail!(
                    "the two layouts contradict each other: the {which} layout's {component}.{option}: {}",
                    refusal.reason
                );
            }
        }
        if args.sae_b.is_none() {
            needs.correlated_b_features = 0;
        }
        check_window(&needs, input.rule.seq_len)?;
        bundle::check_output(&out)?;
        Ok(Self {
            input,
            sae_number: 0,
            sae_b,
            out,
            prompts: args.prompts.clone(),
            feature_ranges,
            features,
            layouts,
            needs,
            effects: !args.no_effects,
            recompute_resid: args.recompute_resid,
            labels,
            max_memory: args.max_memory.map(|bytes| bytes.as_u64() as usize),
        })
    }
}

/// Where the tokenizer is: as told, else beside the model, else as a TransformerLens model's config says.
fn tokenizer(args: &InputOptions, model: &Path, config: &ModelConfig) -> Result<PathBuf> {
    if let Some(given) = &args.tokenizer {
        let found = hub::find(given, ArtifactKind::Tokenizer)?.path;
        let file = if found.is_file() { found.clone() } else { found.join("tokenizer.json") };
        ensure!(
            file.is_file(),
            "no tokenizer.json in the folder that --tokenizer names ({})",
            found.display()
        );
        return Ok(found);
    }
    match &config.tokenizer_name {
        Some(name) if !model.join("tokenizer.json").exists() => {
            // Without it token arrays can be read; text is refused later, with what is missing.
            Ok(hub::find(Path::new(name), ArtifactKind::Tokenizer)
                .map_or_else(|_| model.to_owned(), |found| found.path))
        }
        _ => Ok(model.to_owned()),
    }
}

fn hook(args: &InputOptions, given: &Path, model: &ModelConfig, sae: &SaeConfig) -> Result<HookPoint> {
    let name = args.hook.as_deref().or(sae.hook.as_deref()).ok_or_else(|| {
        anyhow!("the SAE does not say which hook point it reads: add --hook, such as --hook blocks.0.hook_resid_pre ({})", given.display())
    })?;
    Ok(model.hook_point(name)?)
}

fn check_width(path: &Path, does: &str, width: i64, hook: &HookPoint, model: &ModelConfig) -> Result<()> {
    let expected = model.hook_width(hook);
    ensure!(
        width == expected,
        "the SAE {does} {width} neurons, {hook} of this model has {expected}: was it trained on another model or hook point? ({})",
        path.display()
    );
    Ok(())
}

/// Parses what `--features` takes, `all` or a list of ranges and single features: sorted, merged, within the dictionary.
pub fn parse_features(text: &str, d_sae: u32) -> Result<Vec<FeatureRange>> {
    if text.trim() == "all" {
        return Ok(vec![FeatureRange { start: 0, end: d_sae }]);
    }
    let mut ranges = Vec::new();
    for part in text.split(',').map(str::trim) {
        let number = |s: &str| {
            s.trim().parse::<u32>().with_context(|| {
                format!("could not read \"{part}\" in --features: expected all, 7 or 0..256")
            })
        };
        let (start, end) = match part.split_once("..") {
            Some((start, end)) => (number(start)?, number(end)?),
            None => (number(part)?, number(part)?.saturating_add(1)),
        };
        ensure!(start < end, "--features has the empty range {part}");
        ensure!(end <= d_sae, "no feature {}: the SAE has 0 to {}", end - 1, d_sae - 1);
        ranges.push(FeatureRange { start, end });
    }
    ranges.sort_by_key(|r| r.start);
    let mut merged: Vec<FeatureRange> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    Ok(merged)
}

fn check_window(needs: &Needs, seq_len: usize) -> Result<()> {
    let whole_windows = needs.sequences.filter(|s| s.edges == Edges::Skip);
    if let Some((before, after)) = whole_windows.and_then(|s| s.buffer) {
        let least = (before + after + 2) as usize;
        ensure!(
            seq_len >= least,
            "rows of {seq_len} tokens are shorter than the layout's window: a buffer of ({before}, {after}) needs {least}"
        );
    }
    Ok(())
}

fn rule(args: &InputOptions, form: Form, model: &ModelConfig, sae: &SaeConfig) -> Result<Rule> {
    let of_array = match form {
        Form::Rows(seq_len) => Some(seq_len),
        Form::Documents => None,
    };
    let tokens = of_array.is_some();
    let n_ctx = model.n_ctx as usize;
    let of_sae = sae.context_size.map(|n| n as usize);
    let seq_len = args.seq_len.or(of_array).or(of_sae).unwrap_or(DEFAULT_SEQ_LEN.min(n_ctx));
    ensure!(seq_len >= 2, "--seq-len is {seq_len}, expected at least 2");
    ensure!(
        seq_len <= n_ctx,
        "rows of {seq_len} tokens are longer than the model's context of {n_ctx}: try --seq-len {n_ctx}"
    );
    let bos = args.prepend_bos.unwrap_or(!tokens && sae.prepend_bos.unwrap_or(false));
    let bos_token = model.bos_token_id.map(|id| id as u32);
    ensure!(!bos || bos_token.is_some(), "the model's config names no bos_token_id: use --prepend-bos false");
    ensure!(args.sequences != Some(0), "--sequences is 0, expected at least 1");
    Ok(Rule {
        seq_len,
        end_of_text: model.eos_token_id.or(model.bos_token_id).unwrap_or(0) as u32,
        bos: bos_token.filter(|_| bos),
        shuffle_seed: (!args.no_shuffle && !tokens).then_some(args.seed),
        max_rows: args.sequences,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_sorted_and_merged() {
        let range = |start, end| FeatureRange { start, end };
        assert_eq!(parse_features("all", 9).unwrap(), [range(0, 9)]);
        assert_eq!(parse_features("7, 0..3,2..4", 9).unwrap(), [range(0, 4), range(7, 8)]);
    }

    #[test]
    fn features_outside_the_dictionary_are_refused_with_its_bounds() {
        let message = |text| parse_features(text, 9).unwrap_err().to_string();
        assert_eq!(message("3,9"), "no feature 9: the SAE has 0 to 8");
        assert_eq!(message("5..5"), "--features has the empty range 5..5");
        assert_eq!(message("x"), "could not read \"x\" in --features: expected all, 7 or 0..256");
    }
}
