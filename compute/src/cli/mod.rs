//! The command line: one file a command, with its arguments and what it does.

mod check;
mod cluster;
mod dump;
mod export;
mod help;
mod import;
mod inspect;
mod label;
mod layout;
mod prompt;
mod publish;
mod run;
mod saes;
mod serve;

use clap::{Parser, Subcommand};

pub use check::CheckArgs;
pub use cluster::{ClusterCommand, FinishArgs, PartArgs, PlanArgs, StatusArgs};
pub use dump::DumpCommand;
pub use export::ExportArgs;
pub use help::{CompletionsArgs, ManArgs};
pub use import::ImportArgs;
pub use inspect::InspectArgs;
pub use label::LabelArgs;
pub use layout::{LayoutArgs, LayoutCommand};
pub use prompt::PromptArgs;
pub use publish::PublishArgs;
pub use run::RunArgs;
pub use saes::SaesArgs;
pub use serve::ServeArgs;

/// Reads a language model, sparse autoencoders and a corpus; writes a bundle that the viewer opens.
#[derive(Debug, Parser)]
#[command(name = "compute", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compute a bundle.
    Run(Box<RunArgs>),
    /// Plan a run in parts, which processes compute on their own: on a cluster, or to be killed and go on.
    Plan(Box<PlanArgs>),
    /// Compute a part of a plan's corpus.
    Shard(PartArgs),
    /// Compute a part of a plan's features, once all shards are done.
    Merge(PartArgs),
    /// Write a plan's bundle, once all merges are done.
    Finish(FinishArgs),
    /// Print which parts of a plan are done.
    Status(StatusArgs),
    /// Run a plan's parts on a cluster.
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Say whether an SAE fits a model's activations, before a long run.
    Check(Box<CheckArgs>),
    /// Print what a bundle holds, with tokens as text.
    Inspect(InspectArgs),
    /// Write activations, logits or feature activations as safetensors, to compare with other programs.
    #[command(subcommand)]
    Dump(DumpCommand),
    /// Write a bundle as one file: a .saevis for the page to open, or a page that opens by itself; or bundles as a site.
    Export(ExportArgs),
    /// Make a bundle of other programs' files.
    Import(ImportArgs),
    /// Add prompts to a bundle, without its corpus.
    Prompt(PromptArgs),
    /// Serve a bundle's page on this machine; with its model and SAE the page answers prompts.
    Serve(Box<ServeArgs>),
    /// Put a bundle or a site on the Hugging Face hub, as a data set that the page opens.
    Publish(PublishArgs),
    /// Put labels of features into a bundle, in place of those that it has; nothing is computed.
    Label(LabelArgs),
    /// Explain, check and print layouts.
    Layout(LayoutArgs),
    /// List and search the published SAEs that are known by name.
    Saes(SaesArgs),
    /// Print a shell's script that completes commands and options.
    Completions(CompletionsArgs),
    /// Write manual pages.
    Man(ManArgs),
}
