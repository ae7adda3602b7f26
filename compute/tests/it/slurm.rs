//! A plan run by Slurm itself, started here as a cluster of one node: needs `slurmctld`, `slurmd`, `sbatch` and `munged`, and
//! root. `cargo xtask slurm` installs them and runs this.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use crate::tiny::{compute, files, reading, succeed};

/// Waits between looks at a daemon or a job.
const LOOK: Duration = Duration::from_millis(100);

/// A cluster of one node; its daemons end with it.
struct Cluster {
    folder: tempfile::TempDir,
    daemons: Vec<Child>,
}

impl Cluster {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Slurm's daemons refuse folders that others can write to.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let [state, spool] = ["state", "spool"].map(|name| folder.path().join(name));
        fs::create_dir(&state).unwrap();
        fs::create_dir(&spool).unwrap();
        let port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (at, controller, node) = (folder.path().display(), port(), port());
        let config = format!(
            "ClusterName=test\nSlurmctldHost=localhost\nSlurmUser=root\nSlurmdUser=root\nAuthType=auth/munge\n\
             AuthInfo=socket={at}/munge.socket\nCredType=cred/munge\nProctrackType=proctrack/linuxproc\n\
             TaskPlugin=task/none\nSelectType=select/cons_tres\nJobAcctGatherType=jobacct_gather/none\n\
             AccountingStorageType=accounting_storage/none\nReturnToService=2\nMpiDefault=none\n\
             SlurmctldPort={controller}\nSlurmdPort={node}\nStateSaveLocation={at}/state\nSlurmdSpoolDir={at}/spool\n\
             SlurmctldPidFile={at}/slurmctld.pid\nSlurmdPidFile={at}/slurmd.pid\n\
             NodeName=localhost NodeAddr=127.0.0.1 CPUs=2 RealMemory=2000 State=UNKNOWN\n\
             PartitionName=main Nodes=localhost Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO\n"
        );
        fs::write(folder.path().join("slurm.conf"), config).unwrap();
        let key = folder.path().join("munge.key");
        fs::write(&key, [7; 1024]).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o400)).unwrap();
        let mut this = Self { folder, daemons: Vec::new() };
        let at = |name: &str| this.folder.path().join(name).display().to_string();
        let munged = [
            "munged".to_owned(),
            "--foreground".to_owned(),
            "--force".to_owned(),
            format!("--key-file={}", at("munge.key")),
            format!("--socket={}", at("munge.socket")),
            format!("--pid-file={}", at("munged.pid")),
            format!("--log-file={}", at("munged.log")),
            format!("--seed-file={}", at("munged.seed")),
        ];
        let config = at("slurm.conf");
        let controller = ["slurmctld", "-D", "-f", &config].map(str::to_owned);
        let node = ["slurmd", "-D", "-f", &config, "-N", "localhost"].map(str::to_owned);
        this.daemon(&munged);
        this.wait("munged", |folder| folder.join("munge.socket").exists());
        this.daemon(&controller);
        this.daemon(&node);
        this.wait_for_node();
        this
    }

    fn daemon(&mut self, words: &[String]) {
        let log = fs::File::create(self.folder.path().join(format!("{}.out", words[0]))).unwrap();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.daemons.push(command.spawn().unwrap());
    }

    fn wait(&self, what: &str, is_there: impl Fn(&Path) -> bool) {
        for _ in 0..600 {
            if is_there(self.folder.path()) {
                return;
            }
            thread::sleep(LOOK);
        }
        let read = |name: &str| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        panic!("no {what}: {} {} {}", read("munged.out"), read("slurmctld.out"), read("slurmd.out"));
    }

    /// A command that speaks to this cluster.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("SLURM_CONF", self.folder.path().join("slurm.conf"));
        command
    }

    fn read(&self, program: &str, args: &[&str]) -> String {
        let output = self.command(program).args(args).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    fn wait_for_node(&self) {
        self.wait("idle node", |_| self.read("sinfo", &["-h", "-o", "%t"]).trim() == "idle");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for daemon in self.daemons.iter_mut().rev() {
            daemon.kill().unwrap_or_default();
            drop(daemon.wait());
        }
    }
}

/// `compute cluster slurm` on a plan.
fn slurm(cluster: &Cluster, folder: &Path) -> Command {
    let mut command = compute();
    command.env("SLURM_CONF", cluster.folder.path().join("slurm.conf"));
    command.args(["cluster", "slurm", "--mem", "400M", "--cpus-per-task", "1", "--plan"]).arg(folder);
    command
}

/// Processes that compute a shard of this plan.
fn shard_processes(folder: &Path) -> Vec<u32> {
    let plan = folder.display().to_string();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_shard = |pid: &u32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<_> = words.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
        words.get(1).is_some_and(|word| word == "shard") && words.iter().any(|word| *word == plan)
    };
    numbers.filter(is_shard).collect()
}

#[test]
#[ignore = "needs Slurm's daemons and root: cargo xtask slurm"]
fn slurm_runs_a_plan_and_what_was_killed_is_submitted_again() {
    let cluster = Cluster::start();
    let temp = tempfile::tempdir().unwrap();
    let [whole, folder, out]: [PathBuf; 3] = ["whole", "plan", "bundle"].map(|name| temp.path().join(name));
    succeed(reading(compute().args(["run", "-q"])).arg("--out").arg(&whole));
    let mut plan = compute();
    reading(plan.arg("plan")).arg("--out").arg(&out).arg("--plan").arg(&folder);
    succeed(plan.args(["--shards", "4", "--merges", "2"]));

    // One task is killed as soon as it runs: it fails alone, and what waits for it is cancelled.
    succeed(slurm(&cluster, &folder).arg("--submit"));
    cluster.wait("task to kill", |_| {
        let running = shard_processes(&folder);
        running.first().is_some_and(|pid| {
            Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success()
        })
    });
    cluster.wait("end of all jobs", |_| cluster.read("squeue", &["-h"]).trim().is_empty());
    assert!(!out.exists());
    let status =
        String::from_utf8(succeed(compute().arg("status").arg("--plan").arg(&folder)).stdout).unwrap();
    let not_done = status.lines().filter(|line| line.starts_with("shard") && line.contains(" 0 of")).count();
    assert_eq!(not_done, 1, "{status}");

    // The same command submits that one again, and what comes after.
    cluster.wait_for_node();
    let said = String::from_utf8(succeed(slurm(&cluster, &folder).arg("--wait")).stdout).unwrap();
    assert!(said.contains("finish        done"), "{said}");
    assert!(files(&out) == files(&whole));
    let said = String::from_utf8(succeed(slurm(&cluster, &folder).arg("--wait")).stdout).unwrap();
    assert_eq!(said, "all parts are done\n");
}
