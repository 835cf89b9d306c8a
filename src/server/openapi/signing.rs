//! Routes of the public listener: signatures for pages, the client script, the demo page.

use serde_json::{Value, json};
use utoipa::openapi::path::Parameter;
use utoipa::openapi::schema::{ArrayBuilder, Object, ObjectBuilder, SchemaType, Type};

use super::build::Group::{Pages, Sandbox, Signing};
use super::build::Plane::Public;
use super::build::{Route, in_path, list, needed, one_of, query, says, string, text_up_to};
use crate::endpoint::shapes::{AddCard, WorkConfig};
use crate::error::MAX_PAGE_URL;
use crate::server::pages;
use crate::sign::{AgentConfig, ChooseCard, JsConfig};

/// Returns the routes that pages call for their signatures.
pub(super) fn routes() -> Vec<Route> {
    vec![
        config(),
        agent_config(),
        work_config(),
        card_ext(),
        choose_card(),
        script(),
        types(),
    ]
}

/// Returns the other routes that a browser loads.
pub(super) fn page_routes() -> Vec<Route> {
    vec![
        demo(),
        static_file("static"),
        phone(),
        qr(),
        verify_file(),
        pre_verify(),
    ]
}

fn config() -> Route {
    Route::get((Public, Signing), "/jssdk/config", "config", says("Sign a page for wx.config", "为页面签名，供 wx.config 使用"))
        .about(says(
            "Pass the answer to `wx.config` unchanged. HEAD works like GET. Pages on the accounts' safe domains may call from other \
             origins; OPTIONS answers their preflight.",
            "返回内容可原样传给 `wx.config`。HEAD 与 GET 相同。各账号安全域名下的页面可跨域调用，OPTIONS 用于预检。",
        ))
        .with([url(), account(), apis(), tags(), debug()])
        .gives::<JsConfig>("200", says("For wx.config, unchanged. Never cached.", "原样用于 wx.config，不会被缓存。"), js_config())
        .refuses(CONFIG_REFUSES)
}

fn agent_config() -> Route {
    Route::get(
        (Public, Signing),
        "/jssdk/agent-config",
        "agentConfig",
        says(
            "Sign a WeCom page for wx.agentConfig",
            "为企业微信页面签名，供 wx.agentConfig 使用",
        ),
    )
    .with([url(), account_of("demo-work"), apis(), tags(), debug()])
    .gives::<AgentConfig>(
        "200",
        says(
            "For wx.agentConfig, unchanged.",
            "原样用于 wx.agentConfig。",
        ),
        agent(),
    )
    .refuses(CONFIG_REFUSES)
}

fn work_config() -> Route {
    Route::get(
        (Public, Signing),
        "/jssdk/work-config",
        "workConfig",
        says(
            "Sign a WeCom page for both of its configs",
            "为企业微信页面一次取得两种签名",
        ),
    )
    .with([url(), account_of("demo-work"), apis(), tags(), debug()])
    .gives::<WorkConfig>(
        "200",
        says("Both configs in one reply.", "一次返回两种配置。"),
        json!({ "config": js_config(), "agentConfig": agent() }),
    )
    .refuses(CONFIG_REFUSES)
}

fn card_ext() -> Route {
    let id = needed(
        "cardId",
        says("The card's id", "卡券 ID"),
        card_id(),
        "pXch-jnOlGtbuWwIO2NDftZeynRE",
    );
    Route::get((Public, Signing), "/jssdk/card-ext", "cardExt", says("Sign a coupon for wx.addCard", "为卡券签名，供 wx.addCard 使用"))
        .with([
            id,
            query("code", says("The card's code, if the merchant sets it", "商家自定义的卡券 code"), card_field(), "1434008071"),
            query("openid", says("The only user who may receive it", "限定领取的用户"), card_field(), "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"),
            query("outer_str", says("The merchant's own value; not signed", "商家自定义标记，不参与签名"), card_field(), "poster"),
            query(
                "fixed_begintimestamp",
                says("When a fixed-term card begins, in Unix seconds; not signed", "固定时长卡券的生效时间（秒），不参与签名"),
                ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(usize::MAX)).build(),
                "1767225600",
            ),
            card_account(),
        ])
        .gives::<AddCard>(
            "200",
            says("One entry of cardList for wx.addCard.", "wx.addCard 的 cardList 中的一项。"),
            json!({ "cardId": "pXch-jnOlGtbuWwIO2NDftZeynRE", "cardExt": "{\"timestamp\":\"1414587457\",\"nonce_str\":\"…\",\"signature\":\"…\"}" }),
        )
        .refuses(&["missing_card_id"])
        .refuses(CARD_REFUSES)
}

fn choose_card() -> Route {
    Route::get(
        (Public, Signing),
        "/jssdk/choose-card",
        "chooseCard",
        says("Sign a request for wx.chooseCard", "为 wx.chooseCard 签名"),
    )
    .with([
        query("shopId", says("A shop's id; empty for all", "门店 ID，留空表示全部"), card_field(), ""),
        query("cardId", says("A card's id; empty for all", "卡券 ID，留空表示全部"), card_field(), ""),
        query("cardType", says("GROUPON, CASH …; empty for all", "卡券类型，如 GROUPON、CASH，留空表示全部"), card_field(), "GROUPON"),
        card_account(),
    ])
    .gives::<ChooseCard>(
        "200",
        says("For wx.chooseCard, unchanged.", "原样用于 wx.chooseCard。"),
        json!({ "shopId": "", "cardType": "GROUPON", "cardId": "", "timestamp": 1_414_587_457, "nonceStr": NONCE, "signType": "SHA1", "cardSign": SIGNATURE }),
    )
    .refuses(CARD_REFUSES)
}

fn script() -> Route {
    Route::get(
        (Public, Signing),
        "/jssdk/wx-jssdk.js",
        "clientScript",
        says("The client script for pages", "页面用的客户端脚本"),
    )
    .gives_text(
        "200",
        says(
            "A script that is also an ES module; it derives this service's address from its own.",
            "脚本，也可作为 ES 模块；由自身地址找到本服务。",
        ),
        "text/javascript",
    )
    .gives_nothing(
        "304",
        says(
            "The copy with this ETag is current.",
            "该 ETag 对应的副本仍是最新的。",
        ),
    )
}

fn types() -> Route {
    Route::get(
        (Public, Signing),
        "/jssdk/wx-jssdk.d.ts",
        "clientTypes",
        says(
            "The client script's TypeScript types",
            "客户端脚本的 TypeScript 类型",
        ),
    )
    .gives_text("200", says("Type definitions.", "类型定义。"), "text/plain")
    .gives_nothing(
        "304",
        says(
            "The copy with this ETag is current.",
            "该 ETag 对应的副本仍是最新的。",
        ),
    )
}

fn demo() -> Route {
    Route::get(
        (Public, Pages),
        "/",
        "demo",
        says(
            "The demo page, if server.demo is on",
            "演示页面（启用 server.demo 时）",
        ),
    )
    .with([super::operations::lang()])
    .gives_text(
        "200",
        says("HTML in the reader's language.", "读者语言的 HTML。"),
        "text/html",
    )
}

/// Returns the file route, which both listeners have for their own pages.
pub(super) fn static_file(id: &'static str) -> Route {
    let name = in_path(
        "name",
        says(
            "One of the files compiled into the program",
            "编译进程序的文件之一",
        ),
        one_of(pages::static_names()),
        "style.css",
    );
    Route::get(
        (super::build::Plane::Both, Pages),
        "/static/{name}",
        id,
        says("A file of the pages", "页面所用的文件"),
    )
    .with([name])
    .about(says(
        "The public listener serves it only if the demo page is enabled.",
        "公开端口仅在启用演示页面时提供。",
    ))
    .gives_text("200", says("The file.", "文件内容。"), "*/*")
    .gives_nothing(
        "304",
        says(
            "The copy with this ETag is current.",
            "该 ETag 对应的副本仍是最新的。",
        ),
    )
    .gives_text(
        "404",
        says(
            "No such file, or a file of the sandbox.",
            "没有此文件，或仅沙箱提供。",
        ),
        "text/plain",
    )
}

fn phone() -> Route {
    Route::get(
        (Public, Sandbox),
        "/static/phone.js",
        "phone",
        says(
            "The simulated WeChat client, for your own pages",
            "模拟的微信客户端，供自己的页面加载",
        ),
    )
    .gives_text("200", says("A script.", "脚本。"), "text/javascript")
    .gives_text(
        "404",
        says("Without --sandbox.", "未启用 --sandbox。"),
        "text/plain",
    )
}

fn verify_file() -> Route {
    let name = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^(MP|WW)_verify_[A-Za-z0-9]+\\.txt$"))
        .build();
    let what = says("The file's name, as given by WeChat", "微信给出的文件名");
    Route::get(
        (Public, Pages),
        "/{file}",
        "verifyFile",
        says("Domain verification file, by which WeChat checks who owns a domain", "微信用来验证域名归属的文件"),
    )
    .about(says(
        "`MP_verify_….txt` and `WW_verify_….txt`: only the names in the accounts' `verify_files`. If a safe domain has a path, also below that path.",
        "`MP_verify_….txt` 与 `WW_verify_….txt`：仅限各账号 `verify_files` 中的文件名；安全域名带路径时，也可在该路径下访问。",
    ))
    .with([in_path("file", what, name, "MP_verify_0123456789abcdef.txt")])
    .gives_text("200", says("Its content.", "文件内容。"), "text/plain")
    .refuses(&["not_found"])
}

fn qr() -> Route {
    let page = needed(
        "url",
        says("The page that the code opens", "二维码打开的页面"),
        text_up_to(1_024),
        PAGE,
    );
    Route::get(
        (Public, Pages),
        "/qr.svg",
        "qr",
        says(
            "A QR code of a page that this service signs",
            "本服务所签名页面的二维码",
        ),
    )
    .with([page])
    .gives_text("200", says("The code.", "二维码图像。"), "image/svg+xml")
    .refuses(&["bad_url", "page_not_allowed", "rate_limited"])
}

fn pre_verify() -> Route {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let either =
        ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Integer]));
    let either = either
        .minimum(Some(1 - (1_isize << 53)))
        .maximum(Some((1_isize << 53) - 1))
        .build();
    // May be missing or null: a page may have no landing URL and no list.
    let or_null = |of| SchemaType::from_iter([of, Type::Null]);
    let page = ["appId", "nonceStr", "signature", "url"]
        .into_iter()
        .fold(ObjectBuilder::new(), |page, name| {
            page.property(name, text())
        })
        .property("timestamp", either)
        .property(
            "landingUrl",
            ObjectBuilder::new().schema_type(or_null(Type::String)),
        )
        .property("client", one_of(["android", "ios", "devtools", "desktop"]))
        .property(
            "jsApiList",
            ArrayBuilder::new()
                .schema_type(or_null(Type::Array))
                .items(string()),
        );
    let verdict = ObjectBuilder::new()
        .property("err_msg", text())
        .property("checkedUrl", text())
        .required("err_msg")
        .required("checkedUrl");
    let verdict = verdict.property("reason", ObjectBuilder::new().schema_type(Type::Object));
    Route::post((Public, Sandbox), "/sandbox/pre-verify", "preVerify", says("Verify a wx.config as the WeChat app does", "像微信客户端一样校验 wx.config"))
        .about(says(
            "With `\"kind\": \"agentConfig\"`, `corpid` and `agentid` it verifies a `wx.agentConfig` as WeCom does.",
            "带上 `\"kind\": \"agentConfig\"`、`corpid` 与 `agentid` 时，像企业微信一样校验 `wx.agentConfig`。",
        ))
        .takes_object(page.build(), json!({ "appId": "wx0123456789abcdef", "timestamp": 1_414_587_457, "nonceStr": NONCE, "signature": SIGNATURE, "url": PAGE, "jsApiList": [] }))
        .gives_object(says("What the client answers to the page.", "客户端给页面的结果。"), verdict.build(), json!({ "err_msg": "preVerifyJSAPI:ok", "checkedUrl": PAGE }))
        .gives_object_at("400", says("The body is not the expected JSON.", "请求体不是所需的 JSON。"))
}

fn url() -> Parameter {
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(MAX_PAGE_URL));
    needed(
        "url",
        says(
            "The page's `location.href`, encoded with encodeURIComponent; the part before the first # is signed",
            "页面的 `location.href`，须经 encodeURIComponent 编码；签名取第一个 # 之前的部分",
        ),
        schema
            .pattern(Some("^[Hh][Tt][Tt][Pp][Ss]?://[^\\s]+$"))
            .build(),
        PAGE,
    )
}

/// With a card, the account name is subject to a card field's limits.
fn card_account() -> Parameter {
    let what = says(
        "The account's name in the configuration; by default server.default_account",
        "配置中的账号名；默认用 server.default_account",
    );
    query("account", what, card_field(), "demo")
}

fn account() -> Parameter {
    account_of("demo")
}

fn account_of(example: &str) -> Parameter {
    query(
        "account",
        says(
            "The account's name in the configuration; by default server.default_account",
            "配置中的账号名；默认用 server.default_account",
        ),
        string(),
        example,
    )
}

fn apis() -> Parameter {
    let what = says(
        "The interfaces that the page calls; by default the account's list",
        "页面要调用的接口；省略则用该账号配置的列表",
    );
    list(
        "jsApiList",
        what,
        name_schema(),
        MAX_NAMES,
        &["updateAppMessageShareData", "chooseImage"],
    )
}

fn tags() -> Parameter {
    let what = says(
        "The open tags that the page uses; by default the account's list",
        "页面要使用的开放标签；省略则用该账号配置的列表",
    );
    list(
        "openTagList",
        what,
        name_schema(),
        MAX_NAMES,
        &["wx-open-launch-weapp"],
    )
}

fn name_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[A-Za-z0-9_:.-]{1,64}$"))
        .build()
}

fn card_id() -> Object {
    let mut schema = card_field();
    schema.min_length = Some(1);
    schema
}

fn card_field() -> Object {
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .max_length(Some(MAX_CARD_FIELD));
    schema
        .pattern(Some(r"^[^\u0000-\u001f\u007f-\u009f]*$"))
        .build()
}

fn debug() -> Parameter {
    query(
        "debug",
        says(
            "Whether the phone shows the result of every call in an alert",
            "是否在手机上弹出每次调用的结果",
        ),
        one_of(["true", "false", "1", "0", ""]),
        "false",
    )
}

fn js_config() -> Value {
    json!({
        "debug": false, "appId": "wx0123456789abcdef", "timestamp": 1_414_587_457, "nonceStr": NONCE, "signature": SIGNATURE,
        "jsApiList": ["updateAppMessageShareData", "chooseImage"], "openTagList": [], "url": PAGE,
    })
}

fn agent() -> Value {
    json!({
        "corpid": "ww0123456789abcdef", "agentid": "1000002", "timestamp": 1_414_587_457, "nonceStr": NONCE, "signature": SIGNATURE,
        "jsApiList": ["selectEnterpriseContact"],
    })
}

/// On a safe domain of the sandbox's accounts, so that the example works.
const PAGE: &str = "https://demo.example.com/page?a=1&b=2";
const NONCE: &str = "9f86d081884c7d659a2feaa0c55ad015";
const SIGNATURE: &str = "0f9de62fce790f9a083d5c99e95740ceb90c27ed";

/// Same values as in `endpoint/query`.
const MAX_NAMES: usize = 200;
const MAX_CARD_FIELD: usize = 128;

const CONFIG_REFUSES: &[&str] = &[
    "rate_limited",
    "missing_url",
    "bad_url",
    "url_not_encoded",
    "url_double_encoded",
    "duplicate_parameter",
    "bad_list",
    "bad_flag",
    "page_not_allowed",
    "account_required",
    "unknown_account",
    "unsupported_credential",
    "account_misconfigured",
    "upstream_unavailable",
    "upstream_quota",
];

const CARD_REFUSES: &[&str] = &[
    "rate_limited",
    "duplicate_parameter",
    "bad_card",
    "account_required",
    "unknown_account",
    "unsupported_credential",
    "account_misconfigured",
    "upstream_unavailable",
    "upstream_quota",
];
