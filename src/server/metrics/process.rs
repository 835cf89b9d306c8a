//! Metrics of the process: build, uptime, configuration, memory and open files.

use std::fmt;
use std::fs;

use super::{Page, float};
use crate::clock::UnixTime;
use crate::server::{reload_record, telemetry};

/// Writes the metrics of the process and its configuration.
pub(super) fn write(
    page: &mut Page<'_>,
    started: UnixTime,
    record: &reload_record::State,
) -> fmt::Result {
    page.info(
        "wx_jssdk_build",
        "Version and commit of this build",
        [("version", env!("CARGO_PKG_VERSION")), ("commit", COMMIT)],
    )?;
    page.gauge(
        "wx_jssdk_config_generation",
        "Configurations applied since the start, including the first",
        Some(float(1 + record.reloads)),
    )?;
    page.counters(
            "wx_jssdk_reloads",
            "Configuration reloads by result; after a refused one the previous configuration stays in use",
            ["result"],
            [(["applied"], record.reloads), (["refused"], record.refusals)],
        )?;
    page.gauge(
        "wx_jssdk_config_last_applied_timestamp_seconds",
        "When the current configuration was applied",
        Some(float(record.loaded_at.0)),
    )?;
    page.gauge(
        "process_start_time_seconds",
        "Start time of the process",
        Some(float(started.0)),
    )?;
    page.counters(
        "wx_jssdk_log_lines_lost",
        "Log lines that could not be written",
        [],
        [([], telemetry::lost_lines())],
    )?;
    let memory = status_line("VmRSS:").map(|kilobytes| float(kilobytes) * 1_024.0);
    page.gauge("process_resident_memory_bytes", "Resident memory", memory)?;
    page.gauge(
        "process_open_fds",
        "Open files and connections",
        open_files().map(float),
    )?;
    page.gauge(
        "process_max_fds",
        "Limit of open files and connections",
        most_open_files().map(float),
    )
}

/// Returns the first number of a line of /proc/self/status; `None` if the file does not exist.
fn status_line(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn open_files() -> Option<u64> {
    // The directory handle that is being read is one of the entries.
    let entries = fs::read_dir("/proc/self/fd").ok()?.count();
    u64::try_from(entries).ok()?.checked_sub(1)
}

fn most_open_files() -> Option<u64> {
    let (soft, _) = rlimit::Resource::NOFILE.get().ok()?;
    (soft != rlimit::INFINITY).then_some(soft)
}

/// The git commit, if set at build time:
/// `WX_JSSDK_COMMIT=$(git rev-parse --short HEAD) cargo build --release`.
const COMMIT: &str = match option_env!("WX_JSSDK_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_memory_and_open_files() {
        assert!(status_line("VmRSS:").is_some_and(|kilobytes| kilobytes > 1_000));
        let (open, _file) = (
            open_files().unwrap(),
            fs::File::open("/proc/self/status").unwrap(),
        );
        let (soft, _) = rlimit::Resource::NOFILE.get().unwrap();
        let most = (soft != rlimit::INFINITY).then_some(soft);
        assert!(open >= 3 && open <= soft && most_open_files() == most);
    }
}
