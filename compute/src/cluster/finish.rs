//! The bundle, from what all parts left.

use std::slice;

use anyhow::Result;
use shared::manifest::Manifest;

use super::{PlanFolder, merge, shard};
use crate::{
    bundle::BundleWriter,
    progress::Progress,
    run::{self, Machine, load, provenance},
};

/// Writes the bundle. Only prompts need the weights.
pub fn compute(folder: &PlanFolder, progress: &mut Progress) -> Result<Manifest> {
    let _no_grad = tch::no_grad_guard();
    let plan = folder.plan();
    let machine = Machine::open(&plan.input)?;
    progress.begin("load", 0, "");
    let output = folder.pass_output(&machine)?;
    let health = shard::health(folder, &machine)?;
    let corpus = folder.corpus()?;
    let mut writer = BundleWriter::new(&plan.out)?;
    run::write_corpus(plan, &corpus, writer.text())?;
    progress.begin("assemble", folder.parts().n_merges, "merges");
    for merge in 0..folder.parts().n_merges {
        writer.features(merge::read(folder, merge, &machine)?)?;
        progress.at(merge + 1);
    }
    writer.end_of_features()?;
    if let Some(stats) = run::role_stats(plan, &corpus, &output)? {
        writer.role_stats(&stats)?;
    }
    let mut prompts = Vec::new();
    if !corpus.prompts.is_empty() {
        progress.begin("prompts", corpus.prompts.len(), "prompts");
        let mut subject = load::subject(slice::from_ref(plan), &machine)?;
        load::choose_features(plan, &machine, &mut subject)?;
        load::skip_tokens(&plan.input, corpus.tokenizer.as_ref(), &mut subject);
        prompts = run::prompts(plan, &corpus, &subject, &output, |n| progress.at(n))?;
    }
    run::write_prompts(plan, &prompts, &mut writer)?;
    let health = run::whole_health(plan, &corpus, &output, health)?;
    progress.begin("write", 0, "");
    let model_sha256 = provenance::sha256(&plan.input.model.path)?;
    let manifest = run::finish(plan, &machine, &corpus, (health, model_sha256), writer)?;
    progress.end();
    Ok(manifest)
}
