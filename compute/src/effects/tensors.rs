//! Effects as tensor operations, for devices that have no host kernel of their own.
//!
//! The arithmetic is that of [`super::kernel`], over a chunk of ablations at once: copying the logits of each position to the
//! host would take longer than all of it. What bounds it is memory: each array of ablations by vocabulary is written once and
//! read a few times. A GPU adds in another order, so results agree with the host's within float tolerance, not to the bit.

use anyhow::Result;
use tch::{Device, Kind, TchError, Tensor};

use super::{Ablation, Effects};
use crate::{backend::to_host, model::Head, store::ResidSource};

/// Tokens of a group whose maximum is looked at before its members are.
const GROUP: i64 = 64;

/// Directions of features on a device.
#[derive(Debug)]
pub(super) struct DeviceDirections {
    /// `[n, d_model]`, less their mean where the head's norm subtracts it.
    pub centred: Tensor,
    /// `G(d)`: `[n, d_vocab]`.
    pub logits: Tensor,
}

impl DeviceDirections {
    /// Effects of `ablations`, in their order, which is that of positions.
    pub fn ablate(
        &self,
        head: &Head,
        resid: &dyn ResidSource,
        ablations: &[Ablation],
        n_hover: usize,
    ) -> Result<Effects> {
        let device = self.logits.device();
        let mut positions: Vec<u32> = ablations.iter().map(|ablation| ablation.position).collect();
        positions.dedup();
        let x = resid.read(&positions, device)?; // [n_pos, d_model]
        let index = |of: &dyn Fn(&Ablation) -> i64| {
            Tensor::f_from_slice(&ablations.iter().map(of).collect::<Vec<_>>())?.f_to(device) // [n]
        };
        let at = index(&|ablation| positions.partition_point(|&p| p < ablation.position) as i64)?;
        let feature = index(&|ablation| i64::from(ablation.feature))?;
        let token = index(&|ablation| i64::from(ablation.token_id))?.f_unsqueeze(1)?; // [n, 1]
        let acts: Vec<f32> = ablations.iter().map(|ablation| ablation.act).collect();
        let act = Tensor::f_from_slice(&acts)?.f_to(device)?.f_unsqueeze(1)?; // [n, 1]

        let of_position = |all: &Tensor| all.f_index_select(0, &at);
        let with = head.scale(&x)?.f_reciprocal()?.f_unsqueeze(1)?; // [n_pos, 1]
        let x_logits = head.unnormalised(&x)?; // [n_pos, d_vocab]
        let any = Tensor::f_zeros([x.size()[0], 1], (Kind::Int64, device))?;
        let capped = head.capped(head.constant().f_addcmul(&x_logits, &with)?)?;
        let (sum_with, _) = log_sum(&capped, &any)?; // [n_pos, 1]
        drop(capped);
        let with = of_position(&with)?; // [n, 1]
        let x_logits = of_position(&x_logits)?; // [n, d_vocab]

        let d_logits = self.logits.f_index_select(0, &feature)?; // [n, d_vocab]
        let taken = act.f_mul(&self.centred.f_index_select(0, &feature)?)?;
        let ablated = of_position(&head.centred(&x)?)?.f_sub(&taken)?; // [n, d_model]
        let squares = ablated.f_to_kind(Kind::Double)?.f_square()?;
        let mean_square = squares.f_mean_dim(-1, true, Kind::Double)?;
        let without = mean_square.f_add_scalar(head.eps())?.f_rsqrt()?.f_to_kind(Kind::Float)?; // [n, 1]
        let d_share = act.f_mul(&without)?;
        let mut z = head.constant().f_addcmul(&x_logits, &without)?;
        drop(z.f_addcmul_(&d_logits, &d_share.f_neg()?)?);
        let z = head.capped(z)?; // [n, d_vocab]
        let change = if head.soft_cap().is_some() {
            head.capped(head.constant().f_addcmul(&x_logits, &with)?)?.f_sub(&z)?
        } else {
            // The difference of the two combinations, written out: subtracting them would lose digits.
            let mut change = x_logits.f_mul(&with.f_sub(&without)?)?;
            drop(change.f_addcmul_(&d_logits, &d_share)?);
            change
        };
        let (sum_without, log_prob_without) = log_sum(&z, &token)?;
        let shift = of_position(&sum_with)?.f_sub(&sum_without)?;
        let loss = shift.f_sub(&change.f_gather(1, &token, false)?)?;
        let prob_change = log_prob_without.f_exp()?.f_mul(&loss.f_neg()?.f_expm1()?)?;

        Ok(Effects {
            loss: to_host(&loss)?.to_vec(),
            prob_change: to_host(&prob_change)?.to_vec(),
            boosted: hover_list(&change, &shift, n_hover, true)?,
            suppressed: hover_list(&change, &shift, n_hover, false)?,
            n_hover,
            slots: Vec::new(),
        })
    }
}

/// Log-sum-exp of each row of `z`, and one token's log-probability: `[n, 1]` each.
///
/// - `z`: `[n, d_vocab]`; `token`: `[n, 1]`
///
/// By libtorch's log-softmax, one kernel that reads a row once where it fits the GPU's shared memory; its log-sum-exp is
/// four kernels, which read and write it six times.
fn log_sum(z: &Tensor, token: &Tensor) -> Result<(Tensor, Tensor), TchError> {
    let log_prob = z.f_log_softmax(-1, Kind::Float)?.f_gather(1, token, false)?;
    Ok((z.f_gather(1, token, false)?.f_sub(&log_prob)?, log_prob))
}

/// The `n` largest (or smallest) entries of each row of `change`, less `shift`, with their columns; row after row.
///
/// - `change`: `[n_ablations, d_vocab]`; `shift`: `[n_ablations, 1]`
///
/// The extreme entries of a row lie in the groups with the extreme maxima, so a row is read once and only a few hundred
/// of its entries are compared with one another.
fn hover_list(change: &Tensor, shift: &Tensor, n: usize, largest: bool) -> Result<Vec<(u32, f32)>> {
    let (n_ablations, d_vocab) = change.size2()?;
    let (n, whole) = (n as i64, d_vocab / GROUP);
    let extreme = |t: &Tensor, k: i64| t.f_topk(k.min(t.size()[1]), 1, largest, true);
    let groups = change.f_narrow(1, 0, whole * GROUP)?.f_view([n_ablations, whole, GROUP])?;
    let best = if largest { groups.f_amax([-1i64], false)? } else { groups.f_amin([-1i64], false)? }; // [n, whole]
    let members = Tensor::f_arange(GROUP, (Kind::Int64, change.device()))?;
    let rest = Tensor::f_arange_start(whole * GROUP, d_vocab, (Kind::Int64, change.device()))?;
    let first = extreme(&best, n)?.1.f_unsqueeze(-1)?.f_mul_scalar(GROUP)?; // [n, k, 1]
    let in_groups = first.f_add(&members)?.f_flatten(1, 2)?;
    let columns = Tensor::f_cat(&[in_groups, rest.f_expand([n_ablations, -1], false)?], 1)?;
    let (values, at) = extreme(&change.f_gather(1, &columns, false)?, n)?; // [n, k]
    let tokens = columns.f_gather(1, &at, false)?.f_flatten(0, 1)?.f_to_kind(Kind::Int)?;
    let tokens = Vec::<i32>::try_from(tokens.f_to(Device::Cpu)?)?;
    let values = to_host(&values.f_sub(shift)?)?;
    Ok(tokens.into_iter().map(|token| token as u32).zip(values.iter().copied()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn hover_lists_are_the_ends_of_the_sorted_row(
            rows in (1usize..400).prop_flat_map(|len| prop::collection::vec(prop::collection::vec(-9f32..9.0, len), 1..4)),
            n in 0usize..7,
        ) {
            let d_vocab = rows[0].len();
            prop_assume!(n <= d_vocab);
            let change = Tensor::from_slice(&rows.concat()).view([rows.len() as i64, d_vocab as i64]);
            let shift = Tensor::ones([rows.len() as i64, 1], (Kind::Float, Device::Cpu));
            for largest in [true, false] {
                let got = hover_list(&change, &shift, n, largest).unwrap();
                prop_assert_eq!(got.len(), n * rows.len());
                for (i, row) in rows.iter().enumerate() {
                    let mut sorted = row.clone();
                    sorted.sort_by(|a, b| if largest { b.total_cmp(a) } else { a.total_cmp(b) });
                    for (k, (token, by)) in got[i * n..(i + 1) * n].iter().enumerate() {
                        prop_assert!((by - (sorted[k] - 1.0)).abs() < 1e-6);
                        prop_assert!((by - (row[*token as usize] - 1.0)).abs() < 1e-6);
                    }
                }
            }
        }
    }
}
