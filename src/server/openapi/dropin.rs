//! WeChat's own paths on the admin listener: described in WeChat's terms, with the codes that this program
//! itself answers.

use serde_json::json;
use utoipa::openapi::path::{HttpMethod, Parameter};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::build::Group::{self, DropIn};
use super::build::Plane::{self, Private};
use super::build::{Route, needed, one_of, query, says, string};
use crate::actix::shapes::{ErrorReply, TicketReply, TokenReply, WorkTokenReply};
use crate::error::Hint;
use crate::error::codes::wire_errors::{self, WireError};

/// Returns each path for GET and POST. WeChat accepts both, except that `stable_token` answers a GET with 43002.
pub(super) fn routes() -> Vec<Route> {
    let by = |verb: Verb, ids: [&'static str; 6]| {
        let [token, stable, get_ticket, work, corp, agent] = ids;
        [
            weixin_token(verb, token),
            stable_token(verb, stable),
            ticket(verb, get_ticket),
            work_token(verb, work),
            corp_ticket(verb, corp),
            agent_ticket(verb, agent),
        ]
    };
    let by_get = by(
        Route::get,
        [
            "token",
            "stableTokenByGet",
            "getTicket",
            "workToken",
            "workTicket",
            "workAgentTicket",
        ],
    );
    let by_post = by(
        Route::post,
        [
            "tokenByPost",
            "stableToken",
            "getTicketByPost",
            "workTokenByPost",
            "workTicketByPost",
            "workAgentTicketByPost",
        ],
    );
    by_get.into_iter().chain(by_post).collect()
}

type Verb = fn((Plane, Group), &'static str, &'static str, Hint) -> Route;

fn weixin_token(verb: Verb, id: &'static str) -> Route {
    let route = verb(
        (Private, DropIn),
        "/cgi-bin/token",
        id,
        says("WeChat's token endpoint", "微信 token 接口"),
    );
    let route = locking_out(route, wire_errors::LOCKED_OUT);
    refusing(
        route,
        &[
            wire_errors::NO_APPID,
            wire_errors::BAD_APPID,
            wire_errors::BAD_GRANT_TYPE,
            wire_errors::NO_SECRET,
            wire_errors::BAD_SECRET,
        ],
    )
    .with([
        needed(
            "grant_type",
            says("Always client_credential", "固定为 client_credential"),
            one_of(["client_credential"]),
            "client_credential",
        ),
        needed(
            "appid",
            says("The account's AppID", "账号的 AppID"),
            string(),
            "wx0123456789abcdef",
        ),
        needed(
            "secret",
            says("An API key of this service", "本服务的 API key"),
            string(),
            "wxk_…",
        ),
    ])
    .gives_either::<TokenReply<'_>, ErrorReply<'_>>(
        ANSWER,
        json!({ "access_token": "92_…", "expires_in": 5_400 }),
    )
}

fn stable_token(verb: Verb, id: &'static str) -> Route {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let body = ObjectBuilder::new()
        .property(
            "grant_type",
            text().enum_values(Some(["client_credential"])),
        )
        .property("appid", text())
        .property(
            "secret",
            text().description(Some("An API key of this service")),
        )
        .property(
            "force_refresh",
            ObjectBuilder::new()
                .schema_type(Type::Boolean)
                .description(Some("Refreshes the token, within the rate limit")),
        )
        .required("grant_type")
        .required("appid")
        .required("secret");
    let summary = says("WeChat's stable_token endpoint", "微信 stable_token 接口");
    let route = verb((Private, DropIn), "/cgi-bin/stable_token", id, summary);
    let codes = [
        wire_errors::NOT_POST,
        wire_errors::NO_BODY,
        wire_errors::BAD_BODY,
        wire_errors::NO_APPID,
        wire_errors::BAD_APPID,
        wire_errors::BAD_GRANT_TYPE,
        wire_errors::NO_SECRET,
        wire_errors::BAD_SECRET,
    ];
    let route = refusing(route, &codes);
    if route.method == HttpMethod::Get {
        let refusal = json!({ "errcode": wire_errors::NOT_POST.errcode, "errmsg": format!("{} rid: …", wire_errors::NOT_POST.errmsg) });
        return route.gives::<ErrorReply<'_>>("200", says("Use POST.", "应使用 POST。"), refusal);
    }
    locking_out(route, wire_errors::LOCKED_OUT)
        .takes_object(
            body.build(),
            json!({ "grant_type": "client_credential", "appid": "wx0123456789abcdef", "secret": "wxk_…" }),
        )
        .gives_either::<TokenReply<'_>, ErrorReply<'_>>(ANSWER, json!({ "access_token": "92_…", "expires_in": 5_400 }))
}

fn ticket(verb: Verb, id: &'static str) -> Route {
    let summary = says("WeChat's getticket endpoint", "微信 getticket 接口");
    let route = verb((Private, DropIn), "/cgi-bin/ticket/getticket", id, summary);
    refusing(
        route,
        &[
            wire_errors::NO_TOKEN,
            wire_errors::DEAD_TOKEN,
            wire_errors::BAD_ARGS,
            wire_errors::NOT_FOR_THIS_ACCOUNT,
        ],
    )
    .with([
        access_token(),
        query(
            "type",
            says("Which ticket", "ticket 类型"),
            one_of(["jsapi", "wx_card"]),
            "jsapi",
        ),
    ])
    .gives_either::<TicketReply<'_>, ErrorReply<'_>>(ANSWER, ticket_example())
}

fn work_token(verb: Verb, id: &'static str) -> Route {
    let summary = says("WeCom's gettoken endpoint", "企业微信 gettoken 接口");
    let route = verb((Private, DropIn), "/cgi-bin/gettoken", id, summary);
    let codes = [
        wire_errors::WORK_NO_SECRET,
        wire_errors::WORK_BAD_CORPID,
        wire_errors::WORK_BAD_SECRET,
        wire_errors::WORK_BAD_AGENTID,
        wire_errors::WORK_WHICH_AGENT,
    ];
    refusing(locking_out(route, wire_errors::WORK_LOCKED_OUT), &codes)
        .with([
            needed(
                "corpid",
                says("The CorpID", "企业 ID"),
                string(),
                "ww0123456789abcdef",
            ),
            needed(
                "corpsecret",
                says("An API key of this service", "本服务的 API key"),
                string(),
                "wxk_…",
            ),
            query(
                "agentid",
                says(
                    "The app, if the API key allows several apps of the corp",
                    "API key 可用于该企业的多个应用时，指定应用",
                ),
                string(),
                "1000002",
            ),
        ])
        .gives_either::<WorkTokenReply<'_>, ErrorReply<'_>>(
            ANSWER,
            json!({ "errcode": 0, "errmsg": "ok", "access_token": "hAcc…", "expires_in": 5_400 }),
        )
}

fn corp_ticket(verb: Verb, id: &'static str) -> Route {
    let summary = says(
        "WeCom's corp ticket, for wx.config",
        "企业微信企业级 ticket，用于 wx.config",
    );
    let route = verb((Private, DropIn), "/cgi-bin/get_jsapi_ticket", id, summary);
    refusing(
        route,
        &[
            wire_errors::NO_TOKEN,
            wire_errors::WORK_DEAD_TOKEN,
            wire_errors::WORK_FORBIDDEN,
        ],
    )
    .with([access_token()])
    .gives_either::<TicketReply<'_>, ErrorReply<'_>>(ANSWER, ticket_example())
}

fn agent_ticket(verb: Verb, id: &'static str) -> Route {
    let summary = says(
        "WeCom's app ticket, for wx.agentConfig",
        "企业微信应用级 ticket，用于 wx.agentConfig",
    );
    let route = verb((Private, DropIn), "/cgi-bin/ticket/get", id, summary);
    refusing(
        route,
        &[
            wire_errors::NO_TOKEN,
            wire_errors::WORK_DEAD_TOKEN,
            wire_errors::WORK_BAD_ARGS,
            wire_errors::WORK_FORBIDDEN,
        ],
    )
    .with([
        access_token(),
        needed(
            "type",
            says("Always agent_config", "固定为 agent_config"),
            one_of(["agent_config"]),
            "agent_config",
        ),
    ])
    .gives_either::<TicketReply<'_>, ErrorReply<'_>>(ANSWER, ticket_example())
}

/// Lists the codes that this service itself answers; it passes WeChat's own codes on.
fn refusing(route: Route, codes: &[WireError]) -> Route {
    let spoken = |and: &str| {
        let codes = codes
            .iter()
            .chain([&wire_errors::BUSY])
            .map(|said| format!("- `{}` {}", said.errcode, said.errmsg));
        format!("{and}\n\n{}", codes.collect::<Vec<_>>().join("\n"))
    };
    route.about(Hint {
        en: spoken(
            "Status 200. Besides errors that WeChat returned to this service, errcode is one of:",
        )
        .into(),
        zh: spoken("状态码为 200。除微信对本服务返回的错误外，errcode 为：").into(),
    })
}

/// Adds the answer to too many invalid keys: the only one whose status is not 200.
fn locking_out(route: Route, said: WireError) -> Route {
    let what = says(
        "The API key is invalid, and too many different invalid ones came from this address. The errcode is WeChat's for a wrong secret. A valid key always passes.",
        "API key 无效，且来自该地址的不同无效 key 过多。errcode 与微信的 secret 错误相同。有效的 key 不受影响。",
    );
    route.gives_later::<ErrorReply<'_>>(
        "429",
        what,
        json!({ "errcode": said.errcode, "errmsg": said.errmsg }),
    )
}

fn access_token() -> Parameter {
    needed(
        "access_token",
        says("A token that this service returned", "由本服务发出的 token"),
        string(),
        "92_…",
    )
}

fn ticket_example() -> serde_json::Value {
    json!({ "errcode": 0, "errmsg": "ok", "ticket": "sM4AOVdWfPE4DxkX…", "expires_in": 5_400 })
}

const ANSWER: Hint = says(
    "The credential or an errcode, in WeChat's format.",
    "凭证或错误码，格式与微信一致。",
);
