//! The private listener: credentials and the diagnosis, each behind an API key.

use serde_json::json;
use utoipa::openapi::path::Parameter;

use super::build::Group::{Credentials, Diagnosis};
use super::build::Plane::Private;
use super::build::{Route, in_path, one_of, says, string};
use crate::actix::shapes::{Answer, Findings, Question, Rejection};
use crate::credential::Kind;

pub(super) fn routes() -> Vec<Route> {
    vec![read(), reject(), diagnose()]
}

fn read() -> Route {
    Route::get(
        (Private, Credentials),
        "/credentials/{account}/{kind}",
        "readCredential",
        says("Hand out a token or ticket", "取得 token 或 ticket"),
    )
    .about(says(
        "Ask as often as you like: it is answered from memory, and never while it is dead.",
        "可随时调用：由内存返回，绝不会返回已失效的凭证。",
    ))
    .with([account(), kind()])
    .gives::<Answer>(
        "200",
        says("With what is really left of its life.", "expires_in 为真实的剩余秒数。"),
        json!({ "value": "92_…", "expires_in": 5_400, "expires_at": 1_767_231_000, "generation": 1_767_225_600_000_u64 }),
    )
    .keyed()
    .refuses(CREDENTIAL_REFUSES)
}

fn reject() -> Route {
    Route::post(
        (Private, Credentials),
        "/credentials/{account}/{kind}/reject",
        "rejectCredential",
        says("Report a value that WeChat refused, and get the newer one", "上报被微信拒绝的凭证，并取得新的"),
    )
    .about(says(
        "Renews only if the value is still the current one: many callers who saw the same refusal cause one renewal. The body has 8 KiB at most.",
        "仅当该值仍为当前值时才刷新：多个调用方同时上报只会刷新一次。请求体上限 8 KiB。",
    ))
    .with([account(), kind()])
    .takes::<Rejection>(json!({ "value": "92_…" }))
    .gives::<Answer>(
        "200",
        says("The newer credential.", "新的凭证。"),
        json!({ "value": "93_…", "expires_in": 7_200, "expires_at": 1_767_232_800, "generation": 1_767_225_600_001_u64 }),
    )
    .keyed()
    .refuses(&["bad_body", "body_too_large", "rate_limited"])
    .refuses(CREDENTIAL_REFUSES)
}

fn diagnose() -> Route {
    Route::post(
        (Private, Diagnosis),
        "/jssdk/diagnose",
        "diagnose",
        says("Name the mistake that explains a refused signature", "找出签名被拒绝的原因"),
    )
    .about(says(
        "Send what the page got and where it was, or what the client said. With `account` the account's living ticket is computed with; no \
         ticket is answered. The body has 64 KiB at most.",
        "请发送页面拿到的四个值与页面地址，或客户端的报错。带 `account` 时用该账号当前的 ticket 计算，但不会返回 ticket。请求体上限 64 KiB。",
    ))
    .takes::<Question>(json!({ "error": "config:invalid signature" }))
    .gives::<Findings>(
        "200",
        says("What explains it, best first.", "可能的原因，最可信的在前。"),
        json!({ "findings": [{
            "code": "fragment_kept", "confidence": "proven",
            "cause": { "en": "The address was signed with its fragment", "zh": "签名时地址带上了 # 之后的部分" },
            "fix": { "en": "Cut it: location.href.split('#')[0].", "zh": "请去掉：location.href.split('#')[0]。" },
            "evidence": "jsapi_ticket=[jsapi_ticket]&noncestr=n&timestamp=1414587457&url=https://example.com/p#top",
        }] }),
    )
    .keyed()
    .refuses(&["bad_body", "body_too_large"])
    .refuses(CREDENTIAL_REFUSES)
}

fn account() -> Parameter {
    in_path("account", says("The account's name in the configuration", "配置中的账号名"), string(), "demo")
}

fn kind() -> Parameter {
    let kinds = [Kind::AccessToken, Kind::JsapiTicket, Kind::CardTicket, Kind::AgentTicket].map(Kind::as_str);
    in_path("kind", says("Which credential", "哪种凭证"), one_of(kinds), Kind::AccessToken.as_str())
}

const CREDENTIAL_REFUSES: &[&str] =
    &["unknown_account", "unsupported_credential", "account_misconfigured", "upstream_unavailable", "upstream_quota"];
