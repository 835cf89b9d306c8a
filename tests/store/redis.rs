//! The Redis store against real servers: shared, with timeouts, and usable again as soon as Redis is.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::time::Duration;

use wx_jssdk::clock::{Clock, UnixTime};
use wx_jssdk::credential::{Credential, CredentialKey, Kind};
use wx_jssdk::store::{Claim, Document, Saved, Store, StoreError};

use crate::acceptance::{Fixture, accept};
use crate::common::process::{again, passes};
use crate::common::redis_server::{Redis, free_port};
use crate::common::wait::until;
use crate::support::{
    GAP, NOW, TICKET, TOKEN, app, credential, delaying, ending, impossible, key, other_app,
    until_ok,
};

/// A handle with a long timeout, for a busy machine. Those of [`Store::redis`] have the time limit of the service.
pub(crate) fn open(url: &str) -> Store {
    Store::redis_within(url, "wx-jssdk:", Duration::from_secs(20)).unwrap()
}

/// Two stores on one server, like two processes.
pub(crate) fn fixture() -> Fixture<Redis> {
    let redis = Redis::start();
    Fixture {
        a: open(&redis.url()),
        b: open(&redis.url()),
        _alive: redis,
    }
}

accept!(fixture(), #[ignore = "needs redis-server: make test"]);
accept!(documents: fixture(), #[ignore = "needs redis-server: make test"]);
accept!(shared: fixture(), #[ignore = "needs redis-server: make test"]);

/// Far above the 250 ms that [`wx_jssdk::store`] promises, for a busy machine, and far below the time that the
/// system would wait for an answer.
const BOUND: u64 = 10_000;

/// Whether the operation ended within the time that [`wx_jssdk::store`] promises.
pub(crate) fn is_timeout(error: &Option<StoreError>) -> bool {
    let limit = Duration::from_millis(250);
    matches!(error, Some(StoreError::Slow { within, .. }) if *within == limit)
}

/// Runs every operation. Returns its duration in milliseconds and its error.
pub(crate) async fn try_all(store: &Store) -> Vec<(&'static str, u64, Option<StoreError>)> {
    let clock = Clock::system();
    let mut tried = Vec::new();
    macro_rules! time {
        ($name:literal, $operation:expr) => {{
            let start = clock.now_millis();
            let error = $operation.await.err();
            tried.push(($name, clock.now_millis() - start, error));
        }};
    }
    time!("load", store.load(&key()));
    time!("save", store.save(&key(), &credential(1)));
    time!("lease", store.lease(&key(), Duration::from_millis(1)));
    time!("count_call", store.count_call(&app(), TOKEN, NOW));
    time!("calls", store.calls(&app(), TOKEN, NOW));
    time!("set_block", store.set_block(&app(), TOKEN, NOW, NOW));
    time!("blocked_until", store.blocked_until(&app(), TOKEN, NOW));
    time!("claim_refresh", store.claim_refresh(&key(), NOW, GAP, None));
    time!("ping", store.ping());
    tried
}

pub(crate) async fn until_usable(store: &Store) {
    until_ok(async || store.ping().await).await;
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn every_lease_expires() {
    let Fixture {
        a, _alive: redis, ..
    } = fixture();
    let _lease = a
        .lease(&key(), Duration::from_secs(15))
        .await
        .unwrap()
        .unwrap();
    let left: i64 = redis
        .cli(&[
            "PTTL",
            "wx-jssdk:lease:official:wx0123456789abcdef:access_token",
        ])
        .parse()
        .unwrap();
    assert!((1..=15_000).contains(&left), "{left}");
}

#[tokio::test]
async fn without_a_server_every_operation_fails_at_once() {
    let store = open("redis://127.0.0.1:1");
    for (name, took, error) in try_all(&store).await {
        assert!(
            matches!(error, Some(StoreError::Unavailable { .. })) && took < BOUND,
            "{name}: {error:?} in {took} ms"
        );
    }
}

#[tokio::test]
async fn with_a_server_that_never_answers_every_operation_times_out() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let store = Store::redis(&format!("redis://{}", silent.local_addr().unwrap())).unwrap();
    let tried = try_all(&store).await;
    assert!(
        tried[..3].iter().all(|(.., it)| is_timeout(it)),
        "{tried:?}"
    );
    for (name, took, error) in tried {
        assert!(
            error.is_some() && took < BOUND,
            "{name}: {error:?} in {took} ms"
        );
    }
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn a_paused_redis_times_out_and_is_used_again_when_it_resumes() {
    let redis = Redis::start();
    let store = Store::redis(&redis.url()).unwrap();
    until_ok(async || store.save(&key(), &credential(7)).await).await;
    redis.signal("STOP");
    let tried = try_all(&store).await;
    assert!(
        tried[..3].iter().all(|(.., it)| is_timeout(it)),
        "{tried:?}"
    );
    for (name, took, error) in tried {
        assert!(
            error.is_some() && took < BOUND,
            "{name}: {error:?} in {took} ms"
        );
    }
    redis.signal("CONT");
    let loaded = until_ok(async || store.load(&key()).await).await;
    assert_eq!(loaded, Some(credential(7)));
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn a_redis_restarted_empty_is_used_again_without_an_error() {
    let Fixture {
        a,
        b,
        _alive: mut redis,
    } = fixture();
    a.save(&key(), &credential(7)).await.unwrap();
    b.count_call(&app(), TOKEN, NOW).await.unwrap();
    redis.restart();
    assert_eq!(a.load(&key()).await, Ok(None));
    assert_eq!(
        b.save(&key(), &credential(3)).await,
        Ok(Saved::Stored),
        "despite its previous content"
    );
    assert_eq!(a.load(&key()).await, Ok(Some(credential(3))));
    assert_eq!(b.count_call(&app(), TOKEN, NOW).await, Ok(1));
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn a_redis_that_comes_up_after_the_store_is_found() {
    let mut redis = Redis::start();
    let store = open(&redis.url());
    redis.kill();
    assert!(matches!(
        store.load(&key()).await,
        Err(StoreError::Unavailable { .. })
    ));
    redis.restart();
    until_usable(&store).await;
    assert_eq!(store.save(&key(), &credential(1)).await, Ok(Saved::Stored));
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn a_redis_whose_connections_take_half_the_time_limit_is_used() {
    let redis = Redis::start();
    // Connecting and the first operation together take longer than an operation may.
    let port = delaying(redis.port, Duration::from_millis(130)).await;
    let store = Store::redis(&format!("redis://127.0.0.1:{port}/1")).unwrap();
    until_usable(&store).await;
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn an_unreadable_record_counts_as_absent_and_is_replaced() {
    let Fixture {
        a, _alive: redis, ..
    } = fixture();
    let name = "wx-jssdk:credential:official:wx0123456789abcdef:access_token";
    a.save(&key(), &credential(5)).await.unwrap();
    let good = redis.cli(&["GET", name]);
    // Another value with the same checksum and the highest possible generation.
    let forged = good.replacen("00000000000000000005", "99999999999999999999", 1);
    assert_ne!(good, forged);
    for rubbish in [
        "",
        "rubbish",
        "{\"access_token\":\"x\"}",
        "2 0123 4 5 6 7",
        "1",
        &forged,
        &good[..good.len() - 1],
    ] {
        redis.cli(&["SET", name, rubbish]);
        assert_eq!(a.load(&key()).await, Ok(None), "{rubbish}");
        assert_eq!(
            a.save(&key(), &credential(1)).await,
            Ok(Saved::Stored),
            "{rubbish}"
        );
        assert_eq!(a.load(&key()).await, Ok(Some(credential(1))));
    }
    // Not UTF-8, and not a Redis string.
    let bytes = "return redis.call('SET', KEYS[1], '1 ' .. string.rep('0', 40) .. ' ' .. string.rep('9', 20) .. ' ' .. string.rep('9', 20) .. ' \\255\\0')";
    for other in [vec!["EVAL", bytes, "1", name], vec!["LPUSH", name, "x"]] {
        redis.cli(&["DEL", name]);
        redis.cli(&other);
        assert_eq!(a.load(&key()).await, Ok(None));
        assert_eq!(a.save(&key(), &credential(1)).await, Ok(Saved::Stored));
    }
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn a_lease_key_of_another_type_counts_as_absent() {
    let Fixture {
        a,
        b,
        _alive: redis,
        ..
    } = fixture();
    let name = "wx-jssdk:lease:official:wx0123456789abcdef:access_token";
    let minute = Duration::from_secs(60);
    let lease = a.lease(&key(), minute).await.unwrap().unwrap();
    redis.cli(&["DEL", name]);
    redis.cli(&["LPUSH", name, "x"]);
    a.release(lease).await.unwrap();
    assert!(b.lease(&key(), minute).await.unwrap().is_some());
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn invalid_call_counts_restart_at_zero() {
    let Fixture {
        a, _alive: redis, ..
    } = fixture();
    a.count_call(&app(), TOKEN, NOW).await.unwrap();
    a.set_block(&app(), TICKET, NOW.next_shanghai_midnight(), NOW)
        .await
        .unwrap();
    a.claim_refresh(&key(), NOW, GAP, Some(20)).await.unwrap();
    for name in redis.cli(&["KEYS", "*"]).lines() {
        redis.cli(&["SET", name, "rubbish"]);
    }
    assert_eq!(a.calls(&app(), TOKEN, NOW).await, Ok(0));
    assert_eq!(a.count_call(&app(), TOKEN, NOW).await, Ok(1));
    assert_eq!(a.blocked_until(&app(), TICKET, NOW).await, Ok(None));
    assert_eq!(
        a.claim_refresh(&key(), NOW, GAP, Some(20)).await,
        Ok(Claim::Granted)
    );
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn a_record_of_claimed_refreshes_that_is_no_text_is_replaced() {
    let Fixture {
        a, _alive: redis, ..
    } = fixture();
    let name = "wx-jssdk:force:official:wx0123456789abcdef:access_token";
    let bytes = "return redis.call('SET', KEYS[1], '\\255\\0')";
    for other in [vec!["EVAL", bytes, "1", name], vec!["LPUSH", name, "x"]] {
        redis.cli(&["DEL", name]);
        redis.cli(&other);
        let retry_at = NOW.plus(GAP);
        for expected in [Claim::Granted, Claim::TooSoon { retry_at }] {
            let claim = a.claim_refresh(&key(), NOW, GAP, Some(20)).await;
            assert_eq!(claim, Ok(expected));
        }
    }
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn every_redis_key_expires_and_holds_no_secret_in_its_name() {
    let Fixture {
        a, _alive: redis, ..
    } = fixture();
    let ticket = CredentialKey {
        app: other_app(),
        kind: Kind::AgentTicket,
        secret_hash: None,
    };
    a.save(&key(), &credential(1)).await.unwrap();
    a.save(&ticket, &credential(1)).await.unwrap();
    a.count_call(&app(), TOKEN, NOW).await.unwrap();
    a.set_block(&app(), TOKEN, NOW.next_shanghai_midnight(), NOW)
        .await
        .unwrap();
    a.claim_refresh(&key(), NOW, GAP, Some(20)).await.unwrap();
    let names = redis.cli(&["KEYS", "*"]);
    let mut names: Vec<_> = names.lines().collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "wx-jssdk:block:official:wx0123456789abcdef:/cgi-bin/token",
            "wx-jssdk:calls:official:wx0123456789abcdef:/cgi-bin/token:19723",
            "wx-jssdk:credential:official:wx0123456789abcdef:access_token",
            "wx-jssdk:credential:work:ww0123456789abcdef:1000002:agent_ticket",
            "wx-jssdk:force:official:wx0123456789abcdef:access_token",
        ]
    );
    for name in names {
        let left: i64 = redis.cli(&["TTL", name]).parse().unwrap();
        let expected = if name.contains("credential") {
            7_200..=7_800
        } else {
            57_600..=2 * 86_400
        };
        assert!(expected.contains(&left), "{name} ends in {left} s");
    }
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn a_document_and_its_listed_name_stay_in_redis_until_its_end_or_forever() {
    let Fixture {
        a, _alive: redis, ..
    } = fixture();
    let ttl = |name: &str| redis.cli(&["TTL", name]).parse::<i64>().unwrap();
    let day = 86_400_i64;
    let claim = Document {
        expires_at: Some(NOW.plus(Duration::from_secs(86_400))),
        ..Document::new("claim")
    };
    let save = async |name: &str, document: &Document| {
        let saved = a.save_document(name, document, NOW).await;
        assert!(matches!(saved, Ok(Some(_))), "{saved:?}");
    };
    let (group, one, two) = (
        "wx-jssdk:{document:platform:wx1:code}",
        "wx-jssdk:{document:platform:wx1:code}:1",
        "wx-jssdk:{document:platform:wx1:code}:2",
    );
    save("platform:wx1:code:1", &claim).await;
    for name in [group, one] {
        assert!((day..=day + 600).contains(&ttl(name)), "{name}");
    }
    save("platform:wx1:code:2", &Document::new("kept")).await;
    assert_eq!([ttl(group), ttl(two)], [-1, -1]);
    assert!(ttl(one) > 0);
    // The list drops its name with the next change in its group.
    redis.cli(&["ZADD", group, "1", "long ago"]);
    let again = Document {
        version: 1,
        ..claim
    };
    save("platform:wx1:code:2", &again).await;
    assert_eq!(redis.cli(&["ZRANGE", group, "0", "-1"]), "1\n2");
    assert!(ttl(group) > 0, "no key stays for ever");
    let mut names: Vec<_> = redis
        .cli(&["KEYS", "*"])
        .lines()
        .map(str::to_owned)
        .collect();
    names.sort_unstable();
    assert_eq!(names, [group, one, two]);
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn a_document_that_cannot_be_read_counts_as_absent_and_is_replaced() {
    let Fixture {
        a, _alive: redis, ..
    } = fixture();
    let name = "wx-jssdk:{document:platform:wx1}:ticket";
    let new = Document::new("ticket");
    let save = async |document: &Document| {
        let saved = a.save_document("platform:wx1:ticket", document, NOW).await;
        saved.unwrap()
    };
    assert_eq!(save(&new).await, Some(1));
    let good = redis.cli(&["GET", name]);
    let forged = good.replacen(" 1 0 ", " 8 0 ", 1);
    assert_ne!(good, forged);
    for rubbish in ["", "rubbish", "1", &forged, &good[..good.len() - 1]] {
        redis.cli(&["SET", name, rubbish]);
        let loaded = a.load_document("platform:wx1:ticket", NOW).await;
        assert_eq!(loaded, Ok(None), "{rubbish}");
        let listed = a.load_documents("platform:wx1", NOW).await;
        assert_eq!(listed, Ok(Vec::new()), "{rubbish}");
        let late = Document {
            version: 5,
            ..new.clone()
        };
        assert_eq!(save(&late).await, None, "{rubbish}");
        assert_eq!(save(&new).await, Some(1), "{rubbish}");
    }
    for key in [name, "wx-jssdk:{document:platform:wx1}"] {
        redis.cli(&["DEL", name]);
        redis.cli(&["DEL", key]);
        redis.cli(&["LPUSH", key, "x"]);
        assert_eq!(a.load_documents("platform:wx1", NOW).await, Ok(Vec::new()));
        assert_eq!(save(&new).await, Some(1), "{key}");
        assert_eq!(
            a.load_documents("platform:wx1", NOW).await.unwrap().len(),
            1
        );
    }
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn a_shortened_life_stays_in_redis_as_long_as_the_whole_one() {
    // Otherwise the longer life of the same generation could return after the shorter record has expired.
    let Fixture {
        a, _alive: redis, ..
    } = fixture();
    a.save(&key(), &credential(1)).await.unwrap();
    assert_eq!(
        a.save(&key(), &ending(credential(1), 0)).await,
        Ok(Saved::Stored)
    );
    let left: i64 = redis
        .cli(&[
            "TTL",
            "wx-jssdk:credential:official:wx0123456789abcdef:access_token",
        ])
        .parse()
        .unwrap();
    assert!(left > 7_200, "{left}");
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn an_endless_lifetime_is_not_an_error_and_is_not_trusted() {
    let Fixture { a, _alive, .. } = fixture();
    let endless = Credential {
        expires_at: UnixTime(u64::MAX),
        ..credential(1)
    };
    assert_eq!(a.save(&key(), &endless).await, Ok(Saved::Stored));
    assert_eq!(a.load(&key()).await, Ok(None));
    assert_eq!(
        a.set_block(&app(), TOKEN, UnixTime(u64::MAX), NOW).await,
        Ok(())
    );
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn two_prefixes_or_databases_share_nothing() {
    let redis = Redis::start();
    let stores = [
        open(&redis.url()),
        Store::redis_within(&redis.url(), "staging:", Duration::from_secs(20)).unwrap(),
        open(&format!("{}/1", redis.url())),
    ];
    for (generation, store) in (1..).zip(&stores) {
        let saved = until_ok(async || store.save(&key(), &credential(generation)).await).await;
        assert_eq!(saved, Saved::Stored);
    }
    for (generation, store) in (1..).zip(&stores) {
        let loaded = until_ok(async || store.load(&key()).await).await;
        assert_eq!(loaded, Some(credential(generation)));
    }
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn a_refused_password_is_explained_and_no_password_is_ever_shown() {
    let redis = Redis::with(&["--requirepass", "right-word"]);
    let at = |user: &str| open(&format!("redis://{user}127.0.0.1:{}", redis.port));
    assert_eq!(at(":right-word@").ping().await, Ok(()));
    for store in [at(""), at(":wrong-word@"), at("somebody:wrong-word@")] {
        let error = store.load(&key()).await.unwrap_err();
        let said = format!("{error} {error:?} {store:?} {}", store.describe());
        assert!(said.contains(&redis.port.to_string()), "{said}");
        for setting in ["store.url", "store.password_file"] {
            assert!(error.to_string().contains(setting), "{error}");
        }
        assert!(
            !said.contains("-word") && !said.contains("somebody"),
            "{said}"
        );
    }
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn a_database_that_redis_does_not_have_is_explained() {
    let redis = Redis::start();
    let store = open(&format!("{}/999", redis.url()));
    let error = store.load(&key()).await.unwrap_err().to_string();
    assert!(
        error.contains("DB index is out of range") && error.contains("store.url"),
        "{error}"
    );
}

#[test]
fn what_is_wrong_with_an_address_is_said_in_both_languages() {
    for (bad, en, zh) in [
        (
            "redis+cluster://a,b/0",
            "no databases",
            "集群没有可选的库号",
        ),
        ("redis+sentinel://a", "name the master", "主节点名"),
        ("redis+cluster://a,,b", "between the commas", "逗号之间"),
        ("redis://:a/b#c@h/0", "as %XX", "须写作 %XX"),
        ("redis://:a?b=c@h/0", "as %XX", "须写作 %XX"),
    ] {
        let Err(StoreError::Address { problem }) = Store::redis(bad) else {
            panic!("{bad}");
        };
        assert!(
            problem.en.contains(en) && problem.zh.contains(zh),
            "{problem}"
        );
    }
}

#[test]
fn an_unusable_address_is_explained_and_not_quoted() {
    for bad in [
        "hunter2",
        "http://user:hunter2@localhost",
        "redis://:hunter2@",
        "redis://:hunter2@localhost:99999",
        "redis://:hunter2@localhost/x",
        "redis://:Ab?hunter2==@h/0",
        "redis://:Ab?hunter2=x#y@h/0",
        "redis+cluster://:Ab?hunter2=x@h",
        "redis+cluster://:hunter2@",
        "redis+cluster://:hunter2@a,,b",
        "redis+cluster://:hunter2@a/3",
        "redis+sentinel://:hunter2@a,b",
        "redis+sentinel://:hunter2@a,b/",
        "redis+sentinel://:hunter2@a:b:c/master",
        "redis+other://:hunter2@a",
    ] {
        let error = Store::redis(bad).expect_err(bad);
        assert!(matches!(error, StoreError::Address { .. }), "{error:?}");
        assert!(
            error.to_string().contains("://") || error.to_string().contains("host"),
            "{error}"
        );
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

#[test]
fn an_option_of_an_address_that_would_be_ignored_is_refused_by_its_name() {
    for (url, option) in [
        ("redis://h/0?tls=hunter2", "\"tls\""),
        ("redis://h/0?password=hunter2", "\"password\""),
        ("redis+unix:///s?password=hunter2", "\"password\""),
        ("redis+cluster://h?ssl=hunter2", "\"ssl\""),
        (
            "redis+sentinel://h/m?sentinal_password=hunter2",
            "\"sentinal_password\"",
        ),
    ] {
        let error = Store::redis(url).expect_err(url).to_string();
        assert!(
            error.contains(option) && !error.contains("hunter2"),
            "{error}"
        );
    }
    for url in [
        "redis://h/0?protocol=resp3",
        "redis+unix:///s?db=1&pass=hunter2",
    ] {
        assert!(Store::redis(url).is_ok(), "{url}");
    }
}

#[test]
fn every_kind_of_address_is_described_without_its_password() {
    for (url, described) in [
        ("redis://:hunter2@localhost", "redis at localhost:6379"),
        (
            "rediss://me:hunter2@redis.example.com:7000/2",
            "redis at redis.example.com:7000",
        ),
        (
            "redis+cluster://me:hunter2@a,b:7001,[::1]",
            "redis cluster at a:6379,b:7001,[::1]:6379",
        ),
        ("rediss+cluster://a", "redis cluster at a:6379"),
        (
            "rediss+sentinel://me:hunter2@a,b:7001/main/3?sentinel_password=hunter2",
            "redis master main by sentinels a:26379,b:7001",
        ),
    ] {
        let store = Store::redis(url).unwrap();
        assert_eq!(store.describe(), described);
        assert_eq!(format!("{store:?}"), format!("Store({described})"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn a_cluster_keeps_every_rule() {
    let directory = tempfile::tempdir().unwrap();
    let nodes = directory.path().join("nodes.conf");
    let bus = free_port().to_string();
    let redis = Redis::with(&[
        "--cluster-enabled",
        "yes",
        "--cluster-port",
        &bus,
        "--cluster-config-file",
        nodes.to_str().unwrap(),
    ]);
    redis.cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let url = format!("redis+cluster://127.0.0.1:{}", redis.port);
    let (a, b) = (open(&url), open(&url));
    until_writable(&a).await;
    crate::acceptance::a_lower_generation_never_replaces_a_higher_one(&a, &b).await;
    redis.cli(&["FLUSHALL"]);
    crate::acceptance::each_app_and_kind_has_its_own(&a, &b).await;
    crate::acceptance::many_credentials_are_loaded_at_once_in_order(&a, &b).await;
    crate::acceptance::claimed_refreshes_are_limited_across_all_handles(&a, &b).await;
    crate::acceptance::concurrent_calls_are_all_counted(&a, &b).await;
    crate::acceptance::a_lease_is_granted_and_released(&a, &b).await;
    crate::acceptance::a_usable_store_reports_it(&a, &b).await;
    crate::acceptance::of_concurrent_saves_of_one_document_version_one_wins(&a, &b).await;
    crate::acceptance::the_documents_of_a_group_are_listed(&a, &b).await;
    assert_eq!(open(&redis.url()).ping().await, Ok(()));
    let strict = Store::redis(&url).unwrap();
    until_writable(&strict).await;
    redis.signal("STOP");
    for (name, took, error) in try_all(&strict).await {
        assert!(
            error.is_some() && took < BOUND,
            "{name}: {error:?} in {took} ms"
        );
    }
    redis.signal("CONT");
    until_writable(&strict).await;
}

/// Repeats a write until it is accepted: a cluster or a failover takes a moment to elect a master.
async fn until_writable(store: &Store) {
    until_ok(async || store.count_call(&app(), "/until/writable", NOW).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn after_a_failover_the_sentinels_lead_to_the_new_master() {
    let directory = tempfile::tempdir().unwrap();
    let master = Redis::with(&["--requirepass", "word"]);
    let of_master = master.port.to_string();
    let replica = Redis::with(&[
        "--requirepass",
        "word",
        "--masterauth",
        "word",
        "--replicaof",
        "127.0.0.1",
        &of_master,
        "--repl-diskless-sync-delay",
        "0",
    ]);
    let settings = directory.path().join("sentinel.conf");
    let watch = format!(
        "sentinel monitor main 127.0.0.1 {of_master} 1\nsentinel auth-pass main word\n\
         sentinel down-after-milliseconds main 300\nsentinel failover-timeout main 5000\n"
    );
    std::fs::write(&settings, watch).unwrap();
    let sentinel = Redis::with(&[settings.to_str().unwrap(), "--sentinel"]);
    // An unreachable sentinel comes first in the list.
    let url = format!(
        "redis+sentinel://:word@127.0.0.1:1,127.0.0.1:{}/main",
        sentinel.port
    );
    let store = Store::redis_within(&url, "wx-jssdk:", Duration::from_secs(1)).unwrap();
    until_writable(&store).await;
    assert_eq!(store.save(&key(), &credential(1)).await, Ok(Saved::Stored));
    let name = "wx-jssdk:credential:official:wx0123456789abcdef:access_token";
    until(
        "the sentinel knows the replica, and it has the credential",
        async || {
            sentinel
                .cli(&["SENTINEL", "REPLICAS", "main"])
                .contains(&replica.port.to_string())
                && replica.cli(&["-a", "word", "EXISTS", name]) == "1"
        },
    )
    .await;
    // Not killed: another test's server could get its port, and the sentinel would make it a replica.
    master.signal("STOP");
    until_writable(&store).await;
    assert_eq!(
        store.load(&key()).await,
        Ok(Some(credential(1))),
        "what was replicated is still there"
    );
    assert_eq!(store.save(&key(), &credential(2)).await, Ok(Saved::Stored));
    assert!(
        replica
            .cli(&["-a", "word", "GET", name])
            .ends_with("value-of-2")
    );
}

/// In a child process, because its environment determines the trusted roots.
#[test]
#[ignore = "needs redis-server and openssl: make test"]
fn rediss_speaks_tls_and_trusts_only_known_roots() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    if let Ok(url) = std::env::var("JSSDK_TEST_STORE_URL") {
        return runtime.block_on(async {
            let store = open(&url);
            until_usable(&store).await;
            assert_eq!(store.save(&key(), &credential(1)).await, Ok(Saved::Stored));
            assert_eq!(store.load(&key()).await, Ok(Some(credential(1))));
        });
    }
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (certificate, admin) = (file("certificate.pem"), file("key.pem"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ])
        .args([
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ])
        .args(["-keyout", &admin, "-out", &certificate])
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let port = free_port().to_string();
    let _redis = Redis::with(&[
        "--tls-port",
        &port,
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &admin,
        "--tls-auth-clients",
        "no",
    ]);
    let url = format!("rediss://localhost:{port}");
    passes(
        again(rediss_speaks_tls_and_trusts_only_known_roots)
            .env("JSSDK_TEST_STORE_URL", &url)
            .env("SSL_CERT_FILE", &certificate),
    );
    // Here the certificate is not trusted.
    let error = runtime.block_on(async {
        let store = open(&url);
        store.ping().await.unwrap_err()
    });
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn an_impossible_record_counts_as_absent_for_every_process() {
    for (what, credential) in impossible() {
        let Fixture { a, b, _alive } = fixture();
        a.save(&key(), &credential).await.unwrap();
        assert_eq!(b.load(&key()).await, Ok(None), "{what}");
        assert_eq!(b.load_many(&[&key()]).await, Ok(vec![None]), "{what}");
        let next = crate::support::credential(2);
        assert_eq!(b.save(&key(), &next).await, Ok(Saved::Stored), "{what}");
        assert_eq!(a.load(&key()).await, Ok(Some(next)), "{what}");
    }
}
