//! Finds the account of an access token: the ticket calls of the drop-in paths and the calls of the gateway may
//! carry nothing else. `recipients` remembers which API keys were given a token, `token_for_key` gives it to them.
//!
//! Reads the clock once and compares one value per account. Takes locks only if the token is not a current
//! one.

mod recipients;
mod token_for_key;

use std::sync::Arc;

pub(super) use self::recipients::{HandedTokens, Recipients};
use super::refresh::OVERLAP;
use super::{AccountEntry, Broker};
use crate::account::Account;
use crate::clock::{Moment, UnixTime};
use crate::credential::Secret;

impl Broker {
    /// Returns the account of an access token: a current one that this process knows, or one replaced so
    /// recently that WeChat still accepts it, unless it was reported dead. `None` for every other value.
    pub(crate) fn account_of_token(&self, token: &str) -> Option<(String, Arc<Account>)> {
        let accounts = self.inner.accounts.load();
        let token = Secret::new(token);
        let at = self.inner.clock.moment();
        let current = accounts
            .all()
            .find(|entry| self.has_current_token(entry, &token, &at));
        let had = |entry: &&Arc<AccountEntry>| had_token(entry, &token, at.now);
        let found = current.or_else(|| accounts.all().find(had));
        found.map(|entry| (entry.name.clone(), entry.account.clone()))
    }

    fn has_current_token(&self, entry: &AccountEntry, token: &Secret, at: &Moment) -> bool {
        self.current(entry.token_slot(), at)
            .as_ref()
            .is_some_and(|current| current.credential.value == *token)
    }
}

fn had_token(entry: &AccountEntry, token: &Secret, now: UnixTime) -> bool {
    let state = entry.token_slot().lock();
    state.previous.as_ref().is_some_and(|(previous, replaced)| {
        previous.value == *token
            && previous.expires_at > now
            && now.since(*replaced) < OVERLAP
            && state.rejected.as_ref() != Some(token)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;
    use crate::credential::Credential;

    /// Gives an account a token with this value, for an hour.
    fn give(broker: &Broker, name: &str, value: &str) {
        let entry = broker.entry(name).unwrap();
        let now = broker.clock().now();
        let slot = entry.token_slot();
        let mut state = slot.lock();
        let generation = state.last.as_ref().map_or(1, |last| last.generation + 1);
        let expires_at = now.plus(Duration::from_secs(3_600));
        let token = Arc::new(Credential {
            value: Secret::new(value),
            issued_at: now,
            expires_at,
            generation,
        });
        state.see(&token, broker.clock());
        broker.publish(slot, &state);
    }

    fn broker() -> Broker {
        let accounts =
            (0..50).map(|n| (format!("a{n}"), Account::mini(format!("wx{n}"), "secret")));
        let builder = Broker::builder().clock(Clock::manual(UnixTime(1_767_225_600)));
        accounts
            .fold(builder, |builder, (name, account)| {
                builder.account(name, account)
            })
            .build()
            .unwrap()
    }

    #[tokio::test]
    async fn the_account_of_a_current_token_is_found_without_a_lock() {
        let broker = broker();
        for n in 0..50 {
            give(&broker, &format!("a{n}"), &format!("token {n}"));
        }
        let accounts = broker.inner.accounts.load_full();
        // Each slot is locked, as by a running refresh.
        let held: Vec<_> = accounts
            .all()
            .map(|entry| entry.token_slot().lock())
            .collect();
        let (answer, answered) = mpsc::channel();
        let asking = broker.clone();
        std::thread::spawn(move || {
            answer.send(asking.account_of_token("token 17").map(|(name, _)| name))
        });
        assert_eq!(
            answered.recv_timeout(Duration::from_secs(20)),
            Ok(Some("a17".to_owned()))
        );
        drop(held);
    }

    #[tokio::test]
    async fn a_recently_replaced_token_still_maps_to_its_account() {
        let broker = broker();
        give(&broker, "a1", "old");
        give(&broker, "a1", "new");
        let name_of = |token| broker.account_of_token(token).map(|(name, _)| name);
        assert_eq!(
            (
                name_of("old").as_deref(),
                name_of("new").as_deref(),
                name_of("none")
            ),
            (Some("a1"), Some("a1"), None)
        );
        broker.clock().advance(OVERLAP);
        assert_eq!(
            (name_of("old"), name_of("new").as_deref()),
            (None, Some("a1"))
        );
    }
}
