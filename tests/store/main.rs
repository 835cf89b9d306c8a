//! The stores: one acceptance suite for all, and tests of each; many processes on one Redis; and the faults of
//! `docs/RELIABILITY.md`.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions only, not in their helpers

mod acceptance;
mod accounts;
mod cluster;
#[allow(dead_code)] // each binary uses a part of it
#[path = "../common/mod.rs"]
mod common;
mod encryption;
mod faults;
mod file;
mod lost_grant;
mod redis;
#[cfg(feature = "sql")]
mod sql;
mod support;

mod memory {
    use wx_jssdk::store::Store;

    use crate::acceptance::{Fixture, accept};

    fn fixture() -> Fixture<()> {
        let store = Store::memory();
        Fixture {
            a: store.clone(),
            b: store,
            _alive: (),
        }
    }

    accept!(fixture());
    accept!(documents: fixture());

    #[test]
    fn two_memory_stores_share_nothing() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let store = Store::memory();
            store
                .save(&crate::support::key(), &crate::support::credential(1))
                .await
                .unwrap();
            assert_eq!(Store::memory().load(&crate::support::key()).await, Ok(None));
            assert_eq!(format!("{store:?}"), "Store(memory)");
        });
    }
}
