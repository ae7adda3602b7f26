//! Reads the weights that a plan names.

use anyhow::{Context as _, Result};

use super::{Machine, NO_SAE};
use crate::{
    corpus::Tokenizer,
    hub::Artifact,
    model::Model,
    pass::{Subject, Tap, TappedSae},
    plan::{Input, Plan},
    sae::{ExcludedTokens, Sae, SaeConfig},
};

/// The model, and the SAEs of all plans with all their features; plans of one tap stand side by side.
pub fn subject(plans: &[Plan], machine: &Machine) -> Result<Subject> {
    let mut taps: Vec<Tap> = Vec::new();
    for Plan { input, sae_b, needs, .. } in plans {
        let mut saes = vec![tapped(input, &input.sae, machine, needs.correlated_neurons > 0)?];
        if let Some((sae_b, _)) = sae_b {
            saes.push(tapped(input, sae_b, machine, false)?);
        }
        let Input { hook, preprocessing, .. } = *input;
        match taps.last_mut().filter(|tap| tap.hook == hook && tap.preprocessing == preprocessing) {
            Some(tap) => tap.saes.append(&mut saes),
            None => taps.push(Tap { hook, preprocessing, saes }),
        }
    }
    with_taps(&plans.first().context(NO_SAE)?.input, machine, taps)
}

/// The model and the SAE with all its features, to be measured.
pub fn to_measure(input: &Input, machine: &Machine) -> Result<Subject> {
    let saes = vec![tapped(input, &input.sae, machine, false)?];
    let Input { hook, preprocessing, .. } = *input;
    with_taps(input, machine, vec![Tap { hook, preprocessing, saes }])
}

fn with_taps(input: &Input, machine: &Machine, taps: Vec<Tap>) -> Result<Subject> {
    input.model.fetch_weights()?;
    Ok(Subject {
        model: Model::load(&input.model.path, machine.device, machine.precision.kind)?,
        tf32: machine.precision.tf32,
        taps,
        device: machine.device,
    })
}

/// - `neuron_sums`: whether its features are correlated with neurons
fn tapped(input: &Input, sae: &Artifact, machine: &Machine, neuron_sums: bool) -> Result<TappedSae> {
    Ok(TappedSae {
        sae: Sae::load(sae, input.sae_format, machine.device)?.encoding_in(machine.sae_kind),
        hook_out: input.hook_out,
        skipped: Vec::new(),
        neuron_sums,
    })
}

/// Leaves of the plan's SAE only the chosen features.
pub fn choose_features(plan: &Plan, machine: &Machine, subject: &mut Subject) -> Result<()> {
    let Input { sae, sae_format, .. } = &plan.input;
    if plan.features.len() as i64 == plan.input.sae_config.d_sae {
        return Ok(());
    }
    let features: Vec<i64> = plan.features.iter().map(|f| i64::from(*f)).collect();
    if let Some(tapped) = subject.taps.iter_mut().flat_map(|tap| &mut tap.saes).nth(plan.sae_number) {
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
