//! Known mistakes of other libraries with tokens and locks, each with the test that prevents it here.
//!
//! Most are tested in their own modules, the others below. `tests/documents` checks that every test named here exists.
//!
//! | seen elsewhere | the tests |
//! |---|---|
//! | a forced refresh ends the old token first; others find no token | broker/reject.rs the_refused_value_is_served_until_a_new_one_is_there |
//! | two nodes refresh, the older answer overwrites the newer | store/acceptance.rs a_lower_generation_never_replaces_a_higher_one, store/acceptance.rs of_concurrent_saves_the_highest_generation_wins, store/cluster/outages.rs a_failover_to_an_older_copy_brings_no_old_value_back |
//! | expiry checked before the lock and not after: N waiters, N refreshes | broker/cold.rs a_thousand_cold_readers_cause_one_token_and_one_ticket_call, store/cluster/processes.rs two_thousand_cold_readers_of_four_processes_cause_one_token_and_one_ticket_call |
//! | lock waits of minutes, a lock never released | store/cluster/outages.rs a_thousand_readers_of_a_valid_value_do_not_wait_for_a_stopped_redis, store/cluster/processes.rs when_the_owner_of_the_lease_is_killed_in_its_call_the_others_make_one_more, store/acceptance.rs a_lease_ends_by_itself_and_is_released_only_by_its_owner |
//! | a lease of two milliseconds | store/cluster/life.rs the_lease_outlasts_the_calls_it_covers_but_not_by_minutes |
//! | SETNX, then EXPIRE: a crash between the two locks for ever | store/redis.rs every_lease_expires |
//! | every start writes an empty token over the shared one | broker/lessons.rs a_start_reads_and_writes_nothing, broker/cold.rs building_a_broker_makes_no_upstream_call |
//! | a lock for each object; a map without a lock | broker/cold.rs a_thousand_cold_readers_cause_one_token_and_one_ticket_call, broker/cold.rs two_apps_of_one_sandbox_never_see_each_others_values |
//! | endless refresh on 40164, 40013, 40125; unbounded recursion | broker/cooldown.rs a_wrong_secret_is_never_retried_rapidly, broker/cooldown.rs a_setup_failure_is_retried_in_a_minute, broker/chain.rs there_is_never_a_second_retry, broker/chain.rs an_endless_40001_does_not_burn_the_quota |
//! | 40001, then broken for two hours | broker/reject.rs a_dead_token_is_replaced, broker/reject.rs fifty_callers_that_saw_the_same_refusal_cause_one_refresh, store/cluster/life.rs a_reject_in_one_process_is_seen_by_all_within_seconds |
//! | an error on refresh drops a token that is still valid | broker/keeper.rs a_failed_refresh_keeps_the_current_value, broker/reject.rs a_failed_rejection_keeps_the_current_value |
//! | the old token is cut to four minutes, but failures also lengthen a dying one | broker/lost_reply.rs a_classic_token_is_trusted_for_four_minutes_after_a_lost_reply_and_no_longer, broker/lost_reply.rs a_lost_reply_never_prolongs_the_remaining_life, broker/lost_reply.rs a_refusal_is_not_a_lost_reply, broker/lost_reply.rs a_stable_token_is_not_touched_by_a_lost_reply |
//! | a fixed lead makes a short remaining life negative | ../src/credential/freshness.rs a_short_remaining_life_does_not_make_a_credential_due_at_once, broker/keeper.rs an_old_stable_token_is_kept_for_its_remaining_life |
//! | after one forced refresh every later one is forced | broker/lessons.rs after_a_forced_refresh_the_later_ones_are_not_forced, broker/reject.rs no_caller_can_exhaust_the_days_forced_refreshes |
//! | the original 7200 is answered again and again | broker/lessons.rs the_answered_life_is_the_real_remaining_life |
//! | the AppSecret in the cache key | store/redis.rs every_redis_key_expires_and_holds_no_secret_in_its_name, broker/lessons.rs a_key_holds_no_secret_and_no_nickname |
//! | WeCom keys without corp or agent: tickets of two tenants mixed | store/acceptance.rs each_app_and_kind_has_its_own, broker/lessons.rs two_apps_of_one_corp_and_one_agent_of_two_corps_have_distinct_keys |
//! | a shared response buffer: app A stored with B's token | broker/cold.rs two_apps_of_one_sandbox_never_see_each_others_values |
//! | an error body, an empty or a dead ticket is cached | broker/cooldown.rs nothing_that_failed_validation_is_ever_served_or_stored |
//! | after a failed tick the next attempt is a whole period later, or never | broker/keeper.rs the_keeper_retries_with_backoff_and_recovers, broker/keeper.rs the_loop_outlives_failures |
//! | the caller disconnects: "refreshing" stays set for ever | broker/cold.rs a_cancelled_caller_does_not_abort_the_refresh |
//! | the retry after 40001 sends the same dead token again | broker/chain.rs the_retry_carries_the_new_token |
//! | Redis lost, everything lost | store/cluster/outages.rs a_redis_restarted_empty_is_filled_again_from_memory_and_costs_no_call, store/cluster/outages.rs redis_down_past_the_end_of_a_credential_costs_each_node_one_call_and_no_wait, broker/durability.rs kill_9_while_refreshing_loses_no_credential_and_costs_only_the_interrupted_call |
//! | tokens in the log | cli/serve.rs no_secret_token_or_ticket_is_printed_even_at_trace, broker/cold.rs a_broker_prints_no_secret |
//! | WeChat's 40164 hidden behind the library's own error | broker/lessons.rs wechats_own_code_is_passed_on_with_cause_and_fix |
//! | an allow-list against changing addresses | broker/lessons.rs the_address_that_wechat_saw_is_in_the_fix |

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use wx_jssdk::account::Account;
use wx_jssdk::broker::Broker;
use wx_jssdk::credential::Secret;
use wx_jssdk::sandbox::{App, Quotas, Sandbox};
use wx_jssdk::store::Store;
use wx_jssdk::{Clock, Error, Kind, UnixTime, UpstreamOptions};

const APP: &str = "wx0123456789abcdef";
const SECRET: &str = "0c79e1fa963cd80cc0be99b20a18faeb";
const STABLE: &str = "/cgi-bin/stable_token";
const START: UnixTime = UnixTime(1_767_225_600);

async fn sandbox(app: App) -> Sandbox {
    let sandbox = Sandbox::start(Clock::manual(START)).await.unwrap();
    sandbox.add_app(app);
    sandbox
}

fn broker(sandbox: &Sandbox, store: &Store) -> Broker {
    let url = sandbox.url().to_owned();
    let upstream = UpstreamOptions::at(&url);
    let builder = Broker::builder()
        .account("main", Account::official(APP, SECRET))
        .upstream(upstream);
    builder
        .store(store.clone())
        .clock(sandbox.clock().clone())
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_start_reads_and_writes_nothing() {
    let (sandbox, store) = (sandbox(App::official(APP, SECRET)).await, Store::memory());
    let first = broker(&sandbox, &store);
    let ticket = first.credential("main", Kind::JsapiTicket).await.unwrap();
    let keys =
        [Kind::AccessToken, Kind::JsapiTicket].map(|kind| Account::official(APP, "").key(kind));
    let before = store.load_many(&keys.each_ref()).await.unwrap();
    for _ in 0..20 {
        let started = broker(&sandbox, &store);
        assert!(started.tend().await.is_empty());
        assert_eq!(
            started
                .credential("main", Kind::JsapiTicket)
                .await
                .unwrap()
                .value,
            ticket.value
        );
    }
    assert_eq!(store.load_many(&keys.each_ref()).await.unwrap(), before);
    assert_eq!(sandbox.calls_total(), 2);
}

#[tokio::test]
async fn after_a_forced_refresh_the_later_ones_are_not_forced() {
    // The limit is one forced refresh a day: a second one would be refused with 45009, and the refresh would fail.
    let quotas = Quotas {
        force_daily: 1,
        ..Quotas::default()
    };
    let sandbox = sandbox(App::official(APP, SECRET).quotas(quotas)).await;
    let broker = broker(&sandbox, &Store::memory());
    let first = broker.credential("main", Kind::AccessToken).await.unwrap();
    let forced = broker
        .reject("main", Kind::AccessToken, &first.value)
        .await
        .unwrap();
    assert_ne!(forced.value, first.value);
    for _ in 0..3 {
        assert!(sandbox.advance(Duration::from_secs(7_200 - 170)));
        assert!(broker.tend().await.iter().all(Result::is_ok));
    }
    let last = broker.credential("main", Kind::AccessToken).await.unwrap();
    assert!(last.value != forced.value && sandbox.accepts_token(APP, last.value.expose()));
    assert_eq!(
        sandbox.calls(STABLE),
        3 + 3,
        "the first, the same again, the forced one; three refreshes of one call each"
    );
}

#[tokio::test]
async fn the_answered_life_is_the_real_remaining_life() {
    let (sandbox, store) = (sandbox(App::official(APP, SECRET)).await, Store::memory());
    broker(&sandbox, &store)
        .credential("main", Kind::AccessToken)
        .await
        .unwrap();
    assert!(sandbox.advance(Duration::from_secs(3_000)));
    // From memory, from the store after a restart, and from WeChat with an empty store.
    for store in [store, Store::memory()] {
        let token = broker(&sandbox, &store)
            .credential("main", Kind::AccessToken)
            .await
            .unwrap();
        assert_eq!(token.remaining(sandbox.clock().now()).as_secs(), 4_200);
    }
    assert_eq!(sandbox.calls(STABLE), 2);
}

#[test]
fn a_key_holds_no_secret_and_no_nickname() {
    let key = |secret: &str| Account::official(APP, secret).key(Kind::JsapiTicket);
    assert_eq!(key("one secret"), key("another"));
    assert_eq!(
        key(SECRET).to_string(),
        format!("official:{APP}:jsapi_ticket")
    );
}

#[test]
fn two_apps_of_one_corp_and_one_agent_of_two_corps_have_distinct_keys() {
    let accounts = [
        Account::work("ww1", 1, "s"),
        Account::work("ww1", 2, "s"),
        Account::work("ww2", 1, "s"),
        Account::official("ww1", "s"),
        Account::mini("ww1", "s"),
    ];
    let keys: HashSet<_> = accounts
        .iter()
        .flat_map(|account| Kind::ALL.map(|kind| account.key(kind).to_string()))
        .collect();
    assert_eq!(keys.len(), accounts.len() * Kind::ALL.len());
}

/// Returns the error for an app whose allow-list does not include this server.
async fn not_allowed() -> Error {
    let seen: IpAddr = "203.0.113.7".parse().unwrap();
    let sandbox = sandbox(
        App::official(APP, SECRET)
            .allow_ips(["198.51.100.1"])
            .caller_ip(seen),
    )
    .await;
    broker(&sandbox, &Store::memory())
        .credential("main", Kind::AccessToken)
        .await
        .unwrap_err()
}

#[tokio::test]
async fn wechats_own_code_is_passed_on_with_cause_and_fix() {
    let error = not_allowed().await;
    let upstream = error.upstream().unwrap();
    assert_eq!(upstream.errcode(), Some(40164));
    let (cause, fix) = (upstream.cause(), upstream.fix_for_operator());
    assert!(!cause.en.is_empty() && !cause.zh.is_empty() && !fix.zh.is_empty());
    assert!(!format!("{error} {error:?}").contains(SECRET));
    assert_eq!(format!("{:?}", Secret::new(SECRET)).find(SECRET), None);
}

#[tokio::test]
async fn the_address_that_wechat_saw_is_in_the_fix() {
    let error = not_allowed().await;
    let fix = error.upstream().unwrap().fix_for_operator();
    assert!(
        fix.en.contains("203.0.113.7") && fix.zh.contains("203.0.113.7"),
        "{} {}",
        fix.en,
        fix.zh
    );
}
