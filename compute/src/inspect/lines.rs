//! Bundles, features and prompts as lines for people.

use std::fmt::Write;

use shared::{decimals, feature::Correlated, labels::Labels, manifest::Manifest};

use super::view::{ExampleView, FeatureView, LogitView, PromptView};

/// Appends a formatted line; writing to a string cannot fail.
macro_rules! line {
    ($text:expr, $($format:tt)*) => { writeln!($text, $($format)*).unwrap_or_default() };
}

pub fn manifest(m: &Manifest, n_labels: usize) -> String {
    let mut text = String::new();
    let sae = |sae: &shared::manifest::SaeInfo| {
        format!(
            "{} ({}, {} features on {}, d_in {})",
            sae.name, sae.architecture, sae.d_sae, sae.hook, sae.d_in
        )
    };
    line!(text, "bundle    schema {}.{}, {}", m.schema.major, m.schema.minor, m.tool);
    line!(
        text,
        "model     {} ({}, {} layers, d_model {}, {} tokens)",
        m.model.name,
        m.model.family,
        m.model.n_layers,
        m.model.d_model,
        m.model.d_vocab
    );
    line!(text, "sae       {}", sae(&m.sae));
    if let Some(b) = &m.sae_b {
        line!(text, "sae b     {}", sae(b));
    }
    let d = &m.dataset;
    let shuffled = if d.shuffled { ", shuffled" } else { "" };
    line!(text, "corpus    {}, {} rows of {} tokens{shuffled}", d.name, d.n_rows, d.seq_len);
    line!(
        text,
        "run       {} {}, {} rows a batch, seed {}",
        m.run.device,
        m.run.dtype,
        m.run.batch_rows,
        m.run.seed
    );
    line!(text, "features  {} ({} dead)", m.n_features(), m.health.n_dead);
    if n_labels > 0 {
        line!(text, "labels    {n_labels}");
    }
    let h = &m.health;
    let number = |v: Option<f64>| v.map_or("-".to_owned(), |v| format!("{v:.4}"));
    line!(
        text,
        "health    L0 {:.2}, explained variance {}, loss {}, reconstructed {}, zeroed {}, recovered {}",
        h.l0,
        number(h.explained_variance),
        number(h.loss),
        number(h.loss_reconstructed),
        number(h.loss_zeroed),
        number(h.loss_recovered())
    );
    line!(text, "prompts   {}", m.n_prompts);
    line!(text, "size      {} bytes in {} files", m.total_bytes(), m.files.len() + 1);
    text
}

pub fn feature(f: &FeatureView, labels: &Labels) -> String {
    let mut text = String::new();
    let s = &f.stats;
    let label = f.label.as_ref().map_or_else(String::new, |label| format!(": {label}"));
    line!(text, "feature {}{label}", f.feature);
    line!(
        text,
        "density {:.3}%, max {}, mean {:.3}, std {:.3}, skewness {:.2}, kurtosis {:.2}",
        s.density * 100.0,
        decimals::text(s.max.into(), s.max.into()),
        s.mean,
        s.std,
        s.skewness,
        s.kurtosis
    );
    if let Some(rows) = &f.tables.neuron_alignment {
        line!(text, "\nneuron alignment    value  % of L1");
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
        line!(text, "\n{name}: {}", logits.iter().map(entry).collect::<Vec<_>>().join(", "));
    }
    for group in &f.groups {
        line!(text, "\n{}", group.title);
        for example in &group.examples {
            line!(text, "{}", example_line(example, s.max.into()));
        }
    }
    text
}

fn correlated(text: &mut String, name: &str, rows: &[Correlated], labels: &Labels) {
    line!(text, "\n{name:<22} pearson  cosine");
    for r in rows {
        let label = labels.of(r.index).map_or_else(String::new, |label| format!("  {label}"));
        line!(text, "{:>22} {:>+7.3} {:>+7.3}{label}", r.index, r.pearson, r.cosine);
    }
}

/// The window as text, the bold token in double brackets, after its activation and place.
fn example_line(example: &ExampleView, max_act: f64) -> String {
    let mut text = String::new();
    let mut act = 0.0;
    for token in &example.tokens {
        if token.position == example.position {
            act = token.act;
            text.extend(["[[", &token.token, "]]"]);
        } else {
            text.push_str(&token.token);
        }
    }
    let act = decimals::text(act, max_act);
    format!("{act:>8}  {:>6}:{:<4} {text}", example.row, example.position)
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
    text
}
