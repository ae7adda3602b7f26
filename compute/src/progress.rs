//! What a run says of itself while it runs: bars with rate and time left on a terminal, plain lines elsewhere.

use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// Reports the stages of a run on standard error, and remembers how long each took.
#[derive(Debug)]
pub struct Progress {
    quiet: bool,
    bar: Option<ProgressBar>,
    stage: Option<(&'static str, Instant)>,
    /// Finished stages and their durations.
    pub stages: Vec<(&'static str, Duration)>,
}

impl Progress {
    /// Reports unless `quiet`.
    pub fn new(quiet: bool) -> Self {
        Self { quiet, bar: None, stage: None, stages: Vec::new() }
    }

    /// Whether nothing is reported.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Ends the current stage and begins `name`, of `n` steps called `unit`; 0 = not counted.
    pub fn begin(&mut self, name: &'static str, n: usize, unit: &'static str) {
        self.end();
        self.stage = Some((name, Instant::now()));
        if self.quiet {
            return;
        }
        if n > 0 && std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(n as u64);
            let style = "{prefix:<10} {bar:30} {pos}/{len} {msg}  {per_sec}  {eta} left";
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style);
            }
            bar.set_prefix(name);
            bar.set_message(unit);
            self.bar = Some(bar);
        } else {
            let count = if n > 0 { format!(": {n} {unit}") } else { String::new() };
            self.line(&format!("{name}{count}"));
        }
    }

    /// Reports that `n` steps of the current stage are done.
    pub fn at(&self, n: usize) {
        if let Some(bar) = &self.bar {
            bar.set_position(n as u64);
        }
    }

    /// Ends the current stage.
    pub fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if let Some((name, start)) = self.stage.take() {
            self.stages.push((name, start.elapsed()));
        }
    }

    /// Prints a line.
    pub fn line(&self, line: &str) {
        if !self.quiet {
            // A closed standard error is no reason to stop.
            writeln!(std::io::stderr(), "{line}").unwrap_or_default();
        }
    }
}
