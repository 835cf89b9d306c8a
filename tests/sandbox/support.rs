//! A sandbox with one app, and the calls of a server to WeChat and to WeCom.

use std::time::Duration;

use serde_json::{Value, json};
use wx_jssdk::clock::{Clock, UnixTime};
use wx_jssdk::sandbox::{App, Sandbox};

use crate::common::http;
pub(crate) use crate::common::http::client;
use crate::common::upstream;

pub(crate) const APP: &str = "wx0123456789abcdef";
pub(crate) const SECRET: &str = "0c79e1fa963cd80cc0be99b20a18faeb";

/// 2023-11-14T22:13:20Z: 06:13:20 on the 15th in Shanghai.
pub(crate) const START: UnixTime = UnixTime(1_700_000_000);

/// A page and the nonce that its signature has.
pub(crate) const URL: &str = "https://example.com/page?a=1&b=2";
pub(crate) const NONCE: &str = "Wm3WZYTPz0wzccnW";

/// Returns the signature of a page at `url` with that nonce, made at [`START`].
pub(crate) fn signature(ticket: &str, url: &str) -> String {
    upstream::signature(ticket, NONCE, START.0, url)
}

pub(crate) fn app() -> App {
    App::official(APP, SECRET).safe_domain("example.com")
}

pub(crate) async fn sandbox() -> Sandbox {
    sandbox_with(app()).await
}

pub(crate) async fn sandbox_with(app: App) -> Sandbox {
    let sandbox = Sandbox::start(Clock::manual(START))
        .await
        .expect("a free port on loopback");
    sandbox.add_app(app);
    sandbox
}

/// An answer: WeChat's are all 200.
pub(crate) async fn get(sandbox: &Sandbox, path_and_query: &str) -> Value {
    let answer = client()
        .get(format!("{}{path_and_query}", sandbox.url()))
        .send()
        .await
        .unwrap();
    json_of(answer).await
}

pub(crate) async fn post(
    sandbox: &Sandbox,
    path_and_query: &str,
    body: impl Into<String>,
) -> Value {
    let answer = client()
        .post(format!("{}{path_and_query}", sandbox.url()))
        .body(body.into())
        .send()
        .await
        .unwrap();
    json_of(answer).await
}

pub(crate) async fn json_of(answer: reqwest::Response) -> Value {
    assert_eq!(answer.status(), 200);
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

pub(crate) fn token_path() -> String {
    format!("/cgi-bin/token?grant_type=client_credential&appid={APP}&secret={SECRET}")
}

pub(crate) async fn classic(sandbox: &Sandbox) -> Value {
    get(sandbox, &token_path()).await
}

pub(crate) fn stable_body(force: bool) -> String {
    json!({ "grant_type": "client_credential", "appid": APP, "secret": SECRET, "force_refresh": force }).to_string()
}

pub(crate) async fn stable(sandbox: &Sandbox) -> Value {
    post(sandbox, "/cgi-bin/stable_token", stable_body(false)).await
}

pub(crate) async fn force(sandbox: &Sandbox) -> Value {
    post(sandbox, "/cgi-bin/stable_token", stable_body(true)).await
}

pub(crate) async fn ticket(sandbox: &Sandbox, token: &str, kind: &str) -> Value {
    get(
        sandbox,
        &format!("/cgi-bin/ticket/getticket?access_token={token}&type={kind}"),
    )
    .await
}

/// Makes a data call with this token. Returns 0 if it is accepted, otherwise the errcode.
pub(crate) async fn try_token(sandbox: &Sandbox, token: &str) -> i64 {
    let answer = get(
        sandbox,
        &format!("/cgi-bin/get_api_domain_ip?access_token={token}"),
    )
    .await;
    answer["errcode"].as_i64().unwrap_or(0)
}

pub(crate) fn text<'a>(answer: &'a Value, field: &str) -> &'a str {
    answer[field]
        .as_str()
        .unwrap_or_else(|| panic!("no {field} in {answer}"))
}

pub(crate) fn token_of(answer: &Value) -> String {
    text(answer, "access_token").to_owned()
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Returns the errmsg without its rid, which is checked: three groups of eight hex digits, the first of them the time.
pub(crate) fn errmsg(sandbox: &Sandbox, answer: &Value) -> String {
    let (words, rid) = text(answer, "errmsg")
        .split_once(" rid: ")
        .unwrap_or_else(|| panic!("no rid in {answer}"));
    let groups: Vec<_> = rid.split('-').collect();
    assert!(
        groups.len() == 3 && groups.iter().all(|g| g.len() == 8),
        "{rid}"
    );
    assert_eq!(
        u64::from_str_radix(groups[0], 16).unwrap(),
        sandbox.clock().now().0,
        "{rid}"
    );
    words.to_owned()
}

/// Returns every received byte of a GET, including headers, until the connection ends.
pub(crate) async fn raw(sandbox: &Sandbox, path_and_query: &str) -> Vec<u8> {
    http::exchange(sandbox.addr(), http::get(path_and_query).close().text()).await
}

pub(crate) const CORP: &str = "ww0123456789abcdef";
pub(crate) const AGENT: u64 = 1_000_002;
pub(crate) const AGENT_NAME: &str = "ww0123456789abcdef:1000002";
pub(crate) const WORK_SECRET: &str = "Y2YbFpt95RcGTs9CvriQ2uj23Wl8B3IxtbRM9nKfjVU";

/// A second app of the same corp.
pub(crate) const AGENT_2: u64 = 1_000_003;
pub(crate) const AGENT_2_NAME: &str = "ww0123456789abcdef:1000003";
pub(crate) const WORK_SECRET_2: &str = "another-secret-of-forty-three-characters-xx";

pub(crate) fn work_app() -> App {
    App::work(CORP, AGENT, WORK_SECRET).safe_domain("example.com")
}

pub(crate) fn second_app() -> App {
    App::work(CORP, AGENT_2, WORK_SECRET_2).safe_domain("second.example.com")
}

/// A corp with one app.
pub(crate) async fn corp() -> Sandbox {
    sandbox_with(work_app()).await
}

/// A corp with two apps.
pub(crate) async fn corp_of_two() -> Sandbox {
    let sandbox = corp().await;
    sandbox.add_app(second_app());
    sandbox
}

pub(crate) fn gettoken_path(secret: &str) -> String {
    format!("/cgi-bin/gettoken?corpid={CORP}&corpsecret={secret}")
}

pub(crate) async fn gettoken(sandbox: &Sandbox) -> Value {
    get(sandbox, &gettoken_path(WORK_SECRET)).await
}

pub(crate) async fn corp_ticket(sandbox: &Sandbox, token: &str) -> Value {
    get(
        sandbox,
        &format!("/cgi-bin/get_jsapi_ticket?access_token={token}"),
    )
    .await
}

pub(crate) async fn agent_ticket(sandbox: &Sandbox, token: &str) -> Value {
    get(
        sandbox,
        &format!("/cgi-bin/ticket/get?access_token={token}&type=agent_config"),
    )
    .await
}

/// Returns WeCom's errmsg without its suffix, which is checked: the time and fifteen digits, the address, the help link.
pub(crate) fn work_errmsg(sandbox: &Sandbox, answer: &Value, from: &str) -> String {
    let (words, tail) = text(answer, "errmsg")
        .split_once(", hint: [")
        .unwrap_or_else(|| panic!("no hint in {answer}"));
    let (hint, tail) = tail.split_once(']').unwrap();
    let digits = hint
        .strip_prefix(&sandbox.clock().now().0.to_string())
        .unwrap_or_else(|| panic!("not the time: {hint}"));
    assert!(
        digits.len() == 15 && digits.bytes().all(|b| b.is_ascii_digit()),
        "{hint}"
    );
    let code = &answer["errcode"];
    assert_eq!(
        tail,
        format!(
            ", from ip: {from}, more info at https://open.work.weixin.qq.com/devtool/query?e={code}"
        )
    );
    words.to_owned()
}

/// Returns errcode and errmsg of WeCom's refusal of a call from this machine.
pub(crate) fn work_refusal(sandbox: &Sandbox, answer: &Value) -> (i64, String) {
    (
        answer["errcode"].as_i64().unwrap(),
        work_errmsg(sandbox, answer, "127.0.0.1"),
    )
}
