//! Nodes that share a store see each other; silent and excess nodes are forgotten; an unreachable store is reported with its start.

use wx_jssdk::account::TokenMode;
use wx_jssdk::broker::Find;
use wx_jssdk::store::Node;

use crate::cluster::world::*;
use crate::common::log::Log;
use crate::common::wait::until_ok;

fn names(nodes: &[wx_jssdk::store::PeerNode]) -> Vec<&str> {
    nodes.iter().map(|peer| peer.node.name.as_str()).collect()
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn processes_see_each_other_and_not_themselves() {
    let cluster = Cluster::cold(TokenMode::Stable, 3).await;
    for broker in &cluster.brokers {
        broker.tend().await;
    }
    let first = cluster.brokers[0].snapshot(&Find::all()).cluster;
    assert!(
        first.peer_nodes.is_empty() && first.trouble.is_none() && first.shared,
        "no other node existed yet: {first:?}"
    );
    assert_eq!(
        cluster.brokers[2]
            .snapshot(&Find::all())
            .cluster
            .peer_nodes
            .len(),
        2
    );
    cluster.advance(11);
    cluster.brokers[0].tend().await;
    let first = cluster.brokers[0].snapshot(&Find::all()).cluster;
    assert_eq!(
        (first.peer_nodes.len(), first.store, first.looked_at),
        (2, "redis", Some(cluster.clock.now()))
    );
    assert!(first.peer_nodes.iter().all(
        |peer| peer.node.id != first.node.id && peer.node.version == env!("CARGO_PKG_VERSION")
    ));
    let keys = cluster.shared.cli(&["PTTL", "wx-jssdk:nodes"]);
    assert!(
        (1..=60_000).contains(&keys.trim().parse::<i64>().unwrap()),
        "it expires by itself: {keys}"
    );
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn silent_nodes_are_forgotten_and_the_list_is_bounded() {
    let cluster = Cluster::cold(TokenMode::Stable, 0).await;
    let (store, now) = (cluster.store(), cluster.clock.now());
    cluster.shared.cli(&[
        "ZADD",
        "wx-jssdk:nodes",
        "1000",
        "00000000000000aa 0.1.0 long-gone",
    ]);
    let me = Node::new("me");
    assert_eq!(names(&store.announce(&me, now).await.unwrap()), ["me"]);
    for n in 0..100 {
        store
            .announce(&Node::new(&format!("node-{n:03}")), now)
            .await
            .unwrap();
    }
    let nodes = store.announce(&me, now).await.unwrap();
    assert_eq!(nodes.len(), 64, "the newest of them");
    assert!(
        names(&nodes).contains(&"me")
            && names(&nodes).contains(&"node-099")
            && !names(&nodes).contains(&"node-000")
    );
    cluster
        .shared
        .cli(&["ZADD", "wx-jssdk:nodes", "99999999999999", "no node at all"]);
    assert!(
        store.announce(&me, now).await.unwrap().len() < 64,
        "an unreadable entry is not a node"
    );
    cluster.shared.cli(&["SET", "wx-jssdk:nodes", "a text"]);
    assert_eq!(
        names(&store.announce(&me, now).await.unwrap()),
        ["me"],
        "an invalid list is replaced"
    );
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn an_unreachable_store_is_reported_with_its_start_until_it_is_back() {
    let mut cluster = Cluster::warm(TokenMode::Stable, 2).await;
    cluster.advance(11);
    cluster.brokers[0].tend().await;
    assert_eq!(
        cluster.brokers[0]
            .snapshot(&Find::all())
            .cluster
            .peer_nodes
            .len(),
        1
    );
    cluster.shared.kill();
    cluster.advance(11);
    let since = cluster.clock.now();
    for _ in 0..3 {
        cluster.brokers[0].tend().await;
        cluster.advance(11);
    }
    let around = cluster.brokers[0].snapshot(&Find::all()).cluster;
    let (error, told) = around.trouble.expect("it is away");
    assert_eq!(
        (told, around.peer_nodes.len()),
        (since, 1),
        "since the first failure; the known nodes are kept"
    );
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
    cluster.shared.restart();
    // It reconnects in the background.
    until_ok("the store is back", async || {
        cluster.advance(11);
        cluster.brokers[0].tend().await;
        let around = cluster.brokers[0].snapshot(&Find::all()).cluster;
        around.trouble.map_or(Ok(()), |(error, _)| Err(error))
    })
    .await;
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn a_store_that_only_refuses_writes_is_shown_and_logged_as_unreachable() {
    let cluster = Cluster::warm(TokenMode::Stable, 1).await;
    let log = Log::default();
    let _guard = log.listen();
    let node = &cluster.brokers[0];
    let is_failing = || node.snapshot(&Find::all()).cluster.trouble.is_some();
    let limit = |bytes| {
        let set = cluster.shared.cli(&["CONFIG", "SET", "maxmemory", bytes]);
        assert_eq!(set, "OK");
    };
    limit("1");
    for _ in 0..3 {
        cluster.advance(11);
        node.tend().await;
        assert!(is_failing());
    }
    limit("0");
    cluster.advance(6);
    node.tend().await;
    assert!(!is_failing());
    for words in ["store unreachable", "store reachable again"] {
        assert_eq!(log.about(words).len(), 1, "{words}: {}", log.text());
    }
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn a_page_shows_the_counts_last_read_while_redis_is_stopped() {
    let cluster = Cluster::warm(TokenMode::Stable, 1).await;
    let counts = || {
        let snapshot = cluster.brokers[0].snapshot(&Find::all());
        let credentials = snapshot.accounts[0].credentials.iter();
        credentials.map(|one| one.calls_today).collect::<Vec<_>>()
    };
    assert_eq!(counts(), [Some(1), Some(1)]);
    cluster.shared.signal("STOP");
    cluster.live(65, 30).await;
    let stopped = counts();
    cluster.shared.signal("CONT");
    assert_eq!(stopped, [Some(1), Some(1)]);
}
