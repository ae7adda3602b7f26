//! The layouts that a run gathers data for.

use std::{fs, path::Path};

use anyhow::{Context, Result, anyhow};
use shared::{
    layout::{Column, Layout, Preset},
    manifest::Layouts,
};

use super::RunOptions;

/// Reads the layout in the file at `path`, or the preset of that name.
pub fn read_layout(path: &Path) -> Result<Layout> {
    let preset = || Preset::all().into_iter().find(|p| path.to_str() == Some(p.name));
    if !path.exists()
        && let Some(preset) = preset()
    {
        return Ok(preset.layout);
    }
    let json = fs::read_to_string(path).with_context(|| {
        let names = Preset::all().map(|p| p.name).join(", ");
        format!("could not read the layout; presets are {names} ({})", path.display())
    })?;
    Layout::from_json(&json).map_err(|e| anyhow!("the layout is not valid: {e} ({})", path.display()))
}

/// The layouts to gather for; by default a prompt's shows what the feature's gathers.
pub fn of(args: &RunOptions) -> Result<Layouts> {
    let feature =
        args.layout.as_ref().map_or_else(|| Ok(Layout::default_feature()), |path| read_layout(path))?;
    let prompt =
        args.prompt_layout.as_ref().map_or_else(|| Ok(default_prompt(&feature)), |path| read_layout(path))?;
    prompt.validate_prompt().map_err(|e| anyhow!("{e}"))?;
    Ok(Layouts { feature, prompt })
}

/// The default prompt layout, cut to what a feature layout gathers: a narrow layout asks for little data.
fn default_prompt(feature: &Layout) -> Layout {
    let mut prompt = Layout::default_prompt();
    let gathered = feature.needs();
    for column in &mut prompt.columns {
        column.components.retain(|c| {
            let alone = Layout {
                columns: vec![Column { components: vec![c.clone()], width: None }],
                ..Layout::default()
            };
            gathered.covers(&alone.needs()).is_empty()
        });
    }
    if prompt.components().next().is_none() {
        prompt.columns =
            vec![feature.columns.iter().find(|c| !c.components.is_empty()).cloned().unwrap_or_default()];
    }
    prompt
}
