//! The reader's layouts: chosen in the editor or by a link, kept in the browser.
//!
//! A layout that asks for more than the open bundle holds is cut to what it does hold, and the page says what was cut.

use leptos::prelude::*;
use page_logic::{
    layouts::{check, cut_text, fitted, own, used_by},
    route::{Route, escape, value_in},
};
use shared::layout::{Layout, Use};

use crate::{
    choices::{self, keep},
    data::Bundle,
};

/// The layouts that the reader chose; `None` = the bundle's own.
#[derive(Clone, Copy)]
pub struct Layouts {
    feature: RwSignal<Option<Layout>>,
    prompt: RwSignal<Option<Layout>>,
    /// What the page says of itself.
    notice: RwSignal<Option<String>>,
    /// Whether a link chose the layout that is not yet known to fit.
    linked: RwSignal<bool>,
}

impl Layouts {
    /// Those kept in the browser, and the one in the address.
    pub fn new(fragment: &str, route: &Route, notice: RwSignal<Option<String>>) -> Self {
        let layouts = Self {
            feature: RwSignal::new(kept(Use::Feature)),
            prompt: RwSignal::new(kept(Use::Prompt)),
            notice,
            linked: RwSignal::new(false),
        };
        layouts.follow(fragment, route);
        layouts
    }

    /// Where the choice for `use` is.
    pub fn chosen(self, r#use: Use) -> RwSignal<Option<Layout>> {
        match r#use {
            Use::Feature => self.feature,
            Use::Prompt => self.prompt,
        }
    }

    /// Takes the layout that a link carries; says so where it is none.
    pub fn follow(self, fragment: &str, route: &Route) {
        let Some((json, r#use)) = value_in(fragment, "layout").zip(used_by(route)) else { return };
        match Layout::from_json(&json) {
            Ok(layout) => {
                let chosen = self.chosen(r#use);
                if chosen.with_untracked(|now| now.as_ref() != Some(&layout)) {
                    self.linked.set(true);
                    chosen.set(Some(layout));
                }
            }
            Err(e) => self.notice.set(Some(format!("the link’s layout cannot be shown: {e}"))),
        }
    }

    /// Cuts what was chosen to what `bundle` holds, and says what was cut where a link asked for it.
    pub fn fit(self, bundle: &Bundle) {
        for r#use in [Use::Feature, Use::Prompt] {
            let chosen = self.chosen(r#use);
            let Some(layout) = chosen.get() else { continue };
            let Err(unfit) = check(&layout, r#use, &bundle.manifest) else { continue };
            let fitted = fitted(&layout, r#use, &bundle.manifest);
            if self.linked.get_untracked() {
                self.notice.set(Some(match &fitted {
                    Some((_, cut)) => format!(
                        "the link’s layout asks for more than this bundle holds and was cut: {}",
                        cut_text(cut)
                    ),
                    None => format!("the link’s layout cannot be shown: {}", unfit.text()),
                }));
            }
            chosen.set(fitted.map(|(layout, _)| layout));
        }
        self.linked.set(false);
    }

    /// The address of `route` with the layout that it is shown in.
    pub fn address(self, route: &Route) -> String {
        let fragment = route.fragment();
        let layout =
            used_by(route).and_then(|u| self.chosen(u).with_untracked(|l| l.as_ref().map(Layout::to_json)));
        match layout {
            Some(json) => {
                let first = if fragment.contains('?') { '&' } else { '?' };
                format!("{fragment}{first}layout={}", escape(&json))
            }
            None => fragment,
        }
    }

    /// Chooses `layout` and keeps the choice in the browser.
    pub fn choose(self, r#use: Use, layout: Option<Layout>) {
        keep(key(r#use), layout.as_ref().map(Layout::to_json).as_deref());
        self.chosen(r#use).set(layout);
    }

    /// What is shown: the choice where `bundle` covers it, or else its own.
    pub fn shown(self, r#use: Use, bundle: &Bundle) -> Layout {
        let chosen = self.chosen(r#use).get();
        chosen
            .filter(|layout| check(layout, r#use, &bundle.manifest).is_ok())
            .unwrap_or_else(|| own(r#use, &bundle.manifest))
    }
}

fn key(r#use: Use) -> &'static str {
    match r#use {
        Use::Feature => "sae-vis.layout.feature",
        Use::Prompt => "sae-vis.layout.prompt",
    }
}

fn kept(r#use: Use) -> Option<Layout> {
    Layout::from_json(&choices::kept(key(r#use))?).ok()
}
