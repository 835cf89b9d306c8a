//! Redis paused, slow, down, empty, failed over: no reader with a valid value waits, no expired value is read, calls are counted.

use std::sync::Arc;

use futures_util::FutureExt as _;
use wx_jssdk::Kind;
use wx_jssdk::account::TokenMode::{Classic, Stable};
use wx_jssdk::broker::Find;

use crate::cluster::world::{Cluster, STABLE, TICKET};
use crate::common::http::BOUND;
use crate::common::wait::called;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn a_paused_redis_affects_no_reader_and_costs_no_call() {
    let cluster = Cluster::warm(Stable, 4).await;
    cluster.shared.signal("STOP");
    cluster.live(60, 10).await;
    cluster.shared.signal("CONT");
    cluster.live(60, 10).await;
    assert_eq!((cluster.calls(STABLE), cluster.calls(TICKET)), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn a_redis_that_is_slow_by_seconds_during_a_refresh_costs_no_extra_call() {
    for mode in [Stable, Classic] {
        let cluster = Cluster::warm(mode, 4).await;
        cluster.live(7_200 - 240, 120).await;
        cluster.shared.signal("STOP");
        cluster.live(30, 5).await;
        cluster.shared.signal("CONT");
        cluster.live(240, 5).await;
        assert_eq!(
            cluster.token_calls(),
            2,
            "{mode:?}: the refresh waited for Redis, which came back in time"
        );
        assert_eq!(cluster.calls(TICKET), 2, "{mode:?}");
        assert!(
            cluster.assert_all_answer_at_once().is_some(),
            "all have the same again"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn a_redis_that_pauses_during_the_call_gets_the_value_afterwards() {
    let mut cluster = Cluster::cold(Stable, 1).await;
    let gate = cluster.sandbox.hold(STABLE);
    let broker = cluster.brokers[0].clone();
    let reader = tokio::spawn(async move { broker.credential("main", Kind::JsapiTicket).await });
    called(&cluster.sandbox, STABLE, 1).await;
    cluster.shared.signal("STOP");
    gate.release();
    cluster.assert_valid(Kind::JsapiTicket, &reader.await.unwrap().unwrap());
    cluster.shared.signal("CONT");
    // The paused commands are carried out late or never; the keeper makes sure that the store has the values of memory.
    for _ in 0..3 {
        cluster.advance(5);
        cluster.tend().await;
    }
    cluster.brokers.push(cluster.another());
    cluster.tend().await;
    assert!(cluster.assert_all_answer_at_once().is_some());
    assert_eq!((cluster.calls(STABLE), cluster.calls(TICKET)), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn a_process_that_starts_while_redis_is_paused_costs_one_call_of_each_kind() {
    let mut cluster = Cluster::warm(Stable, 2).await;
    cluster.shared.signal("STOP");
    let late = cluster.another();
    cluster.read(&late, Kind::JsapiTicket).await.unwrap();
    cluster.shared.signal("CONT");
    cluster.brokers.push(late);
    cluster.live(60, 5).await;
    assert_eq!((cluster.calls(STABLE), cluster.calls(TICKET)), (2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn a_redis_restarted_empty_is_filled_again_from_memory_and_costs_no_call() {
    for mode in [Stable, Classic] {
        let mut cluster = Cluster::warm(mode, 2).await;
        cluster.shared.restart();
        cluster.advance(6);
        cluster.tend().await;
        cluster.tend().await;
        assert!(
            cluster
                .store()
                .load(&key(Kind::AccessToken))
                .await
                .unwrap()
                .is_some()
        );
        cluster.brokers.push(cluster.another());
        cluster.tend().await;
        assert!(cluster.assert_all_answer_at_once().is_some());
        assert_eq!(
            (cluster.token_calls(), cluster.calls(TICKET)),
            (1, 1),
            "{mode:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn a_process_that_finds_redis_just_emptied_costs_one_call_and_the_others_follow() {
    let mut cluster = Cluster::warm(Classic, 3).await;
    cluster.advance(1_000);
    cluster.shared.restart();
    let late = cluster.another();
    cluster.read(&late, Kind::AccessToken).await.unwrap();
    cluster.brokers.push(late);
    // In classic mode that call ended the token of the other three.
    cluster
        .read(&cluster.brokers[3], Kind::JsapiTicket)
        .await
        .unwrap();
    cluster.live(600, 10).await;
    assert!(
        cluster.assert_all_answer_at_once().is_some(),
        "all have the same again"
    );
    assert!(
        cluster.token_calls() <= 2 && cluster.calls(TICKET) <= 2,
        "{} {}",
        cluster.token_calls(),
        cluster.calls(TICKET)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn redis_down_for_two_minutes_costs_no_call_in_any_mode_at_any_time() {
    for (mode, before_end) in [
        (Stable, 3_000),
        (Stable, 240),
        (Classic, 3_000),
        (Classic, 200),
    ] {
        let mut cluster = Cluster::warm(mode, 3).await;
        cluster.live(7_200 - before_end, 60).await;
        let due = before_end < 300;
        cluster.shared.kill();
        cluster.live(if due { 100 } else { 120 }, 10).await;
        cluster.shared.restart();
        cluster.live(before_end + 60, 5).await;
        assert_eq!(
            (cluster.token_calls(), cluster.calls(TICKET)),
            (2, 2),
            "{mode:?}, {before_end} s before the end"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn redis_down_past_the_end_of_a_credential_costs_each_node_one_call_and_no_wait() {
    let mut cluster = Cluster::warm(Stable, 4).await;
    cluster.live(7_200 - 300, 60).await;
    cluster.shared.kill();
    cluster.live(600, 5).await;
    // No store: each process calls WeChat once itself, and stable_token gives all of them the same token.
    assert!(cluster.assert_all_answer_at_once().is_some());
    assert!((2..=5).contains(&cluster.calls(STABLE)) && (2..=5).contains(&cluster.calls(TICKET)));
    let calls = cluster.sandbox.calls_total();
    cluster.shared.restart();
    cluster.live(6_300, 60).await;
    assert_eq!(
        cluster.sandbox.calls_total(),
        calls,
        "Redis is back and synchronised: no call until the next end"
    );
    cluster.live(600, 5).await;
    assert_eq!(
        cluster.sandbox.calls_total(),
        calls + 2,
        "and then one of each for all"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn two_nodes_in_classic_mode_agree_again_after_redis_was_down() {
    let mut cluster = Cluster::warm(Classic, 2).await;
    cluster.live(7_200 - 300, 60).await;
    cluster.shared.kill();
    cluster.live(300, 5).await;
    assert_eq!(
        cluster.token_calls(),
        3,
        "each has its own token: the first of the two ends in five minutes"
    );
    cluster.shared.restart();
    cluster.advance(5);
    cluster.tend().await;
    cluster.live(600, 5).await;
    assert!(
        cluster.assert_all_answer_at_once().is_some(),
        "both have the same token"
    );
    // Fetched at about the same time: it is unknown which of the two was replaced, and one more call settles it.
    assert!(
        (3..=4).contains(&cluster.token_calls()),
        "{}",
        cluster.token_calls()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn a_failover_to_an_older_copy_brings_no_old_value_back() {
    let mut cluster = Cluster::warm(Stable, 3).await;
    let old = cluster
        .store()
        .load(&key(Kind::AccessToken))
        .await
        .unwrap()
        .unwrap();
    cluster.live(7_200 - 240, 60).await;
    cluster.live(120, 5).await;
    let [new, _] = cluster.assert_all_answer_at_once().unwrap();
    assert_ne!(new, old.value.expose());
    // The promoted replica had not received the last writes.
    cluster.shared.restart();
    cluster
        .store()
        .save(&key(Kind::AccessToken), &old)
        .await
        .unwrap();
    cluster.live(300, 10).await;
    assert_eq!(cluster.assert_all_answer_at_once().unwrap()[0], new);
    assert_eq!(
        cluster
            .store()
            .load(&key(Kind::AccessToken))
            .await
            .unwrap()
            .unwrap()
            .value
            .expose(),
        new
    );
    assert_eq!((cluster.calls(STABLE), cluster.calls(TICKET)), (2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn a_thousand_readers_of_a_valid_value_do_not_wait_for_a_stopped_redis() {
    let cluster = Arc::new(Cluster::warm(Stable, 1).await);
    cluster.live(7_200 - 240, 120).await;
    cluster.shared.signal("STOP");
    // A refresh is due and hangs at Redis meanwhile.
    cluster.advance(61);
    let broker = cluster.brokers[0].clone();
    let keeper = tokio::spawn(async move { broker.tend().await });
    let refreshing = || {
        let snapshot = cluster.brokers[0].snapshot(&Find::all());
        let mut credentials = snapshot.accounts[0].credentials.iter();
        credentials.any(|credential| credential.refreshing)
    };
    let (mut reads, mut meanwhile) = (0, 0);
    let reading = async {
        while reads < 1_000 || !keeper.is_finished() {
            assert!(
                cluster
                    .read(&cluster.brokers[0], Kind::JsapiTicket)
                    .now_or_never()
                    .is_some_and(|read| read.is_ok())
            );
            reads += 1;
            meanwhile += u32::from(refreshing());
            tokio::task::yield_now().await;
        }
    };
    let read = tokio::time::timeout(BOUND, reading).await;
    read.expect("the refresh ends though Redis is stopped");
    assert!(meanwhile > 0, "a refresh was running");
    keeper.await.unwrap();
    cluster.shared.signal("CONT");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn a_refresh_that_waits_for_redis_says_so_and_does_not_blame_wechat() {
    let mut cluster = Cluster::warm(Stable, 1).await;
    cluster.live(7_200 - 240, 120).await;
    cluster.shared.kill();
    cluster.live(70, 5).await;
    let error = cluster.brokers[0].snapshot(&Find::all()).accounts[0].credentials[0]
        .last_error
        .clone()
        .expect("a refresh was due");
    assert_eq!((error.class, error.error.errcode()), ("transient", None));
    let (cause, fix) = (error.error.cause(), error.error.fix_for_operator());
    assert!(
        cause.en.contains("Redis") && cause.zh.contains("Redis"),
        "{cause:?}"
    );
    assert!(
        fix.en.contains("redis-cli ping")
            && fix.zh.contains("store.url")
            && !fix.en.contains("qq.com"),
        "{fix:?}"
    );
    assert!(
        error
            .error
            .to_string()
            .starts_with("the shared store could not be reached: "),
        "{}",
        error.error
    );
    assert_eq!(cluster.calls(STABLE), 1);
}

fn key(kind: Kind) -> wx_jssdk::credential::CredentialKey {
    wx_jssdk::Account::official(crate::cluster::world::APP, "").key(kind)
}
