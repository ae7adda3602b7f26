//! `compute serve`: a bundle's page on this machine, which answers prompts.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;
use shared::paths;
use site::Page;

use crate::{
    bundle::Bundle,
    hub,
    sae::SaeFormat,
    serve::{Live, Overlay, Server, Shown, SiteFiles},
    session::WeightOptions,
    terminal,
};

/// Options of `compute serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The bundle: its folder or a .saevis; or the folder of a site
    pub bundle: PathBuf,
    /// The model that the bundle was computed from, to answer prompts
    #[arg(long, value_name = "FOLDER", requires = "sae")]
    pub model: Option<PathBuf>,
    /// The SAE that the bundle was computed from
    #[arg(long, value_name = "PATH", requires = "model")]
    pub sae: Option<PathBuf>,
    /// The SAE's format, where its files do not say it
    #[arg(long, value_name = "NAME")]
    pub sae_format: Option<SaeFormat>,
    /// The tokenizer, where it is not beside the model
    #[arg(long, value_name = "PATH")]
    pub tokenizer: Option<PathBuf>,
    /// Where to compute: auto, cpu, or cuda:N
    #[arg(long, default_value = "auto")]
    pub device: String,
    /// Port of the loopback; 0 for any that is free
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Folder of the built page
    #[arg(long, value_name = "FOLDER", default_value = "dist")]
    pub page: PathBuf,
}

impl ServeArgs {
    /// Loads, prints the address, and answers until the process ends.
    pub fn run(&self) -> Result<()> {
        hub::be_quiet();
        let mut page = Page::read(&self.page)?;
        if self.bundle.join(paths::SITE).is_file() {
            ensure!(
                self.model.is_none(),
                "prompts are answered for one bundle: name one of the site's folders ({})",
                self.bundle.display()
            );
            let shown = Shown::Site(SiteFiles::open(&self.bundle)?);
            page.begin_with_start()?;
            let server = Server::bind(self.port, page, shown)?;
            terminal::print(&format!("open {}   (Ctrl-C stops)\n", server.url()?))?;
            return server.run();
        }
        let overlay = Overlay::new(Bundle::open(&self.bundle)?)?;
        let server = match self.weights() {
            Some(weights) => {
                overlay.check_schema()?;
                let live = Live::start(&self.bundle, weights)?;
                page.mark(" data-live")?;
                Server::bind(self.port, page, Shown::Bundle(Box::new(overlay), Some(live)))?
            }
            None => Server::bind(self.port, page, Shown::Bundle(Box::new(overlay), None))?,
        };
        let prompts = if self.model.is_some() { "; its Ask button takes prompts" } else { "" };
        terminal::print(&format!("open {}   (Ctrl-C stops{prompts})\n", server.url()?))?;
        server.run()
    }

    fn weights(&self) -> Option<WeightOptions> {
        Some(WeightOptions {
            model: self.model.clone()?,
            sae: self.sae.clone()?,
            sae_format: self.sae_format,
            tokenizer: self.tokenizer.clone(),
            device: self.device.clone(),
        })
    }
}
