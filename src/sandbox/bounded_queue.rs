//! Queues that keep their newest entries only.

use std::collections::VecDeque;

/// Adds an entry to a queue with the newest first.
pub(super) fn push_front<T>(queue: &mut VecDeque<T>, newest: T, most: usize) {
    queue.truncate(most - 1);
    queue.push_front(newest);
}

/// Adds an entry to a queue with the newest last.
pub(super) fn push_back<T>(queue: &mut VecDeque<T>, newest: T, most: usize) {
    if queue.len() == most {
        queue.pop_front();
    }
    queue.push_back(newest);
}
