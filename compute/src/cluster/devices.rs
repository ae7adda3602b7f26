//! Parts side by side on the devices of one machine, each in a process of its own.

use std::{
    env,
    ops::Range,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{PlanFolder, status};
use crate::{interrupt, progress::Progress};

/// How often it is looked at how far the processes are.
const LOOK: Duration = Duration::from_millis(100);

/// Processes that end when they are dropped.
#[derive(Debug)]
struct Processes(Vec<(String, Child)>);

/// Fails unless `devices` are of one kind.
pub fn check(devices: &[String]) -> Result<()> {
    let is_gpu = |name: &String| name == "cuda" || name.starts_with("cuda:");
    let n_gpus = devices.iter().filter(|name| is_gpu(name)).count();
    let n_cpus = devices.iter().filter(|name| *name == "cpu").count();
    if let Some(other) = devices.iter().find(|name| !is_gpu(name) && *name != "cpu") {
        bail!("unknown device \"{other}\" in --devices: expected cpu or cuda:N, such as cuda:0,cuda:1");
    }
    ensure!(
        n_gpus == 0 || n_cpus == 0,
        "--devices names cpu and cuda, which compute other bits: name devices of one kind"
    );
    Ok(())
}

/// Computes parts `0..n` of the kind `name`, `shard` or `merge`, that are not there yet.
pub fn side_by_side(
    name: &'static str,
    n: usize,
    folder: &PlanFolder,
    devices: &[String],
    progress: &mut Progress,
) -> Result<()> {
    let program = env::current_exe().context("could not tell where this program is")?;
    let n_files = || -> (usize, usize) {
        let all = if name == "shard" { status::shards(folder) } else { status::merges(folder) };
        (all.iter().map(|part| part.n_done).sum(), all.iter().map(|part| part.n).sum())
    };
    let (_, n_all) = n_files();
    progress.begin(if name == "shard" { "shards" } else { "merges" }, n_all, "files");
    let mut processes = Processes(Vec::new());
    for (i, device) in devices.iter().enumerate() {
        let part = n * i / devices.len()..n * (i + 1) / devices.len();
        if part.is_empty() {
            continue;
        }
        let mut command = Command::new(&program);
        command
            .arg(name)
            .args(["--quiet", "--index", &range(&part)])
            .arg("--plan")
            .arg(folder.folder())
            .args(["--device", device]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        processes.0.push((device.clone(), child.context("could not start a process for a device")?));
    }
    while !processes.0.is_empty() {
        if let Some((device, child)) = processes.take_ended()? {
            let done = child.wait_with_output()?;
            let said = String::from_utf8_lossy(&done.stderr);
            let said = said.trim().trim_start_matches("compute: ");
            ensure!(
                done.status.success(),
                "{name} on {device} failed: {}",
                if said.is_empty() { "it was killed" } else { said }
            );
        } else {
            thread::sleep(LOOK);
        }
        progress.at(n_files().0);
        interrupt::check()?;
    }
    progress.end();
    Ok(())
}

fn range(part: &Range<usize>) -> String {
    format!("{}..{}", part.start, part.end)
}

impl Processes {
    /// Takes out one that has ended, if any has.
    fn take_ended(&mut self) -> Result<Option<(String, Child)>> {
        for i in 0..self.0.len() {
            if self.0[i].1.try_wait()?.is_some() {
                return Ok(Some(self.0.swap_remove(i)));
            }
        }
        Ok(None)
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for (_, child) in &mut self.0 {
            // They leave nothing half-written, whenever they end.
            child.kill().unwrap_or_default();
            child.wait().map(drop).unwrap_or_default();
        }
    }
}
