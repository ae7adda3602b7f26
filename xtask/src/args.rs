//! The commands as typed.

use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Developer commands of sae-vis. They fetch what they need into the ignored folder `.tools`.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// One developer command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Set up, build, run the demo model and serve its page.
    Demo(DemoArgs),
    /// Everything that must hold: format, lints, docs, unit, end-to-end and browser tests.
    #[command(alias = "ci")]
    Test,
    /// Run a plan's parts by Slurm itself, started here as a cluster of one node.
    Slurm,
    /// Write the page and a bundle into a folder, ready for any static host.
    Site(SiteArgs),
    /// Pack the program and the page as a Python package.
    Wheel(WheelArgs),
    /// Photograph the demo's pages into www/screenshots.
    Screenshots,
    /// Measure: the kernels, or what is asked for.
    Bench(BenchArgs),
}

/// Options of `demo`.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Stop before serving.
    #[arg(long)]
    pub no_serve: bool,
    /// Port on 127.0.0.1; where it is taken, the next free one.
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
}

/// Options of `site`.
#[derive(Debug, clap::Args)]
pub struct SiteArgs {
    /// Folder to write: new, empty, or written by this command before.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Bundles and sites to show, folders that `compute run` wrote; without any, the demo's. Of several there is a start page.
    #[arg(long, value_name = "DIR")]
    pub bundle: Vec<PathBuf>,
}

/// Options of `wheel`.
#[derive(Debug, clap::Args)]
pub struct WheelArgs {
    /// Folder to write the wheel to.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Options of `bench`.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    /// Compare with sae_vis and SAEDashboard, which are installed into .tools.
    #[arg(long)]
    pub peers: bool,
    /// Measure how time and memory grow with tokens and with features.
    #[arg(long)]
    pub scaling: bool,
    /// Measure several SAEs in one pass against runs of their own, and parts of a plan at 1, 2, 4 and 8 shards.
    #[arg(long)]
    pub layers: bool,
    /// Measure the page on a generated bundle of 65,536 features.
    #[arg(long)]
    pub viewer: bool,
    /// Run GPT-2 small's shape with random weights and 24,576 features on this device.
    #[arg(long, value_name = "DEVICE", num_args = 0..=1, default_missing_value = "cuda:0")]
    pub gpu: Option<String>,
    /// With --gpu: rows of 128 tokens; 24,576 are 3.15 million tokens.
    #[arg(long, default_value_t = 24_576)]
    pub rows: usize,
    /// With --gpu: features.
    #[arg(long, default_value_t = 24_576)]
    pub features: usize,
    /// With --gpu: SAEs in one pass, each before a block of its own, up to 12.
    #[arg(long, default_value_t = 1)]
    pub saes: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn ci_is_another_name_for_test() {
        assert!(matches!(Args::parse_from(["xtask", "ci"]).command, Command::Test));
    }
}
