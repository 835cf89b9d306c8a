//! Reads the way by which calls leave: `proxy` with its credentials, of `[upstream]` or of an account, and the
//! fallback hosts.

use std::path::Path;

use super::Problems;
use super::redact::got;
use super::secret::text_or_file;
use super::section::Section;
use crate::account::{Egress, Proxy, ProxyError};
use crate::credential::Secret;
use crate::upstream::UpstreamOptions;

/// Reads the proxy of a section. `Some(None)` if it has none, `None` after a problem.
pub(super) fn read(
    section: &mut Section,
    base: &Path,
    problems: &mut Problems,
) -> Option<Option<Egress>> {
    let before = problems.0.len();
    let mut text = |key| {
        let text = section.text_if_any(key, problems);
        text.filter(|text| !text.is_empty())
    };
    let [proxy, user, password, file] = KEYS.map(&mut text);
    let given = [&user, &password, &file];
    let given = KEYS[1..].iter().zip(given).find(|(_, it)| it.is_some());
    if let Some((key, _)) = given.filter(|_| proxy.as_deref().is_none_or(|it| it == NONE)) {
        problems.add(
            &section.path_of(key),
            "is for a proxy, and none is set: write proxy = \"http://host:port\" next to it".into(),
            "没有设置代理：请在旁边写上 proxy = \"http://主机:端口\"".into(),
        );
    }
    let credentials = credentials(section, base, [user, password, file], problems);
    let egress = match proxy.as_deref() {
        None => None,
        Some(NONE) => Some(Egress::Direct),
        Some(url) => match Proxy::parse(url) {
            Ok(proxy) => Some(Egress::Proxy(match credentials {
                Some((user, password)) => proxy.credentials(&user, password),
                None => proxy,
            })),
            Err(error) => {
                let (en, zh) = explained(error, url);
                problems.add(&section.path_of("proxy"), en, zh);
                None
            }
        },
    };
    (problems.0.len() == before).then_some(egress)
}

fn explained(error: ProxyError, url: &str) -> (String, String) {
    let (got_en, got_zh) = got(url);
    match error {
        ProxyError::Credentials => (
            "must not contain a user name or a password: write them as proxy_user and proxy_password (or proxy_password_file)".into(),
            "地址中不能写用户名和密码：请改用 proxy_user 与 proxy_password（或 proxy_password_file）".into(),
        ),
        ProxyError::Scheme | ProxyError::Address | ProxyError::Path => (
            format!("must be http://, https://, socks5:// or socks5h:// with a host and a port, \"none\", or empty{got_en}"),
            format!("应为 http://、https://、socks5:// 或 socks5h:// 加主机和端口，或 \"none\"，或留空{got_zh}"),
        ),
    }
}

fn credentials(
    section: &Section,
    base: &Path,
    [user, password, file]: [Option<String>; 3],
    problems: &mut Problems,
) -> Option<(String, Secret)> {
    let keys = ["proxy_password", "proxy_password_file"];
    let password = text_or_file(section, base, keys, [password, file], problems).ok()?;
    match (user, password) {
        (None, None) => None,
        (None, Some(_)) => {
            problems.add(
                &section.path_of("proxy_user"),
                "is missing: the proxy's password needs a user name".into(),
                "缺少用户名：已设置代理的密码".into(),
            );
            None
        }
        (Some(user), _) if user.contains(':') => {
            problems.add(
                &section.path_of("proxy_user"),
                "must not contain a colon: the password belongs into proxy_password".into(),
                "不能含有冒号：密码请写在 proxy_password".into(),
            );
            None
        }
        (Some(user), password) => Some((user, Secret::new(password.unwrap_or_default()))),
    }
}

/// Reads the fallback hosts of `weixin`.
pub(super) fn fallback(
    section: &mut Section,
    weixin: Option<&str>,
    problems: &mut Problems,
) -> Option<Vec<String>> {
    let path = section.path_of("fallback");
    let bases = section.list("fallback", problems)?;
    let bases: Vec<_> = bases
        .iter()
        .map(|base| base.trim_end_matches('/').to_owned())
        .collect();
    for (at, base) in bases.iter().enumerate() {
        if !UpstreamOptions::is_base_url(base) {
            let (en, zh) = got(base);
            problems.add(
                &path,
                format!(
                    "must be base URLs such as https://api2.weixin.qq.com, without a user name{en}"
                ),
                format!("应为 https://api2.weixin.qq.com 这样的地址，不含用户名{zh}"),
            );
            return None;
        }
        if Some(base.as_str()) == weixin || bases[..at].contains(base) {
            problems.add(
                &path,
                format!("names {base} twice: a fallback must be another host"),
                format!("{base} 重复：备用地址应为不同的主机"),
            );
            return None;
        }
    }
    Some(bases)
}

pub(super) const KEYS: [&str; 4] = [
    "proxy",
    "proxy_user",
    "proxy_password",
    "proxy_password_file",
];

/// The value of `proxy` for calls that leave directly, whatever the environment says.
const NONE: &str = "none";
