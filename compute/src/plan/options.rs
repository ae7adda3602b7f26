//! What to compute, as typed on the command line: the options of every command that reads a model and SAEs.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

use bytesize::ByteSize;
use clap::Args;

use crate::{
    backend::{Dtype, SaeDtype},
    sae::SaeFormat,
};

/// What is read, and how: the options that `run` and `check` share.
#[derive(Debug, Args)]
pub struct InputOptions {
    /// The model: a folder with config.json, weights and tokenizer.json, or its name on the hub, such as gpt2
    #[arg(long, value_name = "FOLDER")]
    pub model: PathBuf,
    /// The SAE whose features are shown: a folder, a weight file, on the hub owner/name:path, with @revision after the
    /// name where wanted, or a name that `compute saes` lists. `run` takes several, given one by one or by * and ? in a
    /// path or name (such as gemma-scope-2-1b-pt-res/layer_*): one pass then computes a site with a bundle of each
    #[arg(long = "sae", value_name = "PATH", required = true)]
    pub saes: Vec<PathBuf>,
    /// The corpus: a file, a folder or a glob of .txt, .jsonl, .ndjson or .json (also .gz, .zst), .parquet or .arrow, or
    /// token ids as .npy, .pt, .safetensors or lists; or a data set on the hub, such as NeelNanda/pile-10k
    #[arg(long, value_name = "PATH")]
    pub data: PathBuf,
    /// Column or field that holds text, token ids or conversations; by default text, messages, conversations, tokens or
    /// input_ids, the first that there is
    #[arg(long, value_name = "NAME")]
    pub text_column: Option<String>,
    /// The tokenizer: a tokenizer.json, a folder with one, or the name on the hub of a model that has it; by default
    /// the one beside the model, or the one that a TransformerLens model's config names
    #[arg(long, value_name = "PATH")]
    pub tokenizer: Option<PathBuf>,
    /// A file with the chat template for conversations; by default the tokenizer's own
    #[arg(long, value_name = "FILE")]
    pub chat_template: Option<PathBuf>,
    /// Refuse a corpus with rows that cannot be read as they are: by default rows without text are skipped, and what is
    /// no character becomes U+FFFD
    #[arg(long)]
    pub strict: bool,
    /// The longest line of JSON, such as 1GB; longer ones are refused
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    pub max_document: ByteSize,
    /// Hook point that the SAE reads, such as blocks.0.mlp.hook_post; by default its own config says
    #[arg(long)]
    pub hook: Option<String>,
    /// Hook point that a transcoder writes, such as blocks.0.hook_mlp_out; by default its own config says
    #[arg(long)]
    pub hook_out: Option<String>,
    /// Tokens in a row; by default the SAE's context size, the model's, or the token array's, and at most 128 for text
    #[arg(long)]
    pub seq_len: Option<usize>,
    /// Rows to use; by default all
    #[arg(long, value_name = "N")]
    pub sequences: Option<usize>,
    /// Count features as inactive at special tokens (beginning and end of text, padding); by default at those that the
    /// SAE's config excludes
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub skip_special: Option<bool>,
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
    /// Where and how to compute
    #[command(flatten)]
    pub machine: MachineOptions,
}

/// Where to compute, and in which number types.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub struct MachineOptions {
    /// Where to compute: auto, cpu, or cuda:N
    #[arg(long, default_value = "auto")]
    pub device: String,
    /// Number type of the forward pass
    #[arg(long, value_enum, default_value_t = Dtype::F32)]
    pub dtype: Dtype,
    /// Compute in --dtype even where this machine has no instructions for it
    #[arg(long)]
    pub force_dtype: bool,
    /// Number type of the product with the SAEs' encoders
    #[arg(long, value_enum, default_value_t = SaeDtype::F32)]
    pub sae_dtype: SaeDtype,
    /// Rows in a batch; by default 2048 tokens, on a GPU 2048 to 16384 by its free memory; halved where they do not fit
    #[arg(long, value_name = "N")]
    pub batch_rows: Option<usize>,
}

/// What a bundle is computed from, and what of it.
#[derive(Debug, Args)]
pub struct RunOptions {
    /// Model, SAE and text
    #[command(flatten)]
    pub input: InputOptions,
    /// A second SAE on the same hook point, in which correlated features are looked up
    #[arg(long, value_name = "PATH")]
    pub sae_b: Option<PathBuf>,
    /// Name of the model in the bundle; by default that of its folder, or the one that it has on the hub
    #[arg(long, value_name = "NAME")]
    pub model_name: Option<String>,
    /// How many SAEs before and after each, of several, its features' neighbours are looked for in
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub neighbours: usize,
    /// Folder to write the bundle to; a bundle that is there is replaced, other files in it are kept. Of several SAEs, a
    /// site's: bundles of other names that are there stay
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
    /// Compute no effects: the layers after the hook are not run
    #[arg(long)]
    pub no_effects: bool,
    /// Keep no last residuals for effects, which take 4 bytes a token and dimension: run the layers again for their rows
    #[arg(long)]
    pub recompute_resid: bool,
    /// Memory that the run may take, such as 8GB: what grows with the corpus goes to temporary files beyond it, or
    /// beyond 64 MiB by default
    #[arg(long, value_name = "SIZE")]
    pub max_memory: Option<ByteSize>,
}
