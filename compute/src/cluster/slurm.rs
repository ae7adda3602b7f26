//! A plan's parts as Slurm jobs: an array of shards, an array of merges after it, the finish after that.
//!
//! Scripts are written to the plan's folder, to be read before they are submitted. Only parts that are not done are in
//! them, so what failed is submitted again by the same command.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    PlanFolder,
    status::{self, PartStatus},
};

/// What every job asks for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Options of `sbatch`, such as `--partition=gpu`.
    pub options: Vec<String>,
    /// Tasks of an array that run at once, at most.
    pub array_limit: Option<usize>,
    /// Environment modules to load.
    pub modules: Vec<String>,
}

/// A job's script.
#[derive(Debug)]
pub struct Script {
    /// `shard`, `merge` or `finish`.
    pub name: &'static str,
    /// Where it lies.
    pub path: PathBuf,
}

/// Writes the scripts of what is not done, in the order in which they run.
///
/// - `program`: this program's path on the nodes
pub fn write(folder: &PlanFolder, program: &Path, request: &Request) -> Result<Vec<Script>> {
    let scripts = folder.folder().join("slurm");
    for path in [&scripts, &folder.folder().join("logs")] {
        fs::create_dir_all(path).with_context(|| format!("could not make ({})", path.display()))?;
    }
    let mut all = Vec::new();
    let mut add = |name: &'static str, tasks: Option<Vec<usize>>| -> Result<()> {
        if tasks.as_ref().is_some_and(Vec::is_empty) {
            return Ok(());
        }
        let path = scripts.join(format!("{name}.sh"));
        let text = script(folder, program, request, (name, tasks.as_deref()))?;
        fs::write(&path, text).with_context(|| format!("could not write ({})", path.display()))?;
        all.push(Script { name, path });
        Ok(())
    };
    add("shard", Some(missing(&status::shards(folder))))?;
    add("merge", Some(missing(&status::merges(folder))))?;
    if !status::is_finished(folder) {
        add("finish", None)?;
    }
    Ok(all)
}

fn missing(parts: &[PartStatus]) -> Vec<usize> {
    parts.iter().enumerate().filter(|(_, part)| !part.is_done()).map(|(i, _)| i).collect()
}

fn script(
    folder: &PlanFolder,
    program: &Path,
    request: &Request,
    (name, tasks): (&str, Option<&[usize]>),
) -> Result<String> {
    let mut text = String::from("#!/bin/bash\n");
    writeln!(text, "#SBATCH --job-name=sae-vis-{name}")?;
    let logs = plain(&folder.folder().join("logs"))?;
    let task = if tasks.is_some() { "%a" } else { "0" };
    writeln!(text, "#SBATCH --output={}/{name}-{task}.log", logs.replace(' ', "\\ "))?;
    if let Some(tasks) = tasks {
        let limit = request.array_limit.map(|n| format!("%{n}")).unwrap_or_default();
        writeln!(text, "#SBATCH --array={}{limit}", ranges(tasks))?;
    }
    for option in &request.options {
        ensure!(!option.contains(['\n', '\r']), "an option of sbatch has a line break: {option:?}");
        writeln!(text, "#SBATCH {option}")?;
    }
    writeln!(text, "set -eu")?;
    for module in &request.modules {
        writeln!(text, "module load {}", quoted(module))?;
    }
    let index = if tasks.is_some() { " --index \"$SLURM_ARRAY_TASK_ID\"" } else { "" };
    let (program, plan) = (quoted(&plain(program)?), quoted(&plain(folder.folder())?));
    writeln!(text, "exec {program} {name} --plan {plan}{index}")?;
    Ok(text)
}

/// Task numbers as Slurm writes them, `0-3,7`.
fn ranges(tasks: &[usize]) -> String {
    let runs = tasks.chunk_by(|a, b| a + 1 == *b).map(|run| match run {
        [only] => only.to_string(),
        run => format!("{}-{}", run[0], run[run.len() - 1]),
    });
    runs.collect::<Vec<_>>().join(",")
}

/// A path that a script's line can hold.
fn plain(path: &Path) -> Result<String> {
    let text = path.to_str().filter(|text| !text.contains(['\n', '\r', '%']));
    text.map(str::to_owned)
        .with_context(|| format!("a path with a line break or % fits no script ({})", path.display()))
}

/// The text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Submits the scripts, each after the one before it; with `wait` returns when the last has ended. Gives back the numbers
/// of the jobs.
pub fn submit(scripts: &[Script], wait: bool) -> Result<Vec<String>> {
    let mut jobs: Vec<String> = Vec::new();
    for (i, script) in scripts.iter().enumerate() {
        let mut sbatch = Command::new("sbatch");
        // One whose condition can no longer hold is cancelled: it would wait for ever.
        sbatch.args(["--parsable", "--kill-on-invalid-dep=yes"]);
        if let Some(before) = jobs.last() {
            sbatch.arg(format!("--dependency=afterok:{before}"));
        }
        let is_waited_for = wait && i + 1 == scripts.len();
        if is_waited_for {
            sbatch.arg("--wait");
        }
        sbatch.arg(&script.path).stdin(Stdio::null());
        let done = sbatch.output().context("could not start sbatch: is Slurm on this machine?")?;
        let (said, wrong) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        let job = said.trim().split(';').next().unwrap_or_default().to_owned();
        // One that was waited for may have failed: its log says why.
        if !done.status.success() && (!is_waited_for || job.is_empty()) {
            bail!("sbatch refused {}: {}", script.path.display(), wrong.trim());
        }
        ensure!(!job.is_empty(), "sbatch named no job: {said:?}");
        jobs.push(job);
    }
    Ok(jobs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_written_as_ranges() {
        assert_eq!(ranges(&[0, 1, 2, 5, 7, 8]), "0-2,5,7-8");
        assert_eq!(ranges(&[3]), "3");
    }

    #[test]
    fn a_path_is_one_word() {
        assert_eq!(quoted("it's here"), r"'it'\''s here'");
        assert!(plain(Path::new("a\nb")).is_err());
    }
}
