//! The log of the code under test, at `info`, as JSON lines.

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tracing::Subscriber;
use tracing::subscriber::{DefaultGuard, set_default, set_global_default};

/// What was logged since it listens.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Captures the log of this thread until the guard is dropped.
    pub(crate) fn listen(&self) -> DefaultGuard {
        set_default(self.subscriber())
    }

    /// Captures the log of all threads, for a test that is alone in its process.
    pub(crate) fn listen_everywhere(&self) {
        set_global_default(self.subscriber()).expect("the only one of its process");
    }

    fn subscriber(&self) -> impl Subscriber + use<> {
        let writer = self.clone();
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::INFO)
            .json()
            .flatten_event(true)
            .with_writer(move || writer.clone())
            .finish()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        self.text()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The lines with these words in their message.
    pub(crate) fn about(&self, words: &str) -> Vec<Value> {
        self.lines()
            .into_iter()
            .filter(|line| {
                line["message"]
                    .as_str()
                    .is_some_and(|message| message.contains(words))
            })
            .collect()
    }

    /// Forgets what was logged before.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap().clear();
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
