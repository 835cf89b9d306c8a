//! The codes that are not redeemed yet: when to try again, and when to give up.

use std::sync::Arc;
use std::time::Duration;

use super::{AccountEntry, Authorizer, Broker, Known, PlatformState, Secret, Todo, account_of};
use crate::platform::authorizer::{State, code_id};

impl Broker {
    /// Starts what is left undone, by this process or another: codes that are not being redeemed, and refused ones of
    /// which the list was not read yet.
    pub(super) fn redeem_pending(&self, platform: &Arc<AccountEntry>, state: &Arc<PlatformState>) {
        let uptime = self.inner.clock.uptime();
        let mut due = Vec::new();
        {
            let mut known = state.known.lock();
            let Known {
                authorizers,
                redemptions,
                guarded,
                ..
            } = &mut *known;
            redemptions.retain(|app_id, redemption| {
                let open = authorizers.get(app_id).and_then(unfinished);
                open.is_some_and(|(code_id, _)| code_id == redemption.code_id)
            });
            let open = authorizers.values().filter_map(|record| {
                let (code_id, todo) = unfinished(record)?;
                let is_redeeming = guarded.contains(&record.app_id);
                let account = account_of(platform, record).filter(|_| !is_redeeming);
                account.map(|_| (record, code_id, todo))
            });
            for (record, code_id, todo) in open {
                // Another process may be at it, or this one was in an earlier life.
                let first_pause = match todo == Todo::AskList && self.inner.store.is_shared() {
                    true => CLAIM_LIFE,
                    false => Duration::ZERO,
                };
                let redemption = redemptions.entry(record.app_id.clone());
                let redemption =
                    redemption.or_insert_with(|| Redemption::new(code_id, uptime, first_pause));
                if redemption.next_try > uptime {
                    continue;
                }
                let is_over = uptime.saturating_sub(redemption.first_seen) >= CODE_LIFE;
                let code = record.code.as_ref().filter(|_| is_over);
                let ended = code.map(|code| code.value.clone());
                due.push((record.app_id.clone(), todo, ended));
            }
        }
        for (app_id, todo, ended) in due {
            if todo == Todo::AskList || ended.is_some() {
                self.note_try(platform, &app_id);
            }
            match ended {
                Some(code) => self.give_up_later(platform, app_id, code),
                None => self.act_later(platform, &app_id, todo),
            }
        }
    }

    /// Asks the list about an account whose code could not be redeemed in its life, in a task of its own.
    fn give_up_later(&self, platform: &Arc<AccountEntry>, app_id: String, code: Secret) {
        let (broker, platform) = (self.clone(), platform.clone());
        self.inner.runtime.spawn(async move {
            let asked = broker.ask_list_for(&platform, &app_id, None, Some(&code));
            let todo = asked.await;
            if todo == Todo::Refresh {
                broker.act_later(&platform, &app_id, todo);
            }
        });
    }

    /// Gives another request or node, which has claimed the code, the time to redeem it.
    pub(super) fn wait_for_claimer(&self, platform: &AccountEntry, app_id: &str) {
        let uptime = self.inner.clock.uptime();
        self.know(platform, |known| {
            if let Some(redemption) = known.redemptions.get_mut(app_id) {
                redemption.next_try = redemption.next_try.max(uptime + CLAIM_LIFE);
            }
        });
    }

    /// Notes a try to redeem the code of an account, or to ask what became of it. Returns whether it is the first one of this
    /// process.
    pub(super) fn note_try(&self, platform: &AccountEntry, app_id: &str) -> bool {
        let uptime = self.inner.clock.uptime();
        self.know(platform, |known| {
            let record = known.authorizers.get(app_id);
            let Some((code_id, _)) = record.and_then(unfinished) else {
                return false;
            };
            let new = Redemption::new(code_id, uptime, Duration::ZERO);
            let redemption = known.redemptions.entry(app_id.to_owned());
            let redemption = redemption.or_insert_with(|| new.clone());
            if redemption.code_id != new.code_id {
                *redemption = new;
            }
            let is_first = redemption.tries == 0;
            let pause = RETRY.saturating_mul(1 << redemption.tries.min(5));
            redemption.tries += 1;
            redemption.next_try = uptime + pause.min(LONGEST_RETRY);
            is_first
        })
    }
}

/// Returns what is left undone for an account, and the id of the code that is the reason.
fn unfinished(record: &Authorizer) -> Option<(String, Todo)> {
    match &record.code {
        Some(code) if code.is_claimed => Some((code_id(&code.value), Todo::AskList)),
        Some(code) => Some((code_id(&code.value), Todo::Redeem)),
        // It was refused, or redeemed elsewhere, and the list could not be read since.
        None if record.state == State::Pending => {
            Some((record.newest.code_id.clone(), Todo::AskList))
        }
        None => None,
    }
}

/// A code of which it is not known yet what became of it. Times are in uptime, so that a wrong clock ends no code.
#[derive(Clone)]
pub(super) struct Redemption {
    code_id: String,
    first_seen: Duration,
    next_try: Duration,
    tries: u32,
}

impl Redemption {
    fn new(code_id: String, uptime: Duration, first_pause: Duration) -> Self {
        Self {
            code_id,
            first_seen: uptime,
            next_try: uptime + first_pause,
            tries: 0,
        }
    }
}

/// The first pause after a failed try to redeem a code; each further one is twice as long.
const RETRY: Duration = Duration::from_secs(10);

/// The longest pause between two tries.
const LONGEST_RETRY: Duration = Duration::from_secs(300);

/// How long WeChat accepts a code at most.
pub(super) const CODE_LIFE: Duration = Duration::from_secs(3_600);

/// How long a claimed code may stay unredeemed before WeChat's list is asked what became of it.
const CLAIM_LIFE: Duration = Duration::from_secs(30);
