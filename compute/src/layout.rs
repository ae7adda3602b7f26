//! `compute layout`: what a layout can say, and whether a file says it right.

use std::{fs, io::Write, path::Path};

use anyhow::{Context, Result, anyhow, bail};
use shared::layout::{Layout, Preset, Use};

use crate::{
    args::{LayoutArgs, LayoutCommand},
    bundle::Bundle,
};

/// Reads the layout in the file at `path`, or the preset of that name.
pub fn read(path: &Path) -> Result<Layout> {
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

/// Prints help, a preset or the schema, or checks a layout.
pub fn layout(args: &LayoutArgs) -> Result<()> {
    let text = match &args.command {
        LayoutCommand::Help { layout } => read(layout)?.help(),
        LayoutCommand::Check { layout, prompt, bundle } => check(layout, *prompt, bundle.as_deref())?,
        LayoutCommand::Default { name } => pretty(&read(Path::new(name))?.to_json())?,
        LayoutCommand::Schema => pretty(&Layout::json_schema().to_string())?,
        LayoutCommand::List => list(),
    };
    // A reader that has seen enough, such as `head`, closes the pipe: nothing is lost.
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e.into()),
        _ => Ok(()),
    }
}

fn list() -> String {
    let line = |p: Preset| {
        let r#use = if p.r#use == Use::Feature { "feature" } else { "prompt" };
        format!("{:<18} {:<9} {}\n", p.name, r#use, p.about)
    };
    Preset::all().map(line).concat()
}

fn pretty(json: &str) -> Result<String> {
    let value: serde_json::Value = serde_json::from_str(json)?;
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

fn check(path: &Path, prompt: bool, bundle: Option<&Path>) -> Result<String> {
    let layout = read(path)?;
    if prompt {
        layout.validate_prompt().map_err(|e| anyhow!("{e} ({})", path.display()))?;
    }
    if let Some(folder) = bundle {
        let layouts = Bundle::open(folder)?.manifest.layouts;
        let refusals = layouts.feature.needs().and(&layouts.prompt.needs()).covers(&layout.needs());
        if !refusals.is_empty() {
            let lines: Vec<String> =
                refusals.iter().map(|r| format!("{}.{}: {}", r.component, r.option, r.reason)).collect();
            bail!(
                "the bundle does not hold what the layout shows: {} ({})",
                lines.join("; "),
                folder.display()
            );
        }
    }
    let n = layout.components().count();
    Ok(format!("valid: {n} components in {} columns ({})\n", layout.columns.len(), path.display()))
}
