//! `cargo run --release -p attacks --bin mutations [-- READER ...]`: hands every small change of every good file to its reader, and prints
//! what came of them as a table.

#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use attacks::{Attack, Outcome, mutate};

/// What came of the changes of one reader's files.
#[derive(Default)]
struct Counts {
    inputs: u64,
    refused: u64,
    accepted: u64,
    panics: u64,
    slowest: Duration,
    peak: usize,
}

fn main() {
    println!("| reader | inputs | refused | accepted | panics | slowest, ms | most memory, KiB |");
    println!("|---|---|---|---|---|---|---|");
    let mut all = Counts::default();
    let named: Vec<String> = std::env::args().skip(1).collect();
    for attack in
        attacks::all().filter(|attack| named.is_empty() || named.iter().any(|name| name == attack.name))
    {
        let counts = counts(&attack);
        row(attack.name, &counts);
        all = Counts {
            inputs: all.inputs + counts.inputs,
            refused: all.refused + counts.refused,
            accepted: all.accepted + counts.accepted,
            panics: all.panics + counts.panics,
            slowest: all.slowest.max(counts.slowest),
            peak: all.peak.max(counts.peak),
        };
    }
    row("all", &all);
}

fn row(name: &str, counts: &Counts) {
    let Counts { inputs, refused, accepted, panics, slowest, peak } = counts;
    let (slowest, peak) = (slowest.as_secs_f64() * 1e3, peak.div_ceil(1024));
    println!("| {name} | {inputs} | {refused} | {accepted} | {panics} | {slowest:.1} | {peak} |");
}

fn counts(attack: &Attack) -> Counts {
    let mut counts = Counts::default();
    let seeds = attack.seeds();
    for (i, good) in seeds.iter().enumerate() {
        let other = &seeds[(i + 1) % seeds.len()];
        mutate::all(good, other, |input| {
            let start = Instant::now();
            let run = catch_unwind(AssertUnwindSafe(|| attack.run(input)));
            counts.inputs += 1;
            counts.slowest = counts.slowest.max(start.elapsed());
            match run {
                Ok(run) => {
                    counts.peak = counts.peak.max(run.peak);
                    match run.outcome {
                        Outcome::Accepted => counts.accepted += 1,
                        Outcome::Refused => counts.refused += 1,
                    }
                }
                Err(_panic) => counts.panics += 1,
            }
        });
    }
    counts
}
