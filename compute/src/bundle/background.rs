//! Writes in the background: what is ready is encoded and written on a thread of its own, in the order in which it came.

use std::{
    sync::mpsc::{SyncSender, sync_channel},
    thread::{Scope, ScopedJoinHandle},
};

use anyhow::{Result, anyhow, bail};

use crate::interrupt;

/// Something to do to what is being written.
type Job<'a, W> = Box<dyn FnOnce(&mut W) -> Result<()> + Send + 'a>;

/// A thread that writes.
#[derive(Debug)]
pub struct BackgroundWriter<'scope, W> {
    jobs: SyncSender<Job<'scope, W>>,
    thread: ScopedJoinHandle<'scope, Result<W>>,
}

impl<'scope, W: Send + 'scope> BackgroundWriter<'scope, W> {
    /// Starts the thread, which has `writer` until [`BackgroundWriter::end`].
    pub fn begin(scope: &'scope Scope<'scope, '_>, mut writer: W) -> Self {
        // One job waits while one is done: what is not written yet stays small.
        let (jobs, receive) = sync_channel::<Job<'scope, W>>(1);
        let thread = scope.spawn(move || {
            receive.into_iter().try_for_each(|job| job(&mut writer))?;
            Ok(writer)
        });
        Self { jobs, thread }
    }

    /// Does `job` after those before it; waits while two are not done. Fails where the thread stopped, whose reason
    /// [`BackgroundWriter::end`] tells.
    pub fn then(&self, job: impl FnOnce(&mut W) -> Result<()> + Send + 'scope) -> Result<()> {
        interrupt::check()?;
        self.jobs.send(Box::new(job)).map_err(|_job| anyhow!("the thread that writes stopped"))
    }

    /// Waits until all is written; a failure to write is told rather than what came of it, `done`.
    pub fn end<T>(self, done: Result<T>) -> Result<(T, W)> {
        drop(self.jobs);
        let Ok(written) = self.thread.join() else { bail!("the thread that writes stopped") };
        let writer = written?;
        Ok((done?, writer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_done_in_the_order_in_which_they_came() {
        let all = std::thread::scope(|scope| {
            let writer = BackgroundWriter::begin(scope, Vec::new());
            let done = (0..100).try_for_each(|i| {
                writer.then(move |all: &mut Vec<i32>| {
                    all.push(i);
                    Ok(())
                })
            });
            writer.end(done).unwrap().1
        });
        assert_eq!(all, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_failure_to_write_is_what_the_run_tells() {
        let error = std::thread::scope(|scope| {
            let writer = BackgroundWriter::begin(scope, ());
            let done = (0..100).try_for_each(|_| writer.then(|()| bail!("the disk is full")));
            writer.end(done).unwrap_err()
        });
        assert_eq!(error.to_string(), "the disk is full");
    }
}
