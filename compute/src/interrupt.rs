//! Ctrl-C and other requests to end: a command is asked to stop, and stops where nothing is half done.
//!
//! The first such signal only sets a flag, which long work looks at between its steps ([`check`]); what was begun is
//! then removed by its owner on the way out. A second one ends the program at once, but never while an output is being
//! put in its place ([`held_off`]). Signals that were ignored when the program started stay ignored: a shell's background
//! and `nohup` mean it.

use std::sync::{
    Arc, LazyLock, Mutex, MutexGuard, Once, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use anyhow::{Context as _, Result};
use signal_hook::{consts, flag, iterator::Signals, low_level};
use thiserror::Error;

use crate::output::system::ignores;

/// What asks a program to end: `kill`, a terminal's Ctrl-C and Ctrl-\, and a terminal that is closed.
const ENDING: [i32; 4] = [consts::SIGTERM, consts::SIGINT, consts::SIGQUIT, consts::SIGHUP];
/// What shells add to the number of the signal that ended a program.
const BY_SIGNAL: i32 = 128;

/// The signal that came last; 0 before any.
static RECEIVED: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);
/// Taken while an output is put in its place.
static PLACING: Mutex<()> = Mutex::new(());

/// The work was stopped by a signal.
#[derive(Debug, Error)]
#[error("interrupted")]
pub struct Interrupted;

/// From now on signals that would end the program ask it to stop.
pub fn listen() -> Result<()> {
    static LISTENING: Once = Once::new();
    let mut listening = Ok(());
    LISTENING.call_once(|| listening = begin().context("could not listen for Ctrl-C"));
    listening
}

fn begin() -> Result<()> {
    let heeded: Vec<i32> = ENDING.into_iter().filter(|signal| !ignores(*signal)).collect();
    for signal in &heeded {
        flag::register_usize(*signal, Arc::clone(&RECEIVED), *signal as usize)?;
    }
    let mut signals = Signals::new(&heeded)?;
    std::thread::spawn(move || {
        if let Some(again) = signals.forever().nth(1) {
            let _placed = held_off();
            low_level::exit(BY_SIGNAL + again);
        }
    });
    Ok(())
}

/// Fails once a signal has asked the program to stop.
pub fn check() -> Result<(), Interrupted> {
    if RECEIVED.load(Ordering::Relaxed) == 0 { Ok(()) } else { Err(Interrupted) }
}

/// The status to exit with where a signal asked the program to stop.
pub fn status() -> Option<i32> {
    match RECEIVED.load(Ordering::Relaxed) {
        0 => None,
        signal => Some(BY_SIGNAL + signal as i32),
    }
}

/// No signal ends the program until what is returned is dropped.
pub fn held_off() -> MutexGuard<'static, ()> {
    PLACING.lock().unwrap_or_else(PoisonError::into_inner)
}
