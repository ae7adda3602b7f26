//! Fills in `www/index.html` the way Trunk does: every `<link data-trunk …>` becomes what it asks for.
//!
//! It knows the kinds that the page uses (`rust`, `css`, `icon`, `copy-file`) and refuses others, so that the two builds
//! cannot drift apart unnoticed.

use anyhow::{Context as _, Result, bail};

/// Where Trunk puts a random value while serving; the built page has no inline script and needs none.
const NONCE: &str = " 'nonce-__TRUNK_NONCE__'";

/// `pattern_script` of Trunk.toml.
const SCRIPT: &str =
    r#"<script type="module" src="{base}boot.js" data-js="{base}{js}" data-wasm="{base}{wasm}"></script>"#;

/// `pattern_preload` of Trunk.toml.
const PRELOAD: &str = r#"<link rel="modulepreload" href="{base}{js}"><link rel="preload" href="{base}{wasm}" as="fetch" type="application/wasm" crossorigin="anonymous">"#;

/// The names of the built viewer's files.
#[derive(Debug)]
pub struct Viewer {
    /// The module that loads it.
    pub js: String,
    /// The WebAssembly.
    pub wasm: String,
}

/// Whether a file keeps its name or gets a hash into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// As it is: other files refer to it.
    Kept,
    /// With a hash, so that a cached copy is never out of date.
    Hashed,
}

/// Gives the page's HTML; `add` takes in a file of `www` and gives back the name it is served under.
pub fn fill_in(
    source: &str,
    viewer: &Viewer,
    mut add: impl FnMut(&str, Naming) -> Result<String>,
) -> Result<String> {
    let mut html = String::with_capacity(source.len() + 512);
    let mut rest = source;
    while let Some(start) = rest.find("<link data-trunk ") {
        let length = rest[start..].find('>').context("www/index.html has a <link> without its end")? + 1;
        html.push_str(&rest[..start]);
        html.push_str(&replacement(&rest[start..start + length], viewer, &mut add)?);
        rest = &rest[start + length..];
    }
    html.push_str(rest);
    if html.contains("data-trunk") {
        bail!("www/index.html has a data-trunk element that is not written `<link data-trunk …>`");
    }
    without_comments(&html.replace(NONCE, ""))
}

/// What one Trunk link becomes.
fn replacement(
    tag: &str,
    viewer: &Viewer,
    add: &mut impl FnMut(&str, Naming) -> Result<String>,
) -> Result<String> {
    let rel = attribute(tag, "rel").with_context(|| format!("no rel in {tag}"))?;
    let href = attribute(tag, "href").with_context(|| format!("no href in {tag}"))?;
    Ok(match rel {
        "rust" => pattern(PRELOAD, viewer) + &pattern(SCRIPT, viewer),
        "css" => format!(r#"<link rel="stylesheet" href="./{}">"#, add(href, Naming::Hashed)?),
        "icon" => {
            let kind = attribute(tag, "type").map(|kind| format!(r#" type="{kind}""#)).unwrap_or_default();
            format!(r#"<link rel="icon" href="./{}"{kind}>"#, add(href, Naming::Hashed)?)
        }
        "copy-file" => {
            add(href, Naming::Kept)?;
            String::new()
        }
        _ => bail!(
            "www/index.html asks Trunk for rel=\"{rel}\", which xtask/src/page/html.rs does not know yet"
        ),
    })
}

/// A pattern of Trunk.toml with its names filled in; the base is `./`, so that any sub-path serves the page.
fn pattern(pattern: &str, viewer: &Viewer) -> String {
    pattern.replace("{base}", "./").replace("{js}", &viewer.js).replace("{wasm}", &viewer.wasm)
}

/// The value of a quoted attribute.
fn attribute<'tag>(tag: &'tag str, name: &str) -> Option<&'tag str> {
    let (_, after) = tag.split_once(&format!(" {name}=\""))?;
    after.split_once('"').map(|(value, _)| value)
}

/// The page without its comments: they are for whoever reads `www/index.html`.
fn without_comments(html: &str) -> Result<String> {
    let mut kept = String::with_capacity(html.len());
    let mut rest = html;
    while let Some((before, after)) = rest.split_once("<!--") {
        kept.push_str(before.trim_end_matches(' '));
        let (_, after) = after.split_once("-->").context("www/index.html has a comment without its end")?;
        rest = after.strip_prefix('\n').unwrap_or(after);
    }
    kept.push_str(rest);
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../../www/index.html");
    const TRUNK: &str = include_str!("../../../Trunk.toml");

    fn viewer() -> Viewer {
        Viewer { js: "viewer-1.js".into(), wasm: "viewer-1_bg.wasm".into() }
    }

    #[test]
    fn the_page_names_the_built_files_and_nothing_of_trunk() {
        let mut files = Vec::new();
        let html = fill_in(PAGE, &viewer(), |name, naming| {
            files.push((name.to_owned(), naming));
            Ok(format!("built-{name}"))
        })
        .unwrap();
        assert!(html.contains(r#"data-wasm="./viewer-1_bg.wasm""#), "{html}");
        assert!(html.contains(r#"<link rel="stylesheet" href="./built-base.css">"#), "{html}");
        assert!(!html.to_lowercase().contains("trunk") && !html.contains("<!--"), "{html}");
        assert!(files.contains(&("boot.js".into(), Naming::Kept)));
    }

    #[test]
    fn the_policy_forbids_inline_scripts() {
        let html = fill_in(PAGE, &viewer(), |name, _| Ok(name.to_owned())).unwrap();
        assert!(html.contains("script-src 'self' 'wasm-unsafe-eval';"), "{html}");
        assert!(html.matches("<script").count() == 1 && html.contains("boot.js\" data-js="), "{html}");
    }

    #[test]
    fn trunk_writes_the_same_lines() {
        assert!(TRUNK.contains(&format!("pattern_script = '{SCRIPT}'")));
        assert!(TRUNK.contains(&format!("pattern_preload = '{PRELOAD}'")));
    }

    #[test]
    fn an_unknown_kind_of_link_is_refused() {
        let page = r#"<link data-trunk rel="sass" href="a.scss">"#;
        let error = fill_in(page, &viewer(), |name, _| Ok(name.to_owned())).unwrap_err();
        assert!(error.to_string().contains("rel=\"sass\""), "{error}");
    }
}
