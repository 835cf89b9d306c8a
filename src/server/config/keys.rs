//! `[[server.api_keys]]`: the API keys of the admin listener. Holds only their hashes, which are never
//! printed.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;

use super::accounts::is_name;
use super::section::Section;
use crate::account::is_app_id;
use crate::actix::{API_KEY_PREFIX, ApiKey, ApiKeys, Call, KeyHash, TokenStyle};
use crate::credential::Kind;

/// Reads all keys. Leaves out those with a problem. `names`: those of all accounts and platforms, and `PLATFORM/*`;
/// `None` if not all of them could be read.
pub(super) fn read(sections: Vec<Section>, names: Option<&HashSet<String>>) -> ApiKeys {
    let mut keys: Vec<ApiKey> = Vec::with_capacity(sections.len());
    let manages = |section: &Section| section.unreported().flag("manage") == Some(true);
    // Then accounts may be added later.
    let has_manager = sections.iter().any(manages);
    let mut key_names: HashMap<String, String> = HashMap::new();
    let mut hashes: HashMap<String, String> = HashMap::new();
    for mut section in sections {
        let name = name(&mut section);
        let hash = hash(&mut section);
        // Runs even if other settings are wrong, so that all problems are reported at once.
        let path = section.path().to_owned();
        if let Some(name) = &name
            && let Some(first) = key_names.insert(name.clone(), path.clone())
        {
            section.report(
                "name",
                format!("duplicate name \"{name}\", also of {first}: use different names, so that the logs distinguish the keys"),
                format!("“{name}”与 {first} 重名：请给每个 key 不同的名称，日志靠它区分"),
            );
        }
        if let Some(hash) = &hash
            && let Some(first) = hashes.insert(hash.to_string(), path)
        {
            section.report(
                "sha256",
                format!("is the same key as {first}: create another with wx-jssdk keys new"),
                format!("与 {first} 是同一个 key：请用 wx-jssdk keys new 另外生成"),
            );
        }
        let key = key(name, hash, &mut section, names, has_manager);
        section.finish();
        keys.extend(key);
    }
    ApiKeys::new(keys)
}

fn key(
    name: Option<String>,
    hash: Option<KeyHash>,
    section: &mut Section,
    names: Option<&HashSet<String>>,
    has_manager: bool,
) -> Option<ApiKey> {
    let accounts = scope(section, "accounts", |name| {
        let exists = |name: &str| names.is_none_or(|names| names.contains(name));
        match name.split_once('/') {
            // The account may authorise the platform later.
            Some((platform, app_id)) if exists(&format!("{platform}/*")) => {
                match app_id == "*" || (is_app_id(app_id) && !app_id.starts_with("gh_")) {
                    true => Ok(name.to_owned()),
                    false => Err((
                        "must be PLATFORM/* or PLATFORM/ and an AppID such as wx0123456789abcdef",
                        "应为“平台名/*”或“平台名/AppID”，AppID 形如 wx0123456789abcdef",
                    )),
                }
            }
            None if exists(name) || (has_manager && is_name(name)) => Ok(name.to_owned()),
            _ => Err((
                "must be the name of an account; one that the admin API added needs a key with manage = true (to end a leaked one, give it another sha256)",
                "应为一个账号的名称；管理接口添加的账号需要有一个 manage = true 的 key（该 key 泄露时，请更换其 sha256）",
            )),
        }
    });
    let kinds = scope(section, "kinds", |name| {
        name.parse::<Kind>().map_err(|_| {
            let kinds = Kind::ALL.map(Kind::as_str).join(", ");
            (
                format!("must be one of: {kinds}"),
                format!("应为以下之一：{kinds}"),
            )
        })
    });
    // An empty list allows none, as without it.
    let calls = section.optional("calls", Vec::new(), |section, key| {
        section.each(key, |text| {
            text.parse::<Call>().ok().ok_or((
                "must be a path of WeChat's API such as \"/cgi-bin/message/\", or \"POST /wxa/\"",
                "应为微信接口的路径，如 \"/cgi-bin/message/\" 或 \"POST /wxa/\"",
            ))
        })
    });
    let token = section.optional("token", TokenStyle::Real, |section, key| {
        section.choice(key, TOKEN_STYLES)
    });
    let manage = section.optional("manage", false, Section::flag);
    Some(ApiKey {
        name: name?,
        hash: hash?,
        accounts: accounts?,
        kinds: kinds?,
        calls: calls?,
        manage: manage?,
        token: token?,
    })
}

/// Returns whether a key may have this name. Names are printed, so the rules exclude a key that was pasted as
/// the name.
pub fn is_key_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len())
        && !name.starts_with(API_KEY_PREFIX)
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
}

fn name(section: &mut Section) -> Option<String> {
    let name = section.text("name")?;
    if is_key_name(&name) {
        return Some(name);
    }
    section.refuse(
        "name",
        format!(
            "must be up to {LONGEST_NAME} letters, digits, _ - and ., and not the API key itself"
        ),
        format!(
            "名称最多 {LONGEST_NAME} 个字符，只能用字母、数字、_ - 和 .，且不能是 API key 本身"
        ),
    )
}

fn hash(section: &mut Section) -> Option<KeyHash> {
    let text = section.text("sha256")?;
    let hash = KeyHash::from_hex(&text);
    let (en, zh) = match hash {
        None => (
            "must be 64 hex digits, the SHA-256 of the API key: wx-jssdk keys new prints a key and this line",
            "应为 64 位十六进制数（API key 的 SHA-256）：wx-jssdk keys new 会生成 API key 及对应的配置行",
        ),
        Some(hash) if hash == KeyHash::of("") => (
            "is the SHA-256 of the empty text, so the key was empty when it was hashed: wx-jssdk keys new prints a key and this line",
            "是空文本的 SHA-256，计算时 key 为空：wx-jssdk keys new 会生成 API key 及对应的配置行",
        ),
        good => return good,
    };
    section.refuse("sha256", en, zh)
}

/// Reads a scope of a key. `Some(None)`: no limit. `None`: only after adding a problem.
fn scope<T, D: Display>(
    section: &mut Section,
    key: &'static str,
    read: impl Fn(&str) -> Result<T, (D, D)>,
) -> Option<Option<Vec<T>>> {
    section.optional(key, None, |section, key| {
        let values = section.each(key, read)?;
        if values.is_empty() {
            return section.refuse(
                key,
                "is empty, so the key allows nothing: remove it to allow everything",
                "为空，此 key 将无任何权限：若不限制请删除此项",
            );
        }
        Some(Some(values))
    })
}

const TOKEN_STYLES: &[(&str, TokenStyle)] =
    &[("real", TokenStyle::Real), ("virtual", TokenStyle::Virtual)];

/// Shorter than any key or secret.
const LONGEST_NAME: usize = 30;
