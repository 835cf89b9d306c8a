//! Metrics of credentials, refreshes and the store.

use std::fmt;

use super::{Page, float};
use crate::broker::{AccountSnapshot, Broker, CredentialSnapshot, Find, Snapshot, errcode_label};
use crate::clock::UnixTime;
use crate::credential::Kind;
use crate::server::ready::Readiness;

/// Writes the metrics of the broker and of readiness.
pub(super) fn write(page: &mut Page<'_>, broker: &Broker, readiness: &Readiness) -> fmt::Result {
    let snapshot = broker.snapshot(&Find::all());
    states(page, &snapshot, readiness.is_ready(&snapshot))?;
    lives(page, &snapshot, broker.clock().to_wall())?;
    failures(page, &snapshot)?;
    counts(page, &snapshot)?;
    refreshes(page, &snapshot)?;
    machinery(page, &snapshot)
}

fn states(page: &mut Page<'_>, snapshot: &Snapshot, ready: bool) -> fmt::Result {
    let counts = snapshot.counts;
    page.gauge(
        "wx_jssdk_ready",
        "Whether /readyz answers 200",
        Some(f64::from(u8::from(ready))),
    )?;
    let states = [
        ("ok", counts.ok),
        ("degraded", counts.degraded),
        ("starting", counts.starting),
        ("down", counts.down),
    ];
    page.gauges(
            "wx_jssdk_accounts",
            "Accounts by state: degraded ones still sign (a mini program: have a token) but fail to refresh, down ones cannot sign",
            ["state"],
            states.map(|(state, count)| ([state], float(count as u64))),
        )
}

/// Iterates over the credentials, each with its account.
fn each(snapshot: &Snapshot) -> impl Iterator<Item = (&AccountSnapshot, &CredentialSnapshot)> {
    snapshot.accounts.iter().flat_map(|account| {
        account
            .credentials
            .iter()
            .map(move |credential| (account, credential))
    })
}

/// Labels of most families.
const LABELS: [&str; 2] = ["account", "kind"];

/// Returns the values of [`LABELS`].
fn labels<'t>((account, credential): (&'t AccountSnapshot, &CredentialSnapshot)) -> [&'t str; 2] {
    [&account.name, credential.kind.as_str()]
}

fn lives(
    page: &mut Page<'_>,
    snapshot: &Snapshot,
    to_wall: impl Fn(UnixTime) -> UnixTime,
) -> fmt::Result {
    page.gauges(
        "wx_jssdk_credential_remaining_seconds",
        "How long the credential will still be served; 0 if there is no credential",
        LABELS,
        each(snapshot).map(|of| (labels(of), float(of.1.served_for.as_secs()))),
    )?;
    page.gauges(
        "wx_jssdk_credential_last_success_timestamp_seconds",
        "Time of the last successful refresh, by this node or a peer node",
        LABELS,
        each(snapshot).filter_map(|of| Some((labels(of), float(to_wall(of.1.last_success?).0)))),
    )?;
    page.gauges(
        "wx_jssdk_credential_overdue_seconds",
        "How long a refresh has been due",
        LABELS,
        each(snapshot).map(|of| (labels(of), float(of.1.overdue.as_secs()))),
    )
}

fn failures(page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
    let now = snapshot.now;
    let failing: Vec<_> = each(snapshot)
        .filter_map(|of| Some((of, of.1.last_error.as_ref()?)))
        .map(|(of, last)| (of, last, errcode_label(&last.error)))
        .collect();
    page.gauges(
        "wx_jssdk_credential_failing_seconds",
        "How long every refresh has failed, by class and errcode of the last failure; absent while refreshes succeed",
        ["account", "kind", "class", "errcode"],
        failing.iter().map(|(of, last, errcode)| {
            let [account, kind] = labels(*of);
            let labels = [account, kind, last.class, errcode.as_str()];
            (labels, float(now.since(last.since).as_secs()))
        }),
    )?;
    page.gauges(
        "wx_jssdk_credential_cooldown_seconds",
        "Time until a failed refresh is tried again; absent while refreshes succeed",
        LABELS,
        failing
            .iter()
            .map(|(of, last, _)| (labels(*of), float(last.retry_at.since(now).as_secs()))),
    )
}

fn counts(page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
    let tokens = || each(snapshot).filter(|(_, credential)| credential.kind == Kind::AccessToken);
    let tickets = || each(snapshot).filter(|(_, credential)| credential.kind != Kind::AccessToken);
    page.counters(
        "wx_jssdk_foreign_refreshes",
        "Access tokens refused long before their end: another server fetches tokens of this app",
        ["account"],
        tokens().map(|of| ([of.0.name.as_str()], of.1.foreign_refreshes)),
    )?;
    page.counters(
        "wx_jssdk_lost_replies",
        "Token calls whose answer was lost: the old token is used for four more minutes at most",
        ["account"],
        tokens().map(|of| ([of.0.name.as_str()], of.1.lost_replies)),
    )?;
    page.counters(
        "wx_jssdk_stale_refusals",
        "Ticket calls refused because of their access token",
        LABELS,
        tickets().map(|of| (labels(of), of.1.stale_refusals)),
    )?;
    page.counters(
        "wx_jssdk_rate_limited_rejects",
        "Rejects that caused no refresh because of the rate limit",
        LABELS,
        each(snapshot).map(|of| (labels(of), outcome(of.1, RATE_LIMITED))),
    )?;
    page.gauges(
        "wx_jssdk_upstream_calls_today",
        "Calls to WeChat today (Shanghai time) of all nodes that share the store; read once a minute",
        ["account", "endpoint"],
        snapshot.accounts.iter().flat_map(|account| {
            let calls = account.calls_today().into_iter();
            calls.map(|(endpoint, count)| ([account.name.as_str(), endpoint], float(count)))
        }),
    )
}

fn outcome(credential: &CredentialSnapshot, name: &str) -> u64 {
    credential
        .outcomes
        .iter()
        .find(|(known, _)| *known == name)
        .map_or(0, |(_, count)| *count)
}

fn refreshes(page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
    let ended = each(snapshot).flat_map(|of| {
        let [account, kind] = labels(of);
        // Success is exported from the start; a failure only after it has occurred.
        let outcomes = of.1.outcomes.iter();
        let met = outcomes
            .filter(|(name, count)| (*count > 0 || *name == "refreshed") && *name != RATE_LIMITED);
        met.map(move |(name, count)| ([account, kind, *name], *count))
    });
    page.counters(
        "wx_jssdk_refreshes",
        "Refreshes by outcome",
        ["account", "kind", "outcome"],
        ended,
    )?;
    page.counters(
        "wx_jssdk_upstream_failures",
        "Refreshes that got no usable answer from WeChat, by class and errcode",
        ["kind", "class", "errcode"],
        snapshot
            .stats
            .failed_calls
            .iter()
            .map(|((kind, class, errcode), count)| {
                ([kind.as_str(), *class, errcode.as_str()], *count)
            }),
    )?;
    let durations = snapshot
        .stats
        .durations
        .iter()
        .map(|(kind, succeeded, distribution)| {
            let result = if *succeeded { "refreshed" } else { "failed" };
            ([kind.as_str(), result], distribution)
        });
    page.histograms(
        "wx_jssdk_refresh_duration_seconds",
        "Duration of refreshes that called WeChat",
        ["kind", "result"],
        durations,
    )
}

fn machinery(page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
    page.histograms(
        "wx_jssdk_lease_wait_seconds",
        "How long refreshes waited for a peer node",
        [],
        [([], &snapshot.stats.lease_waits)],
    )?;
    let store = || snapshot.stats.store.iter();
    page.counters(
        "wx_jssdk_store_operations",
        "Operations on the store",
        ["operation"],
        store().map(|(operation, asked, _)| ([*operation], *asked)),
    )?;
    page.counters(
        "wx_jssdk_store_errors",
        "Store operations that failed or timed out",
        ["operation"],
        store().map(|(operation, _, failed)| ([*operation], *failed)),
    )?;
    let idle = snapshot.stats.keeper_idle.map(|idle| idle.as_secs_f64());
    page.gauge(
        "wx_jssdk_keeper_step_age_seconds",
        "Time since the keeper last checked for due refreshes",
        idle,
    )?;
    page.counters(
        "wx_jssdk_clock_jumps",
        "How often this machine's clock was set, or the machine slept",
        [],
        [([], snapshot.stats.clock_jumps)],
    )?;
    page.gauge(
        "wx_jssdk_upstream_unreachable_hosts",
        "Hosts of WeChat to which nothing could be sent last time, while fallback hosts are used",
        Some(float(snapshot.stats.unreachable_hosts as u64)),
    )
}

/// An outcome that is not a refresh and has its own metric.
const RATE_LIMITED: &str = "rate_limited";
