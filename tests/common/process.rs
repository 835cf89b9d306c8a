//! Child processes for tests that set global state (logger, environment), count threads, or kill the process.

use std::process::Command;

const ALONE: &str = "JSSDK_TEST_ALONE";

/// A command that runs this test (its function) again in a new process, also if it is ignored.
pub(crate) fn again<T>(_test: T) -> Command {
    let (_, test) = std::any::type_name::<T>()
        .split_once("::")
        .expect("a test in a module of its binary");
    let mut command = Command::new(std::env::current_exe().expect("a test binary has a path"));
    command.args(["--exact", test, "--include-ignored", "--nocapture"]);
    command
}

/// Returns whether this test (its function) is alone in its process. If not, runs it in a new process, where it must pass.
pub(crate) fn alone<T>(test: T) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    passes(again(test).env(ALONE, "1"));
    false
}

/// Waits for the end of a command made by [`again`]: its one test must pass.
#[track_caller]
pub(crate) fn passes(command: &mut Command) {
    let ended = command.output().expect("a test binary runs");
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(
        ended.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&ended.stderr)
    );
}

/// The resident memory of a process on Linux, in bytes.
pub(crate) fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs, on Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    let kilobytes: u64 = kilobytes
        .and_then(|text| text.parse().ok())
        .expect("a number");
    kilobytes * 1_024
}
