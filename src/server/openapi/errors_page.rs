//! Prepares WeChat's errcodes for the page of error codes.

use super::html;
use crate::error::{CallAuth, System, Text, Wait, codes};
use crate::server::pages::Lang;

/// The errcodes of one of WeChat's systems.
pub(super) struct Errcodes {
    pub(super) id: &'static str,
    pub(super) title: String,
    pub(super) rows: Vec<Errcode>,
}

/// An errcode. Texts are HTML.
pub(super) struct Errcode {
    pub(super) id: String,
    pub(super) errcode: i64,
    pub(super) cause: String,
    pub(super) fix: String,
    pub(super) class: &'static str,
    pub(super) retried: String,
}

impl Errcodes {
    pub(super) fn of(system: System, lang: Lang) -> Self {
        let (id, title) = match system {
            System::Weixin => ("errcode", lang.t("WeChat's errcodes", "微信 errcode")),
            System::Qyapi => (
                "wecom-errcode",
                lang.t("WeCom's errcodes", "企业微信 errcode"),
            ),
        };
        let rows = codes::all().filter(|row| row.0 == system);
        Self {
            id,
            title: title.to_owned(),
            rows: rows
                .map(|(_, auth, errcode, advice)| Errcode {
                    id: match auth {
                        Some(CallAuth::WithToken) => format!("{id}-{errcode}-token"),
                        Some(CallAuth::WithPushedTicket) => format!("{id}-{errcode}-pushed-ticket"),
                        Some(CallAuth::WithComponentToken) => format!("{id}-{errcode}-component"),
                        _ => format!("{id}-{errcode}"),
                    },
                    errcode,
                    cause: inline(&advice.cause, lang) + &inline(&call(auth), lang),
                    fix: inline(&advice.fix, lang),
                    class: advice.class.as_str(),
                    retried: inline(&wait(advice.wait), lang),
                })
                .collect(),
        }
    }
}

/// Converts the Markdown of a text to HTML.
pub(super) fn inline(text: &Text, lang: Lang) -> String {
    html::inline(lang.t(&text.en, &text.zh))
}

/// Returns the calls to which a row is limited, to append to another text.
pub(super) fn call(auth: Option<CallAuth>) -> Text {
    match auth {
        None => Text::new("", ""),
        Some(CallAuth::WithSecret) => Text::new(" (token call)", "（取 token 时）"),
        Some(CallAuth::WithToken) => Text::new(" (ticket call)", "（取 ticket 时）"),
        Some(CallAuth::WithPushedTicket) => Text::new(
            " (an open platform's call with its secret)",
            "（第三方平台用 secret 调用时）",
        ),
        Some(CallAuth::WithComponentToken) => {
            Text::new(" (call of an open platform)", "（第三方平台调用时）")
        }
    }
}

/// Returns when this service repeats a failed call.
pub(super) fn wait(wait: Wait) -> Text {
    match wait {
        Wait::Backoff => Text::new("after 1 s, 2 s … 60 s", "1 秒、2 秒……60 秒后"),
        Wait::Slow => Text::new("after 1 to 5 minutes", "1～5 分钟后"),
        Wait::NextMinute => Text::new("in the next minute", "下一分钟"),
        Wait::NextDay => Text::new("after midnight in Shanghai", "北京时间零点后"),
        Wait::For(time) if time.as_secs() > 3600 => Text::new("after a day", "一天后"),
        Wait::For(_) => Text::new("after an hour", "一小时后"),
        Wait::Until(_) => Text::new("when WeChat says", "按微信给出的时间"),
    }
}
