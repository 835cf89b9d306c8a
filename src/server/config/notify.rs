//! `[notify]`: the webhooks that are told of outages.

use std::time::Duration;

use super::accounts::is_name;
use super::redact::quoted;
use super::secret::{SecretKeys, is_graphic, secret, secret_if_any};
use super::section::Section;
use crate::account::egress::is_host;
use crate::credential::Secret;
use crate::error::Text;
use crate::server::pages::Lang;

/// `[notify]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifySettings {
    /// The language of the messages.
    pub(in crate::server) language: Lang,
    /// How long a fault has to last before it is reported, and its end before the recovery is.
    pub settle: Duration,
    /// How soon an outage that has grown is reported again; zero: never.
    pub repeat: Duration,
    /// `[notify.webhooks.NAME]`, sorted by name.
    pub webhooks: Vec<WebhookSettings>,
}

/// `[notify.webhooks.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Its name, for logs and metrics.
    pub name: String,
    /// The service behind the URL, which decides the shape of messages.
    pub kind: WebhookKind,
    /// The URL. Its holder can post messages, so it is a secret.
    pub url: Secret,
    /// The key of signatures, if the robot requires them.
    pub secret: Option<Secret>,
}

/// The services whose webhooks are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookKind {
    /// A robot in a WeCom group (企业微信群机器人).
    Wecom,
    /// A robot in a DingTalk group (钉钉).
    Dingtalk,
    /// A robot in a Feishu or Lark group (飞书).
    Feishu,
    /// A program of one's own.
    Json,
}

impl NotifySettings {
    pub(super) fn read(section: &mut Section) -> Option<Self> {
        let language = section.choice("language", &[("zh", Lang::Zh), ("en", Lang::En)]);
        let settle = section.number("settle_seconds", 0..=3_600);
        let repeat = section.number::<u64>("repeat_minutes", 0..=10_080);
        let webhooks = section.named_sections("webhooks").sections();
        section.finish();
        let webhooks: Vec<_> = webhooks
            .into_iter()
            .filter_map(|(name, section)| WebhookSettings::read(name, section))
            .collect();
        Some(Self {
            language: language?,
            settle: Duration::from_secs(settle?),
            repeat: Duration::from_secs(repeat? * 60),
            webhooks,
        })
    }
}

impl WebhookSettings {
    fn read(name: String, mut section: Section) -> Option<Self> {
        if section.is_broken() {
            return None; // reported before
        }
        if !is_name(&name) {
            let (en, zh) = quoted(&name);
            section.report_at(
                section.path(),
                format!("{en} is not a name: use lower-case letters, digits, _ and -"),
                format!("{zh}不能作为名称：请用小写字母、数字、_ 和 -"),
            );
        }
        let kind = section.choice("type", KINDS);
        for file in [URL.file, SECRET.file] {
            section.take_if_empty(file);
        }
        let url = secret(&mut section, &URL);
        let secret = secret_if_any(&mut section, &SECRET);
        section.finish();
        // The text is a secret: never quote it.
        if url.as_ref().is_some_and(|url| !is_address(url.expose())) {
            section.report(
                URL.text,
                "must be the whole address of a webhook: https://...",
                "应为完整的 webhook 地址：https://…",
            );
        }
        if matches!(kind, Some(WebhookKind::Wecom | WebhookKind::Json)) && secret.is_some() {
            section.report(
                "secret",
                "is for dingtalk and feishu: other webhooks have no signature",
                "仅用于 dingtalk 和 feishu：其他 webhook 没有签名",
            );
        }
        Some(Self {
            name,
            kind: kind?,
            url: url?,
            secret,
        })
    }
}

const KINDS: &[(&str, WebhookKind)] = &[
    ("wecom", WebhookKind::Wecom),
    ("dingtalk", WebhookKind::Dingtalk),
    ("feishu", WebhookKind::Feishu),
    ("json", WebhookKind::Json),
];

const URL: SecretKeys = SecretKeys {
    text: "url",
    file: "url_file",
    what: "webhook URL",
    from: ROBOTS_SETTINGS,
    allows: |c| !c.is_whitespace() && !c.is_control(),
};
const SECRET: SecretKeys = SecretKeys {
    text: "secret",
    file: "secret_file",
    what: "webhook secret",
    from: ROBOTS_SETTINGS,
    allows: is_graphic,
};
const ROBOTS_SETTINGS: Text = Text::new("the robot's settings", "机器人设置中");

fn is_address(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(is_host)
    })
}
