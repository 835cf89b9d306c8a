//! The rules that every store keeps. Each rule is tested through two handles, of which the second belongs, if the store
//! can be shared, to another process.

use std::time::Duration;

use wx_jssdk::clock::{Clock, UnixTime};
use wx_jssdk::credential::{AppKey, CredentialKey, Kind, Secret};
use wx_jssdk::store::{Claim, Document, Saved, Store};

use crate::support::{GAP, NOW, TICKET, TOKEN, app, credential, ending, key, other_app};

/// The highest generation that a store returns.
const LATEST: u64 = u64::MAX / 2;

/// Two handles on one empty store, and a guard that must live as long.
pub(crate) struct Fixture<G> {
    pub(crate) a: Store,
    pub(crate) b: Store,
    pub(crate) _alive: G,
}

/// Defines a test for each rule, with a store that `$fixture` creates. `documents:` defines those about documents,
/// `shared:` those of stores that several processes share.
macro_rules! accept {
    ($fixture:expr $(, #[$attribute:meta])?) => {
        $crate::acceptance::accept!(@ $fixture, ($(#[$attribute])?),
            an_empty_store_has_nothing, a_saved_credential_is_loaded, many_credentials_are_loaded_at_once_in_order, a_lower_generation_never_replaces_a_higher_one,
            an_equal_generation_can_only_shorten, saving_the_same_credential_again_is_not_a_conflict, of_concurrent_saves_the_highest_generation_wins,
            each_app_and_kind_has_its_own, an_expired_credential_stays_in_the_store, a_lease_is_granted_and_released,
            calls_are_counted_per_app_endpoint_and_day, the_call_counts_restart_at_midnight_in_shanghai,
            concurrent_calls_are_all_counted, a_block_lasts_until_the_day_turns, a_block_can_be_lifted,
            claimed_refreshes_are_limited_across_all_handles, of_many_claims_at_once_one_is_granted, a_usable_store_reports_it,
        );
    };
    (documents: $fixture:expr $(, #[$attribute:meta])?) => {
        $crate::acceptance::accept!(@ $fixture, ($(#[$attribute])?),
            a_document_is_saved_loaded_and_replaced_by_its_version, of_concurrent_saves_of_a_document_each_change_is_kept,
            of_concurrent_saves_of_one_document_version_one_wins, a_document_is_not_a_credential,
            an_expired_document_counts_as_absent_and_its_successor_is_newer, the_documents_of_a_group_are_listed,
        );
    };
    (shared: $fixture:expr $(, #[$attribute:meta])?) => {
        $crate::acceptance::accept!(@ $fixture, ($(#[$attribute])?),
            of_many_requests_for_a_lease_one_is_granted, a_lease_ends_by_itself_and_is_released_only_by_its_owner,
        );
    };
    (@ $fixture:expr, $attributes:tt, $($rule:ident,)*) => {
        $( $crate::acceptance::accept!(! $fixture, $attributes, $rule); )*
    };
    (! $fixture:expr, ($(#[$attribute:meta])?), $rule:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        $(#[$attribute])?
        async fn $rule() {
            let fixture = $fixture;
            $crate::acceptance::$rule(&fixture.a, &fixture.b).await;
        }
    };
}
pub(crate) use accept;

pub(crate) async fn an_empty_store_has_nothing(a: &Store, b: &Store) {
    assert_eq!(a.load(&key()).await, Ok(None));
    assert_eq!(b.calls(&app(), TOKEN, NOW).await, Ok(0));
    assert_eq!(b.blocked_until(&app(), TOKEN, NOW).await, Ok(None));
}

pub(crate) async fn a_saved_credential_is_loaded(a: &Store, b: &Store) {
    let saved = credential(1_704_067_200_123);
    assert_eq!(a.save(&key(), &saved).await, Ok(Saved::Stored));
    assert_eq!(a.load(&key()).await, Ok(Some(saved.clone())));
    assert_eq!(b.load(&key()).await, Ok(Some(saved)));
}

pub(crate) async fn many_credentials_are_loaded_at_once_in_order(a: &Store, b: &Store) {
    let keys: Vec<_> = (0..300)
        .map(|n| CredentialKey {
            app: AppKey {
                id: format!("wx{n}").into(),
                ..app()
            },
            kind: Kind::AccessToken,
            secret_hash: None,
        })
        .collect();
    for (n, key) in keys.iter().enumerate().filter(|(n, _)| n % 3 > 0) {
        a.save(key, &credential(n as u64)).await.unwrap();
    }
    let loaded = b.load_many(&keys.iter().collect::<Vec<_>>()).await.unwrap();
    for (n, loaded) in loaded.into_iter().enumerate() {
        assert_eq!(loaded, (n % 3 > 0).then(|| credential(n as u64)), "{n}");
    }
    assert_eq!(b.load_many(&[]).await, Ok(Vec::new()));
}

pub(crate) async fn a_lower_generation_never_replaces_a_higher_one(a: &Store, b: &Store) {
    // 9 and 10, and two that differ only beyond the precision of a double: compared as numbers, not as text or floats.
    for (lower, higher) in [(9, 10), (LATEST - 1, LATEST)] {
        assert_eq!(a.save(&key(), &credential(higher)).await, Ok(Saved::Stored));
        assert_eq!(
            b.save(&key(), &credential(lower)).await,
            Ok(Saved::Newer(credential(higher)))
        );
        // Not even by ending earlier.
        let early = ending(credential(lower), 60);
        assert_eq!(
            b.save(&key(), &early).await,
            Ok(Saved::Newer(credential(higher)))
        );
        assert_eq!(a.load(&key()).await, Ok(Some(credential(higher))));
    }
}

pub(crate) async fn an_equal_generation_can_only_shorten(a: &Store, b: &Store) {
    let shortened = ending(credential(7), 240);
    a.save(&key(), &credential(7)).await.unwrap();
    assert_eq!(b.save(&key(), &shortened).await, Ok(Saved::Stored));
    assert_eq!(
        a.save(&key(), &credential(7)).await,
        Ok(Saved::Newer(shortened.clone())),
        "a life is never prolonged"
    );
    assert_eq!(a.load(&key()).await, Ok(Some(shortened)));
    assert_eq!(
        a.save(&key(), &credential(8)).await,
        Ok(Saved::Stored),
        "the next refresh is stored"
    );
}

pub(crate) async fn saving_the_same_credential_again_is_not_a_conflict(a: &Store, b: &Store) {
    a.save(&key(), &credential(7)).await.unwrap();
    assert_eq!(b.save(&key(), &credential(7)).await, Ok(Saved::Stored));
}

pub(crate) async fn of_concurrent_saves_the_highest_generation_wins(a: &Store, b: &Store) {
    let savers: Vec<_> = (1..=100_u64)
        .map(|n| (n * 37) % 101)
        .map(|generation| {
            let store = if generation % 2 == 0 {
                a.clone()
            } else {
                b.clone()
            };
            tokio::spawn(async move {
                (
                    generation,
                    store.save(&key(), &credential(generation)).await.unwrap(),
                )
            })
        })
        .collect();
    for saver in savers {
        let (generation, saved) = saver.await.unwrap();
        if let Saved::Newer(newer) = saved {
            assert!(
                newer.generation > generation,
                "{generation} was refused because of {}",
                newer.generation
            );
        }
    }
    assert_eq!(a.load(&key()).await, Ok(Some(credential(100))));
}

pub(crate) async fn each_app_and_kind_has_its_own(a: &Store, b: &Store) {
    let keys: Vec<_> = [app(), other_app()]
        .into_iter()
        .flat_map(|app| {
            Kind::ALL.map(|kind| CredentialKey {
                app: app.clone(),
                kind,
                secret_hash: None,
            })
        })
        .collect();
    for (generation, key) in (1..).zip(&keys) {
        assert_eq!(
            a.save(key, &credential(generation)).await,
            Ok(Saved::Stored)
        );
    }
    for (generation, key) in (1..).zip(&keys) {
        assert_eq!(b.load(key).await, Ok(Some(credential(generation))), "{key}");
    }
}

pub(crate) async fn an_expired_credential_stays_in_the_store(a: &Store, b: &Store) {
    // Its life ended decades ago; the caller's clock decides whether it may be served.
    let old = wx_jssdk::credential::Credential {
        issued_at: UnixTime(0),
        expires_at: UnixTime(7_200),
        ..credential(3)
    };
    a.save(&key(), &old).await.unwrap();
    assert_eq!(b.load(&key()).await, Ok(Some(old)));
}

pub(crate) async fn a_lease_is_granted_and_released(a: &Store, b: &Store) {
    let lease = a
        .lease(&key(), Duration::from_secs(10))
        .await
        .unwrap()
        .expect("it is free");
    a.release(lease).await.unwrap();
    assert!(
        b.lease(&key(), Duration::from_secs(10))
            .await
            .unwrap()
            .is_some(),
        "it is free again"
    );
}

pub(crate) async fn of_many_requests_for_a_lease_one_is_granted(a: &Store, b: &Store) {
    let minute = Duration::from_secs(60);
    let asking: Vec<_> = (0..50)
        .map(|n| if n % 2 == 0 { a.clone() } else { b.clone() })
        .map(|store| tokio::spawn(async move { store.lease(&key(), minute).await.unwrap() }))
        .collect();
    let mut granted = Vec::new();
    for one in asking {
        granted.extend(one.await.unwrap());
    }
    assert_eq!(granted.len(), 1);
    let other = CredentialKey {
        kind: Kind::JsapiTicket,
        ..key()
    };
    let lease = b.lease(&other, minute).await.unwrap();
    assert!(lease.is_some(), "each credential has its own");
}

pub(crate) async fn a_lease_ends_by_itself_and_is_released_only_by_its_owner(a: &Store, b: &Store) {
    let clock = Clock::system();
    let start = clock.now_millis();
    let minute = Duration::from_secs(60);
    let of_a = a.lease(&key(), Duration::from_millis(200)).await.unwrap();
    let of_b = loop {
        if let Some(lease) = b.lease(&key(), minute).await.unwrap() {
            break lease;
        }
        assert!(
            clock.now_millis() - start < 10_000,
            "the lease never expired"
        );
    };
    assert!(
        clock.now_millis() - start >= 199,
        "it was held for its time: the unit is seconds, not milliseconds"
    );
    a.release(of_a.expect("it was free")).await.unwrap();
    let again = a.lease(&key(), minute).await.unwrap();
    assert!(again.is_none(), "b still holds it");
    b.release(of_b).await.unwrap();
    assert!(a.lease(&key(), minute).await.unwrap().is_some());
}

pub(crate) async fn calls_are_counted_per_app_endpoint_and_day(a: &Store, b: &Store) {
    assert_eq!(a.count_call(&app(), TOKEN, NOW).await, Ok(1));
    assert_eq!(b.count_call(&app(), TOKEN, NOW).await, Ok(2));
    assert_eq!(a.count_call(&app(), TICKET, NOW).await, Ok(1));
    assert_eq!(a.count_call(&other_app(), TOKEN, NOW).await, Ok(1));
    assert_eq!(a.calls(&app(), TOKEN, NOW).await, Ok(2));
    assert_eq!(b.calls(&other_app(), TICKET, NOW).await, Ok(0));
}

pub(crate) async fn the_call_counts_restart_at_midnight_in_shanghai(a: &Store, b: &Store) {
    let midnight = NOW.next_shanghai_midnight();
    let before = UnixTime(midnight.0 - 1);
    a.count_call(&app(), TOKEN, NOW).await.unwrap();
    assert_eq!(
        a.count_call(&app(), TOKEN, before).await,
        Ok(2),
        "the same day until its last second"
    );
    assert_eq!(b.calls(&app(), TOKEN, midnight).await, Ok(0));
    assert_eq!(b.count_call(&app(), TOKEN, midnight).await, Ok(1));
    assert_eq!(
        a.calls(&app(), TOKEN, before).await,
        Ok(2),
        "yesterday can still be looked at"
    );
}

pub(crate) async fn concurrent_calls_are_all_counted(a: &Store, b: &Store) {
    let calls: Vec<_> = (0..60)
        .map(|n| if n % 2 == 0 { a.clone() } else { b.clone() })
        .map(|store| {
            tokio::spawn(async move { store.count_call(&app(), TOKEN, NOW).await.unwrap() })
        })
        .collect();
    let mut counts = Vec::new();
    for call in calls {
        counts.push(call.await.unwrap());
    }
    counts.sort_unstable();
    assert_eq!(
        counts,
        (1..=60).collect::<Vec<u64>>(),
        "each call has its own number"
    );
}

pub(crate) async fn a_block_lasts_until_the_day_turns(a: &Store, b: &Store) {
    let midnight = NOW.next_shanghai_midnight();
    a.set_block(&app(), TOKEN, midnight, NOW).await.unwrap();
    assert_eq!(
        b.blocked_until(&app(), TOKEN, NOW).await,
        Ok(Some(midnight))
    );
    assert_eq!(
        b.blocked_until(&app(), TOKEN, UnixTime(midnight.0 - 1))
            .await,
        Ok(Some(midnight))
    );
    assert_eq!(b.blocked_until(&app(), TOKEN, midnight).await, Ok(None));
    assert_eq!(
        b.blocked_until(&app(), TICKET, NOW).await,
        Ok(None),
        "the other endpoint has its own quota"
    );
    assert_eq!(
        b.blocked_until(&other_app(), TOKEN, NOW).await,
        Ok(None),
        "so has the other app"
    );
}

pub(crate) async fn a_block_can_be_lifted(a: &Store, b: &Store) {
    a.set_block(&app(), TOKEN, NOW.next_shanghai_midnight(), NOW)
        .await
        .unwrap();
    b.set_block(&app(), TOKEN, NOW, NOW).await.unwrap();
    assert_eq!(a.blocked_until(&app(), TOKEN, NOW).await, Ok(None));
}

pub(crate) async fn claimed_refreshes_are_limited_across_all_handles(a: &Store, b: &Store) {
    let mut now = NOW;
    for n in 0..20 {
        let (this, that) = if n % 2 == 0 { (a, b) } else { (b, a) };
        assert_eq!(
            this.claim_refresh(&key(), now, GAP, Some(20)).await,
            Ok(Claim::Granted),
            "number {n}"
        );
        let retry_at = now.plus(GAP);
        let soon = UnixTime(retry_at.0 - 1);
        if n < 19 {
            assert_eq!(
                that.claim_refresh(&key(), soon, GAP, Some(20)).await,
                Ok(Claim::TooSoon { retry_at })
            );
        }
        now = retry_at;
    }
    let retry_at = now.next_shanghai_midnight();
    for store in [a, b] {
        assert_eq!(
            store.claim_refresh(&key(), now, GAP, Some(20)).await,
            Ok(Claim::SpentToday { retry_at })
        );
    }
    let other = CredentialKey {
        app: other_app(),
        kind: Kind::AccessToken,
        secret_hash: None,
    };
    assert_eq!(
        a.claim_refresh(&other, now, GAP, Some(20)).await,
        Ok(Claim::Granted),
        "each credential has its own limit"
    );
    assert_eq!(
        b.claim_refresh(&key(), now, GAP, None).await,
        Ok(Claim::Granted),
        "no daily limit, only the gap"
    );
    assert_eq!(
        b.claim_refresh(&key(), retry_at, GAP, Some(20)).await,
        Ok(Claim::Granted),
        "a new day"
    );
}

pub(crate) async fn of_many_claims_at_once_one_is_granted(a: &Store, b: &Store) {
    let claims: Vec<_> = (0..50)
        .map(|n| if n % 2 == 0 { a.clone() } else { b.clone() })
        .map(|store| {
            tokio::spawn(async move {
                store
                    .claim_refresh(&key(), NOW, GAP, Some(20))
                    .await
                    .unwrap()
            })
        })
        .collect();
    let mut granted = 0;
    for claim in claims {
        match claim.await.unwrap() {
            Claim::Granted => granted += 1,
            other => assert_eq!(
                other,
                Claim::TooSoon {
                    retry_at: NOW.plus(GAP)
                }
            ),
        }
    }
    assert_eq!(granted, 1);
}

pub(crate) async fn a_usable_store_reports_it(a: &Store, b: &Store) {
    assert_eq!(a.ping().await, Ok(()));
    assert_eq!(b.ping().await, Ok(()));
}

/// The name of a document, as for an account of a platform.
pub(crate) const DOCUMENT: &str = "platform:wxbbd3f07e2945cf2a:authorizer:wx570bc396a51b8ff8";

pub(crate) fn document(version: u64, text: &str) -> Document {
    Document {
        version,
        ..Document::new(text)
    }
}

pub(crate) async fn a_document_is_saved_loaded_and_replaced_by_its_version(a: &Store, b: &Store) {
    let save = async |store: &Store, text: &str, expected| {
        let document = document(expected, text);
        store.save_document(DOCUMENT, &document, NOW).await.unwrap()
    };
    let load = async |store: &Store| store.load_document(DOCUMENT, NOW).await;
    assert_eq!(load(a).await, Ok(None));
    assert_eq!(save(a, "{}", 3).await, None, "there is no version 3");
    assert_eq!(save(a, "{\"a\": \"b 1\"}", 0).await, Some(1));
    assert_eq!(save(b, "another", 0).await, None, "there is one already");
    let first = document(1, "{\"a\": \"b 1\"}");
    assert_eq!(load(b).await, Ok(Some(first)));
    assert_eq!(save(b, "第二版", 1).await, Some(2));
    assert_eq!(save(a, "late", 1).await, None);
    assert_eq!(load(a).await, Ok(Some(document(2, "第二版"))));
    assert_eq!(a.load_document("platform:wx1:ticket", NOW).await, Ok(None));
}

pub(crate) async fn of_concurrent_saves_of_a_document_each_change_is_kept(a: &Store, b: &Store) {
    let savers: Vec<_> = (0..20)
        .map(|n| (n, if n % 2 == 0 { a.clone() } else { b.clone() }))
        .map(|(n, store)| {
            tokio::spawn(async move {
                loop {
                    let stored = store.load_document(DOCUMENT, NOW).await.unwrap();
                    let mut document = stored.unwrap_or_else(|| document(0, ""));
                    document.text = Secret::new(format!("{}{n},", document.text.expose()));
                    let saved = store.save_document(DOCUMENT, &document, NOW).await;
                    if saved.unwrap().is_some() {
                        break;
                    }
                }
            })
        })
        .collect();
    for saver in savers {
        saver.await.unwrap();
    }
    let stored = a.load_document(DOCUMENT, NOW).await.unwrap().unwrap();
    assert_eq!(stored.version, 20);
    let list = stored.text.expose().trim_end_matches(',');
    let mut changes: Vec<u32> = list.split(',').map(|n| n.parse().unwrap()).collect();
    changes.sort_unstable();
    assert_eq!(changes, (0..20).collect::<Vec<_>>());
}

/// With the same text: each handle must know whether it saved the version.
pub(crate) async fn of_concurrent_saves_of_one_document_version_one_wins(a: &Store, b: &Store) {
    for version in 0..3 {
        let savers: Vec<_> = (0..50)
            .map(|n| if n % 2 == 0 { a.clone() } else { b.clone() })
            .map(|store| {
                tokio::spawn(async move {
                    let document = document(version, "claimed");
                    store.save_document(DOCUMENT, &document, NOW).await.unwrap()
                })
            })
            .collect();
        let mut won = Vec::new();
        for saver in savers {
            won.extend(saver.await.unwrap());
        }
        assert_eq!(won, [version + 1]);
    }
}

pub(crate) async fn a_document_is_not_a_credential(a: &Store, b: &Store) {
    let name = key().to_string();
    a.save(&key(), &credential(7)).await.unwrap();
    assert_eq!(b.load_document(&name, NOW).await, Ok(None));
    let saved = b.save_document(&name, &Document::new("text"), NOW).await;
    assert_eq!(saved, Ok(Some(1)));
    assert_eq!(a.load(&key()).await, Ok(Some(credential(7))));
}

pub(crate) async fn an_expired_document_counts_as_absent_and_its_successor_is_newer(
    a: &Store,
    b: &Store,
) {
    let end = NOW.plus(Duration::from_secs(86_400));
    let before = UnixTime(end.0 - 1);
    let claim = Document {
        expires_at: Some(end),
        ..Document::new("claim")
    };
    let save = async |store: &Store, document: &Document, now| {
        store.save_document(DOCUMENT, document, now).await.unwrap()
    };
    assert_eq!(save(a, &claim, NOW).await, Some(1));
    assert_eq!(save(b, &claim, before).await, None, "it is claimed");
    let stored = Document {
        version: 1,
        ..claim.clone()
    };
    assert_eq!(b.load_document(DOCUMENT, before).await, Ok(Some(stored)));
    assert_eq!(b.load_document(DOCUMENT, end).await, Ok(None));
    let group = DOCUMENT.rsplit_once(':').unwrap().0;
    assert_eq!(a.load_documents(group, before).await.unwrap().len(), 1);
    assert_eq!(a.load_documents(group, end).await, Ok(Vec::new()));
    let version = save(b, &Document::new("kept"), end).await.unwrap();
    assert_eq!(version, 2, "a handle with version 1 cannot replace it");
    let later = end.plus(Duration::from_secs(1_000 * 86_400));
    let kept = document(2, "kept");
    assert_eq!(a.load_document(DOCUMENT, later).await, Ok(Some(kept)));
    assert_eq!(a.load_documents(group, later).await.unwrap().len(), 1);
}

pub(crate) async fn the_documents_of_a_group_are_listed(a: &Store, b: &Store) {
    const GROUP: &str = "platform:wx_1:authorizer";
    assert_eq!(b.load_documents(GROUP, NOW).await, Ok(Vec::new()));
    for other in [
        "platform:wx_1:authorizer",
        "platform:wx_1:authorizers:a",
        "platform:wx_1:authorizer:a:b",
        "platform:wx_1:Authorizer:a",
        "platform:wxx1:authorizer:a",
        "x",
    ] {
        let saved = a.save_document(other, &Document::new("other"), NOW).await;
        assert_eq!(saved, Ok(Some(1)));
    }
    // More than a page of each store, saved in batches.
    let names: Vec<_> = (0..1_100).map(|n| format!("{GROUP}:账号_{n:04}")).collect();
    for names in names.chunks(50) {
        let savers: Vec<_> = names
            .iter()
            .map(|name| {
                let (store, name) = (a.clone(), name.clone());
                tokio::spawn(async move {
                    let document = Document::new(format!("text of {name}"));
                    store.save_document(&name, &document, NOW).await
                })
            })
            .collect();
        for saver in savers {
            assert_eq!(saver.await.unwrap(), Ok(Some(1)));
        }
    }
    let changed = document(1, "changed");
    let saved = b.save_document(&names[7], &changed, NOW).await;
    assert_eq!(saved, Ok(Some(2)));
    let listed = b.load_documents(GROUP, NOW).await.unwrap();
    assert_eq!(listed.len(), names.len());
    for (n, ((listed, stored), name)) in listed.into_iter().zip(&names).enumerate() {
        assert_eq!(&listed, name);
        let expected = match n {
            7 => document(2, "changed"),
            _ => document(1, &format!("text of {name}")),
        };
        assert_eq!(stored, Some(expected));
    }
    let all = b.load_documents("platform:wx_1", NOW).await.unwrap();
    assert_eq!(all, [(GROUP.to_owned(), Some(document(1, "other")))]);
    let x = b.load_documents("", NOW).await.unwrap();
    assert_eq!(x, [], "no group is empty");
}
