//! Effects as tensor operations, for devices that have no host kernel of their own.
//!
//! The arithmetic is that of [`super::kernel`], over a chunk of ablations at once: copying the logits of each position to the
//! host would take longer than all of it. What bounds it is memory: each array of ablations by vocabulary is written once and
//! read a few times. A GPU adds in another order, so results agree with the host's within float tolerance, not to the bit.

use anyhow::Result;
use tch::{Device, Kind, Tensor};

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
            Tensor::from_slice(&ablations.iter().map(of).collect::<Vec<_>>()).to(device) // [n_ablations]
        };
        let at = index(&|ablation| positions.partition_point(|&p| p < ablation.position) as i64);
        let feature = index(&|ablation| i64::from(ablation.feature));
        let token = index(&|ablation| i64::from(ablation.token_id)).unsqueeze(1); // [n_ablations, 1]
        let acts: Vec<f32> = ablations.iter().map(|ablation| ablation.act).collect();
        let act = Tensor::from_slice(&acts).to(device).unsqueeze(1); // [n_ablations, 1]

        let of_position = |all: &Tensor| all.index_select(0, &at);
        let with = head.scale(&x)?.reciprocal().unsqueeze(1); // [n_pos, 1]
        let x_logits = head.unnormalised(&x)?; // [n_pos, d_vocab]
        let any = Tensor::zeros([x.size()[0], 1], (Kind::Int64, device));
        let (sum_with, _) = log_sum(&head.capped(head.constant().addcmul(&x_logits, &with))?, &any); // [n_pos, 1]
        let with = of_position(&with); // [n_ablations, 1]
        let x_logits = of_position(&x_logits); // [n_ablations, d_vocab]

        let d_logits = self.logits.index_select(0, &feature); // [n_ablations, d_vocab]
        let ablated = of_position(&head.centred(&x)?) - &act * self.centred.index_select(0, &feature);
        let mean_square = ablated.to_kind(Kind::Double).square().mean_dim(-1, true, Kind::Double);
        let without = (mean_square + head.eps()).rsqrt().to_kind(Kind::Float); // [n_ablations, 1]
        let d_share = &act * &without;
        let z = head.constant().addcmul(&x_logits, &without).addcmul_(&d_logits, &d_share.neg());
        let z = head.capped(z)?; // [n_ablations, d_vocab]
        let change = if head.soft_cap().is_some() {
            head.capped(head.constant().addcmul(&x_logits, &with))? - &z
        } else {
            // The difference of the two combinations, written out: subtracting them would lose digits.
            (&x_logits * (&with - &without)).addcmul_(&d_logits, &d_share)
        };
        let (sum_without, log_prob_without) = log_sum(&z, &token);
        let shift = of_position(&sum_with) - sum_without;
        let loss = &shift - change.gather(1, &token, false);
        let prob_change = log_prob_without.exp() * loss.neg().expm1();

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
fn log_sum(z: &Tensor, token: &Tensor) -> (Tensor, Tensor) {
    let log_prob = z.log_softmax(-1, Kind::Float).gather(1, token, false);
    (z.gather(1, token, false) - &log_prob, log_prob)
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
    let extreme = |t: &Tensor, k: i64| t.topk(k.min(t.size()[1]), 1, largest, true);
    let groups = change.narrow(1, 0, whole * GROUP).view([n_ablations, whole, GROUP]);
    let best = if largest { groups.amax([-1i64], false) } else { groups.amin([-1i64], false) }; // [n_ablations, whole]
    let members = Tensor::arange(GROUP, (Kind::Int64, change.device()));
    let rest = Tensor::arange_start(whole * GROUP, d_vocab, (Kind::Int64, change.device()));
    let in_groups = (extreme(&best, n).1.unsqueeze(-1) * GROUP + members).flatten(1, 2);
    let columns = Tensor::cat(&[in_groups, rest.expand([n_ablations, -1], false)], 1);
    let (values, at) = extreme(&change.gather(1, &columns, false), n); // [n_ablations, n]
    let tokens = columns.gather(1, &at, false).flatten(0, 1).to_kind(Kind::Int);
    let tokens = Vec::<i32>::try_from(tokens.to(Device::Cpu))?;
    Ok(tokens
        .into_iter()
        .map(|token| token as u32)
        .zip(to_host(&(values - shift))?.iter().copied())
        .collect())
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
