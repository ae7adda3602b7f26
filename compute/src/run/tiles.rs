//! Features tile by tile: in turn where the host computes all, else side by side.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use anyhow::{Context as _, Result, anyhow};
use rayon::prelude::*;
use shared::feature::{Feature, FeatureTables};

use super::{
    features::{ReadTile, Sources, Tile, Writes},
    tables::Tables,
};
use crate::{
    effects::{self, Backend, Directions, Effects},
    examples::Choice,
    interrupt, panics,
    progress::Progress,
};

/// Features that are put together and handed on at once.
const HANDED_ON: usize = 256;
/// Tiles that exist at the same time where they are computed side by side: one is read, one waits, one has its effects
/// computed, one is put together.
pub const SIDE_BY_SIDE: usize = 4;

/// What tiles are computed from.
pub struct Work<'a> {
    pub sources: Sources<'a>,
    pub choice: Option<&'a Choice<'a>>,
    pub writes: Writes<'a>,
}

impl Work<'_> {
    /// One after another; each stage has all cores.
    pub fn in_turn(
        &self,
        mut tables: Tables<'_>,
        tiles: Vec<Range<usize>>,
        progress: &mut Progress,
        mut hand_on: impl FnMut(Vec<Feature>) -> Result<()>,
    ) -> Result<()> {
        let mut all_tables = VecDeque::new();
        while let Some(some) = tables.next()? {
            all_tables.extend(some);
        }
        for features in tiles {
            progress.begin("logits", 0, "");
            let directions = self.directions(features.clone())?;
            progress.begin("sequences", 0, "");
            let tile = self.sources.read_tile(features, self.choice)?;
            progress.begin("effects", tile.ablations.len(), "effects");
            let effects = self.effects(&tile, directions.as_ref(), |n| progress.at(n))?;
            progress.begin("assemble", 0, "");
            self.sources.assemble(&tile.with(directions, effects), &mut all_tables, &mut hand_on)?;
        }
        progress.end();
        Ok(())
    }

    /// This thread feeds the GPU, which computes logits and effects, while others make tables, read the next tile, and put
    /// the last one together.
    pub fn side_by_side(
        &self,
        mut tables: Tables<'_>,
        tiles: Vec<Range<usize>>,
        progress: &mut Progress,
        mut hand_on: impl FnMut(Vec<Feature>) -> Result<()> + Send,
    ) -> Result<()> {
        let n_features = tiles.iter().map(Range::len).sum();
        progress.begin("features", n_features, "features");
        let (sources, choice) = (self.sources, self.choice);
        thread::scope(|scope| {
            let (tables_to, tables_from) = sync_channel(1);
            let (read_to, read_from) = sync_channel(1);
            let (computed_to, computed_from) = sync_channel::<Tile>(0);
            let stages = [
                scope.spawn(move || send(&tables_to, || tables.next())),
                scope.spawn(move || {
                    let mut tiles = tiles.into_iter();
                    send(&read_to, || tiles.next().map(|tile| sources.read_tile(tile, choice)).transpose())
                }),
                scope.spawn(move || sources.assemble_all(&computed_from, &tables_from, &mut hand_on)),
            ];
            let mut done = 0;
            let mut feed = || {
                for tile in &read_from {
                    interrupt::check()?;
                    done += tile.features.len();
                    let directions = self.directions(tile.features.clone())?;
                    let effects = self.effects(&tile, directions.as_ref(), |_| ())?;
                    // Who puts together says why it stopped.
                    if computed_to.send(tile.with(directions, effects)).is_err() {
                        break;
                    }
                    progress.at(done);
                }
                anyhow::Ok(())
            };
            let fed = feed();
            drop((computed_to, read_from));
            for stage in stages {
                stage.join().map_err(|panic| anyhow!(panics::message(panic.as_ref())))??;
            }
            fed
        })?;
        progress.end();
        Ok(())
    }

    /// Directions of features; none where nothing is known of what they write.
    fn directions(&self, features: Range<usize>) -> Result<Option<Directions>> {
        match self.writes {
            Writes::Model { head, decoder, .. } => {
                Directions::new(Backend::of(head.device()), head, &decoder.resid, features).map(Some)
            }
            Writes::Given { logits, .. } => {
                logits.map(|logits| Directions::of_logits(logits, features)).transpose()
            }
        }
    }

    fn effects(
        &self,
        tile: &ReadTile,
        directions: Option<&Directions>,
        after_chunk: impl FnMut(usize),
    ) -> Result<Effects> {
        let (Writes::Model { head, resid, .. }, Some(directions)) = (self.writes, directions) else {
            return Ok(Effects::default());
        };
        let n_hover = self.sources.request.needs.sequences.map_or(0, |s| s.top_logits_hoverdata as usize);
        effects::ablate(head, resid, directions, &tile.ablations, n_hover, after_chunk)
    }
}

/// Sends what `next` gives, until there is no more or nobody receives.
fn send<T>(to: &SyncSender<T>, mut next: impl FnMut() -> Result<Option<T>>) -> Result<()> {
    while let Some(item) = next()? {
        if to.send(item).is_err() {
            break;
        }
    }
    Ok(())
}

impl Sources<'_> {
    fn assemble_all(
        &self,
        tiles: &Receiver<Tile>,
        tables: &Receiver<Vec<FeatureTables>>,
        hand_on: &mut impl FnMut(Vec<Feature>) -> Result<()>,
    ) -> Result<()> {
        let mut waiting = VecDeque::new();
        for tile in tiles {
            while waiting.len() < tile.features.len() {
                waiting.extend(tables.recv().context("the thread that makes tables stopped")?);
            }
            self.assemble(&tile, &mut waiting, hand_on)?;
        }
        Ok(())
    }

    /// Puts a tile's features together, with the first of `tables`.
    fn assemble(
        &self,
        tile: &Tile,
        tables: &mut VecDeque<FeatureTables>,
        hand_on: &mut impl FnMut(Vec<Feature>) -> Result<()>,
    ) -> Result<()> {
        let n_tile = tile.features.len();
        for start in (0..n_tile).step_by(HANDED_ON) {
            let part = start..(start + HANDED_ON).min(n_tile);
            let tables: Vec<FeatureTables> = tables.drain(..part.len()).collect();
            let features = part.into_par_iter().zip(tables);
            hand_on(features.map(|(i, tables)| self.feature(tile, i, tables)).collect())?;
        }
        Ok(())
    }
}
