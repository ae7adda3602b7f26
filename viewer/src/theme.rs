//! The reader's choice of light or dark, kept in the browser; without one, the system's.

use crate::components::handler::handler;
use leptos::prelude::*;

const KEY: &str = "sae-vis.theme";

/// Which colours the page has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// As the system says.
    System,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Theme {
    /// The theme that was kept.
    pub fn kept() -> Self {
        let kept = storage().and_then(|s| s.get_item(KEY).ok().flatten());
        match kept.as_deref() {
            Some("light") => Self::Light,
            Some("dark") => Self::Dark,
            _ => Self::System,
        }
    }

    /// Keeps the theme and shows the page in it.
    pub fn apply(self) {
        let root = document().document_element();
        let (Some(root), storage) = (root, storage()) else { return };
        // A browser that keeps nothing still shows the theme until the page is closed.
        let kept = match self {
            Self::System => {
                root.remove_attribute("data-theme").is_ok()
                    && storage.is_none_or(|s| s.remove_item(KEY).is_ok())
            }
            Self::Light | Self::Dark => {
                root.set_attribute("data-theme", self.name()).is_ok()
                    && storage.is_none_or(|s| s.set_item(KEY, self.name()).is_ok())
            }
        };
        if !kept {
            leptos::logging::warn!("the browser does not keep the theme");
        }
    }

    /// The next in turn.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::System => Self::Light,
            Self::Light => Self::Dark,
            Self::Dark => Self::System,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}

/// The button that changes the theme.
#[component]
pub fn ThemeToggle() -> impl IntoView {
    let theme = RwSignal::new(Theme::kept());
    theme.get_untracked().apply();
    let turn = move |_| {
        theme.update(|t| *t = t.next());
        theme.get_untracked().apply();
    };
    let glyph = move || match theme.get() {
        Theme::System => "◐",
        Theme::Light => "○",
        Theme::Dark => "●",
    };
    let label = move || format!("Theme: {}", theme.get().name());
    view! {
        <button type="button" class="icon-button" data-theme-toggle title=move || label() aria-label=move || label() on:click=handler(turn)>
            <span aria-hidden="true">{move || glyph()}</span>
        </button>
    }
}
