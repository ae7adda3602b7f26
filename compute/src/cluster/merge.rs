//! A range of features: all that one's page shows, from what all shards left.

use std::ops::Range;

use anyhow::{Context as _, Result, ensure};
use shared::{
    feature::Feature,
    wire::{Reader, Wire as _},
};

use super::PlanFolder;
use crate::{
    output::{make_folders, parent},
    progress::Progress,
    run::{self, Machine, load},
    sections::{Mark, SectionReader, SectionWriter},
};

/// Computes the features of merges that are not there yet; says whether there was anything to do.
pub fn compute(folder: &PlanFolder, merges: Range<usize>, progress: &mut Progress) -> Result<bool> {
    let n_merges = folder.parts().n_merges;
    ensure!(merges.end <= n_merges, "no merge {}: the plan has 0 to {}", merges.end - 1, n_merges - 1);
    let plans = folder.plans();
    let machine = Machine::open(&folder.plan().input)?;
    let is_there = |merge: &usize| {
        let path = folder.merge_path(*merge);
        path.exists() && SectionReader::open(&path, &mark(folder, *merge, &machine)).is_ok()
    };
    let missing: Vec<usize> = merges.filter(|merge| !is_there(merge)).collect();
    if missing.is_empty() {
        return Ok(false);
    }
    let made = folder.merge_path(0);
    make_folders(parent(&made)).with_context(|| format!("could not make ({})", parent(&made).display()))?;
    let _no_grad = tch::no_grad_guard();
    progress.begin("load", 0, "");
    let output = folder.pass_output(&machine)?;
    let corpus = folder.corpus()?;
    let mut subject = load::subject(plans, &machine)?;
    for plan in plans {
        load::choose_features(plan, &machine, &mut subject)?;
    }
    load::skip_tokens(&folder.plan().input, corpus.tokenizer.as_ref(), &mut subject);
    for merge in missing {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        let mut keep = |features: Vec<Feature>| {
            for feature in features {
                feature.write(&mut bytes);
                ends.push(bytes.len() as u64);
            }
            Ok(())
        };
        for (plan, features) in folder.features(merge) {
            run::features(plan, &corpus, &subject, &output, features, progress, &mut keep)?;
        }
        progress.begin("write", 0, "");
        let mut file = SectionWriter::create(&folder.merge_path(merge))?;
        file.write_all("features", &bytes)?;
        file.write_all("ends", &ends)?;
        file.finish(mark(folder, merge, &machine), &())?;
    }
    progress.end();
    Ok(true)
}

/// The features that a merge left, in the order of [`PlanFolder::features`].
pub(super) fn read(folder: &PlanFolder, merge: usize, machine: &Machine) -> Result<Vec<Feature>> {
    let path = folder.merge_path(merge);
    ensure!(
        path.exists(),
        "merge {merge} is not done: run `compute merge --index {merge}` ({})",
        path.display()
    );
    let file = SectionReader::open(&path, &mark(folder, merge, machine))?;
    let (bytes, ends): (Vec<u8>, Vec<u64>) = (file.read("features")?, file.read("ends")?);
    let wrong = || format!("the features contradict one another: run the merge again ({})", path.display());
    let expected: usize = folder.features(merge).iter().map(|(_, features)| features.len()).sum();
    ensure!(ends.len() == expected, wrong());
    let mut start = 0;
    let mut features = Vec::with_capacity(ends.len());
    for end in ends {
        let one = bytes.get(start..end as usize).with_context(wrong)?;
        features.push(Feature::read(&mut Reader::new(one)).with_context(wrong)?);
        start = end as usize;
    }
    Ok(features)
}

fn mark(folder: &PlanFolder, merge: usize, machine: &Machine) -> Mark {
    folder.mark("merge", &format!("{merge} on {}", machine.device_name()))
}
