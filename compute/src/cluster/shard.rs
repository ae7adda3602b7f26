//! A range of batches: forward, encode, keep what is active.

use anyhow::{Context as _, Result, ensure};

use shared::manifest::Health;

use super::PlanFolder;
use crate::{
    output::{make_folders, parent},
    pass::Subject,
    progress::Progress,
    run::{self, Corpus, Machine, load},
    sections::{SectionReader, SectionWriter},
};

/// Computes the pieces of a shard that are not there yet; says whether there was anything to do.
pub fn compute(folder: &PlanFolder, shard: usize, progress: &mut Progress) -> Result<bool> {
    let n_shards = folder.parts().n_shards;
    ensure!(shard < n_shards, "no shard {shard}: the plan has 0 to {}", n_shards - 1);
    let plans = folder.plans();
    let machine = Machine::open(&folder.plan().input)?;
    let is_there = |piece| {
        let path = folder.piece_path(shard, piece);
        path.exists() && SectionReader::open(&path, &folder.piece_mark(shard, piece, &machine)).is_ok()
    };
    let missing: Vec<_> =
        folder.pieces(shard).into_iter().enumerate().filter(|(piece, _)| !is_there(*piece)).collect();
    let no_health = shard == 0 && healths(folder, &machine).is_err();
    if missing.is_empty() && !no_health {
        return Ok(false);
    }
    let path = folder.health_path();
    make_folders(parent(&path)).with_context(|| format!("could not make ({})", parent(&path).display()))?;
    let _no_grad = tch::no_grad_guard();
    progress.begin("load", 0, "");
    let corpus = folder.corpus()?;
    let mut subject = load::subject(plans, &machine)?;
    load::skip_tokens(&folder.plan().input, corpus.tokenizer.as_ref(), &mut subject);
    if no_health {
        progress.begin("health", 0, "");
        write_health(folder, &machine, &corpus, &subject)?;
    }
    for plan in plans {
        load::choose_features(plan, &machine, &mut subject)?;
    }
    for (piece, batches) in missing {
        let n_rows = batches.len() * machine.batch_rows;
        progress.begin("forward", n_rows.min(corpus.rows.n_rows()), "rows");
        let output = run::pass(plans, &machine, &corpus, &subject, batches, |n| progress.at(n))?;
        ensure!(
            output.rows_at_once >= machine.batch_rows,
            "memory did not suffice for batches of {} rows, and parts of them have other bits: make the plan again with \
             --batch-rows {}",
            machine.batch_rows,
            output.rows_at_once
        );
        progress.begin("write", 0, "");
        output.write(&folder.piece_path(shard, piece), folder.piece_mark(shard, piece, &machine))?;
    }
    progress.end();
    Ok(true)
}

fn write_health(folder: &PlanFolder, machine: &Machine, corpus: &Corpus, subject: &Subject) -> Result<()> {
    let health = |plan| run::health(plan, machine, corpus, subject);
    let healths: Vec<Health> = folder.plans().iter().map(health).collect::<Result<_>>()?;
    let file = SectionWriter::create(&folder.health_path())?;
    file.finish(folder.mark("shard", &health_name(machine)), &healths)
}

fn health_name(machine: &Machine) -> String {
    format!("0, health, on {}", machine.device_name())
}

/// What the first shard measured of each SAE.
pub(super) fn healths(folder: &PlanFolder, machine: &Machine) -> Result<Vec<Health>> {
    let file = SectionReader::open(&folder.health_path(), &folder.mark("shard", &health_name(machine)))?;
    let healths: Vec<Health> = file.meta()?;
    let (n, expected) = (healths.len(), folder.plans().len());
    ensure!(
        n == expected,
        "the health of {n} SAEs is there, expected {expected} ({})",
        folder.health_path().display()
    );
    Ok(healths)
}
