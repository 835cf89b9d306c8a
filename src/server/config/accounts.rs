//! Builds accounts from `[accounts.NAME]` and the files of `accounts_dir`.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::{Map, Value};

use super::redact::got;
use super::secret::{SecretKeys, WECHATS_CONSOLE, is_graphic, secret};
use super::section::Section;
use super::{Problems, egress, layers, regular_file, safe_domains, verify_file, warnings};
use crate::account::{Account, Platform, TokenMode, is_app_id};
use crate::actix::API_KEY_PREFIX;
use crate::credential::Secret;
use crate::error::Text;

/// Validates `[account_defaults]` by itself, so that problems are reported there, even without any account.
pub(super) fn defaults(section: Section, problems: &mut Problems) -> Section {
    let mut judged = section.clone();
    judged.choice("platform", PLATFORMS, problems);
    judged.choice("token_mode", TOKEN_MODES, problems);
    let lists = [&["js_safe_domains"], &PAGE_LISTS[..]].concat();
    for list in &lists {
        judged.list(list, problems);
    }
    judged.finish(problems);
    let mut defaults = section;
    defaults.retain(&[&["platform", "token_mode"], &lists[..]].concat());
    defaults
}

/// An account as configured, in the main file or in its own.
pub(super) struct Entry {
    pub(super) name: String,
    section: Section,
    /// Base directory of its relative secret file.
    base: Arc<Path>,
}

/// Returns the accounts of `[accounts.NAME]`.
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

/// Adds the accounts of a directory: `NAME.toml` holds the keys of `[accounts.NAME]`. Ignores other files
/// and hidden files, such as editor backups. An entry that the environment alone wrote is laid over the file of
/// its name.
///
/// Adds to `exposed` the files that hold a secret and are readable by every user of the machine. Returns whether the
/// directory could be read.
pub(super) fn add_directory(
    directory: &Path,
    entries: &mut Vec<Entry>,
    exposed: &mut Vec<PathBuf>,
    problems: &mut Problems,
) -> bool {
    let files = match files_of(directory) {
        Ok(files) => files,
        Err(error) => {
            let directory = directory.display();
            let Text { en, zh } = regular_file::reason(&error);
            problems.add(
                "accounts_dir",
                format!("\"{directory}\" cannot be read: {en}"),
                format!("无法读取目录“{directory}”：{zh}"),
            );
            return false;
        }
    };
    let base: Arc<Path> = directory.into();
    let variables = entries.extract_if(.., |entry| entry.section.is_of_environment());
    let variables = variables.map(|entry| (entry.name.clone(), entry));
    let mut variables: HashMap<_, _> = variables.collect();
    for (name, file) in files {
        let path = file.display().to_string();
        let table = layers::one_file(&file).map_err(|found| problems.0.extend(found.0));
        let table = table.and_then(|table| check_headers(table, &path, problems));
        let has_secret = table.as_ref().is_ok_and(layers::has_secret);
        if has_secret && warnings::is_exposed(&file) {
            exposed.push(file);
        }
        if let Ok(table) = &table {
            warnings::add_exposed(table, directory, exposed);
        }
        // Keep an account that cannot be read: references to its name are still correct.
        let mut section = Section::file(path, table.ok());
        if let Some(entry) = variables.remove(&name) {
            section.override_with(entry.section, &entry.base);
        }
        entries.push(Entry {
            name,
            section,
            base: base.clone(),
        });
    }
    entries.extend(variables.into_values());
    true
}

/// Returns the keys of an account's file if they have no header above them. `Err` after a problem.
fn check_headers(
    table: Map<String, Value>,
    path: &str,
    problems: &mut Problems,
) -> Result<Map<String, Value>, ()> {
    let headers = layers::section_names(&table).into_iter();
    let header = headers.filter(|name| *name != verify_file::KEY).min();
    let Some(header) = header.map(str::to_owned) else {
        return Ok(table);
    };
    problems.add(
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

/// Reads all accounts, sorted by name. Leaves out those with a problem.
pub(super) fn read(
    mut entries: Vec<Entry>,
    defaults: &Section,
    problems: &mut Problems,
) -> Vec<(String, Account)> {
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let mut accounts: Vec<(String, Account)> = Vec::with_capacity(entries.len());
    let mut apps = HashMap::with_capacity(entries.len());
    let mut before: Option<(String, String)> = None;
    let mut seen_files = verify_file::Seen::default();
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
        let app = App::read(&mut section, problems);
        let account = account(&app, &mut section, &base, problems);
        let verify_files = verify_file::read(&mut section, problems);
        section.finish(problems);
        seen_files.note(&verify_files, &section, problems);
        // Runs even if other settings are wrong, so that all problems are reported at once.
        let identity = app.account("").map(|account| account.app_identity());
        if let Some(identity) = identity
            && let Some(first) = apps.insert(identity, place)
        {
            let key = match app.platform {
                Some(Platform::Work { .. }) => "agent_id",
                _ => "app_id",
            };
            problems.add(
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

/// Checks that the name is valid and differs from the previous entry's; entries are sorted by name.
pub(super) fn check_name(
    name: &str,
    section: &Section,
    before: Option<&(String, String)>,
    problems: &mut Problems,
) {
    check_letters(name, section.path(), problems);
    if let Some((_, first)) = before.filter(|(other, _)| other == name) {
        problems.add(
            section.path(),
            format!("duplicate account name, also in {first}: remove one of them"),
            format!("已有同名账号：{first}；请只保留一个"),
        );
    }
}

/// Checks that the name is valid. `path` is where it is written.
pub(super) fn check_letters(name: &str, path: &str, problems: &mut Problems) {
    if !is_name(name) {
        problems.add(
            path,
            "account names may have up to 64 characters: a-z, 0-9, _ and -".into(),
            "账号名最多 64 个字符，只能用小写字母、数字、_ 和 -".into(),
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
    pub(super) fn read(section: &mut Section, problems: &mut Problems) -> Self {
        let platform = section.choice("platform", PLATFORMS, problems);
        let (id, agent_id) = ids(section, platform, problems);
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

fn account(
    app: &App,
    section: &mut Section,
    base: &Path,
    problems: &mut Problems,
) -> Option<Account> {
    let from_file = |section: &mut Section, problems: &mut Problems| {
        secret(section, base, &APP_SECRET, problems)
    };
    account_with(app, section, base, from_file, problems)
}

/// Reads an account without its domain verification files, with its secret by `secret`.
pub(super) fn account_with(
    app: &App,
    section: &mut Section,
    base: &Path,
    secret: impl FnOnce(&mut Section, &mut Problems) -> Option<Secret>,
    problems: &mut Problems,
) -> Option<Account> {
    let secret = secret(section, problems);
    let mode = section.choice("token_mode", TOKEN_MODES, problems);
    let egress = egress::read(section, base, problems);
    let [apis, tags] = PAGE_LISTS.map(|key| section.list(key, problems));
    let domains = safe_domains::read(app.platform, section, problems);
    let account = app
        .account(secret?)?
        .token_mode(mode?)
        .js_api_list(apis?)
        .open_tag_list(tags?);
    let account = match egress? {
        Some(egress) => account.egress(egress),
        None => account,
    };
    domains?.iter().try_fold(account, |account, domain| {
        account.js_safe_domain(domain).ok()
    })
}

/// Returns the app's id, and WeCom's agent id.
fn ids(
    section: &mut Section,
    platform: Option<Platform>,
    problems: &mut Problems,
) -> (Option<String>, Option<u64>) {
    let (id_key, foreign, agent_id) = match platform {
        Some(Platform::Work { .. }) => (
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
    let name = platform.map_or("", Platform::as_str);
    let foreign_keys: Vec<_> = foreign.iter().filter(|key| section.has(key)).collect();
    for key in &foreign_keys {
        let (own, zh) = if id_key == "corp_id" {
            ("official or mini", "公众号或小程序")
        } else {
            ("work", "企业微信")
        };
        problems.add(
            &section.path_of(key),
            format!("is only for platform = {own}, but this account has platform = {name}"),
            format!("仅用于{zh}，而本账号的 platform 是 {name}"),
        );
    }
    let mixed_up = !foreign_keys.is_empty() && !section.has(id_key);
    section.ignore(foreign);
    if mixed_up {
        return (None, agent_id); // the platform is wrong, so do not also report a missing id
    }
    (app_id(section, id_key, problems), agent_id)
}

pub(super) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

/// Takes an AppID or CorpID. Refuses a secret in its place: AppIDs stand in the log and on the status page.
pub(super) fn app_id(
    section: &mut Section,
    key: &'static str,
    problems: &mut Problems,
) -> Option<String> {
    let id = section.text(key, problems)?;
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
    problems.add(&section.path_of(key), en, zh);
    None
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

pub(super) const APP_SECRET: SecretKeys = SecretKeys {
    text: "secret",
    file: "secret_file",
    what: "AppSecret",
    from: WECHATS_CONSOLE,
    allows: is_graphic,
};
