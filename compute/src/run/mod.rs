//! A run, from the plan to the bundle, in stages that can be called one by one: [`prepare`] cuts the corpus into tokens,
//! [`load`](mod@load) reads the weights, [`pass`] runs batches of rows, [`features`] computes a range of features from what the pass
//! left behind, [`finish`] writes the manifest. The body of [`bundle`] is the architecture.

mod budget;
mod features;
pub mod load;
mod machine;
mod neighbours;
mod prepare;
pub mod provenance;
mod site;
pub mod summary;
mod tables;
mod tiles;

use std::{ops::Range, slice, thread};

use anyhow::{Context as _, Result};
use shared::{feature::Feature, health::Health, manifest::Manifest, prompt::Prompt, roles::RoleStats};

use crate::{
    bundle::{BackgroundWriter, BundleWriter, FileWriter},
    corpus as text, health, interrupt,
    model::ModelConfig,
    pass::{Pass, PassOutput, RecomputedResid, SaeOutput, Subject},
    plan::Plan,
    progress::Progress,
    prompts::{self, PromptSettings},
    sae, stats,
    store::ResidSource,
};
pub use budget::text;
pub use features::{Decoder, FeatureRequest, Sources, Writes};
pub use machine::Machine;
pub use neighbours::NeighbourSearch;
pub use prepare::{Corpus, prepare, prepare_beside, rows_beside, tokenize_prompts};
pub use site::site;

/// Computes the bundle that is planned.
pub fn bundle(plan: &Plan, progress: &mut Progress) -> Result<()> {
    let _no_grad = tch::no_grad_guard();
    let machine = Machine::open(&plan.input)?;
    let writer = BundleWriter::new(&plan.out)?;
    let (corpus, subject) = begin(slice::from_ref(plan), &machine, progress)?;
    let (health, writer) = thread::scope(|scope| {
        let background = BackgroundWriter::begin(scope, writer);
        let done = compute(plan, &machine, &corpus, subject, progress, &background);
        progress.begin("write", 0, "");
        background.end(done)
    })?;
    let model_sha256 = provenance::sha256(&plan.input.model.path)?;
    let manifest = finish(plan, &machine, &corpus, (health, model_sha256), writer)?;
    progress.end();
    if progress.is_quiet() { Ok(()) } else { summary::print(&manifest, progress, plan) }
}

/// Reads the corpus and the weights, and says what should be known of them.
///
/// - `plans`: of the same text
fn begin(plans: &[Plan], machine: &Machine, progress: &mut Progress) -> Result<(Corpus, Subject)> {
    let first = plans.first().context(NO_SAE)?;
    progress.begin("load", 0, "");
    for note in &first.input.data.notes {
        progress.line(&format!("corpus: {note}"));
    }
    for Plan { input, .. } in plans {
        if let Some(warning) = sae::warning(&input.sae_config, &input.sae.name) {
            progress.line(&format!("SAE: {warning}"));
        }
    }
    if let Some(note) = &machine.note {
        progress.line(note);
    }
    let (corpus, mut subject) = prepare_beside(first, || load::subject(plans, machine))?;
    load::skip_tokens(&first.input, corpus.tokenizer.as_ref(), &mut subject);
    for sentence in corpus.rows.reading().sentences() {
        progress.line(&format!("corpus: {sentence}"));
    }
    Ok((corpus, subject))
}

/// Computes everything, and has what is ready written beside.
fn compute<'scope>(
    plan: &'scope Plan,
    machine: &Machine,
    corpus: &'scope Corpus,
    mut subject: Subject,
    progress: &mut Progress,
    background: &BackgroundWriter<'scope, BundleWriter>,
) -> Result<Health> {
    background.then(move |w| write_corpus(plan, corpus, w.text()))?;
    progress.begin("health", 0, "");
    let health = health(slice::from_ref(plan), machine, corpus, &subject)?.swap_remove(0);
    load::choose_features(plan, machine, &mut subject)?;
    let output = whole_pass(slice::from_ref(plan), machine, corpus, &subject, progress)?;
    let gathered = Gathered { corpus, subject: &subject, output: &output };
    gathered.write(plan, progress, background)?;
    whole_health(plan, corpus, &output, health)
}

/// The pass over the whole corpus.
fn whole_pass(
    plans: &[Plan],
    machine: &Machine,
    corpus: &Corpus,
    subject: &Subject,
    progress: &mut Progress,
) -> Result<PassOutput> {
    progress.begin("forward", corpus.rows.n_rows(), "rows");
    let output = pass(plans, machine, corpus, subject, 0..n_batches(machine, corpus), |n| progress.at(n))?;
    if output.rows_at_once < machine.batch_rows {
        let (fitted, asked) = (output.rows_at_once, machine.batch_rows);
        progress
            .line(&format!("memory did not suffice for batches of {asked} rows: computed {fitted} at once"));
    }
    Ok(output)
}

/// Everything that a bundle is computed from once the pass is over.
#[derive(Debug, Clone, Copy)]
pub struct Gathered<'a> {
    /// The text.
    pub corpus: &'a Corpus,
    /// The model, and the chosen features of the SAEs.
    pub subject: &'a Subject,
    /// What the pass over all batches left behind.
    pub output: &'a PassOutput,
}

impl Gathered<'_> {
    /// Computes the features and prompts of a bundle, and has what is ready written beside.
    fn write<'scope>(
        self,
        plan: &'scope Plan,
        progress: &mut Progress,
        background: &BackgroundWriter<'scope, BundleWriter>,
    ) -> Result<()> {
        let Self { corpus, subject, output } = self;
        let all = 0..plan.features.len();
        features(plan, corpus, subject, output, all, progress, |features| {
            background.then(move |w| w.features(features))
        })?;
        background.then(BundleWriter::end_of_features)?;
        if let Some(stats) = role_stats(plan, corpus, output)? {
            background.then(move |w| w.role_stats(&stats))?;
        }
        progress.begin("prompts", corpus.prompts.len(), "prompts");
        let prompts = prompts(plan, corpus, subject, output, |n| progress.at(n))?;
        background.then(move |w| write_prompts(plan, &prompts, w))
    }
}

/// Writes vocabulary and corpus.
pub fn write_corpus(plan: &Plan, corpus: &Corpus, writer: &mut FileWriter) -> Result<()> {
    let d_vocab = plan.input.model_config.d_vocab as usize;
    writer.vocab(&text::vocab(corpus.tokenizer.as_ref(), d_vocab))?;
    let rows = &corpus.rows;
    writer.corpus(rows.token_ids(), rows.seq_len(), rows.documents())?;
    if rows.roles().is_empty() { Ok(()) } else { writer.roles(rows.roles(), rows.seq_len()) }
}

/// Measures how well each plan's SAE fits the model, on the corpus's first rows.
///
/// - `subject`: with all features of the SAEs
pub fn health(plans: &[Plan], machine: &Machine, corpus: &Corpus, subject: &Subject) -> Result<Vec<Health>> {
    let of_plan = |plan: &Plan| subject.saes().nth(plan.sae_number).context(NO_SAE);
    let saes: Vec<_> = plans.iter().map(of_plan).collect::<Result<_>>()?;
    let n_tokens = health_tokens(corpus.rows.n_positions(), subject.model.config());
    health::measure(subject, &saes, &corpus.rows, n_tokens, machine.batch_rows)
}

/// Tokens on which health is measured: its passes go to the end, with logits over the whole vocabulary, so a short run of a
/// large model has fewer, but a quarter of its tokens where that is more.
fn health_tokens(n_positions: usize, model: &ModelConfig) -> usize {
    // A block has some 12 d_model² weights.
    let width = model.d_model as usize;
    let per_token = width * (model.d_vocab as usize + 12 * width * model.layers.len());
    (n_positions / 4).max(HEALTH_PRODUCTS / per_token).clamp(LEAST_HEALTH_TOKENS, HEALTH_TOKENS)
}

/// Health with L0 of the whole corpus, where all features were computed there.
pub fn whole_health(plan: &Plan, corpus: &Corpus, output: &PassOutput, health: Health) -> Result<Health> {
    if plan.features.len() as i64 != plan.input.sae_config.d_sae {
        return Ok(health);
    }
    let n_active = shown(plan, output)?.acts.n_active();
    let n_dead = n_active.iter().filter(|n| **n == 0).count() as u32;
    let n_active: usize = n_active.iter().sum();
    let n_positions = corpus.rows.n_positions();
    Ok(Health {
        l0: Some(n_active as f64 / n_positions as f64),
        n_l0: Some(n_positions as u64),
        n_dead: Some(n_dead),
        n_dead_measured: Some(n_positions as u64),
        ..health
    })
}

/// Batches that the corpus has.
pub fn n_batches(machine: &Machine, corpus: &Corpus) -> usize {
    corpus.rows.n_rows().div_ceil(machine.batch_rows)
}

/// Runs batches of the corpus through the model; `after_batch` is told the number of rows done.
///
/// - `subject`: with the chosen features of the SAE
pub fn pass(
    plans: &[Plan],
    machine: &Machine,
    corpus: &Corpus,
    subject: &Subject,
    batches: Range<usize>,
    after_batch: impl FnMut(usize),
) -> Result<PassOutput> {
    let budget = budget::of_corpus(plans, machine, subject, corpus.rows.seq_len())?;
    let needs_resid = |plan: &Plan| plan.effects && plan.needs.sequences.is_some() && !plan.recompute_resid;
    let pass = Pass {
        rows: &corpus.rows,
        batch_rows: machine.batch_rows,
        batches,
        resid: plans.iter().any(needs_resid),
        neuron_sums: true,
    };
    pass.run(subject, &budget, after_batch)
}

/// Computes some of the chosen features and hands them on, ascending, some at a time.
///
/// - `output`: of the pass over all batches
/// - `features`: indices of chosen features
pub fn features(
    plan: &Plan,
    corpus: &Corpus,
    subject: &Subject,
    output: &PassOutput,
    features: Range<usize>,
    progress: &mut Progress,
    hand_on: impl FnMut(Vec<Feature>) -> Result<()> + Send,
) -> Result<()> {
    let SaeOutput { acts, neurons } = shown(plan, output)?;
    let b = plan.sae_b.as_ref().and_then(|_| output.taps.iter().flatten().nth(plan.sae_number + 1));
    let acts_b = b.map(|b| &b.acts);
    let recomputed = RecomputedResid::new(subject, &corpus.rows, output.batch_rows);
    let resid: &dyn ResidSource = if plan.recompute_resid { &recomputed } else { &output.resid };
    let sources = Sources { request: plan.into(), rows: &corpus.rows, acts, neurons, acts_b };
    let decoder = Decoder::of(subject, plan.sae_number)?;
    let writes = Writes::Model { head: subject.model.head(), decoder: &decoder, resid };
    sources.features(writes, features, progress, hand_on)
}

/// How features fare by role, where the corpus holds conversations.
pub fn role_stats(plan: &Plan, corpus: &Corpus, output: &PassOutput) -> Result<Option<RoleStats>> {
    let roles = corpus.rows.roles();
    if roles.is_empty() {
        return Ok(None);
    }
    Ok(Some(stats::roles::by_role(&shown(plan, output)?.acts, roles)?))
}

/// Computes the prompts; `after_prompt` is told the number of prompts done.
pub fn prompts(
    plan: &Plan,
    corpus: &Corpus,
    subject: &Subject,
    output: &PassOutput,
    mut after_prompt: impl FnMut(usize),
) -> Result<Vec<Prompt>> {
    let acts = &shown(plan, output)?.acts;
    let directions = Decoder::of(subject, plan.sae_number)?.resid;
    let settings = PromptSettings {
        features: &plan.features,
        effects: plan.effects,
        sequences: plan.needs.sequences,
        sae_number: plan.sae_number,
    };
    let quantiles = |i: usize| {
        let in_corpus = acts.features(i..i + 1)?;
        Ok(stats::moments::quantiles(in_corpus.of(0).1, acts.n_positions()))
    };
    let mut all = Vec::with_capacity(corpus.prompts.len());
    for (text, token_ids) in plan.prompts.iter().zip(&corpus.prompts) {
        all.push(prompts::compute((text, token_ids), settings, subject, &directions, quantiles)?);
        after_prompt(all.len());
        interrupt::check()?;
    }
    Ok(all)
}

/// Writes the prompts and the labels.
pub fn write_prompts(plan: &Plan, prompts: &[Prompt], writer: &mut BundleWriter) -> Result<()> {
    writer.prompts(prompts)?;
    plan.labels.as_ref().map_or(Ok(()), |chosen| writer.labels(&chosen.labels))
}

/// Writes the manifest and puts the bundle in its place.
///
/// - `model_sha256`: of the model's weights
pub fn finish(
    plan: &Plan,
    machine: &Machine,
    corpus: &Corpus,
    (health, model_sha256): (Health, String),
    writer: BundleWriter,
) -> Result<Manifest> {
    let tokenizer = corpus.tokenizer.as_ref();
    let skipped = load::skipped_tokens(&plan.input, &plan.input.sae_config, tokenizer);
    let manifest =
        provenance::manifest(plan, machine, &corpus.rows, &skipped, (health, model_sha256), &writer)?;
    writer.finish(&manifest)?;
    Ok(manifest)
}

/// What the pass left behind of the SAE whose features are shown.
fn shown<'a>(plan: &Plan, output: &'a PassOutput) -> Result<&'a SaeOutput> {
    output.taps.iter().flatten().nth(plan.sae_number).context(NO_SAE)
}

/// Multiplications of a pass for health, where that is more than a quarter of the corpus: some seconds of two cores.
const HEALTH_PRODUCTS: usize = 1 << 37;
/// Tokens on which health is measured, within these bounds.
const HEALTH_TOKENS: usize = 4096;
const LEAST_HEALTH_TOKENS: usize = 1024;

const NO_SAE: &str = "no SAE is loaded";
