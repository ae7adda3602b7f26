//! Effects against their definition, written out: the head applied to the residual with and without the feature.

use std::path::Path;

use compute::{
    backend::MemoryBudget,
    effects::{Ablation, Backend, Directions, ablate},
    model::Model,
    store::{BatchResid, Residuals},
};
use tch::{Device, Kind, Tensor};

use crate::written::randn;

/// A tiny model of each norm, with and without the head's soft-cap.
const FAMILIES: [&str; 4] = ["gpt2", "llama", "gemma", "gemma2"];

#[test]
fn effects_are_the_difference_of_the_heads_log_probabilities() {
    let _no_grad = tch::no_grad_guard();
    for family in FAMILIES {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models").join(family);
        let model = Model::load(&folder, Device::Cpu, Kind::Float).unwrap();
        let d_model = model.config().d_model;
        let d_vocab = model.config().d_vocab;
        let x = randn(&[6, d_model], 3) * 10.0 + 0.5; // [pos, d_model]
        let d = randn(&[4, d_model], 4) * 3.0 + 0.2; // [feature, d_model]
        let mut resid =
            Residuals::new(d_model as usize, 0, (Device::Cpu, 4), &MemoryBudget::unlimited()).unwrap();
        resid.push(BatchResid::new(&x, 0, 4).unwrap()).unwrap();
        let resid = vec![resid];
        let ablations: Vec<Ablation> = (0..24u32)
            .map(|i| Ablation {
                position: i * 7 % 6,
                feature: i % 4,
                act: 0.1 + i as f32 / 4.0,
                token_id: i * 13 % d_vocab as u32,
            })
            .collect();
        let head = model.head();
        let ways = [Backend::Kernel, Backend::Tensors].map(|way| {
            let directions = Directions::new(way, head, &d, 0..4).unwrap();
            ablate(head, &resid, &directions, &ablations, 5, |_| ()).unwrap()
        });
        for (j, ablation, effects) in ways
            .iter()
            .flat_map(|way| ablations.iter().enumerate().map(move |(j, ablation)| (j, ablation, way)))
        {
            let log_probs = |x: &Tensor| {
                model.head().logits(x).unwrap().to_kind(Kind::Double).log_softmax(-1, Kind::Double)
            };
            let with = x.get(i64::from(ablation.position));
            let without = &with - d.get(i64::from(ablation.feature)) * f64::from(ablation.act);
            let (lp, lp_ablated) = (log_probs(&with), log_probs(&without));
            let contribution = Vec::<f64>::try_from(&lp - &lp_ablated).unwrap();
            let token = [i64::from(ablation.token_id)];
            let prob = lp.exp().double_value(&token) - lp_ablated.exp().double_value(&token);

            let got = effects.of(j);
            let close = |what: &str, got: f32, expected: f64| {
                let tolerance = 2e-5 * (1.0 + expected.abs());
                assert!(
                    (f64::from(got) - expected).abs() < tolerance,
                    "{family} {what}: {got}, expected {expected}"
                );
            };
            close("loss", got.loss, -contribution[ablation.token_id as usize]);
            close("probability", got.prob_change, prob);
            let mut sorted = contribution.clone();
            sorted.sort_by(f64::total_cmp);
            for k in 0..5 {
                close("boosted", got.boosted[k].1, sorted[sorted.len() - 1 - k]);
                close("boosted token", got.boosted[k].1, contribution[got.boosted[k].0 as usize]);
                close("suppressed", got.suppressed[k].1, sorted[k]);
                close("suppressed token", got.suppressed[k].1, contribution[got.suppressed[k].0 as usize]);
            }
        }
    }
}
