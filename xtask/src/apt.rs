//! Installs Debian packages, where that is possible without asking.

use crate::steps;
use anyhow::{Context as _, Result, bail};
use harness::browser::find::on_path;
use std::process::Command;

/// Installs `packages` with apt, as root or through a sudo that asks for no password.
pub fn install(packages: &[&str]) -> Result<()> {
    let names = packages.join(" ");
    if on_path("apt-get").is_none() {
        bail!("this system has no apt-get: install the equivalent of Debian's {names} and run this again");
    }
    let sudo = !is_root()?;
    if sudo && on_path("sudo").is_none() {
        bail!("installing needs root: run `apt-get install {names}` as root and run this again");
    }
    let advice = || format!("run `apt-get install {names}` as root and run this again");
    steps::run(&mut apt(sudo, &["update", "-qq"])).with_context(advice)?;
    let mut args = vec!["install", "-y", "-qq", "--no-install-recommends"];
    args.extend(packages);
    steps::run(&mut apt(sudo, &args)).with_context(advice)
}

/// An apt-get command that asks nothing.
fn apt(sudo: bool, args: &[&str]) -> Command {
    let mut words: Vec<&str> = if sudo { vec!["sudo", "-n", "env"] } else { vec!["env"] };
    words.extend(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    words.extend(args);
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command
}

fn is_root() -> Result<bool> {
    Ok(steps::read(Command::new("id").arg("-u"))?.trim() == "0")
}
