//! The SQL store against real servers and against SQLite: shared, with timeouts, usable again as soon as the
//! database is, and with clear instructions for the operator.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use wx_jssdk::account::Account;
use wx_jssdk::broker::Broker;
use wx_jssdk::clock::Clock;
use wx_jssdk::credential::{CredentialKey, Kind};
use wx_jssdk::sandbox::{App, Fault, FaultKind, Sandbox};
use wx_jssdk::store::{Claim, Document, Node, Saved, Store, StoreError};
use wx_jssdk::upstream::UpstreamOptions;

use crate::acceptance::{Fixture, accept, document};
use crate::common::log::Log;
use crate::common::sql_server::{Kind as Server, Sql};
use crate::common::tls::TlsCertificate;
use crate::encryption::encrypted;
use crate::redis::{is_timeout, try_all, until_usable};
use crate::support::{GAP, NOW, TOKEN, app, credential, delaying, impossible, key, until_ok};

/// Far above 250 ms, for a busy machine, and below what the system would wait for an answer.
const SOON: u64 = 10_000;

/// Tables that no other test uses.
pub(crate) struct Tables {
    server: Option<Arc<Sql>>,
    url: String,
    prefix: String,
    _directory: Option<TempDir>,
}

impl Tables {
    pub(crate) fn on(server: Arc<Sql>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Self {
            url: server.url(),
            server: Some(server),
            prefix: format!("t{}_", NEXT.fetch_add(1, Ordering::Relaxed)),
            _directory: None,
        }
    }

    pub(crate) fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            server: None,
            url: format!("sqlite://{}/store.sqlite", directory.path().display()),
            prefix: "wx_jssdk_".into(),
            _directory: Some(directory),
        }
    }

    /// A handle with the time limit of the service.
    fn open_strictly(&self) -> Store {
        Store::sql(&self.url, &self.prefix).unwrap()
    }

    /// A handle with a long timeout, for a busy machine.
    pub(crate) fn open(&self) -> Store {
        Store::sql_within(&self.url, &self.prefix, Duration::from_secs(20)).unwrap()
    }

    /// Makes the tables.
    pub(crate) async fn ready(self) -> Self {
        until_usable(&self.open()).await;
        self
    }

    /// The content of `[store]` of a configuration.
    pub(crate) fn settings(&self) -> String {
        let Self { url, prefix, .. } = self;
        format!("kind = \"sql\"\nurl = \"{url}\"\ntable_prefix = \"{prefix}\"")
    }

    /// Carries out a statement past the store; `{}` is the prefix of the tables.
    fn sql(&self, statement: &str) -> String {
        let statement = statement.replace("{}", &self.prefix);
        if let Some(server) = &self.server {
            return match server.kind {
                Server::Postgres => server.admin(&statement),
                Server::MariaDb => server.admin(&format!("USE wx; {statement}")),
            };
        }
        let url = self.url.clone();
        let run = move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().build().unwrap().block_on(async {
                use sqlx::{Connection as _, Row as _};
                let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
                let query = sqlx::query(sqlx::AssertSqlSafe(statement));
                let rows = query.fetch_all(&mut connection).await.unwrap();
                let cells = rows.iter().map(|row| row.get::<String, _>(0));
                cells.collect::<Vec<_>>().join("\n")
            })
        };
        std::thread::spawn(run).join().unwrap()
    }
}

fn fixture(tables: Tables) -> Fixture<Tables> {
    Fixture {
        a: tables.open(),
        b: tables.open(),
        _alive: tables,
    }
}

/// Makes a test of each of these, for every database.
macro_rules! on_every_database {
    ($($test:ident),* $(,)?) => {
        mod postgres {
            use super::*;
            fn tables() -> Tables {
                Tables::on(Sql::shared(Server::Postgres))
            }
            accept!(fixture(tables()), #[ignore = "needs PostgreSQL: make test"]);
            accept!(documents: fixture(tables()), #[ignore = "needs PostgreSQL: make test"]);
            accept!(shared: fixture(tables()), #[ignore = "needs PostgreSQL: make test"]);
            mod encrypted {
                use super::*;
                accept!(documents: encrypted(fixture(tables())), #[ignore = "needs PostgreSQL: make test"]);
            }
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                #[ignore = "needs PostgreSQL: make test"]
                async fn $test() {
                    super::$test(tables()).await;
                }
            )*
        }
        mod mariadb {
            use super::*;
            fn tables() -> Tables {
                Tables::on(Sql::shared(Server::MariaDb))
            }
            accept!(fixture(tables()), #[ignore = "needs MariaDB: make test"]);
            accept!(documents: fixture(tables()), #[ignore = "needs MariaDB: make test"]);
            accept!(shared: fixture(tables()), #[ignore = "needs MariaDB: make test"]);
            mod encrypted {
                use super::*;
                accept!(documents: encrypted(fixture(tables())), #[ignore = "needs MariaDB: make test"]);
            }
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                #[ignore = "needs MariaDB: make test"]
                async fn $test() {
                    super::$test(tables()).await;
                }
            )*
        }
        mod sqlite {
            use super::*;
            accept!(fixture(Tables::sqlite()));
            accept!(documents: fixture(Tables::sqlite()));
            accept!(shared: fixture(Tables::sqlite()));
            mod encrypted {
                use super::*;
                accept!(documents: encrypted(fixture(Tables::sqlite())));
            }
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test(Tables::sqlite()).await;
                }
            )*
        }
    };
}

on_every_database!(
    an_unreadable_record_counts_as_absent_and_is_replaced,
    an_impossible_value_counts_as_absent,
    a_dropped_table_is_created_again,
    nodes_see_each_other_and_forget_silent_ones,
    old_rows_are_removed,
    two_prefixes_share_nothing,
    keys_are_turned_on_changed_and_turned_off,
    a_database_of_another_key_is_neither_read_nor_overwritten,
    plain_text_of_a_database_with_a_key_is_not_used_but_replaced,
    tables_of_a_newer_version_are_left_alone,
    tables_of_version_1_get_the_table_of_documents_in_place,
    a_document_that_cannot_be_read_counts_as_absent_and_is_replaced,
    the_longest_document_fits_and_a_missing_document_table_is_created,
);

async fn an_unreadable_record_counts_as_absent_and_is_replaced(tables: Tables) {
    let store = tables.open();
    for rubbish in ["", "rubbish", "1", "2 0123 4 5 6 7"] {
        store.save(&key(), &credential(5)).await.unwrap();
        // With a generation that no later one exceeds.
        tables.sql(&format!(
            "UPDATE {{}}credentials SET record = '{rubbish}', generation = 9223372036854775807"
        ));
        assert_eq!(store.load(&key()).await, Ok(None), "{rubbish}");
        assert_eq!(store.save(&key(), &credential(1)).await, Ok(Saved::Stored));
        assert_eq!(store.load(&key()).await, Ok(Some(credential(1))));
    }
    store
        .claim_refresh(&key(), NOW, GAP, Some(20))
        .await
        .unwrap();
    tables.sql("UPDATE {}refresh_limits SET record = 'rubbish'");
    let claim = store.claim_refresh(&key(), NOW, GAP, Some(20)).await;
    assert_eq!(claim, Ok(wx_jssdk::store::Claim::Granted));
}

async fn an_impossible_value_counts_as_absent(tables: Tables) {
    let Fixture { a, b, _alive } = fixture(tables);
    for (n, (what, impossible)) in impossible().into_iter().enumerate() {
        let key = CredentialKey {
            app: wx_jssdk::Account::official(format!("wx{n}"), "").app_key(),
            kind: Kind::AccessToken,
            secret_hash: None,
        };
        a.save(&key, &impossible).await.unwrap();
        assert_eq!(b.load_many(&[&key]).await, Ok(vec![None]), "{what}");
        let next = credential(2);
        assert_eq!(b.save(&key, &next).await, Ok(Saved::Stored), "{what}");
        assert_eq!(a.load(&key).await, Ok(Some(next)), "{what}");
    }
}

async fn a_dropped_table_is_created_again(tables: Tables) {
    let store = tables.open();
    for table in ["credentials", "schema", "calls"] {
        store.save(&key(), &credential(1)).await.unwrap();
        tables.sql(&format!("DROP TABLE {{}}{table}"));
        until_usable(&store).await;
        assert_eq!(store.count_call(&app(), TOKEN, NOW).await.map(drop), Ok(()));
        assert_eq!(store.save(&key(), &credential(2)).await, Ok(Saved::Stored));
        assert_eq!(store.load(&key()).await, Ok(Some(credential(2))), "{table}");
        tables.sql("DELETE FROM {}credentials");
    }
}

async fn nodes_see_each_other_and_forget_silent_ones(tables: Tables) {
    let Fixture { a, b, _alive } = fixture(tables);
    let [one, other] = ["web-1", "机房二"].map(Node::new);
    assert_eq!(a.announce(&one, NOW).await.unwrap().len(), 1);
    let seen = b.announce(&other, NOW).await.unwrap();
    let names: Vec<_> = seen.iter().map(|peer| peer.node.name.as_str()).collect();
    assert!(
        names.contains(&"web-1") && names.contains(&"机房二"),
        "{names:?}"
    );
    assert!(
        seen.iter()
            .all(|peer| NOW.since(peer.seen_at) < Duration::from_secs(10))
    );
    _alive.sql("UPDATE {}nodes SET seen_at = seen_at - 61000 WHERE node LIKE '%web-1'");
    let seen = b.announce(&other, NOW).await.unwrap();
    assert_eq!(seen.len(), 1, "the other one is silent: {seen:?}");
    for n in 0..70 {
        a.announce(&Node::new(&format!("n{n}")), NOW).await.unwrap();
    }
    assert_eq!(a.announce(&one, NOW).await.unwrap().len(), 64);
}

async fn old_rows_are_removed(tables: Tables) {
    let store = tables.open();
    store.count_call(&app(), TOKEN, NOW).await.unwrap();
    store.save(&key(), &credential(1)).await.unwrap();
    store.set_block(&app(), TOKEN, NOW, NOW).await.unwrap();
    let later = NOW.plus(Duration::from_secs(10 * 86_400));
    for (kind, at) in [(Kind::AccessToken, NOW), (Kind::JsapiTicket, later)] {
        let key = CredentialKey {
            app: app(),
            kind,
            secret_hash: None,
        };
        let claim = store.claim_refresh(&key, at, GAP, None).await;
        assert_eq!(claim, Ok(Claim::Granted));
    }
    for (name, end) in [("kept", None), ("claim", Some(later))] {
        let document = Document {
            expires_at: end,
            ..Document::new(name)
        };
        let saved = store.save_document(name, &document, NOW).await;
        assert_eq!(saved, Ok(Some(1)));
    }
    let many: Vec<_> = (0..501).map(|n| format!("('c{n:03}', 1, 1)")).collect();
    let many = many.join(", ");
    tables.sql(&format!(
        "INSERT INTO {{}}calls (name, day, calls) VALUES {many}"
    ));
    let counts = || {
        [
            "calls",
            "credentials",
            "blocks",
            "refresh_limits",
            "documents",
        ]
        .map(|table| {
            let count = format!("SELECT CAST(COUNT(*) AS CHAR(9)) FROM {{}}{table}");
            tables.sql(&count).trim().parse::<u32>().unwrap()
        })
    };
    store.count_call(&app(), TOKEN, later).await.unwrap();
    assert_eq!(counts(), [503, 1, 1, 2, 2], "no call waits for the removal");
    store.announce(&Node::new("web-1"), later).await.unwrap();
    assert_eq!(counts(), [3, 0, 0, 1, 1]);
    store.announce(&Node::new("web-1"), later).await.unwrap();
    assert_eq!(counts(), [1, 0, 0, 1, 1]);
}

async fn two_prefixes_share_nothing(mut tables: Tables) {
    let one = tables.open();
    tables.prefix = format!("other_{}", tables.prefix);
    let other = tables.open();
    one.save(&key(), &credential(1)).await.unwrap();
    assert_eq!(other.save(&key(), &credential(0)).await, Ok(Saved::Stored));
    assert_eq!(one.load(&key()).await, Ok(Some(credential(1))));
}

async fn keys_are_turned_on_changed_and_turned_off(tables: Tables) {
    let all = "SELECT record FROM {}credentials UNION ALL SELECT record FROM {}documents";
    let content = async || tables.sql(all);
    crate::encryption::keys_are_turned_on_changed_and_turned_off(|| tables.open(), content).await;
}

async fn a_database_of_another_key_is_neither_read_nor_overwritten(tables: Tables) {
    let open = || tables.open();
    crate::encryption::a_store_of_another_key_is_neither_read_nor_overwritten(open).await;
}

async fn plain_text_of_a_database_with_a_key_is_not_used_but_replaced(tables: Tables) {
    crate::encryption::plain_text_is_not_used_but_replaced(|| tables.open()).await;
}

async fn tables_of_a_newer_version_are_left_alone(tables: Tables) {
    tables.open().save(&key(), &credential(1)).await.unwrap();
    tables.sql("INSERT INTO {}schema (version) VALUES (7)");
    let error = tables.open().check(&[&key()]).await.unwrap_err();
    assert!(matches!(error, StoreError::Schema { .. }), "{error}");
    assert!(error.to_string().contains("version 7"), "{error}");
}

async fn tables_of_version_1_get_the_table_of_documents_in_place(tables: Tables) {
    tables.open().save(&key(), &credential(1)).await.unwrap();
    tables.sql("DROP TABLE {}documents");
    tables.sql("DELETE FROM {}schema");
    tables.sql("INSERT INTO {}schema (version) VALUES (1)");
    // Several nodes at once.
    let nodes: Vec<_> = (0..4).map(|_| tables.open()).collect();
    let starting: Vec<_> = nodes
        .iter()
        .cloned()
        .map(|store| tokio::spawn(async move { store.load(&key()).await }))
        .collect();
    for started in starting {
        assert_eq!(started.await.unwrap(), Ok(Some(credential(1))));
    }
    let newest = "SELECT CAST(MAX(version) AS CHAR(9)) FROM {}schema";
    assert_eq!(tables.sql(newest).trim(), "2");
    let new = document(0, "text");
    let saved = nodes[0].save_document("a", &new, NOW).await;
    assert_eq!(saved, Ok(Some(1)));
    let loaded = nodes[3].load_document("a", NOW).await;
    assert_eq!(loaded, Ok(Some(document(1, "text"))));
}

async fn a_document_that_cannot_be_read_counts_as_absent_and_is_replaced(tables: Tables) {
    let store = tables.open();
    let save = async |document: Document| {
        let saved = store.save_document("a:b", &document, NOW).await;
        saved.unwrap()
    };
    assert_eq!(save(document(0, "text")).await, Some(1));
    for change in ["record = ''", "record = 'rubbish'", "version = 7"] {
        tables.sql(&format!("UPDATE {{}}documents SET {change}"));
        assert_eq!(store.load_document("a:b", NOW).await, Ok(None), "{change}");
        assert_eq!(store.load_documents("a", NOW).await, Ok(Vec::new()));
        assert_eq!(save(document(3, "late")).await, None, "{change}");
        assert_eq!(save(document(0, "text")).await, Some(1), "{change}");
        let loaded = store.load_document("a:b", NOW).await;
        assert_eq!(loaded, Ok(Some(document(1, "text"))), "{change}");
    }
}

async fn the_longest_document_fits_and_a_missing_document_table_is_created(tables: Tables) {
    let Fixture { a, b, _alive } = encrypted(fixture(tables));
    let name = format!("platform:{}", "a".repeat(170));
    // Three bytes each.
    let longest = "长".repeat(5_500 / 3);
    for _ in 0..2 {
        let new = document(0, &longest);
        let saved = a.save_document(&name, &new, NOW).await;
        assert_eq!(saved, Ok(Some(1)));
        let loaded = b.load_document(&name, NOW).await;
        assert_eq!(loaded, Ok(Some(document(1, &longest))));
        _alive.sql("DROP TABLE {}documents");
        while let Err(error) = b.load_document(&name, NOW).await {
            assert!(error.to_string().contains("table"), "{error}");
        }
        assert_eq!(b.load_document(&name, NOW).await, Ok(None));
    }
}

/// The certificate is verified when the URL says so, and the connection is really encrypted.
async fn a_connection_with_tls_is_made_and_a_foreign_certificate_refused(kind: Server) {
    let (own, foreign) = (TlsCertificate::new(), TlsCertificate::new());
    let server = Arc::new(Sql::start_with_tls(kind, &own));
    let directory = tempfile::tempdir().unwrap();
    let with_root = |certificate: &TlsCertificate, name: &str| {
        let file = directory.path().join(name);
        std::fs::write(&file, certificate.pem()).unwrap();
        let (url, file) = (server.url(), file.display());
        match kind {
            Server::Postgres => format!("{url}?sslmode=verify-full&sslrootcert={file}"),
            Server::MariaDb => format!("{url}?ssl-mode=VERIFY_IDENTITY&ssl-ca={file}"),
        }
    };
    if kind == Server::MariaDb {
        server.admin("ALTER USER wx@'%' REQUIRE SSL");
        let plain = format!("{}?ssl-mode=DISABLED", server.url());
        let store = Store::sql_within(&plain, "t_", Duration::from_secs(20)).unwrap();
        let refused = store.ping().await;
        assert!(matches!(refused, Err(StoreError::Unavailable { .. })));
    }
    let url = with_root(&own, "own.pem");
    let store = Store::sql_within(&url, "t_", Duration::from_secs(20)).unwrap();
    until_usable(&store).await;
    store.save(&key(), &credential(7)).await.unwrap();
    assert_eq!(store.load(&key()).await, Ok(Some(credential(7))));
    if kind == Server::Postgres {
        let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
             WHERE ssl AND application_name = 'wx-jssdk'";
        assert_eq!(server.admin(encrypted), "1");
    }

    let url = with_root(&foreign, "foreign.pem");
    let store = Store::sql_within(&url, "t_", Duration::from_secs(20)).unwrap();
    let error = store.load(&key()).await.unwrap_err().to_string();
    assert!(error.contains("TLS"), "{error}");
    assert!(error.contains("SSL_CERT_FILE"), "{error}");
    assert!(!error.contains("word"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: make test"]
async fn postgresql_with_tls_is_used_and_a_foreign_certificate_refused() {
    a_connection_with_tls_is_made_and_a_foreign_certificate_refused(Server::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MariaDB: make test"]
async fn mariadb_with_tls_is_used_and_a_foreign_certificate_refused() {
    a_connection_with_tls_is_made_and_a_foreign_certificate_refused(Server::MariaDb).await;
}

/// All that befalls a server, in one test: it needs one of its own.
async fn a_failing_database_times_out_and_is_used_again(kind: Server) {
    let server = Arc::new(Sql::start(kind));
    let tables = Tables::on(server.clone());
    let store = tables.open_strictly();
    until_usable(&store).await;
    let patient = tables.open();
    patient.save(&key(), &credential(7)).await.unwrap();

    server.signal("STOP");
    for (name, took, error) in try_all(&store).await {
        let slow = is_timeout(&error);
        assert!(slow && took < SOON, "{name}: {error:?} in {took} ms");
    }
    server.signal("CONT");
    until_usable(&store).await;
    assert_eq!(patient.load(&key()).await, Ok(Some(credential(7))));

    server.kill();
    for (name, took, error) in try_all(&patient).await {
        let gone = matches!(error, Some(StoreError::Unavailable { .. }));
        assert!(gone && took < SOON, "{name}: {error:?} in {took} ms");
    }
    server.start_again();
    until_usable(&store).await;
    until_usable(&patient).await;
    assert_eq!(patient.load(&key()).await, Ok(Some(credential(7))));

    // Another transaction holds the rows for longer than a store operation may take.
    let lock = match kind {
        Server::Postgres => "BEGIN; LOCK TABLE {}credentials; SELECT pg_sleep(1); COMMIT",
        Server::MariaDb => "LOCK TABLES {}credentials WRITE; DO SLEEP(1)",
    };
    let lock = lock.replace("{}", &tables.prefix);
    std::thread::scope(|scope| {
        scope.spawn(|| tables.sql(&lock));
        let runtime = tokio::runtime::Handle::current();
        tokio::task::block_in_place(|| {
            runtime.block_on(async { while store.save(&key(), &credential(8)).await.is_ok() {} });
        });
    });
    let patient = tables.open();
    assert_eq!(
        patient.save(&key(), &credential(8)).await,
        Ok(Saved::Stored)
    );

    // A full disk and a deadlock, as the server reports them.
    let on_each_row = "BEFORE INSERT OR UPDATE ON {}credentials FOR EACH ROW";
    let (fill, free) = match kind {
        Server::Postgres => (
            format!(
                "CREATE FUNCTION {{}}full() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '53100'; END $$; \
                 CREATE TRIGGER full_disk {on_each_row} EXECUTE FUNCTION {{}}full()"
            ),
            "DROP TRIGGER full_disk ON {}credentials",
        ),
        Server::MariaDb => (
            "CREATE TRIGGER full_disk BEFORE UPDATE ON {}credentials FOR EACH ROW \
             SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1114, MESSAGE_TEXT = 'x'"
                .to_owned(),
            "DROP TRIGGER full_disk",
        ),
    };
    tables.sql(&fill);
    let error = patient.save(&key(), &credential(9)).await.unwrap_err();
    assert!(error.to_string().contains("its disk is full"), "{error}");
    assert_eq!(patient.load(&key()).await, Ok(Some(credential(8))));
    tables.sql(free);
    if kind == Server::Postgres {
        tables.sql(&format!(
            "CREATE SEQUENCE {{}}tries; \
             CREATE FUNCTION {{}}deadlock() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN IF nextval('{{}}tries') < 3 THEN RAISE EXCEPTION 'x' USING ERRCODE = '40P01'; END IF; \
             RETURN NEW; END $$; \
             CREATE TRIGGER deadlock {on_each_row} EXECUTE FUNCTION {{}}deadlock()"
        ));
        let saved = patient.save(&key(), &credential(8)).await;
        assert_eq!(saved, Ok(Saved::Stored), "repeated");
        tables.sql("DROP TRIGGER deadlock ON {}credentials");
    }

    // A replica, as after a failover.
    let [on, off] = match kind {
        Server::Postgres => ["on", "off"]
            .map(|it| format!("ALTER DATABASE wx SET default_transaction_read_only = {it}")),
        Server::MariaDb => ["1", "0"].map(|it| format!("SET GLOBAL read_only = {it}")),
    };
    server.admin(&on);
    let fresh = tables.open();
    let error = fresh.save(&key(), &credential(9)).await.unwrap_err();
    assert!(error.to_string().contains("read-only"), "{error}");
    assert_eq!(fresh.load(&key()).await, Ok(Some(credential(8))));
    server.admin(&off);
    until_usable(&fresh).await;
    assert_eq!(fresh.save(&key(), &credential(9)).await, Ok(Saved::Stored));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: make test"]
async fn a_failing_postgresql_times_out_and_is_used_again() {
    a_failing_database_times_out_and_is_used_again(Server::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MariaDB: make test"]
async fn a_failing_mariadb_times_out_and_is_used_again() {
    a_failing_database_times_out_and_is_used_again(Server::MariaDb).await;
}

/// A user without the right to create tables is told what an administrator has to do, and that is enough.
async fn a_user_without_create_rights_is_told_what_to_do(kind: Server) {
    let server = Sql::shared(kind);
    let mut tables = Tables::on(server.clone());
    let user = format!("u{}", tables.prefix.trim_end_matches('_'));
    let (create, grant) = match kind {
        Server::Postgres => (
            format!("CREATE ROLE {user} LOGIN PASSWORD 'word'"),
            format!(
                "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {user}"
            ),
        ),
        Server::MariaDb => (
            format!(
                "CREATE USER {user}@'%' IDENTIFIED BY 'word'; GRANT SELECT, INSERT, UPDATE, DELETE ON wx.* TO {user}@'%'"
            ),
            "SELECT 1".to_owned(),
        ),
    };
    server.admin(&create);
    tables.url = server.url_of(&format!("{user}:word"));
    let store = tables.open();
    let error = store.check(&[&key()]).await.unwrap_err();
    assert!(matches!(error, StoreError::Schema { .. }), "{error}");
    assert!(
        error.to_string().contains("wx-jssdk store schema"),
        "{error}"
    );
    let schema = Store::sql_schema(&tables.url, &tables.prefix).unwrap();
    for statement in schema.lines() {
        tables.sql(statement.trim_end_matches(';'));
    }
    server.admin(&grant);
    assert_eq!(store.check(&[&key()]).await, Ok(false));
    assert_eq!(store.save(&key(), &credential(1)).await, Ok(Saved::Stored));

    // A wrong password, and no more connections: neither is repeated.
    for (user, words) in [
        ("wx:wrong-word", "password"),
        ("nobody-we-know:wrong-word", "user"),
    ] {
        tables.url = server.url_of(user);
        let store = tables.open();
        let error = store.load(&key()).await.unwrap_err();
        let said = format!("{error} {error:?} {store:?}");
        assert!(said.contains(words), "{said}");
        assert!(
            !said.contains("wrong-word") && !said.contains("we-know"),
            "{said}"
        );
    }
    let limit = match kind {
        Server::Postgres => format!("ALTER ROLE {user} CONNECTION LIMIT 0"),
        Server::MariaDb => format!("ALTER USER {user}@'%' WITH MAX_CONNECTIONS_PER_HOUR 1"),
    };
    server.admin(&limit);
    tables.url = server.url_of(&format!("{user}:word"));
    let [one, other] = [tables.open(), tables.open()];
    let errors = [one.load(&key()).await, other.load(&key()).await];
    let said = format!("{errors:?}");
    assert!(said.contains("no more connections"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: make test"]
async fn a_postgresql_user_without_create_rights_is_told_what_to_do() {
    a_user_without_create_rights_is_told_what_to_do(Server::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MariaDB: make test"]
async fn a_mariadb_user_without_create_rights_is_told_what_to_do() {
    a_user_without_create_rights_is_told_what_to_do(Server::MariaDb).await;
}

/// Connecting and a statement together take longer than an operation may, and so do statements that are not
/// prepared yet.
async fn a_slow_way_to_a_database_delays_only_the_first_operations(kind: Server) {
    let server = Sql::shared(kind);
    let mut tables = Tables::on(server.clone()).ready().await;
    let (port, slow) = (server.port, Duration::from_millis(60));
    let through = delaying(port, slow).await;
    let [port, through] = [port, through].map(|port| format!(":{port}/"));
    tables.url = tables.url.replace(&port, &through);
    let store = tables.open_strictly();
    until_usable(&store).await;
    until_ok(async || store.save(&key(), &credential(7)).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: make test"]
async fn a_slow_way_to_postgresql_delays_only_the_first_operations() {
    a_slow_way_to_a_database_delays_only_the_first_operations(Server::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MariaDB: make test"]
async fn a_slow_way_to_mariadb_delays_only_the_first_operations() {
    a_slow_way_to_a_database_delays_only_the_first_operations(Server::MariaDb).await;
}

/// Rights that are granted to a user apply to its new connections.
async fn rights_granted_while_a_node_runs_are_used_at_once(kind: Server) {
    let server = Sql::shared(kind);
    let mut tables = Tables::on(server.clone()).ready().await;
    let user = format!("u{}", tables.prefix.trim_end_matches('_'));
    let (create, on, to) = match kind {
        Server::Postgres => (
            format!("CREATE ROLE {user} LOGIN PASSWORD 'word'"),
            "ALL TABLES IN SCHEMA public",
            user.clone(),
        ),
        Server::MariaDb => (
            format!("CREATE USER {user}@'%' IDENTIFIED BY 'word'"),
            "wx.*",
            format!("{user}@'%'"),
        ),
    };
    server.admin(&create);
    server.admin(&format!("GRANT SELECT ON {on} TO {to}"));
    tables.url = server.url_of(&format!("{user}:word"));
    let store = tables.open();
    let refused = store.ping().await;
    assert!(
        matches!(refused, Err(StoreError::Schema { .. })),
        "{refused:?}"
    );
    server.admin(&format!("GRANT INSERT, UPDATE, DELETE ON {on} TO {to}"));
    assert_eq!(store.ping().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: make test"]
async fn rights_granted_in_postgresql_while_a_node_runs_are_used_at_once() {
    rights_granted_while_a_node_runs_are_used_at_once(Server::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MariaDB: make test"]
async fn rights_granted_in_mariadb_while_a_node_runs_are_used_at_once() {
    rights_granted_while_a_node_runs_are_used_at_once(Server::MariaDb).await;
}

#[tokio::test]
async fn without_a_database_every_operation_fails_at_once() {
    for url in ["postgres://wx@127.0.0.1:1/wx", "mysql://wx@127.0.0.1:1/wx"] {
        let store = Store::sql_within(url, "wx_", Duration::from_secs(20)).unwrap();
        for (name, took, error) in try_all(&store).await {
            let gone = matches!(error, Some(StoreError::Unavailable { .. }));
            assert!(gone && took < SOON, "{name}: {error:?} in {took} ms");
        }
    }
}

#[tokio::test]
async fn with_a_database_that_never_answers_every_operation_times_out() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = silent.local_addr().unwrap();
    for scheme in ["postgres", "mariadb"] {
        let store = Store::sql(&format!("{scheme}://wx@{address}/wx"), "wx_").unwrap();
        let tried = try_all(&store).await;
        assert!(
            tried[..3].iter().all(|(.., it)| is_timeout(it)),
            "{tried:?}"
        );
        for (name, took, error) in tried {
            assert!(
                error.is_some() && took < SOON,
                "{name}: {error:?} in {took} ms"
            );
        }
    }
}

#[test]
fn an_unusable_database_address_is_explained_and_not_quoted() {
    for bad in [
        "hunter2",
        "http://user:hunter2@localhost/x",
        "postgres://wx:hunter2@localhost",
        "postgres://wx:hunter2@localhost/x?sslmode=hunter2",
        "postgres://wx:hunter2@localhost:99999/x",
        "mysql://wx:hunter2@/x",
        "mysql://wx:hunter2@localhost/x?ssl-mode=hunter2",
        "mysql://wx:12/3?hunter2=x@localhost/x",
        "postgres://wx:12/3?hunter2=x#y@localhost/x",
        "sqlite::memory:",
        "sqlite://",
        "sqlite:///hunter2?mode=hunter2",
    ] {
        let error = Store::sql(bad, "wx_").expect_err(bad);
        assert!(matches!(error, StoreError::Address { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
    for bad in ["Wx_", "a-b", "1a", "a; DROP TABLE users", &"a".repeat(33)] {
        let error = Store::sql("sqlite:///x", bad).expect_err(bad);
        assert!(error.to_string().contains("store.table_prefix"), "{error}");
    }
}

#[test]
fn an_option_that_the_driver_would_ignore_is_refused_by_its_name() {
    for (url, option) in [
        ("postgres://wx@db/x?sslmod=hunter2", "\"sslmod\""),
        ("postgres://wx@db/x?sslMode=hunter2", "\"sslMode\""),
        ("postgresql://db/x?user=wx&ssl=hunter2", "\"ssl\""),
        ("postgres://wx@db/x?hunter2", "an option"),
        ("mysql://wx@db/x?tls=hunter2", "\"tls\""),
        ("mysql://wx@db/x?password=hunter2", "\"password\""),
        ("mariadb://wx@db/x?sslrootcert=hunter2", "\"sslrootcert\""),
        ("sqlite:///x?pwd=hunter2", "\"pwd\""),
    ] {
        let error = Store::sql(url, "wx_").expect_err(url);
        let text = format!("{error} {error:?}");
        assert!(error.to_string().contains(option), "{text}");
        assert!(
            text.contains("known options: ") && !text.contains("hunter2"),
            "{text}"
        );
    }
    for url in [
        "postgres:///x?host=/run/postgresql&user=wx&password=p&options[geqo]=off",
        "postgres://db/x?ssl-mode=require&statement-cache-capacity=0",
        "mysql://db/x?ssl-mode=REQUIRED&charset=utf8mb4",
        "sqlite:///x?vfs=unix",
    ] {
        assert!(Store::sql(url, "wx_").is_ok(), "{url}");
    }
}

#[test]
fn every_address_of_a_database_is_described_without_its_password() {
    for (url, described) in [
        ("postgres://me:hunter2@db/wx", "postgresql wx at db:5432"),
        (
            "postgresql://db:7000/wx?sslmode=require",
            "postgresql wx at db:7000",
        ),
        ("mysql://me:hunter2@db/wx", "mysql wx at db:3306"),
        (
            "mariadb://me@db/wx?ssl-mode=REQUIRED",
            "mariadb wx at db:3306",
        ),
        ("sqlite:///var/x.sqlite", "sqlite /var/x.sqlite"),
    ] {
        let store = Store::sql(url, "").unwrap();
        assert_eq!(store.describe(), described);
        assert_eq!((store.kind(), store.is_shared()), ("sql", true));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_may_read_the_sqlite_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let tables = Tables::sqlite();
    tables.open().save(&key(), &credential(1)).await.unwrap();
    let directory = tables._directory.as_ref().unwrap().path();
    let encoded = format!("sqlite://{}/with%20space", directory.display());
    let encoded = Store::sql_within(&encoded, "", Duration::from_secs(20)).unwrap();
    encoded.save(&key(), &credential(1)).await.unwrap();
    for file in std::fs::read_dir(directory).unwrap() {
        let mode = file
            .as_ref()
            .unwrap()
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file:?}");
    }
    let missing = format!("sqlite://{}/none/x", directory.display());
    let missing = Store::sql_within(&missing, "", Duration::from_secs(20)).unwrap();
    let error = missing.load(&key()).await.unwrap_err();
    assert!(error.to_string().contains("cannot be opened"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn an_sqlite_file_deleted_or_replaced_while_in_use_is_left() {
    for replaced in [false, true] {
        let tables = Tables::sqlite().ready().await;
        let store = tables.open();
        store.save(&key(), &credential(7)).await.unwrap();
        let directory = tables._directory.as_ref().unwrap().path();
        let file = directory.join("store.sqlite");
        if replaced {
            let empty = directory.join("empty");
            std::fs::write(&empty, "").unwrap();
            std::fs::rename(empty, file).unwrap();
        } else {
            std::fs::remove_file(file).unwrap();
        }
        store.announce(&Node::new("web-1"), NOW).await.unwrap();
        assert_eq!(store.load(&key()).await, Ok(None), "{replaced}");
        assert_eq!(store.save(&key(), &credential(3)).await, Ok(Saved::Stored));
        let other = tables.open();
        assert_eq!(other.load(&key()).await, Ok(Some(credential(3))));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_start_together_on_a_new_sqlite_file_can_all_use_it() {
    for _ in 0..40 {
        let tables = Tables::sqlite();
        let first_uses: Vec<_> = (0..4)
            .map(|_| tables.open())
            .map(|store| tokio::spawn(async move { store.ping().await }))
            .collect();
        for first_use in first_uses {
            assert_eq!(first_use.await.unwrap(), Ok(()));
        }
    }
}

#[tokio::test]
async fn a_database_that_refuses_values_in_each_pass_is_reported_once() {
    let tables = Tables::sqlite().ready().await;
    let clock = Clock::manual(NOW);
    let (broker, _sandbox) = broker_with(&tables, &clock).await;
    broker.credential("main", Kind::AccessToken).await.unwrap();

    let log = tempfile::NamedTempFile::new().unwrap();
    let writer = Arc::new(log.reopen().unwrap());
    let listening = tracing_subscriber::fmt().with_writer(writer).finish();
    let _listening = tracing::subscriber::set_default(listening);
    let passes = async || {
        for _ in 0..3 {
            assert!(clock.advance(Duration::from_secs(6)));
            broker.tend().await;
        }
        let text = std::fs::read_to_string(log.path()).unwrap();
        text.matches("some credentials could not be stored").count()
    };
    for reports in 1..=2 {
        tables.sql("DELETE FROM {}credentials");
        tables.sql("CREATE TRIGGER refuse BEFORE INSERT ON {}credentials BEGIN SELECT RAISE(ABORT, 'full'); END");
        assert_eq!(passes().await, reports);
        tables.sql("DROP TRIGGER refuse");
        assert_eq!(passes().await, reports);
    }
}

#[tokio::test]
async fn a_quota_that_cannot_be_cleared_after_a_clock_jump_is_reported_as_such() {
    let tables = Tables::sqlite().ready().await;
    let clock = Clock::manual(NOW);
    let (broker, sandbox) = broker_with(&tables, &clock).await;
    let spent = FaultKind::Errcode(45_009);
    sandbox.fault(Fault::always("/cgi-bin/stable_token", spent));
    assert!(clock.set_wrong(3_600));
    broker.tend().await;
    assert!(broker.credential("main", Kind::AccessToken).await.is_err());
    tables.sql(
        "CREATE TRIGGER refuse BEFORE UPDATE ON {}blocks BEGIN SELECT RAISE(ABORT, 'full'); END",
    );
    let log = Log::default();
    let _listening = log.listen();
    assert!(clock.set_wrong(-3_600));
    broker.tend().await;
    let lines = log.about("exhausted quota could not be");
    let message = &lines.first().expect("it is logged")["message"];
    assert_eq!(message, "exhausted quota could not be cleared in the store");
}

/// A broker that keeps the credentials of one account in these tables, and its simulated WeChat.
async fn broker_with(tables: &Tables, clock: &Clock) -> (Broker, Sandbox) {
    let sandbox = Sandbox::start(clock.clone()).await.unwrap();
    sandbox.add_app(App::official("wx0123456789abcdef", "secret"));
    let broker = Broker::builder()
        .account("main", Account::official("wx0123456789abcdef", "secret"))
        .clock(clock.clone())
        .upstream(UpstreamOptions::at(sandbox.url()))
        .store(tables.open());
    (broker.build().unwrap(), sandbox)
}
