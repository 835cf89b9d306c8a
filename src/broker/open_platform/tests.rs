//! Redemptions that end early, and credentials that another node replaces while they are ended.

use std::task::{Context, Waker};

use tokio::runtime::Handle;
use tokio::task::block_in_place;

use super::*;
use crate::clock::Clock;
use crate::platform::AuthorizationCode;

const APP: &str = "wx0123456789abcdef";
const NOW: UnixTime = UnixTime(1_767_225_600);

fn broker() -> Broker {
    let component = Account::component("wxc0de0000000000c0", "s");
    Broker::builder()
        .account("agency", component)
        .clock(Clock::manual(NOW))
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_redemption_that_is_dropped_can_begin_again() {
    let broker = broker();
    let platform = broker.entry("agency").unwrap();
    let code = AuthorizationCode {
        authorizer: APP.to_owned(),
        code: Secret::new("code"),
        expires_at: None,
    };
    let mut record = Authorizer::unknown(APP);
    let _ = record.authorized(&code, NOW);
    broker.note_authorizers(&platform, vec![(record, 1)]);
    {
        let mut redeeming = std::pin::pin!(broker.redeem(&platform, APP, false));
        let mut context = Context::from_waker(Waker::noop());
        assert!(redeeming.as_mut().poll(&mut context).is_pending());
        let known = platform.open_platform.as_ref().unwrap().known.lock();
        assert!(known.guarded.contains(APP));
    }
    let known = platform.open_platform.as_ref().unwrap().known.lock();
    assert!(known.guarded.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_another_node_stores_while_the_old_one_is_ended_is_ended() {
    let broker = broker();
    let store = &broker.inner.store;
    let key = Account::official(APP, "s").key(Kind::AccessToken);
    store.save(&key, &credential(1)).await.unwrap();
    let ended = |known: &Credential| {
        if known.generation == 1 {
            let newer = credential(2);
            let saved = store.save(&key, &newer);
            block_in_place(|| Handle::current().block_on(saved)).unwrap();
        }
        Some(end(known))
    };
    let stored = broker.end_stored(&key, Some(credential(1)), ended).await;
    assert_eq!(stored, Ok(ended(&credential(2))));
    assert_eq!(store.load(&key).await, stored);
}

#[tokio::test]
async fn a_newer_credential_that_is_not_to_be_ended_stays_in_the_store() {
    let broker = broker();
    let store = &broker.inner.store;
    let key = Account::official(APP, "s").key(Kind::AccessToken);
    store.save(&key, &credential(2)).await.unwrap();
    let ended = |known: &Credential| (known.generation == 1).then(|| end(known));
    let stored = broker.end_stored(&key, Some(credential(1)), ended).await;
    assert_eq!(stored, Ok(None));
    assert_eq!(store.load(&key).await, Ok(Some(credential(2))));
}

fn credential(generation: u64) -> Credential {
    Credential {
        value: Secret::new("value"),
        issued_at: NOW,
        expires_at: NOW.plus(Duration::from_secs(7_200)),
        generation,
    }
}

fn end(known: &Credential) -> Credential {
    Credential {
        expires_at: NOW.plus(Duration::from_secs(1)),
        ..known.clone()
    }
}
