//! Encryption at rest: in every store, readable after a change of keys, refused with the wrong key.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
#[cfg(feature = "sql")]
use std::time::Duration;

use wx_jssdk::Account;
use wx_jssdk::credential::{Credential, CredentialKey, Kind};
use wx_jssdk::platform::Authorizer;
use wx_jssdk::platform::authorizer::Listed;
use wx_jssdk::server::Application;
use wx_jssdk::server::config::Settings;
use wx_jssdk::store::{Document, EncryptionKey, EncryptionKeys, Saved, Store, StoreError};

use crate::acceptance::{DOCUMENT, Fixture, accept};
use crate::common::redis_server::Redis;
use crate::support::{NOW, credential, key};

fn keys(current: &str, previous: &str) -> EncryptionKeys {
    let key = |digit: &str| EncryptionKey::parse(&digit.repeat(64)).ok();
    EncryptionKeys {
        current: key(current),
        previous: key(previous),
        accept_unencrypted: false,
    }
}

/// Key `a` for a store in plain text.
fn introduced() -> EncryptionKeys {
    EncryptionKeys {
        accept_unencrypted: true,
        ..keys("a", "")
    }
}

/// The same store with a key.
pub(crate) fn encrypted<G>(fixture: Fixture<G>) -> Fixture<G> {
    Fixture {
        a: fixture.a.encrypted(keys("a", "")),
        b: fixture.b.encrypted(keys("a", "")),
        _alive: fixture._alive,
    }
}

mod encrypted_memory {
    use super::*;

    fn fixture() -> Fixture<()> {
        let store = Store::memory().encrypted(keys("a", ""));
        Fixture {
            a: store.clone(),
            b: store,
            _alive: (),
        }
    }

    accept!(fixture());
    accept!(documents: fixture());
}

mod encrypted_file {
    use super::*;

    fn fixture() -> Fixture<tempfile::TempDir> {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::file(directory.path().join("store")).unwrap();
        let store = store.encrypted(keys("a", ""));
        Fixture {
            a: store.clone(),
            b: store,
            _alive: directory,
        }
    }

    accept!(fixture());
    accept!(documents: fixture());
}

mod encrypted_redis {
    use super::*;

    accept!(documents: encrypted(crate::redis::fixture()), #[ignore = "needs redis-server: make test"]);
}

/// A token and a ticket.
fn two() -> [(CredentialKey, Credential); 2] {
    let ticket = CredentialKey {
        kind: Kind::JsapiTicket,
        ..key()
    };
    [(key(), credential(7)), (ticket, credential(8))]
}

async fn save(store: &Store) {
    for (key, credential) in two() {
        assert_eq!(store.save(&key, &credential).await, Ok(Saved::Stored));
    }
    let document = Document::new("refreshtoken@@@secret");
    let saved = store.save_document(DOCUMENT, &document, NOW).await;
    assert_eq!(saved, Ok(Some(1)));
}

/// Reads both as the keeper does, and the document.
async fn read(store: &Store) -> Result<(), StoreError> {
    let two = two();
    let loaded = store.load_many(&[&two[0].0, &two[1].0]).await?;
    assert_eq!(loaded, two.map(|(_, credential)| Some(credential)));
    let group = DOCUMENT.rsplit_once(':').unwrap().0;
    let documents = store.load_documents(group, NOW).await?;
    let texts = documents
        .iter()
        .map(|(name, it)| Some((name.as_str(), it.as_ref()?.text.expose())));
    assert_eq!(
        texts.collect::<Vec<_>>(),
        [Some((DOCUMENT, "refreshtoken@@@secret"))]
    );
    Ok(())
}

/// The test of every store. `open` makes a handle, `content` returns everything that is stored.
pub(crate) async fn keys_are_turned_on_changed_and_turned_off(
    open: impl Fn() -> Store,
    content: impl AsyncFn() -> String,
) {
    save(&open()).await;
    assert!(content().await.contains("value-of-7"), "in plain text");
    // Each step starts with the content of the previous step. `true`: the content is encrypted afterwards.
    for (with, encrypted) in [
        (introduced(), true),
        (keys("a", ""), true),
        (keys("b", "a"), true),
        (keys("b", ""), true),
        (keys("", "b"), false),
        (keys("", ""), false),
    ] {
        let store = open().encrypted(with.clone());
        read(&store).await.unwrap();
        let content = content().await;
        for value in ["value-of-7", "value-of-8", "refreshtoken@@@secret"] {
            assert_eq!(content.contains(value), !encrypted, "{with:?}");
        }
    }
}

/// As above.
pub(crate) async fn a_store_of_another_key_is_neither_read_nor_overwritten(
    open: impl Fn() -> Store,
) {
    save(&open().encrypted(keys("a", ""))).await;
    let id = keys("a", "").current.unwrap().id().to_owned();
    for (other, newer) in [(keys("", ""), 10), (keys("b", "c"), 11)] {
        let store = open().encrypted(other);
        let error = store.load(&key()).await.unwrap_err();
        let known = matches!(&error, StoreError::OtherKey { key: Some(key), .. } if *key == id);
        assert!(known && error.needs_operator(), "{error}");
        assert!(error.to_string().contains("store.encryption_key_file"));
        assert_eq!(store.check(&[&key()]).await, Err(error.clone()));
        for generation in [1, newer] {
            let saved = store.save(&key(), &credential(generation)).await;
            assert_eq!(saved, Err(error.clone()), "{generation}");
        }
        // It hides no other value.
        let mini = Account::mini("wx0000000000000001", "s").key(Kind::AccessToken);
        let new = credential(newer);
        assert_eq!(store.save(&mini, &new).await, Ok(Saved::Stored));
        let loaded = store.load_many(&[&key(), &mini]).await;
        assert_eq!(loaded, Ok(vec![None, Some(new)]));
        let document = store.load_document(DOCUMENT, NOW).await;
        assert_eq!(document, Err(error.clone()));
        let document = Document::new("new");
        let saved = store.save_document(DOCUMENT, &document, NOW).await;
        assert_eq!(saved, Err(error));
    }
    read(&open().encrypted(keys("d", "a"))).await.unwrap();
    // One that has ended is replaced.
    let end = credential(7).expires_at;
    let next = Credential {
        issued_at: end,
        expires_at: end.plus(Duration::from_secs(7_200)),
        ..credential(12)
    };
    let store = open().encrypted(keys("b", ""));
    assert_eq!(store.save(&key(), &next).await, Ok(Saved::Stored));
    assert_eq!(store.load(&key()).await, Ok(Some(next)));
}

#[tokio::test]
async fn the_check_at_a_start_writes_every_value_again_with_the_new_key() {
    let place = InFile(tempfile::tempdir().unwrap());
    let rare = CredentialKey {
        kind: Kind::CardTicket,
        ..key()
    };
    let store = place.open().encrypted(keys("a", ""));
    assert_eq!(store.save(&rare, &credential(7)).await, Ok(Saved::Stored));
    drop(store);
    for with in [keys("b", "a"), keys("b", "")] {
        assert_eq!(place.open().encrypted(with).check(&[&rare]).await, Ok(true));
    }
}

#[cfg(feature = "sql")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_in_the_middle_of_a_change_of_keys_do_not_rewrite_each_others_values() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("store.db");
    let url = format!("sqlite://{}", file.display());
    let open = |keys| {
        let store = Store::sql_within(&url, "", Duration::from_secs(20)).unwrap();
        store.encrypted(keys)
    };
    let nodes = [open(keys("a", "b")), open(keys("b", "a"))];
    save(&nodes[0]).await;
    for _ in 0..5 {
        for node in &nodes {
            read(node).await.unwrap();
        }
    }
    let stored = nodes[0].load_document(DOCUMENT, NOW).await.unwrap();
    let version = stored.unwrap().version;
    assert!(version <= 3, "version {version}");
    // A value that is new since then is sealed by the new key.
    let new = credential(9);
    assert_eq!(nodes[0].save(&key(), &new).await, Ok(Saved::Stored));
    let loaded = nodes[1].load_many(&[&key()]).await;
    assert_eq!(loaded, Ok(vec![Some(new.clone())]));
    let loaded = open(keys("b", "")).load(&key()).await;
    assert_eq!(loaded, Ok(Some(new)));
}

#[tokio::test]
async fn a_document_of_another_key_hides_no_other_of_its_group() {
    let store = Store::memory().encrypted(keys("a", ""));
    let wrong = store.clone().encrypted(keys("b", ""));
    let document = Document::new("text");
    for (store, name) in [(&store, "group:1"), (&wrong, "group:2")] {
        assert_eq!(store.save_document(name, &document, NOW).await, Ok(Some(1)));
    }
    let stored = |readable: bool| {
        readable.then(|| Document {
            version: 1,
            ..document.clone()
        })
    };
    for (store, is_first) in [(&store, true), (&wrong, false)] {
        let expected = [("group:1", is_first), ("group:2", !is_first)];
        let expected = expected.map(|(name, readable)| (name.to_owned(), stored(readable)));
        let listed = store.load_documents("group", NOW).await;
        assert_eq!(listed, Ok(expected.to_vec()));
    }
    let third = store.encrypted(keys("c", ""));
    let listed = third.load_documents("group", NOW).await.unwrap();
    let listed: Vec<_> = listed
        .iter()
        .map(|(_, document)| document.as_ref())
        .collect();
    assert_eq!(listed, [None, None]);
}

struct InFile(tempfile::TempDir);

impl InFile {
    fn path(&self) -> PathBuf {
        self.0.path().join("store")
    }

    fn open(&self) -> Store {
        Store::file(self.path()).unwrap()
    }
}

#[tokio::test]
async fn a_file_written_with_a_key_shows_no_token_and_no_ticket() {
    let place = InFile(tempfile::tempdir().unwrap());
    let store = place.open().encrypted(keys("a", ""));
    save(&store).await;
    let bytes = std::fs::read(place.path()).unwrap();
    let content = String::from_utf8_lossy(&bytes);
    assert!(content.contains("sealed:") && !content.contains("value-of"));
    assert!(!content.contains("refreshtoken@@@secret"));
    drop(store);
    read(&place.open().encrypted(keys("b", "a"))).await.unwrap();
    read(&place.open().encrypted(keys("b", ""))).await.unwrap();
}

#[tokio::test]
async fn a_refresh_token_in_a_document_is_encrypted_and_survives_a_change_of_keys() {
    let place = InFile(tempfile::tempdir().unwrap());
    let listed = Listed {
        refresh_token: Some("refreshtoken@@@secret".into()),
        auth_time: NOW,
    };
    let mut account = Authorizer::unknown("wx570bc396a51b8ff8");
    let _ = account.listed(Some(&listed), None);
    let store = place.open();
    let document = Document::new(account.write());
    let saved = store.save_document(DOCUMENT, &document, NOW).await;
    assert_eq!(saved, Ok(Some(1)));
    drop(store);
    // Each change of keys rewrites it as a new version.
    for (with, version) in [
        (introduced(), 2),
        (keys("a", ""), 2),
        (keys("b", "a"), 3),
        (keys("b", ""), 3),
    ] {
        let store = place.open().encrypted(with);
        let stored = store.load_document(DOCUMENT, NOW).await.unwrap().unwrap();
        assert_eq!(stored.version, version);
        assert_eq!(Authorizer::read(&stored.text).as_ref(), Some(&account));
    }
    let store = place.open().encrypted(keys("c", "d"));
    let error = store.load_document(DOCUMENT, NOW).await.unwrap_err();
    assert!(matches!(error, StoreError::OtherKey { .. }), "{error}");
    let saved = store.save_document(DOCUMENT, &document, NOW).await;
    assert_eq!(saved, Err(error));
}

#[tokio::test]
async fn a_file_of_another_key_is_neither_read_nor_overwritten() {
    let place = InFile(tempfile::tempdir().unwrap());
    a_store_of_another_key_is_neither_read_nor_overwritten(|| place.open()).await;
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn keys_of_a_redis_are_turned_on_changed_and_turned_off() {
    let redis = Redis::start();
    let open = || crate::redis::open(&redis.url());
    let content = async || {
        let names = redis.cli(&["KEYS", "*"]);
        let values = names.lines().map(|name| redis.cli(&["GET", name]));
        values.collect::<Vec<_>>().join("\n")
    };
    keys_are_turned_on_changed_and_turned_off(open, content).await;
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn a_redis_of_another_key_is_neither_read_nor_overwritten() {
    let redis = Redis::start();
    let open = || crate::redis::open(&redis.url());
    a_store_of_another_key_is_neither_read_nor_overwritten(open).await;
}

/// Starts a service with a key of this digit, or without one. Returns the error in both languages.
async fn start(place: &InFile, key: &str, lines: &str) -> Result<(), String> {
    let file = place.0.path().join("key");
    std::fs::write(&file, key.repeat(64)).unwrap();
    let file = if key.is_empty() { Path::new("") } else { &file };
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\n\
         [store]\npath = \"{}\"\nencryption_key_file = \"{}\"\n{lines}",
        place.path().display(),
        file.display()
    );
    let settings = Settings::read(&text, Path::new(""), HashMap::new());
    let built = Application::build(&settings.unwrap_or_else(|it| panic!("{it}"))).await;
    built.map(drop).map_err(|error| error.to_string())
}

/// Checks with which keys a service with these accounts starts on a store that was written with key `a`.
async fn only_the_right_key_starts_with(place: &InFile, accounts: &str) {
    assert_eq!(start(place, "a", accounts).await, Ok(()));
    for key in ["b", ""] {
        let said = start(place, key, accounts).await.unwrap_err();
        assert!(said.contains("store.encryption_key_file"), "{said}");
        assert!(said.contains("密钥") && said.lines().count() == 2, "{said}");
    }
}

#[tokio::test]
async fn with_a_key_a_value_in_plain_text_of_a_file_is_not_used_but_replaced() {
    let place = InFile(tempfile::tempdir().unwrap());
    plain_text_is_not_used_but_replaced(|| place.open()).await;
}

#[tokio::test]
#[ignore = "needs redis-server: make test"]
async fn with_a_key_a_value_in_plain_text_of_a_redis_is_not_used_but_replaced() {
    let redis = Redis::start();
    let open = || crate::redis::open(&redis.url());
    plain_text_is_not_used_but_replaced(open).await;
}

/// Checks a store whose content was written by an application without the key.
pub(crate) async fn plain_text_is_not_used_but_replaced(open: impl Fn() -> Store) {
    save(&open()).await;
    let store = open().encrypted(keys("a", ""));
    assert_eq!(store.load(&key()).await, Ok(None));
    assert_eq!(store.load_many(&[&key()]).await, Ok(vec![None]));
    assert_eq!(store.check(&[&key()]).await, Ok(false));
    // Whatever its generation.
    let saved = store.save(&key(), &credential(1)).await;
    assert_eq!(saved, Ok(Saved::Stored));
    assert_eq!(store.load(&key()).await, Ok(Some(credential(1))));
    // A document cannot be fetched again.
    let error = store.load_document(DOCUMENT, NOW).await.unwrap_err();
    assert!(error.needs_operator());
    let document = Document::new("new");
    let saved = store.save_document(DOCUMENT, &document, NOW).await;
    assert_eq!(saved, Err(error));
}

#[tokio::test]
async fn a_service_with_a_key_starts_on_plain_records_only_while_they_are_accepted() {
    let place = InFile(tempfile::tempdir().unwrap());
    let record = Document::new("{}");
    let store = place.open();
    let saved = store.save_document("account:shop", &record, NOW).await;
    assert_eq!(saved, Ok(Some(1)));
    drop(store);
    let said = start(&place, "a", "").await.unwrap_err();
    assert!(said.contains("store.accept_unencrypted = true"), "{said}");
    assert!(said.contains("明文") && said.lines().count() == 2, "{said}");
    for lines in ["accept_unencrypted = true", ""] {
        assert_eq!(start(&place, "a", lines).await, Ok(()), "{lines}");
    }
}

#[tokio::test]
async fn the_service_does_not_start_with_the_wrong_key() {
    let place = InFile(tempfile::tempdir().unwrap());
    let token = Account::official("wx0123456789abcdef", "app secret").key(Kind::AccessToken);
    let store = place.open().encrypted(keys("a", ""));
    store.save(&token, &credential(7)).await.unwrap();
    drop(store);
    let accounts = "[accounts.main]\napp_id = \"wx0123456789abcdef\"\nsecret = \"0c79e1fa963cd80cc0be99b20a18faeb\"\n\
         js_safe_domains = [\"example.com\"]";
    only_the_right_key_starts_with(&place, accounts).await;
}

#[tokio::test]
async fn with_only_stored_records_the_service_does_not_start_with_the_wrong_key() {
    let platform = "[platforms.agency]\ncomponent_appid = \"wx3333333333333333\"\nsecret = \"0c79e1fa963cd80cc0be99b20a18faeb\"\n\
         push_token = \"a_token\"\njs_safe_domains = [\"example.com\"]\naes_key = \"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG\"";
    for (name, accounts) in [
        ("account:shop", ""),
        ("platform:wx3333333333333333:ticket", platform),
        (
            "platform:wx3333333333333333:authorizer:wx4444444444444444",
            platform,
        ),
    ] {
        let place = InFile(tempfile::tempdir().unwrap());
        let store = place.open().encrypted(keys("a", ""));
        let saved = store.save_document(name, &Document::new("{}"), NOW).await;
        assert_eq!(saved, Ok(Some(1)));
        drop(store);
        only_the_right_key_starts_with(&place, accounts).await;
    }
}
