//! Decides when a connection may read on: see [`crate::server::backpressure`].

use std::task::Context;

use super::{NEVER, State, TURN};

impl State {
    /// Returns how many bytes may be read now. `None`: no bytes; the connection is woken when that
    /// changes.
    pub(in crate::server) fn may_read(&self, context: &Context<'_>) -> Option<usize> {
        let (stuck, answering) = (self.stuck_since.get() != NEVER, self.answering.get() > 0);
        if !stuck {
            if self.turn_ended.replace(false) && !answering {
                self.read_budget.set(TURN);
            }
            let read_budget = self.read_budget.get();
            if read_budget > 0 {
                return Some(read_budget);
            }
        }
        self.wait(context);
        if stuck || answering {
            self.held.set(true);
        } else {
            // The bytes already read are processed first.
            context.waker().wake_by_ref();
        }
        None
    }

    pub(in crate::server) fn has_read(&self, count: usize) {
        let read_budget = self.read_budget.get();
        self.read_budget.set(read_budget.saturating_sub(count));
        let left = self.body_left.get();
        if left > 0 {
            self.body_left.set(left.saturating_sub(count as u64));
        }
        if self.drops_body() {
            self.end_after_body();
            return;
        }
        let is_passed_on = self.answering.get() > 0 && self.may_upload.get();
        if !is_passed_on && self.request_bytes.get() < MOST_HELD {
            self.count_bytes(|| self.request_bytes.set(self.request_bytes.get() + count));
        }
    }

    /// The request's bytes are not held any more.
    pub(super) fn release_bytes(&self) {
        self.count_bytes(|| self.request_bytes.set(0));
    }

    /// Returns the bytes of a request of which the client owes the rest. Another one waits for the application.
    pub(super) fn owed_bytes(&self) -> usize {
        match self.owes_request() {
            true => self.request_bytes.get(),
            false => 0,
        }
    }

    /// Makes a change of the connection's state, and corrects the worker's sum of bytes.
    fn count_bytes(&self, change: impl FnOnce()) {
        let others = self.held_bytes.get() - self.owed_bytes();
        change();
        self.held_bytes.set(others + self.owed_bytes());
    }

    /// Records that more was read than may be processed at once.
    pub(in crate::server) fn has_read_enough(&self) {
        self.read_budget.set(0);
    }

    pub(in crate::server) fn is_answering(&self) -> bool {
        self.answering.get() > 0
    }

    /// Records that all bytes read are processed or being answered, and that all output is sent.
    pub(in crate::server) fn end_turn(&self) {
        self.turn_ended.set(true);
        if self.has_answered.replace(false) {
            // The last bytes may have been sent before the end of the body was known.
            self.note_sent();
        }
        if self.held.get() && self.answering.get() == 0 {
            self.read_on();
        }
    }

    /// The application has received a request.
    /// `may_upload`: its body may take as long as its answer.
    pub(in crate::server) fn begin_answer(&self, may_upload: bool) {
        self.count_bytes(|| self.answering.set(self.answering.get() + 1));
        self.may_upload.set(may_upload);
        self.has_large_head
            .set(self.request_bytes.get() > LARGE_HEAD);
        self.begin_request();
    }

    /// Returns whether the connection shall end with the answer in progress: actix-http keeps the buffer
    /// that a large head needed as long as the connection.
    pub(in crate::server) fn has_large_head(&self) -> bool {
        self.has_large_head.get()
    }

    /// The application has answered it, and its answer's body has been taken.
    pub(in crate::server) fn end_answer(&self) {
        self.release_bytes();
        self.answering.set(self.answering.get() - 1);
        self.awaits_body.set(false);
        self.has_answered.set(true);
        self.end_after_body();
    }

    /// The request has a body. `length`: as declared, or 0. `is_endless`: actix-http takes all further bytes of the
    /// connection for the body.
    pub(in crate::server) fn expects_body(&self, length: u64, is_endless: bool) {
        self.body_left.set(length);
        self.leaves_body.set(is_endless);
    }

    /// Called when the answer begins. Returns whether it is the last one, because a part of the body was not read.
    pub(in crate::server) fn leaves_body(&self) -> bool {
        let leaves = self.leaves_body.get() || self.body_left.get() > 0;
        self.leaves_body.set(leaves);
        leaves
    }

    /// Returns whether the request is answered, and bytes of its body are read only to be dropped.
    pub(super) fn drops_body(&self) -> bool {
        self.leaves_body.get() && self.answering.get() == 0
    }

    /// actix-http waits for the client's end, so it has to see one.
    fn end_after_body(&self) {
        if self.drops_body() && self.body_left.get() == 0 {
            self.closing.set(true);
        }
    }

    /// The application has consumed the request's body so far, and waits for more.
    pub(in crate::server) fn wants_body(&self) {
        self.count_bytes(|| self.awaits_body.set(true));
        self.read_budget.set(BODY_TURN);
        self.read_on();
    }

    /// The application has got a part of the body, or does not need it any more.
    pub(in crate::server) fn has_body(&self) {
        self.count_bytes(|| self.awaits_body.set(false));
    }

    /// The application has got the end of the body.
    pub(in crate::server) fn has_whole_body(&self) {
        self.has_body();
        self.body_left.set(0);
    }

    fn read_on(&self) {
        if self.held.replace(false) {
            self.wake();
        }
    }
}

/// Bytes of a body that are read before they are processed. The gateway's HTTP client queues up to four such pieces.
const BODY_TURN: usize = 8 * 1_024;

/// More than the longest head and body together: bytes beyond it are drained, not held.
const MOST_HELD: usize = 256 * 1_024;

/// Bytes of a head after which the connection is not kept. Browsers send up to 8 KiB of cookies.
const LARGE_HEAD: usize = 12 * 1_024;
