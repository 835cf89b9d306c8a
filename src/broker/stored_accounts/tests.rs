//! Changes at the same time: by one node, and by two that share a store.

use std::cell::Cell;
use std::convert::Infallible;

use tokio::runtime::Handle;
use tokio::task::block_in_place;

use super::change::{ChangeRefused, Changed, Expected};
use super::*;
use crate::clock::{Clock, UnixTime};
use crate::credential::Kind;
use crate::store::{EncryptionKey, EncryptionKeys, Store};

const APP: &str = "wx0123456789abcdef";
const OTHER_APP: &str = "wx1111111111111111";
const OLD: &str = "0c79e1fa963cd80cc0be99b20a18faeb";
const NEW: &str = "5ec2e7000000000000000000000000aa";

fn node(store: &Store) -> Broker {
    Broker::builder()
        .store(store.clone())
        .clock(Clock::manual(UnixTime(1_767_225_600)))
        .stored_accounts()
        .build()
        .unwrap()
}

async fn put(
    broker: &Broker,
    name: &str,
    account: impl Fn(Option<&Account>) -> Account,
) -> Result<Changed, ChangeRefused> {
    let account = |stored: Option<&Account>| Ok::<_, Infallible>(account(stored));
    let put = broker.put_account(name, account, &Expected::Any, "operator");
    put.await.map(|put| put.unwrap().1)
}

#[tokio::test]
async fn a_stored_account_is_called_unknown_only_after_the_store_was_read() {
    let broker = node(&Store::memory());
    let code = async || {
        let asked = broker.credential("shop", Kind::AccessToken).await;
        asked.unwrap_err().code()
    };
    assert_eq!(code().await, "accounts_not_loaded");
    broker.look_for_accounts().await.unwrap();
    assert_eq!(code().await, "unknown_account");
}

/// The name of the account that is the same app.
fn other(result: Result<Changed, ChangeRefused>) -> String {
    match result {
        Err(ChangeRefused::SameApp { other, .. }) => other,
        result => panic!("{result:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_keeps_the_secret_does_not_undo_its_rotation() {
    let broker = node(&Store::memory());
    put(&broker, "shop", |_| Account::official(APP, OLD))
        .await
        .unwrap();
    let is_rotated = Cell::new(false);
    let domains_only = |stored: Option<&Account>| {
        let secret = stored.unwrap().secret().clone();
        if !is_rotated.replace(true) {
            let rotated = put(&broker, "shop", |_| Account::official(APP, NEW));
            block_in_place(|| Handle::current().block_on(rotated)).unwrap();
        }
        let account = Account::official(APP, secret);
        account.js_safe_domain("example.com").unwrap()
    };
    put(&broker, "shop", domains_only).await.unwrap();
    let stored = broker.stored_account("shop").await.unwrap().unwrap();
    assert_eq!(stored.version, 3);
    assert_eq!(stored.account.secret().expose(), NEW);
    assert!(stored.account.allows_host("example.com"));
}

#[tokio::test]
async fn an_app_stays_with_the_account_that_another_node_added_first() {
    let store = Store::memory();
    let (one, two) = (node(&store), node(&store));
    put(&one, "b", |_| Account::official(APP, OLD))
        .await
        .unwrap();
    // The second node has not looked yet. A mini program with the AppID is the same app.
    let official = put(&two, "a", |_| Account::official(APP, OLD)).await;
    assert_eq!(other(official), "b");
    let mini = put(&two, "a", |_| Account::mini(APP, OLD)).await;
    assert_eq!(other(mini), "b");
    assert!(two.stored_account("a").await.unwrap().is_none());
    // From then on the app is free: removed, or another one under the same name.
    put(&one, "b", |_| Account::official(OTHER_APP, OLD))
        .await
        .unwrap();
    put(&two, "a", |_| Account::official(APP, OLD))
        .await
        .unwrap();
    two.remove_account("a", &Expected::Any, "operator")
        .await
        .unwrap();
    put(&one, "c", |_| Account::official(APP, OLD))
        .await
        .unwrap();
    let late = put(&two, "a", |_| Account::official(APP, OLD)).await;
    assert_eq!(other(late), "c");
}

#[tokio::test]
async fn an_app_whose_account_another_node_removed_is_served_under_its_new_name() {
    let store = Store::memory();
    let (one, two) = (node(&store), node(&store));
    put(&one, "shop", |_| Account::official(APP, OLD))
        .await
        .unwrap();
    two.look_for_accounts().await.unwrap();
    // The second node has not looked since.
    one.remove_account("shop", &Expected::Any, "operator")
        .await
        .unwrap();
    let moved = put(&two, "store", |_| Account::official(APP, OLD)).await;
    assert_eq!(moved.unwrap(), Changed::Added);
    let accounts = two.accounts();
    assert!(accounts.get("store").is_ok() && accounts.get("shop").is_err());
}

#[tokio::test]
async fn a_look_that_finds_a_new_app_notes_when_it_was_added() {
    let store = Store::memory();
    let (one, two) = (node(&store), node(&store));
    put(&one, "shop", |_| Account::official(APP, OLD))
        .await
        .unwrap();
    let clock = two.clock();
    clock.advance(Duration::from_secs(60));
    two.look_for_accounts().await.unwrap();
    let added = clock.uptime();
    assert_eq!(two.app_added_at(), added);
    // Another secret is no new app.
    clock.advance(Duration::from_secs(60));
    put(&two, "shop", |_| Account::official(APP, NEW))
        .await
        .unwrap();
    assert_eq!(two.app_added_at(), added);
}

#[tokio::test]
async fn of_two_claims_before_an_account_is_stored_the_later_one_wins() {
    let store = Store::memory();
    let now = UnixTime(1_767_225_600);
    let (one, two) = (node(&store), node(&store));
    put(&one, "a", |_| Account::official(OTHER_APP, OLD))
        .await
        .unwrap();
    // Both nodes claim the app before either has stored its account.
    let account = Account::official(APP, OLD);
    one.claim_app("a", &account).await.unwrap();
    two.claim_app("b", &account).await.unwrap();
    assert_eq!(one.lost_claim("a", &account).await, Ok(true));
    assert_eq!(two.lost_claim("b", &account).await, Ok(false));
    // The other way round: what was stored since the look counts.
    let document = Document::new(record::write(&account));
    store
        .save_document(&document_name("b"), &document, now)
        .await
        .unwrap();
    let refused = one.claim_app("a", &account).await.map(|()| Changed::Added);
    assert_eq!(other(refused), "b");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_concurrent_accounts_of_one_app_at_most_one_is_stored() {
    let store = Store::memory();
    let (one, two) = (node(&store), node(&store));
    let mut added = 0;
    for round in 0..300 {
        let app = format!("wx{round:016}");
        // By one node, and by two.
        let other = if round % 2 == 0 { &one } else { &two };
        let adding = [(one.clone(), "a"), (other.clone(), "b")].map(|(broker, name)| {
            let app = app.clone();
            let name = format!("{name}{round}");
            tokio::spawn(async move {
                put(&broker, &name, |_| Account::official(app.as_str(), OLD))
                    .await
                    .is_ok()
            })
        });
        let mut successes = 0;
        for adding in adding {
            successes += usize::from(adding.await.unwrap());
        }
        assert!(successes <= 1);
        added += successes;
        let documents = store.load_documents(GROUP, one.clock().now());
        assert_eq!(documents.await.unwrap().len(), added);
    }
    assert!(added > 200, "{added}");
}

#[tokio::test]
async fn an_account_of_another_key_hides_no_other_and_a_known_one_stays() {
    let key = |digit: &str| EncryptionKeys {
        current: EncryptionKey::parse(&digit.repeat(64)).ok(),
        ..Default::default()
    };
    let store = Store::memory().encrypted(key("a"));
    let wrong = store.clone().encrypted(key("b"));
    for (store, name, app) in [(&store, "shop", APP), (&wrong, "wrong", OTHER_APP)] {
        put(&node(store), name, |_| Account::official(app, OLD))
            .await
            .unwrap();
    }
    let restarted = node(&store);
    restarted.look_for_accounts().await.unwrap();
    let accounts = restarted.accounts();
    assert!(accounts.get("shop").is_ok() && accounts.get("wrong").is_err());
    let error = put(&restarted, "wrong", |_| Account::official(OTHER_APP, OLD)).await;
    assert!(matches!(error, Err(ChangeRefused::Store(_))), "{error:?}");

    let document = Document::new(record::write(&Account::official(APP, OLD)));
    let name = document_name("shop");
    let mut known = Known::default();
    assert!(known.note(&[(name.clone(), Some(document))]));
    assert!(!known.note(&[(name, None)]) && known.accounts.contains_key("shop"));
    assert!(known.note(&[]) && known.accounts.is_empty());
}

#[test]
fn each_failed_expectation_has_its_own_error() {
    let said = |expected: Expected, version| {
        let checked = expected.check(version);
        checked.err().map(|refused| refused.to_string())
    };
    let missing = Some("there is no account to replace".to_owned());
    assert_eq!(said(Expected::Versions(vec![0, 3]), 0), missing);
    assert_eq!(said(Expected::Some, 0), missing);
    let exists = Some("the account exists already".to_owned());
    assert_eq!(said(Expected::None, 2), exists);
    let changed = "the account has been changed meanwhile: its version is 4";
    assert_eq!(
        said(Expected::Versions(vec![3]), 4).as_deref(),
        Some(changed)
    );
    for (expected, version) in [
        (Expected::Any, 0),
        (Expected::Any, 1),
        (Expected::Some, 1),
        (Expected::None, 0),
        (Expected::Versions(vec![3, 4]), 4),
    ] {
        assert_eq!(said(expected, version), None);
    }
}
