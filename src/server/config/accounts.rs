//! `[accounts.NAME]` and the files of `accounts_dir`: settings into ready accounts.

use std::collections::{HashMap, hash_map};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::section::{Section, quoted};
use super::{Problems, layers, verify, warnings};
use crate::account::{Account, SafeDomain, TokenMode};
use crate::credential::Secret;

/// Judges `[account_defaults]` by itself, so that its mistakes are named there and even without any account.
pub(super) fn defaults(section: Section, problems: &mut Problems) -> Section {
    let mut judged = section.clone();
    judged.choice("platform", PLATFORMS, problems);
    judged.choice("token_mode", TOKEN_MODES, problems);
    for list in LISTS {
        judged.list(list, problems);
    }
    judged.finish(problems);
    let mut defaults = section;
    defaults.retain(&[&["platform", "token_mode"], &LISTS[..]].concat());
    defaults
}

/// One account as it was written, in the configuration or in a file of its own.
pub(super) struct Entry {
    pub(super) name: String,
    section: Section,
    /// What its secret file is relative to.
    base: Arc<Path>,
}

/// The accounts of `[accounts.NAME]`.
pub(super) fn in_file(section: Section, base: &Path, problems: &mut Problems) -> Vec<Entry> {
    let base: Arc<Path> = base.into();
    section
        .sections(problems)
        .into_iter()
        .map(|(name, section)| Entry {
            name,
            section,
            base: base.clone(),
        })
        .collect()
}

/// The accounts of a directory: each `NAME.toml` holds what `[accounts.NAME]` would. Other files are none of our business, nor are
/// hidden ones, which editors leave behind.
///
/// `exposed` takes the files that hold a secret and that every user of the machine can read.
pub(super) fn in_directory(
    directory: &Path,
    exposed: &mut Vec<PathBuf>,
    problems: &mut Problems,
) -> Vec<Entry> {
    let files = match files_of(directory) {
        Ok(files) => files,
        Err(error) => {
            let directory = directory.display();
            problems.add(
                "accounts_dir",
                format!("\"{directory}\" cannot be read: {error}"),
                format!("无法读取目录“{directory}”：{error}"),
            );
            return Vec::new();
        }
    };
    let base: Arc<Path> = directory.into();
    let entry = |(name, file): (String, PathBuf)| {
        let path = file.display().to_string();
        let table = layers::one_file(&file).map_err(|found| problems.0.extend(found.0));
        let holds_secret = table
            .as_ref()
            .is_ok_and(|table| table.contains_key("secret"));
        if holds_secret && warnings::is_exposed(&file) {
            exposed.push(file.clone());
        }
        // An account that cannot be read is an account all the same: whoever refers to it is not wrong.
        Entry {
            name,
            section: Section::file(path, table.ok()),
            base: base.clone(),
        }
    };
    files.into_iter().map(entry).collect()
}

fn files_of(directory: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        let path = directory.join(&name);
        let name = name.to_string_lossy();
        if let Some(stem) = name
            .strip_suffix(".toml")
            .filter(|_| !name.starts_with('.'))
        {
            files.push((stem.to_owned(), path));
        }
    }
    files.sort();
    Ok(files)
}

/// Reads all accounts, sorted by name; those with a problem are left out.
pub(super) fn read(
    mut entries: Vec<Entry>,
    defaults: &Section,
    problems: &mut Problems,
) -> Vec<(String, Account)> {
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let mut accounts: Vec<(String, Account)> = Vec::with_capacity(entries.len());
    let mut apps = HashMap::with_capacity(entries.len());
    let mut before: Option<(String, String)> = None;
    let mut proofs = verify::Seen::default();
    for Entry {
        name,
        mut section,
        base,
    } in entries
    {
        check_name(&name, &section, before.as_ref(), problems);
        let place = section.place();
        before = Some((name.clone(), place.clone()));
        if section.is_broken() {
            continue;
        }
        section.default_to(defaults);
        let account = account(&mut section, &base, problems);
        section.finish(problems);
        let Some(mut account) = account else { continue };
        proofs.note(account.verify_files(), &section, problems);
        match apps.entry(account.app_identity()) {
            hash_map::Entry::Vacant(free) => drop(free.insert(place)),
            hash_map::Entry::Occupied(first) => {
                let (first, key) = (
                    first.get(),
                    if account.platform().as_str() == "work" {
                        "agent_id"
                    } else {
                        "app_id"
                    },
                );
                problems.add(
                    &section.own_path_of(key),
                    format!("is the same app as {first}: each would retire the other's tokens; keep one of them"),
                    format!("与 {first} 是同一个应用，会互相使对方的凭证失效；请只保留一个"),
                );
            }
        }
        if let Some((_, before)) = accounts.last() {
            account.share_lists(before);
        }
        accounts.push((name, account));
    }
    accounts
}

/// A name must be one, and another than that of the entry before it in the order of names.
fn check_name(
    name: &str,
    section: &Section,
    before: Option<&(String, String)>,
    problems: &mut Problems,
) {
    if !is_name(name) {
        problems.add(
            section.path(),
            "use a-z, 0-9, _ and - in an account's name".into(),
            "账号名只能用小写字母、数字、_ 和 -".into(),
        );
    }
    if let Some((_, first)) = before.filter(|(other, _)| other == name) {
        problems.add(
            section.path(),
            format!("there is an account of this name already, in {first}: keep one of them"),
            format!("已有同名账号：{first}；请只保留一个"),
        );
    }
}

fn account(section: &mut Section, base: &Path, problems: &mut Problems) -> Option<Account> {
    let platform = section.choice("platform", PLATFORMS, problems);
    let (id, agent_id) = ids(section, platform.as_deref(), problems);
    let secret = secret(section, base, problems);
    let mode = section.choice("token_mode", TOKEN_MODES, problems);
    let [domains, apis, tags] = LISTS.map(|key| section.list(key, problems));
    let proofs = verify::read(section, problems);
    let (platform, domains, apis, tags) = (platform?, domains?, apis?, tags?);
    // Even if the rest is wrong: every problem is named at once.
    let domains = safe_domains(&platform, &domains, section, problems);
    let (id, secret, agent_id, mode) = (id?, secret?, agent_id?, mode?);
    let account = match platform.as_str() {
        "official" => Account::official(id, secret),
        "mini" => Account::mini(id, secret),
        _ => Account::work(id, agent_id, secret),
    };
    let mode = if mode == "classic" {
        TokenMode::Classic
    } else {
        TokenMode::Stable
    };
    let account = account
        .token_mode(mode)
        .js_api_list(apis)
        .open_tag_list(tags)
        .verify_files_of(proofs);
    domains?.iter().try_fold(account, |account, domain| {
        account.js_safe_domain(domain).ok()
    })
}

/// The app's id and WeCom's agent id.
fn ids(
    section: &mut Section,
    platform: Option<&str>,
    problems: &mut Problems,
) -> (Option<String>, Option<u64>) {
    let (id_key, foreign, agent_id) = match platform {
        Some("work") => (
            "corp_id",
            &["app_id"][..],
            section.number("agent_id", 1..=u64::from(u32::MAX), problems),
        ),
        Some(_) => ("app_id", &["corp_id", "agent_id"][..], Some(0)),
        None => {
            section.ignore(&["app_id", "corp_id", "agent_id"]);
            return (None, None);
        }
    };
    let strangers: Vec<_> = foreign.iter().filter(|key| section.has(key)).collect();
    for key in &strangers {
        let (own, zh) = if id_key == "corp_id" {
            ("official or mini", "公众号或小程序")
        } else {
            ("work", "企业微信")
        };
        problems.add(
            &section.path_of(key),
            format!(
                "is for platform = {own}, but this account's platform is {}",
                platform.unwrap_or_default()
            ),
            format!(
                "仅用于{zh}，而本账号的 platform 是 {}",
                platform.unwrap_or_default()
            ),
        );
    }
    let mixed_up = !strangers.is_empty() && !section.has(id_key);
    section.ignore(foreign);
    if mixed_up {
        return (None, agent_id); // the platform is what is wrong, not that the other id is missing
    }
    let id = section
        .text(id_key, problems)
        .filter(|id| check_id(id, &section.path_of(id_key), problems));
    (id, agent_id)
}

/// The domains, if all of them are some.
fn safe_domains(
    platform: &str,
    domains: &[String],
    section: &Section,
    problems: &mut Problems,
) -> Option<Vec<String>> {
    if domains.is_empty() && platform != "mini" {
        problems.add(
            &section.own_path_of("js_safe_domains"),
            "is empty: name the domains bound in WeChat's console, or anybody could have any page signed".into(),
            "不能为空：请填写微信后台绑定的 JS接口安全域名，否则任何人都能为任意页面签名".into(),
        );
        return None;
    }
    let mut good = true;
    for (domain, error) in domains
        .iter()
        .filter_map(|domain| Some((domain, SafeDomain::parse(domain).err()?)))
    {
        problems.add(
            &section.path_of("js_safe_domains"),
            error.to_string(),
            format!("“{domain}”不能作为安全域名：只写域名，例如 example.com"),
        );
        good = false;
    }
    good.then(|| domains.to_vec())
}

/// `secret`, or the content of `secret_file` without the newline that editors put at its end.
fn secret(section: &mut Section, base: &Path, problems: &mut Problems) -> Option<Secret> {
    let (has_text, has_file) = (section.has("secret"), section.has("secret_file"));
    let given = section.text_if_any("secret", problems);
    let file = section.text_if_any("secret_file", problems);
    if !has_text && !has_file {
        problems.add(
            &section.path_of("secret"),
            "is missing: write secret_file = \"/path/to/file\" or secret = \"…\" (the AppSecret)"
                .into(),
            "缺少密钥：请写 secret_file = \"文件路径\" 或 secret = \"…\"（AppSecret）".into(),
        );
        return None;
    }
    if has_text && has_file {
        let path = section.path_of("secret_file");
        problems.add(
            &path,
            "is given beside secret: keep one of them".into(),
            "与 secret 只能写一个".into(),
        );
        return None;
    }
    let (key, text) = match (given, file) {
        (Some(text), _) => ("secret", text),
        (None, file) => (
            "secret_file",
            from_file(base, &file?, &section.path_of("secret_file"), problems)?,
        ),
    };
    let text = text.trim_start_matches(BYTE_ORDER_MARK).trim();
    let (en, zh) = match text {
        "" => (
            "is empty: copy the AppSecret from WeChat's console",
            "密钥为空：请从微信后台复制 AppSecret",
        ),
        _ if !text.bytes().all(|b| b.is_ascii_graphic()) => (
            "holds blanks or characters that no AppSecret has",
            "含有空白或 AppSecret 中不会出现的字符",
        ),
        _ => return Some(Secret::new(text)),
    };
    problems.add(&section.path_of(key), en.into(), zh.into());
    None
}

fn from_file(base: &Path, file: &str, path: &str, problems: &mut Problems) -> Option<String> {
    let error = match std::fs::read_to_string(base.join(file)) {
        Ok(text) => return Some(text),
        Err(error) => error,
    };
    // Somebody may have written the secret itself here: then it must not be printed.
    if file.len() >= MIN_SECRET
        && file
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    {
        problems.add(
            path,
            format!("names no file ({error}); if this is the secret itself, call it secret, not secret_file"),
            format!("文件不存在（{error}）；如果写的就是密钥本身，请改用 secret"),
        );
    } else {
        problems.add(
            path,
            format!("\"{file}\" cannot be read: {error}"),
            format!("无法读取“{file}”：{error}"),
        );
    }
    None
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

fn check_id(id: &str, path: &str, problems: &mut Problems) -> bool {
    if id.starts_with("gh_") {
        let (en, zh) = quoted(id);
        problems.add(
            path,
            format!("{en} is the account's original ID, not its AppID: the AppID in WeChat's console looks like wx0123456789abcdef"),
            format!("{zh}是原始 ID，不是 AppID：请在微信后台查看形如 wx0123456789abcdef 的 AppID"),
        );
        return false;
    }
    let good = (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if !good {
        let (en, zh) = quoted(id);
        problems.add(
            path,
            format!("{en} is no AppID or CorpID: copy it from WeChat's console, it looks like wx0123456789abcdef"),
            format!("{zh}不是 AppID 或 CorpID：请从微信后台复制，形如 wx0123456789abcdef"),
        );
    }
    good
}

const PLATFORMS: &[&str] = &["official", "mini", "work"];
const TOKEN_MODES: &[&str] = &["stable", "classic"];
const LISTS: [&str; 3] = ["js_safe_domains", "js_api_list", "open_tag_list"];

/// What some editors put in front of a text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// An AppSecret has 32 characters, WeCom's 43.
const MIN_SECRET: usize = 32;
