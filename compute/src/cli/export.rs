//! `compute export`: a bundle as one file, for a reader's disk, or as files for other programs.
//!
//! A `.saevis` is opened by the page; an HTML file is the page with the bundle in it; a site is the page with any number of
//! bundles, for a host.

use std::{
    io::{self, BufWriter, IntoInnerError, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use flate2::{Compression, write::GzEncoder};
use shared::{manifest::Manifest, prompt::Metric};
use tempfile::TempDir;

use crate::{
    bundle::{Bundle, archive, html, read_manifest, subset},
    exchange::{self, NewFolder},
    interrupt,
    model::HookPoint,
    output::OutputFile,
    plan::{parse_features, read_layout},
    run::provenance,
};

/// Options of `compute export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Folder of the bundle; with --site of any number of bundles and sites
    #[arg(required = true)]
    pub bundles: Vec<PathBuf>,
    /// File to write; by default the bundle's name with .saevis or .html
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Write one HTML file with viewer and bundle inside, which needs no server
    #[arg(long)]
    pub html: bool,
    /// Write a folder for any static host: the page with the bundles, and of several a start page; one that is there is
    /// replaced
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["html", "out", "json", "layout"])]
    pub site: Option<PathBuf>,
    /// Folder of the built page, for --html and --site
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
    /// Write the whole bundle as one JSON document, gzipped where the name ends in .gz; `compute import` reads it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["html", "out"])]
    pub json: Option<PathBuf>,
    /// Write Neuronpedia's batches of features into a new folder
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["html", "out", "json", "site"])]
    pub neuronpedia: Option<PathBuf>,
    /// Write the features of attribution graphs into a new folder, which graphs name as feature_json_base_url
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["html", "out", "json", "neuronpedia", "site"])]
    pub graph_features: Option<PathBuf>,
    /// The SAE's layer in these formats; by default that of its hook point
    #[arg(long, value_name = "N")]
    pub layer: Option<u32>,
    /// Neuronpedia's name of the model; by default the bundle's
    #[arg(long, value_name = "NAME", requires = "neuronpedia")]
    pub model_id: Option<String>,
    /// Neuronpedia's name of the set of SAEs; by default the bundle's name of the SAE
    #[arg(long, value_name = "NAME", requires = "neuronpedia")]
    pub sae_set: Option<String>,
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

/// The layer of a hook point inside a block.
fn layer_of(hook: Option<&str>) -> Result<u32> {
    let hook_point = hook.and_then(HookPoint::parse).filter(|hook_point| hook_point.site.in_block());
    let layer = hook_point.and_then(|hook_point| u32::try_from(hook_point.layer).ok());
    layer.with_context(|| {
        let hook = hook.unwrap_or("no hook point");
        format!("the layer of the SAE's hook point is not known: name it with --layer ({hook})")
    })
}

impl ExportArgs {
    /// Writes the bundle.
    pub fn run(&self) -> Result<()> {
        if let Some(folder) = &self.site {
            return self.write_site(folder);
        }
        let [bundle] = self.bundles.as_slice() else {
            bail!("{} bundles are named, expected one: several go together with --site", self.bundles.len())
        };
        match (&self.neuronpedia, &self.graph_features) {
            (Some(folder), _) | (None, Some(folder)) => self.folder(bundle, folder),
            (None, None) => self.file(bundle),
        }
    }

    /// Writes a folder for a static host.
    fn write_site(&self, folder: &Path) -> Result<()> {
        ensure!(self.features == "all", "--features goes with one bundle, --site publishes whole ones");
        let warnings = site::write(&self.page, &self.bundles, &provenance::tool(), folder)?;
        self.say(&format!("the site is written ({})", folder.display()));
        for warning in warnings {
            self.say(&format!("warning: {warning}"));
        }
        Ok(())
    }

    /// Writes files for another program.
    fn folder(&self, bundle: &Path, folder: &Path) -> Result<()> {
        let out = NewFolder::create(folder)?;
        let part = self.part(bundle)?;
        let bundle = part.as_ref().map_or_else(|| bundle.to_owned(), |part| part.path().join("bundle"));
        let bundle = Bundle::open(&bundle)?;
        let layer = self.layer.map_or_else(|| layer_of(bundle.manifest.sae.hook.as_deref()), Ok)?;
        if self.neuronpedia.is_some() {
            let Manifest { model, sae, .. } = &bundle.manifest;
            let model = self.model_id.as_ref().unwrap_or(&model.name);
            let set = self.sae_set.as_ref().unwrap_or(&sae.name);
            exchange::write_neuronpedia(&bundle, model, set, layer, &out)?;
        } else {
            exchange::write_graph_features(&bundle, layer, &out)?;
        }
        out.finish()?;
        self.say(&format!(
            "{} features of layer {layer} ({})",
            bundle.manifest.n_features(),
            folder.display()
        ));
        Ok(())
    }

    /// Writes the bundle as one file.
    fn file(&self, bundle: &Path) -> Result<()> {
        let (extension, kind) = match &self.json {
            Some(_) => ("json", exchange::JSON_BUNDLE),
            None if self.html => ("html", html::PAGE),
            None => ("saevis", archive::ARCHIVE),
        };
        let named = self.json.clone().or_else(|| self.out.clone());
        let out = named.unwrap_or_else(|| bundle.with_extension(extension));
        interrupt::listen()?;
        let part = self.part(bundle)?;
        let bundle = part.as_ref().map_or_else(|| bundle.to_owned(), |part| part.path().join("bundle"));
        let start = self.start(&bundle)?;
        let file = BufWriter::new(OutputFile::create(&out, kind, self.force)?);
        let writing = || format!("could not write ({})", out.display());
        let mut file = if self.json.is_some() {
            let bundle = Bundle::open(&bundle)?;
            for layer in bundle.manifest.newer_layers() {
                self.say(&format!("left out: the layer {}, which a newer version made", layer.name));
            }
            if out.extension().is_some_and(|extension| extension == "gz") {
                let gzip = GzEncoder::new(file, Compression::default());
                exchange::write_json(&bundle, gzip)?.finish().with_context(writing)?
            } else {
                exchange::write_json(&bundle, file)?
            }
        } else if self.html {
            html::page(&bundle, &self.page, start.as_deref(), file)?
        } else {
            archive::archive(&bundle, file)?
        };
        file.flush().with_context(writing)?;
        let file = file.into_inner().map_err(IntoInnerError::into_error).with_context(writing)?;
        let _placed = interrupt::held_off();
        interrupt::check()?;
        let n_bytes = file.finish()?;
        self.say(&format!("{:.2} MB ({})", n_bytes as f64 / 1e6, out.display()));
        if self.html && n_bytes > MAX_PAGE_BYTES {
            self.say(
                "a page of that size may not open in a browser: choose --features, or leave out --html and open \
                the .saevis with the page",
            );
        }
        Ok(())
    }

    /// Prints a line, unless nothing is to be printed.
    fn say(&self, line: &str) {
        if !self.quiet {
            // A closed standard error is no reason to fail.
            writeln!(io::stderr(), "{line}").unwrap_or_default();
        }
    }

    /// The part that is exported, where that is not the whole bundle.
    fn part(&self, bundle: &Path) -> Result<Option<TempDir>> {
        if self.features == "all" && self.layout.is_none() {
            return Ok(None);
        }
        let manifest = read_manifest(bundle)?;
        let past = manifest.features.last().map_or(0, |range| range.end);
        let d_sae = manifest.sae.d_sae.unwrap_or(past);
        let chosen = (self.features != "all").then(|| parse_features(&self.features, d_sae)).transpose()?;
        let layout = self.layout.as_deref().map(read_layout).transpose()?;
        let folder = tempfile::tempdir().context("could not make a temporary folder")?;
        subset(bundle, chosen.as_deref(), layout, &folder.path().join("bundle"))?;
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
            self.bundles.first().map_or(bundle, PathBuf::as_path).display()
        );
        let metric = self.metric.map(|metric| format!("metric={}", metric.name()));
        let pos = self.pos.map(|pos| format!("pos={pos}"));
        let query: Vec<String> = metric.into_iter().chain(pos).collect();
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        Ok(Some(format!("#/prompt/{prompt}{query}")))
    }
}
