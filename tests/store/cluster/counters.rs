//! Counters of processes that share a Redis.

use wx_jssdk::Kind;
use wx_jssdk::account::TokenMode::Stable;
use wx_jssdk::broker::{Broker, Find};

use crate::cluster::world::{Cluster, STABLE, TICKET};
use crate::common::wait::{called, until};

fn outcome(broker: &Broker, kind: Kind, name: &str) -> u64 {
    let figures = broker.snapshot(&Find::all());
    let credential = figures.accounts[0]
        .credentials
        .iter()
        .find(|credential| credential.kind == kind)
        .unwrap();
    credential
        .outcomes
        .iter()
        .find(|(known, _)| *known == name)
        .unwrap()
        .1
}

fn waits(broker: &Broker) -> (u64, f64) {
    let waits = broker.snapshot(&Find::all()).stats.lease_waits;
    (
        waits.buckets.iter().map(|(_, count)| count).sum(),
        waits.sum,
    )
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn waiting_for_another_nodes_refresh_is_counted_and_ends_with_the_stored_value() {
    let cluster = Cluster::cold(Stable, 2).await;
    let gate = cluster.sandbox.hold(STABLE);
    let [first, second] = [0, 1].map(|n| cluster.brokers[n].clone());
    let calling = tokio::spawn(async move { first.credential("main", Kind::AccessToken).await });
    called(&cluster.sandbox, STABLE, 1).await;
    let waiting = tokio::spawn(async move { second.credential("main", Kind::AccessToken).await });
    // Until it has been refused the lease.
    let asks = async || {
        cluster.brokers[1]
            .snapshot(&Find::all())
            .stats
            .store
            .iter()
            .any(|(name, asked, _)| *name == "lease" && *asked > 0)
    };
    until("the second asks for the lease", asks).await;
    cluster.advance(2);
    gate.release();
    calling.await.unwrap().unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(
        (waits(&cluster.brokers[0]), waits(&cluster.brokers[1]).0),
        ((0, 0.0), 1)
    );
    let of = |n: usize| {
        ["refreshed", "from_store"]
            .map(|name| outcome(&cluster.brokers[n], Kind::AccessToken, name))
    };
    assert_eq!((of(0), of(1)), ([1, 0], [0, 1]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn every_process_knows_the_total_calls_of_today_within_a_minute() {
    let cluster = Cluster::warm(Stable, 3).await;
    let dead = cluster.revoke_token().await;
    cluster.brokers[0]
        .reject("main", Kind::AccessToken, &dead)
        .await
        .unwrap();
    let tokens = cluster.calls(STABLE);
    assert!(
        tokens >= 2,
        "a rejected token is fetched again, and forced if necessary"
    );
    cluster.live(65, 5).await;
    for broker in &cluster.brokers {
        let figures = broker.snapshot(&Find::all());
        assert_eq!(
            figures.accounts[0].calls_today(),
            [(STABLE, tokens), (TICKET, 1)]
        );
    }
}
