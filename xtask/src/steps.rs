//! Named steps: each says what it does, and how long it took.

use anyhow::{Context as _, Result, bail};
use std::{
    io::{self, Write as _},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// The steps of one command, with their times.
#[derive(Debug)]
pub struct Steps {
    start: Instant,
    done: Vec<(&'static str, Duration)>,
}

impl Steps {
    /// Starts the clock.
    pub fn new() -> Self {
        Self { start: Instant::now(), done: Vec::new() }
    }

    /// Runs one step under its name; `about` says what happens and how long it may take.
    pub fn run<T>(&mut self, name: &'static str, about: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("==> {name}: {about}");
        // The line must stand before whatever the step's own programs print.
        io::stdout().flush()?;
        let start = Instant::now();
        let value = step().with_context(|| format!("step \"{name}\" failed"))?;
        self.done.push((name, start.elapsed()));
        Ok(value)
    }

    /// Prints the time each step took.
    pub fn summary(&self) {
        println!();
        for (name, time) in &self.done {
            println!("{:>9.1} s  {name}", time.as_secs_f64());
        }
        println!("{:>9.1} s  in all", self.start.elapsed().as_secs_f64());
    }
}

/// Runs a program to its end, without input, its output going to the terminal.
pub fn run(command: &mut Command) -> Result<()> {
    let line = line_of(command);
    let status =
        command.stdin(Stdio::null()).status().with_context(|| format!("could not start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` ended with {status}");
    }
    Ok(())
}

/// Runs a program to its end and gives back what it printed; its complaints become the error.
pub fn read(command: &mut Command) -> Result<String> {
    let line = line_of(command);
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("could not start `{line}`"))?;
    if !output.status.success() {
        bail!("`{line}` ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A command as a reader would type it.
fn line_of(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_step_is_named_in_the_error() {
        let error =
            Steps::new().run("lints", "clippy", || -> Result<()> { bail!("3 warnings") }).unwrap_err();
        assert_eq!(format!("{error:#}"), "step \"lints\" failed: 3 warnings");
    }

    #[test]
    fn a_missing_program_is_named_in_the_error() {
        let error = run(Command::new("no-program-has-this-name").arg("-x")).unwrap_err();
        assert_eq!(error.to_string(), "could not start `no-program-has-this-name -x`");
    }
}
