//! Tries any bytes as the values that files are made of: columns of decimals, ascending numbers, lists, texts, options.

use shared::ascending::Ascending;
use shared::decimals::{Decimals, text};
use shared::wire::{Reader, Wire, WireError};

use super::good;
use crate::verdict::{Outcome, judged, outcome};

pub fn attack(bytes: &[u8]) -> Outcome {
    let decimals = value::<Decimals>(bytes);
    if let Some(decimals) = &decimals {
        let _texts: Vec<String> = decimals.values().take(8).map(|v| text(v, v)).collect();
        let _steps = decimals.clone().stepwise(3);
        let _lists = [0, 1].map(|i| decimals.list(i, 3).count());
    }
    let ascending = value::<Ascending>(bytes);
    assert!(ascending.is_none_or(|numbers| numbers.is_sorted_by(|a, b| a < b)), "numbers do not ascend");
    let _lists = (value::<Vec<(u32, String)>>(bytes), value::<Option<Vec<Vec<u64>>>>(bytes));
    let _numbers = (value::<(i32, i8)>(bytes), value::<(f32, f64)>(bytes));
    outcome(decimals)
}

/// The value that the bytes begin with, which has to come back as it was written.
fn value<T: Wire>(bytes: &[u8]) -> Option<T> {
    let read: Result<T, WireError> = T::read(&mut Reader::new(bytes));
    let value = judged(read)?;
    let once = good::written(&value);
    let again = T::read(&mut Reader::new(&once));
    assert!(again.is_ok_and(|again| good::written(&again) == once), "a value changes when it is written and read");
    Some(value)
}

pub fn seeds() -> Vec<Vec<u8>> {
    let decimals = Decimals::rounded([0.125, -3.5, 1e6], 3);
    vec![good::written(&decimals), good::written(&decimals.stepwise(2))]
}
