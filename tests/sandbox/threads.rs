//! A stopped sandbox leaves no thread behind. Runs in its own process, where no other test starts threads.

use wx_jssdk::clock::{Clock, UnixTime};
use wx_jssdk::sandbox::Sandbox;

use crate::common::http::BOUND;
use crate::common::process::alone;

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// The sandbox's own thread has ended when `drop` or `stop` returns; its worker's thread ends shortly after.
fn wait_until_gone(before: usize, how: &str) {
    let clock = Clock::system();
    let start = clock.now();
    while threads() > before {
        assert!(
            clock.now().since(start) < BOUND,
            "{} threads are left by {how}, {before} were there before",
            threads()
        );
        std::thread::yield_now();
    }
}

#[test]
fn sandboxes_that_are_gone_leave_no_threads_behind() {
    if !alone(sandboxes_that_are_gone_leave_no_threads_behind) {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let start = || {
        runtime
            .block_on(Sandbox::start(Clock::manual(UnixTime(1_700_000_000))))
            .unwrap()
    };
    let before = threads();

    let sandboxes = [start(), start(), start()];
    assert!(threads() >= before + 3);
    drop(sandboxes);
    wait_until_gone(before, "drop");

    let sandbox = start();
    runtime.block_on(sandbox.stop());
    wait_until_gone(before, "stop");

    let sandbox = start();
    let (_host, _proxies) = runtime.block_on(async {
        let host = sandbox.second_host().await.unwrap();
        let http = sandbox.http_proxy(None).await.unwrap();
        (host, [http, sandbox.socks5_proxy(None).await.unwrap()])
    });
    assert!(threads() >= before + 4);
    runtime.block_on(sandbox.stop());
    wait_until_gone(before, "stop, with a second host and proxies");

    let addr = start().addr();
    let taken = std::net::TcpListener::bind(addr).unwrap();
    assert!(
        runtime
            .block_on(Sandbox::bind(Clock::system(), taken.local_addr().unwrap()))
            .is_err()
    );
    wait_until_gone(before, "a start that failed");
}
