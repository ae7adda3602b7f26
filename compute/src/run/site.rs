//! A run of several SAEs: one pass over the corpus, and a bundle of each.

use std::thread;

use anyhow::{Context as _, Result};

use super::{
    Gathered, Machine, NO_SAE, begin, finish, health, load, neighbours::NeighbourSearch, provenance, summary,
    whole_health, whole_pass, write_corpus,
};
use crate::{
    bundle::{BackgroundWriter, BundleWriter, SiteFolder},
    plan::SitePlan,
    progress::Progress,
};

/// Computes the site that is planned: what its bundles share first, then one after another, then the list of them.
pub fn site(site: &SitePlan, progress: &mut Progress) -> Result<()> {
    let _no_grad = tch::no_grad_guard();
    let plans = &site.plans;
    let first = plans.first().context(NO_SAE)?;
    let machine = Machine::open(&first.input)?;
    let folder = SiteFolder::claim(&site.out, &provenance::tool())?;
    // All outputs are this process's before any work is done.
    let writers: Vec<BundleWriter> =
        plans.iter().map(|plan| BundleWriter::new(&plan.out)).collect::<Result<_>>()?;
    let (corpus, mut subject) = begin(plans, &machine, progress)?;
    let model_sha256 = provenance::sha256(&first.input.model.path)?;
    let shared = folder.share(|files| write_corpus(first, &corpus, files))?;

    progress.begin("health", 0, "");
    let healths = health(plans, &machine, &corpus, &subject)?;
    for plan in plans {
        load::choose_features(plan, &machine, &mut subject)?;
    }
    let output = whole_pass(plans, &machine, &corpus, &subject, progress)?;
    let gathered = Gathered { corpus: &corpus, subject: &subject, output: &output };
    let neighbours = NeighbourSearch::new(site, gathered)?;
    let mut manifests = Vec::with_capacity(plans.len());
    for (i, ((plan, mut writer), health)) in plans.iter().zip(writers).zip(healths).enumerate() {
        progress.line(&format!("SAE {} of {}: {}", i + 1, plans.len(), plan.input.sae.name));
        writer.share(&shared);
        let ((), mut writer) = thread::scope(|scope| {
            let background = BackgroundWriter::begin(scope, writer);
            let done = gathered.write(plan, progress, &background);
            progress.begin("write", 0, "");
            background.end(done)
        })?;
        progress.begin("neighbours", 0, "");
        neighbours.write(i, &mut writer)?;
        let health = whole_health(plan, &corpus, &output, health)?;
        manifests.push(finish(plan, &machine, &corpus, (health, model_sha256.clone()), writer)?);
    }
    folder.finish(&site.names)?;
    progress.end();
    if progress.is_quiet() { Ok(()) } else { summary::print_site(&manifests, progress, site) }
}
