//! Waiting for a condition, with a limit, so that a condition that never holds fails its test.

use tokio::time::timeout;
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
    let waited = timeout(BOUND, async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    });
    assert!(waited.await.is_ok(), "this was never so: {what}");
}
