//! The one Chromium of this process, which all tests share: each has a context of its own, as a new profile would be.

use super::{
    devtools::{Connection, lock},
    find,
};
use anyhow::{Context as _, Result};
use serde_json::json;
use std::{
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

/// Chromium's switches: no window, no traffic of its own, and no page that rests while another is in front.
const SWITCHES: [&str; 15] = [
    "--headless",
    "--no-sandbox", // containers and root have no user namespaces to build a sandbox from
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--remote-debugging-pipe",
];

/// Runs Chromium on a new profile and removes that afterwards. Chromium reads commands from descriptor 3 and writes
/// answers to descriptor 4, which are the shell's input and output; it ends when this process closes them, or ends.
const SCRIPT: &str = r#"profile=$(mktemp -d) || exit
"$@" --user-data-dir="$profile" 3<&0 4>&1 </dev/null >/dev/null 2>&1
rm -rf "$profile""#;

/// The connection to the shared Chromium; it is started by the first test, and again where it has crashed.
pub(super) fn shared() -> Result<Arc<Connection>> {
    static SHARED: Mutex<Option<Arc<Connection>>> = Mutex::new(None);
    let mut shared = lock(&SHARED);
    if let Some(connection) = shared.as_ref().filter(|connection| !connection.has_ended()) {
        return Ok(Arc::clone(connection));
    }
    let connection = Arc::new(start()?);
    *shared = Some(Arc::clone(&connection));
    Ok(connection)
}

fn start() -> Result<Connection> {
    let program = find::chromium()?;
    let mut child = Command::new("sh")
        .args(["-c", SCRIPT, "sh"])
        .arg(&program)
        .args(SWITCHES)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("could not start Chromium ({})", program.display()))?;
    let requests = child.stdin.take().context("Chromium has no input")?;
    let answers = child.stdout.take().context("Chromium has no output")?;
    std::thread::spawn(move || child.wait());
    let connection = Connection::new(requests, answers);
    connection
        .call(None, "Browser.getVersion", json!({}))
        .with_context(|| format!("Chromium did not start ({})", program.display()))?;
    Ok(connection)
}
