//! `compute dump`: activations, logits and feature activations as safetensors, to compare with other programs.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::{Args, Subcommand};
use tch::{Device, Kind, Tensor};

use crate::{
    backend::{Dtype, Precision, Tf32, parse_device},
    bundle::parent,
    corpus,
    hub::{self, What},
    model::{HookPoint, Hooks, Model, Preprocessing},
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
            Self::Features { sae, sae_format, acts, out, device } => {
                let device = parse_device(device)?;
                let x = FileKey::parse(acts)?.read(Kind::Float, device)?; // [.., d_in]
                let sae = Sae::load(&hub::find(sae, What::Sae)?, *sae_format, device)?;
                write(out, &features(&sae, &x)?)
            }
        }
    }
}

fn dump_hooks(args: &DumpModel, names: &[String], preprocessing: Preprocessing) -> Result<()> {
    let (model, tokens, _tf32) = open(args)?;
    let mut names = names.to_vec();
    names.sort_unstable();
    names.dedup();
    let hooks = names.iter().map(|n| model.hook_point(n)).collect::<Result<Vec<_>, _>>()?;
    let mut batches: Vec<Vec<Tensor>> = hooks.iter().map(|_| Vec::new()).collect();
    for batch in batched(&tokens) {
        let mut keep = Keep { model: &model, preprocessing, hooks: &hooks, kept: &mut batches };
        // What is wanted is kept by the hooks; the residual stream at the end is not.
        drop(model.forward(&batch, &mut keep)?);
    }
    let whole = batches.iter().map(|b| Tensor::cat(b, 0)); // [row, pos, d]
    write(&args.out, &names.into_iter().zip(whole).collect::<Vec<_>>())
}

fn dump_logits(args: &DumpModel) -> Result<()> {
    let (model, tokens, _tf32) = open(args)?;
    let mut logits = Vec::new();
    for batch in batched(&tokens) {
        let resid = model.forward(&batch, &mut ())?;
        logits.push(model.head().logits(&resid)?.to_kind(Kind::Float).to(Device::Cpu)); // [batch, pos, d_vocab]
    }
    write(&args.out, &[("logits".to_owned(), Tensor::cat(&logits, 0))])
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
        let found = sae.encode(&batch); // [batch, d_sae]
        out.push(sae.decode(&found, &batch).to(Device::Cpu));
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
    let model = Model::load(&hub::find(&args.model, What::Model)?.path, device, precision.kind)?;
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

/// Writes all tensors or nothing.
fn write(out: &Path, tensors: &[(String, Tensor)]) -> Result<()> {
    let folder = parent(out);
    let failed = || format!("could not write ({})", out.display());
    let file = tempfile::Builder::new().suffix(".safetensors").tempfile_in(&folder).with_context(failed)?;
    let named: Vec<(&str, Tensor)> = tensors.iter().map(|(n, t)| (n.as_str(), t.contiguous())).collect();
    Tensor::write_safetensors(&named, file.path()).with_context(failed)?;
    #[cfg(unix)]
    std::fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.persist(out).with_context(failed)?;
    Ok(())
}
