//! The `chromedriver` process.

use anyhow::{Context as _, Result, bail};
use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

/// Ports that are tried.
const TRIES: u32 = 10;

/// A running chromedriver; dropping it ends it.
#[derive(Debug)]
pub(super) struct Driver {
    child: Child,
    port: u16,
}

impl Driver {
    /// Starts it on a port that the system chooses, and waits until it says which.
    ///
    /// It takes a free IPv6 port and wants the same one for IPv4, where another program may have it: then it ends, and
    /// another try gets another port.
    pub(super) fn start(program: &Path) -> Result<Self> {
        let mut said = String::new();
        for _ in 0..TRIES {
            match Self::attempt(program)? {
                Ok(driver) => return Ok(driver),
                Err(last) => said = last,
            }
        }
        bail!("chromedriver ended {TRIES} times without saying its port: {said} ({})", program.display())
    }

    /// Starts it once; gives back what it said where it ended instead.
    fn attempt(program: &Path) -> Result<Result<Self, String>> {
        let mut child = Command::new(program)
            .args(["--port=0", "--log-level=SEVERE"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("could not start {}", program.display()))?;
        let output = child.stdout.take();
        let mut driver = Self { child, port: 0 };
        let mut lines = BufReader::new(output.context("chromedriver has no output")?).lines();
        let mut said = Vec::new();
        for line in lines.by_ref() {
            let line = line?;
            if let Some(port) = port_in(&line) {
                driver.port = port;
                // Its later lines go nowhere, but it must not block on a full pipe.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(Ok(driver));
            }
            said.push(line);
        }
        Ok(Err(said.join("; ")))
    }

    /// Where it listens.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // It may have ended by itself, which is as well.
        self.child.kill().unwrap_or_default();
        self.child.wait().map(|_| ()).unwrap_or_default();
    }
}

/// The port in "ChromeDriver was started successfully on port 41507."
fn port_in(line: &str) -> Option<u16> {
    let (_, port) = line.split_once("started successfully on port ")?;
    port.trim_end_matches('.').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_from_the_starting_line() {
        assert_eq!(port_in("ChromeDriver was started successfully on port 41507."), Some(41507));
        assert_eq!(port_in("Starting ChromeDriver 156.0.8078.79 on port 0"), None);
    }
}
