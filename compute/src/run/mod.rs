//! A run, from the plan to the bundle. The body of [`bundle`] is the architecture.

mod budget;
mod features;
pub mod load;
mod provenance;
mod tables;

use std::{io::Write, thread};

use anyhow::Result;
use shared::manifest::{Health, Manifest};
use tch::Kind;
use tokenizers::Tokenizer;

use crate::{
    backend::memory,
    bundle::{BackgroundWriter, BundleWriter},
    corpus::{self, Rows},
    health,
    pass::{PassNeeds, Subject, gather},
    plan::{Input, Plan},
    progress::Progress,
    prompts,
    sae::Sae,
};
pub use features::{Decoder, Sources};

/// Computes the bundle that is planned.
pub fn bundle(plan: &Plan, progress: &mut Progress) -> Result<()> {
    let _no_grad = tch::no_grad_guard();
    let writer = BundleWriter::new(&plan.out)?;

    progress.begin("load", 0, "");
    let tokenizer = load::tokenizer(&plan.input)?;
    let prompt_tokens = prompts::tokenize(plan, tokenizer.as_ref())?;
    let sae_b = plan.sae_b.as_ref().map(|(sae_b, _)| &*sae_b.path);
    let (rows, subject) = load::all(&plan.input, tokenizer.as_ref(), sae_b)?;
    let (health, writer) = thread::scope(|scope| {
        let background = BackgroundWriter::begin(scope, writer);
        let text = Text { tokenizer: tokenizer.as_ref(), rows: &rows, prompt_tokens: &prompt_tokens };
        let done = compute(plan, text, subject, progress, &background);
        progress.begin("write", 0, "");
        background.end(done)
    })?;

    let n_positions = Some(rows.n_positions() as u64);
    let health = Health {
        n_dead: Some(writer.n_dead()),
        n_dead_measured: n_positions,
        n_l0: n_positions,
        n_features: Some(plan.features.len() as u32),
        ..health
    };
    let manifest = provenance::manifest(plan, &rows, health, &writer)?;
    writer.finish(&manifest)?;
    progress.end();
    if progress.is_quiet() { Ok(()) } else { summary(&manifest, progress, plan) }
}

/// What is read with the model and the SAEs.
#[derive(Clone, Copy)]
struct Text<'a> {
    tokenizer: Option<&'a Tokenizer>,
    rows: &'a Rows,
    prompt_tokens: &'a [Vec<u32>],
}

/// Computes everything, and has what is ready written beside.
fn compute<'scope>(
    plan: &'scope Plan,
    Text { tokenizer, rows, prompt_tokens }: Text<'scope>,
    mut subject: Subject,
    progress: &mut Progress,
    background: &BackgroundWriter<'scope, BundleWriter>,
) -> Result<Health> {
    background.then(move |w| {
        w.vocab(&corpus::vocab(tokenizer, plan.input.model_config.d_vocab as usize))?;
        w.corpus(rows.token_ids(), rows.seq_len(), rows.documents())
    })?;

    progress.begin("health", 0, "");
    let health = health::measure(&subject, plan.input.hook_out, rows, plan.input.batch_rows)?;
    if plan.features.len() as i64 != plan.input.sae_config.d_sae {
        let features: Vec<i64> = plan.features.iter().map(|f| i64::from(*f)).collect();
        let Input { sae, sae_format, device, sae_kind, .. } = &plan.input;
        subject.sae = Sae::load_features(&sae.path, *sae_format, *device, &features)?.encoding_in(*sae_kind);
    }

    progress.begin("forward", rows.n_rows(), "rows");
    let effects = plan.effects && plan.needs.sequences.is_some();
    let needs = PassNeeds { neurons: plan.needs.correlated_neurons > 0, effects };
    let budget = budget::of_corpus(plan, &subject, needs, rows.seq_len())?;
    let gathered = gather(&subject, rows, plan.input.batch_rows, needs, &budget, |n| progress.at(n))?;
    if gathered.rows_at_once < plan.input.batch_rows {
        let (fitted, asked) = (gathered.rows_at_once, plan.input.batch_rows);
        progress
            .line(&format!("memory did not suffice for batches of {asked} rows: computed {fitted} at once"));
    }

    let decoder = decoder(&subject, plan)?;
    let sources = Sources { plan, rows, gathered: &gathered };
    sources.features(subject.model.head(), &decoder, progress, |features| {
        background.then(move |w| w.features(features))
    })?;
    background.then(BundleWriter::end_of_features)?;

    progress.begin("prompts", prompt_tokens.len(), "prompts");
    let mut prompts = Vec::new();
    for (text, token_ids) in plan.prompts.iter().zip(prompt_tokens) {
        prompts.push(prompts::compute((text, token_ids), plan, &subject, &decoder.resid, &gathered.acts)?);
        progress.at(prompts.len());
    }
    background.then(move |w| {
        w.prompts(&prompts)?;
        plan.labels.as_ref().map_or(Ok(()), |chosen| w.labels(&chosen.labels))
    })?;
    let n_active: usize = gathered.acts.n_active().iter().sum();
    Ok(Health { l0: Some(n_active as f64 / rows.n_positions() as f64), ..health })
}

/// Decoder directions of the chosen features, as they are and in the residual stream.
fn decoder(subject: &Subject, plan: &Plan) -> Result<Decoder> {
    let rows = subject.sae.decoder().to_kind(Kind::Float); // [n, d_out]
    let matrix = subject.model.write_matrix(&plan.input.hook_out)?; // [d_out, d_model]
    let resid = matrix.map_or_else(|| rows.shallow_clone(), |m| rows.matmul(&m.to_kind(Kind::Float)));
    Ok(Decoder { rows, resid })
}

fn summary(manifest: &Manifest, progress: &Progress, plan: &Plan) -> Result<()> {
    let mut out = std::io::stdout();
    let (dataset, health) = (&manifest.dataset, &manifest.health);
    writeln!(out, "features  {} ({} dead)", manifest.n_features(), health.n_dead.unwrap_or_default())?;
    if let Some(chosen) = &plan.labels {
        writeln!(out, "labels    {chosen}")?;
    }
    let [n_rows, seq_len] = [dataset.n_rows, dataset.seq_len].map(Option::unwrap_or_default);
    let n_tokens = dataset.n_tokens().unwrap_or_default();
    writeln!(out, "tokens    {n_tokens} in {n_rows} rows of {seq_len}")?;
    let optional = |v: Option<f64>| v.map_or("-".to_owned(), |v| format!("{v:.3}"));
    let (variance, recovered) = (optional(health.explained_variance), optional(health.loss_recovered()));
    writeln!(
        out,
        "health    L0 {:.1}, explained variance {variance}, loss recovered {recovered}",
        health.l0.unwrap_or_default()
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
        writeln!(out, "memory    {} at the most", budget::text(peak))?;
    }
    let mb = manifest.total_bytes() as f64 / 1e6;
    writeln!(out, "bundle    {mb:.2} MB in {} files ({})", manifest.files.len() + 1, plan.out.display())?;
    Ok(())
}
