//! Routes: what a link carries. Each state of the page that can be shared is one `Route`, written in the
//! address's fragment, so that any static host and any sub-path serves it and Back works.

use shared::prompt::Metric;

/// What the page shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Route {
    /// The table of all features.
    #[default]
    Features,
    /// One feature.
    Feature(u32),
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
            [] => Self::Features,
            ["about"] => Self::About,
            ["feature", index] => index.parse().map_or_else(|_| unknown(), Self::Feature),
            ["prompt"] => Self::prompt(0, query),
            ["prompt", n] => n.parse().map_or_else(|_| unknown(), |n| Self::prompt(n, query)),
            _ => unknown(),
        }
    }

    /// The first prompt, ranked by quantile.
    pub fn prompts() -> Self {
        Self::prompt(0, "")
    }

    fn prompt(prompt: u32, query: &str) -> Self {
        let value = |key: &str| query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
        let metric = value("metric").and_then(Metric::from_name).unwrap_or(Metric::ActQuantile);
        let position = value("pos").and_then(|p| p.parse().ok());
        Self::Prompt { prompt, metric, position }
    }

    /// The fragment, with its `#`: what a link's `href` holds.
    pub fn fragment(&self) -> String {
        match self {
            Self::Features => "#/".to_owned(),
            Self::Feature(index) => format!("#/feature/{index}"),
            Self::Prompt { prompt, metric, position } => {
                let position = position.map_or_else(String::new, |p| format!("&pos={p}"));
                format!("#/prompt/{prompt}?metric={}{position}", metric.name())
            }
            Self::About => "#/about".to_owned(),
            Self::Unknown(fragment) => fragment.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_survives_its_fragment() {
        let prompt = |position| Route::Prompt { prompt: 2, metric: Metric::LossEffect, position };
        for route in [Route::Features, Route::Feature(8), prompt(None), prompt(Some(5)), Route::About] {
            assert_eq!(Route::from_fragment(&route.fragment()), route);
        }
    }

    #[test]
    fn an_empty_fragment_is_the_table_of_features() {
        assert_eq!(Route::from_fragment(""), Route::Features);
        assert_eq!(Route::from_fragment("#"), Route::Features);
    }

    #[test]
    fn a_fragment_that_names_no_page_is_kept_as_written() {
        for fragment in ["#/feature/x", "#/feature/-1", "#/nowhere"] {
            assert_eq!(Route::from_fragment(fragment), Route::Unknown(fragment.to_owned()));
        }
    }

    #[test]
    fn a_prompt_without_metric_is_ranked_by_quantile() {
        let expected = Route::Prompt { prompt: 1, metric: Metric::ActQuantile, position: Some(3) };
        assert_eq!(Route::from_fragment("#/prompt/1?pos=3&metric=nonsense"), expected);
    }
}
