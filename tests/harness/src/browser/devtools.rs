//! Chromium's DevTools protocol over a pipe: JSON messages that end with a zero byte.
//!
//! The protocol: <https://chromedevtools.github.io/devtools-protocol/>.

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Read, Write},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    time::Duration,
};

/// How long Chromium may take for one answer.
const TIMEOUT: Duration = Duration::from_mins(1);

/// What a page's session has reported, oldest first.
pub(super) type Events = Arc<Mutex<Vec<Event>>>;

/// Something that happened in a page.
#[derive(Debug)]
pub(super) struct Event {
    /// Such as `Log.entryAdded`.
    pub method: String,
    /// As the protocol defines them for the method.
    pub params: Value,
}

/// A connection to one Chromium, which any number of threads may use.
pub(super) struct Connection {
    requests: Mutex<Box<dyn Write + Send>>,
    state: Arc<Mutex<State>>,
}

/// Who waits for what.
#[derive(Default)]
struct State {
    last_id: u64,
    answers: HashMap<u64, mpsc::Sender<Value>>,
    sessions: HashMap<String, Events>,
    ended: bool,
}

impl Connection {
    /// Takes the two ends of the pipe; a thread of its own reads until Chromium ends.
    pub(super) fn new(requests: impl Write + Send + 'static, answers: impl Read + Send + 'static) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let of_reader = Arc::clone(&state);
        std::thread::spawn(move || {
            for message in BufReader::new(answers).split(0) {
                let Ok(message) = message else { break };
                lock(&of_reader).dispatch(serde_json::from_slice(&message).unwrap_or_default());
            }
            let mut state = lock(&of_reader);
            state.ended = true;
            // Whoever still waits sees that nothing will come.
            state.answers.clear();
        });
        Self { requests: Mutex::new(Box::new(requests)), state }
    }

    /// Whether Chromium has ended.
    pub(super) fn has_ended(&self) -> bool {
        lock(&self.state).ended
    }

    /// Sends a command, to the browser or to a page's session, and gives back its result.
    pub(super) fn call(&self, session: Option<&str>, method: &str, params: Value) -> Result<Value> {
        let (sender, receiver) = mpsc::channel();
        let id = {
            let mut state = lock(&self.state);
            if state.ended {
                bail!("Chromium has ended");
            }
            state.last_id += 1;
            let id = state.last_id;
            state.answers.insert(id, sender);
            id
        };
        let mut request = json!({ "id": id, "method": method });
        request["params"] = params;
        if let Some(session) = session {
            request["sessionId"] = session.into();
        }
        let mut bytes = request.to_string().into_bytes();
        bytes.push(0);
        lock(&self.requests).write_all(&bytes).context("Chromium takes no more commands")?;
        let answer = receiver.recv_timeout(TIMEOUT).map_err(|error| match error {
            RecvTimeoutError::Timeout => {
                anyhow!("Chromium did not answer {method} within {} s", TIMEOUT.as_secs())
            }
            RecvTimeoutError::Disconnected => anyhow!("Chromium ended during {method}"),
        })?;
        match answer.get("error") {
            Some(error) => {
                bail!("Chromium refused {method}: {}", error["message"].as_str().unwrap_or_default())
            }
            None => Ok(answer["result"].clone()),
        }
    }

    /// Where a session's events are collected from now on.
    pub(super) fn listen(&self, session: &str) -> Events {
        Arc::clone(lock(&self.state).sessions.entry(session.to_owned()).or_default())
    }

    /// Forgets a session.
    pub(super) fn forget(&self, session: &str) {
        lock(&self.state).sessions.remove(session);
    }
}

impl State {
    /// Gives a message to whom it concerns.
    fn dispatch(&mut self, message: Value) {
        if let Some(id) = message["id"].as_u64() {
            if let Some(waiting) = self.answers.remove(&id) {
                // Whoever stopped waiting has said so.
                waiting.send(message).unwrap_or_default();
            }
        } else if let Some(events) = message["sessionId"].as_str().and_then(|id| self.sessions.get(id)) {
            let method = message["method"].as_str().unwrap_or_default().to_owned();
            lock(events).push(Event { method, params: message["params"].clone() });
        }
    }
}

/// A lock that a failed test cannot break for the others.
pub(super) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_goes_to_its_command_and_an_event_to_its_session() {
        let (answers, mut browser) = std::io::pipe().unwrap();
        let connection = Connection::new(std::io::sink(), answers);
        let events = connection.listen("A");
        for message in [
            json!({ "method": "Log.entryAdded", "sessionId": "A", "params": { "n": 1 } }),
            json!({ "method": "Log.entryAdded", "sessionId": "B", "params": { "n": 2 } }),
        ] {
            browser.write_all(format!("{message}\0").as_bytes()).unwrap();
        }
        let first = std::thread::scope(|scope| {
            let first = scope.spawn(|| connection.call(Some("A"), "Runtime.evaluate", json!({})));
            while lock(&connection.state).answers.is_empty() {
                std::thread::yield_now();
            }
            browser.write_all(b"{\"id\": 1, \"result\": {\"value\": 3}}\0").unwrap();
            first.join().unwrap().unwrap()
        });
        assert_eq!(first["value"], 3);
        assert_eq!(lock(&events).iter().map(|e| e.params["n"].clone()).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn a_browser_that_ends_is_an_error_for_who_waits() {
        let (answers, browser) = std::io::pipe().unwrap();
        let connection = Connection::new(std::io::sink(), answers);
        drop(browser);
        let error = connection.call(None, "Browser.getVersion", json!({})).unwrap_err().to_string();
        assert!(error.starts_with("Chromium ended during") || error == "Chromium has ended", "{error}");
    }
}
