//! Which features of other SAEs are most like each feature: by the directions that they write, and by where they are active.

use std::ops::Range;

use anyhow::Result;
use rayon::prelude::*;
use shared::{
    feature::Correlated,
    neighbours::{BundleNeighbours, FeatureNeighbours, Neighbour, Neighbours},
};
use tch::{Device, Kind, Tensor};

use super::{Decoder, Gathered, shown, tables::rows_at_once};
use crate::{
    bundle::BundleWriter,
    interrupt,
    plan::{Plan, SitePlan},
    stats::correlations::{Products, Sums, partners},
};

/// Neighbours of a feature in one other SAE, by either measure.
const N_NEIGHBOURS: usize = 3;
/// Cosines that are computed together take about this much memory.
const COSINES_BYTES: usize = 256 << 20;
/// Keeps a direction of length 0 from dividing by it.
const LEAST_NORM: f64 = 1e-12;

/// What the neighbours of a site's features are found from.
pub struct NeighbourSearch<'a> {
    site: &'a SitePlan,
    gathered: Gathered<'a>,
    /// Of each SAE: directions of length 1 in the residual stream, `[n, d_model]`.
    directions: Vec<Tensor>,
    /// Of each SAE: sums of each feature's activations.
    sums: Vec<Vec<Sums>>,
}

impl<'a> NeighbourSearch<'a> {
    /// Nothing is found yet.
    pub fn new(site: &'a SitePlan, gathered: Gathered<'a>) -> Result<Self> {
        let (mut directions, mut sums) = (Vec::new(), Vec::new());
        for plan in &site.plans {
            let rows = Decoder::of(gathered.subject, plan.sae_number)?.resid; // [n, d_model]
            let norms = rows.f_norm_scalaropt_dim(2.0, 1, true)?.f_clamp_min(LEAST_NORM)?; // [n, 1]
            directions.push(rows.f_div(&norms)?);
            sums.push(Sums::of_all(&shown(plan, gathered.output)?.acts)?);
        }
        Ok(Self { site, gathered, directions, sums })
    }

    /// The SAEs in which those of SAE `i` are looked for.
    fn others(&self, i: usize) -> Vec<usize> {
        let n = self.site.neighbours;
        let around = i.saturating_sub(n)..(i + n + 1).min(self.site.plans.len());
        around.filter(|other| *other != i).collect()
    }

    /// Finds the neighbours of all features of SAE `i`, and writes them in the blocks of its bundle.
    pub fn write(&self, i: usize, writer: &mut BundleWriter) -> Result<()> {
        let others = self.others(i);
        if others.is_empty() {
            return Ok(());
        }
        let plan = &self.site.plans[i];
        let empty =
            |feature: &u32| FeatureNeighbours { feature: *feature, of: Vec::with_capacity(others.len()) };
        let mut all: Vec<FeatureNeighbours> = plan.features.iter().map(empty).collect();
        for &other in &others {
            for (feature, found) in all.iter_mut().zip(self.between(i, other)?) {
                feature.of.push(found);
            }
        }
        let bundles: Vec<String> = others.iter().map(|other| self.site.names[*other].clone()).collect();
        let mut all = all.into_iter().peekable();
        for (block, info) in writer.blocks().to_vec().into_iter().enumerate() {
            let features = std::iter::from_fn(|| all.next_if(|entry| entry.feature <= info.last)).collect();
            writer.neighbours(block, &Neighbours { bundles: bundles.clone(), features })?;
        }
        Ok(())
    }

    /// The neighbours of each feature of SAE `i` in SAE `other`.
    fn between(&self, i: usize, other: usize) -> Result<Vec<BundleNeighbours>> {
        let (plan, with) = (&self.site.plans[i], &self.site.plans[other]);
        let by_direction = self.by_direction(i, other)?;
        let [acts, acts_with] =
            [plan, with].map(|plan| shown(plan, self.gathered.output).map(|sae| &sae.acts));
        let (acts, acts_with) = (acts?, acts_with?);
        let mut products = Products::new(acts, acts_with);
        let (n, n_positions) = (plan.features.len(), self.gathered.corpus.rows.n_positions());
        let (sums, sums_with) = (&self.sums[i], &self.sums[other]);
        let mut all = Vec::with_capacity(n);
        for rows in ranges(n, rows_at_once(n, with.features.len())) {
            interrupt::check()?;
            products.compute(rows.clone())?;
            let of_one = |f: usize| {
                let name = |g: usize| with.features[g];
                let (x, products) = ((sums[f], None), products.row(f));
                let found = partners(x, products, sums_with, n_positions, N_NEIGHBOURS, name);
                let neighbour = |found: &Correlated| Neighbour { feature: found.index, value: found.pearson };
                let by_activation = found.iter().map(neighbour).collect();
                BundleNeighbours { by_direction: by_direction[f].clone(), by_activation }
            };
            all.par_extend(rows.into_par_iter().map(of_one));
        }
        Ok(all)
    }

    /// The features of SAE `other` with the largest cosine, for each feature of SAE `i`.
    fn by_direction(&self, i: usize, other: usize) -> Result<Vec<Vec<Neighbour>>> {
        let with = &self.site.plans[other];
        let others = self.directions[other].f_tr()?; // [d_model, n_other]
        let k = N_NEIGHBOURS.min(with.features.len());
        let n = self.site.plans[i].features.len();
        let mut all = Vec::with_capacity(n);
        for rows in ranges(n, COSINES_BYTES / (4 * with.features.len().max(1))) {
            interrupt::check()?;
            let own = self.directions[i].f_narrow(0, rows.start as i64, rows.len() as i64)?;
            let cosines = own.f_matmul(&others)?; // [rows, n_other]
            let (values, found) = cosines.f_topk(k as i64, 1, true, true)?; // [rows, k]
            let values =
                Vec::<f32>::try_from(values.f_to_kind(Kind::Float)?.f_to(Device::Cpu)?.f_flatten(0, 1)?)?;
            let found = Vec::<i64>::try_from(found.f_to(Device::Cpu)?.f_flatten(0, 1)?)?;
            let neighbours: Vec<Neighbour> = found
                .iter()
                .zip(&values)
                .map(|(g, value)| Neighbour { feature: with.features[*g as usize], value: *value })
                .collect();
            all.extend(neighbours.chunks(k.max(1)).map(<[Neighbour]>::to_vec));
        }
        Ok(all)
    }
}

/// `0..n` in ranges of `at_once`.
fn ranges(n: usize, at_once: usize) -> impl Iterator<Item = Range<usize>> {
    let at_once = at_once.max(1);
    (0..n).step_by(at_once).map(move |first| first..(first + at_once).min(n))
}

/// The most memory that a site's neighbours take while they are found; nothing of one SAE.
pub fn bytes(plans: &[Plan]) -> usize {
    if plans.len() < 2 {
        return 0;
    }
    let d_model = plans.first().map_or(0, |plan| plan.input.model_config.d_model as usize);
    let n: usize = plans.iter().map(|plan| plan.features.len()).sum();
    COSINES_BYTES + 4 * n * d_model
}
