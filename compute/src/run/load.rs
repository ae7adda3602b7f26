//! Reads the weights that a plan names.

use anyhow::Result;

use super::Corpus;
use crate::{
    corpus::Tokenizer,
    hub::Found,
    model::Model,
    pass::{Subject, Tap, TappedSae},
    plan::{Input, Plan},
    sae::Sae,
};

/// The model, and the SAEs with all their features.
pub fn subject(plan: &Plan) -> Result<Subject> {
    let sae_b = plan.sae_b.as_ref().map(|(sae_b, _)| sae_b);
    with_saes(&plan.input, sae_b, plan.needs.correlated_neurons > 0)
}

/// The model, the SAE with all its features, and another on the same hook point.
///
/// - `neuron_sums`: whether the SAE's features are correlated with neurons
pub fn with_saes(input: &Input, sae_b: Option<&Found>, neuron_sums: bool) -> Result<Subject> {
    let tapped = |found: &Found, neuron_sums| -> Result<TappedSae> {
        Ok(TappedSae {
            sae: Sae::load(found, input.sae_format, input.device)?.encoding_in(input.sae_kind),
            hook_out: input.hook_out,
            skipped: Vec::new(),
            neuron_sums,
        })
    };
    let mut saes = vec![tapped(&input.sae, neuron_sums)?];
    if let Some(found) = sae_b {
        saes.push(tapped(found, false)?);
    }
    Ok(Subject {
        model: Model::load(&input.model.path, input.device, input.precision.kind)?,
        tf32: input.precision.tf32,
        taps: vec![Tap { hook: input.hook, preprocessing: input.preprocessing, saes }],
        device: input.device,
    })
}

/// Leaves of the first SAE only the chosen features.
pub fn choose_features(plan: &Plan, subject: &mut Subject) -> Result<()> {
    let Input { sae, sae_format, device, sae_kind, .. } = &plan.input;
    if plan.features.len() as i64 == plan.input.sae_config.d_sae {
        return Ok(());
    }
    let features: Vec<i64> = plan.features.iter().map(|f| i64::from(*f)).collect();
    if let Some(tapped) = subject.taps.iter_mut().flat_map(|tap| &mut tap.saes).next() {
        tapped.sae = Sae::load_features(sae, *sae_format, *device, &features)?.encoding_in(*sae_kind);
    }
    Ok(())
}

/// Has features count as inactive at special tokens, where the plan says so.
pub fn skip_special(plan: &Plan, corpus: &Corpus, subject: &mut Subject) {
    if plan.input.skip_special {
        let skipped = special_tokens(&plan.input, corpus.tokenizer.as_ref());
        for tapped in subject.taps.iter_mut().flat_map(|tap| &mut tap.saes) {
            tapped.skipped.clone_from(&skipped);
        }
    }
}

/// Special tokens of the model and of its tokenizer.
fn special_tokens(input: &Input, tokenizer: Option<&Tokenizer>) -> Vec<i64> {
    let of_model = [input.model_config.bos_token_id, input.model_config.eos_token_id];
    of_model.into_iter().flatten().chain(tokenizer.into_iter().flat_map(Tokenizer::special_tokens)).collect()
}
