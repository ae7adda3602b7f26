//! Prompts, computed one after another on a thread of their own.

use std::{
    path::Path,
    sync::mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel},
    thread,
};

use anyhow::{Context as _, Result, anyhow};
use shared::prompt::Prompt;
use tokio::sync::oneshot;

use crate::{
    bundle::Bundle,
    session::{Session, WeightOptions},
};

/// Prompts that wait, at most.
const MAX_WAITING: usize = 16;

/// A session that computes prompts.
#[derive(Debug, Clone)]
pub struct Live(SyncSender<Job>);

#[derive(Debug)]
struct Job {
    text: String,
    answer: oneshot::Sender<Result<Prompt>>,
}

/// Why a prompt was not computed.
#[derive(Debug)]
pub enum Refusal {
    /// Too many wait.
    Busy,
    /// It cannot be.
    Failed(anyhow::Error),
}

impl Live {
    /// Loads the weights that `options` name, and waits for them.
    pub fn start(bundle: &Path, options: WeightOptions) -> Result<Self> {
        let bundle = Bundle::open(bundle)?;
        let (jobs, todo) = sync_channel(MAX_WAITING);
        let (ready, loaded) = channel();
        thread::Builder::new()
            .name("prompts".to_owned())
            .spawn(move || {
                let _no_grad = tch::no_grad_guard();
                let session = Session::open(&options, &bundle);
                let told = match session {
                    Ok(session) => ready.send(Ok(())).map(|()| answer_all(&session, &todo)),
                    Err(error) => ready.send(Err(error)),
                };
                // Nobody listens once the server has ended.
                drop(told);
            })
            .context("could not start a thread")?;
        loaded.recv().context("the weights could not be loaded")??;
        Ok(Self(jobs))
    }

    /// The prompt `text`, computed.
    pub async fn compute(&self, text: String) -> Result<Prompt, Refusal> {
        let (answer, answered) = oneshot::channel();
        match self.0.try_send(Job { text, answer }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(Refusal::Busy),
            Err(TrySendError::Disconnected(_)) => return Err(Refusal::Failed(ended())),
        }
        match answered.await {
            Ok(answer) => answer.map_err(Refusal::Failed),
            Err(_) => Err(Refusal::Failed(ended())),
        }
    }
}

fn ended() -> anyhow::Error {
    anyhow!("what computes prompts has ended: start the server anew")
}

fn answer_all(session: &Session<'_>, todo: &Receiver<Job>) {
    for Job { text, answer } in todo {
        // Who asked may have gone.
        if answer.is_closed() {
            continue;
        }
        let computed = session.compute(&[text]);
        let computed =
            computed.and_then(|prompts| prompts.into_iter().next().context("no prompt was computed"));
        drop(answer.send(computed));
    }
}
