//! The one pass over the corpus: forward, encode, keep what is active.
//!
//! Every row goes through the model once, for any number of features and both SAEs. What remains of it is the
//! sparse activations, the sums that neurons' correlations need, and the last residuals that effects start from.
//! No dense array is larger than one batch.

mod neurons;
mod resid;
mod sparse;
mod spill;
mod workers;

use anyhow::Result;
use tch::{Device, Kind, Tensor};

pub use neurons::NeuronSums;
pub use resid::Residuals;
pub use sparse::{Active, ByFeature, ByPosition, Gathering};
pub use spill::Allowance;
pub use workers::{ReadOnly, in_order};

use resid::GatheringResiduals;

use crate::{
    corpus::Rows,
    model::{HookPoint, Hooks, Model, Preprocessing},
    sae::Sae,
};

/// A model and the SAEs on one of its hook points.
#[derive(Debug)]
pub struct Subject {
    /// The language model.
    pub model: Model,
    /// Hook point that both SAEs read.
    pub hook: HookPoint,
    /// What is done to its activations before the SAEs read them.
    pub preprocessing: Preprocessing,
    /// The SAE, with the chosen features only.
    pub sae: Sae,
    /// The second SAE, whole.
    pub sae_b: Option<Sae>,
    /// Token ids at which features count as inactive.
    pub skipped: Vec<i64>,
    /// Where all of it computes.
    pub device: Device,
}

/// What the pass leaves behind.
#[derive(Debug)]
pub struct Gathered {
    /// Activations of the chosen features.
    pub acts: ByPosition,
    /// Activations of SAE B's features.
    pub acts_b: Option<ByPosition>,
    /// Sums for neurons' correlations.
    pub neurons: NeuronSums,
    /// Last residuals.
    pub resid: Residuals,
}

/// Parts of the pass that a run may not need.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Whether any layout shows correlated neurons.
    pub neurons: bool,
    /// Whether anything shows effects, which need the last residuals and so the layers after the hook.
    pub effects: bool,
}

/// Runs every row of `rows` through the model in batches of `batch_rows`.
///
/// Worker threads compute whole batches, this thread takes them in order, so that sums do not depend on the number
/// of workers. `after_batch` is told the number of rows done.
///
/// - `allowance`: bytes that what is gathered may take in memory
pub fn gather(
    subject: &Subject,
    rows: &Rows,
    batch_rows: usize,
    wanted: Wanted,
    allowance: &Allowance,
    mut after_batch: impl FnMut(usize),
) -> Result<Gathered> {
    let n_features = subject.sae.n_features();
    let d_in = subject.sae.config().d_in as usize;
    let mut all_acts = Gathering::new(n_features, allowance);
    let mut all_acts_b = subject.sae_b.as_ref().map(|b| Gathering::new(b.n_features(), allowance));
    let mut neurons = NeuronSums::new(if wanted.neurons { n_features } else { 0 }, d_in);
    let mut resid = GatheringResiduals::new(subject.model.config().d_model as usize, allowance);
    let n_batches = rows.n_rows().div_ceil(batch_rows);
    in_order(
        subject,
        subject.device,
        n_batches,
        |subject, i| {
            let end = ((i + 1) * batch_rows).min(rows.n_rows());
            Batch::compute(subject, &rows.tensor(i * batch_rows..end), wanted)
        },
        |i, batch: Batch| {
            all_acts.append(&batch.acts)?;
            if let (Some(all), Some(batch)) = (&mut all_acts_b, &batch.acts_b) {
                all.append(batch)?;
            }
            if wanted.neurons {
                neurons.push(&batch.hook_acts, &batch.acts.by_feature(&Allowance::unlimited())?);
            }
            resid.push(&batch.resid)?;
            after_batch(((i + 1) * batch_rows).min(rows.n_rows()));
            Ok(())
        },
    )?;
    Ok(Gathered {
        acts: all_acts.finish()?,
        acts_b: all_acts_b.map(Gathering::finish).transpose()?,
        neurons,
        resid: resid.finish()?,
    })
}

/// What a batch contributes.
struct Batch {
    acts: ByPosition,
    acts_b: Option<ByPosition>,
    /// `[n_pos, d_in]`; empty where no neurons are wanted.
    hook_acts: Vec<f32>,
    /// `[n_pos, d_model]`; empty where no effects are wanted.
    resid: Vec<f32>,
}

impl Batch {
    /// - `tokens`: `[batch, pos]`
    fn compute(subject: &Subject, tokens: &Tensor, wanted: Wanted) -> Result<Self> {
        let tokens = tokens.to(subject.device);
        let (acts, resid) = subject.forward(&tokens, wanted.effects)?;
        let counted = subject.counted(&tokens);
        let mut batch = Self {
            acts: sparse(&subject.sae, &acts, counted.as_ref())?,
            acts_b: subject.sae_b.as_ref().map(|b| sparse(b, &acts, counted.as_ref())).transpose()?,
            hook_acts: Vec::new(),
            resid: Vec::new(),
        };
        if wanted.neurons {
            to_host(&acts, &mut batch.hook_acts)?;
        }
        if wanted.effects {
            to_host(&resid, &mut batch.resid)?;
        }
        Ok(batch)
    }
}

/// Active features at each position.
///
/// - `acts`: `[n_pos, d_in]`
fn sparse(sae: &Sae, acts: &Tensor, counted: Option<&Tensor>) -> Result<ByPosition> {
    let mut dense = Vec::new();
    let features = sae.encode(acts); // [n_pos, n_features]
    let features = counted.map_or_else(|| features.shallow_clone(), |counted| &features * counted);
    Ok(ByPosition::of(to_host(&features, &mut dense)?, sae.n_features()))
}

impl Subject {
    /// Which positions count: 1, or 0 at a skipped token, `[batch * pos, 1]`; `None` = all.
    fn counted(&self, tokens: &Tensor) -> Option<Tensor> {
        let at = |id: &i64| tokens.eq(*id);
        let skipped = self.skipped.iter().map(at).reduce(|a, b| a.logical_or(&b))?; // [batch, pos]
        Some(skipped.logical_not().to_kind(Kind::Float).view([-1, 1]))
    }

    /// Hook activations `[n_pos, d_in]` as the SAEs read them, and last residuals `[n_pos, d_model]`.
    ///
    /// - `tokens`: `[batch, pos]`
    /// - `to_the_end`: whether the last residual is needed; if not, the forward stops at the hook
    pub fn forward(&self, tokens: &Tensor, to_the_end: bool) -> Result<(Tensor, Tensor)> {
        let mut capture = Capture { hook: &self.hook, acts: None, to_the_end };
        let resid = self.model.forward(tokens, &mut capture)?;
        let acts = capture.acts.ok_or_else(|| anyhow::anyhow!("the model has no {}", self.hook))?;
        let acts = self.preprocessing.apply(&self.model, &self.hook, &acts)?;
        let flat = |t: &Tensor| t.to_kind(Kind::Float).flatten(0, 1); // [batch * pos, width]
        Ok((flat(&acts), flat(&resid)))
    }
}

/// Keeps the activation at one hook point.
struct Capture<'a> {
    hook: &'a HookPoint,
    acts: Option<Tensor>,
    to_the_end: bool,
}

impl Hooks for Capture<'_> {
    fn wants(&self, hook: &HookPoint) -> bool {
        hook == self.hook
    }

    fn visit(&mut self, _hook: &HookPoint, acts: &Tensor) -> Option<Tensor> {
        self.acts = Some(acts.shallow_clone());
        None
    }

    fn done(&self) -> bool {
        self.acts.is_some() && !self.to_the_end
    }
}

/// Copies a tensor to `host`, which is resized to fit.
pub fn to_host<'a>(tensor: &Tensor, host: &'a mut Vec<f32>) -> Result<&'a [f32]> {
    let tensor = tensor.to_kind(Kind::Float).to(Device::Cpu).contiguous();
    let n = tensor.numel();
    host.resize(n, 0.0);
    tensor.f_copy_data(host, n)?;
    Ok(host)
}
