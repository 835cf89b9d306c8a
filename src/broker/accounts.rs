//! The accounts by name, each with a slot for every credential.

use std::collections::HashMap;
use std::sync::Arc;
#[cfg(feature = "actix")]
use std::sync::OnceLock;

use super::BuildError;
use super::request_stats::AccountTally;
#[cfg(feature = "actix")]
use super::signing::Template;
use super::slot::Slot;
use crate::account::Account;
use crate::clock::UnixTime;
use crate::credential::{AppKey, Kind};
use crate::error::Error;

/// One account.
pub(super) struct AccountEntry {
    pub(super) name: String,
    pub(super) account: Arc<Account>,
    pub(super) slots: Vec<Arc<Slot>>,
    /// The answers that its pages got.
    pub(super) tally: Arc<AccountTally>,
    /// Built when its first page is signed: most of ten thousand accounts sign none today.
    #[cfg(feature = "actix")]
    pub(super) template: OnceLock<Template>,
}

/// All accounts of a configuration.
pub(super) struct Accounts {
    by_name: HashMap<String, Arc<AccountEntry>>,
    by_app: HashMap<AppKey, Arc<AccountEntry>>,
    default_account: Option<Arc<AccountEntry>>,
    /// Whether the default account was derived from the accounts instead of named.
    is_implied: bool,
    /// The domain verification files, by the path at which WeChat requests them.
    proofs: HashMap<String, Arc<str>>,
}

impl AccountEntry {
    /// Returns an entry that keeps the slots and counters of `before`, which is the same app.
    fn new(name: String, account: Account, before: Option<&Arc<Self>>) -> Self {
        let slots = match before {
            Some(before) => before.slots.clone(),
            None => {
                let kept = account.platform().kept_kinds();
                let slot =
                    |kind: &Kind| Arc::new(Slot::new(account.key(*kind), kept.contains(kind)));
                account.platform().kinds().iter().map(slot).collect()
            }
        };
        let tally = before
            .map(|before| before.tally.clone())
            .unwrap_or_default();
        Self {
            name,
            account: Arc::new(account),
            slots,
            tally,
            #[cfg(feature = "actix")]
            template: OnceLock::new(),
        }
    }

    /// Whether it has the ticket that signs pages.
    fn signs_pages(&self) -> bool {
        self.account.has(Kind::JsapiTicket)
    }

    /// Whether both fetch their token in the same way with the same secret.
    pub(super) fn calls_like(&self, other: &Self) -> bool {
        self.account.secret() == other.account.secret()
            && self.account.mode() == other.account.mode()
    }

    /// The slots are in the order of the platform's kinds.
    pub(super) fn slot_of(&self, kind: Kind) -> Option<&Arc<Slot>> {
        let at = self
            .account
            .platform()
            .kinds()
            .iter()
            .position(|known| *known == kind)?;
        self.slots.get(at)
    }

    pub(super) fn slot(&self, kind: Kind) -> Result<&Arc<Slot>, Error> {
        self.slot_of(kind)
            .ok_or_else(|| Error::UnsupportedCredential {
                account: self.name.clone(),
                platform: self.account.platform().as_str(),
                kind,
            })
    }
}

impl Accounts {
    pub(super) fn new(
        accounts: Vec<(String, Account)>,
        default_account: Option<String>,
        before: Option<&Self>,
    ) -> Result<Self, BuildError> {
        let mut by_name: HashMap<String, Arc<AccountEntry>> =
            HashMap::with_capacity(accounts.len());
        let mut by_app: HashMap<AppKey, Arc<AccountEntry>> = HashMap::with_capacity(accounts.len());
        let mut owners = HashMap::with_capacity(accounts.len());
        let mut proofs = HashMap::new();
        for (name, account) in accounts {
            let app = account.app_key();
            if let Some(first) = owners.insert(account.app_identity(), name.clone()) {
                return Err(BuildError::SameApp {
                    app: app.to_string(),
                    names: [first, name],
                });
            }
            note_proofs(&account, &mut proofs)?;
            let member = Arc::new(AccountEntry::new(
                name.clone(),
                account,
                before.and_then(|before| before.by_app.get(&app)),
            ));
            if by_name.insert(name.clone(), member.clone()).is_some() {
                return Err(BuildError::SameName(name));
            }
            by_app.insert(app, member);
        }
        let is_implied = default_account.is_none();
        let default_account = match default_account {
            Some(name) => match by_name.get(&name) {
                None => return Err(BuildError::NoSuchDefault(name)),
                found => found.cloned(),
            },
            None => implied_default(&by_name),
        };
        let lost = before.and_then(Self::implied_signer);
        if let Some(lost) = lost.filter(|_| is_implied && default_account.is_none())
            && by_name.values().any(|member| member.signs_pages())
        {
            return Err(BuildError::DefaultLost(name_to_write(&by_name, lost)));
        }
        Ok(Self {
            by_name,
            by_app,
            default_account,
            is_implied,
            proofs,
        })
    }

    /// Returns the default account if it was implied and signs pages.
    fn implied_signer(&self) -> Option<&AccountEntry> {
        self.default_account
            .as_deref()
            .filter(|member| self.is_implied && member.signs_pages())
    }

    /// Returns the account with this name. An empty name selects the default account.
    pub(super) fn named(&self, name: &str) -> Result<Arc<AccountEntry>, Error> {
        self.find(name).cloned().ok_or_else(|| match name {
            "" => Error::AccountRequired,
            name => Error::UnknownAccount {
                account: name.to_owned(),
            },
        })
    }

    /// Like [`Accounts::named`], but borrowed.
    pub(super) fn find(&self, name: &str) -> Option<&Arc<AccountEntry>> {
        if name.is_empty() {
            self.default_account.as_ref()
        } else {
            self.by_name.get(name)
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<AccountEntry>> {
        self.by_name.values()
    }

    /// Returns the account of this app.
    pub(super) fn of_key(&self, app: &AppKey) -> Option<&Arc<AccountEntry>> {
        self.by_app.get(app)
    }

    /// Ends the cooldowns of accounts whose secret or mode has changed, so that they are tried again at
    /// once.
    pub(super) fn forget_refusals(&self, before: &Self, now: UnixTime) {
        let corrected = |member: &&Arc<AccountEntry>| {
            before
                .of_key(&member.account.app_key())
                .is_some_and(|before| !before.calls_like(member))
        };
        let slots = self
            .all()
            .filter(corrected)
            .flat_map(|member| &member.slots);
        slots.for_each(|slot| slot.lock().begin_anew(now));
    }

    /// Returns the verify file at this exact path.
    pub(super) fn proof(&self, path: &str) -> Option<&Arc<str>> {
        self.proofs.get(path)
    }

    /// Without an AgentId, returns a corp's only app.
    pub(super) fn of_app(&self, app_id: &str, agent_id: Option<u64>) -> Option<&Arc<AccountEntry>> {
        let weixin = |platform| {
            self.by_app.get(&AppKey {
                platform,
                id: app_id.into(),
                agent_id: None,
            })
        };
        if agent_id.is_none()
            && let Some(found) = weixin("official").or_else(|| weixin("mini"))
        {
            return Some(found);
        }
        let mut apps = self.of_corp(app_id);
        match agent_id {
            Some(agent_id) => apps
                .find(|(agent, _)| *agent == agent_id)
                .map(|(_, member)| member),
            None => apps
                .next()
                .filter(|_| apps.next().is_none())
                .map(|(_, member)| member),
        }
    }

    /// Returns the apps of a WeCom corp with their AgentIds.
    pub(super) fn of_corp(&self, corp_id: &str) -> impl Iterator<Item = (u64, &Arc<AccountEntry>)> {
        let apps = self
            .by_app
            .iter()
            .filter(move |(app, _)| app.platform == "work" && *app.id == *corp_id);
        apps.filter_map(|(app, member)| Some((app.agent_id?, member)))
    }
}

/// Returns the only account that signs pages; if none does, the only account.
fn implied_default(by_name: &HashMap<String, Arc<AccountEntry>>) -> Option<Arc<AccountEntry>> {
    let mut signing = by_name.values().filter(|member| member.signs_pages());
    match (signing.next(), signing.next()) {
        (Some(only), None) => Some(only.clone()),
        (None, _) if by_name.len() == 1 => by_name.values().next().cloned(),
        _ => None,
    }
}

/// Returns the present name of the lost default account or, if it was removed, the first name among those
/// that sign pages.
fn name_to_write(by_name: &HashMap<String, Arc<AccountEntry>>, lost: &AccountEntry) -> String {
    let app = lost.account.app_key();
    let signing = || by_name.values().filter(|member| member.signs_pages());
    let same_app = signing().find(|member| member.account.app_key() == app);
    same_app
        .or_else(|| signing().min_by(|a, b| a.name.cmp(&b.name)))
        .map(|member| member.name.clone())
        .unwrap_or_default()
}

/// Records the verify files at the root and below the path of each safe domain that has a path.
fn note_proofs(
    account: &Account,
    proofs: &mut HashMap<String, Arc<str>>,
) -> Result<(), BuildError> {
    for file in account.verify_files() {
        for path in
            std::iter::once("").chain(account.safe_domains().iter().map(|domain| domain.path()))
        {
            let known = proofs
                .entry(format!("{path}/{}", file.name()))
                .or_insert_with(|| file.content().clone());
            if known != file.content() {
                return Err(BuildError::TwoProofs(file.name().to_owned()));
            }
        }
    }
    Ok(())
}
