//! Long work on a thread of its own, beside the threads that serve requests.
//!
//! actix-web's `web::block` and tokio's `spawn_blocking` do not fit: they panic if the system refuses a thread.

use std::io;
use std::thread;

use tokio::sync::oneshot;

/// Starts the work. The receiver gets its result, or an error if the work panics.
///
/// # Errors
/// The system refuses the thread.
pub(crate) fn start<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<T>> {
    #[cfg(test)]
    if REFUSED.get() {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    let (done, result) = oneshot::channel();
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || drop(done.send(work())))?;
    Ok(result)
}

#[cfg(test)]
thread_local! {
    /// Whether the threads that this thread starts are refused.
    pub(crate) static REFUSED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}
