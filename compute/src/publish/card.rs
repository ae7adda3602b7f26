//! A repository's card: what the bundles in it are, where their numbers come from, how to open them.

use std::fmt::Write as _;

use clap::Args;
use shared::manifest::Manifest;

/// What says that a card is this program's, and may be replaced by it.
const MARK: &str = "<!-- written by sae-vis: `compute publish` replaces this card -->";

/// What the card says that no bundle knows.
#[derive(Debug, Clone, Default, Args)]
pub struct CardOptions {
    /// Licence of the data set, as the hub names it, such as mit; by default none is stated
    #[arg(long, value_name = "NAME")]
    pub license: Option<String>,
    /// Address of a site of the page, which the card's link opens the bundle in
    #[arg(long, value_name = "URL")]
    pub page_url: Option<String>,
}

/// Whether a card was written by this program.
pub fn is_ours(card: &str) -> bool {
    card.contains(MARK)
}

/// Writes the card of bundles at these paths, which `address` opens.
///
/// - `picture`: path of the picture in the repository
pub fn card(bundles: &[(&str, &Manifest)], address: &str, picture: &str, options: &CardOptions) -> String {
    let mut text = String::from("---\n");
    if let Some(license) = &options.license {
        line(&mut text, &format!("license: {}", plain(license)));
    }
    line(&mut text, "tags:\n- sparse-autoencoder\n- interpretability\n- sae-vis\n---");
    line(&mut text, MARK);
    let models = distinct(bundles.iter().map(|(_, manifest)| manifest.model.name.as_str()));
    line(&mut text, &format!("\n# Features of sparse autoencoders of {}\n", escaped(&models.join(", "))));
    line(&mut text, &format!("![Densities of the features]({picture})\n"));
    match &options.page_url {
        Some(url) => {
            let page = if bundles.len() > 1 { "site.html?site=" } else { "?bundle=" };
            line(&mut text, &format!("[Open the features]({}/{page}{address})\n", url.trim_end_matches('/')));
        }
        None => line(&mut text, &format!("A page of sae-vis opens them with `?bundle={address}`.\n")),
    }
    line(
        &mut text,
        "| SAE | hook point | features | L0 | explained variance | loss recovered | never active |",
    );
    line(&mut text, "|---|---|---:|---:|---:|---:|---:|");
    for (_, manifest) in bundles {
        let (sae, health) = (&manifest.sae, &manifest.health);
        let number = |value: Option<f64>, decimals: usize| {
            value.map_or("–".to_owned(), |v| format!("{v:.decimals$}"))
        };
        line(
            &mut text,
            &format!(
                "| {} | {} | {} | {} | {} | {} | {} |",
                escaped(&sae.name),
                sae.hook.as_deref().map_or("–".to_owned(), escaped),
                manifest.n_features(),
                number(health.l0, 1),
                number(health.explained_variance, 3),
                number(health.loss_recovered(), 3),
                health.n_dead.map_or("–".to_owned(), |n| n.to_string()),
            ),
        );
    }
    provenance(&mut text, bundles);
    text
}

/// Where the numbers come from.
fn provenance(text: &mut String, bundles: &[(&str, &Manifest)]) {
    let Some((_, first)) = bundles.first() else { return };
    line(text, "\n## Where the numbers come from\n");
    let mut fact = |name: &str, value: &str| line(text, &format!("* {name}: {}", escaped(value)));
    fact("made by", &first.tool);
    if let Some(sha256) = &first.model.sha256 {
        fact("model's weights, SHA-256", sha256);
    }
    for (_, manifest) in bundles {
        if let Some(sha256) = &manifest.sae.sha256 {
            fact(&format!("{}, SHA-256", manifest.sae.name), sha256);
        }
    }
    fact("text", &first.dataset.name);
    if let Some(n_tokens) = first.dataset.n_tokens() {
        fact("tokens", &n_tokens.to_string());
    }
    if let Some(sha256) = &first.dataset.sha256 {
        fact("token ids, SHA-256", sha256);
    }
    if let Some(run) = &first.run {
        fact("computed on", &format!("{}, {}, seed {}", run.device, run.dtype, run.seed));
    }
}

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    writeln!(text, "{line}").unwrap_or_default();
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut distinct: Vec<&str> = Vec::new();
    for name in names.filter(|name| !name.is_empty()) {
        if !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    distinct
}

/// A value of the head, which is YAML: one word.
fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || "-._".contains(*c)).collect()
}

/// Text that Markdown and HTML leave as it is.
fn escaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !c.is_control()) {
        match c {
            '&' => plain.push_str("&amp;"),
            '<' => plain.push_str("&lt;"),
            '>' => plain.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '!' => {
                plain.push('\\');
                plain.push(c);
            }
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_text_whatever_they_say() {
        assert_eq!(escaped("a|b\n<script>[x](y)`"), "a\\|b&lt;script&gt;\\[x\\](y)\\`");
        assert_eq!(plain("mit\nevil: true"), "miteviltrue");
    }
}
