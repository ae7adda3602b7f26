//! A run, from the plan to the bundle. The body of [`run`] is the architecture.

mod features;
pub mod memory;
mod provenance;

use std::io::Write;

use anyhow::{Context, Result};
use rayon::prelude::*;
use shared::{
    bundle::encode,
    corpus::CorpusChunk,
    feature::{Feature, FeatureBlock},
    index::FeatureIndex,
    manifest::{BlockInfo, Health, Manifest},
    prompt::{Prompt, PromptIndex},
    sequence::GroupKind,
};
use tch::Kind;

use crate::{
    activations::{Subject, Wanted, gather},
    args::RunArgs,
    corpus::{self, Rows},
    health,
    plan::Plan,
    progress::Progress,
    prompts,
    sae::Sae,
    write::BundleWriter,
};
pub use features::{Decoder, Sources, feature_logits};

/// Uncompressed size at which a block of features is closed: about 256 KB compressed.
const BLOCK_BYTES: usize = 400 << 10;
/// Tokens in a chunk of the corpus: about 100 KB compressed.
const CHUNK_TOKENS: usize = 1 << 16;
/// Distinct tokens listed for a feature in the index.
const INDEX_TOKENS: usize = 3;

/// Computes the bundle that `args` ask for.
pub fn run(args: &RunArgs) -> Result<()> {
    let plan = Plan::new(args)?;
    let mut progress = Progress::new(plan.quiet);
    let _no_grad = tch::no_grad_guard();
    let mut writer = BundleWriter::new(&plan.out, plan.encoding)?;

    progress.begin("read", 0, "");
    let d_vocab = plan.input.model_config.d_vocab as usize;
    let (tokenizer, rows) = plan.input.read_rows()?;
    let prompt_tokens = prompts::tokenize(&plan, tokenizer.as_ref())?;
    progress.begin("load", 0, "");
    let mut subject = plan.input.subject(tokenizer.as_ref())?;
    if let Some((sae_b, _)) = &plan.sae_b {
        subject.sae_b = Some(Sae::load(&sae_b.path, plan.input.sae_format, plan.input.device)?);
    }
    progress.begin("health", 0, "");
    let health = health::measure(&subject, plan.input.hook_out, &rows, plan.input.batch_rows)?;
    if plan.features.len() as i64 != plan.input.sae_config.d_sae {
        let features: Vec<i64> = plan.features.iter().map(|f| i64::from(*f)).collect();
        subject.sae =
            Sae::load_features(&plan.input.sae.path, plan.input.sae_format, plan.input.device, &features)?;
    }

    progress.begin("forward", rows.n_rows(), "rows");
    let effects = plan.effects && plan.needs.sequences.is_some();
    let wanted = Wanted { neurons: plan.needs.correlated_neurons > 0, effects };
    let allowance = memory::allowance(&plan, &subject, wanted, rows.seq_len())?;
    let gathered = gather(&subject, &rows, plan.input.batch_rows, wanted, &allowance, |n| progress.at(n))?;
    progress.begin("transpose", 0, "");
    let by_feature = gathered.acts.by_feature(&allowance)?;
    let decoder = decoder(&subject, &plan)?;
    let sources = Sources { plan: &plan, rows: &rows, gathered: &gathered, by_feature: &by_feature };
    let features = sources.features(subject.model.head(), &decoder, &mut progress)?;

    progress.begin("prompts", prompt_tokens.len(), "prompts");
    let mut prompts = Vec::new();
    for (text, token_ids) in plan.prompts.iter().zip(&prompt_tokens) {
        let n = rows.n_positions();
        prompts.push(prompts::prompt((text, token_ids), &plan, &subject, &decoder.resid, &by_feature, n)?);
        progress.at(prompts.len());
    }

    progress.begin("write", 0, "");
    let n_active = gathered.acts.n_active();
    let health = Health {
        l0: n_active as f64 / rows.n_positions() as f64,
        n_dead: features.iter().filter(|f| f.stats.n_active == 0).count() as u32,
        ..health
    };
    writer.add(plan.encoding.vocab_path(), &corpus::vocab(tokenizer.as_ref(), d_vocab))?;
    write_corpus(&mut writer, &plan, &rows)?;
    writer.add(plan.encoding.index_path(), &index(&features))?;
    let blocks = write_blocks(&mut writer, &plan, features)?;
    write_prompts(&mut writer, &plan, &prompts)?;
    let manifest = provenance::manifest(&plan, &rows, health, blocks, writer.files())?;
    writer.finish(&manifest)?;
    progress.end();
    if !plan.quiet {
        summary(&manifest, &progress, &plan)?;
    }
    Ok(())
}

/// Decoder directions of the chosen features, as they are and in the residual stream.
fn decoder(subject: &Subject, plan: &Plan) -> Result<Decoder> {
    let rows = subject.sae.decoder().to_kind(Kind::Float); // [n, d_out]
    let matrix = subject.model.write_matrix(&plan.input.hook_out)?; // [d_out, d_model]
    let resid = matrix.map_or_else(|| rows.shallow_clone(), |m| rows.matmul(&m.to_kind(Kind::Float)));
    Ok(Decoder { rows, resid })
}

fn write_corpus(writer: &mut BundleWriter, plan: &Plan, rows: &Rows) -> Result<()> {
    let rows_per_chunk = rows_per_chunk(rows);
    for (i, first_row) in (0..rows.n_rows()).step_by(rows_per_chunk).enumerate() {
        let end = (first_row + rows_per_chunk).min(rows.n_rows());
        let token_ids = rows.token_ids()[first_row * rows.seq_len()..end * rows.seq_len()].to_vec();
        let documents = rows.documents().get(first_row..end).unwrap_or_default().to_vec();
        let (first_row, seq_len) = (first_row as u32, rows.seq_len() as u32);
        let chunk = CorpusChunk { first_row, seq_len, token_ids, documents };
        writer.add(plan.encoding.corpus_path(i), &chunk)?;
    }
    Ok(())
}

fn rows_per_chunk(rows: &Rows) -> usize {
    (CHUNK_TOKENS / rows.seq_len()).max(1)
}

fn write_blocks(writer: &mut BundleWriter, plan: &Plan, features: Vec<Feature>) -> Result<Vec<BlockInfo>> {
    let sizes: Vec<usize> =
        features.par_iter().map(|f| Ok(postcard::to_stdvec(f)?.len())).collect::<Result<_>>()?;
    let mut blocks: Vec<FeatureBlock> = Vec::new();
    let mut filled = usize::MAX;
    for (feature, size) in features.into_iter().zip(sizes) {
        if filled.saturating_add(size) > BLOCK_BYTES {
            blocks.push(FeatureBlock::default());
            filled = 0;
        }
        if let Some(block) = blocks.last_mut() {
            block.features.push(feature);
            filled += size;
        }
    }
    let encoded: Vec<_> = blocks
        .par_iter()
        .enumerate()
        .map(|(i, block)| encode(block, plan.encoding.block_path(i), plan.encoding))
        .collect::<Result<_, _>>()?;
    for file in encoded {
        writer.add_encoded(file)?;
    }
    let info = |block: &FeatureBlock| {
        let (first, last) = (block.features.first()?, block.features.last()?);
        Some(BlockInfo { first: first.feature, last: last.feature })
    };
    blocks.iter().map(|b| info(b).context("a block of features is empty")).collect()
}

fn write_prompts(writer: &mut BundleWriter, plan: &Plan, prompts: &[Prompt]) -> Result<()> {
    let texts = prompts.iter().map(|p| p.text.clone()).collect();
    writer.add(plan.encoding.prompt_index_path(), &PromptIndex { texts })?;
    for (i, prompt) in prompts.iter().enumerate() {
        writer.add(plan.encoding.prompt_path(i), prompt)?;
    }
    Ok(())
}

fn index(features: &[Feature]) -> FeatureIndex {
    let column = |of: fn(&Feature) -> f64| features.iter().map(|f| of(f) as f32).collect();
    FeatureIndex {
        features: features.iter().map(|f| f.feature).collect(),
        density: column(|f| f.stats.density),
        max: column(|f| f64::from(f.stats.max)),
        mean: column(|f| f.stats.mean),
        std: column(|f| f.stats.std),
        skewness: column(|f| f.stats.skewness),
        kurtosis: column(|f| f.stats.kurtosis),
        active_tokens: features.iter().map(active_tokens).collect(),
        logit_tokens: features.iter().map(logit_tokens).collect(),
    }
}

/// Distinct bold tokens of the top examples.
fn active_tokens(feature: &Feature) -> Vec<u32> {
    let Some(sequences) = &feature.sequences else { return Vec::new() };
    let n_top =
        sequences.groups.iter().find(|g| g.kind == GroupKind::Top).map_or(0, |g| g.n_examples as usize);
    let bold = |i: usize| {
        let offset = sequences.before.unwrap_or(sequences.positions[i]);
        sequences.token_ids[i * sequences.window_len as usize + offset as usize]
    };
    let mut tokens = Vec::new();
    for token in (0..n_top).map(bold) {
        if !tokens.contains(&token) && tokens.len() < INDEX_TOKENS {
            tokens.push(token);
        }
    }
    tokens
}

fn logit_tokens(feature: &Feature) -> Vec<u32> {
    let top = feature.logits_table.iter().flat_map(|t| &t.top);
    top.take(INDEX_TOKENS).map(|t| t.token_id).collect()
}

fn summary(manifest: &Manifest, progress: &Progress, plan: &Plan) -> Result<()> {
    let mut out = std::io::stdout();
    let (dataset, health) = (&manifest.dataset, &manifest.health);
    let n_tokens = u64::from(dataset.n_rows) * u64::from(dataset.seq_len);
    writeln!(out, "features  {} ({} dead)", manifest.n_features(), health.n_dead)?;
    writeln!(out, "tokens    {n_tokens} in {} rows of {}", dataset.n_rows, dataset.seq_len)?;
    let optional = |v: Option<f64>| v.map_or("-".to_owned(), |v| format!("{v:.3}"));
    let (variance, recovered) = (optional(health.explained_variance), optional(health.loss_recovered()));
    writeln!(
        out,
        "health    L0 {:.1}, explained variance {variance}, loss recovered {recovered}",
        health.l0
    )?;
    let mut stages: Vec<(&str, f64)> = Vec::new();
    for (name, time) in &progress.stages {
        match stages.iter_mut().find(|s| s.0 == *name) {
            Some(stage) => stage.1 += time.as_secs_f64(),
            None => stages.push((name, time.as_secs_f64())),
        }
    }
    let total: f64 = stages.iter().map(|s| s.1).sum();
    let stages: Vec<String> = stages.iter().map(|(name, secs)| format!("{name} {secs:.2}")).collect();
    writeln!(out, "seconds   {total:.2}: {}", stages.join(", "))?;
    if let Some(peak) = memory::peak() {
        writeln!(out, "memory    {} at the most", memory::text(peak))?;
    }
    let mb = manifest.total_bytes() as f64 / 1e6;
    writeln!(out, "bundle    {mb:.2} MB in {} files ({})", manifest.files.len() + 1, plan.out.display())?;
    Ok(())
}
