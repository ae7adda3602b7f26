//! Which features are active where, in memory: of a batch, of a range of positions, or of a range of features.
//!
//! In the order of positions, because that is how activations come and how correlations look for partners; in the order
//! of features, because that is how they are used. Nothing is stored for inactive features.

/// An active feature and its activation, side by side: they are read together, at random positions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Active {
    /// The feature.
    pub feature: u32,
    /// Its activation: above 0, or not 0 where the SAE is signed.
    pub act: f32,
}

/// Activations in the order of positions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ByPosition {
    n_features: usize,
    /// The position of the corpus that is the first here.
    first: u32,
    /// End of each position's entries.
    ends: Vec<usize>,
    entries: Vec<Active>,
}

/// Activations in the order of features.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ByFeature {
    /// End of each feature's entries.
    ends: Vec<u64>,
    /// Positions of the corpus, ascending within a feature.
    positions: Vec<u32>,
    acts: Vec<f32>,
}

/// Activations tested at once for any that is not zero: most groups of this size have none.
const LANES: usize = 16;

impl ByPosition {
    /// Nothing yet, of `n_features` features from position `first` on.
    pub fn new(n_features: usize, first: usize) -> Self {
        Self { n_features, first: first as u32, ends: Vec::new(), entries: Vec::new() }
    }

    /// Appends what is active at the next positions.
    ///
    /// - `dense`: `[n_pos, n_features]`, row-major; entries that are not 0 are kept
    pub fn extend_dense(&mut self, dense: &[f32]) {
        for acts in dense.chunks_exact(self.n_features.max(1)) {
            keep_active(acts, &mut self.entries);
            self.ends.push(self.entries.len());
        }
    }

    /// Appends the same from what was found active on a device.
    ///
    /// - `found`: where in `[n_pos, n_features]`, row-major, ascending
    /// - `acts`: the activations there
    pub fn extend_found(&mut self, n_pos: usize, found: &[i32], acts: &[f32]) {
        let mut entries = found.iter().zip(acts).peekable();
        for position in 0..n_pos {
            let start = position * self.n_features;
            let end = start + self.n_features;
            while let Some((&at, &act)) = entries.next_if(|(at, _)| (**at as usize) < end) {
                self.entries.push(Active { feature: (at as usize - start) as u32, act });
            }
            self.ends.push(self.entries.len());
        }
    }

    /// The first activation that is not a finite number: its position among those here, and its feature.
    pub fn first_not_finite(&self) -> Option<(usize, u32)> {
        let at = self.entries.iter().position(|entry| !entry.act.is_finite())?;
        Some((self.ends.partition_point(|end| *end <= at), self.entries[at].feature))
    }

    /// Takes the activations of `all` instead of those held, in the memory of those held.
    ///
    /// - `first`: the position of the corpus that is the first here; `n` positions in all
    pub fn take(&mut self, all: &ByFeature, first: usize, n: usize) {
        (self.n_features, self.first) = (all.n_features(), first as u32);
        let mut next = starts(all.positions.iter().map(|position| (position - self.first) as usize), n);
        self.ends.clear();
        self.ends.extend_from_slice(&next[1..]);
        self.entries.resize(all.n_active(), Active { feature: 0, act: 0.0 });
        for i in 0..all.n_features() {
            let (positions, acts) = all.of(i);
            for (&position, &act) in positions.iter().zip(acts) {
                let slot = &mut next[(position - self.first) as usize];
                self.entries[*slot] = Active { feature: i as u32, act };
                *slot += 1;
            }
        }
    }

    /// Number of features.
    pub fn n_features(&self) -> usize {
        self.n_features
    }

    /// The position of the corpus that is the first here.
    pub fn first(&self) -> usize {
        self.first as usize
    }

    /// Number of positions.
    pub fn n_positions(&self) -> usize {
        self.ends.len()
    }

    /// Number of stored activations.
    pub fn n_active(&self) -> usize {
        self.entries.len()
    }

    /// The active features at a position of the corpus, ascending, with their activations.
    pub fn at(&self, position: u32) -> &[Active] {
        let i = (position - self.first) as usize;
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.entries[start..self.ends[i]]
    }

    /// The same activations in the order of features: a counting sort, so positions ascend.
    pub fn by_feature(&self) -> ByFeature {
        let mut next = starts(self.entries.iter().map(|active| active.feature as usize), self.n_features);
        let ends = next[1..].iter().map(|end| *end as u64).collect();
        let (mut positions, mut acts) = (vec![0; self.n_active()], vec![0.0; self.n_active()]);
        for position in self.first..self.first + self.n_positions() as u32 {
            for active in self.at(position) {
                let slot = &mut next[active.feature as usize];
                (positions[*slot], acts[*slot]) = (position, active.act);
                *slot += 1;
            }
        }
        ByFeature { ends, positions, acts }
    }
}

/// Where the entries of each of `0..n` keys begin when they are sorted by key, and the number of all.
fn starts(keys: impl Iterator<Item = usize>, n: usize) -> Vec<usize> {
    let mut starts = vec![0usize; n + 1];
    for key in keys {
        starts[key + 1] += 1;
    }
    for i in 0..n {
        starts[i + 1] += starts[i];
    }
    starts
}

/// Appends the entries of one position that are not 0, those that are no numbers among them.
fn keep_active(acts: &[f32], entries: &mut Vec<Active>) {
    for (group, lanes) in acts.chunks(LANES).enumerate() {
        // Comparing bits rather than floats lets the compiler test all lanes at once.
        let any = lanes.iter().fold(0, |bits, a| bits | (a.to_bits() & 0x7fff_ffff));
        if any == 0 {
            continue;
        }
        for (lane, &act) in lanes.iter().enumerate() {
            if act != 0.0 {
                entries.push(Active { feature: (group * LANES + lane) as u32, act });
            }
        }
    }
}

impl ByFeature {
    /// Columns as they are stored: the end of each feature's entries, and the entries.
    pub(super) fn columns(&mut self) -> (&mut Vec<u64>, &mut Vec<u32>, &mut Vec<f32>) {
        (&mut self.ends, &mut self.positions, &mut self.acts)
    }

    /// The same, no longer in one.
    pub(super) fn into_columns(self) -> (Vec<u64>, Vec<u32>, Vec<f32>) {
        (self.ends, self.positions, self.acts)
    }

    /// Joins parts of the same features whose positions follow one another.
    pub fn joined(parts: &[Self]) -> Self {
        let n_active = parts.iter().map(Self::n_active).sum();
        let n_features = parts.first().map_or(0, Self::n_features);
        let mut all = Self {
            ends: Vec::with_capacity(n_features),
            positions: Vec::with_capacity(n_active),
            acts: Vec::with_capacity(n_active),
        };
        for i in 0..n_features {
            for part in parts {
                let (positions, acts) = part.of(i);
                all.positions.extend_from_slice(positions);
                all.acts.extend_from_slice(acts);
            }
            all.ends.push(all.positions.len() as u64);
        }
        all
    }

    /// Positions at which feature `i` is active, ascending, and its activations there.
    pub fn of(&self, i: usize) -> (&[u32], &[f32]) {
        let range = if i == 0 { 0 } else { self.ends[i - 1] as usize }..self.ends[i] as usize;
        (&self.positions[range.clone()], &self.acts[range])
    }

    /// Number of features.
    pub fn n_features(&self) -> usize {
        self.ends.len()
    }

    /// Number of stored activations.
    pub fn n_active(&self) -> usize {
        self.positions.len()
    }
}
