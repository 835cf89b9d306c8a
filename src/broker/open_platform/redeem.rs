//! Redeems authorisation codes: each once, though the push and the browser bring the same one.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tracing::{info, warn};

use super::code_claim::CodeGuard;
use super::records::{CODE_KEPT, REFUSAL_KEPT, REFUSED, code_name, refusal_in};
use super::token::usable;
use super::{Authorizer, Broker, Ended, RECORDS_FAILED, Todo, authorizer_name};
use crate::broker::AccountEntry;
use crate::broker::slot::RefreshOutcome;
use crate::clock::UnixTime;
use crate::credential::{Credential, Kind, Secret};
use crate::error::{Error, PlatformProblem, UpstreamError};
use crate::platform::authorizer::{Authorization, Redeemed, code_id};
use crate::store::StoreError;
use crate::upstream::{Issued, Upstream};

impl Broker {
    /// Redeems a code that a browser brought back from WeChat's page. Returns the account that it was for.
    ///
    /// # Errors
    /// [`Error::UnknownAccount`] if there is no such platform; [`Error::Upstream`] if WeChat refuses the code
    /// ([`UpstreamError::refuses_code`]), now or a few minutes ago.
    /// [`Error::Interrupted`] if the push brought the code first and its redemption has not ended in time, or
    /// if the store fails.
    pub async fn redeem_from_browser(
        &self,
        platform: &str,
        code: &Secret,
    ) -> Result<AuthorizedAccount, Error> {
        let platform = self.entry(platform)?;
        let (broker, entry, code) = (self.clone(), platform.clone(), code.clone());
        // In a task: a browser that leaves must not interrupt the redemption, which cannot be repeated.
        let redeeming = async move { broker.redeem_brought(entry, &code).await };
        let redeeming = self.inner.runtime.spawn(redeeming);
        match tokio::time::timeout(BROWSER_WAITS, redeeming).await {
            Ok(Ok(redeemed)) => redeemed,
            Ok(Err(_)) | Err(_) => Err(interrupted(&platform)),
        }
    }

    async fn redeem_brought(
        &self,
        platform: Arc<AccountEntry>,
        code: &Secret,
    ) -> Result<AuthorizedAccount, Error> {
        let app_id = self.redeem_or_wait(&platform, code).await?;
        let record = self.authorizer(&platform, &app_id).await;
        let record = record.map_err(|error| self.records_failed(&platform, &error))?;
        let problem = record.as_ref().and_then(|record| usable(record).err());
        let profile = record.and_then(|record| record.profile);
        let nick_name = profile.map(|profile| profile.nick_name);
        Ok(AuthorizedAccount {
            name: authorizer_name(&platform, &app_id),
            nick_name: nick_name.unwrap_or_default(),
            problem,
        })
    }

    /// Logs an error of the store. Returns the error for callers.
    pub(super) fn records_failed(&self, platform: &AccountEntry, error: &StoreError) -> Error {
        self.log_store_error(&platform.name, error, RECORDS_FAILED);
        interrupted(platform)
    }

    /// Redeems the code in an account's record. `unused`: WeChat's list says that it was not redeemed, although
    /// it was claimed.
    pub(super) async fn redeem(&self, platform: &Arc<AccountEntry>, app_id: &str, unused: bool) {
        let Some(_redeeming) = CodeGuard::begin(platform, app_id) else {
            // The keeper finds the code in the record.
            return;
        };
        if self.note_try(platform, app_id) {
            // WeChat accepts it no longer.
            self.drop_credentials(platform, app_id, Ended::Token).await;
        }
        let Err(error) = self.redeem_in_record(platform, app_id, unused).await else {
            return;
        };
        if error.upstream().is_some_and(UpstreamError::refuses_code) {
            warn!(platform = platform.name, app_id, %error, "authorisation code refused: WeChat's list decides");
        } else {
            // The keeper finds the code in the record and tries again.
            warn!(platform = platform.name, app_id, %error, "authorisation code not redeemed yet");
        }
    }

    async fn redeem_in_record(
        &self,
        platform: &Arc<AccountEntry>,
        app_id: &str,
        unused: bool,
    ) -> Result<(), Error> {
        // Before the claim: without the platform's token the code cannot be sent.
        self.platform_token(platform).await?;
        let stored = |error: StoreError| self.records_failed(platform, &error);
        let record = self.authorizer(platform, app_id).await.map_err(stored)?;
        let Some(code) = record.and_then(|record| record.code) else {
            return Ok(());
        };
        let code = code.value;
        let id = code_id(&code);
        let Some(_sending) = CodeGuard::begin(platform, &id) else {
            // The browser's request is at it. If it fails, the keeper tries again.
            return Ok(());
        };
        if !unused && let Some(claim) = self.claim_code(platform, &id).await.map_err(stored)? {
            let leave = self.leave_to_browser(platform, app_id, &code, &claim);
            return leave.await.map_err(stored);
        }
        let claimed = Mutex::new(None);
        let claim = |record: &mut Authorizer| {
            *claimed.lock() = record.claim_code();
            Todo::Nothing
        };
        let changed = self.change_authorizer(platform, app_id, claim).await;
        let _ = changed.map_err(stored)?;
        let Some(code) = claimed.into_inner() else {
            return Ok(());
        };
        let known = self.known_authorizer(platform, app_id);
        let newest = known.map(|known| (known.app_id, known.newest));
        self.redeem_claimed(platform, &code, newest).await.map(drop)
    }

    /// Notes in the record what became of a code that a browser brought to another request or node, by that one's
    /// claim. If it died before it redeemed the code, the keeper finds a claimed code and asks the list.
    async fn leave_to_browser(
        &self,
        platform: &Arc<AccountEntry>,
        app_id: &str,
        code: &Secret,
        claim: &str,
    ) -> Result<(), StoreError> {
        let leave = |record: &mut Authorizer| {
            if refusal_in(claim).is_some() {
                return record.code_refused(code);
            }
            if !claim.is_empty() {
                return record.code_redeemed_elsewhere(code);
            }
            let known = record.code.as_ref();
            if known.is_some_and(|known| known.value == *code) {
                let _ = record.claim_code();
            }
            Todo::Nothing
        };
        if claim.is_empty() && self.inner.store.is_shared() {
            self.wait_for_claimer(platform, app_id);
        }
        self.change_and_act(platform, app_id, leave).await
    }

    /// Sends a code that this process has claimed, and stores what it brings. `from_push`: the account and its
    /// newest authorisation, if an event brought the code. Returns the account's AppID.
    pub(super) async fn redeem_claimed(
        &self,
        platform: &Arc<AccountEntry>,
        code: &Secret,
        from_push: Option<(String, Authorization)>,
    ) -> Result<String, Error> {
        let claimed_at = self.inner.clock.now();
        let sent =
            self.with_platform_token(platform, Upstream::REDEEM, |upstream, platform, token| {
                let (code, clock) = (code.clone(), self.inner.clock.clone());
                async move {
                    // The platform's token may have been refreshed before.
                    let sent_at = clock.now_millis();
                    let authorized = upstream.redeem(&platform, &token, &code).await?;
                    Ok((authorized, sent_at))
                }
            });
        let (authorized, sent_at) = match sent.await {
            Ok(sent) => sent,
            Err(error) => {
                let app_id = from_push.as_ref().map(|(app_id, _)| app_id.as_str());
                self.not_redeemed(platform, code, app_id, &error).await;
                return Err(error);
            }
        };
        let app_id = authorized.app_id;
        let permission_sets = authorized.permission_sets.len();
        let newest = from_push.map(|(_, newest)| newest);
        let answer = Redeemed {
            code: code.clone(),
            at: newest.as_ref().map_or(claimed_at, |newest| newest.at),
            from_browser: newest.is_none_or(|newest| newest.is_provisional),
            refresh_token: authorized.refresh_token,
            permission_sets: authorized.permission_sets,
        };
        let todo = self.keep_redeemed(platform, &app_id, &answer).await;
        if let Some(issued) = authorized.issued {
            self.adopt(platform, &app_id, issued, sent_at).await;
        }
        self.describe(platform, &app_id).await;
        let claim = code_name(platform, &code_id(code));
        let noted = self.replace_claim(&claim, &app_id, CODE_KEPT).await;
        self.ok_or_log(platform, noted);
        info!(
            platform = platform.name,
            account = authorizer_name(platform, &app_id),
            permission_sets,
            "account authorised the platform"
        );
        self.act_later(platform, &app_id, todo);
        Ok(app_id)
    }

    /// Stores the refresh token, however long the store fails: no call brings it again, only the list. Returns
    /// what follows.
    async fn keep_redeemed(
        &self,
        platform: &Arc<AccountEntry>,
        app_id: &str,
        answer: &Redeemed,
    ) -> Todo {
        let redeemed = |record: &mut Authorizer| record.redeemed(answer);
        let mut pause = Duration::from_secs(1);
        loop {
            let changed = self.change_authorizer(platform, app_id, redeemed);
            if let Some((_, todo)) = self.ok_or_log(platform, changed.await) {
                return todo;
            }
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }

    /// Acts on a refused code, and gives up the claim of one that was not sent. `app_id`: whose record has the code.
    async fn not_redeemed(
        &self,
        platform: &Arc<AccountEntry>,
        code: &Secret,
        app_id: Option<&str>,
        error: &Error,
    ) {
        // An error of the call for the platform's token says nothing about the code.
        let error = error.upstream();
        let error = error.filter(|error| error.endpoint == Upstream::REDEEM);
        let errcode = error.and_then(UpstreamError::errcode);
        let was_sent =
            error.is_some_and(|error| errcode.is_some() || error.may_have_been_carried_out());
        let is_refused = error.is_some_and(UpstreamError::refuses_code);
        let claim = code_name(platform, &code_id(code));
        let noted = match errcode {
            Some(errcode) if is_refused => {
                let refused = format!("{REFUSED}{errcode}");
                self.replace_claim(&claim, &refused, REFUSAL_KEPT).await
            }
            None if was_sent => Ok(()),
            _ => self.replace_claim(&claim, "", Duration::ZERO).await,
        };
        self.ok_or_log(platform, noted);
        let Some(app_id) = app_id else {
            return;
        };
        let change = |record: &mut Authorizer| {
            if is_refused {
                return record.code_refused(code);
            }
            if was_sent && errcode.is_none() {
                return Todo::AskList;
            }
            record.release_code(code);
            Todo::Nothing
        };
        let changed = self.change_authorizer(platform, app_id, change).await;
        if let Some((_, Todo::AskList)) = self.ok_or_log(platform, changed) {
            // If the list says that it was not redeemed, the keeper tries again.
            let _ = self.ask_list_for(platform, app_id, None, None).await;
        }
    }

    /// Makes a token current that came with a redemption.
    async fn adopt(
        &self,
        platform: &Arc<AccountEntry>,
        app_id: &str,
        issued: Issued,
        sent_at: u64,
    ) {
        let key = platform.account.authorizer_key(app_id);
        let Some(entry) = self.inner.accounts.load().of_key(&key).cloned() else {
            return;
        };
        let Ok(slot) = entry.slot(Kind::AccessToken) else {
            return;
        };
        let last = slot.lock().last.as_ref().map_or(0, |last| last.generation);
        let issued_at = UnixTime(sent_at / 1_000);
        let credential = Arc::new(Credential {
            value: issued.value,
            issued_at,
            expires_at: issued_at.plus(issued.expires_in),
            generation: sent_at.max(last.saturating_add(1)),
        });
        let shared = self.dated_for_others(&credential);
        if let Err(error) = self.inner.store.save(&slot.key, &shared).await {
            let what = "credential could not be stored: kept in memory";
            self.log_store_error(&entry.name, &error, what);
        }
        {
            let mut state = slot.lock();
            self.note_arrival(slot, &mut state, &credential, RefreshOutcome::Fetched);
            let current = state.see(&credential, &self.inner.clock);
            state.dated_here |= current.value == credential.value;
            self.publish(slot, &state);
        }
        self.end_waits_for_token(&key);
        // An account is used soon after it authorised; from now on it is refreshed ahead and read from the store.
        slot.note_use();
        slot.want();
    }

    /// Asks WeChat for the account's name and whether it is a mini program. Until that is known, it counts as
    /// an official account.
    pub(super) async fn describe(&self, platform: &Arc<AccountEntry>, app_id: &str) {
        let asked =
            self.with_platform_token(platform, Upstream::INFO, |upstream, platform, token| {
                let app_id = app_id.to_owned();
                async move { upstream.authorizer_info(&platform, &token, &app_id).await }
            });
        let info = match asked.await {
            Ok(info) => info,
            Err(error) => {
                warn!(platform = platform.name, app_id, %error, "WeChat does not say what kind of account it is");
                return;
            }
        };
        let describe = |record: &mut Authorizer| {
            record.described(&info.nick_name, info.is_mini);
            Todo::Nothing
        };
        let changed = self.change_authorizer(platform, app_id, describe).await;
        self.ok_or_log(platform, changed);
    }
}

/// An account whose code a browser brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizedAccount {
    /// `PLATFORM/APPID`.
    pub name: String,
    /// What its followers call it; empty if WeChat did not say.
    pub nick_name: String,
    /// Why it cannot be used.
    pub problem: Option<PlatformProblem>,
}

pub(super) fn interrupted(platform: &AccountEntry) -> Error {
    Error::Interrupted {
        account: platform.name.clone(),
        kind: Kind::AccessToken,
    }
}

/// The longest pause between two tries to store what a code brought.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How long a browser waits for an answer. The redemption goes on without it.
const BROWSER_WAITS: Duration = Duration::from_secs(30);
