//! The stores: one acceptance suite for all three, and what is particular to each.

// clippy.toml allows it in tests, but knows only functions marked as tests, not what they call.
#![allow(clippy::unwrap_used)]

mod acceptance;
#[cfg(feature = "file")]
mod file;
#[cfg(feature = "redis")]
mod lost_grant;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "redis")]
mod redis_server;
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
