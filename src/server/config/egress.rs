//! Reads the way by which calls leave: `proxy` with its credentials, of `[upstream]` or of an account, and the
//! fallback hosts.

use super::redact::got;
use super::secret::text_or_file;
use super::section::Section;
use crate::account::{Egress, Proxy, ProxyError};
use crate::credential::Secret;
use crate::upstream::UpstreamOptions;

/// Reads the proxy of a section. `None` if it has none, or after a problem.
pub(super) fn read(section: &mut Section) -> Option<Egress> {
    let [proxy, user, password, file] =
        KEYS.map(|key| section.text_if_any(key).filter(|text| !text.is_empty()));
    let given = [&user, &password, &file];
    let given = KEYS[1..].iter().zip(given).find(|(_, it)| it.is_some());
    if let Some((key, _)) = given.filter(|_| proxy.as_deref().is_none_or(|it| it == NONE)) {
        section.report(
            key,
            "is for a proxy, and none is set: write proxy = \"http://host:port\" next to it",
            "没有设置代理：请在旁边写上 proxy = \"http://主机:端口\"",
        );
    }
    let credentials = credentials(section, [user, password, file]);
    match proxy.as_deref() {
        None => None,
        Some(NONE) => Some(Egress::Direct),
        Some(url) => match Proxy::parse(url) {
            Ok(proxy) => Some(Egress::Proxy(match credentials {
                Some((user, password)) => proxy.credentials(&user, password),
                None => proxy,
            })),
            Err(error) => {
                let (en, zh) = explained(error, url);
                section.refuse("proxy", en, zh)
            }
        },
    }
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
    [user, password, file]: [Option<String>; 3],
) -> Option<(String, Secret)> {
    let keys = ["proxy_password", "proxy_password_file"];
    let password = text_or_file(section, keys, [password, file]).ok()?;
    match (user, password) {
        (None, None) => None,
        (None, Some(_)) => section.refuse(
            "proxy_user",
            "is missing: the proxy's password needs a user name",
            "缺少用户名：已设置代理的密码",
        ),
        (Some(user), _) if user.contains(':') => section.refuse(
            "proxy_user",
            "must not contain a colon: the password belongs into proxy_password",
            "不能含有冒号：密码请写在 proxy_password",
        ),
        (Some(user), password) => Some((user, Secret::new(password.unwrap_or_default()))),
    }
}

/// Reads the fallback hosts of `weixin`.
pub(super) fn fallback(section: &mut Section, weixin: Option<&str>) -> Option<Vec<String>> {
    let bases = section.each("fallback", |text| {
        match UpstreamOptions::is_base_url(text) {
            true => Ok(text.trim_end_matches('/').to_owned()),
            false => Err((
                "must be base URLs such as https://api2.weixin.qq.com, without a user name",
                "应为 https://api2.weixin.qq.com 这样的地址，不含用户名",
            )),
        }
    })?;
    for (at, base) in bases.iter().enumerate() {
        if Some(base.as_str()) == weixin || bases[..at].contains(base) {
            return section.refuse(
                "fallback",
                format!("names {base} twice: a fallback must be another host"),
                format!("{base} 重复：备用地址应为不同的主机"),
            );
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
