//! The bundle or the site, from what all parts left.

use anyhow::{Context as _, Result};
use shared::{feature::Feature, health::Health, manifest::Manifest};

use super::{PlanFolder, merge, shard};
use crate::{
    bundle::{BundleWriter, SiteFolder},
    pass::{PassOutput, Subject},
    plan::{Plan, Planned},
    progress::Progress,
    run::{self, Corpus, Machine, load, provenance},
};

/// What all parts left.
struct Parts<'a> {
    folder: &'a PlanFolder,
    machine: Machine,
    corpus: Corpus,
    output: PassOutput,
    healths: Vec<Health>,
    /// Where prompts or neighbours need the weights.
    subject: Option<Subject>,
    model_sha256: String,
}

/// Writes the bundles. Only prompts and neighbours need the weights.
pub fn compute(folder: &PlanFolder, progress: &mut Progress) -> Result<Vec<Manifest>> {
    let _no_grad = tch::no_grad_guard();
    let (first, plans) = (folder.plan(), folder.plans());
    let machine = Machine::open(&first.input)?;
    progress.begin("load", 0, "");
    let (output, healths) = (folder.pass_output(&machine)?, shard::healths(folder, &machine)?);
    let corpus = folder.corpus()?;
    let neighbours = matches!(folder.planned(), Planned::Site(site) if site.neighbours > 0);
    let mut subject = None;
    if neighbours || !corpus.prompts.is_empty() {
        let mut loaded = load::subject(plans, &machine)?;
        for plan in plans {
            load::choose_features(plan, &machine, &mut loaded)?;
        }
        load::skip_tokens(&first.input, corpus.tokenizer.as_ref(), &mut loaded);
        subject = Some(loaded);
    }
    let model_sha256 = provenance::sha256(&first.input.model.path)?;
    let parts = Parts { folder, machine, corpus, output, healths, subject, model_sha256 };
    let manifests = match folder.planned() {
        Planned::Bundle(plan) => {
            let mut writer = BundleWriter::new(&plan.out)?;
            run::write_corpus(plan, &parts.corpus, writer.text())?;
            parts.write(plan, &mut writer, progress)?;
            vec![parts.finish(plan, writer, progress)?]
        }
        Planned::Site(site) => {
            let site_folder = SiteFolder::claim(&site.out, &provenance::tool())?;
            let shared = site_folder.share(|files| run::write_corpus(first, &parts.corpus, files))?;
            let search = |subject| {
                let gathered = run::Gathered { corpus: &parts.corpus, subject, output: &parts.output };
                run::NeighbourSearch::new(site, gathered)
            };
            let search = parts.subject.as_ref().map(search).transpose()?;
            let mut manifests = Vec::with_capacity(plans.len());
            for (i, plan) in plans.iter().enumerate() {
                let mut writer = BundleWriter::new(&plan.out)?;
                writer.share(&shared);
                parts.write(plan, &mut writer, progress)?;
                if let Some(search) = &search {
                    progress.begin("neighbours", 0, "");
                    search.write(i, &mut writer)?;
                }
                manifests.push(parts.finish(plan, writer, progress)?);
            }
            site_folder.finish(&site.names)?;
            manifests
        }
    };
    progress.end();
    Ok(manifests)
}

impl Parts<'_> {
    /// Writes a bundle's features, prompts and labels.
    fn write(&self, plan: &Plan, writer: &mut BundleWriter, progress: &mut Progress) -> Result<()> {
        let n_merges = self.folder.parts().n_merges;
        progress.begin("assemble", n_merges, "merges");
        for merge in 0..n_merges {
            writer.features(self.features(plan, merge)?)?;
            progress.at(merge + 1);
        }
        writer.end_of_features()?;
        if let Some(stats) = run::role_stats(plan, &self.corpus, &self.output)? {
            writer.role_stats(&stats)?;
        }
        let mut prompts = Vec::new();
        if !self.corpus.prompts.is_empty() {
            progress.begin("prompts", self.corpus.prompts.len(), "prompts");
            let subject = self.subject.as_ref().context("the weights are not loaded")?;
            prompts = run::prompts(plan, &self.corpus, subject, &self.output, |n| progress.at(n))?;
        }
        run::write_prompts(plan, &prompts, writer)
    }

    /// The features of a plan that a merge left.
    fn features(&self, plan: &Plan, merge: usize) -> Result<Vec<Feature>> {
        let mut before = 0;
        for (own, range) in self.folder.features(merge) {
            if own.sae_number == plan.sae_number {
                let mut features = merge::read(self.folder, merge, &self.machine)?;
                return Ok(features.drain(before..before + range.len()).collect());
            }
            before += range.len();
        }
        Ok(Vec::new())
    }

    /// Writes the manifest and puts the bundle in its place.
    fn finish(&self, plan: &Plan, writer: BundleWriter, progress: &mut Progress) -> Result<Manifest> {
        let health = run::whole_health(plan, &self.corpus, &self.output, self.healths[plan.sae_number])?;
        progress.begin("write", 0, "");
        run::finish(plan, &self.machine, &self.corpus, (health, self.model_sha256.clone()), writer)
    }
}
