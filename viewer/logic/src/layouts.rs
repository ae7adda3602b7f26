//! Which layouts a bundle can be shown in.

use shared::{
    layout::{Layout, Needs, Preset, Refusal, Use},
    manifest::Manifest,
};

use crate::route::Route;

/// Which layout a page is shown in.
pub fn used_by(route: &Route) -> Option<Use> {
    match route {
        Route::Feature(_) => Some(Use::Feature),
        Route::Prompt { .. } => Some(Use::Prompt),
        Route::Features(_) | Route::About | Route::Unknown(_) => None,
    }
}

/// The layout that `bundle` was made for.
pub fn own(r#use: Use, manifest: &Manifest) -> Layout {
    let layouts = &manifest.layouts;
    match r#use {
        Use::Feature => layouts.feature.clone(),
        Use::Prompt => layouts.prompt.clone(),
    }
}

/// Why a layout cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// An option is out of its range, or the page cannot have such a layout.
    Invalid(String),
    /// The bundle holds less than is asked for.
    Refused(Vec<Refusal>),
}

impl Unfit {
    /// All reasons in one line.
    pub fn text(&self) -> String {
        match self {
            Self::Invalid(reason) => reason.clone(),
            Self::Refused(refusals) => {
                let line = |r: &Refusal| format!("{}.{}: {}", r.component, r.option, r.reason);
                refusals.iter().map(line).collect::<Vec<_>>().join("; ")
            }
        }
    }
}

/// Whether `bundle` can be shown in `layout`.
pub fn check(layout: &Layout, r#use: Use, manifest: &Manifest) -> Result<(), Unfit> {
    let valid = match r#use {
        Use::Feature => layout.validate(),
        Use::Prompt => layout.validate_prompt(),
    };
    valid.map_err(|e| Unfit::Invalid(e.to_string()))?;
    let refusals = held(manifest).covers(&layout.needs());
    if refusals.is_empty() { Ok(()) } else { Err(Unfit::Refused(refusals)) }
}

fn held(manifest: &Manifest) -> Needs {
    let layouts = &manifest.layouts;
    layouts.feature.needs().and(&layouts.prompt.needs())
}

/// The presets for `use`.
pub fn presets(r#use: Use) -> Vec<Preset> {
    Preset::all().into_iter().filter(|p| p.r#use == r#use).collect()
}
