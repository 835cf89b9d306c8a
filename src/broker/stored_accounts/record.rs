//! The text of a stored account: JSON, with the AppSecret.

use serde::{Deserialize, Serialize};

use crate::account::{Account, Platform, TokenMode, is_app_id};
use crate::credential::Secret;

#[derive(Serialize, Deserialize)]
struct Record {
    platform: String,
    app_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<u64>,
    secret: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_classic: bool,
    js_safe_domains: Vec<String>,
    js_api_list: Vec<String>,
    open_tag_list: Vec<String>,
}

/// Returns the text to store. It contains the AppSecret.
pub(super) fn write(account: &Account) -> Secret {
    let domains = account.safe_domains().iter();
    let record = Record {
        platform: account.platform().as_str().to_owned(),
        app_id: account.app_id().to_owned(),
        agent_id: match account.platform() {
            Platform::Work { agent_id } => Some(agent_id),
            Platform::Official | Platform::Mini | Platform::Component => None,
        },
        secret: account.secret().expose().to_owned(),
        is_classic: account.mode() == TokenMode::Classic,
        js_safe_domains: domains.map(ToString::to_string).collect(),
        js_api_list: account.js_apis().to_vec(),
        open_tag_list: account.open_tags().to_vec(),
    };
    Secret::new(serde_json::to_string(&record).expect("texts and numbers always serialise"))
}

/// Reads the output of [`write`]; `None` for anything else, such as a platform that this version does not know.
pub(super) fn read(text: &Secret) -> Option<Account> {
    let record: Record = serde_json::from_str(text.expose()).ok()?;
    if !is_app_id(&record.app_id) || record.secret.is_empty() {
        return None;
    }
    let account = match (record.platform.as_str(), record.agent_id) {
        ("official", None) => Account::official(record.app_id, record.secret),
        ("mini", None) => Account::mini(record.app_id, record.secret),
        ("work", Some(agent_id)) => Account::work(record.app_id, agent_id, record.secret),
        _ => return None,
    };
    let account = account
        .token_mode(match record.is_classic {
            true => TokenMode::Classic,
            false => TokenMode::Stable,
        })
        .js_api_list(record.js_api_list)
        .open_tag_list(record.open_tag_list);
    let mut domains = record.js_safe_domains.iter();
    domains.try_fold(account, |account, domain| {
        account.js_safe_domain(domain).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0c79e1fa963cd80cc0be99b20a18faeb";

    #[test]
    fn an_account_round_trips() {
        let official = Account::official("wx0123456789abcdef", SECRET)
            .token_mode(TokenMode::Classic)
            .js_api_list(["scanQRCode"])
            .open_tag_list(["wx-open-launch-app"])
            .js_safe_domain("example.com/shop")
            .unwrap();
        for account in [
            official,
            Account::mini("wxaaaaaaaaaaaaaaaa", SECRET),
            Account::work("wwbbbbbbbbbbbbbbbb", 1_000_002, SECRET),
        ] {
            let read = read(&write(&account)).unwrap();
            assert_eq!(format!("{read:?}"), format!("{account:?}"));
            assert_eq!(read.secret(), account.secret());
        }
    }

    #[test]
    fn malformed_text_is_not_read_as_an_account() {
        let good = write(&Account::official("wx0123456789abcdef", SECRET));
        for (from, to) in [
            ("official", "component"),
            ("wx0123456789abcdef", "a:b"),
            (SECRET, ""),
            ("{", ""),
            ("\"js_safe_domains\":[]", "\"js_safe_domains\":[\"a b\"]"),
        ] {
            let bad = good.expose().replace(from, to);
            assert!(read(&Secret::new(bad)).is_none(), "{to}");
        }
    }
}
