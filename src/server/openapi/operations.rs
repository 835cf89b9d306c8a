//! What operators and tools ask, without a key: no secret is in any of it.

use serde_json::json;
use utoipa::openapi::path::Parameter;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::build::Group::Operations;
use super::build::Plane::{Both, Private};
use super::build::{Route, one_of, query, says, string};
use crate::server::ready::Report;

pub(super) fn routes() -> Vec<Route> {
    vec![healthz(), readyz(), description(), page()]
}

fn healthz() -> Route {
    let alive = ObjectBuilder::new().property("status", one_of(["ok"])).required("status");
    Route::get((Both, Operations), "/healthz", "healthz", says("Whether the process is alive", "进程是否存活"))
        .about(says("Asks nobody else.", "不依赖任何外部服务。"))
        .gives_object(says("Alive.", "存活。"), alive.build(), json!({ "status": "ok" }))
}

fn readyz() -> Route {
    let example = |ready| json!({ "ready": ready, "accounts": [{ "account": "main", "ready": ready }] });
    let broken = json!({ "ready": false, "accounts": [{
        "account": "main", "ready": false, "reason": "setup", "errcode": 40_164,
        "cause": { "en": "This server's IP is not in the allow-list", "zh": "服务器 IP 不在白名单" },
    }] });
    Route::get(
        (Private, Operations),
        "/readyz",
        "readyz",
        says("Whether every account that signs pages can do so now", "各账号当前能否签名"),
    )
    .gives::<Report>("200", says("All can.", "全部可以。"), example(true))
    .gives::<Report>(
        "503",
        says("Those that cannot come first, each with what is in the way.", "不能签名的账号列在最前，并附原因。"),
        broken,
    )
}

fn description() -> Route {
    let any = ObjectBuilder::new().schema_type(Type::Object).build();
    Route::get((Private, Operations), "/openapi.json", "openapi", says("This description", "本接口说明")).gives_object(
        says("OpenAPI 3.1.", "OpenAPI 3.1 文档。"),
        any,
        json!({ "openapi": "3.1.0" }),
    )
}

fn page() -> Route {
    Route::get((Private, Operations), "/docs", "docs", says("This description as a page", "本接口说明的网页"))
        .with([lang()])
        .gives_text("200", says("HTML in the reader's language.", "读者语言的 HTML。"), "text/html")
}

/// Of every page.
pub(super) fn lang() -> Parameter {
    query(
        "lang",
        says("zh or en; anything else and nothing: the browser's", "zh 或 en；省略或为其他值则按浏览器语言"),
        string(),
        "en",
    )
}
