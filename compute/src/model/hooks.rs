//! What reads a forward pass, and how a pass shows itself to it.

use tch::{TchError, Tensor};

use super::error::ModelError;
use super::layers::Norm;
use checkpoints::model::{HookPoint, Site};

/// What reads a forward pass.
pub trait Hooks {
    /// Whether [`visit`](Self::visit) is to be called at this hook point.
    fn wants(&self, hook: &HookPoint) -> bool;

    /// Sees an activation `[batch, pos, d_in]`; `Some` replaces it for the rest of the pass.
    fn visit(&mut self, hook: &HookPoint, acts: &Tensor) -> Option<Tensor>;

    /// Whether the forward pass may stop here.
    fn done(&self) -> bool {
        false
    }
}

/// No hooks.
impl Hooks for () {
    fn wants(&self, _hook: &HookPoint) -> bool {
        false
    }

    fn visit(&mut self, _hook: &HookPoint, _acts: &Tensor) -> Option<Tensor> {
        None
    }
}

/// Why a forward pass ended early.
pub enum Stop {
    Done,
    Error(ModelError),
}

impl From<TchError> for Stop {
    fn from(error: TchError) -> Self {
        Self::Error(error.into())
    }
}

/// The hooks of one forward pass, in one layer after another.
pub struct Tap<'a> {
    pub hooks: &'a mut dyn Hooks,
    pub layer: i64,
}

impl Tap<'_> {
    pub fn wants(&self, site: Site) -> bool {
        self.hooks.wants(&HookPoint { layer: self.layer, site })
    }

    /// Shows an activation to the hooks, if they want it, and goes on with what they make of it.
    pub fn at(&mut self, site: Site, acts: Tensor) -> Result<Tensor, Stop> {
        let hook = HookPoint { layer: self.layer, site };
        if !self.hooks.wants(&hook) {
            return Ok(acts);
        }
        let replacement = self.hooks.visit(&hook, &acts);
        if self.hooks.done() {
            return Err(Stop::Done);
        }
        let Some(replacement) = replacement else { return Ok(acts) };
        let (got, expected) = (replacement.size(), acts.size());
        if got != expected {
            let hook = hook.to_string();
            return Err(Stop::Error(ModelError::Replacement { hook, got, expected }));
        }
        Ok(replacement.f_to_device(acts.device())?.f_to_kind(acts.kind())?)
    }

    /// A norm before attention or MLP, in two steps where its middle is looked at.
    pub fn norm(&mut self, norm: Option<&Norm>, site: Site, x: &Tensor) -> Result<Tensor, Stop> {
        let Some(norm) = norm else { return Ok(x.shallow_clone()) };
        if !self.wants(site) {
            return Ok(norm.forward(x)?);
        }
        let normalised = self.at(site, norm.normalise(x)?)?;
        Ok(norm.affine(&normalised)?)
    }
}
