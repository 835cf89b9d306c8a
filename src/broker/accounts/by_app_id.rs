//! The accounts of an AppID or CorpID, as other servers know them.

use std::sync::Arc;

use super::{AccountEntry, Accounts};
use crate::account::{Account, Platform};
use crate::credential::AppKey;

impl Accounts {
    /// Returns the name and the account for an AppID or CorpID: the first one of [`Accounts::all_of_app`]. Without
    /// an AgentId, a corp must have exactly one app.
    pub fn of_app(&self, app_id: &str, agent_id: Option<u64>) -> Option<(&str, &Arc<Account>)> {
        let mut found = self.all_of_app(app_id, agent_id).into_iter();
        let first = found.next()?;
        let is_of_corp = matches!(first.1.platform(), Platform::Work { .. });
        (!is_of_corp || found.next().is_none()).then_some(first)
    }

    /// Returns the names and the accounts for an AppID or CorpID: the account of the configuration or the admin
    /// API, then those that authorised a platform, by the platforms' names. For WeCom the app with this AgentId,
    /// or all apps of the corp, unordered.
    pub fn all_of_app(&self, app_id: &str, agent_id: Option<u64>) -> Vec<(&str, &Arc<Account>)> {
        let mut entries = match agent_id {
            None => self.entries_of_weixin(app_id),
            Some(_) => Vec::new(),
        };
        if entries.is_empty() {
            let apps = self.entries_of_corp(app_id);
            let apps = apps.filter(|(agent, _)| agent_id.is_none_or(|agent_id| *agent == agent_id));
            entries = apps.map(|(_, entry)| entry).collect();
        }
        let entries = entries.into_iter();
        entries.map(|entry| entry.named_account()).collect()
    }

    /// Returns the name and the account that authorised the open platform with this component_appid.
    pub fn of_authorizer(
        &self,
        component_app_id: &str,
        app_id: &str,
    ) -> Option<(&str, &Arc<Account>)> {
        let platform = self.platform(component_app_id)?;
        let key = platform.account.authorizer_key(app_id);
        self.of_key(&key).map(|entry| entry.named_account())
    }

    /// Returns the names and AgentIds of the accounts that are apps of this WeCom corp, unordered.
    pub fn of_corp(&self, corp_id: &str) -> impl Iterator<Item = (&str, u64)> {
        self.entries_of_corp(corp_id)
            .map(|(agent_id, entry)| (entry.name.as_str(), agent_id))
    }

    fn entries_of_weixin(&self, app_id: &str) -> Vec<&Arc<AccountEntry>> {
        let own = ["official", "mini", "component"].map(|platform| {
            self.by_app.get(&AppKey {
                platform,
                id: app_id.into(),
                agent_id: None,
                component: None,
            })
        });
        let authorized = self.platforms().map(|(platform, _)| {
            let key = platform.account.authorizer_key(app_id);
            self.by_app.get(&key)
        });
        own.into_iter().chain(authorized).flatten().collect()
    }

    fn entries_of_corp(&self, corp_id: &str) -> impl Iterator<Item = (u64, &Arc<AccountEntry>)> {
        let apps = self
            .by_app
            .iter()
            .filter(move |(app, _)| app.platform == "work" && *app.id == *corp_id);
        apps.filter_map(|(app, entry)| Some((app.agent_id?, entry)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configured_account_comes_first_and_platform_accounts_follow_by_name() {
        const APP: &str = "wx1111111111111111";
        let platforms = ["delta", "alpha", "charlie", "bravo", "echo"];
        let account = |name: &str| Account::component(format!("wxc0de{name}"), "s");
        let names = |own: Option<(String, Account)>| {
            let all = platforms.map(|name| (name.to_owned(), account(name)));
            let all = all.into_iter().chain(own).collect();
            let accounts = Accounts::new(all, Some("alpha".to_owned()), None).unwrap();
            let authorizers = platforms.map(|name| {
                let account = Account::authorizer(&account(name), APP, false);
                let named = (format!("{name}/{APP}"), account.clone());
                (account.app_key(), Some(named))
            });
            let accounts = accounts.with_authorizers(authorizers.to_vec(), &accounts);
            let found = accounts.all_of_app(APP, None).into_iter();
            found
                .map(|(name, _)| name.replace(&format!("/{APP}"), ""))
                .collect::<Vec<_>>()
        };
        let sorted = ["alpha", "bravo", "charlie", "delta", "echo"];
        assert_eq!(names(None), sorted);
        let own = ("own".to_owned(), Account::official(APP, "s"));
        assert_eq!(names(Some(own))[..2], ["own", "alpha"]);
    }
}
