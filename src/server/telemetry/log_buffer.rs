//! The log's lines on their way to stderr: written by a thread of their own, so that a request never waits for
//! whatever reads the log. A paused terminal, or a full pipe to a log collector, would otherwise stop the service.
//!
//! tracing-appender does not fit: if stderr is stuck at the end, it prints to stdout, which is often the same pipe.

use std::io::{self, ErrorKind, Write};
use std::mem;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Lines that wait to be written, up to [`MOST_BYTES`]. Later ones are lost, and counted.
#[derive(Debug, Default)]
pub(super) struct LogBuffer {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    text: Vec<u8>,
    is_writing: bool,
    lost: u64,
}

impl LogBuffer {
    /// Starts the thread that writes to `output`. After lines were lost, it calls `report` with their number as soon as
    /// it could write again.
    pub(super) fn write_to(
        self: &Arc<Self>,
        mut output: impl Write + Send + 'static,
        report: impl Fn(u64) + Send + 'static,
    ) -> io::Result<()> {
        let buffer = self.clone();
        let write = move || {
            let (mut text, mut reported) = (Vec::new(), 0);
            loop {
                let lost = buffer.take(&mut text);
                let failed = write_whole(&mut output, &text);
                if failed > 0 {
                    buffer.waiting.lock().lost += failed;
                } else if lost > reported {
                    report(lost - reported);
                    reported = lost;
                }
            }
        };
        thread::Builder::new()
            .name("wechat-log".to_owned())
            .spawn(write)?;
        Ok(())
    }

    /// Waits for lines and moves them to `text`. Returns how many have been lost so far.
    fn take(&self, text: &mut Vec<u8>) -> u64 {
        text.clear();
        text.shrink_to(KEPT_BYTES);
        let mut waiting = self.waiting.lock();
        waiting.is_writing = false;
        self.changed.notify_all();
        self.changed
            .wait_while(&mut waiting, |waiting| waiting.text.is_empty());
        waiting.is_writing = true;
        mem::swap(&mut waiting.text, text);
        waiting.lost
    }

    /// Adds a line, or loses it.
    fn add(&self, line: &[u8]) {
        let mut waiting = self.waiting.lock();
        if waiting.text.len() + line.len() > MOST_BYTES {
            waiting.lost += 1;
            return;
        }
        waiting.text.extend_from_slice(line);
        drop(waiting);
        self.changed.notify_all();
    }

    /// Returns how many lines have been lost.
    pub(super) fn lost(&self) -> u64 {
        self.waiting.lock().lost
    }

    /// Waits until all lines are written, at most [`LAST_LINES`].
    pub(super) fn flush(&self) {
        let mut waiting = self.waiting.lock();
        let is_busy = |waiting: &mut Waiting| waiting.is_writing || !waiting.text.is_empty();
        self.changed
            .wait_while_for(&mut waiting, is_busy, LAST_LINES);
    }
}

/// Writes the text, and returns how many of its lines an error lost: a line must not wait for a disk to have room.
fn write_whole(output: &mut impl Write, mut text: &[u8]) -> u64 {
    while !text.is_empty() {
        match output.write(text) {
            Ok(count @ 1..) => text = &text[count..],
            // Another program may have put the shared pipe or terminal into this mode.
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(PAUSE),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => break,
        }
    }
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// Adds lines to the buffer. One call of `write` is a whole line.
pub(super) struct Lines(pub(super) Arc<LogBuffer>);

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Some five thousand lines: a few seconds of a busy log.
const MOST_BYTES: usize = 1_024 * 1_024;

/// Bytes of a buffer that are kept for the next lines.
const KEPT_BYTES: usize = 16 * 1_024;

/// Between two attempts to write to a full pipe that does not block.
const PAUSE: Duration = Duration::from_millis(10);

/// How long the end of the process waits for a log that is not read.
const LAST_LINES: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// An output that writes each text once it is told to.
    struct Gate(Sender<String>, Receiver<()>);

    impl Write for Gate {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(String::from_utf8(text.to_vec()).unwrap());
            let _ = self.1.recv();
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// An output that gives these results in turn.
    struct Replies(Vec<io::Result<usize>>, Vec<u8>);

    impl Write for Replies {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let count = self.0.remove(0)?.min(text.len());
            self.1.extend_from_slice(&text[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_pipe_that_does_not_block_is_waited_for_and_an_error_loses_what_is_left() {
        let full = || Err(ErrorKind::WouldBlock.into());
        let mut pipe = Replies(vec![Ok(3), full(), full(), Ok(99)], Vec::new());
        assert_eq!(write_whole(&mut pipe, b"first\nsecond\n"), 0);
        assert_eq!(pipe.1, b"first\nsecond\n");
        let mut disk = Replies(vec![Ok(8), Err(ErrorKind::StorageFull.into())], Vec::new());
        assert_eq!(write_whole(&mut disk, b"first\nsecond\nthird\n"), 2);
    }

    #[test]
    fn lines_that_find_no_room_are_lost_counted_and_reported_once_it_is_read_again() {
        let buffer = Arc::new(LogBuffer::default());
        let ((written, texts), (open, gate)) = (channel(), channel());
        let (reports, reported) = channel();
        let report = move |lost| reports.send(lost).unwrap();
        buffer.write_to(Gate(written, gate), report).unwrap();
        let mut lines = Lines(buffer.clone());
        lines.write_all(b"first\n").unwrap();
        assert_eq!(texts.recv().unwrap(), "first\n", "and its reader stops");
        let line = [b'x'; 1_024];
        for _ in 0..MOST_BYTES / line.len() + 7 {
            lines.write_all(&line).unwrap();
        }
        assert_eq!(buffer.lost(), 7);
        open.send(()).unwrap();
        assert_eq!(texts.recv().unwrap().len(), MOST_BYTES, "in order, whole");
        assert!(reported.try_recv().is_err(), "not written yet");
        open.send(()).unwrap();
        assert_eq!(reported.recv().unwrap(), 7);
        lines.write_all(b"last\n").unwrap();
        assert_eq!(texts.recv().unwrap(), "last\n");
        drop(open);
        buffer.flush();
        assert!(
            !buffer.waiting.lock().is_writing,
            "flush waits for the writer"
        );
        assert!(reported.try_recv().is_err(), "each loss is reported once");
    }
}
