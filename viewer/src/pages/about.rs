//! Provenance and health: what the numbers were computed from, and how far to trust them.

use leptos::prelude::*;
use page_logic::format::{bytes, count, percent, significant};
use shared::{
    health::Health,
    manifest::{Manifest, SaeInfo},
};

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

/// A fact where its value is known.
fn fact(name: &'static str, value: Option<String>, code: bool) -> Option<Fact> {
    value.map(|value| (name, value, code))
}

fn health(health: &Health, manifest: &Manifest) -> Vec<Fact> {
    let on = |n: Option<u64>| n.map_or_else(String::new, |n| format!(", on {} positions", count(n)));
    let n = health.n_features.map_or(manifest.n_features() as u64, u64::from);
    let dead = health.n_dead.map(|dead| {
        let share = percent(f64::from(dead) / n.max(1) as f64, 1);
        format!("{} of {} ({share}){}", count(dead.into()), count(n), on(health.n_dead_measured))
    });
    let l0 = health.l0.map(|l0| format!("{}{}", significant(l0), on(health.n_l0)));
    let measured = (health.n_measured > 0).then(|| format!("{} positions", count(health.n_measured)));
    let nats = |v: Option<f64>| v.map(|v| format!("{v:.3}"));
    [
        fact("L0: active features at a position", l0, false),
        fact("Dead features", dead, false),
        fact("Explained variance", health.explained_variance.map(|v| percent(v, 1)), false),
        fact("Loss recovered", health.loss_recovered().map(|v| percent(v, 1)), false),
        fact("Loss, nats a token", nats(health.loss), false),
        fact("Loss with the reconstruction", nats(health.loss_reconstructed), false),
        fact("Loss with zeros", nats(health.loss_zeroed), false),
        fact("Length of an activation", health.acts_norm.map(significant), false),
        fact("Length of its reconstruction", health.reconstruction_norm.map(significant), false),
        fact("Length of a decoder row", health.decoder_norm.map(significant), false),
        fact("Variance, losses and lengths measured on", measured, false),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn model(manifest: &Manifest) -> Vec<Fact> {
    let m = &manifest.model;
    let number = |n: Option<u32>| n.map(|n| count(n.into()));
    [
        fact("Name", known(&m.name), false),
        fact("Family", m.family.clone(), false),
        fact("Layers", number(m.n_layers), false),
        fact("d_model", number(m.d_model), false),
        fact("Vocabulary", number(m.d_vocab).map(|n| format!("{n} tokens")), false),
        fact("SHA-256", m.sha256.clone(), true),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn sae(sae: &SaeInfo) -> Vec<Fact> {
    [
        fact("Name", known(&sae.name), false),
        fact("Architecture", sae.architecture.clone(), false),
        fact("Format", sae.format.clone(), false),
        fact("Hook point", sae.hook.clone(), true),
        fact("Hook point that it writes", sae.hook_out.clone(), true),
        fact("d_in", sae.d_in.map(|n| count(n.into())), false),
        fact("d_sae", sae.d_sae.map(|n| count(n.into())), false),
        fact("Activations", sae.signed.then(|| "signed: negative ones count as active".to_owned()), false),
        fact("SHA-256", sae.sha256.clone(), true),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn dataset(manifest: &Manifest) -> Vec<Fact> {
    let d = &manifest.dataset;
    let rows = d.n_rows.zip(d.seq_len).map(|(n_rows, seq_len)| {
        let n = u64::from(n_rows) * u64::from(seq_len);
        format!("{} of {seq_len} tokens: {} positions", count(n_rows.into()), count(n))
    });
    let absent = manifest.rows_per_chunk.is_none();
    [
        fact("Name", known(&d.name), false),
        fact("Rows", rows, false),
        fact("In the bundle", absent.then(|| "examples only".to_owned()), false),
        fact("Begin with BOS", d.prepend_bos.map(yes_no), false),
        fact("Shuffled", d.shuffled.map(yes_no), false),
        fact("Special tokens count", manifest.run.is_some().then(|| yes_no(!d.skip_special)), false),
        fact("SHA-256 of the tokens", d.sha256.clone(), true),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn run(manifest: &Manifest) -> Vec<Fact> {
    let Some(r) = &manifest.run else { return Vec::new() };
    let effects = manifest
        .has_effects()
        .map(|stored| if stored { "direct: later layers held fixed" } else { "not computed" }.to_owned());
    [
        fact("Device", Some(r.device.clone()), false),
        fact("Number type", Some(r.dtype.clone()), false),
        fact("Number type of the SAE", r.sae_dtype.clone(), false),
        fact("Effects", effects, false),
        fact("Rows in a batch", Some(r.batch_rows.to_string()), false),
        fact("Seed", Some(r.seed.to_string()), false),
        fact("Centred writing weights", Some(yes_no(r.center_writing_weights)), false),
        fact("Folded value biases", Some(yes_no(r.fold_value_biases)), false),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn about_bundle(manifest: &Manifest, address: &str) -> Vec<Fact> {
    let s = manifest.schema;
    let mut facts = vec![
        ("Address", address.to_owned(), true),
        ("Features", count(manifest.n_features() as u64), false),
        ("Prompts", manifest.n_prompts.to_string(), false),
        ("Size", format!("{} in {} files", bytes(manifest.total_bytes()), manifest.files.len() + 1), false),
        ("Schema", format!("{}.{}", s.major, s.minor), false),
        ("Written by", manifest.tool.clone(), false),
    ];
    if let Some(origin) = &manifest.origin {
        facts.push(("Imported from", origin.format.clone(), false));
        facts.push(("Not in this file", absent(manifest).join(", "), false));
    }
    let newer: Vec<String> =
        manifest.newer_layers().map(|layer| format!("{} {}", layer.name, layer.version)).collect();
    if !newer.is_empty() {
        facts.push(("Layers made by a newer version", newer.join(", "), true));
    }
    facts
}

/// What an imported bundle lacks.
fn absent(manifest: &Manifest) -> Vec<&'static str> {
    let Manifest { model, sae, dataset, .. } = manifest;
    [
        ("the model’s name", model.name.is_empty()),
        ("the hook point", sae.hook.is_none()),
        ("the SAE’s width", sae.d_sae.is_none()),
        ("the name of the text", dataset.name.is_empty()),
        ("the text itself", manifest.rows_per_chunk.is_none()),
        ("token ids", !manifest.has_own_token_ids()),
        ("health", manifest.health == Health::default()),
        ("how it was computed", manifest.run.is_none()),
    ]
    .into_iter()
    .filter_map(|(what, is_absent)| is_absent.then_some(what))
    .collect()
}

/// A name; `None` where it is not known.
fn known(name: &str) -> Option<String> {
    (!name.is_empty()).then(|| name.to_owned())
}

fn yes_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}
