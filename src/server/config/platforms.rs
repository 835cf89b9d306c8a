//! `[platforms.NAME]`: open platforms (第三方平台), for whose accounts this service acts.
//!
//! Defaults: `wx-jssdk.default.toml`.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use super::accounts::{self, LISTS, SecretKeys, secret, secret_if_any};
use super::section::Section;
use super::{Problems, egress};
use crate::account::Account;
use crate::credential::Secret;
use crate::platform::PushKeys;
use crate::platform::push_crypto::{AesKey, Rotating};

/// An open platform.
#[derive(Clone, Debug)]
pub struct PlatformSettings {
    /// Its name; its accounts are called `NAME/APPID`.
    pub name: String,
    /// Its component_appid and secret, and the settings of all its accounts.
    pub account: Account,
    /// Opens WeChat's pushes.
    pub push_keys: PushKeys,
    /// The base URL at which browsers reach the public listener, if it serves the authorisation page.
    pub authorize_url: Option<String>,
    /// The path of the public listener to which WeChat pushes authorisation events.
    pub callback_path: String,
}

/// Reads all platforms. Leaves out those with a problem. `names`: the names of the accounts.
pub(super) fn read(
    section: Section,
    base: &Path,
    defaults: &Section,
    names: &HashSet<String>,
    problems: &mut Problems,
) -> Vec<PlatformSettings> {
    let mut lists = defaults.clone();
    lists.retain(&["js_api_list", "open_tag_list"]);
    let mut platforms: Vec<PlatformSettings> = Vec::new();
    let (mut ids, mut paths) = (HashMap::new(), HashMap::new());
    for (name, mut section) in section.sections(problems) {
        accounts::check_name(&name, &section, None, problems);
        if names.contains(&name) {
            problems.add(
                section.path(),
                "duplicate name, also of an account: use different names".into(),
                "与某个账号重名：请使用不同的名称".into(),
            );
        }
        section.default_to(&lists);
        let platform = platform(&name, &mut section, base, problems);
        section.finish(problems);
        let Some(platform) = platform else { continue };
        let (id, path) = (
            platform.account.app_id().to_owned(),
            platform.callback_path.clone(),
        );
        for (known, value, key) in [
            (&mut ids, id, "component_appid"),
            (&mut paths, path, "callback_path"),
        ] {
            if let Some(first) = known.insert(value, section.place()) {
                problems.add(
                    &section.own_path_of(key),
                    format!("is the same as in {first}: each platform has its own"),
                    format!("与 {first} 相同：每个平台应各不相同"),
                );
            }
        }
        platforms.push(platform);
    }
    platforms.sort_by(|one, other| one.name.cmp(&other.name));
    platforms
}

fn platform(
    name: &str,
    section: &mut Section,
    base: &Path,
    problems: &mut Problems,
) -> Option<PlatformSettings> {
    let id = section
        .text("component_appid", problems)
        .filter(|id| accounts::check_id(id, &section.path_of("component_appid"), problems));
    let secret_value = secret(section, base, &COMPONENT_SECRET, problems);
    let token = secret(section, base, &PUSH_TOKEN, problems);
    let previous_token = secret_if_any(section, base, &PREVIOUS_PUSH_TOKEN, problems);
    let key = secret(section, base, &AES_KEY, problems);
    let key = key.and_then(|key| aes_key(&key, section, AES_KEY.text, problems));
    let previous_key = secret_if_any(section, base, &PREVIOUS_AES_KEY, problems);
    let previous_key =
        previous_key.and_then(|key| aes_key(&key, section, PREVIOUS_AES_KEY.text, problems));
    let egress = egress::read(section, base, problems);
    let [domains, apis, tags] = LISTS.map(|key| {
        let is_missing = !section.has(key);
        let list = section.list(key, problems);
        if is_missing { Some(Vec::new()) } else { list }
    });
    let keep = match section.has("keep_hours") {
        true => section.number("keep_hours", 1..=720, problems),
        false => {
            section.text_if_any("keep_hours", problems); // registers the key for "did you mean"
            Some(KEEP_HOURS)
        }
    };
    let authorize_url = match section.has("authorize_url") {
        true => section.url("authorize_url", problems).map(Some),
        false => Some(section.text_if_any("authorize_url", problems)),
    };
    let path = section.text_if_any("callback_path", problems);
    let path = path.unwrap_or_else(|| format!("/platforms/{name}/events"));
    let is_path_good = check_path(&path, section, problems);
    let domains = accounts::safe_domains("official", &domains?, section, problems);
    let (id, secret_value, token, key) = (id?, secret_value?, token?, key?);
    let account = Account::component(id.as_str(), secret_value)
        .keep_for(Duration::from_secs(keep? * 3_600))
        .js_api_list(apis?)
        .open_tag_list(tags?);
    let account = match egress? {
        Some(egress) => account.egress(egress),
        None => account,
    };
    let account = domains?.iter().try_fold(account, |account, domain| {
        account.js_safe_domain(domain).ok()
    })?;
    let authorize_url = authorize_url?;
    is_path_good.then_some(PlatformSettings {
        name: name.to_owned(),
        authorize_url,
        account,
        push_keys: PushKeys {
            token: Rotating {
                current: token,
                previous: previous_token,
            },
            aes_key: Rotating {
                current: key,
                previous: previous_key,
            },
            receive_id: id,
        },
        callback_path: path,
    })
}

fn aes_key(
    key: &Secret,
    section: &Section,
    setting: &str,
    problems: &mut Problems,
) -> Option<AesKey> {
    match AesKey::parse(key.expose()) {
        Ok(key) => Some(key),
        Err(_) => {
            problems.add(
                &section.path_of(setting),
                "must be the EncodingAESKey from open.weixin.qq.com: 43 letters and digits".into(),
                "应为微信开放平台上的“消息加解密 Key”：43 位字母和数字".into(),
            );
            None
        }
    }
}

fn check_path(path: &str, section: &Section, problems: &mut Problems) -> bool {
    let is_good = path.len() > 1
        && path.len() <= 200
        && path.starts_with('/')
        && ![
            "/jssdk",
            "/authorize",
            "/static",
            "/doctor",
            "/demo",
            "/sandbox",
        ]
        .iter()
        .any(|taken| path.split('/').nth(1) == Some(&taken[1..]))
        && path
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"/-_.~$".contains(&b));
    if !is_good {
        problems.add(
            &section.path_of("callback_path"),
            "must be a path such as /platforms/agency/events, and none of this service's own"
                .into(),
            "应为形如 /platforms/agency/events 的路径，且不能是本服务已使用的路径".into(),
        );
    }
    is_good
}

const COMPONENT_SECRET: SecretKeys = SecretKeys {
    text: "secret",
    file: "secret_file",
    what: "AppSecret",
};
const PUSH_TOKEN: SecretKeys = SecretKeys {
    text: "push_token",
    file: "push_token_file",
    what: "Token",
};
const PREVIOUS_PUSH_TOKEN: SecretKeys = SecretKeys {
    text: "previous_push_token",
    file: "previous_push_token_file",
    what: "Token",
};
const AES_KEY: SecretKeys = SecretKeys {
    text: "aes_key",
    file: "aes_key_file",
    what: "EncodingAESKey",
};
const PREVIOUS_AES_KEY: SecretKeys = SecretKeys {
    text: "previous_aes_key",
    file: "previous_aes_key_file",
    what: "EncodingAESKey",
};

/// How long after their last use an account's credentials are kept alive.
const KEEP_HOURS: u64 = 24;
