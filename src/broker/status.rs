//! The status of accounts and credentials, for people and for monitoring. Contains no secrets.

use std::sync::Arc;

use serde::Serialize;

use super::slot::{Remembered, Slot};
use super::{AccountEntry, Broker};
use crate::clock::UnixTime;
use crate::credential::Kind;
use crate::error::UpstreamError;

/// The status of one account.
#[derive(Clone, Debug, Serialize)]
pub struct AccountStatus {
    /// Its name.
    pub account: String,
    /// `official`, `mini` or `work`.
    pub platform: &'static str,
    /// AppID or CorpID. Public: every page contains it.
    pub app_id: String,
    /// Its credentials: those that an ordinary page needs, and those fetched at least once.
    pub credentials: Vec<CredentialStatus>,
}

/// The status of one credential.
#[derive(Clone, Debug, Serialize)]
pub struct CredentialStatus {
    /// Its kind.
    #[serde(serialize_with = "as_str")]
    pub kind: Kind,
    /// Whether it can be used now.
    pub living: bool,
    /// When it was first seen.
    pub issued_at: Option<UnixTime>,
    /// When it ends or ended.
    pub expires_at: Option<UnixTime>,
    /// Until when it is or was served: a little before its end.
    pub served_until: Option<UnixTime>,
    /// Number of values that came from WeChat or from the store.
    pub refreshes: u64,
    /// How often it was rejected long before its end, which means that another server fetches tokens of
    /// this app.
    pub foreign_refreshes: u64,
    /// How often the reply to a token call was lost, so that the old token's life was cut short.
    pub lost_replies: u64,
    /// The last failure, if no success has followed it.
    pub last_error: Option<LastError>,
}

/// A failure that no success has followed yet.
#[derive(Clone, Debug, Serialize)]
pub struct LastError {
    /// When it happened.
    pub at: UnixTime,
    /// When the first failure in a row happened.
    pub since: UnixTime,
    /// When the next try is.
    pub retry_at: UnixTime,
    /// Number of failures in a row.
    pub failures: u32,
    /// `transient`, `stale_token`, `quota` or `setup`.
    pub class: &'static str,
    /// The credential that failed. A ticket's failure may be its token's.
    #[serde(serialize_with = "as_str")]
    pub kind: Kind,
    /// The error itself.
    #[serde(skip)]
    pub error: Arc<UpstreamError>,
}

impl Broker {
    /// Returns the status of all accounts, sorted by name.
    #[must_use]
    pub fn status(&self) -> Vec<AccountStatus> {
        let mut all: Vec<_> = self
            .inner
            .members
            .load()
            .all()
            .map(|member| self.account_status(member))
            .collect();
        all.sort_by(|a, b| a.account.cmp(&b.account));
        all
    }

    fn account_status(&self, member: &AccountEntry) -> AccountStatus {
        let wanted = member.slots.iter().filter(|slot| slot.is_wanted());
        AccountStatus {
            account: member.name.clone(),
            platform: member.account.platform().as_str(),
            app_id: member.account.app_id().to_owned(),
            credentials: wanted.map(|slot| self.credential_status(slot)).collect(),
        }
    }

    pub(super) fn credential_status(&self, slot: &Slot) -> CredentialStatus {
        let at = self.inner.clock.moment();
        let state = slot.lock();
        let last = state.last.as_deref();
        let current = self.current(slot, &at);
        CredentialStatus {
            kind: slot.key.kind,
            living: current.is_some(),
            issued_at: last.map(|last| last.issued_at),
            expires_at: last.map(|last| last.expires_at),
            served_until: match current.as_ref() {
                Some(current) => Some(current.served_until(&at)),
                None => last.map(|last| last.served_until().min(at.now)),
            },
            refreshes: state.refreshes,
            foreign_refreshes: state.foreign_refreshes,
            lost_replies: state.lost_replies,
            last_error: state.failure.as_deref().map(LastError::from),
        }
    }
}

impl From<&Remembered> for LastError {
    fn from(failure: &Remembered) -> Self {
        Self {
            since: failure.since,
            at: failure.at,
            retry_at: failure.until,
            failures: failure.failures,
            class: failure.error.class().as_str(),
            kind: failure.kind,
            error: failure.error.clone(),
        }
    }
}

fn as_str<S: serde::Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.as_str())
}
