//! The accounts by name, each with a slot for every credential.

mod by_app_id;
mod default_account;
mod merge;
mod source;

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use super::BuildError;
use super::open_platform::PlatformState;
use super::signing::{PageAnswer, Templates};
use super::slot::Slot;
use super::stats::StatusCounts;
use crate::account::{Account, Platform};
use crate::clock::UnixTime;
use crate::credential::{AppKey, Kind};
use crate::error::Error;
use default_account::{implied_default, suggested_default};

pub(super) use merge::{Conflict, hash_of_secret};
pub use source::AccountSource;

/// One account.
pub(super) struct AccountEntry {
    pub(super) name: String,
    pub(super) account: Arc<Account>,
    pub(super) source: AccountSource,
    /// By kind; none for a kind that the platform does not have.
    slots: [Option<Arc<Slot>>; Kind::ALL.len()],
    /// The answers that its pages got.
    pub(super) answers: Arc<StatusCounts>,
    pub(super) page_answer: PageAnswer,
    /// What this process knows of the accounts that authorised it; only for an open platform.
    pub(super) open_platform: Option<Arc<PlatformState>>,
    /// [`CredentialKey::secret_hash`](crate::credential::CredentialKey::secret_hash) of its credentials.
    secret_hash: Option<NonZeroU64>,
}

/// All accounts of a configuration.
#[derive(Clone, Default)]
pub struct Accounts {
    by_name: HashMap<String, Arc<AccountEntry>>,
    by_app: HashMap<AppKey, Arc<AccountEntry>>,
    templates: Templates,
    /// The open platforms, sorted by name.
    platforms: Vec<Arc<AccountEntry>>,
    default_account: Option<Arc<AccountEntry>>,
    /// Whether the default account was derived from the accounts instead of named.
    is_implied: bool,
    /// The domain verification files, by the path at which WeChat requests them.
    verify_files: HashMap<String, Arc<str>>,
}

impl AccountEntry {
    /// Returns an entry that keeps the slots and counters of `before`, which is the same app.
    fn new(
        name: String,
        account: impl Into<Arc<Account>>,
        before: Option<&Arc<Self>>,
        templates: &mut Templates,
    ) -> Self {
        let account = account.into();
        let kept = kept_from_the_start(&account);
        let slots = Kind::ALL.map(|kind| {
            if !account.has(kind) {
                return None;
            }
            let known = before.and_then(|before| before.slot_of(kind).cloned());
            let new = || Arc::new(Slot::new(account.key(kind), kept.contains(&kind)));
            Some(known.unwrap_or_else(new))
        });
        let open_platform = (account.platform() == Platform::Component).then(|| {
            let known = before.and_then(|before| before.open_platform.clone());
            known.unwrap_or_default()
        });
        let answers = before
            .map(|before| before.answers.clone())
            .unwrap_or_default();
        let source = match account.component_app_id() {
            Some(_) => AccountSource::Platform,
            None => AccountSource::Configuration,
        };
        Self {
            name,
            page_answer: PageAnswer::new(&account, templates),
            account,
            source,
            slots,
            answers,
            open_platform,
            secret_hash: None,
        }
    }

    fn named_account(&self) -> (&str, &Arc<Account>) {
        (&self.name, &self.account)
    }

    /// Whether both fetch their token in the same way, by the same proxy, with the same secret.
    pub(super) fn calls_like(&self, other: &Self) -> bool {
        self.account.secret() == other.account.secret()
            && self.account.mode() == other.account.mode()
            && self.account.own_egress() == other.account.own_egress()
    }

    /// Whether none of its credentials was used for [`Account::kept_for`].
    pub(super) fn is_unused(&self, uptime: Duration) -> bool {
        let last_use = self.slots().map(|slot| slot.last_use(uptime)).max();
        uptime.saturating_sub(last_use.unwrap_or_default()) > self.account.kept_for()
    }

    /// Returns its slots, parents first.
    pub(super) fn slots(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.slots.iter().flatten()
    }

    pub(super) fn slot_of(&self, kind: Kind) -> Option<&Arc<Slot>> {
        self.slots[kind as usize].as_ref()
    }

    /// Returns the slot of its access token.
    pub(super) fn token_slot(&self) -> &Arc<Slot> {
        self.slot_of(Kind::AccessToken)
            .expect("every platform has an access token")
    }

    pub(super) fn slot(&self, kind: Kind) -> Result<&Arc<Slot>, Error> {
        self.slot_of(kind).ok_or_else(|| self.unsupported(kind))
    }

    /// Returns the error for a kind that the platform does not have.
    pub(super) fn unsupported(&self, kind: Kind) -> Error {
        Error::UnsupportedCredential {
            account: self.name.clone(),
            platform: self.account.platform().as_str(),
            kind,
        }
    }
}

impl Accounts {
    pub(super) fn new(
        accounts: Vec<(String, Account)>,
        default_account: Option<String>,
        before: Option<&Self>,
    ) -> Result<Self, BuildError> {
        let mut all = Self {
            by_name: HashMap::with_capacity(accounts.len()),
            by_app: HashMap::with_capacity(accounts.len()),
            is_implied: default_account.is_none(),
            ..Self::default()
        };
        for (name, account) in accounts {
            if let Some(conflict) = all.conflict_of(&name, &account) {
                return Err(conflict.error(&name, &account));
            }
            note_verify_files(&account, &mut all.verify_files)?;
            let before = before.and_then(|before| before.by_app.get(&account.app_key()));
            let entry = AccountEntry::new(name, account, before, &mut all.templates);
            all.insert(entry);
        }
        let platforms = all.all().filter(|entry| entry.open_platform.is_some());
        let mut platforms: Vec<_> = platforms.cloned().collect();
        platforms.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        all.platforms = platforms;
        all.default_account = match default_account {
            Some(name) => match all.by_name.get(&name) {
                None => return Err(BuildError::NoSuchDefault(name)),
                found => found.cloned(),
            },
            None => implied_default(&all),
        };
        let lost = before.and_then(Self::implied_signer);
        if let Some(lost) = lost.filter(|_| all.is_implied && all.default_account.is_none())
            && all.all().any(|entry| entry.account.signs_pages())
        {
            return Err(BuildError::DefaultLost(suggested_default(&all, lost)));
        }
        Ok(all)
    }

    /// Adds an account whose name and app no other one has.
    fn insert(&mut self, entry: impl Into<Arc<AccountEntry>>) {
        let entry = entry.into();
        self.by_app.insert(entry.account.app_key(), entry.clone());
        self.by_name.insert(entry.name.clone(), entry);
    }

    /// Returns the accounts with these authorizers of one platform, `None` for those that no longer are, in the
    /// place of the ones with the same AppIDs. An app keeps the slots that it has here or in `others`.
    pub(super) fn with_authorizers(
        &self,
        changed: Vec<(AppKey, Option<(String, Account)>)>,
        others: &Self,
    ) -> Self {
        let mut all = self.clone();
        for (app, authorizer) in changed {
            let before = all.by_app.remove(&app);
            if let Some(before) = &before {
                all.by_name.remove(&before.name);
            }
            if let Some((name, account)) = authorizer {
                let before = before.as_ref().or_else(|| others.by_app.get(&app));
                let entry = AccountEntry::new(name, account, before, &mut all.templates);
                all.insert(entry);
            }
        }
        all
    }

    /// Returns the open platforms, sorted by name.
    pub(super) fn platforms(
        &self,
    ) -> impl Iterator<Item = (&Arc<AccountEntry>, &Arc<PlatformState>)> {
        self.platforms
            .iter()
            .filter_map(|entry| Some((entry, entry.open_platform.as_ref()?)))
    }

    /// Returns the open platform that a name contains, its state, and the AppID after it.
    pub(super) fn platform_in<'a>(
        &self,
        name: &'a str,
    ) -> Option<(&Arc<AccountEntry>, &PlatformState, &'a str)> {
        let (platform, app_id) = name.rsplit_once('/')?;
        let entry = self.by_name.get(platform)?;
        Some((entry, entry.open_platform.as_deref()?, app_id))
    }

    /// Returns the open platform with this component_appid.
    pub(super) fn platform(&self, component_app_id: &str) -> Option<&Arc<AccountEntry>> {
        let mut platforms = self.platforms.iter();
        platforms.find(|entry| entry.account.app_id() == component_app_id)
    }

    /// Returns the open platform that acts for this account.
    pub(super) fn platform_of(&self, account: &Account) -> Option<&Arc<AccountEntry>> {
        self.platform(account.component_app_id()?)
    }

    /// Returns the default account if it was implied and signs pages.
    fn implied_signer(&self) -> Option<&AccountEntry> {
        self.default_account
            .as_deref()
            .filter(|entry| self.is_implied && entry.account.signs_pages())
    }

    /// Returns the account with this name. An empty name selects the default account.
    pub(super) fn find(&self, name: &str) -> Result<&Arc<AccountEntry>, Error> {
        if name.is_empty() {
            return self.default_account.as_ref().ok_or(Error::AccountRequired);
        }
        let found = self.by_name.get(name);
        found.ok_or_else(|| Error::UnknownAccount {
            account: name.to_owned(),
        })
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<AccountEntry>> {
        self.by_name.values()
    }

    /// Returns the slots of all accounts; within one account parents first.
    pub(super) fn slots(&self) -> impl Iterator<Item = (&Arc<AccountEntry>, &Arc<Slot>)> {
        self.all()
            .flat_map(|entry| entry.slots().map(move |slot| (entry, slot)))
    }

    /// Returns the account of this app; of an open platform, also those that authorised it.
    pub(super) fn with_dependents(&self, app: &AppKey) -> impl Iterator<Item = &Arc<AccountEntry>> {
        let entry = self.of_key(app);
        let platform = entry.filter(|entry| entry.open_platform.is_some());
        let dependents = platform.into_iter().flat_map(move |platform| {
            let component = platform.account.app_id();
            let of_it = move |other: &&Arc<AccountEntry>| {
                other.account.component_app_id() == Some(component)
            };
            self.all().filter(of_it)
        });
        dependents.chain(entry)
    }

    /// Returns the account of this app.
    pub(super) fn of_key(&self, app: &AppKey) -> Option<&Arc<AccountEntry>> {
        self.by_app.get(app)
    }

    /// Whether one of the apps is not in `before`.
    pub(super) fn has_new_app(&self, before: &Self) -> bool {
        self.by_app
            .keys()
            .any(|app| !before.by_app.contains_key(app))
    }

    /// Ends the cooldowns of accounts whose secret, mode or proxy has changed, so that they are tried again at
    /// once. Keeps the tickets of an account that signs pages from now on, and no longer those of one that ceased to.
    pub(super) fn apply_changes(&self, before: &Self, now: UnixTime) {
        for entry in self.all() {
            let Some(before) = before.of_key(&entry.account.app_key()) else {
                continue;
            };
            let [kept, was_kept] = [entry, before].map(|entry| kept_from_the_start(&entry.account));
            for slot in entry.slots() {
                match [kept, was_kept].map(|kinds| kinds.contains(&slot.key.kind)) {
                    [true, false] => slot.want(),
                    [false, true] => slot.give_up(),
                    _ => {}
                }
            }
            if before.calls_like(entry) {
                continue;
            }
            let has_moved = before.account.own_egress() != entry.account.own_egress();
            for slot in entry.slots() {
                let mut state = slot.lock();
                state.end_cooldown(now);
                if has_moved {
                    state.forget_refused_addresses();
                }
            }
        }
    }
}

/// What others may ask.
impl Accounts {
    /// Returns all accounts with their names, unordered.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Arc<Account>)> {
        self.all().map(|entry| entry.named_account())
    }

    /// Returns all accounts with their names and where they come from, unordered.
    pub fn sources(&self) -> impl Iterator<Item = (&str, &Arc<Account>, AccountSource)> {
        self.all()
            .map(|entry| (entry.name.as_str(), &entry.account, entry.source))
    }

    /// Returns the name and the account that a name selects. An empty name selects the default account.
    ///
    /// # Errors
    /// [`Error::UnknownAccount`], [`Error::AccountRequired`].
    pub fn get(&self, name: &str) -> Result<(&str, &Arc<Account>), Error> {
        self.find(name).map(|entry| entry.named_account())
    }

    /// Returns the content of the domain verification file at this exact path (`/MP_verify_….txt`).
    pub fn verify_file(&self, path: &str) -> Option<&Arc<str>> {
        self.verify_files.get(path)
    }
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accounts")
            .field("accounts", &self.by_name.len())
            .finish_non_exhaustive()
    }
}

/// Returns the kinds to refresh before the first request. Thousands of accounts may authorise a platform: their
/// credentials are fetched at their first use.
fn kept_from_the_start(account: &Account) -> &'static [Kind] {
    match account.component_app_id() {
        Some(_) => &[],
        None => account.kept_kinds(),
    }
}

/// Records the verify files at the root and below the path of each safe domain that has a path.
fn note_verify_files(
    account: &Account,
    verify_files: &mut HashMap<String, Arc<str>>,
) -> Result<(), BuildError> {
    for file in account.verify_files() {
        for path in
            std::iter::once("").chain(account.safe_domains().iter().map(|domain| domain.path()))
        {
            let known = verify_files
                .entry(format!("{path}/{}", file.name()))
                .or_insert_with(|| file.content().clone());
            if known != file.content() {
                return Err(BuildError::TwoVerifyFiles(file.name().to_owned()));
            }
        }
    }
    Ok(())
}
