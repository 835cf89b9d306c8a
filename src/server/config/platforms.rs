//! `[platforms.NAME]`: open platforms (第三方平台), for whose accounts this service acts.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use url::Url;

use super::accounts::{self, APP_SECRET, PAGE_LISTS};
use super::secret::{SecretKeys, secret, secret_if_any};
use super::section::Section;
use super::server::OwnAddresses;
use super::{AccountDefaults, egress, safe_domains};
use crate::account::egress::is_host;
use crate::account::{Account, Platform};
use crate::actix::{APP_ID, app_id_in};
use crate::credential::Secret;
use crate::platform::PushKeys;
use crate::platform::push_crypto::{AesKey, Rotating};
use crate::server::forward::PLACEHOLDER;
use crate::upstream::UpstreamOptions;

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
    /// The path of the public listener to which WeChat pushes messages of users, with `$APPID$`.
    pub messages_path: String,
    /// Where messages are sent on to, with `{appid}` in the place of the account's AppID. `None` answers `success`.
    pub messages_url: Option<String>,
}

/// Reads all platforms. Leaves out those that cannot be built; any problem refuses the configuration. `names`: the
/// names of the accounts.
pub(super) fn read(
    sections: Vec<(String, Section)>,
    defaults: &AccountDefaults,
    names: &HashSet<String>,
    own: &OwnAddresses,
) -> Vec<PlatformSettings> {
    let mut platforms: Vec<PlatformSettings> = Vec::new();
    let (mut ids, mut paths) = (HashMap::new(), HashMap::new());
    let mut messages: Vec<(String, String)> = Vec::new();
    for (name, mut section) in sections {
        accounts::check_name(&name, section.path(), &section);
        if names.contains(&name) {
            section.report_at(
                section.path(),
                "duplicate name, also of an account: use different names",
                "与某个账号重名：请使用不同的名称",
            );
        }
        if section.is_broken() {
            continue;
        }
        section.default_to(defaults, &PAGE_LISTS);
        let id = accounts::app_id(&mut section, "component_appid");
        let callback_path = path(&name, "callback_path", &mut section);
        let messages_path = path(&name, "messages_path", &mut section);
        // Runs even if other settings are wrong, so that all problems are reported at once.
        for (known, value, key) in [
            (&mut ids, &id, "component_appid"),
            (&mut paths, &callback_path, "callback_path"),
        ] {
            if let Some(value) = value
                && let Some(first) = known.insert(value.clone(), section.place())
            {
                section.report_at(
                    &section.own_path_of(key),
                    format!("is the same as in {first}: each platform has its own"),
                    format!("与 {first} 相同：每个平台应各不相同"),
                );
            }
        }
        if let Some(path) = &messages_path {
            if let Some((_, first)) = messages.iter().find(|(other, _)| overlap(other, path)) {
                section.report_at(
                    &section.own_path_of("messages_path"),
                    format!("matches the same paths as in {first}: each platform has its own"),
                    format!("与 {first} 匹配相同的路径：每个平台应各不相同"),
                );
            }
            messages.push((path.clone(), section.place()));
        }
        let read = [id, callback_path, messages_path];
        let platform = platform(name, read, &mut section, own);
        section.finish();
        platforms.extend(platform);
    }
    platforms.sort_by(|one, other| one.name.cmp(&other.name));
    platforms
}

fn platform(
    name: String,
    [id, callback_path, messages_path]: [Option<String>; 3],
    section: &mut Section,
    own: &OwnAddresses,
) -> Option<PlatformSettings> {
    let secret_value = secret(section, &APP_SECRET);
    let token = secret(section, &PUSH_TOKEN);
    let previous_token = previous(section, &PREVIOUS_PUSH_TOKEN);
    let key = secret(section, &AES_KEY).and_then(|key| aes_key(&key, section, AES_KEY.text));
    let previous_key = previous(section, &PREVIOUS_AES_KEY);
    let previous_key = previous_key.and_then(|key| aes_key(&key, section, PREVIOUS_AES_KEY.text));
    let egress = egress::read(section);
    let domains = safe_domains::read(Some(Platform::Component), section);
    let lists = PAGE_LISTS.map(|key| section.optional(key, Vec::new(), Section::list));
    let keep = section.optional("keep_hours", KEEP_HOURS, |section, key| {
        section.number(key, 1..=720)
    });
    let authorize_url = authorize_url(&name, section);
    let messages_url = messages_url(section, own);
    let (id, secret_value, token, key) = (id?, secret_value?, token?, key?);
    let account =
        Account::component(id.as_str(), secret_value).keep_for(Duration::from_secs(keep? * 3_600));
    let account = accounts::completed(account, egress, lists, domains?)?;
    Some(PlatformSettings {
        name,
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
        callback_path: callback_path?,
        messages_path: messages_path?,
        messages_url,
    })
}

/// Returns the secret before, or `None` if its keys are missing or empty.
fn previous(section: &mut Section, keys: &SecretKeys) -> Option<Secret> {
    for key in [keys.text, keys.file] {
        section.take_if_empty(key);
    }
    secret_if_any(section, keys)
}

/// Returns the normal form, without a slash at the end; `None` if it is missing, or after a problem.
fn authorize_url(name: &str, section: &mut Section) -> Option<String> {
    let text = section.text_if_any("authorize_url")?;
    let url = Url::parse(&text).ok().filter(|url| {
        // A semicolon would end the cookie's path.
        UpstreamOptions::is_base_url(&text) && !url.path().contains(';')
    });
    let Some(url) = url else {
        return section.refuse(
            "authorize_url",
            "must be a base URL such as https://wx.example.com, without a user, a password, a query and \";\"",
            "应为形如 https://wx.example.com 的地址，不能包含用户名、密码、查询参数和分号",
        );
    };
    let base = url.as_str().trim_end_matches('/');
    let page = format!("/authorize/{name}");
    if let Some(meant) = base.strip_suffix(page.as_str()) {
        return section.refuse(
            "authorize_url",
            format!("must be the base URL, without {page}: {meant}"),
            format!("应为不含 {page} 的网址前缀：{meant}"),
        );
    }
    Some(base.to_owned())
}

/// Refuses the listeners of this service, which would forward the messages again. Returns `None` if it is missing, or
/// after a problem.
fn messages_url(section: &mut Section, own: &OwnAddresses) -> Option<String> {
    let text = section.text_if_any("messages_url")?;
    let url = message_url(&text).filter(|url| {
        let host = url.host_str().unwrap_or_default();
        matches!(url.scheme(), "http" | "https")
            && is_host(host)
            && !host.contains(SAMPLE)
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
    });
    let rest = text.replace(PLACEHOLDER, "").to_ascii_lowercase();
    let (en, zh) = match url {
        _ if rest.contains("$appid$") || rest.contains(PLACEHOLDER) => (
            "must have {appid}, in lower case, in the place of the AppID ($APPID$ is for messages_path only)",
            "AppID 的位置请写 {appid}（小写）；$APPID$ 只用于 messages_path",
        ),
        None => (
            "must be a URL such as http://app:9000/wx/{appid}, without a user and a password",
            "应为形如 http://app:9000/wx/{appid} 的地址，不能包含用户名和密码",
        ),
        Some(url) if own.find(&url).is_some() => (
            "is an address of wx-jssdk itself: name the server that answers messages",
            "是 wx-jssdk 自己的地址：应为处理消息的服务的地址",
        ),
        Some(_) => return Some(text),
    };
    section.refuse("messages_url", en, zh)
}

/// Returns the URL for some account.
fn message_url(text: &str) -> Option<Url> {
    Url::parse(&text.replace(PLACEHOLDER, SAMPLE)).ok()
}

fn aes_key(key: &Secret, section: &Section, setting: &str) -> Option<AesKey> {
    let key = AesKey::parse(key.expose()).ok();
    if key.is_none() {
        section.report(
            setting,
            "must be the EncodingAESKey from open.weixin.qq.com: 43 letters and digits",
            "应为微信开放平台上的“消息加解密Key”：43 位字母和数字",
        );
    }
    key
}

/// Reads a path of the public listener. Returns `None` only after adding a problem.
fn path(name: &str, key: &'static str, section: &mut Section) -> Option<String> {
    let of_messages = key == "messages_path";
    let usual = |name: &str| match of_messages {
        true => format!("/platforms/{name}/messages/{APP_ID}"),
        false => format!("/platforms/{name}/events"),
    };
    let Some(path) = section.text_if_any(key) else {
        return Some(usual(name));
    };
    let is_good = path.matches(APP_ID).count() == usize::from(of_messages)
        && path.len() > 1
        && path.len() <= 200
        && path.starts_with('/')
        && !is_taken(&path)
        && path
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"/-_.~$".contains(&b));
    if is_good {
        return Some(path);
    }
    let example = usual("agency");
    section.refuse(
        key,
        format!("must be a path such as {example}, which this service does not use itself"),
        format!("应为形如 {example} 的路径，且不能是本服务已使用的路径"),
    )
}

/// Returns whether a route of the public listener may answer this path, or clients would change it.
pub(in crate::server) fn is_taken(path: &str) -> bool {
    let first = path.split('/').nth(1).unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    TAKEN.contains(&first)
        || last.starts_with("MP_verify_")
        || last.starts_with("WW_verify_")
        || path.split('/').any(|segment| matches!(segment, "." | ".."))
}

/// Returns whether some path is one for messages of both.
fn overlap(one: &str, other: &str) -> bool {
    let matches =
        |pattern: &str, path: &str| app_id_in(&path.replace(APP_ID, SAMPLE), pattern).is_some();
    matches(one, other) || matches(other, one)
}

/// The first segments of the public listener's own paths.
const TAKEN: [&str; 9] = [
    "",
    "jssdk",
    "authorize",
    "static",
    "doctor",
    "demo",
    "sandbox",
    "healthz",
    "qr.svg",
];

const PUSH_TOKEN: SecretKeys = SecretKeys::of_wechat("push_token", "push_token_file", "Token");
const PREVIOUS_PUSH_TOKEN: SecretKeys =
    SecretKeys::of_wechat("previous_push_token", "previous_push_token_file", "Token");
const AES_KEY: SecretKeys = SecretKeys::of_wechat("aes_key", "aes_key_file", "EncodingAESKey");
const PREVIOUS_AES_KEY: SecretKeys = SecretKeys::of_wechat(
    "previous_aes_key",
    "previous_aes_key_file",
    "EncodingAESKey",
);

/// Stands for an account's AppID where a URL is checked.
const SAMPLE: &str = "wx0123456789abcdef";

/// How long after their last use an account's credentials are kept alive.
const KEEP_HOURS: u64 = 24;
