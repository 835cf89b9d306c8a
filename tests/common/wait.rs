//! Waiting for a condition, with a limit, so that a condition that never holds fails its test.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use wx_jssdk::sandbox::Sandbox;

use super::http::BOUND;

/// Waits until WeChat has received this many calls of this path.
pub(crate) async fn called(sandbox: &Sandbox, path: &str, calls: u64) {
    let waited = timeout(BOUND, sandbox.wait_for_calls(path, calls)).await;
    let made = sandbox.calls(path);
    assert!(waited.is_ok(), "{made} of {calls} calls of {path}");
}

/// Waits until this holds, and lets other tasks run meanwhile.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    until_ok(what, async || holds().await.then_some(()).ok_or("")).await;
}

/// Waits until this returns a value. An error is the state that was found instead.
pub(crate) async fn until_ok<T, E: Display>(
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let mut state = None;
    let looking = async {
        loop {
            match look().await {
                Ok(value) => return value,
                Err(error) => state = Some(error),
            }
            // Leaves the processor to what is waited for, which may be another process.
            sleep(PAUSE).await;
        }
    };
    let found = timeout(2 * BOUND, looking).await;
    found.unwrap_or_else(|_| {
        let state = state.map(|state| state.to_string());
        panic!("this was never so: {what}: {}", state.unwrap_or_default())
    })
}

const PAUSE: Duration = Duration::from_millis(5);
