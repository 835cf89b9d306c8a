//! A machine whose wall clock is set an hour ahead or back: no expired value is served, no caller waits longer than a refresh
//! takes, and the calls stay few. WeChat's clock (the sandbox's) is separate and correct.
//!
//! Not covered, because it is impossible: a machine that starts with its clock an hour behind and a store that gives no hint of it
//! takes the stored values for an hour younger than they are, until the clock is corrected or a client rejects the dead value.

#![allow(clippy::print_stdout)] // what was measured, and the case that failed

use std::time::Duration;

use wx_jssdk::account::{Account, TokenMode};
use wx_jssdk::broker::Broker;
use wx_jssdk::sandbox::{App, ExpiresIn, Fault, FaultKind, Revoke, Sandbox, Switches};
use wx_jssdk::store::Store;
use wx_jssdk::{Clock, Kind, UnixTime, UpstreamOptions};

use crate::common::log::Log;

const APP: &str = "wx0123456789abcdef";
const SECRET: &str = "0c79e1fa963cd80cc0be99b20a18faeb";
const START: u64 = 1_767_225_600;
const HOUR: i64 = 3_600;
const MODES: [TokenMode; 2] = [TokenMode::Stable, TokenMode::Classic];

/// A machine with its own clock, and WeChat with the correct one.
struct World {
    sandbox: Sandbox,
    clock: Clock,
    /// The error of the machine's clock.
    wrong: i64,
    store: Store,
    broker: Broker,
    mode: TokenMode,
}

impl World {
    async fn new(mode: TokenMode, wrong: i64) -> Self {
        Self::with(mode, wrong, ExpiresIn::Remaining).await
    }

    async fn with(mode: TokenMode, wrong: i64, ticket_expires_in: ExpiresIn) -> Self {
        let sandbox = Sandbox::start(Clock::manual(UnixTime(START)))
            .await
            .unwrap();
        sandbox.add_app(App::official(APP, SECRET).switches(Switches {
            ticket_expires_in,
            ..Switches::default()
        }));
        let (clock, store) = (clock(START, wrong), Store::memory());
        let broker = broker(&sandbox, &clock, &store, mode);
        Self {
            sandbox,
            clock,
            wrong,
            store,
            broker,
            mode,
        }
    }

    /// Restarts the process: its knowledge of the clock is lost, the store remains.
    fn restart(&mut self) {
        self.clock = clock(self.sandbox.clock().now().0, self.wrong);
        self.broker = broker(&self.sandbox, &self.clock, &self.store, self.mode);
    }

    /// Sets the clock; no time passes.
    fn set(&mut self, seconds: i64) {
        assert!(self.clock.set_wrong(seconds));
        self.wrong += seconds;
    }

    /// Advances time in steps of this many seconds, with the keeper running and both credentials read at each step.
    async fn live(&self, seconds: u64, step: u64) {
        for _ in 0..seconds / step {
            self.pass(step);
            self.broker.tend().await;
            self.read().await;
        }
    }

    fn pass(&self, seconds: u64) {
        assert!(
            self.clock.advance(Duration::from_secs(seconds))
                && self.sandbox.advance(Duration::from_secs(seconds))
        );
    }

    /// Asserts that there is an answer, without a cooldown, that WeChat accepts.
    async fn read(&self) {
        let at = self.sandbox.clock().now().0 - START;
        let token = self
            .broker
            .credential("", Kind::AccessToken)
            .await
            .unwrap_or_else(|error| panic!("at {at}: {error}"));
        assert!(
            self.sandbox.accepts_token(APP, token.value.expose()),
            "a dead token at {at}"
        );
        let ticket = self
            .broker
            .credential("", Kind::JsapiTicket)
            .await
            .unwrap_or_else(|error| panic!("at {at}: {error}"));
        assert!(
            self.sandbox
                .accepts_ticket(APP, "jsapi", ticket.value.expose()),
            "a dead ticket at {at}"
        );
    }

    fn assert_calls(&self, at_most: u64, what: &str) {
        let calls = self.sandbox.calls_total();
        assert!(
            calls <= at_most,
            "{:?}, {what}: {calls} calls instead of {at_most}",
            self.mode
        );
    }
}

fn clock(right: u64, wrong: i64) -> Clock {
    Clock::manual(UnixTime(right.saturating_add_signed(wrong)))
}

fn broker(sandbox: &Sandbox, clock: &Clock, store: &Store, mode: TokenMode) -> Broker {
    let url = sandbox.url().to_owned();
    let upstream = UpstreamOptions::at(&url);
    let account = Account::official(APP, SECRET).token_mode(mode);
    let account = account.js_safe_domain("example.com").unwrap();
    Broker::builder()
        .account("main", account)
        .clock(clock.clone())
        .store(store.clone())
        .upstream(upstream)
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_clock_set_an_hour_ahead_or_back_costs_at_most_one_call_of_each_kind() {
    for mode in MODES {
        for seconds in [HOUR, -HOUR] {
            for age in [60, 3_000, 5_000, 6_900] {
                let mut world = World::new(mode, 0).await;
                world.read().await;
                world.live(age, age / 10).await;
                world.set(seconds);
                world.live(7_200 - age, 20).await;
                world.live(600, 20).await;
                // A whole lifetime has passed: two calls of each kind, and one of each for the jump.
                world.assert_calls(6, &format!("{seconds} s at {age}"));
            }
        }
    }
}

#[tokio::test]
async fn correcting_a_clock_that_was_ahead_prolongs_no_lifetime() {
    for mode in MODES {
        for (fetched_while_wrong, stays_wrong) in
            [(true, 60), (false, 60), (true, 3_000), (false, 5_000)]
        {
            let mut world = World::new(mode, 0).await;
            if !fetched_while_wrong {
                world.read().await;
            }
            world.broker.tend().await;
            world.set(HOUR);
            world.live(stays_wrong, 20).await;
            world.set(-HOUR);
            world.live(9_000 - stays_wrong, 20).await;
            world.assert_calls(8, &format!("wrong for {stays_wrong} s"));
        }
    }
}

#[tokio::test]
async fn correcting_a_clock_that_was_behind_costs_at_most_one_call_of_each() {
    for mode in MODES {
        let mut world = World::new(mode, -HOUR).await;
        world.live(1_000, 20).await;
        world.set(HOUR);
        world.live(7_200, 20).await;
        world.assert_calls(6, "back and right");
    }
}

#[tokio::test]
async fn a_process_started_with_a_wrong_clock_serves_no_expired_credential() {
    for mode in MODES {
        for wrong in [HOUR, -HOUR] {
            for right_after in [100, 3_000, 7_000] {
                let mut world = World::new(mode, wrong).await;
                world.live(right_after, 20).await;
                world.set(-wrong);
                world.live(9_000, 20).await;
                world.assert_calls(10, &format!("{wrong} s, right after {right_after} s"));
            }
        }
    }
}

#[tokio::test]
async fn a_restart_while_the_clock_is_wrong_serves_nothing_dead() {
    for mode in MODES {
        for wrong in [HOUR, -HOUR] {
            for age in [600, 3_000, 4_500, 6_000] {
                println!("{mode:?}, wrong by {wrong} and restarted at {age}");
                let mut world = World::new(mode, 0).await;
                world.read().await;
                world.live(age, 100).await;
                world.set(wrong);
                world.live(1, 1).await; // one keeper step: it detects the jump and stores the trusted dates
                world.restart();
                world.read().await;
                world.live(9_000, 20).await;
                world.assert_calls(10, &format!("{wrong} s at {age}"));
            }
        }
    }
}

#[tokio::test]
async fn a_restart_after_the_clock_was_corrected_serves_nothing_dead() {
    for mode in MODES {
        for wrong in [HOUR, -HOUR] {
            for (wrong_for, right_for) in
                [(60, 1), (60, 100), (1_000, 10), (5_000, 100), (60, 4_000)]
            {
                println!(
                    "{mode:?}, wrong by {wrong} for {wrong_for} s, restarted {right_for} s later"
                );
                let mut world = World::new(mode, wrong).await;
                world.live(wrong_for, 20).await;
                world.set(-wrong);
                world.live(right_for, 1.max(right_for / 20)).await;
                world.restart();
                world.live(9_000, 20).await;
                world.assert_calls(
                    10,
                    &format!("{wrong} s for {wrong_for} s, restart {right_for} s later"),
                );
            }
        }
    }
}

#[tokio::test]
async fn a_restart_while_the_clock_is_corrected_serves_nothing_dead() {
    for mode in MODES {
        for wrong in [HOUR, -HOUR] {
            let mut world = World::new(mode, wrong).await;
            world.live(2_000, 20).await;
            world.wrong = 0;
            world.restart();
            world.live(9_000, 20).await;
            world.assert_calls(8, &format!("{wrong} s"));
            let stored = world
                .store
                .load(&Account::official(APP, "").key(Kind::AccessToken))
                .await
                .unwrap()
                .unwrap();
            assert!(
                stored.issued_at <= world.clock.now(),
                "what is stored has the right date again"
            );
        }
    }
}

#[tokio::test]
async fn after_a_clock_jump_a_ticket_that_always_claims_7200_seconds_is_not_prolonged() {
    // With this switch WeChat claims 7200 for a ticket of any age: its remaining life is unknown, so it is fetched every minute.
    let mut world = World::with(TokenMode::Stable, 0, ExpiresIn::Full).await;
    world.read().await;
    world.live(4_500, 100).await;
    world.set(HOUR);
    world.restart();
    world.live(6_000, 5).await;
    world.assert_calls(
        2 * 2_700 / 60 + 10,
        "one or two a minute until the ticket rotates",
    );
}

#[tokio::test]
async fn the_signed_timestamp_uses_the_wall_clock_and_lifetimes_do_not() {
    let mut world = World::new(TokenMode::Stable, 0).await;
    world.read().await;
    world.set(-HOUR);
    assert_eq!(world.clock.wall().0, START - 3_600);
    world.live(7_400, 20).await;
    world.assert_calls(4, "as if the clock had not changed");
}

#[tokio::test]
async fn jumps_of_the_clock_are_counted_and_small_corrections_are_not() {
    let mut world = World::new(TokenMode::Stable, 0).await;
    world.live(100, 10).await;
    for small in [1, -1, 20, -20, 29] {
        world.set(small);
        world.live(10, 10).await;
    }
    assert_eq!(
        world
            .broker
            .snapshot(&wx_jssdk::broker::Find::all())
            .stats
            .clock_jumps,
        0
    );
    let log = Log::default();
    let _listening = log.listen();
    for (jumps, seconds) in [(1, HOUR), (2, -HOUR), (3, 31), (4, -31)] {
        world.set(seconds);
        world.live(20, 10).await;
        assert_eq!(
            world
                .broker
                .snapshot(&wx_jssdk::broker::Find::all())
                .stats
                .clock_jumps,
            jumps,
            "{seconds} s"
        );
        let direction = if seconds > 0 { "ahead" } else { "back" };
        let lines = log.about("clock jumped");
        assert_eq!(lines.len() as u64, jumps, "{}", log.text());
        assert_eq!(lines.last().unwrap()["direction"], direction);
    }
}

#[tokio::test]
async fn a_failure_while_the_clock_was_ahead_causes_no_longer_wait_afterwards() {
    for (seconds, fault) in [
        (HOUR, FaultKind::Errcode(40_125)),
        (HOUR, FaultKind::Status(502)),
        (20 * HOUR, FaultKind::Errcode(45_009)),
    ] {
        let mut world = World::new(TokenMode::Stable, 0).await;
        world
            .sandbox
            .fault(Fault::always("/cgi-bin/stable_token", fault.clone()));
        world.set(seconds);
        world.broker.tend().await;
        assert!(
            world
                .broker
                .credential("", Kind::JsapiTicket)
                .await
                .is_err()
        );
        world.pass(20);
        world.broker.tend().await;
        world.set(-seconds);
        world.sandbox.clear_faults();
        world.pass(1);
        world.broker.tend().await;
        world.read().await;
        let status = world
            .broker
            .snapshot(&wx_jssdk::broker::Find::all())
            .accounts
            .remove(0);
        assert!(
            status
                .credentials
                .iter()
                .all(|one| one.last_error.is_none()),
            "{fault:?}: {status:?}"
        );
    }
}

#[tokio::test]
async fn a_failure_is_not_dated_in_the_future_after_the_clock_is_corrected() {
    let mut world = World::new(TokenMode::Stable, HOUR).await;
    world.wrong = 0;
    world.clock = clock(START, 0);
    world.broker = broker(&world.sandbox, &world.clock, &world.store, world.mode);
    world.broker.tend().await;
    world.sandbox.fault(Fault::always(
        "/cgi-bin/ticket/getticket",
        FaultKind::Errcode(48_001),
    ));
    let ticket = world
        .broker
        .credential("", Kind::JsapiTicket)
        .await
        .unwrap();
    world.set(HOUR);
    world.broker.tend().await;
    assert!(
        world
            .broker
            .reject("", Kind::JsapiTicket, &ticket.value)
            .await
            .is_err()
    );
    world.set(-HOUR);
    world.pass(1);
    world.broker.tend().await;
    let failure = world
        .broker
        .snapshot(&wx_jssdk::broker::Find::all())
        .accounts[0]
        .credentials[1]
        .last_error
        .clone()
        .unwrap();
    let now = world.clock.now();
    assert!(
        failure.since <= now
            && failure.at <= now
            && failure.retry_at.since(now) <= Duration::from_secs(200),
        "{failure:?}"
    );
}

#[tokio::test]
async fn a_refresh_requested_while_the_clock_was_ahead_limits_none_afterwards() {
    for mode in MODES {
        let mut world = World::new(mode, 0).await;
        world.broker.tend().await;
        world.set(HOUR);
        world.broker.tend().await;
        for _ in 0..2 {
            let dead = world
                .broker
                .credential("", Kind::AccessToken)
                .await
                .unwrap();
            world.sandbox.revoke(APP, Revoke::Token);
            world
                .broker
                .reject("", Kind::AccessToken, &dead.value)
                .await
                .unwrap_or_else(|error| panic!("{mode:?}: {error}"));
            if world.wrong != 0 {
                world.set(-HOUR);
            }
            world.pass(31);
            world.broker.tend().await;
        }
        world.read().await;
    }
}
