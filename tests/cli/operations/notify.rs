//! Webhook messages: a receiver that checks the documented format of WeCom, DingTalk and Feishu.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;
use wx_jssdk::broker::Find;
use wx_jssdk::clock::Clock;
use wx_jssdk::credential::Kind;
use wx_jssdk::sandbox::{App, FaultKind, ProxyRule, Sandbox};
use wx_jssdk::server::config::Settings;

use crate::common::http::{answer, read_request, unfinished_answer};
use crate::common::program::{command, is_bilingual, run_command};
use crate::common::wait::until;
use crate::operations::world::*;

const KEY: &str = "693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa";
const TOKEN_OF_DINGTALK: &str = "566cc69da782ec33a1b2c3d4e5f6";
const HOOK: &str = "a1b2c3d4-0000-4444-8888-e5f6a7b8c9d0";
const SIGNING: &str = "SEC0c79e1fa963cd80cc0be99b20a18faeb";

/// A local stand-in for the webhook services: records requests and fails a given number of times.
#[derive(Clone, Default)]
struct Receiver(Arc<Got>);

#[derive(Default)]
struct Got {
    requests: Mutex<Vec<(String, Value)>>,
    refusals: Mutex<u32>,
    came: Notify,
}

impl Receiver {
    async fn start() -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, receiver) = (listener.local_addr().unwrap(), Self::default());
        let here = receiver.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(here.clone().serve(stream));
            }
        });
        (receiver, address)
    }

    async fn serve(self, mut stream: TcpStream) {
        let request = read_request(&mut stream).await;
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(
            head.to_lowercase()
                .contains("content-type: application/json")
        );
        let target = head.split(' ').nth(1).unwrap().to_owned();
        let body: Value = serde_json::from_str(body).unwrap();
        let reply = match target.as_str() {
            "/cut-off" => unfinished_answer("than"),
            _ => answer("200 OK", "", &self.judge(&target, &body).to_string()),
        };
        self.0.requests.lock().unwrap().push((target, body));
        self.0.came.notify_one();
        let _ = stream.write_all(reply.as_bytes()).await;
    }

    /// Answers as documented by the service of this path.
    fn judge(&self, target: &str, body: &Value) -> Value {
        let mut refusals = self.0.refusals.lock().unwrap();
        if *refusals > 0 {
            *refusals -= 1;
            // The answer repeats the key, which must not be logged.
            return json!({"errcode": 45_009, "errmsg": format!("api freq out of limit {KEY}")});
        }
        let length = |text: &Value| text.as_str().map_or(0, str::len);
        match target.split('?').next().unwrap() {
            "/cgi-bin/webhook/send" if !target.ends_with(&format!("?key={KEY}")) => {
                json!({"errcode": 93_000, "errmsg": "invalid webhook url"})
            }
            "/cgi-bin/webhook/send" => match (&body["msgtype"], length(&body["text"]["content"])) {
                (kind, 1..=2_048) if kind == "text" => json!({"errcode": 0, "errmsg": "ok"}),
                _ => json!({"errcode": 40_058, "errmsg": "content size out of limit"}),
            },
            "/robot/send" => {
                let url = url::Url::parse(&format!("http://x{target}")).unwrap();
                let query: HashMap<_, _> = url.query_pairs().into_owned().collect();
                let (time, text) = (
                    &query["timestamp"],
                    body["text"]["content"].as_str().unwrap(),
                );
                let right = query["access_token"] == TOKEN_OF_DINGTALK
                    && time.len() == 13
                    && query["sign"] == hmac(SIGNING, &format!("{time}\n{SIGNING}"));
                match right && text.contains("wx-jssdk") && body["msgtype"] == "text" {
                    true if body.to_string().len() <= 20_000 => {
                        json!({"errcode": 0, "errmsg": "ok"})
                    }
                    _ => json!({"errcode": 310_000, "errmsg": "sign not match"}),
                }
            }
            "/open-apis/bot/v2/hook/a1b2c3d4-0000-4444-8888-e5f6a7b8c9d0" => {
                let time = body["timestamp"].as_str().unwrap();
                let right = time.len() == 10
                    && body["sign"] == hmac(&format!("{time}\n{SIGNING}"), "")
                    && body["msg_type"] == "text"
                    && body["content"]["text"]
                        .as_str()
                        .is_some_and(|it| it.contains("wx-jssdk"));
                match right && body.to_string().len() <= 20_480 {
                    true => json!({"code": 0, "msg": "success", "data": {}}),
                    false => json!({"code": 19_021, "msg": "sign match fail"}),
                }
            }
            _ => json!({}),
        }
    }

    /// Moves the clock in steps of a settle time until there are this many requests.
    async fn wait_for(&self, count: usize, service: &Service) -> Vec<(String, Value)> {
        let waiting = async {
            while self.requests().len() < count {
                service.advance(61);
                let _ = timeout(Duration::from_millis(1_500), self.0.came.notified()).await;
            }
        };
        let log = service.log.clone();
        let came = timeout(BOUND, waiting).await;
        came.unwrap_or_else(|_| panic!("{:#?}\n{}", self.requests(), log.text()));
        self.requests()
    }

    /// Waits until two accounts are down, and returns the events about them, of different causes.
    async fn outages_of_two(&self, service: &Service) -> Vec<Value> {
        let both_down =
            |scrape: &Scrape| scrape.value("wx_jssdk_accounts", &[("state", "down")]) == Some(2.0);
        service.until("both down", both_down).await;
        let both = async {
            while events(&self.wait_for(1, service).await).len() < 2 {
                service.advance(61);
                self.0.came.notified().await;
            }
        };
        timeout(BOUND, both).await.expect("a message for each");
        events(&self.requests()).into_iter().cloned().collect()
    }

    fn requests(&self) -> Vec<(String, Value)> {
        self.0.requests.lock().unwrap().clone()
    }
}

fn hmac(key: &str, text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// All four kinds of webhooks, at this address.
fn webhooks(address: SocketAddr) -> String {
    format!(
        "[notify.webhooks.a]\ntype = \"wecom\"\nurl = \"http://{address}/cgi-bin/webhook/send?key={KEY}\"\n
        [notify.webhooks.b]\ntype = \"dingtalk\"\nurl = \"http://{address}/robot/send?access_token={TOKEN_OF_DINGTALK}\"\nsecret = \"{SIGNING}\"\n
        [notify.webhooks.c]\ntype = \"feishu\"\nurl = \"http://{address}/open-apis/bot/v2/hook/{HOOK}\"\nsecret = \"{SIGNING}\"\n
        [notify.webhooks.d]\ntype = \"json\"\nurl = \"http://{address}/own\"\n"
    )
}

/// One generic webhook with messages in English.
fn own(address: SocketAddr) -> String {
    format!(
        "[notify]\nlanguage = \"en\"\n[notify.webhooks.own]\ntype = \"json\"\nurl = \"http://{address}/own\"\n"
    )
}

fn events(requests: &[(String, Value)]) -> Vec<&Value> {
    let events = requests
        .iter()
        .flat_map(|(_, body)| body["events"].as_array().unwrap());
    events.collect()
}

#[tokio::test]
async fn an_outage_of_200_accounts_is_one_down_and_one_recovered_with_counts() {
    let (receiver, address) = Receiver::start().await;
    let names: Vec<_> = (0..200).map(|n| format!("a{n:03}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let text = accounts(names.iter().copied()) + &own(address);
    let service = Service::start("", &text, |sandbox| {
        names.iter().for_each(|name| sandbox.add_app(app(name)));
        sandbox.fault(wx_jssdk::sandbox::Fault::always(
            TOKEN,
            FaultKind::Errcode(-1),
        ));
    })
    .await;
    let of = |state, count: f64| {
        move |scrape: &Scrape| scrape.value("wx_jssdk_accounts", &[("state", state)]) == Some(count)
    };
    service.until("all down", of("down", 200.0)).await;
    let requests = receiver.wait_for(1, &service).await;
    assert_eq!(events(&requests)[0]["count"], 200, "{requests:#?}");
    service.sandbox.clear_faults();
    // Longer than the wait after any of the failures.
    service.advance(61);
    until("all recover", async || {
        // A call that a busy machine answers too late is repeated after a second.
        service.advance(1);
        service.broker.tend().await;
        service.broker.snapshot(&Find::default()).counts.ok == 200
    })
    .await;
    let requests = receiver.wait_for(2, &service).await;
    let events = events(&requests);
    let said: Vec<_> = events
        .iter()
        .map(|it| (it["event"].as_str().unwrap(), &it["count"]))
        .collect();
    assert_eq!(said, [("down", &json!(200)), ("recovered", &json!(200))]);
    let first = events[0]["text"].as_str().unwrap();
    assert!(
        first.starts_with("wx-jssdk: down: 200 accounts\n"),
        "{first}"
    );
    assert!(
        first.contains("a000, a001") && first.contains("and 190 more"),
        "{first}"
    );
    assert!(is_bilingual(&events[0]["cause"].to_string()), "{first}");
    let scrape = service.scrape().await;
    let sent = scrape.value("wx_jssdk_notifications_total", &[("result", "sent")]);
    assert_eq!(sent, Some(2.0));
    service.end().await;
}

#[tokio::test]
async fn webhook_and_status_page_name_the_only_credential_that_is_not_served() {
    let (receiver, address) = Receiver::start().await;
    let corp = "[accounts.corp]\nplatform = \"work\"\ncorp_id = \"ww0123456789abcdef\"\nagent_id = 1000002\n";
    let text = format!("{corp}secret = \"{SECRET}\"\n{}", own(address));
    let service = Service::start("", &text, |sandbox| {
        let corp = App::work("ww0123456789abcdef", 1_000_002, SECRET);
        sandbox.add_app(corp.safe_domain("example.com"));
        sandbox.fault(wx_jssdk::sandbox::Fault::always(
            "/cgi-bin/ticket/get",
            FaultKind::Errcode(48_002),
        ));
    })
    .await;
    service.warm("corp").await;
    let requests = receiver.wait_for(1, &service).await;
    let event = events(&requests)[0];
    assert_eq!(
        (&event["event"], &event["title"]),
        (
            &json!("partly_down"),
            &json!("wx-jssdk: partly down: 1 account, still served except agent_ticket")
        )
    );
    assert!(event["served_for"].is_null(), "{event}");
    let page = get(&format!("{}/status?lang=en", service.admin)).await.1;
    for text in [
        "Partly down: not every credential is served",
        "Still served except agent_ticket: <b>corp</b>.",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    let page = get(&format!("{}/status?lang=zh", service.admin)).await.1;
    let text = "<b>corp</b> 除 agent_ticket 外仍可用。";
    assert!(page.contains(text), "{page}");
    service.end().await;
}

#[tokio::test]
async fn each_service_gets_its_documented_shape_without_secrets() {
    let (receiver, address) = Receiver::start().await;
    *receiver.0.refusals.lock().unwrap() = 1;
    let text = accounts(["shop"]) + &webhooks(address);
    let service = Service::start("", &text, |sandbox| {
        sandbox.add_app(app("shop"));
        sandbox.fault(wx_jssdk::sandbox::Fault::always(
            TOKEN,
            FaultKind::Errcode(40_164),
        ));
    })
    .await;
    // One of the five is the retry of the refused one.
    let requests = receiver.wait_for(5, &service).await;
    let sent = |scrape: &Scrape| {
        let sent = [("result", "sent")];
        scrape
            .all("wx_jssdk_notifications_total", &sent)
            .filter(|(_, count)| *count == 1.0)
            .count()
            == 4
    };
    service.until("all accepted", sent).await;
    let (_, own) = requests
        .iter()
        .find(|(target, _)| target == "/own")
        .unwrap();
    let event = &own["events"][0];
    assert_eq!(
        (&event["event"], &event["errcode"]),
        (&json!("down"), &json!(40_164))
    );
    let text = event["text"].as_str().unwrap();
    let ip = event["ips_to_allow"][0].as_str().expect("the IP");
    assert!(text.contains("不在白名单") && text.contains(ip), "{text}");
    let all = format!("{requests:?}");
    assert!(!all.contains(SECRET), "{all}");
    let said = service.log.text() + &service.scrape().await.text;
    for secret in [KEY, TOKEN_OF_DINGTALK, HOOK, SIGNING, SECRET] {
        assert!(!said.contains(secret), "{secret}: {said}");
    }
    let failed = service.log.about("notification could not be sent");
    assert_eq!(failed.len(), 1, "{said}");
    assert!(
        failed[0]["error"]
            .as_str()
            .unwrap()
            .contains("api freq out of limit …"),
        "{failed:?}"
    );
    service.end().await;
}

#[tokio::test]
async fn three_outages_in_one_second_all_reach_a_robot_with_short_messages() {
    let (receiver, address) = Receiver::start().await;
    let names: Vec<_> = (0..30).map(|n| format!("shop-in-{n:08}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let wecom = webhooks(address)
        .split("[notify.webhooks.b]")
        .next()
        .unwrap()
        .to_owned();
    // Long names: two texts fit into one message, three do not.
    let text =
        accounts(names.iter().copied()).replace("[accounts.", "[accounts.account-of-the-") + &wecom;
    let service = Service::start("", &text, |sandbox| {
        // WeChat does not know the last ten.
        for name in &names[..10] {
            sandbox.add_app(app(name).allow_ips(["192.0.2.1"]));
        }
        for name in &names[10..20] {
            sandbox.add_app(app(name).with_secret("f".repeat(32)));
        }
    })
    .await;
    let all_down =
        |scrape: &Scrape| scrape.value("wx_jssdk_accounts", &[("state", "down")]) == Some(30.0);
    service.until("all down", all_down).await;
    let requests = receiver.wait_for(2, &service).await;
    let texts = requests
        .iter()
        .map(|(_, body)| body["text"]["content"].to_string());
    let texts: String = texts.collect();
    for errcode in ["40164", "40125", "40013"] {
        assert_eq!(
            texts.matches(&format!("（{errcode}）")).count(),
            1,
            "{texts}"
        );
    }
    service.end().await;
}

#[tokio::test]
async fn what_two_proxies_refuse_are_two_outages() {
    let (receiver, address) = Receiver::start().await;
    let sandbox = Sandbox::start(Clock::manual(START)).await.unwrap();
    let strict = sandbox.http_proxy(None).await.unwrap();
    strict.set_rule(ProxyRule::Deny);
    let locked = sandbox.http_proxy(Some(("u", "p"))).await.unwrap();
    let text = format!(
        "{}proxy = \"{}\"\n{}proxy = \"{}\"\n{}",
        accounts(["a"]),
        strict.url(),
        accounts(["b"]),
        locked.url(),
        own(address)
    );
    let service = Service::start("", &text, |_| {}).await;
    let events = receiver.outages_of_two(&service).await;
    let subjects = events.iter().map(|it| it["subjects"].to_string());
    let subjects: BTreeSet<_> = subjects.collect();
    let expected = [r#"["a"]"#, r#"["b"]"#].map(str::to_owned);
    assert_eq!(subjects, expected.into(), "{events:#?}");
    assert_ne!(events[0]["cause"], events[1]["cause"]);
    service.end().await;
}

#[tokio::test]
async fn an_ip_that_two_consoles_do_not_allow_is_two_outages() {
    let (receiver, address) = Receiver::start().await;
    let corp = "[accounts.corp]\nplatform = \"work\"\ncorp_id = \"ww0123456789abcdef\"\nagent_id = 1000002\n";
    let corp = format!("{corp}secret = \"{SECRET}\"\n");
    let text = accounts(["shop"]) + &corp + &own(address);
    let service = Service::start("", &text, |sandbox| {
        let corp = App::work("ww0123456789abcdef", 1_000_002, SECRET);
        sandbox.add_app(corp.allow_ips(["192.0.2.1"]));
        sandbox.add_app(app("shop").allow_ips(["192.0.2.1"]));
    })
    .await;
    let events = receiver.outages_of_two(&service).await;
    for event in &events {
        let console = match event["subjects"][0] == "corp" {
            true => "WeCom admin console",
            false => "WeChat developer platform",
        };
        let fix = event["fix"]["en"].as_str().unwrap();
        assert!(fix.contains(console), "{event}");
        assert_eq!(event["count"], 1, "{event}");
    }
    service.end().await;
}

#[tokio::test]
async fn a_message_says_how_long_the_failing_credential_is_served() {
    let (receiver, address) = Receiver::start().await;
    let text = accounts(["shop"]) + &own(address);
    let service = Service::start("", &text, |sandbox| {
        sandbox.add_app(app("shop").token_ttl(Duration::from_secs(3_600)));
    })
    .await;
    service.warm("shop").await;
    service.always(TOKEN, FaultKind::Errcode(40_164));
    let refused = service.broker.refresh_now("shop", Kind::AccessToken).await;
    refused.expect_err("the IP is not allowed");
    let requests = receiver.wait_for(1, &service).await;
    let event = events(&requests)[0].clone();
    let served_for = event["served_for"].as_u64().unwrap();
    assert!(served_for < 3_600, "{event}");
    service.end().await;
}

#[tokio::test]
async fn a_program_that_answered_200_gets_no_message_twice() {
    let (receiver, address) = Receiver::start().await;
    let home = tempfile::tempdir().unwrap();
    let text = own(address).replace("/own", "/cut-off");
    std::fs::write(home.path().join("wx-jssdk.toml"), text).unwrap();
    let ended = run_command(command(home.path(), &["notify", "test"])).await;
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn a_refused_reload_is_reported_without_the_configured_values() {
    let (receiver, address) = Receiver::start().await;
    let text = accounts(["shop"]) + &own(address);
    let service = Service::start("", &text, |sandbox| sandbox.add_app(app("shop"))).await;
    service.warm("shop").await;
    let mut broken =
        "[accounts.shop]\napp_id = \"wx1\"\nsecret = \"x\"\nbadly_named = 1\n".to_owned();
    broken.extend((0..30).map(|n| format!("wrong{n} = 1\n")));
    let problems = Settings::read(&broken, Path::new(""), HashMap::new()).unwrap_err();
    service.reloader.refuse(&problems);
    let requests = receiver.wait_for(1, &service).await;
    let text = events(&requests)[0]["text"].as_str().unwrap().to_owned();
    assert_eq!(events(&requests)[0]["event"], "reload_refused");
    assert_eq!(events(&requests)[0]["count"], problems.0.len());
    assert!(text.contains("accounts.shop.badly_named"), "{text}");
    assert!(!text.contains("known settings"), "{text}");
    service
        .reloader
        .reload(service.settings(&accounts(["shop"])))
        .unwrap();
    let requests = receiver.wait_for(2, &service).await;
    assert_eq!(events(&requests)[1]["event"], "recovered");
    service.end().await;
}

#[tokio::test]
async fn an_expiring_certificate_is_reported_once_and_its_successor_too() {
    let (receiver, address) = Receiver::start().await;
    let home = tempfile::tempdir().unwrap();
    let (cert, key) = (home.path().join("a.crt"), home.path().join("a.key"));
    let issue = |(year, month, day)| {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2025, 12, 1);
        params.not_after = rcgen::date_time_ymd(year, month, day);
        let pair = KeyPair::generate().unwrap();
        std::fs::write(&cert, params.self_signed(&pair).unwrap().pem()).unwrap();
        std::fs::write(&key, pair.serialize_pem()).unwrap();
    };
    issue((2026, 1, 8));
    let tls = format!("tls = {{ cert = {cert:?}, key = {key:?} }}");
    let text = accounts(["shop"]) + &own(address);
    let service = Service::start(&tls, &text, |sandbox| sandbox.add_app(app("shop"))).await;
    let requests = receiver.wait_for(1, &service).await;
    let ending = events(&requests)[0].clone();
    assert_eq!(ending["event"], "certificate", "{ending}");
    let text = ending["text"].as_str().unwrap();
    assert!(
        text.contains("certificate expires soon (server.tls)"),
        "{text}"
    );
    // A fifth of its life before its end.
    let soon = START.0 as f64 + (7.0 - 38.0 / 5.0) * 86_400.0;
    let setting = [("setting", "server.tls")];
    let scrape = service.scrape().await;
    let exported = "wx_jssdk_certificate_expires_soon_timestamp_seconds";
    assert_eq!(scrape.value(exported, &setting), Some(soon));
    issue((2027, 1, 1));
    assert!(service.certificates()[0].reload_if_changed().await);
    let requests = receiver.wait_for(2, &service).await;
    assert_eq!(requests.len(), 2);
    let text = events(&requests)[1]["text"].as_str().unwrap().to_owned();
    assert!(text.contains("certificate replaced"), "{text}");
    service.end().await;
}

#[tokio::test]
async fn messages_leave_through_the_egress_proxy() {
    const PASSWORD: &str = "geheim-4711";
    let (receiver, address) = Receiver::start().await;
    let sandbox = Sandbox::start(Clock::manual(START)).await.unwrap();
    let proxy = sandbox.http_proxy(Some(("u", PASSWORD))).await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let text = format!(
        "[upstream]\nproxy = \"{}\"\nproxy_user = \"u\"\nproxy_password = \"{PASSWORD}\"\n{}",
        proxy.url(),
        own(address)
    );
    std::fs::write(home.path().join("wx-jssdk.toml"), text).unwrap();
    let ended = run_command(command(home.path(), &["notify", "test"])).await;
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    assert_eq!(receiver.requests().len(), 1);
    assert_eq!(proxy.targets(), [address.to_string()]);
    proxy.set_rule(ProxyRule::Deny);
    let ended = run_command(command(home.path(), &["notify", "test"])).await;
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert_eq!(receiver.requests().len(), 1, "never without the proxy");
    assert!(!ended.stderr.contains(PASSWORD), "{}", ended.stderr);
}

#[tokio::test]
async fn notify_test_says_of_each_webhook_whether_it_accepts() {
    let (receiver, address) = Receiver::start().await;
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("wx-jssdk.toml");
    std::fs::write(&config, webhooks(address)).unwrap();
    let ended = run_command(command(home.path(), &["notify", "test"])).await;
    assert_eq!(ended.code, 0, "{}{}", ended.stdout, ended.stderr);
    assert_eq!(
        ended.stdout.matches(": sent").count(),
        4,
        "{}",
        ended.stdout
    );
    assert_eq!(receiver.requests().len(), 4);
    let wrong = webhooks(address).replace(SIGNING, "SEC-another-one-that-is-wrong");
    std::fs::write(&config, wrong).unwrap();
    let ended = run_command(command(home.path(), &["notify", "test", "--webhook", "b"])).await;
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (1, ""),
        "{}",
        ended.stderr
    );
    assert!(
        ended
            .stderr
            .contains("b: not accepted: 310000 sign not match"),
        "{}",
        ended.stderr
    );
    assert!(is_bilingual(&ended.stderr) && !ended.stderr.contains(TOKEN_OF_DINGTALK));
    let ended = run_command(command(
        home.path(),
        &["notify", "test", "--webhook", "none"],
    ))
    .await;
    assert_eq!(ended.code, 2, "{}", ended.stderr);
}
