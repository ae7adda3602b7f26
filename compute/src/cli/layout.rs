//! `compute layout`: what a layout can say, and whether a file says it right.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use clap::{Args, Subcommand};
use shared::layout::{Layout, Preset, Use};

use crate::{bundle::Bundle, plan::read_layout, terminal};

/// Options of `compute layout`.
#[derive(Debug, Args)]
pub struct LayoutArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: LayoutCommand,
}

/// The commands of `compute layout`.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub enum LayoutCommand {
    /// Print the tree of components and options with defaults; what differs from them is marked
    Help {
        /// File or name of a preset
        #[arg(default_value = "default")]
        layout: PathBuf,
    },
    /// Check a layout file, and whether a bundle holds what it shows
    Check {
        /// File or name of a preset
        layout: PathBuf,
        /// It is for the prompt page, which repeats one column
        #[arg(long)]
        prompt: bool,
        /// Folder of a bundle
        #[arg(long, value_name = "FOLDER")]
        bundle: Option<PathBuf>,
    },
    /// Print a preset as JSON, to begin one's own with
    Default {
        /// Name of the preset
        #[arg(default_value = "default")]
        name: String,
    },
    /// Print the JSON Schema of layouts
    Schema,
    /// List the presets
    List,
}

impl LayoutArgs {
    /// Prints help, a preset or the schema, or checks a layout.
    pub fn run(&self) -> Result<()> {
        let text = match &self.command {
            LayoutCommand::Help { layout } => read_layout(layout)?.help(),
            LayoutCommand::Check { layout, prompt, bundle } => check(layout, *prompt, bundle.as_deref())?,
            LayoutCommand::Default { name } => pretty(&read_layout(Path::new(name))?.to_json())?,
            LayoutCommand::Schema => pretty(&Layout::json_schema().to_string())?,
            LayoutCommand::List => list(),
        };
        terminal::print(&text)
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
    let layout = read_layout(path)?;
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
