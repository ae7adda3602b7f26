//! Provenance and health: what the numbers were computed from, and how far to trust them.

use leptos::prelude::*;
use page_logic::format::{bytes, count, percent, significant};
use shared::manifest::{Health, Manifest, SaeInfo};

use crate::state::{Session, use_bundle};

/// A name, a value, and whether the value is code.
type Fact = (&'static str, String, bool);

/// The About page.
#[component]
pub fn AboutPage() -> impl IntoView {
    let bundle = use_bundle();
    if let Some(session) = use_context::<Session>() {
        session.painted("about".to_owned());
    }
    document().set_title("About · sae-vis");
    let manifest = &bundle.manifest;
    let sections = [
        ("Health", "health", health(&manifest.health, manifest)),
        ("Model", "model", model(manifest)),
        ("SAE", "sae", sae(&manifest.sae)),
        ("SAE B", "sae-b", manifest.sae_b.as_ref().map(sae).unwrap_or_default()),
        ("Text", "dataset", dataset(manifest)),
        ("Run", "run", run(manifest)),
        ("Bundle", "bundle", about_bundle(manifest, bundle.source().address())),
    ];
    view! {
        <h1 class="page-title">"About this bundle"</h1>
        <div class="facts">
            {sections
                .into_iter()
                .filter(|(_, _, facts)| !facts.is_empty())
                .map(|(title, name, facts)| section(title, name, facts))
                .collect_view()}
        </div>
    }
}

fn section(title: &'static str, name: &'static str, facts: Vec<Fact>) -> impl IntoView {
    let rows = facts
        .into_iter()
        .map(|(name, value, code)| view! { <div class="fact"><dt>{name}</dt><dd class:code=code>{value}</dd></div> })
        .collect_view();
    view! {
        <section class="panel" data-panel=format!("about-{name}")>
            <h2>{title}</h2>
            <dl>{rows}</dl>
        </section>
    }
}

fn health(health: &Health, manifest: &Manifest) -> Vec<Fact> {
    let n = manifest.n_features() as u64;
    let dead = u64::from(health.n_dead);
    let mut facts = vec![
        ("L0: active features at a position", significant(health.l0), false),
        (
            "Dead features",
            format!("{} of {} ({})", count(dead), count(n), percent(dead as f64 / n.max(1) as f64, 1)),
            false,
        ),
    ];
    let measured = [
        ("Explained variance", health.explained_variance.map(|v| percent(v, 1))),
        ("Loss recovered", health.loss_recovered().map(|v| percent(v, 1))),
        ("Loss, nats a token", health.loss.map(|v| format!("{v:.3}"))),
        ("Loss with the reconstruction", health.loss_reconstructed.map(|v| format!("{v:.3}"))),
        ("Loss with zeros", health.loss_zeroed.map(|v| format!("{v:.3}"))),
        ("Length of an activation", health.acts_norm.map(significant)),
        ("Length of its reconstruction", health.reconstruction_norm.map(significant)),
        ("Length of a decoder row", health.decoder_norm.map(significant)),
    ];
    facts.extend(measured.into_iter().filter_map(|(name, value)| Some((name, value?, false))));
    if health.n_measured > 0 {
        facts.push((
            "Measured on",
            format!("{} positions; L0 and dead features on all", count(health.n_measured)),
            false,
        ));
    }
    facts
}

fn model(manifest: &Manifest) -> Vec<Fact> {
    let m = &manifest.model;
    vec![
        ("Name", m.name.clone(), false),
        ("Family", m.family.clone(), false),
        ("Layers", m.n_layers.to_string(), false),
        ("d_model", count(m.d_model.into()), false),
        ("Vocabulary", format!("{} tokens", count(m.d_vocab.into())), false),
        ("SHA-256", m.sha256.clone(), true),
    ]
}

fn sae(sae: &SaeInfo) -> Vec<Fact> {
    vec![
        ("Name", sae.name.clone(), false),
        ("Architecture", sae.architecture.clone(), false),
        ("Format", sae.format.clone(), false),
        ("Hook point", sae.hook.clone(), true),
        ("d_in", count(sae.d_in.into()), false),
        ("d_sae", count(sae.d_sae.into()), false),
        ("SHA-256", sae.sha256.clone(), true),
    ]
}

fn dataset(manifest: &Manifest) -> Vec<Fact> {
    let d = &manifest.dataset;
    let n = u64::from(d.n_rows) * u64::from(d.seq_len);
    vec![
        ("Name", d.name.clone(), false),
        (
            "Rows",
            format!("{} of {} tokens: {} positions", count(d.n_rows.into()), d.seq_len, count(n)),
            false,
        ),
        ("Begin with BOS", yes_no(d.prepend_bos), false),
        ("Shuffled", yes_no(d.shuffled), false),
        ("Special tokens count", yes_no(!d.skip_special), false),
        ("SHA-256 of the tokens", d.sha256.clone(), true),
    ]
}

fn run(manifest: &Manifest) -> Vec<Fact> {
    let r = &manifest.run;
    vec![
        ("Device", r.device.clone(), false),
        ("Number type", r.dtype.clone(), false),
        ("Rows in a batch", r.batch_rows.to_string(), false),
        ("Seed", r.seed.to_string(), false),
        ("Centred writing weights", yes_no(r.center_writing_weights), false),
        ("Folded value biases", yes_no(r.fold_value_biases), false),
    ]
}

fn about_bundle(manifest: &Manifest, address: &str) -> Vec<Fact> {
    let s = manifest.schema;
    vec![
        ("Address", address.to_owned(), true),
        ("Features", count(manifest.n_features() as u64), false),
        ("Prompts", manifest.n_prompts.to_string(), false),
        ("Size", format!("{} in {} files", bytes(manifest.total_bytes()), manifest.files.len() + 1), false),
        ("Schema", format!("{}.{}", s.major, s.minor), false),
        ("Written by", manifest.tool.clone(), false),
    ]
}

fn yes_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}
