//! Accounts that authorised an open platform: from the pushed ticket to the signed page.

mod redemption;

use std::sync::Arc;
use std::time::Duration;

use wx_jssdk::account::Account;
use wx_jssdk::broker::{AccountSnapshot, Broker, Find, Health, HourState};
use wx_jssdk::error::UpstreamError;
use wx_jssdk::platform::{AuthorizationCode, EventKind, PushEvent};
use wx_jssdk::sandbox::{App, Fault, FaultKind, OpenPlatform, Sandbox};
use wx_jssdk::store::{Document, EncryptionKey, EncryptionKeys, Store};
use wx_jssdk::{Clock, Credential, Error, Kind, Secret, UnixTime, UpstreamOptions};

use crate::common::http::BOUND;
use crate::common::upstream::verdict;
use crate::common::wait::{called, until};
use crate::world::{START, page};

const COMPONENT: &str = "wxc0de0000000000c0";
const SECRET: &str = "5ec2e7000000000000000000000000aa";
const SHOP: &str = "wx1111111111111111";
const CAFE: &str = "wx2222222222222222";
const GAME: &str = "wx3333333333333333";

const COMPONENT_TOKEN: &str = "/cgi-bin/component/api_component_token";
const AUTHORIZER_TOKEN: &str = "/cgi-bin/component/api_authorizer_token";
const QUERY_AUTH: &str = "/cgi-bin/component/api_query_auth";
const LIST: &str = "/cgi-bin/component/api_get_authorizer_list";
const PRE_AUTH_CODE: &str = "/cgi-bin/component/api_create_preauthcode";
const START_PUSH: &str = "/cgi-bin/component/api_start_push_ticket";
const TICKET: &str = "/cgi-bin/ticket/getticket";

struct World {
    sandbox: Sandbox,
    clock: Clock,
    store: Store,
    broker: Broker,
}

fn platform() -> OpenPlatform {
    OpenPlatform::new(COMPONENT, SECRET).safe_domain("example.com")
}

async fn sandbox(clock: &Clock, platform: OpenPlatform) -> Sandbox {
    let sandbox = Sandbox::start(clock.clone()).await.unwrap();
    for app_id in [SHOP, CAFE] {
        sandbox.add_app(App::official(app_id, "0c79e1fa963cd80cc0be99b20a18faeb"));
    }
    sandbox.add_app(App::mini(GAME, "0c79e1fa963cd80cc0be99b20a18faeb"));
    sandbox.add_platform(platform);
    sandbox
}

fn broker(sandbox: &Sandbox, clock: &Clock, store: &Store) -> Broker {
    let component = Account::component(COMPONENT, SECRET)
        .js_safe_domain("example.com")
        .unwrap();
    Broker::builder()
        .account("agency", component)
        .clock(clock.clone())
        .store(store.clone())
        .upstream(UpstreamOptions::at(sandbox.url()))
        .build()
        .unwrap()
}

impl World {
    async fn new(platform: OpenPlatform) -> Self {
        Self::with(platform, Store::memory()).await
    }

    async fn with(platform: OpenPlatform, store: Store) -> Self {
        let clock = Clock::manual(START);
        let sandbox = sandbox(&clock, platform).await;
        let broker = broker(&sandbox, &clock, &store);
        Self {
            sandbox,
            clock,
            store,
            broker,
        }
    }

    /// A platform with a ticket and a known list of accounts.
    async fn ready(platform: OpenPlatform) -> Self {
        let world = Self::new(platform).await;
        world.push_ticket().await;
        world.settle().await;
        world
    }

    fn now(&self) -> UnixTime {
        self.clock.now()
    }

    fn advance(&self, seconds: u64) {
        assert!(self.clock.advance(Duration::from_secs(seconds)));
    }

    async fn pushed(&self, kind: EventKind) {
        self.pushed_at(self.now(), kind).await;
    }

    async fn pushed_at(&self, create_time: UnixTime, kind: EventKind) {
        let event = PushEvent { create_time, kind };
        self.broker
            .platform_pushed(COMPONENT, &event)
            .await
            .unwrap();
    }

    /// Has WeChat create and push a ticket.
    async fn push_ticket(&self) {
        self.sandbox.push_ticket(COMPONENT).await;
        let ticket = self.sandbox.component_ticket(COMPONENT).unwrap();
        self.pushed(EventKind::Ticket(Secret::new(ticket))).await;
    }

    /// Has an owner authorise the platform; the push contains the code.
    async fn authorize(&self, app_id: &str) -> AuthorizationCode {
        let code = self.sandbox.authorize(COMPONENT, app_id).await;
        AuthorizationCode {
            authorizer: app_id.to_owned(),
            code: Secret::new(code),
            expires_at: None,
        }
    }

    async fn authorized(&self, app_id: &str) {
        let code = self.authorize(app_id).await;
        self.pushed(EventKind::Authorized(code)).await;
        self.until(|| self.is_usable(app_id)).await;
    }

    fn is_usable(&self, app_id: &str) -> bool {
        self.sandbox
            .authorizer_refresh_token(COMPONENT, app_id)
            .is_some()
            && self.account(app_id).is_some()
            && self.platform().active > 0
    }

    fn platform(&self) -> wx_jssdk::broker::PlatformSnapshot {
        self.broker.platforms().remove(0)
    }

    /// The state of the platform itself.
    fn agency(&self) -> AccountSnapshot {
        let mut accounts = self.broker.snapshot(&Find::all()).accounts.into_iter();
        accounts.find(|account| account.name == "agency").unwrap()
    }

    fn account(&self, app_id: &str) -> Option<Arc<Account>> {
        let accounts = self.broker.accounts();
        let (_, account) = accounts.get(&name(app_id)).ok()?;
        Some(account.clone())
    }

    /// Runs the keeper until the tasks that it starts have ended.
    async fn settle(&self) {
        for _ in 0..50 {
            self.broker.tend().await;
            tokio::task::yield_now().await;
        }
        self.until(|| self.platform().listed_at.is_some()).await;
    }

    /// Lets the other tasks of the runtime go on until this holds.
    async fn until(&self, holds: impl Fn() -> bool) {
        let waited = tokio::time::timeout(BOUND, async {
            while !holds() {
                self.broker.tend().await;
                tokio::task::yield_now().await;
            }
        });
        if waited.await.is_err() {
            let calls = [QUERY_AUTH, LIST, COMPONENT_TOKEN, AUTHORIZER_TOKEN]
                .map(|path| (path, self.calls(path)));
            panic!(
                "it does not hold in time: {:?}, calls {calls:?}",
                self.broker.platforms()
            );
        }
    }

    async fn token(&self, app_id: &str) -> Result<Arc<Credential>, Error> {
        self.broker
            .credential(&name(app_id), Kind::AccessToken)
            .await
    }

    fn calls(&self, endpoint: &str) -> u64 {
        self.sandbox.calls(endpoint)
    }

    fn health(&self, app_id: &str) -> Option<Health> {
        let snapshot = self.broker.snapshot(&Find::all());
        let mut accounts = snapshot.accounts.into_iter();
        let account = accounts.find(|account| account.name == name(app_id))?;
        Some(account.health)
    }

    async fn assert_signs(&self, app_id: &str) {
        let config = self.broker.js_config(&name(app_id), &page()).await.unwrap();
        assert_eq!(
            &*config.app_id, app_id,
            "the account's AppID, not the platform's"
        );
        let verdict = verdict(&self.sandbox, &config, page().as_str());
        assert_eq!(verdict.err_msg, "preVerifyJSAPI:ok", "{verdict:?}");
    }
}

fn name(app_id: &str) -> String {
    format!("agency/{app_id}")
}

#[tokio::test]
async fn an_authorised_account_signs_pages_with_its_own_app_id() {
    let world = World::ready(platform()).await;
    world.authorized(SHOP).await;
    world.assert_signs(SHOP).await;
    // The redemption brought the first token.
    let calls =
        [COMPONENT_TOKEN, QUERY_AUTH, AUTHORIZER_TOKEN, TICKET].map(|path| world.calls(path));
    assert_eq!(calls, [1, 1, 0, 1]);
}

#[tokio::test]
async fn an_open_platform_alone_is_not_the_default_account() {
    let world = World::new(platform()).await;
    let error = world.broker.js_config("", &page()).await.unwrap_err();
    assert!(matches!(error, Error::AccountRequired), "{error}");
}

#[tokio::test]
async fn a_platform_token_that_recovers_ends_the_waits_of_its_accounts() {
    let world = World::ready(platform()).await;
    world.authorized(SHOP).await;
    let account = name(SHOP);
    let ticket = || world.broker.credential(&account, Kind::JsapiTicket);
    // The account's token and the platform's have ended.
    world.advance(7_201);
    let spent = Fault::always(COMPONENT_TOKEN, FaultKind::Errcode(45009));
    world.sandbox.fault(spent);
    ticket().await.unwrap_err();
    world.sandbox.clear_faults();
    assert!(ticket().await.is_err(), "it waits for an hour");
    let refreshed = world.broker.refresh_now("agency", Kind::AccessToken).await;
    assert!(refreshed.is_ok(), "{refreshed:?}");
    assert!(ticket().await.is_ok());
}

#[tokio::test]
async fn a_platform_whose_records_were_not_read_lacks_the_store_not_a_push() {
    let world = World::new(platform()).await;
    let token = || world.broker.credential("agency", Kind::AccessToken);
    let error = token().await.unwrap_err();
    assert!(error.upstream().unwrap().is_about_the_store(), "{error}");
    assert!(!world.platform().is_loaded);
    world.broker.tend().await;
    assert!(world.platform().is_loaded);
    world.advance(2);
    let error = token().await.unwrap_err().to_string();
    assert!(error.contains("no platform ticket"), "{error}");
}

#[tokio::test]
async fn no_ticket_means_no_call() {
    let world = World::new(platform().authorized_by(SHOP)).await;
    for _ in 0..19 {
        world.broker.tend().await;
        let error = world.broker.credential("agency", Kind::AccessToken).await;
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("no platform ticket")
        );
        world.advance(60);
    }
    assert_eq!(world.calls(COMPONENT_TOKEN), 0);
    let durations = world.broker.snapshot(&Find::all()).stats.durations;
    let mut measured = durations.iter().flat_map(|(.., of)| &of.buckets);
    assert!(measured.all(|(_, count)| *count == 0), "{durations:?}");
    world.until(|| world.calls(START_PUSH) == 2).await;
    world.push_ticket().await;
    let token = world.broker.credential("agency", Kind::AccessToken).await;
    assert_eq!(world.calls(START_PUSH), 2, "called once in ten minutes");
    assert_eq!(
        Some(token.unwrap().value.expose()),
        world.sandbox.component_token(COMPONENT).as_deref()
    );
}

#[tokio::test]
async fn a_platform_that_wechat_refuses_before_its_first_ticket_is_down_and_says_why() {
    let world = World::new(platform()).await;
    let refused = Fault::always(START_PUSH, FaultKind::Errcode(61004));
    world.sandbox.fault(refused);
    world.until(|| world.agency().health == Health::Down).await;
    let last = world.agency().last_error().unwrap().clone();
    assert_eq!(last.error.errcode(), Some(61004));
    let ips: Vec<_> = world.broker.egress().ways[0].addresses.clone();
    assert_eq!((ips.len(), &ips), (1, &last.error.ips_to_allow()));
    assert_eq!(world.calls(COMPONENT_TOKEN), 0);
    // Tried again as seldom as any failure that needs an operator.
    let calls = world.calls(START_PUSH);
    world.advance(59);
    world.broker.tend().await;
    assert_eq!(world.calls(START_PUSH), calls);
    let token = world.broker.credential("agency", Kind::AccessToken).await;
    assert_eq!(
        token.unwrap_err().upstream().unwrap().errcode(),
        Some(61004)
    );
    // Now the address is on the allow-list.
    world.sandbox.clear_faults();
    let refreshed = world.broker.refresh_now("agency", Kind::AccessToken).await;
    let error = refreshed.unwrap_err().to_string();
    assert!(error.contains("no platform ticket"), "{error}");
    assert_eq!(world.calls(START_PUSH), calls + 1);
    world.push_ticket().await;
    world.until(|| world.agency().health == Health::Ok).await;
}

#[tokio::test]
async fn a_platform_with_a_token_is_served_while_wechat_refuses_to_push_and_says_so() {
    let world = World::ready(platform()).await;
    world
        .sandbox
        .fault(Fault::always(START_PUSH, FaultKind::Errcode(61004)));
    world.advance(3_601);
    world.until(|| world.platform().push_error.is_some()).await;
    let error = world.platform().push_error.unwrap();
    assert_eq!(error.errcode(), Some(61004));
    assert_eq!(world.agency().health, Health::Ok);
    world.push_ticket().await;
    world.until(|| world.platform().push_error.is_none()).await;
}

#[tokio::test]
async fn a_ticket_ends_the_wait_after_a_refused_request_to_push() {
    let world = World::new(platform()).await;
    let refused = Fault::always(START_PUSH, FaultKind::Errcode(89506));
    world.sandbox.fault(refused);
    world.until(|| world.agency().health == Health::Down).await;
    world.push_ticket().await;
    world.until(|| world.agency().health == Health::Ok).await;
}

#[tokio::test]
async fn a_corrected_platform_secret_is_tried_at_once_before_the_first_ticket() {
    let world = World::new(platform()).await;
    let wrong = Account::component(COMPONENT, "wrong");
    let accounts = vec![("agency".to_owned(), wrong)];
    world.broker.reload(accounts, None).unwrap();
    world.until(|| world.agency().health == Health::Down).await;
    let last = world.agency().last_error().unwrap().clone();
    assert_eq!(last.error.errcode(), Some(40125));
    assert!(
        last.error.fix().en.contains("open.weixin.qq.com"),
        "{last:?}"
    );
    let calls = world.calls(START_PUSH);
    let corrected = vec![("agency".to_owned(), Account::component(COMPONENT, SECRET))];
    world.broker.reload(corrected, None).unwrap();
    world.until(|| world.calls(START_PUSH) > calls).await;
    world
        .until(|| {
            let agency = world.agency();
            agency
                .last_error()
                .is_none_or(|last| last.error.errcode().is_none())
        })
        .await;
}

#[tokio::test]
async fn accounts_that_authorised_before_the_first_start_come_from_the_list() {
    let world = World::ready(platform().authorized_by(SHOP).authorized_by(GAME)).await;
    assert_eq!(world.platform().active, 2);
    assert_eq!((world.calls(LIST), world.calls(AUTHORIZER_TOKEN)), (1, 0));
    world.assert_signs(SHOP).await;
    assert!(world.token(GAME).await.is_ok());
    world
        .until(|| {
            world
                .account(GAME)
                .is_some_and(|game| !game.has(Kind::JsapiTicket))
        })
        .await;
}

#[tokio::test]
async fn a_restart_with_a_warm_store_causes_no_list_and_no_refresh_call() {
    let world = World::ready(platform().authorized_by(SHOP).authorized_by(CAFE)).await;
    world.assert_signs(SHOP).await;
    let restarted = World {
        broker: broker(&world.sandbox, &world.clock, &world.store),
        sandbox: world.sandbox.clone(),
        clock: world.clock.clone(),
        store: world.store.clone(),
    };
    let calls = || [COMPONENT_TOKEN, LIST, AUTHORIZER_TOKEN, TICKET].map(|path| world.calls(path));
    assert_eq!(calls(), [1, 1, 1, 1]);
    restarted.settle().await;
    restarted.assert_signs(SHOP).await;
    assert_eq!(calls(), [1, 1, 1, 1]);
    // A cold account costs one token and one ticket.
    restarted.assert_signs(CAFE).await;
    assert_eq!(calls(), [1, 1, 2, 2]);
}

#[tokio::test]
async fn a_list_read_that_a_restart_interrupted_is_repeated() {
    let world = World::new(platform().authorized_by(SHOP)).await;
    let _gate = world.sandbox.hold(LIST);
    world.push_ticket().await;
    world.until(|| world.calls(LIST) == 1).await;
    let restarted = World {
        broker: broker(&world.sandbox, &world.clock, &world.store),
        sandbox: world.sandbox.clone(),
        clock: world.clock.clone(),
        store: world.store.clone(),
    };
    restarted.until(|| restarted.calls(LIST) == 2).await;
}

#[tokio::test]
async fn a_list_read_while_the_clock_was_ahead_is_read_again() {
    let world = World::new(platform().authorized_by(SHOP)).await;
    let ahead = world.now().plus(Duration::from_secs(30 * 86_400));
    let listed = Document::new(ahead.0.to_string());
    let name = format!("platform:{COMPONENT}:listed");
    let saved = world.store.save_document(&name, &listed, world.now());
    assert_eq!(saved.await, Ok(Some(1)));
    world.push_ticket().await;
    world.until(|| world.platform().active == 1).await;
    world
        .until(|| world.platform().listed_at == Some(world.now()))
        .await;
}

#[tokio::test]
async fn a_reload_while_the_list_is_read_decides_the_accounts_domains() {
    let world = World::new(platform().authorized_by(SHOP)).await;
    world.push_ticket().await;
    let gate = world.sandbox.hold(LIST);
    world.broker.tend().await;
    called(&world.sandbox, LIST, 1).await;
    let component = Account::component(COMPONENT, SECRET)
        .js_safe_domain("other.example.net")
        .unwrap();
    let reloaded = vec![("renamed".to_owned(), component)];
    world.broker.reload(reloaded, None).unwrap();
    gate.release();
    world.until(|| world.platform().active == 1).await;
    let accounts = world.broker.accounts();
    let (name, account) = accounts.of_authorizer(COMPONENT, SHOP).unwrap();
    assert_eq!(name, format!("renamed/{SHOP}"));
    assert!(account.allows_page("other.example.net", "/"));
    assert!(!account.allows_page("example.com", "/"));
}

#[tokio::test]
async fn a_list_read_while_the_platform_is_removed_brings_no_account_back() {
    let world = World::new(platform().authorized_by(SHOP)).await;
    world.push_ticket().await;
    let gate = world.sandbox.hold(LIST);
    world.broker.tend().await;
    called(&world.sandbox, LIST, 1).await;
    world.broker.reload(Vec::new(), None).unwrap();
    gate.release();
    let listed = format!("platform:{COMPONENT}:listed");
    let load = async || world.store.load_document(&listed, world.now()).await;
    until("the list is applied", async || {
        load().await.unwrap().is_some()
    })
    .await;
    let accounts = world.broker.accounts();
    assert!(accounts.of_authorizer(COMPONENT, SHOP).is_none());
    assert_eq!(accounts.iter().count(), 0);
}

#[cfg(feature = "sql")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_claimed_by_a_clock_that_was_ahead_is_read_all_the_same() {
    let home = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", home.path().join("store.db").display());
    let store = Store::sql_within(&url, "", Duration::from_secs(20)).unwrap();
    let world = World::with(platform().authorized_by(SHOP), store).await;
    let ahead = world.now().plus(Duration::from_secs(30 * 86_400));
    let claim = Document {
        expires_at: Some(ahead),
        ..Document::new("")
    };
    let name = format!("platform:{COMPONENT}:listing");
    let saved = world.store.save_document(&name, &claim, world.now());
    assert_eq!(saved.await, Ok(Some(1)));
    world.push_ticket().await;
    world.until(|| world.platform().active == 1).await;
}

#[tokio::test]
async fn a_code_delivered_by_push_and_redirect_is_redeemed_once() {
    for browser_is_first in [true, false] {
        let world = World::ready(platform()).await;
        let code = world.authorize(SHOP).await;
        let event = EventKind::Authorized(code.clone());
        let redirect = world.broker.redeem_from_browser("agency", &code.code);
        let (redirected, ()) = if browser_is_first {
            tokio::join!(redirect, world.pushed(event))
        } else {
            let ((), redirected) = tokio::join!(world.pushed(event), redirect);
            (redirected, ())
        };
        assert_eq!(redirected.unwrap().name, name(SHOP));
        world.until(|| world.is_usable(SHOP)).await;
        world.assert_signs(SHOP).await;
        assert_eq!(world.calls(QUERY_AUTH), 1, "{browser_is_first}");
        // A reload of the page, and a repeated push, change nothing.
        let again = world.broker.redeem_from_browser("agency", &code.code).await;
        assert_eq!(again.unwrap().name, name(SHOP));
        world.pushed(EventKind::Authorized(code)).await;
        world.settle().await;
        assert_eq!(world.calls(QUERY_AUTH), 1, "{browser_is_first}");
    }
}

#[tokio::test]
async fn a_code_refused_for_the_browser_is_settled_by_the_push() {
    let minute = Duration::from_secs(60);
    let world = World::ready(platform().authorization_code_ttl(minute)).await;
    let code = world.authorize(SHOP).await;
    world.advance(100);
    for _ in 0..2 {
        let refused = world.broker.redeem_from_browser("agency", &code.code).await;
        let error = refused.unwrap_err();
        let errcode = error.upstream().and_then(UpstreamError::errcode);
        assert_eq!(errcode, Some(61010), "{error}");
        assert_eq!(world.calls(QUERY_AUTH), 1);
    }
    world.pushed(EventKind::Authorized(code)).await;
    world
        .until(|| world.platform().needs_authorization == [SHOP])
        .await;
    assert_eq!(world.calls(QUERY_AUTH), 1);
    // Two authorisations of one second have no order.
    world.advance(10);
    world.authorized(SHOP).await;
    world.assert_signs(SHOP).await;
}

#[tokio::test]
async fn an_account_without_api_permission_is_told_so_and_has_to_authorise_again() {
    let world = World::ready(platform()).await;
    let info = format!("{{\"authorizer_appid\":\"{SHOP}\",\"func_info\":[]}}");
    let answer = FaultKind::Body(format!("{{\"authorization_info\":{info}}}"));
    world.sandbox.fault(Fault::once(QUERY_AUTH, answer));
    let code = world.authorize(SHOP).await;
    world.pushed(EventKind::Authorized(code)).await;
    world
        .until(|| world.platform().needs_authorization == [SHOP])
        .await;
    assert_eq!(world.platform().active, 0);
    let error = world.token(SHOP).await.unwrap_err();
    assert!(
        error.to_string().ends_with("not called: no API permission"),
        "{error}"
    );
    assert_eq!(world.calls(AUTHORIZER_TOKEN), 0);
    world.advance(10);
    world.authorized(SHOP).await;
    assert_eq!(world.platform().needs_authorization, [""; 0]);
    assert!(world.token(SHOP).await.is_ok());
}

#[tokio::test]
async fn updateauthorized_drops_the_token() {
    let world = World::ready(platform()).await;
    world.authorized(SHOP).await;
    let old = world.token(SHOP).await.unwrap();
    world.advance(10);
    let code = world.authorize(SHOP).await;
    world.pushed(EventKind::Authorized(code)).await;
    let renewed = || {
        let token = world.sandbox.authorizer_token(COMPONENT, SHOP);
        token.is_some_and(|token| token != old.value.expose())
    };
    world.until(renewed).await;
    world.until(|| world.calls(QUERY_AUTH) == 2).await;
    world.settle().await;
    let new = world.token(SHOP).await.unwrap();
    assert_ne!(new.value, old.value);
    assert_eq!(
        Some(new.value.expose()),
        world.sandbox.authorizer_token(COMPONENT, SHOP).as_deref()
    );
}

#[tokio::test]
async fn a_withdrawn_account_is_no_longer_served() {
    let world = World::ready(platform()).await;
    world.authorized(SHOP).await;
    world.assert_signs(SHOP).await;
    world.advance(10);
    world.sandbox.cancel_authorization(COMPONENT, SHOP).await;
    let authorizer = SHOP.to_owned();
    world.pushed(EventKind::Unauthorized { authorizer }).await;
    let error = world.broker.js_config(&name(SHOP), &page()).await;
    assert!(
        matches!(error, Err(Error::UnknownAccount { .. })),
        "{error:?}"
    );
    // The store does not bring it back.
    let restarted = broker(&world.sandbox, &world.clock, &world.store);
    restarted.tend().await;
    assert!(restarted.js_config(&name(SHOP), &page()).await.is_err());
    world.advance(10);
    world.authorized(SHOP).await;
    world.assert_signs(SHOP).await;
}

#[tokio::test]
async fn an_account_is_called_unknown_only_after_the_list_was_read() {
    let world = World::ready(platform()).await;
    world.authorized(SHOP).await;
    let store = Store::memory();
    let world = World {
        broker: broker(&world.sandbox, &world.clock, &store),
        store,
        ..world
    };
    let wait = async |name: &str| {
        let error = world.broker.js_config(name, &page()).await.unwrap_err();
        (error.code(), error.retry_after().map(|wait| wait.as_secs()))
    };
    let unknown = ("unknown_account", None);
    let not_loaded = |seconds| ("accounts_not_loaded", Some(seconds));
    assert_eq!(
        wait(&name(SHOP)).await,
        not_loaded(1),
        "the store is unread"
    );
    world.broker.tend().await;
    assert_eq!(
        wait(&name(SHOP)).await,
        not_loaded(60),
        "no ticket, so no list"
    );
    assert_eq!(wait("other/wx1111111111111111").await, unknown);
    world.push_ticket().await;
    assert_eq!(
        wait(&name(SHOP)).await,
        not_loaded(1),
        "the list comes next"
    );
    world.settle().await;
    assert_eq!(wait(&name(CAFE)).await, unknown, "not in the list");
    world.assert_signs(SHOP).await;
}

#[tokio::test]
async fn a_push_whose_connection_is_reset_is_processed_to_its_end() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::file(home.path().join("store.redb")).unwrap();
    let world = World::with(platform(), store).await;
    world.push_ticket().await;
    world.settle().await;
    world.authorized(SHOP).await;
    world.advance(10);
    world.sandbox.cancel_authorization(COMPONENT, SHOP).await;
    let event = PushEvent {
        create_time: world.now(),
        kind: EventKind::Unauthorized {
            authorizer: SHOP.to_owned(),
        },
    };
    tokio::select! {
        biased;
        _ = world.broker.platform_pushed(COMPONENT, &event) => panic!("it waits for the disk"),
        () = std::future::ready(()) => {}
    }
    world.until(|| world.account(SHOP).is_none()).await;
}

#[tokio::test]
async fn a_replayed_unauthorized_does_not_remove_a_later_authorisation() {
    let world = World::ready(platform()).await;
    world.authorized(SHOP).await;
    world.advance(10);
    let withdrawn_at = world.now();
    world.sandbox.cancel_authorization(COMPONENT, SHOP).await;
    let withdrawal = || EventKind::Unauthorized {
        authorizer: SHOP.to_owned(),
    };
    world.pushed(withdrawal()).await;
    world.advance(10);
    world.authorized(SHOP).await;
    world.pushed_at(withdrawn_at, withdrawal()).await;
    world.settle().await;
    world.assert_signs(SHOP).await;
}

#[tokio::test]
async fn a_missed_withdrawal_is_noticed_at_the_next_refresh() {
    let world = World::ready(platform()).await;
    world.authorized(SHOP).await;
    world.sandbox.cancel_authorization(COMPONENT, SHOP).await;
    world.advance(8_000);
    world.push_ticket().await;
    assert!(world.token(SHOP).await.is_err());
    world.until(|| world.account(SHOP).is_none()).await;
    let calls = world.calls(AUTHORIZER_TOKEN);
    world.settle().await;
    assert_eq!(
        world.calls(AUTHORIZER_TOKEN),
        calls,
        "61003 ends the refreshes"
    );
}

#[tokio::test]
async fn a_missed_authorisation_is_found_in_the_list() {
    let world = World::ready(
        platform()
            .authorized_by(SHOP)
            .reauthorization_renews_refresh_token(true),
    )
    .await;
    world.assert_signs(SHOP).await;
    world.advance(10);
    // The owner authorises again; another server redeems the code.
    let code = world.authorize(SHOP).await;
    let elsewhere = broker(&world.sandbox, &world.clock, &Store::memory());
    let ticket = world.sandbox.component_ticket(COMPONENT).unwrap();
    let event = PushEvent {
        create_time: world.now(),
        kind: EventKind::Ticket(Secret::new(ticket)),
    };
    elsewhere.platform_pushed(COMPONENT, &event).await.unwrap();
    elsewhere
        .redeem_from_browser("agency", &code.code)
        .await
        .unwrap();
    world.advance(8_000);
    world.push_ticket().await;
    let lists = world.calls(LIST);
    world.assert_signs(SHOP).await;
    assert_eq!(world.calls(LIST), lists + 1, "61023 causes one list call");
}

#[tokio::test]
async fn a_refused_refresh_token_alerts_only_after_the_list_was_asked() {
    let world = World::ready(platform().authorized_by(SHOP)).await;
    world
        .sandbox
        .fault(Fault::always(AUTHORIZER_TOKEN, FaultKind::Errcode(61023)));
    let lists = world.calls(LIST);
    let error = world.token(SHOP).await.unwrap_err();
    assert_eq!(
        error.upstream().and_then(|error| error.errcode()),
        Some(61023)
    );
    assert_eq!(world.calls(LIST), lists + 1);
    world
        .until(|| world.platform().needs_authorization == [SHOP])
        .await;
    assert_eq!(world.health(SHOP), Some(Health::Down));
    let calls = world.sandbox.calls_total();
    for _ in 0..20 {
        world.advance(30);
        assert!(world.token(SHOP).await.is_err());
        world.broker.tend().await;
    }
    let refreshes = world.sandbox.calls_total() - calls;
    assert!(refreshes <= 2, "it is not retried: {refreshes}");
}

#[tokio::test]
async fn an_exhausted_quota_of_the_platform_is_not_blamed_on_another_server() {
    let world = World::ready(platform().authorized_by(SHOP)).await;
    // Only then the store in memory has counted the whole day.
    world.advance(86_400);
    world.push_ticket().await;
    world
        .sandbox
        .fault(Fault::always(AUTHORIZER_TOKEN, FaultKind::Errcode(45009)));
    // The second time, without a call.
    for _ in 0..2 {
        let error = world.token(SHOP).await.unwrap_err();
        assert_eq!(error.code(), "upstream_quota", "{error}");
        let cause = error.upstream().unwrap().cause();
        assert!(!cause.en.contains("another server"), "{cause:?}");
        assert!(!cause.zh.contains("其他服务"), "{cause:?}");
    }
    let snapshot = world.broker.snapshot(&Find::all());
    let mut accounts = snapshot.accounts.iter();
    let account = accounts.find(|account| account.name == name(SHOP)).unwrap();
    let mut credentials = account.credentials.iter();
    let token = credentials
        .find(|one| one.kind == Kind::AccessToken)
        .unwrap();
    assert_eq!((token.calls_today, token.daily_quota), (Some(1), None));
}

/// A platform whose quota for the tokens of its accounts is spent, which each of the accounts has noticed.
async fn with_spent_quota(accounts: usize) -> World {
    let all = (0..accounts).fold(platform(), |platform, account| {
        platform.authorized_by(numbered(account))
    });
    let world = World::ready(all).await;
    let spent = Fault::always(AUTHORIZER_TOKEN, FaultKind::Errcode(45009));
    world.sandbox.fault(spent);
    for account in 0..accounts {
        let error = world.token(&numbered(account)).await.unwrap_err();
        assert_eq!(error.code(), "upstream_quota", "{error}");
    }
    world
}

fn numbered(account: usize) -> String {
    format!("wx{account:016x}")
}

#[tokio::test]
async fn a_spent_quota_of_tokens_is_tried_once_an_hour_by_one_account_for_all() {
    let accounts = 20;
    let world = with_spent_quota(accounts).await;
    assert_eq!(world.calls(AUTHORIZER_TOKEN), 1);
    let restarted = broker(&world.sandbox, &world.clock, &world.store);
    restarted.tend().await;
    let other = name(&numbered(1));
    let token = restarted.credential(&other, Kind::AccessToken);
    assert_eq!(token.await.unwrap_err().code(), "upstream_quota");
    assert_eq!(world.calls(AUTHORIZER_TOKEN), 1);
    let pass_until = async |calls: u64| {
        let mut seconds = 0;
        while world.calls(AUTHORIZER_TOKEN) < calls && seconds < 4_000 {
            world.advance(1);
            world.broker.tend().await;
            seconds += 1;
        }
        assert_eq!(world.calls(AUTHORIZER_TOKEN), calls);
        seconds
    };
    let waited = pass_until(2).await;
    assert!((3_600..=3_660).contains(&waited), "{waited} s");
    world.advance(120);
    world.broker.tend().await;
    assert_eq!(world.calls(AUTHORIZER_TOKEN), 2, "the others wait again");
    world.sandbox.clear_faults();
    pass_until(3).await;
    // In the same second.
    for account in 0..accounts {
        let token = world.token(&numbered(account)).await;
        assert!(token.is_ok(), "{account}: {token:?}");
    }
}

#[tokio::test]
async fn refresh_now_of_one_account_or_the_platform_ends_the_waits_of_all_accounts() {
    for refreshed in [name(&numbered(1)), "agency".to_owned()] {
        let world = with_spent_quota(3).await;
        world.sandbox.clear_faults();
        let token = world.token(&numbered(0)).await;
        assert!(token.is_err(), "readers make no attempt");
        let result = world.broker.refresh_now(&refreshed, Kind::AccessToken);
        assert!(result.await.is_ok(), "{refreshed}");
        for account in 0..3 {
            let token = world.token(&numbered(account)).await;
            assert!(token.is_ok(), "{refreshed}, {account}: {token:?}");
        }
    }
}

#[tokio::test]
async fn blocks_of_a_platform_by_a_clock_that_was_ahead_end_when_it_is_set_back() {
    let world = World::ready(platform().authorized_by(SHOP)).await;
    let links = || {
        world
            .broker
            .authorization_links("agency", "https://wx.example.com/done")
    };
    assert!(world.clock.set_wrong(3_600));
    world.broker.tend().await;
    for path in [AUTHORIZER_TOKEN, PRE_AUTH_CODE] {
        let spent = Fault::always(path, FaultKind::Errcode(45009));
        world.sandbox.fault(spent);
    }
    assert!(world.token(SHOP).await.is_err() && links().await.is_err());
    world.sandbox.clear_faults();
    assert!(world.token(SHOP).await.is_err() && links().await.is_err());
    assert!(world.clock.set_wrong(-3_600));
    world.broker.tend().await;
    let (token, links) = (world.token(SHOP).await, links().await);
    assert!(token.is_ok() && links.is_ok(), "{token:?}, {links:?}");
}

#[tokio::test]
async fn a_spent_quota_of_the_list_is_remembered_until_the_next_probe() {
    let world = World::new(platform().authorized_by(SHOP)).await;
    let spent = Fault::always(LIST, FaultKind::Errcode(45009));
    world.sandbox.fault(spent);
    world.push_ticket().await;
    world.until(|| world.calls(LIST) == 1).await;
    for _ in 0..11 {
        world.advance(300);
        for _ in 0..50 {
            world.broker.tend().await;
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(world.calls(LIST), 1);
    world.sandbox.clear_faults();
    let refreshed = world.broker.refresh_now("agency", Kind::AccessToken).await;
    assert!(refreshed.is_ok(), "{refreshed:?}");
    world.advance(300);
    world.settle().await;
    assert_eq!(world.calls(LIST), 2, "an operator may have reset it");
}

#[tokio::test]
async fn a_hundred_accounts_that_ask_the_list_at_once_share_its_readings() {
    let all = (0..100).fold(platform(), |platform, account| {
        platform.authorized_by(numbered(account))
    });
    let world = World::ready(all).await;
    world
        .sandbox
        .fault(Fault::always(AUTHORIZER_TOKEN, FaultKind::Errcode(61023)));
    let (lists, gate) = (world.calls(LIST), world.sandbox.hold(LIST));
    let asking: Vec<_> = (0..100)
        .map(|account| {
            let (broker, name) = (world.broker.clone(), name(&numbered(account)));
            tokio::spawn(async move { broker.credential(&name, Kind::AccessToken).await })
        })
        .collect();
    world.until(|| world.calls(AUTHORIZER_TOKEN) == 100).await;
    world.until(|| world.calls(LIST) > lists).await;
    gate.release();
    for asked in asking {
        assert!(asked.await.unwrap().is_err());
    }
    // Those whose refusal arrives after the release need later readings.
    let read = world.calls(LIST) - lists;
    assert!(read <= 20, "{read} readings");
    assert_eq!(world.platform().needs_authorization.len(), 100);
}

#[tokio::test]
async fn a_refused_ticket_is_tried_once_and_then_the_previous_one() {
    let world = World::new(platform()).await;
    world.push_ticket().await;
    world.advance(600);
    world.push_ticket().await;
    world
        .sandbox
        .fault(Fault::once(COMPONENT_TOKEN, FaultKind::Errcode(61006)));
    assert!(
        world
            .broker
            .credential("agency", Kind::AccessToken)
            .await
            .is_ok()
    );
    assert_eq!(world.calls(COMPONENT_TOKEN), 2);
}

#[tokio::test]
async fn tickets_that_wechat_refused_are_not_sent_again() {
    let world = World::new(platform()).await;
    world.push_ticket().await;
    world
        .sandbox
        .fault(Fault::always(COMPONENT_TOKEN, FaultKind::Errcode(61006)));
    for _ in 0..10 {
        assert!(
            world
                .broker
                .credential("agency", Kind::AccessToken)
                .await
                .is_err()
        );
        world.advance(400);
    }
    assert_eq!(world.calls(COMPONENT_TOKEN), 1);
    world.sandbox.clear_faults();
    world.push_ticket().await;
    assert!(
        world
            .broker
            .credential("agency", Kind::AccessToken)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_stale_platform_token_is_refreshed_once() {
    let world = World::ready(platform().authorized_by(SHOP)).await;
    world.sandbox.revoke_component_token(COMPONENT);
    world.assert_signs(SHOP).await;
    assert_eq!(world.calls(COMPONENT_TOKEN), 2);
    assert_eq!(world.calls(AUTHORIZER_TOKEN), 2);
}

#[tokio::test]
async fn a_stale_token_of_an_account_is_refreshed_once() {
    let world = World::ready(platform().authorized_by(SHOP)).await;
    let token = world.token(SHOP).await.unwrap();
    world.sandbox.revoke_authorizer_token(COMPONENT, SHOP);
    world.assert_signs(SHOP).await;
    assert_ne!(world.token(SHOP).await.unwrap().value, token.value);
    assert_eq!(world.calls(AUTHORIZER_TOKEN), 2);
}

#[tokio::test]
async fn a_lost_answer_about_the_platforms_token_shortens_no_token_of_an_account() {
    let world = World::ready(platform().authorized_by(SHOP)).await;
    let token = world.token(SHOP).await.unwrap();
    world.sandbox.revoke_component_token(COMPONENT);
    let lost = Fault::once(COMPONENT_TOKEN, FaultKind::LostReply);
    world.sandbox.fault(lost);
    let shop = name(SHOP);
    let rejected = world.broker.reject(&shop, Kind::AccessToken, &token.value);
    assert!(rejected.await.is_err());
    assert_eq!(world.calls(COMPONENT_TOKEN), 2);
    assert_eq!(world.token(SHOP).await.unwrap(), token);
}

#[tokio::test]
async fn the_credentials_of_an_account_are_kept_alive_only_while_it_is_used() {
    let world = World::ready(platform().authorized_by(SHOP)).await;
    world.assert_signs(SHOP).await;
    let mut refreshes = Vec::new();
    for hour in 0..40 {
        world.advance(3_600);
        world.push_ticket().await;
        world.broker.tend().await;
        if hour < 4 {
            world.assert_signs(SHOP).await;
        }
        refreshes.push(world.calls(AUTHORIZER_TOKEN));
    }
    assert!(refreshes[20] > refreshes[4], "{refreshes:?}");
    assert_eq!(refreshes[39], refreshes[32], "{refreshes:?}");
    assert_eq!(world.health(SHOP), Some(Health::Ok));
    world.assert_signs(SHOP).await;
}

#[tokio::test]
async fn a_reload_keeps_the_accounts_of_a_platform() {
    let world = World::ready(platform().authorized_by(SHOP)).await;
    world.assert_signs(SHOP).await;
    let calls = world.sandbox.calls_total();
    let component = Account::component(COMPONENT, SECRET)
        .js_safe_domain("example.com")
        .unwrap();
    let accounts = vec![("agency".to_owned(), component)];
    world.broker.reload(accounts, None).unwrap();
    world.assert_signs(SHOP).await;
    assert_eq!(world.sandbox.calls_total(), calls);
    world.broker.reload(Vec::new(), None).unwrap();
    assert!(world.account(SHOP).is_none());
}

#[tokio::test]
async fn two_thousand_accounts_cost_one_list_call_and_a_restart_costs_none() {
    const ACCOUNTS: usize = 2_000;
    let app_id = |account: usize| format!("wx{account:016x}");
    let all = (0..ACCOUNTS).fold(platform(), |platform, account| {
        platform.authorized_by(app_id(account))
    });
    let clock = Clock::manual(START);
    let sandbox = Sandbox::start(clock.clone()).await.unwrap();
    for account in 0..ACCOUNTS {
        sandbox.add_app(App::official(
            app_id(account),
            "0c79e1fa963cd80cc0be99b20a18faeb",
        ));
    }
    sandbox.add_platform(all);
    let store = Store::memory();
    let broker_of = |store: &Store| broker(&sandbox, &clock, store);
    let world = World {
        broker: broker_of(&store),
        sandbox: sandbox.clone(),
        clock: clock.clone(),
        store: store.clone(),
    };
    world.push_ticket().await;
    world.until(|| world.platform().active == ACCOUNTS).await;
    // In pages of 200.
    assert_eq!(world.calls(LIST), 10);
    assert_eq!(world.calls(AUTHORIZER_TOKEN), 0);
    world.assert_signs(&app_id(1_999)).await;
    let before = world.sandbox.calls_total();
    let restarted = World {
        broker: broker_of(&store),
        ..world
    };
    restarted
        .until(|| restarted.platform().active == ACCOUNTS)
        .await;
    restarted.assert_signs(&app_id(1_999)).await;
    let others = restarted.calls("/cgi-bin/component/api_get_authorizer_info");
    assert!(restarted.sandbox.calls_total() - before <= others, "warm");
}

#[tokio::test]
async fn an_account_that_lost_its_refresh_token_is_shown_until_it_authorises_again() {
    let platform = platform()
        .authorized_by(SHOP)
        .list_without_refresh_tokens(true);
    let world = World::ready(platform).await;
    // The push with its code may still arrive.
    assert_eq!(world.platform().needs_authorization, [""; 0]);
    assert!(world.account(SHOP).is_none());
    world.advance(2 * 3_600);
    world.push_ticket().await;
    world
        .until(|| world.platform().needs_authorization == [SHOP])
        .await;
    assert_eq!(world.health(SHOP), Some(Health::Down));
    world.authorized(SHOP).await;
    world
        .until(|| world.platform().needs_authorization.is_empty())
        .await;
    world.assert_signs(SHOP).await;
}

#[tokio::test]
async fn an_account_that_must_authorise_again_is_down_however_long_it_is_unused() {
    let platform = platform()
        .authorized_by(SHOP)
        .list_without_refresh_tokens(true);
    let world = World::ready(platform).await;
    world.advance(2 * 3_600);
    world.push_ticket().await;
    world
        .until(|| world.platform().needs_authorization == [SHOP])
        .await;
    for _ in 0..30 {
        world.advance(3_600);
        world.push_ticket().await;
        world.broker.tend().await;
        // No refresh is in the air while the clock goes on.
        let token = world.broker.credential("agency", Kind::AccessToken).await;
        assert!(token.is_ok(), "{token:?}");
        assert_eq!(world.health(SHOP), Some(Health::Down));
    }
    assert_eq!(world.calls(AUTHORIZER_TOKEN), 0);
    world.authorized(SHOP).await;
    world.assert_signs(SHOP).await;
    assert_eq!(world.health(SHOP), Some(Health::Ok));
}

#[tokio::test]
async fn two_platforms_and_the_account_itself_do_not_share_a_token() {
    const OTHER: &str = "wxc0de0000000000c1";
    let world = World::ready(platform().authorized_by(SHOP)).await;
    world.sandbox.add_platform(
        OpenPlatform::new(OTHER, SECRET)
            .safe_domain("example.com")
            .authorized_by(SHOP),
    );
    let component = |id: &str| {
        Account::component(id, SECRET)
            .js_safe_domain("example.com")
            .unwrap()
    };
    let own = Account::official(SHOP, "0c79e1fa963cd80cc0be99b20a18faeb");
    let accounts = vec![
        ("agency".to_owned(), component(COMPONENT)),
        ("other".to_owned(), component(OTHER)),
        ("own".to_owned(), own),
    ];
    world
        .broker
        .reload(accounts, Some("own".to_owned()))
        .unwrap();
    world.sandbox.push_ticket(OTHER).await;
    let ticket = world.sandbox.component_ticket(OTHER).unwrap();
    let event = PushEvent {
        create_time: world.now(),
        kind: EventKind::Ticket(Secret::new(ticket)),
    };
    world.broker.platform_pushed(OTHER, &event).await.unwrap();
    let other = format!("other/{SHOP}");
    world
        .until(|| world.broker.accounts().get(&other).is_ok())
        .await;
    let mut tokens = Vec::new();
    for name in [name(SHOP), other, "own".to_owned()] {
        let token = world.broker.credential(&name, Kind::AccessToken).await;
        tokens.push(token.unwrap().value.expose().to_owned());
    }
    assert_eq!(
        Some(&tokens[0]),
        world.sandbox.authorizer_token(COMPONENT, SHOP).as_ref()
    );
    assert_eq!(
        Some(&tokens[1]),
        world.sandbox.authorizer_token(OTHER, SHOP).as_ref()
    );
    assert!(tokens[0] != tokens[1] && tokens[1] != tokens[2] && tokens[0] != tokens[2]);
    world.assert_signs(SHOP).await;
}

#[tokio::test]
async fn a_mini_program_of_the_list_is_known_as_one_before_a_ticket_is_asked_for() {
    let world = World::ready(platform().authorized_by(GAME)).await;
    let error = world.broker.js_config(&name(GAME), &page()).await;
    assert!(
        matches!(error, Err(Error::UnsupportedCredential { .. })),
        "{error:?}"
    );
    assert_eq!(world.calls(TICKET), 0);
}

#[tokio::test]
async fn a_restart_with_a_new_key_encrypts_unused_tokens_of_accounts_again() {
    let key = |digit: &str| EncryptionKey::parse(&digit.repeat(64)).ok();
    let [old, both, new] =
        [("a", None), ("b", Some("a")), ("b", None)].map(|(current, previous)| EncryptionKeys {
            current: key(current),
            previous: previous.and_then(key),
            accept_unencrypted: false,
        });
    let store = Store::memory();
    let world = World::with(platform().authorized_by(SHOP), store.clone().encrypted(old));
    let world = world.await;
    world.push_ticket().await;
    world.settle().await;
    let token = world.token(SHOP).await.unwrap();
    let accounts = world.broker.accounts();
    let (_, account) = accounts.of_authorizer(COMPONENT, SHOP).unwrap();
    let restarted = broker(&world.sandbox, &world.clock, &store.clone().encrypted(both));
    restarted.tend().await;
    let stored = store
        .encrypted(new)
        .load(&account.key(Kind::AccessToken))
        .await;
    assert_eq!(stored, Ok(Some((*token).clone())));
}
