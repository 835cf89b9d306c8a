//! Routes for operators and monitoring, without an API key: no answer holds a secret. Only "refresh now"
//! requires a key.

use serde_json::json;
use utoipa::openapi::path::Parameter;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::build::Group::Operations;
use super::build::Plane::{Both, Private};
use super::build::{Route, in_header, one_of, query, says, string, text_up_to};
use crate::server::ready::Report;
use crate::server::status::shapes::{
    FARTHEST, LONGEST, MOST, RefreshRequest, Refreshed, Report as StatusReport,
};

pub(super) fn routes() -> Vec<Route> {
    vec![
        healthz(),
        readyz(),
        metrics(),
        status(),
        status_json(),
        refresh(),
        description(),
        page(),
    ]
}

fn healthz() -> Route {
    let alive = ObjectBuilder::new()
        .property("status", one_of(["ok"]))
        .required("status");
    Route::get(
        (Both, Operations),
        "/healthz",
        "healthz",
        says("Whether the process is alive", "进程是否存活"),
    )
    .about(says("Makes no upstream call.", "不访问微信和存储。"))
    .gives_object(
        says("Alive.", "存活。"),
        alive.build(),
        json!({ "status": "ok" }),
    )
}

fn readyz() -> Route {
    let ready =
        json!({ "ready": true, "rule": "any", "accounts": [{ "account": "main", "ready": true }] });
    let broken = json!({ "ready": false, "rule": "any", "accounts": [{
        "account": "main", "ready": false, "reason": "setup", "errcode": 40_164,
        "failing_since": "2026-01-01T01:57:10Z", "retry_at": "2026-01-01T01:58:14Z",
        "cause": { "en": "This server's IP is not in the allow-list", "zh": "服务器 IP 不在白名单" },
        "fix": { "en": "Add it to the account's IP allow-list", "zh": "请将其加入该账号的 IP 白名单" },
    }] });
    Route::get(
        (Private, Operations),
        "/readyz",
        "readyz",
        says(
            "Whether this process should receive requests, and which accounts have problems",
            "本进程能否接收请求，哪些账号有问题",
        ),
    )
    .about(says(
        "The rule is `server.readiness`: `any` requires at least one account that can sign, `all` requires every account. A mini program signs no pages and is ready when it has a token.",
        "规则由 `server.readiness` 决定：`any` 要求至少一个账号能签名，`all` 要求全部能签名。小程序不签名，有 token 即为就绪。",
    ))
    .gives::<Report>("200", says("Enough accounts are ready.", "就绪的账号足够。"), ready)
    .gives::<Report>(
        "503",
        says(
            "Too few accounts are ready. Accounts with problems come first, each with cause and fix.",
            "就绪的账号不够。有问题的账号列在最前，并附原因与解决办法。",
        ),
        broken,
    )
}

fn metrics() -> Route {
    Route::get((Private, Operations), "/metrics", "metrics", says("Metrics for Prometheus", "全部指标，供 Prometheus 抓取"))
        .about(says(
            "OpenMetrics for clients that accept it (`Accept: application/openmetrics-text`), otherwise Prometheus' text format. docs/OPERATIONS.md lists all metrics.",
            "请求头含 `Accept: application/openmetrics-text` 时返回 OpenMetrics，否则为 Prometheus 文本格式。指标名见 docs/zh/OPERATIONS.md。",
        ))
        .gives_text("200", says("Samples.", "指标。"), "text/plain")
}

fn status() -> Route {
    let part = query(
        "part",
        says(
            "live: only the part that changes, for the page's script",
            "live：仅返回会变化的部分，供页面脚本使用",
        ),
        one_of(["", "live", "summary"]),
        "live",
    );
    Route::get(
        (Private, Operations),
        "/status",
        "status",
        says(
            "The status page with the state of every credential",
            "状态页：每个凭证的情况",
        ),
    )
    .with(found_by())
    .with([lang(), part])
    .gives_text(
        "200",
        says("HTML in the reader's language.", "读者语言的 HTML。"),
        "text/html",
    )
    .refuses(STATUS_REFUSES)
}

fn status_json() -> Route {
    let part = query(
        "part",
        says("summary: without the accounts", "summary：不含账号列表"),
        one_of(["", "live", "summary"]),
        "summary",
    );
    Route::get((Private, Operations), "/status.json", "statusJson", says("The status page as JSON", "状态页的数据"))
        .about(says(
            "Times are Unix seconds of the server's clock; `now` is its current time. `revision` changes when anything but the time has changed.",
            "时间均为 Unix 秒，以 `now` 为准。除时间流逝之外有任何变化时，`revision` 都会改变。",
        ))
        .with(found_by())
        .with([lang(), part])
        .gives::<StatusReport>("200", says("The accounts that match the query.", "所查询的账号。"), example_of_status())
        .refuses(STATUS_REFUSES)
}

fn refresh() -> Route {
    Route::post((Private, Operations), "/status/refresh", "refreshNow", says("Refresh one credential now", "立即刷新某个凭证"))
        .about(says(
            "For operators, after they have fixed a problem. Calls WeChat at once without forcing a new value, within the rate limit of `reject`. \
             Programs must send `X-Requested-With: wx-jssdk`. The answer does not contain the credential.",
            "供排除故障后使用。立即向微信请求一次，不会强制更换；限次与 `reject` 相同。程序调用须带请求头 `X-Requested-With: wx-jssdk`。不返回凭证本身。",
        ))
        .with([marked()])
        .takes::<RefreshRequest>(json!({ "account": "demo", "kind": "jsapi_ticket" }))
        .gives::<Refreshed>(
            "200",
            says("WeChat was called.", "已向微信请求。"),
            json!({ "account": "main", "kind": "jsapi_ticket", "outcome": "refreshed", "expires_at": 1_767_232_800, "remaining": 7_200 }),
        )
        .keyed()
        .refuses(&["bad_body", "cross_site", "body_too_large", "rate_limited"])
        .refuses(super::central::CREDENTIAL_REFUSES)
}

/// Returns the parameters that select accounts and limit their number.
fn found_by() -> [Parameter; 5] {
    let number = |least: usize, most: usize| {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(least))
            .maximum(Some(most))
            .build()
    };
    [
        query(
            "account",
            says("The exact name of an account", "账号名，须完全一致"),
            string(),
            "demo",
        ),
        query(
            "q",
            says("A part of a name or an AppID", "账号名或 AppID 的一部分"),
            text_up_to(LONGEST),
            "demo",
        ),
        query(
            "state",
            says(
                "Only accounts in this state; degraded includes down",
                "仅限该状态；degraded 也包括 down",
            ),
            one_of(["", "degraded", "down", "starting", "ok"]),
            "ok",
        ),
        query(
            "offset",
            says("Number of accounts to skip", "跳过多少个"),
            number(0, FARTHEST),
            "0",
        ),
        query(
            "limit",
            says("Maximum number of accounts", "最多多少个"),
            number(1, MOST),
            "20",
        ),
    ]
}

fn example_of_status() -> serde_json::Value {
    json!({
        "now": 1_767_225_600, "revision": "5d1f0c8a3b7e9246", "version": env!("CARGO_PKG_VERSION"), "uptime": 86_400, "node": "web-1",
        "store": { "kind": "memory", "place": "memory", "shared": false, "reachable": true, "error": null, "since": null },
        "peer_nodes": [], "clock_jumps": 0,
        "configuration": { "loaded_at": 1_767_139_200, "reloads": 0, "needs_restart": [], "refused": null },
        "summary": { "accounts": 1, "down": 0, "degraded": 0, "starting": 0, "ok": 1 },
        "matching": 1, "offset": 0, "limit": 50,
        "accounts": [{
            "account": "main", "platform": "official", "app_id": "wx0123456789abcdef", "state": "ok", "signs_pages": true,
            "served_until": 1_767_231_000, "credentials": [],
        }],
    })
}

fn description() -> Route {
    let any = ObjectBuilder::new().schema_type(Type::Object).build();
    Route::get(
        (Private, Operations),
        "/openapi.json",
        "openapi",
        says("This description", "本接口说明"),
    )
    .gives_object(
        says("OpenAPI 3.1.", "OpenAPI 3.1 文档。"),
        any,
        json!({ "openapi": "3.1.0" }),
    )
}

fn page() -> Route {
    Route::get(
        (Private, Operations),
        "/docs",
        "docs",
        says("This description as a page", "本接口说明的网页"),
    )
    .with([lang()])
    .gives_text(
        "200",
        says("HTML in the reader's language.", "读者语言的 HTML。"),
        "text/html",
    )
}

/// Returns the `lang` parameter of every page.
pub(super) fn lang() -> Parameter {
    query(
        "lang",
        says(
            "zh or en; by default the browser's language",
            "zh 或 en；默认按浏览器语言",
        ),
        string(),
        "en",
    )
}

/// Returns the header that marks a program's request; another site's page cannot set it.
fn marked() -> Parameter {
    in_header(
        "X-Requested-With",
        says("Always wx-jssdk", "固定为 wx-jssdk"),
        one_of(["wx-jssdk"]),
        "wx-jssdk",
    )
}

const STATUS_REFUSES: &[&str] = &["bad_query", "cross_site"];
