//! The shapes of messages and answers, as each service documents them:
//! [WeCom](https://developer.work.weixin.qq.com/document/path/91770),
//! [DingTalk](https://open.dingtalk.com/document/orgapp/custom-robot-access),
//! [Feishu](https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use url::Url;

use super::incidents::Notice;
use crate::clock::UnixTime;
use crate::credential::Secret;
use crate::server::config::{WebhookKind, WebhookSettings};
use crate::server::pages::Lang;

/// A request to a webhook, both parts secret: they may hold a key or a signature.
pub(super) struct Message {
    pub(super) url: Secret,
    pub(super) body: String,
    /// How many of the notices it has.
    pub(super) notices: usize,
}

impl Message {
    /// Writes as many of the notices into one message as the service takes, the oldest first. `now` is the wall clock's time, for signatures.
    pub(super) fn of(
        webhook: &WebhookSettings,
        notices: &[Arc<Notice>],
        lang: Lang,
        node: &str,
        now: UnixTime,
    ) -> Self {
        let texts = notices.iter().map(|notice| notice.text(lang, node));
        let (text, written) = joined(texts, most_bytes(webhook.kind));
        let notices = &notices[..written];
        let secret = webhook.secret.as_ref().map(Secret::expose);
        let mut url = webhook.url.clone();
        let body = match webhook.kind {
            // Not markdown: WeChat does not show a WeCom robot's markdown.
            WebhookKind::Wecom => json!({ "msgtype": "text", "text": { "content": text } }),
            WebhookKind::Dingtalk => {
                if let Some(secret) = secret {
                    url = signed_url(&url, now.0 * 1_000, secret);
                }
                json!({ "msgtype": "text", "text": { "content": text } })
            }
            WebhookKind::Feishu => {
                let mut body = json!({ "msg_type": "text", "content": { "text": text } });
                if let Some(secret) = secret {
                    // The key is the text to sign, and the message is empty: so it is documented.
                    body["sign"] = hmac(&format!("{now}\n{secret}"), "").into();
                    body["timestamp"] = now.to_string().into();
                }
                body
            }
            WebhookKind::Json => {
                let events: Vec<_> = notices
                    .iter()
                    .map(|notice| notice.json(lang, node))
                    .collect();
                json!({
                    "source": "wx-jssdk", "version": env!("CARGO_PKG_VERSION"), "node": node,
                    "text": text, "events": events,
                })
            }
        };
        let body = body.to_string();
        Self {
            url,
            body,
            notices: written,
        }
    }
}

/// Returns whether the service accepted the message, or what it says instead.
pub(super) fn accepted(kind: WebhookKind, status: u16, body: &[u8]) -> Result<(), String> {
    if status == 407 {
        return Err("HTTP 407: the egress proxy refuses the user name or password".into());
    }
    if !(200..300).contains(&status) {
        return Err(format!("HTTP {status}"));
    }
    let answer: Value = match kind {
        WebhookKind::Json => return Ok(()),
        _ => serde_json::from_slice(body).unwrap_or_default(),
    };
    let (codes, text) = match kind {
        WebhookKind::Feishu => (["code", "StatusCode"], "msg"),
        _ => (["errcode", "errcode"], "errmsg"),
    };
    match codes.iter().find_map(|code| answer[*code].as_i64()) {
        Some(0) => Ok(()),
        Some(code) => Err(format!(
            "{code} {}",
            answer[text].as_str().unwrap_or_default()
        )),
        None => Err(format!("HTTP {status}, but not an answer of this service")),
    }
}

/// Adds `timestamp` in milliseconds and `sign` to a DingTalk webhook.
fn signed_url(url: &Secret, millis: u64, secret: &str) -> Secret {
    let Ok(mut signed) = Url::parse(url.expose()) else {
        return url.clone();
    };
    let sign = hmac(secret, &format!("{millis}\n{secret}"));
    signed
        .query_pairs_mut()
        .append_pair("timestamp", &millis.to_string())
        .append_pair("sign", &sign);
    Secret::new(signed.as_str())
}

fn hmac(key: &str, text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("a key of any length");
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// Returns the longest text that the service takes, in bytes.
fn most_bytes(kind: WebhookKind) -> usize {
    match kind {
        WebhookKind::Wecom => 2_048,
        // Of 20,000 and 20 KB for the whole body, in which a character may be escaped.
        WebhookKind::Dingtalk | WebhookKind::Feishu => 8_000,
        WebhookKind::Json => 64_000,
    }
}

/// Joins as many whole texts as the service takes, and returns their number. A first one that is too long is cut.
fn joined(texts: impl Iterator<Item = String>, most: usize) -> (String, usize) {
    const BETWEEN: &str = "\n\n";
    let (mut all, mut count) = (String::new(), 0);
    for text in texts {
        if count > 0 {
            if all.len() + BETWEEN.len() + text.len() > most {
                break;
            }
            all.push_str(BETWEEN);
        }
        all.push_str(&text);
        count += 1;
    }
    (cut(&all, most), count)
}

fn cut(text: &str, most: usize) -> String {
    const MARK: &str = "\n…";
    if text.len() <= most {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(most - MARK.len());
    format!("{}{MARK}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_more_texts_than_fit_the_oldest_are_joined() {
        let joined = |lengths: &[usize], most| {
            let texts = lengths.iter().zip('a'..);
            let texts = texts.map(|(length, name)| name.to_string().repeat(*length));
            joined(texts, most)
        };
        assert_eq!(joined(&[3, 2, 2], 11), ("aaa\n\nbb\n\ncc".to_owned(), 3));
        assert_eq!(joined(&[3, 2, 2], 10), ("aaa\n\nbb".to_owned(), 2));
        assert_eq!(joined(&[9, 3], 8), ("aaaa\n…".to_owned(), 1));
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_between_characters() {
        assert_eq!(cut("ab", 2), "ab");
        for most in 100..110 {
            let text = cut(&"账".repeat(100), most);
            assert!(
                text.len() <= most && text.len() > most - 4,
                "{}",
                text.len()
            );
            assert!(text.ends_with('…'));
        }
    }

    /// Computed with Python's hmac and base64, as the documents show it.
    #[test]
    fn signatures_are_the_documented_ones() {
        let url = Secret::new("https://oapi.dingtalk.com/robot/send?access_token=T");
        let signed = signed_url(&url, 1_767_225_600_000, "SEC1");
        let (_, sign) = signed
            .expose()
            .split_once("&timestamp=1767225600000&sign=")
            .unwrap();
        assert_eq!(sign, "HPFHugH1A%2BacGr13GtVWd8qv0xuQH5%2Bzzmm7%2FcG8mLk%3D");
        assert_eq!(
            hmac("1767225600\nSEC1", ""),
            "JoTyvUui5FmpZkSZo0YG6x0t8mHb8OlP8z2cj74t6ig="
        );
    }

    #[test]
    fn an_answer_is_read_as_its_service_writes_it() {
        use WebhookKind::*;
        for (kind, body) in [
            (Wecom, r#"{"errcode":0,"errmsg":"ok"}"#),
            (Dingtalk, r#"{"errcode":0,"errmsg":"ok"}"#),
            (Feishu, r#"{"code":0,"msg":"success","data":{}}"#),
            (Feishu, r#"{"StatusCode":0,"StatusMessage":"success"}"#),
            (Json, "thanks"),
        ] {
            assert_eq!(accepted(kind, 200, body.as_bytes()), Ok(()), "{body}");
            assert!(accepted(kind, 502, body.as_bytes()).is_err());
            let of_proxy = accepted(kind, 407, &[]).unwrap_err();
            assert!(of_proxy.contains("egress proxy"), "{of_proxy}");
        }
        for (kind, body, said) in [
            (
                Wecom,
                r#"{"errcode":93000,"errmsg":"invalid webhook url"}"#,
                "93000 invalid",
            ),
            (
                Dingtalk,
                r#"{"errcode":310000,"errmsg":"sign not match"}"#,
                "310000 sign",
            ),
            (
                Feishu,
                r#"{"code":19024,"msg":"Key Words Not Found"}"#,
                "19024 Key",
            ),
            (Wecom, "<html>a captive portal</html>", "not an answer"),
        ] {
            let error = accepted(kind, 200, body.as_bytes()).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
