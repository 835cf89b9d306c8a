//! `[notify]`: the webhooks that are told of outages.

use std::path::Path;
use std::time::Duration;

use super::Problems;
use super::accounts::is_name;
use super::redact::quoted;
use super::secret::{text_or_file, trimmed};
use super::section::Section;
use crate::credential::Secret;
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
    pub(super) fn read(
        section: &mut Section,
        base: &Path,
        problems: &mut Problems,
    ) -> Option<Self> {
        let language = section.choice("language", &[("zh", Lang::Zh), ("en", Lang::En)], problems);
        let settle = section.number("settle_seconds", 0..=3_600, problems);
        let repeat = section.number("repeat_minutes", 0..=10_080, problems);
        let webhooks = section.section("webhooks", problems).sections(problems);
        section.finish(problems);
        let before = problems.0.len();
        let webhooks: Vec<_> = webhooks
            .into_iter()
            .filter_map(|(name, section)| WebhookSettings::read(name, section, base, problems))
            .collect();
        (problems.0.len() == before).then_some(())?;
        Some(Self {
            language: language?,
            settle: Duration::from_secs(settle?),
            repeat: Duration::from_secs(repeat? * 60),
            webhooks,
        })
    }
}

impl WebhookSettings {
    fn read(
        name: String,
        mut section: Section,
        base: &Path,
        problems: &mut Problems,
    ) -> Option<Self> {
        if section.is_broken() {
            return None; // reported before
        }
        if !is_name(&name) {
            let (en, zh) = quoted(&name);
            problems.add(
                section.path(),
                format!("{en} is not a name: use lower-case letters, digits, _ and -"),
                format!("{zh}不能作为名称：请用小写字母、数字、_ 和 -"),
            );
        }
        let kind = section.choice("type", KINDS, problems);
        let url = secret_or_file(&mut section, base, ["url", "url_file"], problems);
        let secret = secret_or_file(&mut section, base, ["secret", "secret_file"], problems);
        section.finish(problems);
        let path = section.path_of("url");
        match &url {
            Ok(None) => problems.add(
                &path,
                "is missing: copy the webhook's address from the robot's settings, or write url_file".into(),
                "缺少地址：请从机器人设置中复制 webhook 地址，或使用 url_file".into(),
            ),
            // The text is a secret: never quote it.
            Ok(Some(url)) if !is_address(url.expose()) => problems.add(
                &path,
                "must be the whole address of a webhook: https://...".into(),
                "应为完整的 webhook 地址：https://…".into(),
            ),
            _ => {}
        }
        let signs = matches!(
            kind,
            Some(WebhookKind::Dingtalk | WebhookKind::Feishu) | None
        );
        if !signs && matches!(secret, Ok(Some(_))) {
            problems.add(
                &section.path_of("secret"),
                "is for dingtalk and feishu: other webhooks have no signature".into(),
                "仅用于 dingtalk 和 feishu：其他 webhook 没有签名".into(),
            );
        }
        Some(Self {
            name,
            kind: kind?,
            url: url.ok()??,
            secret: secret.ok()?,
        })
    }
}

const KINDS: &[(&str, WebhookKind)] = &[
    ("wecom", WebhookKind::Wecom),
    ("dingtalk", WebhookKind::Dingtalk),
    ("feishu", WebhookKind::Feishu),
    ("json", WebhookKind::Json),
];

/// Reads a secret from a key, or from the file that another key names. `Err` after a problem.
fn secret_or_file(
    section: &mut Section,
    base: &Path,
    keys: [&'static str; 2],
    problems: &mut Problems,
) -> Result<Option<Secret>, ()> {
    let before = problems.0.len();
    let [text, file] = keys.map(|key| section.text_if_any(key, problems));
    let file = file.filter(|file| !file.is_empty());
    let text = text_or_file(section, base, keys, [text, file], problems)?;
    if problems.0.len() > before {
        return Err(());
    }
    match text.as_deref().map(trimmed) {
        None => Ok(None),
        Some("") => {
            problems.add(
                &section.path_of(keys[0]),
                "is empty: copy it from the robot's settings, or remove the line".into(),
                "为空：请从机器人设置中复制，或删除此项".into(),
            );
            Err(())
        }
        Some(text) => Ok(Some(Secret::new(text))),
    }
}

fn is_address(text: &str) -> bool {
    url::Url::parse(text)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}
