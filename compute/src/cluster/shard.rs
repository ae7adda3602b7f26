//! A range of batches: forward, encode, keep what is active.

use std::{ops::Range, time::Instant};

use anyhow::{Context as _, Result, ensure};
use shared::health::Health;

use super::{PlanFolder, pace::Pace};
use crate::{
    output::{make_folders, parent},
    pass::Subject,
    progress::Progress,
    run::{self, Corpus, Machine, load},
    sections::{SectionReader, SectionWriter},
};

/// Computes the pieces of shards that are not there yet; says whether there was anything to do.
pub fn compute(folder: &PlanFolder, shards: Range<usize>, progress: &mut Progress) -> Result<bool> {
    let n_shards = folder.parts().n_shards;
    ensure!(shards.end <= n_shards, "no shard {}: the plan has 0 to {}", shards.end - 1, n_shards - 1);
    let plans = folder.plans();
    let machine = Machine::open(&folder.plan().input)?;
    let no_health = shards.contains(&0) && healths(folder, &machine).is_err();
    let missing: Vec<Piece> = shards
        .flat_map(|shard| {
            folder.pieces(shard).into_iter().enumerate().map(move |(i, batches)| (shard, i, batches))
        })
        .filter(|piece| !is_there(folder, piece, &machine))
        .collect();
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
    let rows_of = |(shard, piece, _): &Piece| folder.piece_rows(*shard, *piece);
    let mut n_done = 0;
    progress.begin("forward", missing.iter().map(rows_of).sum(), "rows");
    for piece in missing {
        let (begun, n_rows) = (Instant::now(), rows_of(&piece));
        let (shard, i, batches) = piece;
        let output = run::pass(plans, &machine, &corpus, &subject, batches, |n| progress.at(n_done + n))?;
        ensure!(
            output.rows_at_once >= machine.batch_rows,
            "memory did not suffice for batches of {} rows, and parts of them have other bits: make the plan again with \
             --batch-rows {}",
            machine.batch_rows,
            output.rows_at_once
        );
        output.write(&folder.piece_path(shard, i), folder.piece_mark(shard, i, &machine))?;
        // Without it `status` tells less: no reason to fail.
        let pace = Pace { n_rows, seconds: begun.elapsed().as_secs_f64() };
        pace.write(&folder.pace_path(shard, i)).unwrap_or_default();
        n_done += n_rows;
    }
    progress.end();
    Ok(true)
}

/// A shard, which of its pieces, and the batches of that.
type Piece = (usize, usize, Range<usize>);

fn is_there(folder: &PlanFolder, (shard, piece, _): &Piece, machine: &Machine) -> bool {
    let path = folder.piece_path(*shard, *piece);
    path.exists() && SectionReader::open(&path, &folder.piece_mark(*shard, *piece, machine)).is_ok()
}

fn write_health(folder: &PlanFolder, machine: &Machine, corpus: &Corpus, subject: &Subject) -> Result<()> {
    let healths = run::health(folder.plans(), machine, corpus, subject)?;
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
