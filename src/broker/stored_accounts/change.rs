//! Adds, changes and removes stored accounts: in the store first, then in this process.

use std::sync::Arc;

use tracing::info;

use super::{StoredAccount, Version, document_name, is_present, record};
use crate::account::Account;
use crate::broker::{AccountSource, Broker};
use crate::credential::Secret;
use crate::store::{Document, StoreError};

/// Which stored version a change is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Any version, or no account.
    Any,
    /// Any, but there has to be one.
    Some,
    /// There must not be one.
    None,
    /// One of these.
    Versions(Vec<u64>),
}

/// What a change did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    /// The account is new.
    Added,
    /// It replaces another version.
    Replaced,
    /// It was stored like this already.
    Unchanged,
}

/// Why the stored accounts were not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeRefused {
    /// The configuration has the account, or a platform.
    #[error("the account \"{0}\" is not in the store but in the configuration: change it there")]
    ReadOnly(String),
    /// The account authorised an open platform.
    #[error("the account \"{0}\" is not in the store: it authorised an open platform")]
    Authorizer(String),
    /// There is no stored account with this name.
    #[error("no stored account has the name \"{0}\"")]
    Unknown(String),
    /// The account is the same app as another one, which the caller may not know.
    #[error("another account is the same app {app}: keep one of them")]
    SameApp {
        /// Platform and id.
        app: String,
        /// The name of the other account.
        other: String,
    },
    /// The app is being added under another name at the same time.
    #[error("the app {0} is being added under another name: try again")]
    Contested(String),
    /// The caller expects a stored account.
    #[error("there is no account to replace")]
    Missing,
    /// The caller expects that there is no account.
    #[error("the account exists already")]
    Exists,
    /// It has another version than the caller expects.
    #[error("the account has been changed meanwhile: its version is {0}")]
    OtherVersion(u64),
    /// The store had lost it, as other nodes may notice later: until then they would write it again.
    #[error("the store had lost the account \"{0}\": it was written again from memory")]
    Restored(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Expected {
    /// Checks whether a change may replace this version; 0: no account is stored.
    pub(super) fn check(&self, version: u64) -> Result<(), ChangeRefused> {
        match (self, version) {
            (Self::Any, _) | (Self::None, 0) => Ok(()),
            (Self::None, _) => Err(ChangeRefused::Exists),
            (Self::Some | Self::Versions(_), 0) => Err(ChangeRefused::Missing),
            (Self::Some, _) => Ok(()),
            (Self::Versions(versions), _) if versions.contains(&version) => Ok(()),
            (Self::Versions(_), _) => Err(ChangeRefused::OtherVersion(version)),
        }
    }
}

impl Broker {
    /// Stores an account, and serves it from then on. `account` makes it from the stored one, again if that
    /// changes meanwhile. `key` is the name of the API key, for the log.
    ///
    /// # Errors
    /// [`ChangeRefused`]; the inner error is that of `account`, and nothing was changed then.
    pub(crate) async fn put_account<E>(
        &self,
        name: &str,
        account: impl Fn(Option<&Account>) -> Result<Account, E>,
        expected: &Expected,
        key: &str,
    ) -> Result<Result<(StoredAccount, Changed), E>, ChangeRefused> {
        let document = document_name(name);
        loop {
            self.check_source(name)?;
            let now = self.inner.clock.now();
            let before = self.inner.store.load_document(&document, now).await?;
            let present = before.as_ref().filter(|before| is_present(before));
            expected.check(present.map_or(0, |present| present.version))?;
            let stored = present.and_then(|present| record::read(&present.text));
            let account = match account(stored.as_ref()) {
                Ok(account) => account,
                Err(error) => return Ok(Err(error)),
            };
            let replaced = self.replace(name, before, stored.as_ref(), account).await?;
            if let Some((stored, changed)) = replaced {
                log_change(key, name, &stored, changed);
                return Ok(Ok((stored, changed)));
            }
        }
    }

    /// Saves an account over the version that was loaded; `None` if that is no longer the stored one.
    async fn replace(
        &self,
        name: &str,
        before: Option<Document>,
        stored: Option<&Account>,
        account: Account,
    ) -> Result<Option<(StoredAccount, Changed)>, ChangeRefused> {
        let (store, now) = (&self.inner.store, self.inner.clock.now());
        let same = {
            let accounts = self.inner.accounts.load();
            let same = accounts.same_app(&account);
            let same = same.filter(|same| same.name != name);
            same.map(|same| (same.name.clone(), same.source))
        };
        match same {
            // The claim in the store decides: another node may have removed that account.
            Some((_, AccountSource::Api)) => {
                self.restore_lost_accounts().await?;
            }
            Some((other, _)) => return Err(same_app(&account, &other)),
            None => {}
        }
        let document = document_name(name);
        let text = record::write(&account);
        let changed = match before.as_ref().filter(|before| is_present(before)) {
            Some(before) if before.text == text => {
                let noted = self.note(name, before.version, &text, account);
                return Ok(Some((noted, Changed::Unchanged)));
            }
            Some(_) => Changed::Replaced,
            None => Changed::Added,
        };
        let takes_app = stored.is_none_or(|stored| stored.app_key() != account.app_key());
        if takes_app {
            self.claim_app(name, &account).await?;
        }
        let new = Document::after(before.as_ref(), text.clone());
        let saved = store.save_document(&document, &new, now).await;
        let Some(version) = saved.inspect_err(|_| self.look_again())? else {
            return Ok(None);
        };
        if takes_app && self.lost_claim(name, &account).await? {
            let undone = Document {
                version,
                ..before.unwrap_or_else(|| Document::new("").until(now))
            };
            let saved = store.save_document(&document, &undone, now).await;
            saved.inspect_err(|_| self.look_again())?;
            return Err(ChangeRefused::Contested(account.app_key().to_string()));
        }
        if takes_app {
            self.known_accounts().forget_same_app(name, &account);
        }
        let noted = self.note(name, version, &text, account);
        self.count_change().await;
        Ok(Some((noted, changed)))
    }

    /// Serves a stored version from now on.
    fn note(&self, name: &str, version: u64, text: &Secret, account: Account) -> StoredAccount {
        let mut account = Arc::new(account);
        let new = Version::new(version, text);
        self.change_known(|known| {
            known.removed.remove(name);
            let is_known = known.versions.insert(name.to_owned(), new) == Some(new);
            match known.accounts.get(name).filter(|_| is_known) {
                Some(known) => account = known.clone(),
                None => {
                    known.accounts.insert(name.to_owned(), account.clone());
                }
            }
        });
        StoredAccount { version, account }
    }

    /// Removes a stored account, also one that is not used.
    pub(crate) async fn remove_account(
        &self,
        name: &str,
        expected: &Expected,
        key: &str,
    ) -> Result<(), ChangeRefused> {
        let document = document_name(name);
        loop {
            let now = self.inner.clock.now();
            let before = self.inner.store.load_document(&document, now).await?;
            let Some(before) = before.filter(is_present) else {
                self.check_source(name)?;
                let is_known = self.known_accounts().accounts.contains_key(name);
                return Err(match is_known && self.restore_lost_accounts().await? {
                    true => ChangeRefused::Restored(name.to_owned()),
                    false => ChangeRefused::Unknown(name.to_owned()),
                });
            };
            expected.check(before.version)?;
            // A document that has ended counts as absent.
            let end = Document::after(Some(&before), "").until(now);
            let saved = self.inner.store.save_document(&document, &end, now).await;
            if saved.inspect_err(|_| self.look_again())?.is_none() {
                continue;
            }
            self.change_known(|known| {
                known.accounts.remove(name);
                known.versions.remove(name);
                let removed = Version::new(before.version, &before.text);
                known.removed.insert(name.to_owned(), removed);
            });
            self.count_change().await;
            info!(key, account = name, "account removed");
            return Ok(());
        }
    }

    /// Refuses a name that is not for stored accounts.
    fn check_source(&self, name: &str) -> Result<(), ChangeRefused> {
        let accounts = self.inner.accounts.load();
        match accounts.find(name).map(|entry| entry.source) {
            Ok(AccountSource::Configuration) => Err(ChangeRefused::ReadOnly(name.to_owned())),
            Ok(AccountSource::Platform) => Err(ChangeRefused::Authorizer(name.to_owned())),
            Ok(AccountSource::Api) | Err(_) => Ok(()),
        }
    }
}

pub(super) fn same_app(account: &Account, other: &str) -> ChangeRefused {
    ChangeRefused::SameApp {
        app: account.app_key().to_string(),
        other: other.to_owned(),
    }
}

fn log_change(key: &str, name: &str, stored: &StoredAccount, changed: Changed) {
    let account = &stored.account;
    let (platform, app_id) = (account.platform().as_str(), account.app_id());
    let version = stored.version;
    let what = match changed {
        Changed::Added => "account added",
        Changed::Replaced => "account changed",
        Changed::Unchanged => return,
    };
    info!(key, account = name, platform, app_id, version, "{what}");
}
