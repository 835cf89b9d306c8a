//! An open platform over HTTP: pushes, the authorisation page, and its accounts on every other path.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use wx_jssdk::actix::{ApiKey, ApiKeys, KeyHash};
use wx_jssdk::clock::Clock;
use wx_jssdk::sandbox::{App, Fault, FaultKind, OpenPlatform, Push, Sandbox};
use wx_jssdk::server::Application;
use wx_jssdk::server::config::StoreSettings;
use wx_jssdk::{Kind, UnixTime};

use crate::common::http::{self, Answer, Request, get, post};
use crate::common::service::{Service, settings};
use crate::common::wait::{called, until};

pub(crate) const COMPONENT: &str = "wxbbd3f07e2945cf2a";
pub(crate) const SECRET: &str = "5ec2e7000000000000000000000000aa";
pub(crate) const SHOP: &str = "wx1111111111111111";
const GAME: &str = "wx3333333333333333";
const KEY: &str = "wxk_a-client-of-the-agency";
const EVENTS: &str = "/platforms/agency/events";
const COOKIE: &str = "wx_jssdk_authorize";
const PRE_AUTH_CODE: &str = "/cgi-bin/component/api_create_preauthcode";
const QUERY_AUTH: &str = "/cgi-bin/component/api_query_auth";
const LIST: &str = "/cgi-bin/component/api_get_authorizer_list";
const AUTHORIZER_TOKEN: &str = "/cgi-bin/component/api_authorizer_token";

/// Some minutes after the real pushes of 2015.
const START: UnixTime = UnixTime(1_436_881_500);

pub(crate) struct World {
    pub(crate) service: Service,
    pub(crate) sandbox: Sandbox,
    home: tempfile::TempDir,
    text: String,
}

pub(crate) fn vector(id: &str) -> Value {
    let file: Value = serde_json::from_str(include_str!("../sign/push_vectors.json")).unwrap();
    let mut vectors = file["message_crypto"].as_array().unwrap().iter();
    vectors.find(|vector| vector["id"] == id).unwrap().clone()
}

/// The query and the body of a captured push.
pub(crate) fn captured(vector: &Value) -> (String, String) {
    let text = |name: &str| vector[name].as_str().unwrap();
    let query = format!(
        "signature={}&timestamp={}&nonce={}&encrypt_type=aes&msg_signature={}",
        text("signature_plain"),
        text("timestamp"),
        text("nonce"),
        text("msg_signature")
    );
    let body = format!(
        "<xml>\n    <AppId><![CDATA[{COMPONENT}]]></AppId>\n    <Encrypt><![CDATA[{}]]></Encrypt>\n</xml>\n",
        text("encrypt")
    );
    (query, body)
}

/// The cookie that an answer sets, and the state in it.
fn cookie_and_state(answer: &Answer) -> (String, String) {
    let cookie = answer.header("set-cookie").unwrap();
    let (cookie, _) = cookie.split_once(';').unwrap();
    let (name, state) = cookie.split_once('=').unwrap();
    assert_eq!(name, COOKIE);
    (cookie.to_owned(), state.to_owned())
}

impl World {
    /// The platform of the real pushes of 2015.
    async fn new() -> Self {
        Self::with("", |platform| platform).await
    }

    /// [`World::new`] with further settings of the platform, here and at WeChat.
    pub(crate) async fn with(
        further: &str,
        at_wechat: impl FnOnce(OpenPlatform) -> OpenPlatform,
    ) -> Self {
        let clock = Clock::manual(START);
        let sandbox = Sandbox::start(clock.clone()).await.unwrap();
        sandbox.add_app(App::official(SHOP, "0c79e1fa963cd80cc0be99b20a18faeb"));
        sandbox.add_app(App::mini(GAME, "0c79e1fa963cd80cc0be99b20a18faeb"));
        let vector = vector("open-ticket-2015");
        let (token, key) = (
            vector["token"].as_str().unwrap(),
            vector["encoding_aes_key"].as_str().unwrap(),
        );
        let platform = OpenPlatform::new(COMPONENT, SECRET)
            .with_push_keys(token, key)
            .safe_domain("example.com");
        let platform = at_wechat(platform);
        // Before the service asks it to push.
        sandbox.add_platform(platform.clone());
        let authorize_url = match further.contains("authorize_url") {
            true => "",
            false => "authorize_url = \"http://127.0.0.1\"",
        };
        let text = format!(
            "[upstream]\nweixin = \"{0}\"\nqyapi = \"{0}\"\n\
             [[server.api_keys]]\nname = \"agency\"\nsha256 = \"{1}\"\naccounts = [\"agency/*\"]\ncalls = [\"/\"]\n\
             [platforms.agency]\ncomponent_appid = \"{COMPONENT}\"\nsecret = \"{SECRET}\"\n\
             push_token = \"{token}\"\naes_key = \"{key}\"\njs_safe_domains = [\"example.com\"]\n\
             {authorize_url}\n{further}\n",
            sandbox.url(),
            KeyHash::of(KEY)
        );
        let home = tempfile::tempdir().unwrap();
        let mut settings = settings(&text, home.path());
        settings.server.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        settings.server.admin_listen = Some(settings.server.listen);
        settings.server.workers = 1;
        settings.server.shutdown = Duration::ZERO;
        if !further.contains("[store]") {
            settings.store = StoreSettings::MEMORY;
        }
        let service = Service::start(settings, clock).await;
        let base = format!("http://{}", service.public);
        let platform = platform
            .with_push_url(format!("{base}{EVENTS}"))
            .with_message_url(format!("{base}/platforms/agency/messages/$APPID$"));
        sandbox.add_platform(platform);
        let world = Self {
            service,
            sandbox,
            home,
            text,
        };
        let is_loaded = async || world.service.broker.platforms()[0].is_loaded;
        until("the records are read", is_loaded).await;
        world
    }

    /// A platform with a ticket.
    async fn ready() -> Self {
        Self::ready_with("").await
    }

    async fn ready_with(further: &str) -> Self {
        let world = Self::with(further, |platform| platform).await;
        let reply = world.sandbox.push_ticket(COMPONENT).await;
        assert!(reply.is_success(), "{reply:?}");
        world
    }

    /// Has an account authorise the platform and waits until it is usable.
    async fn authorized(&self, app_id: &str) -> String {
        let active = || self.service.broker.platforms()[0].active;
        let before = active();
        self.sandbox.authorize(COMPONENT, app_id).await;
        let name = format!("agency/{app_id}");
        let is_usable = async || active() > before && self.has(&name);
        until("the account is usable", is_usable).await;
        name
    }

    fn has(&self, name: &str) -> bool {
        self.service.broker.accounts().get(name).is_ok()
    }

    /// Sends a captured push as WeChat did.
    async fn replay(&self, vector: &Value) -> Answer {
        let (query, body) = captured(vector);
        let request = post(format!("{EVENTS}?{query}")).header("Content-Type", "text/xml");
        http::send(self.service.public, request.close().body(body)).await
    }

    async fn public(&self, target: &str) -> Answer {
        http::send(self.service.public, get(target).close().text()).await
    }

    /// Presses the button of the authorisation page in a browser that has this cookie.
    async fn press(&self, target: &str, cookie: &str) -> Answer {
        let request = post(target).header("Cookie", cookie).close().body("");
        http::send(self.service.public, request).await
    }

    /// Opens a page in a browser that has this cookie.
    async fn visit(&self, target: &str, cookie: &str) -> Answer {
        let request = get(target)
            .header("Cookie", format_args!("a=b; {cookie}"))
            .close();
        http::send(self.service.public, request.text()).await
    }

    fn advance(&self, seconds: u64) {
        let clock = self.service.broker.clock();
        assert!(clock.advance(Duration::from_secs(seconds)));
    }

    pub(crate) async fn admin(&self, target: &str) -> Answer {
        let request = get(target).bearer(KEY).close().text();
        http::send(self.service.admin, request).await
    }

    fn ticket_at(&self) -> Option<UnixTime> {
        self.service.broker.platforms()[0].ticket_at
    }
}

#[tokio::test]
async fn a_real_push_of_2015_is_stored_and_answered_success() {
    let world = World::new().await;
    let pushed = vector("open-ticket-2015");
    for _ in 0..2 {
        let answer = world.replay(&pushed).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, "success"));
        assert_eq!(world.ticket_at(), Some(UnixTime(1_436_881_222)));
    }
    let newer = world.sandbox.push_ticket(COMPONENT).await;
    assert!(newer.is_success());
    let stored = world.ticket_at();
    assert!(stored > Some(UnixTime(1_436_881_222)));
    // An older ticket does not replace a newer one, though its push is valid.
    assert_eq!(world.replay(&pushed).await.status, 200);
    assert_eq!(world.ticket_at(), stored);
    let withdrawn = world.replay(&vector("open-unauthorized-2015")).await;
    assert_eq!(
        (withdrawn.status, withdrawn.text.as_str()),
        (200, "success")
    );
}

#[tokio::test]
async fn every_invalid_push_gets_the_same_answer() {
    let world = World::new().await;
    let good = vector("open-ticket-2015");
    let mut answers = Vec::new();
    for (member, value) in [
        (
            "msg_signature",
            good["msg_signature"].as_str().unwrap().to_uppercase(),
        ),
        ("nonce", "1".to_owned()),
        (
            "encrypt",
            format!("A{}", &good["encrypt"].as_str().unwrap()[1..]),
        ),
        ("encrypt", String::new()),
    ] {
        let mut bad = good.clone();
        bad[member] = value.into();
        answers.push(world.replay(&bad).await);
    }
    let other = post(format!("{EVENTS}?a=1")).close();
    let many = format!("<xml>{}</xml>", "<a/>".repeat(16_000));
    for body in ["", "x", "<xml/>", &many, &"x".repeat(200_000)] {
        answers.push(http::send(world.service.public, other.clone().body(body)).await);
    }
    let signed = format!(
        "{EVENTS}?timestamp=1&nonce=n&msg_signature={}",
        "0".repeat(40)
    );
    let signed = post(signed).close().body(many);
    answers.push(http::send(world.service.public, signed).await);
    for answer in &answers {
        assert_eq!(answer.status, 400);
        assert_eq!(answer.text, answers[0].text);
    }
    assert_eq!(world.ticket_at(), None);
    let metrics = world.admin("/metrics").await.text;
    let refused = r#"wx_jssdk_platform_pushes_total{platform="agency",outcome="refused"} 10"#;
    assert!(metrics.contains(refused), "{metrics}");
}

#[tokio::test]
async fn a_push_for_another_platform_or_path_is_not_stored() {
    let world = World::new().await;
    let reply = world
        .sandbox
        .push(COMPONENT, Push::ticket().wrong_receiver())
        .await;
    assert_eq!(reply.status, Some(400), "{reply:?}");
    assert_eq!(world.ticket_at(), None);
    for path in ["/platforms/other/events", "/platforms/agency", "/"] {
        let answer = http::send(world.service.public, post(path).close().body("<xml/>")).await;
        assert!(
            matches!(answer.status, 404 | 405),
            "{path}: {}",
            answer.status
        );
    }
    assert_eq!(world.public(EVENTS).await.status, 404, "only POST");
}

#[tokio::test]
async fn an_authorised_account_has_the_same_paths_as_other_accounts() {
    let world = World::ready().await;
    let name = world.authorized(SHOP).await;
    let page = "url=https%3A%2F%2Fwww.example.com%2Fp";
    for account in [name.clone(), name.replace('/', "%2F")] {
        let config = world
            .public(&format!("/jssdk/config?account={account}&{page}"))
            .await;
        assert_eq!(config.status, 200, "{config:?}");
        assert_eq!(config.json()["appId"], SHOP);
    }
    let token = world
        .admin(&format!("/credentials/{name}/access_token"))
        .await;
    let right = world.sandbox.authorizer_token(COMPONENT, SHOP).unwrap();
    assert_eq!(token.json()["value"], right.as_str());
    let ticket = world
        .admin(&format!("/credentials/{name}/jsapi_ticket"))
        .await;
    assert_eq!(ticket.status, 200);
    let dropin = format!("/cgi-bin/token?grant_type=client_credential&appid={SHOP}&secret={KEY}");
    assert_eq!(
        world.admin(&dropin).await.json()["access_token"],
        right.as_str()
    );
    let call = world.admin(&format!("/wx/{name}/cgi-bin/menu/get")).await;
    assert_eq!(call.status, 200, "{call:?}");
    assert!(
        call.json().get("errcode").is_none_or(|code| code == 0),
        "{call:?}"
    );
    // Only the owner has its AppSecret, not this server.
    let login = format!("/wx/{name}/sns/jscode2session?js_code=1&secret={KEY}&appid={SHOP}");
    assert_eq!(world.admin(&login).await.json()["errcode"], 48001);
    let status = world.admin("/status.json").await.json();
    assert_eq!(status["platforms"][0]["active"], 1);
    assert_eq!(status["platforms"][0]["has_ticket"], true);
    let page = world.admin("/status?lang=en").await;
    assert!(page.text.contains("1 authorised account"), "{}", page.text);
}

#[tokio::test]
async fn the_drop_in_finds_an_account_that_authorised_at_another_node() {
    let ticket = ("ticket/getticket?type=jsapi&access_token=", "ticket");
    let token = (
        "token?grant_type=client_credential&appid=wx1111111111111111&secret=",
        "access_token",
    );
    // Also before WeChat's list was read: it makes no stored account better known.
    for (is_listed, (path, value)) in [
        (true, ticket),
        (true, token),
        (false, ticket),
        (false, token),
    ] {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("store.db");
        let store = format!(
            "[store]\nkind = \"sql\"\nurl = \"sqlite://{}\"\n",
            file.display()
        );
        let world = World::with(&store, |platform| platform).await;
        if !is_listed {
            world
                .sandbox
                .fault(Fault::always(LIST, FaultKind::Status(502)));
        }
        let reply = world.sandbox.push_ticket(COMPONENT).await;
        assert!(reply.is_success(), "{reply:?}");
        let mut settings = settings(&world.text, world.home.path());
        settings.server.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        settings.server.admin_listen = Some(settings.server.listen);
        settings.server.workers = 1;
        settings.server.shutdown = Duration::ZERO;
        let other = Service::start(settings, Clock::manual(START)).await;
        let is_read = async || {
            let platform = &other.broker.platforms()[0];
            platform.is_loaded && platform.listed_at.is_some() == is_listed
        };
        until("the other node has read what there is", is_read).await;
        let name = world.authorized(SHOP).await;
        let call = get(format!("/wx/{name}/cgi-bin/{path}{KEY}")).close();
        let answer = http::send(other.admin, call.text()).await;
        assert!(
            answer.json()[value].is_string(),
            "{path} {is_listed}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn unused_accounts_do_not_keep_a_node_ready_that_signs_for_no_used_one() {
    let world = World::ready().await;
    let apps = [SHOP, "wx2222222222222222", "wx4444444444444444"];
    let mut names = Vec::new();
    for app in apps {
        let app_secret = "0c79e1fa963cd80cc0be99b20a18faeb";
        world.sandbox.add_app(App::official(app, app_secret));
        names.push(world.authorized(app).await);
    }
    let is_ready = async || world.admin("/readyz").await.status == 200;
    assert!(is_ready().await, "of no account anything is wanted");
    let page = |name| format!("/jssdk/config?account={name}&url=https%3A%2F%2Fexample.com%2Fp");
    let ticket = "/cgi-bin/ticket/getticket";
    let refused = Fault::once(ticket, FaultKind::Errcode(48001));
    world.sandbox.fault(refused);
    let answer = world.public(&page(&names[1])).await;
    let problem = answer.assert_problem(502, "account_misconfigured");
    assert_eq!(problem["errcode"], 48_001, "{problem}");
    world.advance(11);
    assert!(
        is_ready().await,
        "one refused account says nothing of the others"
    );
    let signed = world.public(&page(&names[0])).await;
    assert_eq!(signed.status, 200, "{signed:?}");
    assert!(is_ready().await);
    for path in [
        "/cgi-bin/component/api_component_token",
        AUTHORIZER_TOKEN,
        ticket,
    ] {
        let fault = Fault::always(path, FaultKind::Status(502));
        world.sandbox.fault(fault);
    }
    world.advance(7_300);
    let report = world.admin("/readyz").await;
    assert_eq!(report.status, 503, "{report:?}");
}

#[tokio::test]
async fn an_account_of_which_only_the_token_is_used_is_down_without_it() {
    let world = World::ready().await;
    let name = world.authorized(SHOP).await;
    let path = format!("/credentials/{name}/access_token");
    assert_eq!(world.admin(&path).await.status, 200);
    let status = async || world.admin("/status.json").await.json();
    let healthy = status().await["accounts"][0].clone();
    assert_eq!(healthy["state"], "ok", "{healthy}");
    assert!(healthy["served_until"].is_u64(), "{healthy}");
    world
        .sandbox
        .fault(Fault::always(AUTHORIZER_TOKEN, FaultKind::Errcode(48_001)));
    world.advance(7_300);
    assert_eq!(world.admin(&path).await.status, 502);
    let status = status().await;
    assert_eq!(status["accounts"][0]["state"], "down", "{status}");
    let ready = world.admin("/readyz").await.json();
    let of_account = &ready["accounts"][0];
    assert_eq!(of_account["account"], name.as_str(), "{ready}");
    assert_eq!(of_account["ready"], false, "{ready}");
    assert!(of_account["served_until"].is_string(), "{ready}");
    let page = world.admin("/status?lang=en").await.text;
    assert!(page.contains("No token since ") && page.contains("No token for "));
}

#[tokio::test]
async fn the_status_page_says_that_an_exhausted_quota_is_the_platforms() {
    let world = World::ready().await;
    let name = world.authorized(SHOP).await;
    let path = format!("/credentials/{name}/access_token");
    assert_eq!(world.admin(&path).await.status, 200);
    world
        .sandbox
        .fault(Fault::always(AUTHORIZER_TOKEN, FaultKind::Errcode(45_009)));
    world.advance(7_300);
    let answer = world.admin(&path).await;
    answer.assert_problem(503, "upstream_quota");
    let page = world.admin("/status?lang=en").await.text;
    assert!(
        page.contains("all accounts that authorised it share it"),
        "{page}"
    );
    assert!(page.contains("/cgi-bin/component/clear_quota/v2"), "{page}");
    assert!(!page.contains("other server"), "{page}");
}

#[tokio::test]
async fn the_type_of_an_account_is_unknown_before_wechat_was_asked() {
    let world = World::with("", |platform| platform.authorized_by(GAME)).await;
    world.sandbox.push_ticket(COMPONENT).await;
    let name = format!("agency/{GAME}");
    until("it is in WeChat's list", async || world.has(&name)).await;
    let platform = async || {
        let target = format!("/status.json?account={name}");
        let status = world.admin(&target).await.json();
        status["accounts"][0]["platform"].clone()
    };
    let page = async || world.admin("/status?lang=en").await.text;
    assert_eq!(platform().await, "unknown");
    let before = page().await;
    assert!(before.contains("Type unknown"), "{before}");
    assert!(!before.contains("Official account"), "{before}");
    let target = format!("/credentials/{name}/access_token");
    assert_eq!(world.admin(&target).await.status, 200);
    assert_eq!(platform().await, "mini");
    let after = page().await;
    assert!(after.contains("Mini program") && !after.contains("Type unknown"));
}

#[tokio::test]
async fn the_first_use_of_an_account_takes_no_node_out_of_rotation() {
    let world = World::ready_with("[server]\nreadiness = \"all\"").await;
    let name = world.authorized(SHOP).await;
    world.advance(11);
    let is_ready = async || world.admin("/readyz").await.status == 200;
    assert!(is_ready().await, "no account was used yet");
    let ticket = "/cgi-bin/ticket/getticket";
    let gate = world.sandbox.hold(ticket);
    let target = format!("/jssdk/config?account={name}&url=https%3A%2F%2Fexample.com%2Fp");
    let first_use = async {
        called(&world.sandbox, ticket, 1).await;
        assert!(is_ready().await, "its first ticket is being fetched");
        gate.release();
    };
    let (signed, ()) = tokio::join!(world.public(&target), first_use);
    assert_eq!(signed.status, 200, "{signed:?}");
}

#[tokio::test]
async fn the_stored_records_are_read_before_the_first_request() {
    let world = World::new().await;
    let mut settings = settings(&world.text, world.home.path());
    settings.server.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    settings.server.admin_listen = None;
    settings.store = StoreSettings::MEMORY;
    // It does not run yet, so nothing reads in the background.
    let application = Application::build_on(&settings, Clock::manual(START)).await;
    let platforms = application.unwrap().broker().platforms();
    assert!(platforms[0].is_loaded);
}

#[tokio::test]
async fn a_node_that_starts_without_its_store_is_not_ready_before_it_has_the_records() {
    let world = World::new().await;
    let home = tempfile::tempdir().unwrap();
    let database = home.path().join("db");
    let text = format!(
        "{}[store]\nkind = \"sql\"\nurl = \"sqlite://{}/store.db\"\n",
        world.text,
        database.display()
    );
    let mut settings = settings(&text, home.path());
    settings.server.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    settings.server.admin_listen = Some(settings.server.listen);
    settings.server.workers = 1;
    settings.server.shutdown = Duration::ZERO;
    let clock = Clock::manual(START);
    let service = Service::start(settings, clock.clone()).await;
    let ready = async || http::send(service.admin, get("/readyz").close().text()).await;
    let report = ready().await;
    assert_eq!(report.status, 503, "{report:?}");
    let status = http::send(service.admin, get("/status?lang=en").close().text()).await;
    assert!(
        status
            .text
            .contains("Its records in the store were not read yet")
    );
    assert!(report.text.contains("the store could not be read"));
    assert!(!report.text.contains("component_verify_ticket"));

    std::fs::create_dir(&database).unwrap();
    until("the records are read", async || {
        // The store is read again every five seconds.
        clock.advance(Duration::from_secs(1));
        service.broker.tend().await;
        service.broker.platforms()[0].is_loaded
    })
    .await;
    let report = ready().await;
    assert_eq!(report.json().get("cause"), None);
    assert!(report.text.contains("component_verify_ticket"));
}

#[tokio::test]
async fn an_account_that_cancels_and_authorises_within_a_second_is_back() {
    let world = World::ready().await;
    for _ in 0..2 {
        world.authorized(SHOP).await;
        world.sandbox.cancel_authorization(COMPONENT, SHOP).await;
        until("it is gone", async || !world.has(&format!("agency/{SHOP}"))).await;
    }
    world.authorized(SHOP).await;
}

#[tokio::test]
async fn a_page_outside_the_platforms_domains_is_refused_with_where_to_bind_it() {
    let world = World::ready().await;
    let name = world.authorized(SHOP).await;
    let target = format!("/jssdk/config?account={name}&url=https%3A%2F%2Fother.example.net%2F");
    let answer = world.public(&target).await;
    let problem = answer.assert_problem(403, "page_not_allowed");
    let hint = problem["hint"]["en"].as_str().unwrap();
    assert!(hint.contains("of the account's platform"), "{hint}");
}

#[tokio::test]
async fn the_only_account_of_a_platform_has_to_be_named_and_the_refusal_says_how() {
    let world = World::ready().await;
    world.authorized(SHOP).await;
    let target = "/jssdk/config?url=https%3A%2F%2Fexample.com%2F";
    let problem = world.public(target).await;
    let problem = problem.assert_problem(400, "account_required");
    let hint = problem["hint"]["en"].as_str().unwrap();
    assert!(hint.contains("PLATFORM/APPID"), "{hint}");
    assert!(!hint.contains("Several accounts"), "{hint}");
}

#[tokio::test]
async fn the_admin_api_refuses_to_change_an_authorised_account() {
    let operator = "wxk_an-operator";
    let key = format!(
        "[[server.api_keys]]\nname = \"operator\"\nsha256 = \"{}\"\nmanage = true",
        KeyHash::of(operator)
    );
    let world = World::with(&key, |platform| platform).await;
    assert!(world.sandbox.push_ticket(COMPONENT).await.is_success());
    let name = world.authorized(SHOP).await;
    for (account, why) in [
        (name.replace('/', "%2F"), "it authorised an open platform"),
        ("agency".to_owned(), "in the configuration"),
    ] {
        let request = http::Request::new("DELETE", format!("/accounts/{account}"));
        let request = request.bearer(operator).close().text();
        let answer = http::send(world.service.admin, request).await;
        let problem = answer.assert_problem(409, "account_conflict");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(why), "{detail}");
    }
}

#[tokio::test]
async fn of_two_accounts_with_one_appid_the_key_selects_one() {
    let own = format!(
        "[accounts.own]\nplatform = \"official\"\napp_id = \"{SHOP}\"\nsecret = \"0c79e1fa963cd80cc0be99b20a18faeb\"\n\
         js_safe_domains = [\"example.com\"]\n"
    );
    let world = World::with(&own, |platform| platform).await;
    world.sandbox.push_ticket(COMPONENT).await;
    world.authorized(SHOP).await;
    let dropin = format!("/cgi-bin/token?grant_type=client_credential&appid={SHOP}&secret={KEY}");
    let token = world.admin(&dropin).await.json();
    let right = world.sandbox.authorizer_token(COMPONENT, SHOP).unwrap();
    assert_eq!(token["access_token"], right.as_str(), "{token}");
    let call = format!("/cgi-bin/menu/get?appid={SHOP}");
    let answer = world.admin(&call).await.json();
    assert!(
        answer.get("errcode").is_none_or(|code| *code == 0),
        "{answer}"
    );
}

#[tokio::test]
async fn a_key_of_one_platform_grants_no_other_platform() {
    let world = World::ready().await;
    world.authorized(SHOP).await;
    for account in ["agency", "agencyx/wx1111111111111111", "agency2"] {
        let answer = world
            .admin(&format!("/credentials/{account}/access_token"))
            .await;
        assert_eq!(answer.status, 403, "{account}");
    }
}

#[tokio::test]
async fn a_token_that_came_with_a_code_has_the_rights_of_the_key_that_got_it() {
    let world = World::ready_with(&format!(
        "[[server.api_keys]]\nname = \"menus\"\nsha256 = \"{}\"\naccounts = [\"agency/*\"]\n\
         calls = [\"/cgi-bin/menu/\"]",
        KeyHash::of(LOGIN_KEY)
    ))
    .await;
    world.authorized(SHOP).await;
    // Asked for once the token is there.
    called(
        &world.sandbox,
        "/cgi-bin/component/api_get_authorizer_info",
        1,
    )
    .await;
    let ask = async |target: String| {
        let request = get(target).close().text();
        http::send(world.service.admin, request).await.json()
    };
    let dropin =
        format!("/cgi-bin/token?grant_type=client_credential&appid={SHOP}&secret={LOGIN_KEY}");
    let token = ask(dropin).await["access_token"].clone();
    let token = token.as_str().unwrap();
    let menu = ask(format!("/cgi-bin/menu/get?access_token={token}")).await;
    assert!(menu.get("errcode").is_none_or(|code| *code == 0), "{menu}");
    let users = ask(format!("/cgi-bin/user/get?access_token={token}")).await;
    assert_eq!(users["errcode"], 48001, "{users}");
    assert_eq!(world.sandbox.calls(AUTHORIZER_TOKEN), 0);
}

#[tokio::test]
async fn the_status_page_says_that_the_platform_waits_for_its_first_ticket() {
    let world = World::new().await;
    let ready = world.admin("/readyz").await.text;
    for (lang, text) in [
        ("en", "Waiting for the first ticket"),
        ("zh", "等待首个 ticket"),
    ] {
        let page = world.admin(&format!("/status?lang={lang}")).await.text;
        assert!(page.contains(text), "{page}");
    }
    assert!(ready.contains("component_verify_ticket"), "{ready}");
    world.sandbox.push_ticket(COMPONENT).await;
    let page = world.admin("/status?lang=en").await.text;
    assert!(!page.contains("Waiting for the first ticket"), "{page}");
}

#[tokio::test]
async fn readiness_and_the_status_page_say_why_a_new_platform_gets_no_pushes() {
    let world = World::with("", |platform| platform.allow_ips(["192.0.2.1"])).await;
    let is_down = async || {
        let ready = world.admin("/readyz").await.json();
        ready["accounts"][0]["errcode"] == 61_004
    };
    until("the platform is down", is_down).await;
    let ready = world.admin("/readyz").await.json();
    let fix = ready["accounts"][0]["fix"]["en"].as_str().unwrap();
    assert!(fix.contains("IP allow-list"), "{ready}");
    let status = world.admin("/status.json").await.json();
    assert_eq!(status["accounts"][0]["state"], "down");
    let error = &status["accounts"][0]["credentials"][0]["error"];
    assert_eq!(error["ip_to_allow"], "127.0.0.1");
    assert_eq!(status["egress"]["ways"][0]["addresses"][0], "127.0.0.1");
    let fix = status["platforms"][0]["push_error"]["fix"]["en"].as_str();
    assert!(fix.unwrap().contains("127.0.0.1"), "{status}");
    let page = world.admin("/status?lang=en").await.text;
    assert!(!page.contains("Waiting for the first ticket"), "{page}");
    assert!(
        page.contains("href=\"https://open.weixin.qq.com/\""),
        "{page}"
    );
}

#[tokio::test]
async fn an_owner_authorises_on_the_page_in_the_same_browser() {
    let world = World::ready().await;
    let start = world.press("/authorize/agency?lang=en", "").await;
    assert_eq!(start.status, 200, "{start:?}");
    assert_eq!(start.header("cache-control"), Some("no-store"));
    assert_eq!(start.header("referrer-policy"), Some("origin"));
    let cookie = start.header("set-cookie").unwrap().to_owned();
    for part in ["HttpOnly", "SameSite=Lax", "Path=/authorize/agency"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let (cookie, state) = cookie_and_state(&start);
    assert!(
        start.text.contains("/cgi-bin/componentloginpage?"),
        "{}",
        start.text
    );
    assert!(
        start.text.contains(&format!("state%3D{state}")),
        "{}",
        start.text
    );
    let code = world.sandbox.authorize(COMPONENT, GAME).await;
    let is_active = async || world.service.broker.platforms()[0].active == 1;
    until("the account is usable", is_active).await;
    let redeemed = world.sandbox.calls(QUERY_AUTH);
    let done = format!("/authorize/agency/done?lang=en&auth_code={code}&expires_in=600");
    let strange = "0".repeat(32);
    // The last one was issued by no node.
    for (target, cookie) in [
        (done.clone(), cookie.clone()),
        (format!("{done}&state={strange}"), cookie.clone()),
        (format!("{done}&state={state}"), String::new()),
        (format!("{done}&state="), format!("{COOKIE}=")),
        (
            format!("{done}&state={strange}"),
            format!("{COOKIE}={strange}"),
        ),
    ] {
        let answer = world.visit(&target, &cookie).await;
        assert_eq!(answer.status, 403, "{target}");
        assert!(!answer.text.contains(&code));
    }
    assert_eq!(
        world.sandbox.calls(QUERY_AUTH),
        redeemed,
        "no call for them"
    );
    let answer = world.visit(&format!("{done}&state={state}"), &cookie).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(
        answer.text.contains(&format!("agency/{GAME}")),
        "{}",
        answer.text
    );
    assert!(!answer.text.contains(&code), "the page shows no code");
    assert!(
        answer.text.contains("can be used within seconds"),
        "other nodes read the store first: {}",
        answer.text
    );
    let name = format!("agency/{GAME}");
    let token = world.service.broker.credential(&name, Kind::AccessToken);
    assert!(token.await.is_ok());
    assert_eq!(world.public("/authorize/other").await.status, 404);
}

#[tokio::test]
async fn the_owner_of_an_account_without_permission_is_told_to_grant_some() {
    let world = World::ready().await;
    let (cookie, state) = cookie_and_state(&world.press("/authorize/agency", "").await);
    let info = format!("{{\"authorizer_appid\":\"{SHOP}\",\"func_info\":[]}}");
    let answer = FaultKind::Body(format!("{{\"authorization_info\":{info}}}"));
    world.sandbox.fault(Fault::once(QUERY_AUTH, answer));
    let code = world.sandbox.authorize(COMPONENT, SHOP).await;
    for (lang, texts) in [
        ("en", ["without API permissions", "grant permission sets"]),
        ("zh", ["未授予接口权限", "勾选权限集"]),
    ] {
        let done = format!("/authorize/agency/done?lang={lang}&state={state}&auth_code={code}");
        let answer = world.visit(&done, &cookie).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        for text in texts {
            assert!(answer.text.contains(text), "{text}: {}", answer.text);
        }
        assert!(answer.text.contains("href=\"../agency\""));
    }
    assert_eq!(world.sandbox.calls(QUERY_AUTH), 1);
}

#[tokio::test]
async fn the_page_says_that_its_two_links_work_once_together() {
    let world = World::ready().await;
    for (lang, text) in [
        ("en", "together they work once"),
        ("zh", "合计只能使用一次"),
    ] {
        let target = format!("/authorize/agency?lang={lang}");
        let page = world.press(&target, "").await.text;
        assert!(page.contains(text), "{page}");
    }
}

#[tokio::test]
async fn the_cookie_reaches_a_page_below_the_path_of_authorize_url() {
    let setting = "authorize_url = \"HTTPS://wx.example.com/wx/\"";
    let world = World::ready_with(setting).await;
    let start = world.press("/authorize/agency", "").await;
    let redirect = "=https%3A%2F%2Fwx.example.com%2Fwx%2Fauthorize%2Fagency%2Fdone%3Fstate%3D";
    assert!(start.text.contains(redirect), "{}", start.text);
    let cookie = start.header("set-cookie").unwrap();
    assert!(cookie.contains("; Path=/wx/authorize/agency;"), "{cookie}");
    assert!(cookie.ends_with("; Secure"), "{cookie}");
}

#[tokio::test]
async fn a_second_tab_keeps_the_authorisation_of_the_first() {
    let world = World::ready().await;
    let page = "/authorize/agency";
    let (cookie, first) = cookie_and_state(&world.press(page, "").await);
    world.advance(1_700);
    let second = world.press(page, &cookie).await;
    assert_eq!(cookie_and_state(&second).1, first);
    let age = second.header("set-cookie").unwrap();
    assert!(age.contains("; Max-Age=1900;"), "{age}");
    let link = format!("done%3Fstate%3D{first}");
    assert!(second.text.contains(&link), "{}", second.text);
    // WeChat's links in a new page would be valid longer than the state.
    world.advance(200);
    let third = world.press(page, &cookie).await;
    assert_ne!(cookie_and_state(&third).1, first);
    let done = format!("{page}/done?state={first}&auth_code=x");
    assert_eq!(world.visit(&done, &cookie).await.status, 400);
    world.advance(1_700);
    assert_eq!(
        world.visit(&done, &cookie).await.status,
        403,
        "it has ended"
    );
}

#[tokio::test]
async fn a_crawler_that_presses_no_button_costs_no_call() {
    let world = World::ready().await;
    for (method, lang, button) in [
        ("HEAD", "en", ""),
        ("GET", "en", "<button>Start</button>"),
        ("GET", "zh", "<button>开始授权</button>"),
    ] {
        for _ in 0..50 {
            let target = format!("/authorize/agency?lang={lang}");
            let request = Request::new(method, target).close();
            let answer = http::send(world.service.public, request.text()).await;
            assert_eq!(answer.status, 200);
            assert!(answer.text.contains(button), "{}", answer.text);
            assert_eq!(answer.header("set-cookie"), None);
            let policy = answer.header("content-security-policy").unwrap();
            assert!(policy.contains("form-action 'self'"), "{policy}");
        }
    }
    // Nor does a form on a page of another site.
    let foreign = post("/authorize/agency").header("Sec-Fetch-Site", "cross-site");
    let answer = http::send(world.service.public, foreign.close().body("")).await;
    assert_eq!((answer.status, answer.header("set-cookie")), (200, None));
    assert_eq!(world.sandbox.calls(PRE_AUTH_CODE), 0);
}

#[tokio::test]
async fn a_spent_quota_of_the_page_is_remembered_until_the_next_probe() {
    let world = World::ready().await;
    let press = async || world.press("/authorize/agency?lang=en", "").await;
    let spent = Fault::always(PRE_AUTH_CODE, FaultKind::Errcode(45009));
    world.sandbox.fault(spent);
    for _ in 0..10 {
        let answer = press().await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.text.contains("Try again"), "{}", answer.text);
    }
    assert_eq!(world.sandbox.calls(PRE_AUTH_CODE), 1);
    world.advance(3_661);
    assert_eq!(press().await.status, 503);
    assert_eq!(world.sandbox.calls(PRE_AUTH_CODE), 2);
    world.sandbox.clear_faults();
    let broker = &world.service.broker;
    let refreshed = broker.refresh_now("agency", Kind::AccessToken).await;
    assert!(refreshed.is_ok(), "{refreshed:?}");
    assert_eq!(press().await.status, 200, "an operator may have reset it");
}

#[tokio::test]
async fn a_code_that_wechat_refused_is_named_and_not_sent_again() {
    let world = World::ready().await;
    let (cookie, state) = cookie_and_state(&world.press("/authorize/agency", "").await);
    for (lang, text) in [
        ("en", "The code is no longer valid"),
        ("zh", "授权码已失效"),
    ] {
        let done = format!("/authorize/agency/done?lang={lang}&state={state}&auth_code=x");
        let answer = world.visit(&done, &cookie).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.text.contains(text), "{}", answer.text);
        assert!(answer.text.contains("href=\"../agency\""));
        assert_eq!(world.sandbox.calls(QUERY_AUTH), 1, "{lang}");
    }
    // The refusal is not kept.
    world.advance(700);
    let done = format!("/authorize/agency/done?state={state}&auth_code=x");
    assert_eq!(world.visit(&done, &cookie).await.status, 400);
    assert_eq!(world.sandbox.calls(QUERY_AUTH), 2);
}

#[tokio::test]
async fn a_visitor_who_reloads_too_often_is_told_to_wait_and_how_long() {
    let proxy = "[server]\ntrusted_proxies = [\"127.0.0.1\"]";
    let world = World::ready_with(proxy).await;
    let send = async |method: &'static str, target: &str, cookie: &str| {
        let client = ("X-Forwarded-For", "203.0.113.7");
        let request = Request::new(method, target).headers(&[client, ("Cookie", cookie)]);
        http::send(world.service.public, request.close().body("")).await
    };
    let start = send("POST", "/authorize/agency", "").await;
    let (cookie, state) = cookie_and_state(&start);
    for _ in 0..4 {
        let answer = send("POST", "/authorize/agency", &cookie).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let done = format!("/authorize/agency/done?lang=zh&state={state}&auth_code=x");
    for (method, target, text) in [
        ("POST", "/authorize/agency?lang=en", "Wait a few seconds"),
        ("GET", &*done, "请等待几秒"),
    ] {
        let answer = send(method, target, &cookie).await;
        assert_eq!(answer.status, 429, "{answer:?}");
        assert_eq!(answer.retry_after(), 1);
        assert!(answer.text.contains(text), "{}", answer.text);
        assert!(!answer.text.contains("limits."), "{}", answer.text);
    }
}

#[tokio::test]
async fn visitors_whose_address_a_proxy_hides_are_limited_together() {
    let world = World::ready().await;
    let mut statuses = Vec::new();
    for _ in 0..80 {
        statuses.push(world.press("/authorize/agency", "").await.status);
    }
    assert_eq!(statuses, [[200; 60].as_slice(), &[429; 20]].concat());
    world.advance(1);
    assert_eq!(world.press("/authorize/agency", "").await.status, 200);
}

#[tokio::test]
async fn visits_without_a_state_or_a_code_do_not_count_against_all_visitors() {
    let world = World::ready().await;
    let (cookie, state) = cookie_and_state(&world.press("/authorize/agency", "").await);
    let done = format!("/authorize/agency/done?state={state}");
    for _ in 0..60 {
        let stranger = world.visit("/authorize/agency/done", "").await;
        let without_code = world.visit(&done, &cookie).await;
        assert_eq!((stranger.status, without_code.status), (403, 400));
    }
    let code = world.sandbox.authorize(COMPONENT, SHOP).await;
    let is_active = async || world.service.broker.platforms()[0].active == 1;
    until("the account is usable", is_active).await;
    let target = format!("{done}&auth_code={code}");
    let answer = world.visit(&target, &cookie).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn an_owner_is_told_to_come_back_while_the_platform_has_no_ticket() {
    let world = World::new().await;
    for (lang, text) in [
        ("en", "Try again in a few minutes"),
        ("zh", "请几分钟后再试"),
    ] {
        let answer = world
            .press(&format!("/authorize/agency?lang={lang}"), "")
            .await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.text.contains(text), "{}", answer.text);
        assert!(!answer.text.contains("aes_key"), "{}", answer.text);
    }
}

#[tokio::test]
async fn the_doctor_recognises_a_component_app_id_used_for_the_accounts() {
    let world = World::ready().await;
    let name = world.authorized(SHOP).await;
    let page = "https://www.example.com/p";
    let url = "url=https%3A%2F%2Fwww.example.com%2Fp";
    let config = world
        .public(&format!("/jssdk/config?account={name}&{url}"))
        .await
        .json();
    let question = serde_json::json!({
        "url": page, "account": name, "appId": COMPONENT, "timestamp": config["timestamp"].to_string(),
        "nonceStr": config["nonceStr"], "signature": config["signature"],
    });
    let host = format!("{}", world.service.admin);
    let request = post("/jssdk/diagnose")
        .bearer(KEY)
        .header("Host", &host)
        .header("Content-Type", "application/json")
        .close();
    let answer = http::send(world.service.admin, request.body(question)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        answer.json()["findings"][0]["code"],
        "component_app_id_sent",
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_push_is_answered_success_before_the_work() {
    let world = World::ready().await;
    let gate = world.sandbox.hold(QUERY_AUTH);
    // Returns after the platform has answered the push.
    world.sandbox.authorize(COMPONENT, SHOP).await;
    let reply = world.sandbox.push_replies(COMPONENT).pop().unwrap();
    assert!(reply.is_success(), "{reply:?}");
    called(&world.sandbox, QUERY_AUTH, 1).await;
    assert_eq!(world.service.broker.platforms()[0].active, 0);
    gate.release();
    let is_active = async || world.service.broker.platforms()[0].active == 1;
    until("the account is usable", is_active).await;
}

#[tokio::test]
async fn an_exhausted_component_quota_is_cleared_by_secret() {
    const CLEAR: &str = "/cgi-bin/component/clear_quota/v2";
    let world = World::ready().await;
    let clear = async |account: &str, id: &str| {
        let body = serde_json::json!({
            "appid": id, "component_appid": COMPONENT, "appsecret": KEY,
        });
        let request =
            post(format!("/wx/{account}{CLEAR}")).header("Content-Type", "application/json");
        http::send(world.service.admin, request.close().body(body))
            .await
            .json()
    };
    // The key needs the account of the platform, and exactly this path.
    assert_ne!(clear("agency", COMPONENT).await["errcode"], 0);
    let key = ApiKey {
        calls: vec![CLEAR.parse().unwrap()],
        ..ApiKey::new("agency", KeyHash::of(KEY))
    };
    let mut settings = settings(&world.text, world.home.path());
    settings.server.api_keys = ApiKeys::new(vec![key]);
    world.service.reloader.reload(settings).unwrap();
    let answer = clear("agency", COMPONENT).await;
    assert_eq!(answer["errcode"], 0, "{answer}");
    let name = world.authorized(SHOP).await;
    assert_eq!(
        clear(&name, SHOP).await["errcode"],
        48001,
        "it has no secret"
    );
}

#[tokio::test]
async fn a_refused_reset_of_an_accounts_quota_names_the_platforms_reset() {
    let world = World::ready().await;
    let name = world.authorized(SHOP).await;
    for path in [
        "/cgi-bin/clear_quota/v2".to_owned(),
        format!("/wx/{name}/cgi-bin/component/clear_quota/v2"),
    ] {
        let body = serde_json::json!({ "appid": SHOP, "appsecret": KEY });
        let request = post(path).header("Content-Type", "application/json");
        let answer = http::send(world.service.admin, request.close().body(body)).await;
        let json = answer.ok();
        assert_eq!(json["errcode"], 48001, "{json}");
        let errmsg = json["errmsg"].as_str().unwrap();
        assert!(
            errmsg.contains("with /cgi-bin/component/clear_quota/v2,"),
            "{errmsg}"
        );
        assert!(!errmsg.contains("log users in"), "{errmsg}");
    }
}

#[tokio::test]
async fn no_key_gets_the_refresh_token_of_an_account() {
    const CALLS: [&str; 2] = ["/cgi-bin/component/api_get_authorizer_info", LIST];
    let world = World::ready_with(&format!(
        "[[server.api_keys]]\nname = \"accounts\"\nsha256 = \"{}\"\naccounts = [\"agency\"]\n\
         calls = {CALLS:?}",
        KeyHash::of(LOGIN_KEY)
    ))
    .await;
    world.authorized(SHOP).await;
    let is_listed = async || world.service.broker.platforms()[0].listed_at.is_some();
    until("the service has read the list", is_listed).await;
    let call = async |path: &str| {
        let body = serde_json::json!({
            "component_appid": COMPONENT, "authorizer_appid": SHOP, "offset": 0, "count": 500,
        });
        let request = post(format!("/wx/agency{path}")).header("Content-Type", "application/json");
        let request = request.bearer(LOGIN_KEY).close().body(body);
        http::send(world.service.admin, request).await
    };
    let secret = world.sandbox.authorizer_refresh_token(COMPONENT, SHOP);
    let secret = secret.unwrap();
    for path in CALLS {
        let answer = call(path).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(!answer.text.contains(&secret), "{answer:?}");
        assert!(
            answer.text.contains("refresh_token\":\"***\""),
            "{answer:?}"
        );
        assert!(answer.text.contains(SHOP), "{answer:?}");
    }
    let entry = format!(
        "{{\"authorizer_appid\":\"{SHOP}\",\"refresh_token\":\"{secret}\",\"auth_time\":1558000607}}"
    );
    let list = vec![entry; 500].join(",");
    let largest = format!("{{\"total_count\":500,\"list\":[{list}]}}");
    assert!(largest.len() > 64 * 1024, "{}", largest.len());
    world
        .sandbox
        .fault(Fault::once(LIST, FaultKind::Body(largest)));
    let answer = call(LIST).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text.matches("\"***\"").count(), 500);
    assert!(!answer.text.contains(&secret));
}

/// Calls that need the platform's own token.
const PLATFORM_CALLS: [&str; 3] = [
    "/sns/component/jscode2session",
    "/sns/oauth2/component/access_token",
    "/cgi-bin/component/setting",
];

/// A key with virtual tokens that opens the platform and makes [`PLATFORM_CALLS`].
const LOGIN_KEY: &str = "wxk_0123456789012345678901234567890123456logins";

async fn with_login_key() -> World {
    World::ready_with(&format!(
        "[[server.api_keys]]\nname = \"logins\"\nsha256 = \"{}\"\naccounts = [\"agency\"]\n\
         token = \"virtual\"\ncalls = {PLATFORM_CALLS:?}",
        KeyHash::of(LOGIN_KEY)
    ))
    .await
}

#[tokio::test]
async fn a_call_with_a_component_access_token_gets_that_of_the_platform() {
    let world = with_login_key().await;
    let dropin =
        format!("/cgi-bin/token?grant_type=client_credential&appid={COMPONENT}&secret={LOGIN_KEY}");
    let call = async |request: Request| {
        let answer = http::send(world.service.admin, request.close().text()).await;
        answer.json()
    };
    let virtual_token = call(get(dropin)).await["access_token"].clone();
    let virtual_token = virtual_token.as_str().unwrap();
    assert!(virtual_token.starts_with("wxv_"), "{virtual_token}");
    for path in PLATFORM_CALLS {
        let target = format!("{path}?appid={SHOP}&js_code=c&component_appid={COMPONENT}");
        for request in [
            get(format!("{target}&component_access_token={LOGIN_KEY}")),
            get(format!("{target}&component_access_token={virtual_token}")),
            get(format!("/wx/agency{target}&component_access_token=61_x")).bearer(LOGIN_KEY),
            get(target.clone()).bearer(LOGIN_KEY),
        ] {
            let answer = call(request).await;
            assert_eq!(answer["echo"]["path"], path, "{answer}");
            let token = world.sandbox.component_token(COMPONENT).unwrap();
            let received = world.sandbox.last_requests(path).pop().unwrap().query;
            assert_eq!(received.matches("access_token=").count(), 1, "{received}");
            let sent = format!("access_token={}***", &token[..4]);
            assert!(received.contains(&sent), "{received}");
        }
    }
}

#[tokio::test]
async fn a_refused_component_access_token_is_replaced_and_the_call_repeated() {
    let world = with_login_key().await;
    for path in PLATFORM_CALLS {
        let target = format!("{path}?component_appid={COMPONENT}&component_access_token=61_x");
        for code in [40001, 40094, 42001, 42006] {
            // More than the rate limit's gap; all of them less than a token's life.
            world.advance(100);
            world.sandbox.reset_calls();
            world
                .sandbox
                .fault(Fault::once(path, FaultKind::Errcode(code)));
            let request = get(&target).bearer(LOGIN_KEY).close().text();
            let answer = http::send(world.service.admin, request).await.json();
            assert_eq!(answer["errcode"], 0, "{path} {code}: {answer}");
            assert_eq!(world.sandbox.calls(path), 2, "{path} {code}");
        }
    }
}

#[tokio::test]
async fn a_login_through_the_platform_needs_a_key_of_the_platform() {
    let world = with_login_key().await;
    let name = world.authorized(SHOP).await;
    let path = PLATFORM_CALLS[0];
    for (target, code) in [
        (format!("{path}?component_appid={COMPONENT}"), 40013),
        (
            format!("/wx/{name}{path}?component_appid={COMPONENT}"),
            48001,
        ),
    ] {
        let answer = world.admin(&target).await.json();
        assert_eq!(answer["errcode"], code, "{target}: {answer}");
    }
    let none = http::send(world.service.admin, get(path).close().text()).await;
    assert_eq!(none.json()["errcode"], 41001, "{none:?}");
    assert_eq!(world.sandbox.calls(path), 0);
}
