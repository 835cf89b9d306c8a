//! With a working Redis: one call for all, and every process gets new values in time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use wx_jssdk::account::TokenMode::{Classic, Stable};
use wx_jssdk::sandbox::{Fault, FaultKind, Mode};
use wx_jssdk::{Clock, Kind};

use crate::cluster::world::{APP, CLASSIC, Cluster, STABLE, TICKET};
use crate::common::wait::called;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn cold_readers_of_eight_processes_cause_one_token_and_one_ticket_call() {
    for mode in [Stable, Classic] {
        let cluster = Arc::new(Cluster::cold(mode, 8).await);
        let readers: Vec<_> = (0..800)
            .map(|n| {
                let cluster = cluster.clone();
                tokio::spawn(async move {
                    cluster
                        .read(&cluster.brokers[n % 8], Kind::JsapiTicket)
                        .await
                        .map(drop)
                })
            })
            .collect();
        for reader in readers {
            reader.await.unwrap().unwrap();
        }
        assert_eq!(
            (cluster.token_calls(), cluster.calls(TICKET)),
            (1, 1),
            "{mode:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn a_new_value_reaches_every_process_before_the_old_one_dies() {
    for mode in [Stable, Classic] {
        let cluster = Cluster::warm(mode, 4).await;
        for lives in 1..=3 {
            // `live` asserts that no reader waits and no expired value is read at any step.
            cluster.live(7_200 - 240, 60).await;
            cluster.live(240, 5).await;
            assert!(
                cluster.token_calls() <= 1 + lives,
                "{mode:?}: {} token calls in {lives} lives",
                cluster.token_calls()
            );
            assert!(
                cluster.calls(TICKET) <= 1 + lives + lives,
                "{mode:?}: {} ticket calls",
                cluster.calls(TICKET)
            );
        }
        assert!(cluster.token_calls() >= 3);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn a_dead_token_reported_to_every_process_is_refreshed_once() {
    for (mode, refreshes) in [(Stable, 1), (Classic, 1)] {
        let cluster = Cluster::warm(mode, 4).await;
        let dead = cluster.revoke_token().await;
        let reports: Vec<_> = (0..40)
            .map(|n| {
                let (broker, dead) = (cluster.brokers[n % 4].clone(), dead.clone());
                tokio::spawn(async move { broker.reject("main", Kind::AccessToken, &dead).await })
            })
            .collect();
        for report in reports {
            cluster.assert_valid(Kind::AccessToken, &report.await.unwrap().unwrap());
        }
        assert_eq!(cluster.token_calls(), 1 + refreshes, "{mode:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn a_reject_in_one_process_is_seen_by_all_within_seconds() {
    let cluster = Cluster::warm(Stable, 4).await;
    let dead = cluster.revoke_token().await;
    let new = cluster.brokers[2]
        .reject("main", Kind::AccessToken, &dead)
        .await
        .unwrap();
    cluster.advance(6);
    cluster.tend().await;
    let [token, _] = cluster
        .assert_all_answer_at_once()
        .expect("all have the same");
    assert_eq!(token, new.value.expose());
    assert_eq!(cluster.calls(STABLE), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn a_node_with_a_replaced_token_has_the_new_one_before_the_old_one_ends() {
    let cluster = Cluster::warm(Classic, 4).await;
    cluster.advance(1_000);
    let old = cluster
        .read(&cluster.brokers[0], Kind::AccessToken)
        .await
        .unwrap();
    // The rejected token is still valid. The refresh ends it in five minutes, and three processes serve it.
    cluster.brokers[0]
        .reject("main", Kind::AccessToken, &old.value)
        .await
        .unwrap();
    cluster.live(600, 10).await;
    assert_eq!(cluster.calls(CLASSIC), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn a_foreign_refresh_costs_the_whole_cluster_one_call_and_is_counted() {
    let cluster = Cluster::warm(Classic, 4).await;
    let old = cluster
        .read(&cluster.brokers[3], Kind::AccessToken)
        .await
        .unwrap();
    cluster.sandbox.foreign_refresh(APP, Mode::Classic);
    cluster.advance(301);
    assert!(
        !cluster.sandbox.accepts_token(APP, old.value.expose()),
        "replaced by another server"
    );
    let reports: Vec<_> = cluster
        .brokers
        .iter()
        .cloned()
        .map(|broker| {
            let dead = old.value.clone();
            tokio::spawn(async move { broker.reject("main", Kind::AccessToken, &dead).await })
        })
        .collect();
    for report in reports {
        cluster.assert_valid(Kind::AccessToken, &report.await.unwrap().unwrap());
    }
    cluster.live(600, 10).await;
    assert_eq!(cluster.calls(CLASSIC), 2);
    let counted: u64 = cluster
        .brokers
        .iter()
        .map(|broker| {
            broker.snapshot(&wx_jssdk::broker::Find::all()).accounts[0].credentials[0]
                .foreign_refreshes
        })
        .sum();
    assert!(counted >= 1, "{counted}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn a_lost_reply_in_classic_mode_cuts_the_old_tokens_life_in_every_process() {
    let cluster = Cluster::warm(Classic, 4).await;
    cluster.advance(1_000);
    let old = cluster
        .read(&cluster.brokers[0], Kind::AccessToken)
        .await
        .unwrap();
    cluster
        .sandbox
        .fault(Fault::once(CLASSIC, FaultKind::LostReply));
    cluster.brokers[0]
        .reject("main", Kind::AccessToken, &old.value)
        .await
        .unwrap_err();
    // Replaced by a call whose answer was lost: `live` fails after five minutes unless every process drops it before.
    cluster.live(900, 5).await;
    assert_eq!(
        cluster.calls(CLASSIC),
        3,
        "the first call, the lost one, and its repetition"
    );
    let lost: u64 = cluster
        .brokers
        .iter()
        .map(|broker| {
            broker.snapshot(&wx_jssdk::broker::Find::all()).accounts[0].credentials[0].lost_replies
        })
        .sum();
    assert_eq!(lost, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn a_process_that_starts_later_makes_no_upstream_call() {
    let cluster = Cluster::warm(Stable, 2).await;
    let late = cluster.another();
    assert!(
        late.tend().await.is_empty(),
        "it read the store once and found all values"
    );
    let read = cluster.read(&late, Kind::JsapiTicket).now_or_never();
    assert!(read.is_some_and(|read| read.is_ok()));
    assert_eq!(cluster.sandbox.calls_total(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn the_lease_outlasts_the_calls_it_covers_but_not_by_minutes() {
    let cluster = Cluster::cold(Stable, 1).await;
    let gate = cluster.sandbox.hold(STABLE);
    let broker = cluster.brokers[0].clone();
    let clock = Clock::system();
    let reader = tokio::spawn(async move { broker.credential("main", Kind::AccessToken).await });
    called(&cluster.sandbox, STABLE, 1).await;
    let lease = format!("wx-jssdk:lease:official:{APP}:access_token");
    let left: u64 = cluster.shared.cli(&["PTTL", &lease]).parse().unwrap();
    // Two calls of at most 1.5 s each are made under it, and a second is added.
    let whole = left + u64::try_from(clock.uptime().as_millis()).unwrap();
    assert!(left <= 4_000 && whole >= 3_990, "{left} of {whole} ms");
    gate.release();
    reader.await.unwrap().unwrap();
    assert_eq!(cluster.shared.cli(&["EXISTS", &lease]), "0", "released");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn a_token_that_one_process_has_just_refreshed_is_known_to_every_other_at_once() {
    // Behind a load balancer a client gets its token from one node and its ticket from another.
    let cluster = Cluster::warm(Stable, 4).await;
    let dead = cluster.revoke_token().await;
    let new = cluster.brokers[0]
        .reject("main", Kind::AccessToken, &dead)
        .await
        .unwrap();
    let askers: Vec<_> = (0..40)
        .map(|n| {
            let (broker, token) = (cluster.brokers[1 + n % 3].clone(), new.value.clone());
            tokio::spawn(async move {
                broker
                    .find_account_of_token(token.expose())
                    .await
                    .map(|(name, _)| name)
            })
        })
        .collect();
    for asker in askers {
        assert_eq!(asker.await.unwrap().as_deref(), Some("main"));
    }
    assert!(
        cluster.brokers[1]
            .find_account_of_token("nobody's")
            .await
            .is_none()
    );
    assert_eq!(
        cluster.calls(STABLE),
        2,
        "no call to WeChat was made for it"
    );
}

// On one thread, so that the look cannot end before the client leaves.
#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn a_client_that_leaves_does_not_end_the_look_for_its_token() {
    let cluster = Cluster::warm(Stable, 2).await;
    let dead = cluster.revoke_token().await;
    let [first, other] = &cluster.brokers[..] else {
        panic!("two processes");
    };
    let new = first
        .reject("main", Kind::AccessToken, &dead)
        .await
        .unwrap();
    let arrives = async || {
        let read = async || other.credential("main", Kind::AccessToken).await.unwrap();
        while read().await.value != new.value {
            tokio::task::yield_now().await;
        }
    };
    for _ in 0..10 {
        let look = other.find_account_of_token(new.value.expose());
        assert!(look.now_or_never().is_none(), "the client leaves first");
        if tokio::time::timeout(Duration::from_secs(1), arrives())
            .await
            .is_ok()
        {
            return;
        }
        // On a busy machine Redis may have answered too late: the value is stored again, and looked for.
        cluster.advance(10);
        first.tend().await;
    }
    panic!("the store was not read to its end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn an_exhausted_quota_is_probed_by_one_process_and_lifted_for_all() {
    let cluster = Cluster::cold(Stable, 3).await;
    let spent = || Fault::always(TICKET, FaultKind::Errcode(45_009));
    cluster.sandbox.fault(spent());
    let all_fail = async || {
        for broker in &cluster.brokers {
            let answer = broker.credential("main", Kind::JsapiTicket).await;
            assert_eq!(answer.unwrap_err().code(), "upstream_quota");
        }
    };
    all_fail().await;
    assert_eq!(cluster.calls(TICKET), 1);
    cluster.advance(3_661);
    all_fail().await;
    assert_eq!(cluster.calls(TICKET), 2, "one call an hour for all of them");
    cluster.sandbox.clear_faults();
    cluster.advance(60);
    all_fail().await;
    // As `check` does, and "refresh now" at another process.
    let (store, now) = (cluster.store(), cluster.clock.now());
    let app = cluster.brokers[0]
        .accounts()
        .get("main")
        .unwrap()
        .1
        .app_key();
    assert!(
        store
            .blocked_until(&app, TICKET, now)
            .await
            .unwrap()
            .is_some()
    );
    store.set_block(&app, TICKET, now, now).await.unwrap();
    cluster.advance(6);
    cluster.tend().await;
    for broker in &cluster.brokers {
        cluster.read(broker, Kind::JsapiTicket).await.unwrap();
    }
    assert_eq!(cluster.calls(TICKET), 3);
}
