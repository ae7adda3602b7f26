//! The blind test: windows in which a feature fires, and windows of the same rows in which it does not, in one order.

use shared::sequence::{Sequences, TokenView};

/// Tokens on either side of the middle one.
pub const REACH: u32 = 8;
/// Windows of each kind, at most.
const N_EACH: usize = 6;

/// A window to be judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Corpus row.
    pub row: u32,
    /// Position of its middle token.
    pub position: u32,
    /// Its tokens, with activations.
    pub tokens: Vec<TokenView>,
    /// Whether the feature fires in it.
    pub fires: bool,
}

/// Draws windows: examples whatever their group, and as many of the same rows that no active position is near. `ids` gives a
/// row's tokens, `random` a number in [0, 1). Empty where there is not one of each kind.
pub fn windows<'a>(
    sequences: &Sequences,
    ids: impl Fn(u32) -> Option<&'a [u32]>,
    mut random: impl FnMut() -> f64,
) -> Vec<Window> {
    let mut seen: Vec<Vec<u32>> = Vec::new();
    // Equal windows are asked once.
    let mut is_new = move |window: &Window| {
        let ids: Vec<u32> = window.tokens.iter().map(|t| t.token_id).collect();
        let new = !seen.contains(&ids);
        seen.push(ids);
        new
    };
    let (mut firing, mut silent) = (Vec::new(), Vec::new());
    let mut examples: Vec<(u32, u32)> = sequences.bold_tokens().collect();
    shuffle(&mut examples, &mut random);
    for (row, position) in examples {
        let Some(whole) = ids(row).map(|ids| sequences.row_acts.tokens(row, 0, ids)) else { continue };
        let fires = around(&whole, row, position);
        if whole.get(position as usize).is_some_and(|t| t.act != 0.0)
            && firing.len() < N_EACH
            && is_new(&fires)
        {
            firing.push(fires);
        }
        if silent.len() < N_EACH {
            let position = (random() * whole.len() as f64) as u32;
            let window = around(&whole, row, position);
            if window.tokens.iter().all(|t| t.act == 0.0) && is_new(&window) {
                silent.push(window);
            }
        }
    }
    let n = firing.len().min(silent.len());
    firing.truncate(n);
    silent.truncate(n);
    firing.append(&mut silent);
    shuffle(&mut firing, &mut random);
    firing
}

fn around(whole: &[TokenView], row: u32, position: u32) -> Window {
    let range = position.saturating_sub(REACH) as usize..((position + REACH + 1) as usize).min(whole.len());
    let tokens = whole.get(range).unwrap_or_default().to_vec();
    let fires = tokens.iter().any(|t| t.act != 0.0);
    Window { row, position, tokens, fires }
}

/// Puts `items` in a random order (Fisher and Yates).
fn shuffle<T>(items: &mut [T], random: &mut impl FnMut() -> f64) {
    for i in (1..items.len()).rev() {
        items.swap(i, ((random() * (i + 1) as f64) as usize).min(i));
    }
}

#[cfg(test)]
mod tests {
    use shared::{ascending::Ascending, decimals::Decimals, sequence::RowActs};

    use super::*;

    /// Rows of 64 distinct tokens; the feature is active at position 5 of each.
    fn sequences(n_rows: u32) -> Sequences {
        Sequences {
            rows: (0..n_rows).collect(),
            positions: vec![5; n_rows as usize],
            row_acts: RowActs {
                rows: Ascending::from((0..n_rows).collect::<Vec<u32>>()),
                row_len: 64,
                active: Ascending::from((0..n_rows).map(|r| r * 64 + 5).collect::<Vec<u32>>()),
                acts: Decimals::to_scale(vec![1.0; n_rows as usize]),
                ..RowActs::default()
            },
            ..Sequences::default()
        }
    }

    fn drawn(n_rows: u32) -> Vec<Window> {
        let rows: Vec<Vec<u32>> = (0..n_rows).map(|r| (r * 64..(r + 1) * 64).collect()).collect();
        let mut state = 1u64;
        let random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        windows(&sequences(n_rows), |row| rows.get(row as usize).map(Vec::as_slice), random)
    }

    #[test]
    fn as_many_fire_as_do_not_and_those_that_do_not_are_silent_throughout() {
        let windows = drawn(40);
        let firing = windows.iter().filter(|w| w.fires).count();
        assert_eq!((firing, windows.len()), (N_EACH, 2 * N_EACH));
        assert!(windows.iter().filter(|w| !w.fires).all(|w| w.tokens.iter().all(|t| t.act == 0.0)));
        assert!(windows.iter().filter(|w| w.fires).all(|w| w.position == 5));
    }

    #[test]
    fn a_feature_without_examples_has_no_test() {
        assert!(drawn(0).is_empty());
    }
}
