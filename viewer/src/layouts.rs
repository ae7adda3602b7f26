//! The reader's layouts: chosen in the editor or by a link, kept in the browser.
//!
//! A layout that the open bundle does not cover is not shown; the bundle's own is, and the editor says why.

use leptos::prelude::*;
use page_logic::{
    layouts::{check, own, used_by},
    route::{Route, escape, value_in},
};
use shared::layout::{Layout, Use};

use crate::data::Bundle;

/// The layouts that the reader chose; `None` = the bundle's own.
#[derive(Clone, Copy)]
pub struct Layouts {
    feature: RwSignal<Option<Layout>>,
    prompt: RwSignal<Option<Layout>>,
}

impl Layouts {
    /// Those kept in the browser, and the one in the address.
    pub fn new(fragment: &str, route: &Route) -> Self {
        let layouts =
            Self { feature: RwSignal::new(kept(Use::Feature)), prompt: RwSignal::new(kept(Use::Prompt)) };
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

    /// Takes the layout that a link carries.
    pub fn follow(self, fragment: &str, route: &Route) {
        let layout = value_in(fragment, "layout").and_then(|json| Layout::from_json(&json).ok());
        if let (Some(layout), Some(r#use)) = (layout, used_by(route)) {
            let chosen = self.chosen(r#use);
            if chosen.with_untracked(|now| now.as_ref() != Some(&layout)) {
                chosen.set(Some(layout));
            }
        }
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
        let storage = window().local_storage().ok().flatten();
        let done = storage.map(|s| match &layout {
            Some(layout) => s.set_item(key(r#use), &layout.to_json()),
            None => s.remove_item(key(r#use)),
        });
        if !matches!(done, Some(Ok(()))) {
            leptos::logging::warn!("the browser does not keep the layout");
        }
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
    let json = window().local_storage().ok().flatten()?.get_item(key(r#use)).ok().flatten()?;
    Layout::from_json(&json).ok()
}
