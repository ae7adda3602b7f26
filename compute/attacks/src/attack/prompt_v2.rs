//! Tries any bytes as a prompt of schema 2, or as the list of prompts by the first byte.

use shared::prompt::{Prompt, PromptIndex};

use super::good::{self, Schema};
use super::prompt;
use crate::verdict::{Outcome, outcome};

pub fn attack(bytes: &[u8]) -> Outcome {
    let (first, plain) = bytes.split_first().map_or((0, bytes), |(first, rest)| (*first, rest));
    if first == 1 {
        return outcome(good::read::<PromptIndex>(Schema::Two, plain));
    }
    let read = good::read::<Prompt>(Schema::Two, plain);
    read.iter().for_each(prompt::show);
    outcome(read)
}

pub fn seeds() -> Vec<Vec<u8>> {
    let file = |first: u8, path: &str| [&[first], &good::of_v2(path)[..]].concat();
    vec![file(0, "prompts/0000.bin"), file(1, "prompts/index.bin")]
}
