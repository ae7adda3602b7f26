//! A model, and where SAEs read it.

use anyhow::{Context as _, Result};
use tch::{Device, Kind, Tensor};

use crate::{
    backend::{ReadOnly, Tf32},
    model::{HookPoint, Hooks, Model, Preprocessing},
    sae::Sae,
};

/// A model and the SAEs that read it, all on one device.
#[derive(Debug)]
pub struct Subject {
    /// The language model.
    pub model: Model,
    /// Whether its f32 matrix products use TF32.
    pub tf32: bool,
    /// Where it is read.
    pub taps: Vec<Tap>,
    /// Where all of it computes.
    pub device: Device,
}

/// A hook point with the SAEs that read it.
#[derive(Debug)]
pub struct Tap {
    /// The hook point.
    pub hook: HookPoint,
    /// What is done to its activations before the SAEs read them.
    pub preprocessing: Preprocessing,
    /// The SAEs.
    pub saes: Vec<TappedSae>,
}

/// An SAE at a tap, with the chosen features only.
#[derive(Debug)]
pub struct TappedSae {
    /// The SAE.
    pub sae: Sae,
    /// Where it writes: the hook point that it reads, unless it is a transcoder.
    pub hook_out: HookPoint,
    /// Token ids at which its features count as inactive.
    pub skipped: Vec<i64>,
    /// Whether its features are correlated with the tap's neurons.
    pub neuron_sums: bool,
}

#[expect(unsafe_code, reason = "inference computes new tensors from the weights and changes none in place")]
// SAFETY: as the reason says.
unsafe impl ReadOnly for Subject {}

impl Subject {
    /// All SAEs, tap after tap.
    pub fn saes(&self) -> impl Iterator<Item = (&Tap, &TappedSae)> {
        self.taps.iter().flat_map(|tap| tap.saes.iter().map(move |sae| (tap, sae)))
    }

    /// Hook activations of each tap as its SAEs read them, `[n_pos, d_in]`, and the last residuals, `[n_pos, d_model]`.
    ///
    /// - `tokens`: `[batch, pos]`
    /// - `to_the_end`: whether the last residual is needed; if not, the forward pass stops at the last tap
    pub fn forward(&self, tokens: &Tensor, to_the_end: bool) -> Result<(Vec<Tensor>, Tensor)> {
        let found = self.taps.iter().map(|_| None).collect();
        let mut capture = Capture { taps: &self.taps, found, to_the_end };
        let resid = {
            let _tf32 = Tf32::begin(self.tf32)?;
            self.model.forward(tokens, &mut capture)?
        };
        let flat = |t: &Tensor| t.f_to_kind(Kind::Float)?.f_flatten(0, 1); // [batch * pos, width]
        let mut all = Vec::with_capacity(self.taps.len());
        for (tap, found) in self.taps.iter().zip(capture.found) {
            let hook_acts = found.with_context(|| format!("the model has no {}", tap.hook))?;
            all.push(flat(&tap.preprocessing.apply(&self.model, &tap.hook, &hook_acts)?)?);
        }
        Ok((all, flat(&resid)?))
    }
}

impl TappedSae {
    /// Which positions count: 1, or 0 at a skipped token, `[batch * pos, 1]`; `None` = all.
    ///
    /// - `tokens`: `[batch, pos]`
    pub fn counted(&self, tokens: &Tensor) -> Result<Option<Tensor>> {
        let mut all: Option<Tensor> = None;
        for id in &self.skipped {
            let other = tokens.f_ne(*id)?; // [batch, pos]
            all = Some(match all {
                Some(all) => all.f_logical_and(&other)?,
                None => other,
            });
        }
        Ok(all.map(|all| all.f_to_kind(Kind::Float)?.f_view([-1, 1])).transpose()?)
    }
}

/// Keeps the activations at the taps.
struct Capture<'a> {
    taps: &'a [Tap],
    /// `[batch, pos, d_in]` each.
    found: Vec<Option<Tensor>>,
    to_the_end: bool,
}

impl Hooks for Capture<'_> {
    fn wants(&self, hook: &HookPoint) -> bool {
        self.taps.iter().any(|tap| tap.hook == *hook)
    }

    fn visit(&mut self, hook: &HookPoint, acts: &Tensor) -> Option<Tensor> {
        for (tap, found) in self.taps.iter().zip(&mut self.found) {
            if tap.hook == *hook {
                *found = Some(acts.shallow_clone());
            }
        }
        None
    }

    fn done(&self) -> bool {
        !self.to_the_end && self.found.iter().all(Option::is_some)
    }
}
