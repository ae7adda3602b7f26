//! Reads the weights that a plan names.

use anyhow::Result;

use super::Machine;
use crate::{
    corpus::Tokenizer,
    hub::Artifact,
    model::Model,
    pass::{Subject, Tap, TappedSae},
    plan::{Input, Plan},
    sae::{ExcludedTokens, Sae, SaeConfig},
};

/// The model, and the SAEs with all their features.
pub fn subject(plan: &Plan, machine: &Machine) -> Result<Subject> {
    let sae_b = plan.sae_b.as_ref().map(|(sae_b, _)| sae_b);
    with_saes(&plan.input, machine, sae_b, plan.needs.correlated_neurons > 0)
}

/// The model, the SAE with all its features, and another on the same hook point.
///
/// - `neuron_sums`: whether the SAE's features are correlated with neurons
pub fn with_saes(
    input: &Input,
    machine: &Machine,
    sae_b: Option<&Artifact>,
    neuron_sums: bool,
) -> Result<Subject> {
    let tapped = |found: &Artifact, neuron_sums| -> Result<TappedSae> {
        Ok(TappedSae {
            sae: Sae::load(found, input.sae_format, machine.device)?.encoding_in(machine.sae_kind),
            hook_out: input.hook_out,
            skipped: Vec::new(),
            neuron_sums,
        })
    };
    let mut saes = vec![tapped(&input.sae, neuron_sums)?];
    if let Some(found) = sae_b {
        saes.push(tapped(found, false)?);
    }
    input.model.fetch_weights()?;
    Ok(Subject {
        model: Model::load(&input.model.path, machine.device, machine.precision.kind)?,
        tf32: machine.precision.tf32,
        taps: vec![Tap { hook: input.hook, preprocessing: input.preprocessing, saes }],
        device: machine.device,
    })
}

/// Leaves of the first SAE only the chosen features.
pub fn choose_features(plan: &Plan, machine: &Machine, subject: &mut Subject) -> Result<()> {
    let Input { sae, sae_format, .. } = &plan.input;
    if plan.features.len() as i64 == plan.input.sae_config.d_sae {
        return Ok(());
    }
    let features: Vec<i64> = plan.features.iter().map(|f| i64::from(*f)).collect();
    if let Some(tapped) = subject.taps.iter_mut().flat_map(|tap| &mut tap.saes).next() {
        tapped.sae =
            Sae::load_features(sae, *sae_format, machine.device, &features)?.encoding_in(machine.sae_kind);
    }
    Ok(())
}

/// Has features count as inactive at the tokens that the plan or their SAE's config says.
pub fn skip_tokens(input: &Input, tokenizer: Option<&Tokenizer>, subject: &mut Subject) {
    for tapped in subject.taps.iter_mut().flat_map(|tap| &mut tap.saes) {
        tapped.skipped = skipped_tokens(input, tapped.sae.config(), tokenizer);
    }
}

/// Token ids at which the features of an SAE count as inactive.
pub fn skipped_tokens(input: &Input, config: &SaeConfig, tokenizer: Option<&Tokenizer>) -> Vec<i64> {
    match (input.skip_special, &config.excluded_tokens) {
        (Some(true), _) | (None, Some(ExcludedTokens::Special)) => special_tokens(input, tokenizer),
        (Some(false), _) | (None, None) => Vec::new(),
        (None, Some(ExcludedTokens::Ids(ids))) => ids.clone(),
    }
}

/// Special tokens of the model and of its tokenizer, ascending.
fn special_tokens(input: &Input, tokenizer: Option<&Tokenizer>) -> Vec<i64> {
    let of_model = [input.model_config.bos_token_id, input.model_config.eos_token_id];
    let of_tokenizer = tokenizer.into_iter().flat_map(Tokenizer::special_tokens);
    let mut all: Vec<i64> = of_model.into_iter().flatten().chain(of_tokenizer).collect();
    all.sort_unstable();
    all.dedup();
    all
}
