//! Routes behind an API key on the admin listener: credentials and diagnosis; also the public listener's
//! doctor.

use serde_json::{Value, json};
use utoipa::openapi::path::Parameter;

use super::build::Group::{Credentials, Diagnosis, Pages};
use super::build::Plane::{Private, Public};
use super::build::{Route, in_path, one_of, says, string};
use crate::actix::shapes::{Answer, DoctorAnswer, Findings, Question, Rejection};
use crate::credential::Kind;

pub(super) fn routes() -> Vec<Route> {
    vec![read(), reject(), diagnose(), doctor(), doctor_page()]
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
        json!({ "findings": [finding()] }),
    )
    .keyed()
    .refuses(&["bad_body", "body_too_large"])
    .refuses(CREDENTIAL_REFUSES)
}

fn doctor() -> Route {
    Route::post(
        (Public, Diagnosis),
        "/doctor/diagnose",
        "doctorDiagnose",
        says("The doctor page's question, without a key", "诊断页的提问接口，无需密钥"),
    )
    .about(says(
        "Where the demo page is. It computes with the account's living ticket, and never answers a ticket or a signature of its own. For \
         pages of the same origin: it takes `application/json` only, and answers no preflight. All people together get four questions a second.",
        "启用演示页面时提供。使用该账号当前的 ticket 计算，但绝不返回 ticket 或自己算出的签名。仅供同源页面：只接受 `application/json`，不应答预检。\
         所有人合计每秒四次。",
    ))
    .takes::<Question>(json!({ "paste": "config:invalid signature" }))
    .gives::<DoctorAnswer>(
        "200",
        says("What explains it, best first, and what was understood.", "可能的原因，最可信的在前，以及识别出的内容。"),
        json!({
            "findings": [finding()], "ticket": "account", "appId": "wx0123456789abcdef", "pageAllowed": true,
            "read": {
                "kinds": ["json"], "url": "https://example.com/p#top", "nonceStr": "n", "timestamp": "1414587457",
                "signature": "0f9de62fce790f9a083d5c99e95740ceb90c27ed", "appId": "wx0123456789abcdef", "errMsg": null,
                "agent": false, "withTicket": false,
            },
        }),
    )
    .refuses(&["bad_body", "body_too_large", "unsupported_media_type", "rate_limited", "unknown_account"])
}

fn doctor_page() -> Route {
    Route::get((Public, Pages), "/doctor", "doctor", says("The doctor page, where the demo page is", "诊断页面（启用演示页面时提供）"))
        .about(says(
            "A link may bring the details in its fragment, which no server sees: `/doctor#url=…&signature=…&nonceStr=…&timestamp=…&errMsg=…`.",
            "链接可在 # 之后带上各项内容，服务器看不到：`/doctor#url=…&signature=…&nonceStr=…&timestamp=…&errMsg=…`。",
        ))
        .with([super::operations::lang()])
        .gives_text("200", says("HTML in the reader's language.", "读者语言的 HTML。"), "text/html")
}

fn finding() -> Value {
    json!({
        "code": "fragment_kept", "confidence": "proven",
        "cause": { "en": "The address was signed with its fragment", "zh": "签名时地址带上了 # 之后的部分" },
        "fix": { "en": "Cut it: location.href.split('#')[0].", "zh": "请去掉：location.href.split('#')[0]。" },
        "evidence": "jsapi_ticket=[jsapi_ticket]&noncestr=n&timestamp=1414587457&url=https://example.com/p#top",
        "expected": "jsapi_ticket=[jsapi_ticket]&noncestr=n&timestamp=1414587457&url=https://example.com/p",
    })
}

fn account() -> Parameter {
    in_path(
        "account",
        says("The account's name in the configuration", "配置中的账号名"),
        string(),
        "demo",
    )
}

fn kind() -> Parameter {
    let kinds = [
        Kind::AccessToken,
        Kind::JsapiTicket,
        Kind::CardTicket,
        Kind::AgentTicket,
    ]
    .map(Kind::as_str);
    in_path(
        "kind",
        says("Which credential", "哪种凭证"),
        one_of(kinds),
        Kind::AccessToken.as_str(),
    )
}

pub(super) const CREDENTIAL_REFUSES: &[&str] = &[
    "unknown_account",
    "unsupported_credential",
    "account_misconfigured",
    "upstream_unavailable",
    "upstream_quota",
];
