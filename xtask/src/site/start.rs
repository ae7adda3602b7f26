//! The start page of a site with several bundles: what each holds, and a link to it.

use super::Published;
use serde_json::Value;
use std::fmt::Write as _;

/// Writes the page; its look is that of the viewer's page `view`.
pub(super) fn page(view: &str, bundles: &[Published]) -> String {
    let mut html = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>sae-vis</title>\n",
    );
    for link in links(view) {
        html.push_str(link);
        html.push('\n');
    }
    html.push_str("</head>\n<body>\n<main class=\"start\">\n<h1>Sparse autoencoders</h1>\n<ul>\n");
    for bundle in bundles {
        html.push_str(&entry(bundle));
    }
    html.push_str("</ul>\n</main>\n</body>\n</html>\n");
    html
}

/// The style sheets and the icon of a page.
fn links(view: &str) -> impl Iterator<Item = &str> {
    view.match_indices("<link rel=\"")
        .filter_map(|(start, _)| view[start..].split_inclusive('>').next())
        .filter(|link| link.contains("rel=\"stylesheet\"") || link.contains("rel=\"icon\""))
}

/// One bundle: its link, and its figures on a line.
fn entry(bundle: &Published) -> String {
    let manifest = &bundle.manifest;
    let text = |value: &Value| escaped(value.as_str().unwrap_or("not recorded"));
    let mut line = format!(
        "<li><a href=\"view.html?bundle=bundles/{}\"><bdi>{}</bdi></a>: <bdi>{}</bdi> of <bdi>{}</bdi>, {} features",
        bundle.name,
        escaped(&bundle.name),
        text(&manifest["sae"]["hook"]),
        text(&manifest["model"]["name"]),
        n_features(manifest),
    );
    let health = &manifest["health"];
    let figures = [("explained_variance", "explained variance", 3), ("l0", "L0", 1), ("n_dead", "dead", 0)];
    for (key, name, decimals) in figures {
        if let Some(value) = health[key].as_f64() {
            // Writing to a string cannot fail.
            write!(line, ", {name} {value:.decimals$}").unwrap_or_default();
        }
    }
    line + "</li>\n"
}

/// Features that the bundle holds.
fn n_features(manifest: &Value) -> u64 {
    let ranges = manifest["features"].as_array().into_iter().flatten();
    let bounds = ranges.filter_map(|range| Some((range["start"].as_u64()?, range["end"].as_u64()?)));
    bounds.map(|(start, end)| end.saturating_sub(start)).sum()
}

/// Text as HTML shows it, without characters that are not seen.
fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !c.is_control()) {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            c => html.push(c),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_text_whatever_they_say() {
        let manifest = json!({
            "model": { "name": "<script>alert(1)</script>\u{1b}[31m" }, "sae": { "hook": "a\"b" },
            "features": [{ "start": 0, "end": 3 }, { "start": 8, "end": 9 }], "health": { "l0": 3.07, "n_dead": 2 },
        });
        let bundle = Published { name: "a".into(), folder: "a".into(), manifest };
        let html = page(
            "<link rel=\"stylesheet\" href=\"./base-1.css\"><link rel=\"modulepreload\" href=\"x\">",
            &[bundle],
        );
        assert!(
            html.contains("&lt;script&gt;alert(1)&lt;/script&gt;[31m") && !html.contains("<script"),
            "{html}"
        );
        assert!(html.contains("a&quot;b") && html.contains("4 features, L0 3.1, dead 2</li>"), "{html}");
        assert!(html.contains("base-1.css") && !html.contains("modulepreload"), "{html}");
    }
}
