//! The log lines of a refresh.

use std::time::Duration;

use tracing::{debug, error, info, warn};

use super::Flight;
use crate::account::{Account, Platform, TokenMode};
use crate::broker::AccountEntry;
use crate::clock::millis;
use crate::credential::{Credential, Kind};
use crate::error::{Class, Text, UpstreamError};
use crate::store::StoreError;

impl Flight {
    /// Logs a refresh that brought a value. A generation is a time, not a secret.
    pub(super) fn log_value(
        &self,
        outcome: &'static str,
        credential: &Credential,
        message: &'static str,
    ) {
        let now = self.broker.inner.clock.now();
        let account = &self.entry.name;
        let kind = self.slot.key.kind;
        let reason = self.reason.as_str();
        let due_at = self.slot.lock().due_at(credential, self.slot.jitter_seed);
        let expires_in = credential.remaining(now).as_secs();
        let next_in = due_at.since(now).as_secs();
        let took_ms = millis(self.took());
        let generation = credential.generation;
        info!(account, %kind, reason, outcome, took_ms, expires_in, next_in, generation, "{message}");
    }

    /// Logs a failure. Faults that hit many accounts are summed up.
    pub(super) fn log_failure(&self, failure: &UpstreamError, kind: Kind, retry_in: Duration) {
        let account = self.entry.name.as_str();
        let reason = self.reason.as_str();
        let outcome = failure.class().as_str();
        let took_ms = millis(self.took());
        let retry_in = retry_in.as_secs();
        // How long pages keep working: until then users notice nothing.
        let at = self.broker.inner.clock.moment();
        let current = self.broker.current(&self.slot, &at);
        let served_for = current.as_ref().map(|current| current.served_for(&at));
        let is_dead = served_for.is_none();
        let served_for = served_for.unwrap_or_default().as_secs();
        let (cause, fix) = (failure.cause().en, failure.fix_for_operator().en);
        if !self
            .broker
            .may_log_failure("refresh failed", account, failure, is_dead)
        {
            debug!(account, %kind, reason, outcome, took_ms, retry_in, served_for, %cause, %fix, "refresh failed: {failure}");
        } else if is_dead || failure.class() == Class::Setup {
            error!(account, %kind, reason, outcome, took_ms, retry_in, served_for, %cause, %fix, "refresh failed: {failure}");
        } else {
            warn!(account, %kind, reason, outcome, took_ms, retry_in, served_for, %cause, %fix, "refresh failed: {failure}");
        }
    }

    /// Logs an error of the store.
    pub(super) fn log_store_error(&self, error: &StoreError, what: &'static str) {
        self.broker.log_store_error(&self.entry.name, error, what);
    }
}

impl AccountEntry {
    /// Logs that a token was rejected long before its end, and what may have ended it.
    pub(super) fn log_foreign_refresh(&self, left: Duration) {
        let advice = foreign_refresh_advice(&self.account).en;
        warn!(
            account = self.name,
            seconds_left = left.as_secs(),
            advice = &*advice,
            "access token rejected long before its end"
        );
    }
}

/// Returns what ends a token of this account before its time, and how to prevent that.
pub(in crate::broker) fn foreign_refresh_advice(account: &Account) -> Text {
    match (account.platform(), account.mode()) {
        (Platform::Work { .. }, _) => Text::new(
            "the app's secret was reset, or WeCom ended the token early",
            "应用的 Secret 被重置，或企业微信提前结束了该 token",
        ),
        _ if account.component_app_id().is_some() => Text::new(
            "the owner authorised again, or another server fetches tokens with this account's refresh token",
            "管理员重新授权过，或有其他服务器在用该账号的 refresh token 获取 token",
        ),
        (Platform::Component, _) => Text::new(
            "another server fetches tokens of this open platform: let it ask this one",
            "有其他服务器在获取该第三方平台的 token，请让它改从本服务获取",
        ),
        (_, TokenMode::Classic) => Text::new(
            "another server fetches tokens of this app: let it ask this one, or set token_mode = \"stable\"",
            "有其他服务器在获取该应用的 token，请让它改从本服务获取，或设置 token_mode = \"stable\"",
        ),
        (_, TokenMode::Stable) => Text::new(
            "another server forces refreshes of this app's stable token, or its secret was reset",
            "有其他服务器在强制刷新该应用的 stable token，或 AppSecret 被重置",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_account_in_classic_mode_is_told_to_use_stable_mode() {
        let official = Account::official("wx0123456789abcdef", "secret");
        let work = Account::work("ww0123456789abcdef", 1_000_002, "secret");
        let classic = official.clone().token_mode(TokenMode::Classic);
        for (account, is_told) in [(official, false), (work, false), (classic, true)] {
            let advice = foreign_refresh_advice(&account);
            assert_eq!(advice.en.contains("token_mode"), is_told, "{advice}");
            assert_eq!(advice.zh.contains("token_mode"), is_told, "{advice}");
        }
    }
}
