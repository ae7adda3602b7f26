//! Small changes of good files: each of a kind that a broken disk, a broken download or a bad mind makes.

/// Files up to this many bytes are cut at every byte, longer ones at as many places.
const MOST_CUTS: usize = 1024;
/// Places at which bytes are changed, at most.
const MOST_PLACES: usize = 1024;
/// What a number in text is replaced by.
const NUMBERS: [&str; 7] =
    ["0", "-1", "1e999", "4294967296", "9223372036854775807", "99999999999999999999", "null"];

/// Every change of `good`, and of `good` and `other` spliced together, given to `each`.
pub fn all(good: &[u8], other: &[u8], mut each: impl FnMut(&[u8])) {
    for end in places(good.len(), MOST_CUTS) {
        each(&good[..end]);
    }
    let mut changed = good.to_vec();
    for at in places(good.len(), MOST_PLACES) {
        for bit in 0..8 {
            changed[at] ^= 1 << bit;
            each(&changed);
            changed[at] = good[at];
        }
        lengths(good, &mut changed, at, &mut each);
    }
    for number in numbers(good) {
        for text in NUMBERS {
            each(&[&good[..number.start], text.as_bytes(), &good[number.end..]].concat());
        }
    }
    for at in places(good.len(), 64) {
        for from in places(other.len(), 64) {
            each(&[&good[..at], &other[from..]].concat());
        }
    }
}

/// Replaces what may be a length at `at`, of one to eight bytes, by 0, 1 less, 1 more, and the largest numbers.
fn lengths(good: &[u8], changed: &mut [u8], at: usize, each: &mut impl FnMut(&[u8])) {
    for width in [1, 2, 4, 8] {
        let Some(place) = good.get(at..at + width) else { return };
        let number = place.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        let largest = u64::MAX >> (64 - 8 * width);
        for value in [0, number.wrapping_sub(1), number.wrapping_add(1), largest / 2, largest] {
            changed[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
            each(changed);
        }
        changed[at..at + width].copy_from_slice(place);
    }
}

/// At most `most` places from 0 to `len`, spread evenly.
fn places(len: usize, most: usize) -> impl Iterator<Item = usize> {
    (0..len).step_by(len.div_ceil(most).max(1))
}

/// Where numbers stand, where the file is text.
fn numbers(good: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut numbers = Vec::new();
    let mut at = 0;
    while std::str::from_utf8(good).is_ok() && at < good.len() {
        let n = good[at..].iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
        if n > 0 && numbers.len() < MOST_PLACES {
            numbers.push(at..at + n);
        }
        at += n + 1;
    }
    numbers
}
