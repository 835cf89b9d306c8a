//! Builds accounts from `[accounts.NAME]` and the files of `accounts_dir`.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use config::{Map, Value};

use super::redact::got;
use super::secret::{SecretKeys, secret};
use super::section::Section;
use super::{AccountDefaults, egress, layers, regular_file, safe_domains, verify_file, warnings};
use crate::account::{Account, Egress, Platform, TokenMode, is_app_id};
use crate::actix::API_KEY_PREFIX;
use crate::credential::Secret;
use crate::error::Text;

/// Validates `[account_defaults]` by itself, so that problems are reported there, even without any account.
pub(super) fn defaults(mut section: Section) -> AccountDefaults {
    let defaults = section.table().clone();
    let defaults = AccountDefaults(defaults.into_iter().collect());
    section.choice("platform", PLATFORMS);
    section.choice("token_mode", TOKEN_MODES);
    for list in ["js_safe_domains"].into_iter().chain(PAGE_LISTS) {
        section.list(list);
    }
    section.finish();
    defaults
}

/// Adds the accounts of a directory: `NAME.toml` holds the keys of `[accounts.NAME]`. Ignores other files
/// and hidden files, such as editor backups. An entry that the environment alone wrote is laid over the file of
/// its name.
///
/// Adds to `exposed` the files that hold a secret and are readable by every user of the machine. Returns whether the
/// directory could be read.
pub(super) fn add_directory(
    root: &Section,
    directory: &str,
    entries: &mut Vec<(String, Section)>,
    exposed: &mut Vec<PathBuf>,
) -> bool {
    let directory = &root.base().join(directory);
    let files = match files_of(directory) {
        Ok(files) => files,
        Err(error) => {
            let directory = directory.display();
            let Text { en, zh } = regular_file::reason(&error);
            root.report_at(
                "accounts_dir",
                format!("\"{directory}\" cannot be read: {en}"),
                format!("无法读取目录“{directory}”：{zh}"),
            );
            return false;
        }
    };
    let variables = entries.extract_if(.., |(_, section)| section.is_of_environment());
    let mut variables: HashMap<_, _> = variables.collect();
    for (name, file) in files {
        let path = file.display().to_string();
        let table = layers::one_file(&file).map_err(|found| root.report_all(found));
        let table = table.and_then(|table| check_headers(table, &path, root));
        let has_secret = table.as_ref().is_ok_and(layers::has_secret);
        if has_secret && warnings::is_exposed(&file) {
            exposed.push(file);
        }
        if let Ok(table) = &table {
            exposed.extend(warnings::exposed_files(table, directory));
        }
        // Keep an account that cannot be read: references to its name are still correct.
        let mut section = root.file(path, directory, table.ok());
        if let Some(variables) = variables.remove(&name) {
            section.override_with(variables);
        }
        entries.push((name, section));
    }
    entries.extend(variables);
    true
}

/// Returns the keys of an account's file if they have no header above them. `Err` after a problem.
fn check_headers(
    table: Map<String, Value>,
    path: &str,
    root: &Section,
) -> Result<Map<String, Value>, ()> {
    let headers = layers::section_names(&table).into_iter();
    let header = headers.filter(|name| *name != verify_file::KEY).min();
    let Some(header) = header.map(str::to_owned) else {
        return Ok(table);
    };
    root.report_at(
        path,
        format!(
            "has a section [{header}]: write the account's keys without a header, and other sections into the main configuration"
        ),
        format!("文件中有一节 [{header}]：账号的配置项不写节名，其他各节写在主配置文件中"),
    );
    Err(())
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

/// Reads all accounts, sorted by name. Leaves out those that cannot be built; any problem refuses the configuration.
pub(super) fn read(
    mut entries: Vec<(String, Section)>,
    defaults: &AccountDefaults,
) -> Vec<(String, Account)> {
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    let mut accounts: Vec<(String, Account)> = Vec::with_capacity(entries.len());
    let mut apps = HashMap::with_capacity(entries.len());
    let mut before: Option<(String, String)> = None;
    let mut seen_files = HashMap::new();
    for (name, mut section) in entries {
        check_name(&name, section.path(), &section);
        if let Some((_, first)) = before.filter(|(other, _)| *other == name) {
            section.report_at(
                section.path(),
                format!("duplicate account name, also in {first}: remove one of them"),
                format!("已有同名账号：{first}；请只保留一个"),
            );
        }
        let place = section.place();
        before = Some((name.clone(), place.clone()));
        if section.is_broken() {
            continue;
        }
        section.default_to(defaults, &INHERITED);
        let app = App::read(&mut section);
        let account = account(&app, &mut section, |section| secret(section, &APP_SECRET));
        let verify_files = verify_file::read(&mut section);
        section.finish();
        verify_file::note(&mut seen_files, &verify_files, &section);
        // Runs even if other settings are wrong, so that all problems are reported at once.
        let identity = app.account("").map(|account| account.app_identity());
        if let Some(identity) = identity
            && let Some(first) = apps.insert(identity, place)
        {
            let key = match app.platform {
                Some(Platform::Work { .. }) => "agent_id",
                _ => "app_id",
            };
            section.report_at(
                &section.own_path_of(key),
                format!("is the same app as {first}: the two would invalidate each other's tokens; remove one of them"),
                format!("与 {first} 是同一个应用，会互相使对方的凭证失效；请只保留一个"),
            );
        }
        let Some(account) = account else { continue };
        let mut account = account.verify_files_of(verify_files);
        if let Some((_, before)) = accounts.last() {
            account.share_lists(before);
        }
        accounts.push((name, account));
    }
    accounts
}

/// Checks that the name is valid. `path` is where it is written.
pub(super) fn check_name(name: &str, path: &str, section: &Section) {
    if !is_name(name) {
        section.report_at(
            path,
            "account names may have up to 64 characters: a-z, 0-9, _ and -",
            "账号名最多 64 个字符，只能用小写字母、数字、_ 和 -",
        );
    }
}

/// The app of an account, as far as it is valid.
pub(super) struct App {
    platform: Option<Platform>,
    id: Option<String>,
    /// 0 unless it is one of WeCom.
    agent_id: Option<u64>,
}

impl App {
    pub(super) fn read(section: &mut Section) -> Self {
        let platform = section.choice("platform", PLATFORMS);
        let (id, agent_id) = ids(section, platform);
        Self {
            platform,
            id,
            agent_id,
        }
    }

    /// Returns an account of this app with this secret.
    fn account(&self, secret: impl Into<Secret>) -> Option<Account> {
        let (id, agent_id) = (self.id.as_deref()?, self.agent_id?);
        match self.platform? {
            Platform::Official => Some(Account::official(id, secret)),
            Platform::Mini => Some(Account::mini(id, secret)),
            Platform::Work { .. } => Some(Account::work(id, agent_id, secret)),
            Platform::Component => None, // not one of PLATFORMS
        }
    }
}

/// Reads an account without its domain verification files, with its secret by `secret`.
pub(super) fn account(
    app: &App,
    section: &mut Section,
    secret: impl FnOnce(&mut Section) -> Option<Secret>,
) -> Option<Account> {
    let secret = secret(section);
    let mode = section.choice("token_mode", TOKEN_MODES);
    let egress = egress::read(section);
    let lists = PAGE_LISTS.map(|key| section.list(key));
    let domains = safe_domains::read(app.platform, section);
    let account = app.account(secret?)?.token_mode(mode?);
    completed(account, egress, lists, domains?)
}

/// Returns the account with what those of platforms have, too. `None` if a list is.
pub(super) fn completed(
    account: Account,
    egress: Option<Egress>,
    [apis, tags]: [Option<Vec<String>>; 2],
    domains: Vec<String>,
) -> Option<Account> {
    let account = account.js_api_list(apis?).open_tag_list(tags?);
    let account = match egress {
        Some(egress) => account.egress(egress),
        None => account,
    };
    domains.iter().try_fold(account, |account, domain| {
        account.js_safe_domain(domain).ok()
    })
}

/// Returns the app's id, and WeCom's agent id.
fn ids(section: &mut Section, platform: Option<Platform>) -> (Option<String>, Option<u64>) {
    let Some(platform) = platform else {
        section.ignore(&["app_id", "corp_id", "agent_id"]);
        return (None, None);
    };
    let is_work = matches!(platform, Platform::Work { .. });
    let (id_key, foreign, own, zh) = match is_work {
        true => (
            "corp_id",
            &["app_id"][..],
            "official or mini",
            "公众号或小程序",
        ),
        false => ("app_id", &["corp_id", "agent_id"][..], "work", "企业微信"),
    };
    let agent_id = match is_work {
        true => section.number("agent_id", 1..=u64::from(u32::MAX)),
        false => Some(0),
    };
    let name = platform.as_str();
    let foreign_keys: Vec<_> = foreign.iter().filter(|key| section.has(key)).collect();
    for key in &foreign_keys {
        section.report(
            key,
            format!("is only for platform = {own}, but this account has platform = {name}"),
            format!("仅用于{zh}，而本账号的 platform 是 {name}"),
        );
    }
    let mixed_up = !foreign_keys.is_empty() && !section.has(id_key);
    section.ignore(foreign);
    if mixed_up {
        return (None, agent_id); // the platform is wrong, so do not also report a missing id
    }
    (app_id(section, id_key), agent_id)
}

pub(super) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

/// Takes an AppID or CorpID. Refuses a secret in its place: AppIDs stand in the log and on the status page.
pub(super) fn app_id(section: &mut Section, key: &'static str) -> Option<String> {
    let id = section.text(key)?;
    let (got_en, got_zh) = got(&id);
    let is_secret = warnings::is_app_secret(&id)
        || warnings::is_work_secret(&id)
        || id.starts_with(API_KEY_PREFIX);
    let (en, zh) = if is_secret {
        (
            format!("looks like a secret: are {key} and secret exchanged?"),
            format!("像是 Secret：{key} 与 secret 是否写反了？"),
        )
    } else if id.starts_with("gh_") {
        (
            format!(
                "must be an AppID such as wx0123456789abcdef, not the account's original ID{got_en}"
            ),
            format!("应为形如 wx0123456789abcdef 的 AppID，而不是原始 ID{got_zh}"),
        )
    } else if !is_app_id(&id) {
        (
            format!(
                "must be an AppID or CorpID such as wx0123456789abcdef, copied from WeChat's console{got_en}"
            ),
            format!("应为从微信后台复制的 AppID 或 CorpID，形如 wx0123456789abcdef{got_zh}"),
        )
    } else {
        return Some(id);
    };
    section.refuse(key, en, zh)
}

/// The AgentId is read from another key.
const PLATFORMS: &[(&str, Platform)] = &[
    ("official", Platform::Official),
    ("mini", Platform::Mini),
    ("work", Platform::Work { agent_id: 0 }),
];
const TOKEN_MODES: &[(&str, TokenMode)] = &[
    ("stable", TokenMode::Stable),
    ("classic", TokenMode::Classic),
];
pub(super) const PAGE_LISTS: [&str; 2] = ["js_api_list", "open_tag_list"];
/// The keys of `[account_defaults]`.
pub(super) const INHERITED: [&str; 5] = [
    "platform",
    "token_mode",
    "js_safe_domains",
    PAGE_LISTS[0],
    PAGE_LISTS[1],
];

pub(super) const APP_SECRET: SecretKeys =
    SecretKeys::of_wechat("secret", "secret_file", "AppSecret");
