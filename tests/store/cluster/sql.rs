//! The same guarantees with processes that share a database.

use std::sync::Arc;
use std::time::Duration;

use wx_jssdk::account::{Account, TokenMode};
use wx_jssdk::broker::{Broker, Find};
use wx_jssdk::sandbox::{App, Sandbox};
use wx_jssdk::store::Store;
use wx_jssdk::{Clock, Kind, UnixTime};

use crate::cluster::processes::{
    an_owner_killed_in_its_call_costs_one_more,
    cold_readers_of_four_processes_cause_one_token_and_one_ticket_call,
};
use crate::cluster::world::{APP, ClusterOn, SECRET, STABLE, Shared, TICKET};
use crate::common::sql_server::{Kind as Server, Sql};
use crate::common::upstream::impatient;
use crate::sql::Tables;

struct On<const KIND: usize>(Arc<Sql>);

const POSTGRES: usize = Server::Postgres as usize;
const MARIADB: usize = Server::MariaDb as usize;

impl<const KIND: usize> Shared for On<KIND> {
    fn start() -> Self {
        let kind = match KIND {
            POSTGRES => Server::Postgres,
            _ => Server::MariaDb,
        };
        let server = Sql::start(kind);
        let schema = Store::sql_schema(&server.url(), "wx_jssdk_").unwrap();
        server.admin(&match kind {
            Server::Postgres => schema,
            Server::MariaDb => format!("USE wx; {schema}"),
        });
        Self(Arc::new(server))
    }

    fn open(&self) -> Store {
        // A long timeout for a busy machine; a stopped database uses all of it.
        let second = Duration::from_secs(1);
        Store::sql_within(&self.0.url(), "wx_jssdk_", second).unwrap()
    }
}

/// One server for all of them, since starting one takes seconds.
async fn a_database_outage_costs_no_call_and_no_wait<const KIND: usize>() {
    let mut cluster: ClusterOn<On<KIND>> = ClusterOn::warm(TokenMode::Stable, 3).await;
    let calls = |cluster: &ClusterOn<On<KIND>>| (cluster.calls(STABLE), cluster.calls(TICKET));
    // `live` asserts that no reader waits and that no expired value is read.
    cluster.shared.0.signal("STOP");
    cluster.live(30, 10).await;
    cluster.shared.0.signal("CONT");
    cluster.shared.0.kill();
    cluster.live(60, 10).await;
    cluster.shared.0.start_again();
    cluster.live(30, 5).await;
    assert_eq!(calls(&cluster), (1, 1));

    // After its tables are lost it is filled from memory.
    let server = cluster.shared.0.clone();
    let admin = |statements: &str| match server.kind {
        Server::Postgres => server.admin(statements),
        Server::MariaDb => server.admin(&format!("USE wx; {statements}")),
    };
    admin("DROP TABLE wx_jssdk_credentials, wx_jssdk_leases");
    cluster.live(30, 5).await;
    cluster.brokers.push(cluster.another());
    cluster.tend().await;
    assert!(cluster.assert_all_answer_at_once().is_some());
    assert_eq!(calls(&cluster), (1, 1));

    // A refreshed value reaches all processes before the old one ends.
    admin("CREATE TABLE older_copy AS SELECT * FROM wx_jssdk_credentials");
    cluster.live(7_200 - 180, 60).await;
    cluster.live(240, 5).await;
    assert_eq!(calls(&cluster), (2, 2));
    assert!(cluster.assert_all_answer_at_once().is_some());
    let nodes = cluster.brokers[0].snapshot(&Find::all()).cluster.peer_nodes;
    assert_eq!(nodes.len(), 3);

    // A failover to an older copy restores no old value.
    admin(
        "DELETE FROM wx_jssdk_credentials; INSERT INTO wx_jssdk_credentials SELECT * FROM older_copy",
    );
    cluster.live(60, 5).await;
    cluster.brokers.push(cluster.another());
    cluster.tend().await;
    assert!(cluster.assert_all_answer_at_once().is_some());
    assert_eq!(calls(&cluster), (2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: make test"]
async fn a_postgresql_outage_costs_no_call_and_no_wait() {
    a_database_outage_costs_no_call_and_no_wait::<POSTGRES>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MariaDB: make test"]
async fn a_mariadb_outage_costs_no_call_and_no_wait() {
    a_database_outage_costs_no_call_and_no_wait::<MARIADB>().await;
}

/// Processes of the real binary.
async fn processes_on_one_database_cause_one_call(tables: impl Fn() -> Tables) {
    let [one, other] = [tables().ready().await, tables().ready().await];
    cold_readers_of_four_processes_cause_one_token_and_one_ticket_call(&one.settings(), 2_000)
        .await;
    an_owner_killed_in_its_call_costs_one_more(&other.settings()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: make test"]
async fn processes_on_one_postgresql_cause_one_call_and_one_more_for_a_killed_owner() {
    let server = Sql::shared(Server::Postgres);
    processes_on_one_database_cause_one_call(|| Tables::on(server.clone())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MariaDB: make test"]
async fn processes_on_one_mariadb_cause_one_call_and_one_more_for_a_killed_owner() {
    let server = Sql::shared(Server::MariaDb);
    processes_on_one_database_cause_one_call(|| Tables::on(server.clone())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_on_one_sqlite_file_cause_one_call_and_one_more_for_a_killed_owner() {
    processes_on_one_database_cause_one_call(Tables::sqlite).await;
}

/// Each operation but `announce` is one query.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_accounts_are_watched_with_less_than_five_queries_a_second() {
    let (tables, clock) = (Tables::sqlite(), Clock::manual(UnixTime(1_767_225_600)));
    let store = tables.open();
    let mut builder = Broker::builder().clock(clock.clone()).store(store.clone());
    for n in 0..2_000 {
        let account = Account::official(format!("wx{n:016x}"), "secret");
        let account = account.js_safe_domain("example.com").unwrap();
        for kind in [Kind::AccessToken, Kind::JsapiTicket] {
            let credential = crate::support::credential(7);
            let credential = wx_jssdk::Credential {
                issued_at: clock.now(),
                expires_at: UnixTime(clock.now().0 + 7_200),
                ..credential
            };
            store.save(&account.key(kind), &credential).await.unwrap();
        }
        builder = builder.account(format!("a{n}"), account);
    }
    let broker = builder.build().unwrap();
    broker.tend().await;
    let queries = || -> u64 {
        let operations = store.operations().into_iter();
        let queries = operations.map(|(name, asked, _)| match name {
            "announce" => 3 * asked,
            _ => asked,
        });
        queries.sum()
    };
    let before = queries();
    for _ in 0..60 {
        clock.advance(Duration::from_secs(1));
        broker.tend().await;
    }
    let queries = queries() - before;
    assert!((10..300).contains(&queries), "{queries} in a minute");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generation_of_a_fast_clock_shortens_no_later_classic_token() {
    let [fast, right] = [(); 2].map(|()| Clock::manual(UnixTime(1_767_225_600)));
    let sandbox = Sandbox::start(right.clone()).await.unwrap();
    sandbox.add_app(App::official(APP, SECRET));
    let tables = Tables::sqlite().ready().await;
    let [a, b] = [&fast, &right].map(|clock| {
        let account = Account::official(APP, SECRET).token_mode(TokenMode::Classic);
        let builder = Broker::builder()
            .account("main", account)
            .clock(clock.clone());
        let builder = builder.upstream(impatient(&sandbox)).store(tables.open());
        builder.build().unwrap()
    });
    let pass = |seconds| {
        for clock in [&fast, &right] {
            assert!(clock.advance(Duration::from_secs(seconds)));
        }
    };
    assert!(fast.set_wrong(28_800));
    let first = a.credential("main", Kind::AccessToken).await.unwrap();
    a.tend().await;
    assert!(fast.set_wrong(-28_800));
    a.tend().await;
    pass(60);
    assert_eq!(
        *b.credential("main", Kind::AccessToken)
            .await
            .unwrap()
            .value
            .expose(),
        *first.value.expose()
    );
    let new = a
        .reject("main", Kind::AccessToken, &first.value)
        .await
        .unwrap();
    pass(5);
    b.tend().await;
    let seen = b.credential("main", Kind::AccessToken).await.unwrap();
    assert_eq!(seen.value, new.value);
    let left = seen.remaining(right.now()).as_secs();
    assert!(left > 7_000, "{left} s");
    assert_eq!(sandbox.calls("/cgi-bin/token"), 2);
}

/// Reads of a node that adopted dates of a fast clock, or has a slow one itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_that_are_ten_minutes_apart_let_no_node_serve_a_dead_value() {
    for mode in [TokenMode::Stable, TokenMode::Classic] {
        let [fast, right] = [(); 2].map(|()| Clock::manual(UnixTime(1_767_225_600)));
        let sandbox = Sandbox::start(right.clone()).await.unwrap();
        sandbox.add_app(App::official(APP, SECRET).safe_domain("example.com"));
        let tables = Tables::sqlite().ready().await;
        let node = |clock: &Clock| {
            let account = Account::official(APP, SECRET).token_mode(mode);
            let account = account.js_safe_domain("example.com").unwrap();
            let builder = Broker::builder()
                .account("main", account)
                .clock(clock.clone());
            let builder = builder.upstream(impatient(&sandbox)).store(tables.open());
            builder.build().unwrap()
        };
        let pass = |seconds| {
            for clock in [&fast, &right] {
                assert!(clock.advance(Duration::from_secs(seconds)));
            }
        };
        assert!(fast.set_wrong(600));
        let first = node(&fast);
        first.tend().await;
        pass(700);
        let late = node(&right);
        for _ in 0..240 {
            for node in [&first, &late] {
                node.tend().await;
                let at = right.now().0 - 1_767_225_600;
                let token = node.credential("main", Kind::AccessToken).await.unwrap();
                let lives = sandbox.accepts_token(APP, token.value.expose());
                assert!(lives, "{mode:?}: a dead token at {at}");
                let ticket = node.credential("main", Kind::JsapiTicket).await.unwrap();
                let lives = sandbox.accepts_ticket(APP, "jsapi", ticket.value.expose());
                assert!(lives, "{mode:?}: a dead ticket at {at}");
            }
            pass(60);
        }
        let calls = sandbox.calls_total();
        assert!(calls < 20, "{mode:?}: {calls} calls");
    }
}
