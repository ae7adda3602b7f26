//! Routes: what a link carries. Each state of the page that can be shared is one `Route`, written in the
//! address's fragment, so that any static host and any sub-path serves it and Back works.

use std::fmt::Write as _;

use shared::prompt::Metric;

use crate::browse::Browse;

/// Features that are compared at once, at most.
pub const MAX_COMPARED: usize = 4;

/// What the page shows.
#[derive(Debug, Clone, PartialEq)]
pub enum Route {
    /// The table of features.
    Features(Browse),
    /// One feature.
    Feature(u32),
    /// Features side by side, at most [`MAX_COMPARED`].
    Compare(Vec<u32>),
    /// The blind test of a feature.
    Blind(u32),
    /// A prompt with its best features.
    Prompt {
        /// Number of the prompt.
        prompt: u32,
        /// By what features are ranked.
        metric: Metric,
        /// Position in the prompt at which they are; `None` = the first that has something.
        position: Option<u32>,
    },
    /// Provenance and health.
    About,
    /// A fragment that names no page.
    Unknown(String),
}

impl Route {
    /// Reads an address's fragment, with or without its `#`.
    pub fn from_fragment(fragment: &str) -> Self {
        let path = fragment.trim_start_matches('#');
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
        let unknown = || Self::Unknown(fragment.to_owned());
        match parts.as_slice() {
            [] => Self::Features(Browse::from_pairs(pairs(query))),
            ["about"] => Self::About,
            ["feature", index] => index.parse().map_or_else(|_| unknown(), Self::Feature),
            ["feature", index, "blind"] => index.parse().map_or_else(|_| unknown(), Self::Blind),
            ["compare", list] => {
                let features: Option<Vec<u32>> = list.split(',').map(|f| f.parse().ok()).collect();
                features.filter(|f| f.len() <= MAX_COMPARED).map_or_else(unknown, Self::Compare)
            }
            ["prompt"] => Self::prompt(0, query),
            ["prompt", n] => n.parse().map_or_else(|_| unknown(), |n| Self::prompt(n, query)),
            _ => unknown(),
        }
    }

    /// The table of all features.
    pub fn features() -> Self {
        Self::Features(Browse::default())
    }

    /// The first prompt, ranked by quantile.
    pub fn prompts() -> Self {
        Self::prompt(0, "")
    }

    fn prompt(prompt: u32, query: &str) -> Self {
        let value = |key: &str| pairs(query).find(|(k, _)| *k == key).map(|(_, value)| value);
        let metric = value("metric").and_then(|m| Metric::from_name(&m)).unwrap_or(Metric::ActQuantile);
        let position = value("pos").and_then(|p| p.parse().ok());
        Self::Prompt { prompt, metric, position }
    }

    /// The fragment, with its `#`: what a link's `href` holds.
    pub fn fragment(&self) -> String {
        match self {
            Self::Features(browse) => format!("#/{}", browse.to_query(escape)),
            Self::Feature(index) => format!("#/feature/{index}"),
            Self::Blind(index) => format!("#/feature/{index}/blind"),
            Self::Compare(features) => {
                let list: Vec<String> = features.iter().map(ToString::to_string).collect();
                format!("#/compare/{}", list.join(","))
            }
            Self::Prompt { prompt, metric, position } => {
                let position = position.map_or_else(String::new, |p| format!("&pos={p}"));
                format!("#/prompt/{prompt}?metric={}{position}", metric.name())
            }
            Self::About => "#/about".to_owned(),
            Self::Unknown(fragment) => fragment.clone(),
        }
    }
}

/// The value of `key` in a fragment's query.
pub fn value_in(fragment: &str, key: &str) -> Option<String> {
    let (_, query) = fragment.split_once('?')?;
    pairs(query).find(|(k, _)| *k == key).map(|(_, value)| value)
}

/// Keys and values of a link's query.
fn pairs(query: &str) -> impl Iterator<Item = (&str, String)> {
    query.split('&').filter_map(|pair| pair.split_once('=')).map(|(key, value)| (key, unescape(value)))
}

/// Percent-encodes whatever could end a value in a link.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~:,".contains(&byte) {
            escaped.push(byte.into());
        } else {
            let written = write!(escaped, "%{byte:02X}");
            debug_assert!(written.is_ok(), "a string takes any text");
        }
    }
    escaped
}

fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = (bytes[i] == b'%').then(|| bytes.get(i + 1..i + 3)).flatten();
        let byte = hex.and_then(|h| u8::from_str_radix(std::str::from_utf8(h).ok()?, 16).ok());
        plain.push(byte.unwrap_or(bytes[i]));
        i += if byte.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::browse::{Column, Stat};

    #[test]
    fn every_route_survives_its_fragment() {
        let prompt = |position| Route::Prompt { prompt: 2, metric: Metric::LossEffect, position };
        let mut browse = Browse { query: "50% & más".to_owned(), ..Browse::default() };
        browse.sort_by(Column::Stat(Stat::Max));
        for route in [
            Route::features(),
            Route::Features(browse),
            Route::Feature(8),
            Route::Blind(8),
            Route::Compare(vec![4, 986]),
            prompt(None),
            prompt(Some(5)),
            Route::About,
        ] {
            assert_eq!(Route::from_fragment(&route.fragment()), route);
        }
    }

    #[test]
    fn an_empty_fragment_is_the_table_of_features() {
        assert_eq!(Route::from_fragment(""), Route::features());
        assert_eq!(Route::from_fragment("#"), Route::features());
    }

    #[test]
    fn a_value_holds_any_text() {
        for text in ["", "a&b=c", "100%", "%zz", "日本 #?", "\"{}[]\""] {
            assert_eq!(value_in(&format!("#/?q={}&x=1", escape(text)), "q").as_deref(), Some(text));
        }
    }

    #[test]
    fn a_fragment_that_names_no_page_is_kept_as_written() {
        for fragment in ["#/feature/x", "#/feature/-1", "#/nowhere", "#/compare/4,x", "#/compare/1,2,3,4,5"] {
            assert_eq!(Route::from_fragment(fragment), Route::Unknown(fragment.to_owned()));
        }
    }

    #[test]
    fn a_prompt_without_metric_is_ranked_by_quantile() {
        let expected = Route::Prompt { prompt: 1, metric: Metric::ActQuantile, position: Some(3) };
        assert_eq!(Route::from_fragment("#/prompt/1?pos=3&metric=nonsense"), expected);
    }
}
