//! The accounts that authorised a platform, as accounts of the broker: they follow the records.

use std::sync::Arc;
use std::time::Duration;

use super::{PlatformState, RECORDS_FAILED};
use crate::account::{Account, is_app_id};
use crate::broker::slot::Reason;
use crate::broker::{AccountEntry, Accounts, Broker, SOON};
use crate::clock::UnixTime;
use crate::credential::{AppKey, Credential, CredentialKey, Kind};
use crate::error::{Error, Failure, PlatformProblem};
use crate::platform::Authorizer;
use crate::platform::authorizer::State;
use crate::store::StoreError;
use crate::upstream::failed;

/// What WeChat has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// All credentials of the account, also those that another node stores meanwhile.
    Authorization,
    /// The access token. One that another node stores meanwhile belongs to the new authorisation.
    Token,
}

impl Broker {
    /// Reads the stored records of all platforms, until the store fails. Called again, reads those that are left.
    ///
    /// # Errors
    /// [`StoreError`], which has been logged.
    pub(in crate::broker) async fn load_platforms(&self) -> Result<(), StoreError> {
        for (platform, state) in self.inner.accounts.load_full().platforms() {
            if let Err(error) = self.look_into_store(platform, state).await {
                self.log_store_error(&platform.name, &error, RECORDS_FAILED);
                state.known.lock().look.at_once();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Returns the account with this name. An unknown one may have authorised its platform a moment ago, at another
    /// node: reads its record, but only one of all unknown accounts of a platform a second. WeChat's list may still
    /// be missing; the record says enough.
    pub(in crate::broker) async fn entry_or_stored(
        &self,
        name: &str,
    ) -> Result<Arc<AccountEntry>, Error> {
        match self.entry(name) {
            // Boxed: rarely taken, and it would enlarge the future of every caller.
            Err(_) => Box::pin(self.stored_entry(name)).await,
            found => found,
        }
    }

    async fn stored_entry(&self, name: &str) -> Result<Arc<AccountEntry>, Error> {
        let accounts = self.inner.accounts.load_full();
        let named = accounts.platform_in(name);
        let Some((platform, state, app_id)) = named.filter(|_| self.may_be_stored(&accounts, name))
        else {
            return self.entry(name);
        };
        let mut lookup = state.lookup.lock().await;
        // Another caller may have read it while this one waited.
        let found = self.entry(name);
        if found.is_ok() || !lookup.take(self.inner.clock.uptime(), LOOKUP_GAP) {
            return found;
        }
        let read = self.authorizer(platform, app_id).await;
        self.ok_or_log(platform, read);
        self.entry(name)
    }

    /// Whether the store may have an account with this name, which is not known here.
    pub(in crate::broker) fn may_be_stored(&self, accounts: &Accounts, name: &str) -> bool {
        let named = accounts.platform_in(name);
        self.inner.store.is_shared() && named.is_some_and(|(.., app_id)| is_app_id(app_id))
    }

    /// Makes an account known that authorised its platform a moment ago, at another node.
    #[cfg_attr(not(feature = "actix"), allow(dead_code))] // only the web layer finds accounts by itself
    pub(crate) async fn look_for_authorizer(&self, name: &str) {
        // The caller finds out whether there is such an account.
        let _ = self.entry_or_stored(name).await;
    }

    /// Ends the validity of an account's credentials: WeChat no longer accepts them.
    pub(super) async fn drop_credentials(
        &self,
        platform: &Arc<AccountEntry>,
        app_id: &str,
        what: Ended,
    ) {
        let account = Account::authorizer(&platform.account, app_id, false);
        let entry = self
            .inner
            .accounts
            .load()
            .of_key(&account.app_key())
            .cloned();
        let now = self.inner.clock.now();
        let kinds: &[Kind] = match what {
            Ended::Authorization => &Kind::ALL,
            Ended::Token => &[Kind::AccessToken],
        };
        for kind in kinds.iter().filter(|kind| account.has(**kind)) {
            let slot = entry.as_ref().and_then(|entry| entry.slot_of(*kind));
            let key = account.key(*kind);
            let stored = self.inner.store.load(&key).await.ok().flatten();
            let held = slot.and_then(|slot| slot.lock().last.as_deref().cloned());
            let newest = [stored, held]
                .into_iter()
                .flatten()
                .max_by_key(|credential| credential.generation);
            let Some(newest) = newest.filter(|newest| newest.expires_at > now) else {
                continue;
            };
            let end = |known: &Credential| Credential {
                expires_at: now.max(UnixTime(known.issued_at.0.saturating_add(1))),
                ..known.clone()
            };
            if let Some(slot) = slot {
                self.publish_if_newest(slot, &Arc::new(end(&newest)));
            }
            let generation = newest.generation;
            let ended = |known: &Credential| {
                let is_ended = what == Ended::Authorization || known.generation == generation;
                is_ended.then(|| end(known))
            };
            let stored = self.end_stored(&key, Some(newest), ended).await;
            let stored = self.ok_or_log(platform, stored).flatten();
            if let (Some(slot), Some(stored)) = (slot, stored) {
                self.publish_if_newest(slot, &Arc::new(stored));
            }
        }
    }

    /// Takes note of records with the versions of their documents: memory follows the store, but never back to an
    /// older version, and the accounts follow the records.
    pub(super) fn note_authorizers(
        &self,
        platform: &Arc<AccountEntry>,
        records: Vec<(Authorizer, u64)>,
    ) {
        let app_id = platform.account.app_id();
        let accounts = self.inner.accounts.load_full();
        // A reload may have replaced the platform since this task began.
        let platform = accounts.platform(app_id).unwrap_or(platform);
        let Some(state) = &platform.open_platform else {
            return;
        };
        let mut known = state.known.lock();
        let (mut changed, mut lost, mut found) = (Vec::new(), Vec::new(), Vec::new());
        for (record, version) in records {
            if known.is_older(&record, version) {
                continue;
            }
            known.versions.insert(record.app_id.clone(), version);
            let before = known.authorizers.get(&record.app_id);
            if before.is_some_and(|before| *before == record) {
                continue;
            }
            if record.state == State::NeedsAuthorization {
                lost.push(record.app_id.clone());
            }
            if record.is_usable() && before.is_some() {
                found.push(record.app_id.clone());
            }
            let was_mini = before.map(is_served_mini);
            let is_mini = is_served_mini(&record);
            if was_mini != Some(is_mini) {
                // Unlike an app that returns to the configuration, it does not get its values back: WeChat
                // ended them, and a refresh that was in progress may have added one.
                if is_mini.is_none() || was_mini == Some(None) {
                    for kind in Kind::ALL {
                        self.inner.current.forget(&CredentialKey {
                            app: platform.account.authorizer_key(&record.app_id),
                            kind,
                            secret_hash: None,
                        });
                    }
                }
                changed.push(record.clone());
            }
            known.authorizers.insert(record.app_id.clone(), record);
        }
        if !changed.is_empty() {
            // Under the lock of the platform: two tasks must not overwrite each other's accounts.
            self.inner.accounts.rcu(|accounts| {
                // As it is configured now; without it, its accounts are gone too.
                let Some(platform) = accounts.platform(app_id) else {
                    return accounts.clone();
                };
                let changed = changed
                    .iter()
                    .map(|record| account_to_serve(platform, record));
                Arc::new(accounts.with_authorizers(changed.collect(), accounts))
            });
        }
        drop(known);
        for app_id in lost {
            self.show_lost(platform, &app_id);
        }
        for app_id in found {
            self.end_waits_for_authorization(platform, &app_id);
        }
    }

    /// Ends the waits of an account that has a refresh token again.
    fn end_waits_for_authorization(&self, platform: &AccountEntry, app_id: &str) {
        let key = platform.account.authorizer_key(app_id);
        let now = self.inner.clock.now();
        let accounts = self.inner.accounts.load();
        for slot in accounts.of_key(&key).iter().flat_map(|entry| entry.slots()) {
            slot.end_wait_if(now, |failure| {
                let error = &failure.error;
                matches!(error.failure, Failure::Platform(_))
                    || error.refuses_unauthorized_account()
                    || error.refuses_refresh_token()
            });
        }
    }

    /// Whether an account has to authorise its platform again.
    pub(in crate::broker) fn must_authorize_again(&self, account: &Account) -> bool {
        self.in_record(account, Authorizer::must_authorize_again) == Some(true)
    }

    /// Returns the name of an account's platform. It is `unknown` for an account that authorised an open platform, until
    /// WeChat was asked what it is; meanwhile it counts as an official account.
    pub(crate) fn platform_name(&self, account: &Account) -> &'static str {
        match self.in_record(account, |record| record.profile.is_some()) {
            Some(false) => "unknown",
            _ => account.platform().as_str(),
        }
    }

    /// Reads from the record of an account; `None` for one that authorised no platform.
    fn in_record<T>(&self, account: &Account, read: impl FnOnce(&Authorizer) -> T) -> Option<T> {
        let accounts = self.inner.accounts.load();
        let platform = accounts.platform_of(account)?;
        let known = platform.open_platform.as_ref()?.known.lock();
        known.authorizers.get(account.app_id()).map(read)
    }

    /// Shows an account as down that has to authorise the platform again, before it is used.
    fn show_lost(&self, platform: &AccountEntry, app_id: &str) {
        let key = platform.account.authorizer_key(app_id);
        let accounts = self.inner.accounts.load();
        let Some(entry) = accounts.of_key(&key) else {
            return;
        };
        let failure = Failure::Platform(PlatformProblem::NeedsAuthorization);
        let error = Arc::new(failed(&entry.account, Kind::AccessToken, failure));
        let now = self.inner.clock.now();
        let kept = entry.account.kept_kinds();
        for slot in kept.iter().filter_map(|kind| entry.slot_of(*kind)) {
            slot.note_use();
            slot.want();
            let mut state = slot.lock();
            slot.fail(
                &mut state,
                error.clone(),
                Kind::AccessToken,
                &Reason::Due,
                now,
            );
        }
    }
}

/// Returns the accounts with the authorizers of their platforms. An app keeps the slots that it has here or in
/// `before`.
pub(in crate::broker) fn with_known_authorizers(
    accounts: &Accounts,
    before: &Accounts,
) -> Accounts {
    let mut all = Vec::new();
    for (platform, state) in accounts.platforms() {
        let known = state.known.lock();
        let records = known.authorizers.values();
        all.extend(records.map(|record| account_to_serve(platform, record)));
    }
    accounts.with_authorizers(all, before)
}

/// Returns the key of a record's app, and its name and account; `None` if the platform may not act for it.
fn account_to_serve(
    platform: &AccountEntry,
    record: &Authorizer,
) -> (AppKey, Option<(String, Account)>) {
    let key = platform.account.authorizer_key(&record.app_id);
    let name = authorizer_name(platform, &record.app_id);
    (
        key,
        account_of(platform, record).map(|account| (name, account)),
    )
}

impl PlatformState {
    /// Whether the store was read since the start.
    pub(in crate::broker) fn is_loaded(&self) -> bool {
        self.known.lock().is_loaded
    }

    /// Returns when an account that is not usable may be, if it is not known whether it authorised the platform:
    /// before the store and, where that is empty, WeChat's list were read.
    pub(in crate::broker) fn wait_for_authorizer(
        &self,
        app_id: &str,
        now: UnixTime,
    ) -> Option<Duration> {
        let known = self.known.lock();
        let has_ended = known.authorizers.contains_key(app_id);
        let is_unread = !known.is_loaded || (known.listed_at.is_none() && !has_ended);
        let is_soon = !known.is_loaded || known.usable_tickets(now).next().is_some();
        let wait = if is_soon { SOON } else { UNTIL_TICKET };
        is_unread.then_some(wait)
    }
}

/// Returns the account for a record; `None` if the platform may not act for it.
pub(super) fn account_of(platform: &AccountEntry, record: &Authorizer) -> Option<Account> {
    let app_id = &record.app_id;
    let is_mini = is_served_mini(record)?;
    Some(Account::authorizer(&platform.account, app_id, is_mini))
}

/// Whether the account for a record is a mini program; `None` if the platform may not act for it.
fn is_served_mini(record: &Authorizer) -> Option<bool> {
    let profile = record.profile.as_ref();
    match record.state {
        State::Pending | State::Active | State::NeedsAuthorization => {
            Some(profile.is_some_and(|profile| profile.is_mini))
        }
        State::Withdrawn | State::Missing => None,
    }
}

/// Returns the name of the account: `PLATFORM/APPID`.
pub(super) fn authorizer_name(platform: &AccountEntry, app_id: &str) -> String {
    format!("{}/{app_id}", platform.name)
}

/// Interval between two reads for unknown accounts of a platform.
const LOOKUP_GAP: Duration = Duration::from_secs(1);

/// When to ask again for an account if the platform's ticket is missing, which is due within ten minutes.
const UNTIL_TICKET: Duration = Duration::from_secs(60);
