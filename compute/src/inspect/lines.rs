//! Bundles, features and prompts as lines for people.

use shared::{
    decimals,
    feature::Correlated,
    labels::Labels,
    layout::Component,
    manifest::{Manifest, SaeInfo},
    vocab::escape,
};

use super::view::{ExampleView, FeatureView, LogitView, PromptView};

/// Appends a formatted line. A name in it that holds a line break is still a part of this line.
macro_rules! line {
    ($text:expr, $($format:tt)*) => {
        $text.extend([escape(format!($($format)*).as_bytes()).as_str(), "\n"])
    };
}

pub fn manifest(m: &Manifest, n_labels: usize) -> String {
    let mut text = String::new();
    line!(text, "bundle    schema {}.{}, {}", m.schema.major, m.schema.minor, m.tool);
    line!(
        text,
        "model     {} ({}, {} layers, d_model {}, {} tokens)",
        m.model.name,
        known(m.model.family.as_ref()),
        known(m.model.n_layers),
        known(m.model.d_model),
        known(m.model.d_vocab)
    );
    line!(text, "sae       {}", sae(&m.sae));
    if let Some(b) = &m.sae_b {
        line!(text, "sae b     {}", sae(b));
    }
    let d = &m.dataset;
    let shuffled = if d.shuffled == Some(true) { ", shuffled" } else { "" };
    let stored = if m.rows_per_chunk.is_some() { "" } else { ", not in the bundle" };
    let (n_rows, seq_len) = (known(d.n_rows), known(d.seq_len));
    line!(text, "corpus    {}, {n_rows} rows of {seq_len} tokens{shuffled}{stored}", d.name);
    if let Some(origin) = &m.origin {
        line!(text, "made from {}", origin.format);
    }
    if let Some(run) = &m.run {
        line!(
            text,
            "run       {} {}, SAE {}, {} rows a batch, seed {}, effects {}",
            run.device,
            run.dtype,
            run.sae_dtype.as_deref().unwrap_or("f32"),
            run.batch_rows,
            run.seed,
            known(run.effects.as_ref())
        );
    }
    let h = &m.health;
    line!(text, "features  {} ({} dead)", m.n_features(), known(h.n_dead));
    if n_labels > 0 {
        line!(text, "labels    {n_labels}");
    }
    let number = |v: Option<f64>| v.map_or("-".to_owned(), |v| format!("{v:.4}"));
    line!(
        text,
        "health    L0 {}, explained variance {}, loss {}, reconstructed {}, zeroed {}, recovered {}",
        h.l0.map_or("-".to_owned(), |l0| format!("{l0:.2}")),
        number(h.explained_variance),
        number(h.loss),
        number(h.loss_reconstructed),
        number(h.loss_zeroed),
        number(h.loss_recovered())
    );
    line!(
        text,
        "measured  L0 on {} tokens, dead features on {}, the rest on {}",
        known(h.n_l0),
        known(h.n_dead_measured),
        h.n_measured
    );
    line!(text, "prompts   {}", m.n_prompts);
    for layer in &m.layers {
        let newer = if layer.is_known() { "" } else { ": made by a newer version, not read" };
        line!(text, "layer     {} {}{newer}", layer.name, layer.version);
    }
    newer_layouts(&mut text, m);
    line!(text, "size      {} bytes in {} files", m.total_bytes(), m.files.len() + 1);
    text
}

fn sae(sae: &SaeInfo) -> String {
    let (architecture, d_in) = (known(sae.architecture.as_ref()), known(sae.d_in));
    let (d_sae, hook) = (known(sae.d_sae), known(sae.hook.as_ref()));
    format!("{} ({architecture}, {d_sae} features on {hook}, d_in {d_in})", sae.name)
}

/// What the layouts have that this build does not know.
fn newer_layouts(text: &mut String, m: &Manifest) {
    for layout in [&m.layouts.feature, &m.layouts.prompt] {
        let newer = layout.components().filter(|c| matches!(c, Component::Newer(_)));
        let names: Vec<&str> =
            newer.map(Component::name).chain(layout.newer_options.iter().map(String::as_str)).collect();
        if !names.is_empty() {
            line!(text, "layout    made by a newer version, not read: {}", names.join(", "));
        }
    }
}

/// A value, or a dash where it is not known.
fn known<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

pub fn feature(f: &FeatureView, labels: &Labels) -> String {
    let mut text = String::new();
    let s = &f.stats;
    let label = f.label.as_ref().map_or_else(String::new, |label| format!(": {label}"));
    line!(text, "feature {}{label}", f.feature);
    let density = s.density.map_or("-".to_owned(), |density| format!("{:.3}%", density * 100.0));
    let active = s.n_active.map_or_else(String::new, |n| format!(" ({n} positions)"));
    line!(text, "density {density}{active}, max {}", decimals::text(s.max.into(), s.max_size().into()));
    if let Some(m) = s.moments {
        let (mean, std, skewness, kurtosis) = (m.mean, m.std, m.skewness, m.kurtosis);
        line!(text, "mean {mean:.3}, std {std:.3}, skewness {skewness:.2}, kurtosis {kurtosis:.2}");
    }
    for role in &f.roles {
        line!(text, "{:>12} density {:.3}%, max {:.3}", role.role, role.density * 100.0, role.max);
    }
    for e in &f.explanations {
        let by = [&e.author, &e.method, &e.date].into_iter().flatten().map(|by| escape(by.as_bytes()));
        let scores = e.scores.iter().map(|s| format!("{} {:.3}", escape(s.test.as_bytes()), s.value));
        let said: Vec<String> = by.chain(scores).collect();
        line!(text, "explanation: {} ({})", escape(e.text.as_bytes()), said.join(", "));
    }
    if let Some(rows) = &f.tables.neuron_alignment {
        text.push('\n');
        line!(text, "neuron alignment    value  % of L1");
        for r in rows {
            line!(text, "{:>16} {:>+8.3} {:>7.1}%", r.neuron, r.value, r.l1_share * 100.0);
        }
    }
    // Neurons and the features of SAE B have no labels.
    let none = Labels::default();
    let tables = [
        ("correlated neurons", &f.tables.correlated_neurons, &none),
        ("correlated features", &f.tables.correlated_features, labels),
        ("correlated B features", &f.tables.correlated_b_features, &none),
    ];
    for (name, rows, labels) in tables {
        if let Some(rows) = rows {
            correlated(&mut text, name, rows, labels);
        }
    }
    for (name, logits) in [("positive logits", &f.positive_logits), ("negative logits", &f.negative_logits)] {
        let entry = |l: &LogitView| format!("{:?} {:+.2}", l.token, l.logit);
        text.push('\n');
        line!(text, "{name}: {}", logits.iter().map(entry).collect::<Vec<_>>().join(", "));
    }
    for group in &f.groups {
        let n = group.n_positions.map_or_else(String::new, |n| format!(" ({n} positions)"));
        text.push('\n');
        line!(text, "{}{n}", group.title);
        for example in &group.examples {
            line!(text, "{}", example_line(example, s.max_size().into()));
        }
    }
    text
}

fn correlated(text: &mut String, name: &str, rows: &[Correlated], labels: &Labels) {
    text.push('\n');
    line!(text, "{name:<22} pearson  cosine");
    for r in rows {
        let label = labels.of(r.index).map_or_else(String::new, |label| format!("  {label}"));
        line!(text, "{:>22} {:>+7.3} {:>+7.3}{label}", r.index, r.pearson, r.cosine);
    }
}

/// The window as text, the bold token in double brackets, after its activation, row and position.
fn example_line(example: &ExampleView, max_act: f64) -> String {
    let mut text = String::new();
    for token in &example.tokens {
        if token.position == example.position {
            text.extend(["[[", &token.token, "]]"]);
        } else {
            text.push_str(&token.token);
        }
    }
    let act = decimals::text(example.act, max_act);
    let count = if example.count > 1 { format!("  ({} times)", example.count) } else { String::new() };
    format!("{act:>8}  {:>6}:{:<4} {text}{count}", example.row, example.position)
}

pub fn prompt(p: &PromptView) -> String {
    let mut text = String::new();
    line!(text, "{:?}: {} tokens, {} active features", p.text, p.tokens.len(), p.features.len());
    for scores in p.scores.iter().filter(|s| !s.features.is_empty()) {
        let pairs: Vec<String> =
            scores.features.iter().zip(&scores.scores).map(|(f, s)| format!("#{f} {s}")).collect();
        line!(
            text,
            "{:<12} {:>3} {:<12} {}",
            scores.metric,
            scores.position,
            format!("{:?}", scores.token),
            pairs.join(", ")
        );
    }
    for metric in &p.newer_metrics {
        line!(text, "{metric}: made by a newer version, not read");
    }
    text
}
