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
        says("Get a token or ticket", "取得 token 或 ticket"),
    )
    .about(says(
        "Call it as often as you like: the value is served from memory, and never after its end.",
        "可随时调用：由内存返回，不会返回已过期的凭证。",
    ))
    .with([account(), kind()])
    .gives::<Answer>(
        "200",
        says("`expires_in` is the actual remaining lifetime.", "expires_in 为真实的剩余秒数。"),
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
        says("Report a value that WeChat rejected, and get the new one", "上报被微信拒绝的凭证，并取得新的"),
    )
    .about(says(
        "Refreshes only if the value is still the current one: many clients that report the same value cause one refresh. The body is limited to 8 KiB.",
        "仅当该值仍为当前值时才刷新：多个调用方同时上报只会刷新一次。请求体上限 8 KiB。",
    ))
    .with([account(), kind()])
    .takes::<Rejection>(json!({ "value": "92_…" }))
    .gives::<Answer>(
        "200",
        says("The new credential.", "新的凭证。"),
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
        says("Find out why a signature was refused", "找出签名被拒绝的原因"),
    )
    .about(says(
        "Send the four signed values and the page's URL, or the client's error message. With `account`, the account's current ticket is \
         used; the answer does not contain it. The body is limited to 64 KiB.",
        "请发送页面拿到的四个值与页面地址，或客户端的报错。带 `account` 时用该账号当前的 ticket 计算，但不会返回 ticket。请求体上限 64 KiB。",
    ))
    .takes::<Question>(json!({ "error": "config:invalid signature" }))
    .gives::<Findings>(
        "200",
        says("Possible causes, the most likely first.", "可能的原因，最可信的在前。"),
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
        says("The doctor page's endpoint, without an API key", "诊断页的接口，无需 API key"),
    )
    .about(says(
        "Served where the demo page is enabled. Uses the account's current ticket, and never returns a ticket or a signature that it computed. Only for \
         pages of the same origin: accepts only `application/json` and answers no preflight. All clients together may ask four times a second.",
        "启用演示页面时提供。使用该账号当前的 ticket 计算，但绝不返回 ticket 或自己算出的签名。仅供同源页面：只接受 `application/json`，不应答预检。\
         所有人合计每秒四次。",
    ))
    .takes::<Question>(json!({ "paste": "config:invalid signature" }))
    .gives::<DoctorAnswer>(
        "200",
        says("Possible causes, the most likely first, and the values that were recognised.", "可能的原因，最可信的在前，以及识别出的内容。"),
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
    Route::get((Public, Pages), "/doctor", "doctor", says("The doctor page, where the demo page is enabled", "诊断页面（启用演示页面时提供）"))
        .about(says(
            "A link may carry the values in its fragment, which is never sent to a server: `/doctor#url=…&signature=…&nonceStr=…&timestamp=…&errMsg=…`.",
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
