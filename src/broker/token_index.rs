//! Finds the account of an access token, and the API keys that were given it: the drop-in's ticket calls and
//! the gateway's calls may carry nothing else. Checks a token for which a client asks again too soon.
//!
//! Reads the clock once and compares one value per account. Takes locks only if the token is not a current
//! one.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use parking_lot::Mutex;

use super::{AccountEntry, Broker};
use crate::account::Account;
use crate::clock::{Moment, UnixTime};
use crate::credential::{AppKey, Credential, Kind, Secret};
use crate::error::Error;

/// The API keys that were last given one account's tokens. Local to this process; each node remembers its
/// own.
#[derive(Default)]
pub(super) struct Buyers {
    buyers: Mutex<VecDeque<Buyer>>,
    /// The last check of the token because a client asked for it again.
    checked: tokio::sync::Mutex<Option<Check>>,
}

/// A check of a token, and how often clients have asked for it again since.
struct Check {
    /// When it was made, in uptime.
    at: Duration,
    asked: u32,
    /// As many requests make the next check due before its time.
    patience: u32,
}

impl Check {
    /// Returns whether a check is due, and counts it as made: a minute after the last one, or sooner for
    /// clients that ask without end, as SDKs do that repeat a call until its token is accepted. Each check
    /// before its time doubles the requests that the next one takes.
    fn is_due(last: &mut Option<Self>, now: Duration) -> bool {
        let patience = match last {
            Some(check) if now.saturating_sub(check.at) < ASKED_AGAIN => {
                check.asked += 1;
                if check.asked < check.patience {
                    return false;
                }
                check.patience.saturating_mul(2)
            }
            _ => PATIENCE,
        };
        *last = Some(Self {
            at: now,
            asked: 0,
            patience,
        });
        true
    }
}

/// A token that was given to an API key, and the IP address that presented the key.
struct Buyer {
    /// Hash of the token, so that its value is not stored twice.
    token: u64,
    key: String,
    from: Option<IpAddr>,
    /// When, in uptime, it was given last.
    at: Duration,
}

/// The accounts of the tokens that this process has given to API keys, also of those that are no longer
/// valid: a client that keeps its token too long can still be recognised. Holds hashes only.
pub(super) struct HandedTokens {
    accounts: Cache<u64, AppKey>,
    hasher: RandomState,
}

impl Default for HandedTokens {
    fn default() -> Self {
        Self {
            accounts: Cache::builder()
                .max_capacity(MOST_HANDED)
                .time_to_live(HANDED_LIFE)
                .build(),
            hasher: RandomState::new(),
        }
    }
}

impl HandedTokens {
    /// Returns a hash that only this process can compute.
    fn fingerprint(&self, token: &str) -> u64 {
        self.hasher.hash_one(token)
    }
}

impl Buyers {
    fn note(&self, buyer: Buyer) {
        let mut buyers = self.buyers.lock();
        let known = buyers.iter_mut().find(|known| {
            (known.token, &known.key, known.from) == (buyer.token, &buyer.key, buyer.from)
        });
        if let Some(known) = known {
            known.at = buyer.at;
            return;
        }
        if buyers.len() == MOST_BUYERS {
            buyers.pop_front();
        }
        buyers.push_back(buyer);
    }

    /// Returns the names of the keys that were given the token at this IP address; if there are none, of
    /// all that were given it.
    fn of(&self, token: u64, from: Option<IpAddr>) -> Vec<String> {
        let buyers = self.buyers.lock();
        let names = |from_there: bool| {
            let found = buyers
                .iter()
                .filter(|buyer| buyer.token == token && (!from_there || buyer.from == from));
            found.map(|buyer| buyer.key.clone()).collect::<Vec<_>>()
        };
        let from_there = names(true);
        if from_there.is_empty() {
            names(false)
        } else {
            from_there
        }
    }

    /// Returns whether the key was given this token within the last minute.
    fn has_just_been_given(&self, token: u64, key: &str, now: Duration) -> bool {
        let buyers = self.buyers.lock();
        buyers.iter().any(|buyer| {
            buyer.token == token && buyer.key == key && now.saturating_sub(buyer.at) < ASKED_AGAIN
        })
    }
}

#[cfg_attr(not(feature = "server"), allow(dead_code))] // only the web layer hands out tokens
impl Broker {
    /// Returns the access token for a client that presents this API key, and records that it was given.
    ///
    /// A client that asks again within a minute, although its token is valid for five minutes more, was
    /// probably refused by WeChat: SDKs then drop their token and ask for another. So the token is checked
    /// once, as a rule at most once a minute, and refreshed if WeChat refuses it.
    ///
    /// # Errors
    /// As [`Broker::credential`].
    pub(crate) async fn token_for_key(
        &self,
        account: &str,
        key: &str,
        from: Option<IpAddr>,
    ) -> Result<Arc<Credential>, Error> {
        let entry = self.entry(account)?;
        let slot = entry.slot(Kind::AccessToken)?;
        let mut token = self.credential(account, Kind::AccessToken).await?;
        let clock = &self.inner.clock;
        let fingerprint = self.inner.handed.fingerprint(token.value.expose());
        if token.remaining(clock.now()) > STILL_LONG
            && slot
                .buyers
                .has_just_been_given(fingerprint, key, clock.uptime())
        {
            let mut checked = slot.buyers.checked.lock().await;
            // Another caller may have checked and refreshed it while this one waited.
            token = self.credential(account, Kind::AccessToken).await?;
            if Check::is_due(&mut checked, clock.uptime())
                && self
                    .inner
                    .upstream
                    .refuses_token(&entry.account, &token.value)
                    .await
            {
                tracing::info!(
                    account = entry.name,
                    key,
                    "client asked again for a token that WeChat refuses"
                );
                // A limited or failed refresh leaves the client with what there is.
                token = self
                    .refresh_if_current(&entry, slot, &token.value)
                    .await
                    .unwrap_or(token);
            }
        }
        self.note_buyer(account, &token.value, key, from);
        Ok(token)
    }

    /// Records that this API key was given an access token of the account.
    pub(crate) fn note_buyer(
        &self,
        account: &str,
        token: &Secret,
        key: &str,
        from: Option<IpAddr>,
    ) {
        let accounts = self.inner.accounts.load();
        let slot = accounts
            .find(account)
            .ok()
            .and_then(|entry| entry.slot_of(Kind::AccessToken));
        if let Some(slot) = slot {
            let handed = &self.inner.handed;
            let fingerprint = handed.fingerprint(token.expose());
            if !handed.accounts.contains_key(&fingerprint) {
                handed.accounts.insert(fingerprint, slot.key.app.clone());
            }
            slot.buyers.note(Buyer {
                token: fingerprint,
                key: key.to_owned(),
                from,
                at: self.inner.clock.uptime(),
            });
        }
    }

    /// Returns the name of the account of a token that this process has given to a client, though it may no
    /// longer be valid.
    pub(crate) fn account_of_handed_token(&self, token: &str) -> Option<String> {
        let handed = &self.inner.handed;
        let app = handed.accounts.get(&handed.fingerprint(token))?;
        let accounts = self.inner.accounts.load();
        accounts.of_key(&app).map(|entry| entry.name.clone())
    }

    /// Returns the names of the API keys that were given this token of the account, at this IP address or
    /// else at any.
    pub(crate) fn buyers_of(
        &self,
        account: &str,
        token: &str,
        from: Option<IpAddr>,
    ) -> Vec<String> {
        let accounts = self.inner.accounts.load();
        accounts
            .find(account)
            .ok()
            .and_then(|entry| entry.slot_of(Kind::AccessToken))
            .map(|slot| {
                let fingerprint = self.inner.handed.fingerprint(token);
                slot.buyers.of(fingerprint, from)
            })
            .unwrap_or_default()
    }

    /// Whether peer nodes may have handed out tokens that this process does not know of.
    pub(crate) fn has_peers(&self) -> bool {
        self.inner.store.is_shared()
    }
}

impl Broker {
    /// Returns the account of an access token: a current one that this process knows, or one replaced so
    /// recently that WeChat still accepts it, unless it was reported dead. `None` for every other value.
    pub(super) fn account_of_token(&self, token: &str) -> Option<(String, Arc<Account>)> {
        let (accounts, token, at) = (
            self.inner.accounts.load(),
            Secret::new(token),
            self.inner.clock.moment(),
        );
        let current = accounts
            .all()
            .find(|entry| self.has_current_token(entry, &token, &at));
        let found = current.or_else(|| {
            accounts
                .all()
                .find(|entry| had_token(entry, &token, at.now))
        });
        found.map(|entry| (entry.name.clone(), entry.account.clone()))
    }

    fn has_current_token(&self, entry: &AccountEntry, token: &Secret, at: &Moment) -> bool {
        let Some(slot) = entry.slot_of(Kind::AccessToken) else {
            return false;
        };
        self.current(slot, at)
            .as_ref()
            .is_some_and(|current| current.credential.value == *token)
    }
}

fn had_token(entry: &AccountEntry, token: &Secret, now: UnixTime) -> bool {
    let Some(slot) = entry.slot_of(Kind::AccessToken) else {
        return false;
    };
    let state = slot.lock();
    let Some((previous, replaced)) = state
        .previous
        .as_ref()
        .filter(|(previous, _)| previous.value == *token)
    else {
        return false;
    };
    previous.expires_at > now
        && now.since(*replaced) < OVERLAP
        && state.rejected.as_ref() != Some(token)
}

/// WeChat accepts an access token for five minutes after it was replaced
/// (<https://developers.weixin.qq.com/doc/oplatform/developers/dev/AccessToken.html>). One minute less
/// allows for clock differences and latency.
const OVERLAP: Duration = Duration::from_secs(240);

/// Per account: API keys times the IP addresses of their clients.
const MOST_BUYERS: usize = 256;

/// Tokens whose account is remembered: some 2 MiB.
const MOST_HANDED: u64 = 20_000;

/// Longer than any client keeps a token that lives for two hours.
const HANDED_LIFE: Duration = Duration::from_secs(86_400);

/// More workers than usually start at once with one key, and fewer calls than an SDK's recursion allows.
const PATIENCE: u32 = 60;

/// A client that asks for a token twice in this time is probably refused with it. Also the time between two
/// checks.
const ASKED_AGAIN: Duration = Duration::from_secs(60);

/// Clients ask again without being refused when their token nears its end.
const STILL_LONG: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::clock::Clock;
    use crate::credential::Credential;

    /// Gives an account a token with this value, for an hour.
    fn give(broker: &Broker, name: &str, value: &str) {
        let (entry, now) = (broker.entry(name).unwrap(), broker.clock().now());
        let slot = entry.slot(Kind::AccessToken).unwrap();
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
    async fn whose_living_token_it_is_is_found_without_a_lock() {
        let broker = broker();
        (0..50).for_each(|n| give(&broker, &format!("a{n}"), &format!("token {n}")));
        let accounts = broker.inner.accounts.load_full();
        // Each slot is locked, as by a running refresh.
        let held: Vec<_> = accounts
            .all()
            .map(|entry| entry.slot_of(Kind::AccessToken).unwrap().lock())
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
    async fn a_token_that_was_replaced_lately_is_still_its_accounts() {
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

    #[test]
    fn buyers_are_told_apart_by_address_and_the_oldest_is_forgotten() {
        let buyers = Buyers::default();
        let from = |n: u8| Some(IpAddr::from([10, 0, 0, n]));
        let buyer = |token, key: &str, n| Buyer {
            token,
            key: key.to_owned(),
            at: Duration::ZERO,
            from: from(n),
        };
        (0..3).for_each(|_| buyers.note(buyer(1, "crm", 1)));
        buyers.note(buyer(1, "shop", 2));
        buyers.note(buyer(2, "other", 1));
        assert_eq!(buyers.of(1, from(1)), ["crm"]);
        assert_eq!(buyers.of(1, from(2)), ["shop"]);
        assert_eq!(buyers.of(1, from(3)), ["crm", "shop"]);
        assert_eq!(buyers.of(3, from(1)), Vec::<String>::new());
        (0..MOST_BUYERS as u64).for_each(|token| buyers.note(buyer(10 + token, "crowd", 1)));
        assert_eq!(buyers.of(1, from(1)), Vec::<String>::new());
        assert_eq!(buyers.buyers.lock().len(), MOST_BUYERS);
    }
}
