//! `compute check`: whether an SAE fits a model's activations, before a long run.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde::Serialize;
use shared::health::Health;

use clap::Args;

use crate::{
    corpus::{Rows, Tokenizer},
    health,
    model::{NormKind, Preprocessing, Site},
    pass::Subject,
    plan::{Input, InputOptions},
    run::{Machine, load, rows_beside},
    sae, terminal,
};

/// Options of `compute check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Model, SAE and text
    #[command(flatten)]
    pub input: InputOptions,
    /// Print JSON for programs
    #[arg(long)]
    pub json: bool,
}

/// Below this explained variance the SAE does not fit: SAEs in use explain 0.6 and more.
const FITS: f64 = 0.4;
/// A preprocessing is worth naming when it explains this much more.
const BETTER: f64 = 0.1;
/// L0 that differs from what is stated by more than this share of it says that something is wrong.
const L0_OFF: f64 = 0.5;
/// Text is read up to this many tokens.
const TOKENS: usize = 8192;

/// Health is measured on this many.
const MEASURED_TOKENS: usize = 4096;
/// On fewer tokens no verdict is given.
const LEAST_TOKENS: u64 = 2000;

/// What is printed.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    health: Health,
    loss_recovered: Option<f64>,
    dead_share: f64,
    /// L0 that the SAE's publisher states.
    stated_l0: Option<f64>,
    /// None where too little was measured to say.
    fits: Option<bool>,
    /// What should be known of how the corpus was read.
    corpus: Vec<String>,
    verdict: String,
}

impl CheckArgs {
    /// Measures and prints.
    pub fn run(&self) -> Result<()> {
        let mut input = Input::new(&self.input)?;
        let _no_grad = tch::no_grad_guard();
        input.rule.max_rows.get_or_insert((TOKENS / input.rule.seq_len).max(1));
        let tokenizer = Tokenizer::of_model(&input.tokenizer)?;
        let machine = Machine::open(&input)?;
        let load = || load::to_measure(&input, &machine);
        let (rows, mut subject) = rows_beside(&input, tokenizer.as_ref(), load)?;
        load::skip_tokens(&input, tokenizer.as_ref(), &mut subject);
        let health = measure(&subject, &rows, machine.batch_rows)?;
        let l0_off = l0_off(&health, input.sae_config.stated_l0);
        let explains = health.explained_variance.is_some_and(|v| v >= FITS);
        let enough = health.n_measured >= LEAST_TOKENS;
        let fits = enough.then_some((explains || input.sae_config.summed_decoder) && l0_off.is_none());
        let better =
            if explains || !enough { None } else { better(&mut subject, &input, &machine, &rows, &health)? };
        let report = Report {
            loss_recovered: health.loss_recovered(),
            dead_share: f64::from(health.n_dead.unwrap_or_default()) / input.sae_config.d_sae as f64,
            stated_l0: input.sae_config.stated_l0,
            fits,
            corpus: input.data.notes.iter().cloned().chain(rows.reading().sentences()).collect(),
            verdict: verdict(&input, &health, better, l0_off),
            health,
        };
        if self.json {
            return terminal::print_json(&(serde_json::to_string_pretty(&report)? + "\n"));
        }
        let mut out = String::new();
        let number = |v: Option<f64>| v.map_or("-".to_owned(), |v| format!("{v:.4}"));
        let h = &report.health;
        writeln!(out, "SAE                     {} at {}", input.sae.name, input.hook)?;
        writeln!(out, "measured                {} tokens of {}", h.n_measured, input.data.name)?;
        if let Some(note) = &machine.note {
            writeln!(out, "number type             {note}")?;
        }
        for sentence in &report.corpus {
            writeln!(out, "corpus                  {sentence}")?;
        }
        let l0 = h.l0.unwrap_or_default();
        let stated = report.stated_l0.map_or(String::new(), |stated| format!("; stated {stated}"));
        writeln!(out, "L0                      {l0:.2} of {} features{stated}", input.sae_config.d_sae)?;
        writeln!(out, "never active            {:.1} % on these tokens", 100.0 * report.dead_share)?;
        writeln!(out, "explained variance      {}", number(h.explained_variance))?;
        writeln!(out, "loss                    {} nats a token", number(h.loss))?;
        writeln!(out, "  reconstructed         {}", number(h.loss_reconstructed))?;
        writeln!(out, "  zeroed                {}", number(h.loss_zeroed))?;
        writeln!(out, "loss recovered          {}", number(report.loss_recovered))?;
        writeln!(out, "norm of activations     {}", number(h.acts_norm))?;
        writeln!(out, "norm of reconstruction  {}", number(h.reconstruction_norm))?;
        writeln!(out, "norm of decoder rows    {}", number(h.decoder_norm))?;
        writeln!(out, "{}", report.verdict)?;
        terminal::print(&out)
    }
}

/// Health of the one SAE that is loaded.
fn measure(subject: &Subject, rows: &Rows, batch_rows: usize) -> Result<Health> {
    let tapped = subject.saes().next().context("no SAE is loaded")?;
    Ok(health::measure(subject, &[tapped], rows, MEASURED_TOKENS, batch_rows)?.swap_remove(0))
}

/// The option whose change makes the SAE fit better, with the explained variance that it gives.
fn better(
    subject: &mut Subject,
    input: &Input,
    machine: &Machine,
    rows: &Rows,
    now: &Health,
) -> Result<Option<(String, f64)>> {
    let Preprocessing { center_writing_weights: centred, fold_value_biases: folded } = input.preprocessing;
    let layer_norm = input.model_config.norm == NormKind::Layer;
    let mut found = None;
    let mut least = now.explained_variance.unwrap_or(f64::NEG_INFINITY) + BETTER;
    for (possible, option, value, other) in [
        (
            input.hook.site.is_residual() && layer_norm,
            "--center-writing-weights",
            !centred,
            Preprocessing { center_writing_weights: !centred, ..input.preprocessing },
        ),
        (
            matches!(input.hook.site, Site::V | Site::Z),
            "--fold-value-biases",
            !folded,
            Preprocessing { fold_value_biases: !folded, ..input.preprocessing },
        ),
    ] {
        if possible {
            for tap in &mut subject.taps {
                tap.preprocessing = other;
            }
            let health = measure(subject, rows, machine.batch_rows)?;
            if let Some(variance) = health.explained_variance.filter(|v| *v > least) {
                least = variance;
                found = Some((format!("{option} {value}"), variance));
            }
        }
    }
    Ok(found)
}

/// How far L0 is from what is stated, where that is further than chance and other text explain.
fn l0_off(health: &Health, stated: Option<f64>) -> Option<String> {
    let (l0, stated) = (health.l0?, stated.filter(|stated| *stated > 0.0)?);
    let off = (l0 - stated).abs() > L0_OFF * stated && health.n_measured >= LEAST_TOKENS;
    off.then(|| format!("L0 is {l0:.1} where its publisher states {stated}"))
}

/// One sentence that says whether the SAE fits, and where it does not, what may be wrong.
fn verdict(input: &Input, health: &Health, better: Option<(String, f64)>, l0_off: Option<String>) -> String {
    if health.n_measured < LEAST_TOKENS {
        return format!(
            "only {} tokens were measured, too few to say whether this SAE fits: give at least {LEAST_TOKENS}, such as \
             --sequences {}",
            health.n_measured,
            LEAST_TOKENS.div_ceil(input.rule.seq_len as u64)
        );
    }
    let Some(variance) = health.explained_variance else {
        return "the activations or their reconstruction are not finite: try --dtype f32".to_owned();
    };
    let warning = sae::warning(&input.sae_config, &input.sae.name);
    let explains = variance >= FITS || input.sae_config.summed_decoder;
    let measured = format!("explained variance {variance:.2}");
    let reason = match &warning {
        Some(warning) => format!("; {warning}"),
        None => String::new(),
    };
    match l0_off {
        None if explains => format!("{measured}: this SAE fits these activations{reason}"),
        None => {
            let reason = if warning.is_some() { reason } else { why_not(input, health, better) };
            format!("{measured}: this SAE does not fit these activations{reason}")
        }
        Some(off) => {
            let reason = match warning {
                Some(_) => reason,
                None if explains => {
                    "; is a scale missing, or are special tokens counted that it was not trained on?"
                        .to_owned()
                }
                None => why_not(input, health, better),
            };
            format!("{measured}, but {off}: this SAE does not fit these activations{reason}")
        }
    }
}

/// The likeliest reason, as the end of a sentence.
fn why_not(input: &Input, health: &Health, better: Option<(String, f64)>) -> String {
    let asked = input.sae_config.center_writing_weights;
    let centred = input.preprocessing.center_writing_weights;
    if let Some((option, variance)) = better {
        return format!("; with {option} it is {variance:.2}");
    }
    if asked.is_some_and(|asked| asked != centred) {
        let (asks, is) = if centred { ("no centering", "on") } else { ("centering", "off") };
        return format!("; its config asks for {asks}, which is {is}");
    }
    if let (Some(acts), Some(out)) = (health.acts_norm, health.reconstruction_norm)
        && !(0.5..2.0).contains(&(out / acts))
    {
        let times = out / acts;
        return format!(
            "; its reconstruction is {times:.2} times as long as the activations: is a scale missing?"
        );
    }
    "; was it trained on another model, hook point or text?".to_owned()
}
