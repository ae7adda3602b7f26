//! `compute dump`: activations, logits and feature activations as safetensors, to compare with other programs.

use std::{
    fs::File,
    io::{BufWriter, IntoInnerError, Read, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use tch::{Device, Kind, Tensor};

use crate::{
    backend::{Dtype, Precision, Tf32, parse_device, to_host},
    corpus,
    hub::{self, ArtifactKind},
    interrupt,
    model::{HookPoint, Hooks, Model, Preprocessing},
    output::{OutputFile, OwnKind},
    sae::{Sae, SaeFormat},
    weights::{Select, Weights},
};

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
        /// The SAE: a folder, a weight file, or its name as `compute run` takes it
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
        /// Replace a file that is not a dump
        #[arg(long)]
        force: bool,
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
    /// Replace a file that is not a dump
    #[arg(long)]
    pub force: bool,
    /// Where to compute: auto, cpu, or cuda:N
    #[arg(long, default_value = "auto")]
    pub device: String,
    /// Number type of the forward pass
    #[arg(long, value_enum, default_value_t = Dtype::F32)]
    pub dtype: Dtype,
}

/// Tokens in a batch of rows.
const BATCH_TOKENS: i64 = 2048;
/// Positions in a batch of activations.
const BATCH_POSITIONS: i64 = 4096;

impl DumpCommand {
    /// Computes and writes what is asked for.
    pub fn run(&self) -> Result<()> {
        let _no_grad = tch::no_grad_guard();
        match self {
            Self::Hook { model, hooks, center_writing_weights, fold_value_biases } => {
                let preprocessing = Preprocessing {
                    center_writing_weights: *center_writing_weights,
                    fold_value_biases: *fold_value_biases,
                };
                dump_hooks(model, hooks, preprocessing)
            }
            Self::Logits { model } => dump_logits(model),
            Self::Features { sae, sae_format, acts, out, force, device } => {
                let file = output(out, *force)?;
                let device = parse_device(device)?;
                let x = FileKey::parse(acts)?.read(Kind::Float, device)?; // [.., d_in]
                let sae = Sae::load(&hub::find(sae, ArtifactKind::Sae)?, *sae_format, device)?;
                write(file, &features(&sae, &x)?)
            }
        }
    }
}

fn dump_hooks(args: &DumpModel, names: &[String], preprocessing: Preprocessing) -> Result<()> {
    let file = output(&args.out, args.force)?;
    let (model, tokens, _tf32) = open(args)?;
    let mut names = names.to_vec();
    names.sort_unstable();
    names.dedup();
    let hooks = names.iter().map(|n| model.hook_point(n)).collect::<Result<Vec<_>, _>>()?;
    let mut batches: Vec<Vec<Tensor>> = hooks.iter().map(|_| Vec::new()).collect();
    for batch in batched(&tokens) {
        interrupt::check()?;
        let mut keep = Keep { model: &model, preprocessing, hooks: &hooks, kept: &mut batches };
        // What is wanted is kept by the hooks; the residual stream at the end is not.
        drop(model.forward(&batch, &mut keep)?);
    }
    let whole = batches.iter().map(|b| Tensor::cat(b, 0)); // [row, pos, d]
    write(file, &names.into_iter().zip(whole).collect::<Vec<_>>())
}

fn dump_logits(args: &DumpModel) -> Result<()> {
    let file = output(&args.out, args.force)?;
    let (model, tokens, _tf32) = open(args)?;
    let mut logits = Vec::new();
    for batch in batched(&tokens) {
        interrupt::check()?;
        let resid = model.forward(&batch, &mut ())?;
        logits.push(model.head().logits(&resid)?.f_to_kind(Kind::Float)?.f_to(Device::Cpu)?); // [batch, pos, d_vocab]
    }
    write(file, &[("logits".to_owned(), Tensor::cat(&logits, 0))])
}

/// Activations of all features and the reconstruction.
///
/// - `x`: `[.., d_in]`
/// - returns `acts` `[.., d_sae]` and `out` `[.., d_out]`
fn features(sae: &Sae, x: &Tensor) -> Result<Vec<(String, Tensor)>> {
    let (shape, d_in) = (x.size(), sae.config().d_in);
    let Some((&width, leading)) = shape.split_last() else { bail!("the activations are a single number") };
    ensure!(width == d_in, "the activations' last axis has {width} neurons, the SAE reads {d_in}");
    let flat = x.reshape([-1, d_in]); // [n, d_in]
    let (mut acts, mut out) = (Vec::new(), Vec::new());
    for batch in flat.split(BATCH_POSITIONS, 0) {
        interrupt::check()?;
        let found = sae.encode(&batch)?; // [batch, d_sae]
        out.push(sae.decode(&found, &batch)?.f_to(Device::Cpu)?);
        acts.push(found.to(Device::Cpu));
    }
    let whole = |parts: &[Tensor], d: i64| Tensor::cat(parts, 0).reshape([leading, &[d]].concat());
    let config = sae.config();
    Ok(vec![("acts".to_owned(), whole(&acts, config.d_sae)), ("out".to_owned(), whole(&out, config.d_out))])
}

/// The model, the tokens that it is to read, `[row, pos]`, and TF32 where it is asked for.
fn open(args: &DumpModel) -> Result<(Model, Tensor, Option<Tf32>)> {
    let device = parse_device(&args.device)?;
    let file = FileKey::parse(&args.tokens)?;
    let tokens = file.token_ids(device)?;
    let tokens = if tokens.dim() == 1 { tokens.unsqueeze(0) } else { tokens };
    let at = file.path.display();
    ensure!(
        tokens.dim() == 2 && tokens.numel() > 0,
        "tokens have shape {:?}, expected [row, pos] ({at})",
        tokens.size()
    );
    let precision = Precision::new(args.dtype, device)?;
    let model = hub::find(&args.model, ArtifactKind::Model)?;
    model.fetch_weights()?;
    let model = Model::load(&model.path, device, precision.kind)?;
    let (n, n_ctx) = (model.config().d_vocab, model.config().n_ctx);
    let (low, high) = (tokens.min().int64_value(&[]), tokens.max().int64_value(&[]));
    ensure!(low >= 0 && high < n, "token ids go from {low} to {high}, the model has 0 to {} ({at})", n - 1);
    let n_pos = tokens.size()[1];
    ensure!(n_pos <= n_ctx, "rows have {n_pos} tokens, the model's context has {n_ctx} ({at})");
    Ok((model, tokens, Tf32::begin(precision.tf32)?))
}

fn batched(tokens: &Tensor) -> Vec<Tensor> {
    tokens.split((BATCH_TOKENS / tokens.size()[1]).max(1), 0)
}

/// Keeps what the wanted hook points hold.
struct Keep<'a> {
    model: &'a Model,
    preprocessing: Preprocessing,
    hooks: &'a [HookPoint],
    kept: &'a mut [Vec<Tensor>],
}

impl Hooks for Keep<'_> {
    fn wants(&self, hook: &HookPoint) -> bool {
        self.hooks.contains(hook)
    }

    fn visit(&mut self, hook: &HookPoint, acts: &Tensor) -> Option<Tensor> {
        // What cannot be prepared was refused when the hook point was read.
        let acts = self.preprocessing.apply(self.model, hook, acts).unwrap_or_else(|_| acts.shallow_clone());
        for (wanted, kept) in self.hooks.iter().zip(self.kept.iter_mut()) {
            if wanted == hook {
                // A copy: later layers may change the residual stream in place.
                kept.push(acts.to_kind(Kind::Float).to(Device::Cpu).copy());
            }
        }
        None
    }
}

/// `FILE` or `FILE:key`: one tensor of a file.
struct FileKey {
    path: PathBuf,
    key: Option<String>,
}

impl FileKey {
    fn parse(text: &str) -> Result<Self> {
        let whole = PathBuf::from(text);
        if whole.exists() {
            return Ok(Self { path: whole, key: None });
        }
        match text.rsplit_once(':') {
            Some((path, key)) if Path::new(path).exists() => {
                Ok(Self { path: PathBuf::from(path), key: Some(key.to_owned()) })
            }
            _ => bail!("no such file: expected FILE or FILE:key ({text})"),
        }
    }

    fn read(&self, kind: Kind, device: Device) -> Result<Tensor> {
        let (weights, name) = self.open()?;
        Ok(weights.read(&name, Select::All, kind, device)?)
    }

    /// Integers only: torch would cut fractions off without a word.
    fn token_ids(&self, device: Device) -> Result<Tensor> {
        let (weights, name) = self.open()?;
        corpus::check_token_ids(&weights, &name)
            .map_err(|reason| anyhow!("could not read the tokens: {reason} ({})", self.path.display()))?;
        Ok(weights.read(&name, Select::All, Kind::Int64, device)?)
    }

    fn open(&self) -> Result<(Weights, String)> {
        let weights = Weights::open(&self.path)?;
        let names: Vec<&str> = weights.names().collect();
        let name = match (&self.key, names.as_slice()) {
            (Some(key), _) => key.clone(),
            (None, [only]) => (*only).to_owned(),
            (None, _) => {
                bail!("which tensor of {}? name one as FILE:key ({})", names.join(", "), self.path.display())
            }
        };
        Ok((weights, name))
    }
}

/// Begins the file to write.
fn output(out: &Path, force: bool) -> Result<OutputFile> {
    interrupt::listen()?;
    OutputFile::create(out, TENSORS, force)
}

/// What a file of tensors may replace.
const TENSORS: OwnKind = OwnKind { name: "a dump", is: is_dump };
/// Bytes of the longest header of a dump: that of 100,000 hook points.
const MAX_HEADER_BYTES: u64 = 16 << 20;
/// Under this name the metadata of a dump says which program wrote it.
const TOOL: &str = "tool";

/// Whether the file at `path` is a dump.
fn is_dump(path: &Path) -> bool {
    let metadata = || {
        let mut file = File::open(path).ok()?;
        let mut n_bytes = [0; 8];
        file.read_exact(&mut n_bytes).ok()?;
        let n_bytes = u64::from_le_bytes(n_bytes);
        if n_bytes > MAX_HEADER_BYTES {
            return None;
        }
        let mut header = Vec::new();
        file.take(n_bytes).read_to_end(&mut header).ok()?;
        serde_json::from_slice::<Value>(&header).ok()
    };
    let tool = metadata().and_then(|header| header["__metadata__"][TOOL].as_str().map(str::to_owned));
    tool.is_some_and(|tool| tool.starts_with("sae-vis"))
}

/// Writes all tensors or nothing, in the format of safetensors: a header's length, the header, the values.
fn write(file: OutputFile, tensors: &[(String, Tensor)]) -> Result<()> {
    let tool = format!("sae-vis compute {}", env!("CARGO_PKG_VERSION"));
    let mut header = Map::from_iter([("__metadata__".to_owned(), json!({ TOOL: tool }))]);
    let mut end = 0;
    for (name, tensor) in tensors {
        let start = end;
        end += 4 * tensor.numel();
        let entry = json!({ "dtype": "F32", "shape": tensor.size(), "data_offsets": [start, end] });
        header.insert(name.clone(), entry);
    }
    let mut header = serde_json::to_vec(&header)?;
    // Values begin at a multiple of eight bytes.
    header.resize(header.len().next_multiple_of(8), b' ');

    let mut out = BufWriter::new(file);
    let writing = "could not write the tensors";
    out.write_all(&(header.len() as u64).to_le_bytes())
        .and_then(|()| out.write_all(&header))
        .context(writing)?;
    for (_, tensor) in tensors {
        for value in to_host(tensor)?.iter() {
            out.write_all(&value.to_le_bytes()).context(writing)?;
        }
    }
    let file = out.into_inner().map_err(IntoInnerError::into_error).context(writing)?;
    let _placed = interrupt::held_off();
    interrupt::check()?;
    file.finish().map(drop)
}
