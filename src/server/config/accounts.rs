//! `[accounts.NAME]`: settings into ready accounts.

use std::collections::HashMap;
use std::path::Path;

use super::Problems;
use super::section::Section;
use crate::account::{Account, TokenMode};
use crate::credential::Secret;

/// Reads all accounts; those with a problem are left out.
pub(super) fn read(section: Section, defaults: &Section, base: &Path, problems: &mut Problems) -> Vec<(String, Account)> {
    let mut accounts = Vec::new();
    let mut apps: HashMap<String, String> = HashMap::new();
    for (name, mut section) in section.sections(problems) {
        if !is_name(&name) {
            let path = section.path().to_owned();
            problems.add(
                &path,
                "use a-z, 0-9, _ and - in an account's name".into(),
                "帐号名只能用小写字母、数字、_ 和 -".into(),
            );
        }
        section.default_to(defaults);
        let id_path = section.path().to_owned();
        let account = account(&mut section, base, problems);
        section.finish(problems);
        let Some(account) = account else { continue };
        if let Some(first) = apps.insert(account.app_key().to_string(), name.clone()) {
            problems.add(
                &format!("{id_path}.{}", if account.platform().as_str() == "work" { "agent_id" } else { "app_id" }),
                format!("is the same app as [accounts.{first}]: each would retire the other's tokens; keep one of them"),
                format!("与 [accounts.{first}] 是同一个应用，会互相使对方的凭证失效；请只保留一个"),
            );
        }
        accounts.push((name, account));
    }
    accounts
}

fn account(section: &mut Section, base: &Path, problems: &mut Problems) -> Option<Account> {
    let platform = section.choice("platform", &["official", "mini", "work"], problems);
    let (id_key, agent_id) = match platform.as_deref() {
        Some("work") => ("corp_id", section.number("agent_id", 1..=u64::from(u32::MAX), problems)),
        _ => ("app_id", Some(0)),
    };
    let id = section.text(id_key, problems).filter(|id| check_id(id, &section.path_of(id_key), problems));
    let secret = secret(section, base, problems);
    let mode = section.choice("token_mode", &["stable", "classic"], problems);
    let domains = section.list("js_safe_domains", problems)?;
    let (apis, tags) = (section.list("js_api_list", problems)?, section.list("open_tag_list", problems)?);
    let platform = platform?;
    let (id, secret, agent_id, mode) = (id?, secret?, agent_id?, mode?);
    let account = match platform.as_str() {
        "official" => Account::official(id, secret),
        "mini" => Account::mini(id, secret),
        _ => Account::work(id, agent_id, secret),
    };
    let mode = if mode == "classic" { TokenMode::Classic } else { TokenMode::Stable };
    let account = account.token_mode(mode).js_api_list(apis).open_tag_list(tags);
    with_domains(account, &domains, section, problems)
}

fn with_domains(mut account: Account, domains: &[String], section: &Section, problems: &mut Problems) -> Option<Account> {
    let path = section.path_of("js_safe_domains");
    if domains.is_empty() && account.platform().as_str() != "mini" {
        problems.add(
            &path,
            "is empty: name the domains bound in WeChat's console, or anybody could have any page signed".into(),
            "不能为空：请填写微信后台绑定的 JS接口安全域名，否则任何人都能为任意页面签名".into(),
        );
        return None;
    }
    let mut good = true;
    for domain in domains {
        match account.clone().js_safe_domain(domain) {
            Ok(more) => account = more,
            Err(error) => {
                problems.add(&path, error.to_string(), format!("“{domain}”不能作为安全域名：只写域名，例如 example.com"));
                good = false;
            }
        }
    }
    good.then_some(account)
}

/// `secret`, or the content of `secret_file` without the newline that editors put at its end.
fn secret(section: &mut Section, base: &Path, problems: &mut Problems) -> Option<Secret> {
    let given = section.text_if_any("secret", problems);
    let file = section.text_if_any("secret_file", problems);
    let text = match (given, file) {
        (Some(_), Some(_)) => {
            let path = section.path_of("secret_file");
            problems.add(&path, "is given beside secret: keep one of them".into(), "与 secret 只能写一个".into());
            return None;
        }
        (None, None) => {
            problems.add(
                &section.path_of("secret"),
                "is missing: write secret_file = \"/path/to/file\" or secret = \"…\" (the AppSecret)".into(),
                "缺少密钥：请写 secret_file = \"文件路径\" 或 secret = \"…\"（AppSecret）".into(),
            );
            return None;
        }
        (Some(text), None) => text,
        (None, Some(file)) => match std::fs::read_to_string(base.join(&file)) {
            Ok(text) => text,
            Err(error) => {
                let path = section.path_of("secret_file");
                problems.add(&path, format!("\"{file}\" cannot be read: {error}"), format!("无法读取“{file}”：{error}"));
                return None;
            }
        },
    };
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
        let path = section.path_of("secret");
        problems.add(&path, "is empty or holds blanks".into(), "密钥为空或含有空白字符".into());
        return None;
    }
    Some(Secret::new(text))
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

fn check_id(id: &str, path: &str, problems: &mut Problems) -> bool {
    let good = (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if !good {
        problems.add(
            path,
            format!("\"{id}\" is no AppID or CorpID: copy it from WeChat's console, it looks like wx0123456789abcdef"),
            format!("“{id}”不是 AppID 或 CorpID：请从微信后台复制，形如 wx0123456789abcdef"),
        );
    }
    good
}
