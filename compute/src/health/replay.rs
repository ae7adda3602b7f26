//! A forward pass that is kept, and gone through again from where something in it is replaced.
//!
//! What comes before the replaced activation is the same whatever takes its place, so one pass serves all SAEs of a model:
//! each replacement costs the blocks after it and the logits.

use anyhow::{Context as _, Result, ensure};
use tch::{Kind, Tensor};

use crate::{
    model::{HookPoint, Hooks, Site},
    pass::{Subject, Tap, TappedSae},
};

/// Logits that are in memory at once, at most, unless one position has more.
const LOGITS_AT_ONCE: usize = 32 << 20;

/// A forward pass of a batch, as it is.
#[derive(Debug)]
pub struct Replay<'a> {
    subject: &'a Subject,
    /// `[batch, pos]`
    tokens: Tensor,
    /// What was seen, in the order of the pass: `[batch, pos, width]` each.
    seen: Vec<(HookPoint, Tensor)>,
    /// Sum of the loss over all tokens but each row's first, nats.
    pub loss: f64,
}

impl<'a> Replay<'a> {
    /// Runs the model on `tokens`, and keeps what `saes` read, write, and may replace.
    ///
    /// - `tokens`: `[batch, pos]`, on the subject's device
    pub fn new(subject: &'a Subject, saes: &[(&Tap, &TappedSae)], tokens: Tensor) -> Result<Self> {
        let mut wanted = Vec::new();
        for (tap, tapped) in saes {
            wanted.extend([tap.hook, tapped.hook_out].into_iter().chain(start(tapped.hook_out)));
        }
        let mut capture = Capture { wanted: &wanted, seen: Vec::new() };
        let resid = subject.model.forward(&tokens, &mut capture)?;
        let loss = loss(subject, &resid, &tokens)?;
        Ok(Self { subject, seen: capture.seen, tokens, loss })
    }

    /// What an SAE reads and what its output should equal, preprocessed, and the second as it is: `[batch, pos, width]`.
    pub fn acts(&self, tap: &Tap, tapped: &TappedSae) -> Result<(Tensor, Tensor, &Tensor)> {
        let (i, read) = self.at(tap.hook)?;
        let (j, written) = self.at(tapped.hook_out)?;
        ensure!(i <= j, "{} comes before {}, which the SAE reads", tapped.hook_out, tap.hook);
        let prepared = |hook, acts: &Tensor| -> Result<Tensor> {
            Ok(tap.preprocessing.apply(&self.subject.model, hook, acts)?.f_to_kind(Kind::Float)?)
        };
        Ok((prepared(&tap.hook, read)?, prepared(&tapped.hook_out, written)?, written))
    }

    /// The loss of the pass with `by` in place of what was seen at `hook`.
    pub fn loss_with(&self, hook: HookPoint, by: Tensor) -> Result<f64> {
        let model = &self.subject.model;
        let mut replacement = Replacement { hook, by };
        let resid = match start(hook) {
            Some(start) => model.forward_from(start.layer, self.at(start)?.1, &mut replacement)?,
            None => model.forward(&self.tokens, &mut replacement)?,
        };
        loss(self.subject, &resid, &self.tokens)
    }

    fn at(&self, hook: HookPoint) -> Result<(usize, &Tensor)> {
        let found = self.seen.iter().enumerate().find(|(_, (seen, _))| *seen == hook);
        let (i, (_, acts)) = found.with_context(|| format!("the model has no {hook}"))?;
        Ok((i, acts))
    }
}

/// The beginning of the block that `hook` belongs to.
fn start(hook: HookPoint) -> Option<HookPoint> {
    hook.site.in_block().then_some(HookPoint { layer: hook.layer, site: Site::ResidPre })
}

/// Sum over all tokens but each row's first of the loss, nats.
///
/// - `resid`: `[batch, pos, d_model]`; `tokens`: `[batch, pos]`
fn loss(subject: &Subject, resid: &Tensor, tokens: &Tensor) -> Result<f64> {
    let n = tokens.size()[1] - 1;
    let resid = resid.f_narrow(1, 0, n)?.f_flatten(0, 1)?; // [batch * (pos - 1), d_model]
    let next = tokens.f_narrow(1, 1, n)?.f_flatten(0, 1)?.f_unsqueeze(-1)?; // [batch * (pos - 1), 1]
    let d_vocab = subject.model.config().d_vocab.max(1) as usize;
    let (n, at_once) = (resid.size()[0], (LOGITS_AT_ONCE / d_vocab).max(1));
    let mut sum = 0.0;
    for first in (0..n).step_by(at_once) {
        let len = (n - first).min(at_once as i64);
        let logits = subject.model.head().logits(&resid.f_narrow(0, first, len)?)?; // [len, d_vocab]
        let log_probs = logits.f_log_softmax(-1, Kind::Float)?;
        sum -= log_probs
            .f_gather(-1, &next.f_narrow(0, first, len)?, false)?
            .f_sum(Kind::Double)?
            .f_double_value(&[])?;
    }
    Ok(sum)
}

/// Keeps what is wanted of a pass.
struct Capture<'a> {
    wanted: &'a [HookPoint],
    seen: Vec<(HookPoint, Tensor)>,
}

impl Hooks for Capture<'_> {
    fn wants(&self, hook: &HookPoint) -> bool {
        self.wanted.contains(hook)
    }

    fn visit(&mut self, hook: &HookPoint, acts: &Tensor) -> Option<Tensor> {
        self.seen.push((*hook, acts.shallow_clone()));
        None
    }
}

/// Puts something else in an activation's place.
struct Replacement {
    hook: HookPoint,
    by: Tensor,
}

impl Hooks for Replacement {
    fn wants(&self, hook: &HookPoint) -> bool {
        *hook == self.hook
    }

    fn visit(&mut self, _hook: &HookPoint, _acts: &Tensor) -> Option<Tensor> {
        Some(self.by.shallow_clone())
    }
}
