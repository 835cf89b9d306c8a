//! Settings that are valid but probably wrong. Only warnings, since WeChat may change the format of its ids
//! and add interfaces.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use config::{Map, Value};

use super::redact::quoted;
use super::secret::WECHATS_CONSOLE;
use super::section::nearest;
use super::{Problem, Problems, Settings, StoreKind, layers};
use crate::account::{Account, Platform};
use crate::actix::API_KEY_PREFIX;
use crate::error::Text;

impl Settings {
    /// Returns the probable mistakes, each with its setting's path, for `check`.
    pub fn warnings(&self) -> Vec<Problem> {
        let mut found = Problems::default();
        for path in &self.exposed {
            found.add(
                &path.display().to_string(),
                "contains a secret and is readable by every user of this machine: run chmod o-r (a Kubernetes volume: defaultMode: 0440)".into(),
                "含有 AppSecret 等机密，且本机所有用户可读：请执行 chmod o-r（Kubernetes 的卷：defaultMode: 0440）".into(),
            );
        }
        for setting in self.without_tls() {
            found.add(
                setting,
                "is http://, so AppSecrets and tokens leave in plain text: write https://".into(),
                "为 http://，AppSecret 和 token 会以明文发送：请改用 https://".into(),
            );
        }
        for (name, account) in &self.accounts {
            self.check_app(&format!("accounts.{name}"), account, &mut found);
        }
        self.check_unused_domains(&mut found);
        self.check_shared_secrets(&mut found);
        for platform in &self.platforms {
            let section = format!("platforms.{}", platform.name);
            self.check_app(&section, &platform.account, &mut found);
            if platform.account.safe_domains().is_empty() {
                found.add(
                    &format!("{section}.js_safe_domains"),
                    "is empty, so pages of official accounts are not signed: list 公众号开发域名, unless only mini programs authorise the platform".into(),
                    "为空，因此不为授权公众号的页面签名：请填写公众号开发域名；只有小程序授权的平台无需填写".into(),
                );
            }
        }
        if !self.platforms.is_empty() && self.store.kind == StoreKind::Memory {
            found.add(
                "store.kind",
                "is memory, so a restart loses the refresh tokens of [platforms]: set file, redis or sql. What is lost comes back from WeChat's list of authorised accounts".into(),
                "为 memory，重启会丢失 [platforms] 的 refresh token：请改用 file、redis 或 sql。丢失的部分会从微信的授权列表中恢复".into(),
            );
        }
        if self.server.api_keys.has_manager() && self.store.kind == StoreKind::Memory {
            found.add(
                "store.kind",
                "is memory, so a restart loses the accounts that keys with manage add: set file, redis or sql".into(),
                "为 memory，重启会丢失经带 manage 的 API key 添加的账号：请改用 file、redis 或 sql".into(),
            );
        }
        self.check_names("js_api_list", Account::js_apis, JS_APIS, &mut found);
        self.check_names("open_tag_list", Account::open_tags, OPEN_TAGS, &mut found);
        found.0
    }

    /// Logs what exposes secrets: hosts of WeChat that are called without TLS, and the first file that holds a secret
    /// and is readable by every user, with the number of such files.
    pub fn log_exposed_secrets(&self) {
        for setting in self.without_tls() {
            tracing::warn!(
                setting,
                "WeChat is called without TLS: secrets leave in plain text"
            );
        }
        if let Some(file) = self.exposed.first() {
            tracing::warn!(
                file = %file.display(), files = self.exposed.len(),
                "configuration file with a secret is readable by every user"
            );
        }
    }

    /// Returns the settings of WeChat's hosts that are called without TLS.
    fn without_tls(&self) -> impl Iterator<Item = &'static str> {
        let upstream = &self.upstream;
        let bases = [
            ("upstream.weixin", &upstream.weixin),
            ("upstream.qyapi", &upstream.qyapi),
        ];
        let fallbacks = upstream.fallback.iter();
        let fallbacks = fallbacks.map(|base| ("upstream.fallback", base));
        bases
            .into_iter()
            .chain(fallbacks)
            .filter(|(_, base)| is_wechats(base) && !base.to_lowercase().starts_with("https:"))
            .map(|(setting, _)| setting)
    }

    fn check_app(&self, section: &str, account: &Account, found: &mut Problems) {
        check_id(section, account, found);
        self.check_secret(section, account, found);
    }

    /// Warns about domains of a mini program, unless they may come from `[account_defaults]`.
    fn check_unused_domains(&self, found: &mut Problems) {
        if !self.account_defaults.list("js_safe_domains").is_empty() {
            return;
        }
        for (name, account) in &self.accounts {
            if account.platform() == Platform::Mini && !account.safe_domains().is_empty() {
                found.add(
                    &format!("accounts.{name}.js_safe_domains"),
                    "signs no pages, since platform is mini: remove it, or set platform = \"official\" if the AppID is an official account's".into(),
                    "不起作用：platform 为 mini，小程序不为页面签名。请删除此项；若 AppID 属于公众号/服务号，请设置 platform = \"official\"".into(),
                );
            }
        }
    }

    /// Warns about apps of one corp with the same secret. WeCom issues the token by the secret alone, so no call to
    /// WeCom reveals a wrong `agent_id`.
    fn check_shared_secrets(&self, found: &mut Problems) {
        let mut seen = HashMap::new();
        for (name, account) in &self.accounts {
            let is_work = matches!(account.platform(), Platform::Work { .. });
            if !is_work || self.is_api_key(account) {
                continue;
            }
            let app = (account.app_id(), account.secret().expose());
            if let Some(first) = seen.insert(app, name) {
                found.add(
                    &format!("accounts.{name}.secret"),
                    format!("is the same as that of accounts.{first}, but each app of a corp has its own: copy the secret of the app with this agent_id"),
                    format!("与 accounts.{first} 的相同，而同一企业的每个应用各有自己的 Secret：请复制 agent_id 对应应用的 Secret"),
                );
            }
        }
    }

    fn check_secret(&self, section: &str, account: &Account, found: &mut Problems) {
        let secret = account.secret().expose();
        let (good, en, zh) = match account.platform() {
            Platform::Work { .. } => (
                is_work_secret(secret),
                "a secret of a WeCom app (43 letters, digits, - and _)",
                "企业微信应用的 Secret（43 位字母、数字、- 和 _）",
            ),
            _ => (
                is_app_secret(secret),
                "an AppSecret (32 hex digits)",
                " AppSecret（32 位十六进制字符）",
            ),
        };
        if !good && !self.is_api_key(account) {
            let console = console_of(account);
            found.add(
                &format!("{section}.secret"),
                format!("does not look like {en}: copy it from {} again", console.en),
                format!("不像{zh}，请从{}重新复制", console.zh),
            );
        }
    }

    /// Returns whether the secret is an API key: another wx-jssdk is the upstream.
    fn is_api_key(&self, account: &Account) -> bool {
        let upstream = match account.platform() {
            Platform::Work { .. } => &self.upstream.qyapi,
            _ => &self.upstream.weixin,
        };
        account.secret().expose().starts_with(API_KEY_PREFIX) && !is_wechats(upstream)
    }

    /// Warns once per name, even if many accounts inherit it.
    fn check_names(
        &self,
        list: &'static str,
        of: fn(&Account) -> &[String],
        known: &[&'static str],
        found: &mut Problems,
    ) {
        let mut unknown: BTreeMap<&str, (&str, Option<&str>)> = BTreeMap::new();
        for (account_name, account) in &self.accounts {
            // WeCom has too many interfaces for a table: for its accounts report only probable typos.
            let is_work = matches!(account.platform(), Platform::Work { .. });
            for name in of(account)
                .iter()
                .filter(|name| !known.contains(&name.as_str()))
            {
                let nearest = nearest(name, known.iter().copied(), 2, str::to_lowercase);
                if nearest.is_some() || !is_work {
                    unknown.entry(name).or_insert((account_name, nearest));
                }
            }
        }
        let inherited = self.account_defaults.list(list);
        for (name, (account, nearest)) in unknown {
            let (en, zh) = quoted(name);
            let (and_en, and_zh) = match nearest {
                Some(nearest) => (
                    format!("; did you mean {nearest}?"),
                    format!("；是否想写 {nearest}？"),
                ),
                None => (String::new(), String::new()),
            };
            let path = if inherited.iter().any(|inherited| inherited == name) {
                format!("account_defaults.{list}")
            } else {
                format!("accounts.{account}.{list}")
            };
            found.add(
                &path,
                format!("{en} is not an interface of WeChat's JS-SDK 1.6.0{and_en}"),
                format!("{zh}不是微信 JS-SDK 1.6.0 的接口{and_zh}"),
            );
        }
    }
}

/// Returns the files of secrets in a table that every user of the machine can read. Container runtimes put a
/// container's own into /run/secrets, also named /var/run/secrets.
pub(super) fn exposed_files(table: &Map<String, Value>, base: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    layers::secret_files(table, base, &mut files);
    let is_containers = |file: &Path| {
        ["/run/secrets", "/var/run/secrets"]
            .iter()
            .any(|directory| file.starts_with(directory))
    };
    files.retain(|file| !is_containers(file) && is_exposed(file));
    files
}

/// Returns whether every user of the machine can read the file. Access for a group may be intended.
pub(super) fn is_exposed(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|file| file.permissions().mode() & 0o004 != 0)
}

fn check_id(section: &str, account: &Account, found: &mut Problems) {
    let id = account.app_id();
    let has_shape = |prefix: &str| {
        id.strip_prefix(prefix).is_some_and(|digits| {
            digits.len() == 16
                && digits
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        })
    };
    // Service providers see the CorpIDs of their clients encrypted.
    let is_encrypted = id
        .strip_prefix("wp")
        .is_some_and(|rest| rest.len() >= 16 && rest.bytes().all(is_base64));
    let (good, key, en, zh) = match account.platform() {
        Platform::Work { .. } => (
            has_shape("ww") || has_shape("wx") || is_encrypted,
            "corp_id",
            "a CorpID (ww or wx, then 16 hex digits; a service provider's: wp, then letters, digits, - and _)",
            " CorpID（ww 或 wx 加 16 位十六进制字符；服务商看到的为 wp 加字母、数字、- 和 _）",
        ),
        Platform::Component => (has_shape("wx"), "component_appid", APP_ID_EN, APP_ID_ZH),
        _ => (has_shape("wx"), "app_id", APP_ID_EN, APP_ID_ZH),
    };
    if !good {
        let (quoted_en, quoted_zh) = quoted(id);
        let console = console_of(account);
        found.add(
            &format!("{section}.{key}"),
            format!(
                "{quoted_en} does not look like {en}: compare it with {}",
                console.en
            ),
            format!("{quoted_zh}不像{zh}，请与{}核对", console.zh),
        );
    }
}

/// Returns the console that shows the ids and the secret of this account.
fn console_of(account: &Account) -> Text {
    match account.platform() {
        Platform::Work { .. } => Text::new("WeCom's admin console", "企业微信管理后台"),
        _ => WECHATS_CONSOLE,
    }
}

/// Returns whether the text has the shape of an AppSecret.
pub(super) fn is_app_secret(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Returns whether the text has the shape of a WeCom app's secret.
pub(super) fn is_work_secret(text: &str) -> bool {
    text.len() == 43 && text.bytes().all(is_base64)
}

const APP_ID_EN: &str = "an AppID (wx, then 16 hex digits)";
const APP_ID_ZH: &str = " AppID（wx 加 16 位十六进制字符）";

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// Returns whether the base URL is WeChat's or WeCom's own host.
fn is_wechats(base: &str) -> bool {
    let url = url::Url::parse(base).ok();
    url.is_some_and(|url| url.host_str().is_some_and(|host| host.ends_with(".qq.com")))
}

/// The interfaces of jweixin 1.6.0.
const JS_APIS: &[&str] = &[
    "addCard",
    "checkJsApi",
    "chooseCard",
    "chooseImage",
    "chooseWXPay",
    "closeWindow",
    "consumeAndShareCard",
    "downloadImage",
    "downloadVoice",
    "getLocalImgData",
    "getLocation",
    "getNetworkType",
    "hideAllNonBaseMenuItem",
    "hideMenuItems",
    "hideOptionMenu",
    "launchMiniProgram",
    "onMenuShareAppMessage",
    "onMenuShareQQ",
    "onMenuShareQZone",
    "onMenuShareTimeline",
    "onMenuShareWeibo",
    "onSearchBeacons",
    "onVoicePlayEnd",
    "onVoiceRecordEnd",
    "openAddress",
    "openBusinessView",
    "openCard",
    "openEnterpriseChat",
    "openEnterpriseRedPacket",
    "openLocation",
    "openProductSpecificView",
    "pauseVoice",
    "playVoice",
    "previewImage",
    "scanQRCode",
    "showAllNonBaseMenuItem",
    "showMenuItems",
    "showOptionMenu",
    "startRecord",
    "startSearchBeacons",
    "stopRecord",
    "stopSearchBeacons",
    "stopVoice",
    "translateVoice",
    "updateAppMessageShareData",
    "updateTimelineShareData",
    "uploadImage",
    "uploadVoice",
];

/// The open tags of jweixin 1.6.0.
const OPEN_TAGS: &[&str] = &[
    "wx-open-audio",
    "wx-open-launch-app",
    "wx-open-launch-weapp",
    "wx-open-subscribe",
];
