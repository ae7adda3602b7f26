//! The command line, as typed; [`crate::plan`] checks what it means.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use shared::bundle::Encoding;
use tch::Kind;

use crate::{run::memory, sae::SaeFormat};

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
    /// Say whether an SAE fits a model's activations, before a long run.
    Check(Box<CheckArgs>),
    /// Print what a bundle holds, with tokens as text.
    Inspect(InspectArgs),
    /// Write activations, logits or feature activations as safetensors, to compare with other programs.
    #[command(subcommand)]
    Dump(DumpCommand),
    /// Write a bundle as one file: a .saevis for the page to open, or a page that opens by itself.
    Export(ExportArgs),
    /// Put labels of features into a bundle, in place of those that it has; nothing is computed.
    Label(LabelArgs),
    /// Explain, check and print layouts.
    Layout(LayoutArgs),
}

/// The commands of `compute dump`.
#[derive(Debug, Subcommand)]
pub enum DumpCommand {
    /// Activations at hook points: one tensor each, `[row, pos, d]`
    Hook {
        /// What to run
        #[command(flatten)]
        model: DumpModel,
        /// Hook point; may be given several times
        #[arg(long = "hook", value_name = "NAME", required = true)]
        hooks: Vec<String>,
        /// Subtract the mean over d_model from residual-stream activations
        #[arg(long)]
        center_writing_weights: bool,
        /// Subtract the value biases from hook_z
        #[arg(long)]
        fold_value_biases: bool,
    },
    /// The model's `logits`, `[row, pos, d_vocab]`
    Logits {
        /// What to run
        #[command(flatten)]
        model: DumpModel,
    },
    /// An SAE's activations `acts`, `[…, d_sae]`, and reconstruction `out`
    Features {
        /// The SAE: a folder or a weight file
        #[arg(long, value_name = "PATH")]
        sae: PathBuf,
        /// Format of the SAE's files, where it is not recognised
        #[arg(long, value_name = "FORMAT")]
        sae_format: Option<SaeFormat>,
        /// Activations `[…, d_in]`: a .npy, or a tensor of a safetensors file
        #[arg(long, value_name = "FILE[:KEY]")]
        acts: String,
        /// File to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Where to compute: auto, cpu, or cuda:N
        #[arg(long, default_value = "auto")]
        device: String,
    },
}

/// A model and what it reads.
#[derive(Debug, Args)]
pub struct DumpModel {
    /// Folder of the model: config.json and weights
    #[arg(long, value_name = "FOLDER")]
    pub model: PathBuf,
    /// Token ids `[row, pos]`: a .npy, or a tensor of a safetensors file
    #[arg(long, value_name = "FILE[:KEY]")]
    pub tokens: String,
    /// File to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Where to compute: auto, cpu, or cuda:N
    #[arg(long, default_value = "auto")]
    pub device: String,
    /// Number type of the forward pass
    #[arg(long, value_enum, default_value_t = Dtype::F32)]
    pub dtype: Dtype,
}

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
    /// Print nothing but errors
    #[arg(long, short)]
    pub quiet: bool,
}

/// Options of `compute label`.
#[derive(Debug, Args)]
pub struct LabelArgs {
    /// Folder of the bundle
    pub bundle: PathBuf,
    /// The labels: .json, .jsonl, .csv or .tsv (also .gz) of features and texts, such as Neuronpedia's explanations
    pub labels: PathBuf,
    /// Print nothing but errors
    #[arg(long, short)]
    pub quiet: bool,
}

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

/// Number type of the forward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Dtype {
    /// 32-bit floats.
    F32,
    /// 32-bit floats whose matrix products round to TF32: faster on GPUs, four digits.
    Tf32,
    /// 16-bit brain floats: faster on GPUs, three digits.
    Bf16,
}

/// Number type in which SAEs encode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SaeDtype {
    /// 32-bit floats.
    F32,
    /// 16-bit brain floats in the encoder's matrix product, 32-bit floats after it.
    Bf16,
}

impl Dtype {
    /// Of tensors.
    pub fn kind(self) -> Kind {
        if self == Self::Bf16 { Kind::BFloat16 } else { Kind::Float }
    }
}

impl SaeDtype {
    /// Of the encoder's matrix.
    pub fn kind(self) -> Kind {
        if self == Self::Bf16 { Kind::BFloat16 } else { Kind::Float }
    }
}

/// How the bundle's files are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EncodingArg {
    /// Compact binary, gzipped.
    Postcard,
    /// The same types as JSON, gzipped.
    Json,
}

impl From<EncodingArg> for Encoding {
    fn from(arg: EncodingArg) -> Self {
        match arg {
            EncodingArg::Postcard => Self::Postcard,
            EncodingArg::Json => Self::Json,
        }
    }
}

/// What is read, and how: the options that `run` and `check` share.
#[derive(Debug, Args)]
pub struct InputArgs {
    /// The model: a folder with config.json, weights and tokenizer.json, or its name on the hub, such as gpt2
    #[arg(long, value_name = "FOLDER")]
    pub model: PathBuf,
    /// The SAE whose features are shown: a folder, a weight file, or on the hub owner/name:path, with @revision after
    /// the name where wanted
    #[arg(long, value_name = "PATH")]
    pub sae: PathBuf,
    /// The corpus: a file, a folder, or a glob of .txt and .jsonl (also .gz, .zst) or .parquet, or token ids as .npy,
    /// .safetensors or Parquet lists
    #[arg(long, value_name = "PATH")]
    pub data: PathBuf,
    /// Field of JSON Lines and column of Parquet that holds text or token ids
    #[arg(long, value_name = "NAME", default_value = "text")]
    pub text_column: String,
    /// Hook point that the SAE reads, such as blocks.0.mlp.hook_post; by default its own config says
    #[arg(long)]
    pub hook: Option<String>,
    /// Tokens in a row; by default the SAE's context size, the model's, or the token array's, and at most 128 for text
    #[arg(long)]
    pub seq_len: Option<usize>,
    /// Rows to use; by default all
    #[arg(long, value_name = "N")]
    pub sequences: Option<usize>,
    /// Count features as inactive at special tokens (beginning and end of text, padding)
    #[arg(long)]
    pub skip_special: bool,
    /// Begin every row with the beginning-of-sequence token; by default as the SAE's config says
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub prepend_bos: Option<bool>,
    /// Format of the SAE's files, where it is not recognised
    #[arg(long, value_name = "FORMAT")]
    pub sae_format: Option<SaeFormat>,
    /// Subtract the mean over d_model from residual-stream activations; by default as the SAE's config says
    #[arg(long, value_name = "BOOL")]
    pub center_writing_weights: Option<bool>,
    /// Subtract the value biases from hook_z; by default as the SAE's config says
    #[arg(long, value_name = "BOOL")]
    pub fold_value_biases: Option<bool>,
    /// Seed of every random choice
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Keep rows of text in order
    #[arg(long)]
    pub no_shuffle: bool,
    /// Where to compute: auto, cpu, or cuda:N
    #[arg(long, default_value = "auto")]
    pub device: String,
    /// Number type of the forward pass
    #[arg(long, value_enum, default_value_t = Dtype::F32)]
    pub dtype: Dtype,
    /// Number type of the product with the SAEs' encoders
    #[arg(long, value_enum, default_value_t = SaeDtype::F32)]
    pub sae_dtype: SaeDtype,
    /// Rows in a batch; by default 2048 tokens, on a GPU 2048 to 16384 by its free memory; halved where they do not fit
    #[arg(long, value_name = "N")]
    pub batch_rows: Option<usize>,
}

/// Options of `compute run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Model, SAE and text
    #[command(flatten)]
    pub input: InputArgs,
    /// A second SAE on the same hook point, in which correlated features are looked up
    #[arg(long, value_name = "PATH")]
    pub sae_b: Option<PathBuf>,
    /// Folder to write the bundle to; a bundle that is there is replaced
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    /// A prompt for the prompt-centric view; may be given several times
    #[arg(long = "prompt", value_name = "TEXT")]
    pub prompts: Vec<String>,
    /// Features: `all`, ranges and single ones such as `0..256,300,310`
    #[arg(long, default_value = "all")]
    pub features: String,
    /// Layout of a feature's page: a JSON file or a preset's name (`compute layout list`)
    #[arg(long, value_name = "FILE")]
    pub layout: Option<PathBuf>,
    /// Layout of each column of the prompt page: a JSON file with one column, or a preset's name
    #[arg(long, value_name = "FILE")]
    pub prompt_layout: Option<PathBuf>,
    /// Labels of features: .json, .jsonl, .csv or .tsv (also .gz), such as Neuronpedia's explanations
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// How the bundle's files are encoded
    #[arg(long, value_enum, default_value_t = EncodingArg::Postcard)]
    pub encoding: EncodingArg,
    /// Compute no effects: the layers after the hook are not run
    #[arg(long)]
    pub no_effects: bool,
    /// Memory that the run may take, such as 8GB: what grows with the corpus goes to temporary files beyond it, or
    /// beyond 64 MiB by default
    #[arg(long, value_name = "SIZE", value_parser = memory::parse)]
    pub max_memory: Option<usize>,
    /// Print nothing but errors
    #[arg(long, short)]
    pub quiet: bool,
}

/// Options of `compute check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Model, SAE and text
    #[command(flatten)]
    pub input: InputArgs,
    /// Print JSON for programs
    #[arg(long)]
    pub json: bool,
}

/// Options of `compute inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Folder of the bundle
    pub bundle: PathBuf,
    /// Print this feature
    #[arg(long, value_name = "INDEX")]
    pub feature: Option<u32>,
    /// Print this prompt
    #[arg(long, value_name = "NUMBER", conflicts_with = "feature")]
    pub prompt: Option<u32>,
    /// Print JSON for programs
    #[arg(long)]
    pub json: bool,
}
