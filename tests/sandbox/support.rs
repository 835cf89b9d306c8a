//! A sandbox with one app, and the calls that a server makes.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Once;
use std::time::Duration;

use serde_json::{Value, json};
use wx_jssdk::clock::{Clock, UnixTime};
use wx_jssdk::sandbox::{App, Sandbox};

pub(crate) const APP: &str = "wx0123456789abcdef";
pub(crate) const SECRET: &str = "0c79e1fa963cd80cc0be99b20a18faeb";

/// 2023-11-14T22:13:20Z: 06:13:20 on the 15th in Shanghai.
pub(crate) const START: UnixTime = UnixTime(1_700_000_000);

pub(crate) fn app() -> App {
    App::official(APP, SECRET).safe_domain("example.com")
}

pub(crate) async fn sandbox() -> Sandbox {
    sandbox_with(app()).await
}

pub(crate) async fn sandbox_with(app: App) -> Sandbox {
    let sandbox = Sandbox::start(Clock::manual(START)).await.expect("a free port on loopback");
    sandbox.add_app(app);
    sandbox
}

pub(crate) fn client() -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap()
}

/// An answer: WeChat's are all 200.
pub(crate) async fn get(sandbox: &Sandbox, path_and_query: &str) -> Value {
    let answer = client().get(format!("{}{path_and_query}", sandbox.url())).send().await.unwrap();
    json_of(answer).await
}

pub(crate) async fn post(sandbox: &Sandbox, path_and_query: &str, body: impl Into<String>) -> Value {
    let answer = client().post(format!("{}{path_and_query}", sandbox.url())).body(body.into()).send().await.unwrap();
    json_of(answer).await
}

async fn json_of(answer: reqwest::Response) -> Value {
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
    get(sandbox, &format!("/cgi-bin/ticket/getticket?access_token={token}&type={kind}")).await
}

/// A data call with this token: 0 when it is taken, the errcode when not.
pub(crate) async fn try_token(sandbox: &Sandbox, token: &str) -> i64 {
    let answer = get(sandbox, &format!("/cgi-bin/get_api_domain_ip?access_token={token}")).await;
    answer["errcode"].as_i64().unwrap_or(0)
}

pub(crate) fn text<'a>(answer: &'a Value, field: &str) -> &'a str {
    answer[field].as_str().unwrap_or_else(|| panic!("no {field} in {answer}"))
}

pub(crate) fn token_of(answer: &Value) -> String {
    text(answer, "access_token").to_owned()
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The errmsg without its rid, which is checked: three groups of eight hex digits, the first of them the time.
pub(crate) fn errmsg(sandbox: &Sandbox, answer: &Value) -> String {
    let (words, rid) = text(answer, "errmsg").split_once(" rid: ").unwrap_or_else(|| panic!("no rid in {answer}"));
    let groups: Vec<_> = rid.split('-').collect();
    assert!(groups.len() == 3 && groups.iter().all(|g| g.len() == 8), "{rid}");
    assert_eq!(u64::from_str_radix(groups[0], 16).unwrap(), sandbox.clock().now().0, "{rid}");
    words.to_owned()
}

/// Every byte that comes back for a GET, headers included, until the connection ends.
pub(crate) async fn raw(sandbox: &Sandbox, path_and_query: &str) -> Vec<u8> {
    let (addr, request) =
        (sandbox.addr(), format!("GET {path_and_query} HTTP/1.1\r\nHost: sandbox\r\nConnection: close\r\n\r\n"));
    let read = move || {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        bytes
    };
    tokio::task::spawn_blocking(read).await.unwrap()
}
