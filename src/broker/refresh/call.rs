//! The upstream calls of a refresh.

use tracing::{info, warn};

use super::quota::is_unsent;
use super::{Failed, Flight};
use crate::account::{Platform, TokenMode};
use crate::broker::AccountEntry;
use crate::broker::slot::Reason;
use crate::credential::{Credential, Kind, LEAD, Secret};
use crate::error::{Class, Failure, UpstreamError};
use crate::store::StoreError;
use crate::upstream::{self, Issued};

impl Flight {
    /// Refuses a ticket of an account that turned out to be a mini program while its token was fetched.
    pub(super) fn check_kind(&self) -> Result<(), Failed> {
        let accounts = self.broker.inner.accounts.load();
        if let Some(entry) = accounts.of_key(&self.slot.key.app) {
            entry.slot(self.slot.key.kind).map_err(Failed::Parent)?;
        }
        Ok(())
    }

    /// Calls WeChat, with the token that the call needs, if it needs one.
    pub(super) async fn call(&self, token: Option<&Credential>) -> Result<Issued, UpstreamError> {
        let issued = match token {
            None => self.ask_for_token().await?,
            Some(token) => self.fetch_with(token).await?,
        };
        self.judge_report(&issued);
        match &self.reason {
            // stable_token returned the rejected value again, so WeChat itself considers it valid. Only a
            // forced refresh replaces it.
            Reason::Rejected(bad)
                if token.is_none()
                    && issued.value == *bad
                    && self.is_stable_token()
                    && self.may_force().await =>
            {
                self.force_token(issued).await
            }
            _ => Ok(issued),
        }
    }

    /// Counts and logs a token that a caller reported long before its end: another one means that it ended early,
    /// the same one that the report was wrong.
    fn judge_report(&self, issued: &Issued) {
        let (Reason::Rejected(bad), Kind::AccessToken) = (&self.reason, self.slot.key.kind) else {
            return;
        };
        let now = self.broker.inner.clock.now();
        let had = self.had.as_ref().filter(|had| had.value == *bad);
        let Some(left) = had.map(|had| had.remaining(now)) else {
            return;
        };
        if left <= LEAD {
            return;
        }
        if issued.value == *bad {
            let what = "access token reported as rejected, but WeChat still issues it";
            self.broker.log_warning(&self.entry.name, what);
        } else {
            self.slot.lock().foreign_refreshes += 1;
            self.entry.log_foreign_refresh(left);
        }
    }

    /// Forces a new stable token to replace `current`, which was rejected. If the quota of forced refreshes
    /// is spent, `current` stays: that says nothing about ordinary calls.
    async fn force_token(&self, current: Issued) -> Result<Issued, UpstreamError> {
        info!(
            account = self.entry.name,
            "forcing a new stable token: the current one was rejected"
        );
        let call = self.broker.inner.upstream.token(&self.entry.account, true);
        match self.counted(call).await {
            Err(error) if error.class() == Class::Quota => {
                warn!(account = self.entry.name, %error, "WeChat's quota of forced refreshes is exhausted: the rejected token is kept until it ends");
                Ok(current)
            }
            Err(error) if is_unsent(&error) => {
                self.keep_claim();
                Err(error)
            }
            forced => forced,
        }
    }

    /// Fetches the credential with this token. If the token is refused, refreshes it once and tries once more,
    /// never a third time.
    async fn fetch_with(&self, token: &Credential) -> Result<Issued, UpstreamError> {
        let refused = match self.ask_with(&token.value).await {
            Err(error) if error.class() == Class::StaleToken => {
                self.slot.lock().counts.stale_refusals += 1;
                error
            }
            other => return other,
        };
        let Some(entry) = self.parent_of()? else {
            return Err(refused);
        };
        let slot = entry.token_slot();
        match Box::pin(self.broker.refresh_if_current(&entry, slot, &token.value)).await {
            Ok(refreshed) if refreshed.value != token.value => {
                self.ask_with(&refreshed.value).await
            }
            Ok(_) => Err(refused),
            // The reason for the failed token refresh is more informative than the refused token.
            Err(error) => Err(error.upstream().cloned().unwrap_or(refused)),
        }
    }

    async fn ask_for_token(&self) -> Result<Issued, UpstreamError> {
        if self.entry.account.platform() == Platform::Component {
            return self.ask_for_component_token().await;
        }
        let call = self.broker.inner.upstream.token(&self.entry.account, false);
        self.unless_spent(call).await
    }

    async fn ask_with(&self, token: &Secret) -> Result<Issued, UpstreamError> {
        let kind = self.slot.key.kind;
        if kind == Kind::AccessToken {
            return self.ask_for_authorizer_token(token).await;
        }
        let upstream = &self.broker.inner.upstream;
        let call = upstream.ticket(&self.entry.account, kind, token);
        self.unless_spent(call).await
    }

    /// Returns the error of this call.
    pub(in crate::broker) fn failed(&self, failure: Failure) -> UpstreamError {
        upstream::failed(&self.entry.account, self.slot.key.kind, failure)
    }

    /// Returns the error of a call that was not made, because the store, which coordinates the nodes, failed.
    pub(in crate::broker) fn store_unreachable(&self, error: &StoreError) -> UpstreamError {
        UpstreamError {
            endpoint: "the shared store",
            ..self.failed(Failure::StoreUnreachable(error.to_string()))
        }
    }

    pub(super) fn is_stable_token(&self) -> bool {
        self.entry.is_stable_token(self.slot.key.kind)
    }

    pub(super) fn is_classic_token(&self) -> bool {
        self.entry.is_classic_token(self.slot.key.kind)
    }
}

impl AccountEntry {
    /// Whether this credential is a stable token, the only kind of which WeChat can be made to issue another.
    pub(super) fn is_stable_token(&self, kind: Kind) -> bool {
        kind == Kind::AccessToken && self.account.has_token_of(TokenMode::Stable)
    }

    /// Whether this credential is a classic token, for which every call retires the previous value.
    pub(in crate::broker) fn is_classic_token(&self, kind: Kind) -> bool {
        kind == Kind::AccessToken && self.account.has_token_of(TokenMode::Classic)
    }
}
