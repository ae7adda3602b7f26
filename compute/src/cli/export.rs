//! `compute export`: a bundle as one file, for a reader's disk.
//!
//! A `.saevis` is opened by the page; an HTML file is the page with the bundle in it.

use std::{
    io::{BufWriter, IntoInnerError, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use shared::prompt::Metric;
use tempfile::TempDir;

use crate::{
    bundle::{archive, html, read_manifest, subset},
    interrupt,
    output::OutputFile,
    plan::{parse_features, read_layout},
};

/// Options of `compute export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Folder of the bundle
    pub bundle: PathBuf,
    /// File to write; by default the bundle's name with .saevis or .html
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Write one HTML file with viewer and bundle inside, which needs no server
    #[arg(long)]
    pub html: bool,
    /// Folder of the built page, for --html
    #[arg(long, value_name = "FOLDER", default_value = "dist")]
    pub page: PathBuf,
    /// Features to export, such as 0..256,300; by default all of the bundle
    #[arg(long, value_name = "LIST", default_value = "all")]
    pub features: String,
    /// Layout that the page begins with: a file or a preset
    #[arg(long, value_name = "FILE")]
    pub layout: Option<PathBuf>,
    /// Feature that the page opens at, with --html
    #[arg(long, value_name = "N", requires = "html")]
    pub feature: Option<u32>,
    /// Prompt that the page opens at, with --html
    #[arg(long, value_name = "N", requires = "html", conflicts_with = "feature")]
    pub prompt: Option<u32>,
    /// By what the prompt's features are ranked: act_size, act_quantile or loss_effect
    #[arg(long, value_name = "NAME", requires = "prompt", value_parser = metric)]
    pub metric: Option<Metric>,
    /// Position of the prompt
    #[arg(long, value_name = "N", requires = "prompt")]
    pub pos: Option<u32>,
    /// Replace a file that is not an exported bundle or page
    #[arg(long)]
    pub force: bool,
    /// Print nothing but errors
    #[arg(long, short)]
    pub quiet: bool,
}

/// Pages of more bytes may not open: a browser holds one several times.
const MAX_PAGE_BYTES: u64 = 120_000_000;

fn metric(name: &str) -> Result<Metric, String> {
    let names = Metric::ALL.map(Metric::name).join(", ");
    Metric::from_name(name).ok_or_else(|| format!("expected one of {names}"))
}

impl ExportArgs {
    /// Writes the bundle as one file.
    pub fn run(&self) -> Result<()> {
        let (extension, kind) = if self.html { ("html", html::PAGE) } else { ("saevis", archive::ARCHIVE) };
        let out = self.out.clone().unwrap_or_else(|| self.bundle.with_extension(extension));
        interrupt::listen()?;
        let part = self.part()?;
        let bundle = part.as_ref().map_or_else(|| self.bundle.clone(), |part| part.path().join("bundle"));
        let start = self.start(&bundle)?;
        let file = BufWriter::new(OutputFile::create(&out, kind, self.force)?);
        let mut file = if self.html {
            html::page(&bundle, &self.page, start.as_deref(), file)?
        } else {
            archive::archive(&bundle, file)?
        };
        let writing = || format!("could not write ({})", out.display());
        file.flush().with_context(writing)?;
        let file = file.into_inner().map_err(IntoInnerError::into_error).with_context(writing)?;
        let _placed = interrupt::held_off();
        interrupt::check()?;
        let n_bytes = file.finish()?;
        if !self.quiet {
            // A closed standard error is no reason to fail.
            writeln!(std::io::stderr(), "{:.2} MB ({})", n_bytes as f64 / 1e6, out.display())
                .unwrap_or_default();
            if self.html && n_bytes > MAX_PAGE_BYTES {
                let said = "a page of that size may not open in a browser: choose --features, or leave out --html and open \
                            the .saevis with the page";
                writeln!(std::io::stderr(), "{said}").unwrap_or_default();
            }
        }
        Ok(())
    }

    /// The part that is exported, where that is not the whole bundle.
    fn part(&self) -> Result<Option<TempDir>> {
        if self.features == "all" && self.layout.is_none() {
            return Ok(None);
        }
        let d_sae = read_manifest(&self.bundle)?.sae.d_sae;
        let chosen = (self.features != "all").then(|| parse_features(&self.features, d_sae)).transpose()?;
        let layout = self.layout.as_deref().map(read_layout).transpose()?;
        let folder = tempfile::tempdir().context("could not make a temporary folder")?;
        subset(&self.bundle, chosen.as_deref(), layout, &folder.path().join("bundle"))?;
        Ok(Some(folder))
    }

    /// The address that the page opens at, in the bundle at `bundle`.
    fn start(&self, bundle: &Path) -> Result<Option<String>> {
        if let Some(feature) = self.feature {
            read_manifest(bundle)?.block_of(feature)?;
            return Ok(Some(format!("#/feature/{feature}")));
        }
        let Some(prompt) = self.prompt else { return Ok(None) };
        let n = read_manifest(bundle)?.n_prompts;
        ensure!(
            prompt < n,
            "no prompt {prompt}: the bundle has {n}, counted from 0 ({})",
            self.bundle.display()
        );
        let metric = self.metric.map(|metric| format!("metric={}", metric.name()));
        let pos = self.pos.map(|pos| format!("pos={pos}"));
        let query: Vec<String> = metric.into_iter().chain(pos).collect();
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        Ok(Some(format!("#/prompt/{prompt}{query}")))
    }
}
