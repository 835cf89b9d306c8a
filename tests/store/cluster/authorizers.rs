//! Accounts that authorised an open platform, in several brokers that share a Redis: Redis is emptied or down, and an
//! account is withdrawn and authorised again at another node.

use std::sync::Arc;
use std::time::Duration;

use wx_jssdk::account::Account;
use wx_jssdk::broker::{Broker, Find};
use wx_jssdk::endpoint;
use wx_jssdk::platform::{AuthorizationCode, EventKind, PushEvent};
use wx_jssdk::sandbox::{App, Fault, FaultKind, OpenPlatform, Sandbox};
use wx_jssdk::store::{Document, EncryptionKey, EncryptionKeys, Saved, Store};
use wx_jssdk::{Clock, Credential, Error, Kind, Secret, UnixTime};

use crate::cluster::world::Shared as _;
use crate::common::http::BOUND;
use crate::common::redis_server::Redis;
use crate::common::upstream::impatient;
use crate::common::wait::{called, until};

const COMPONENT: &str = "wxc0de0000000000c0";
const SECRET: &str = "5ec2e7000000000000000000000000aa";
const SHOP: &str = "wx1111111111111111";
const CAFE: &str = "wx2222222222222222";
const BOOK: &str = "wx4444444444444444";
const FILM: &str = "wx5555555555555555";
const START: UnixTime = UnixTime(1_767_225_600);

const COMPONENT_TOKEN: &str = "/cgi-bin/component/api_component_token";
const AUTHORIZER_TOKEN: &str = "/cgi-bin/component/api_authorizer_token";
const START_PUSH: &str = "/cgi-bin/component/api_start_push_ticket";
const LIST: &str = "/cgi-bin/component/api_get_authorizer_list";

struct World {
    redis: Redis,
    sandbox: Sandbox,
    clock: Clock,
    nodes: Vec<Broker>,
}

impl World {
    /// Starts this many nodes that know the platform's ticket and both accounts.
    async fn new(nodes: usize) -> Self {
        let world = Self::without_ticket(nodes).await;
        world.push_ticket().await;
        world.until(|node| active(node) == 2).await;
        world
    }

    async fn without_ticket(nodes: usize) -> Self {
        let clock = Clock::manual(START);
        let sandbox = Sandbox::start(clock.clone()).await.unwrap();
        let platform = OpenPlatform::new(COMPONENT, SECRET).safe_domain("example.com");
        for app_id in [SHOP, CAFE] {
            sandbox.add_app(App::official(app_id, SECRET));
        }
        sandbox.add_platform(platform.authorized_by(SHOP).authorized_by(CAFE));
        let mut world = Self {
            redis: Redis::start(),
            sandbox,
            clock,
            nodes: Vec::new(),
        };
        world.nodes = (0..nodes).map(|_| world.node()).collect();
        world
    }

    fn store(&self) -> Store {
        self.redis.open()
    }

    /// Starts one more node, without any values.
    fn node(&self) -> Broker {
        self.node_on(self.store())
    }

    fn node_on(&self, store: Store) -> Broker {
        let component = Account::component(COMPONENT, SECRET)
            .js_safe_domain("example.com")
            .unwrap();
        let upstream = impatient(&self.sandbox);
        Broker::builder()
            .account("agency", component)
            .clock(self.clock.clone())
            .upstream(upstream)
            .store(store)
            .build()
            .unwrap()
    }

    async fn pushed(&self, kind: EventKind) {
        let create_time = self.clock.now();
        let event = PushEvent { create_time, kind };
        let pushed = self.nodes[0].platform_pushed(COMPONENT, &event);
        pushed.await.unwrap();
    }

    async fn push_ticket(&self) {
        self.sandbox.push_ticket(COMPONENT).await;
        let ticket = self.sandbox.component_ticket(COMPONENT).unwrap();
        self.pushed(EventKind::Ticket(Secret::new(ticket))).await;
    }

    /// The owner authorises the platform; the push goes to the first node.
    async fn authorize(&self, app_id: &str) {
        let code = self.sandbox.authorize(COMPONENT, app_id).await;
        let code = AuthorizationCode {
            authorizer: app_id.to_owned(),
            code: Secret::new(code),
            expires_at: None,
        };
        self.pushed(EventKind::Authorized(code)).await;
    }

    async fn tend(&self) {
        for node in &self.nodes {
            node.tend().await;
        }
    }

    fn advance(&self, seconds: u64) {
        assert!(self.clock.advance(Duration::from_secs(seconds)));
    }

    /// Runs the keepers, in steps that let each of them read the store, until the condition holds at every node.
    async fn until(&self, holds: impl Fn(&Broker) -> bool) {
        let waited = tokio::time::timeout(BOUND, async {
            while !self.nodes.iter().all(&holds) {
                self.advance(6);
                self.tend().await;
            }
        });
        waited.await.expect("the condition holds in time");
    }

    fn calls(&self, endpoint: &str) -> u64 {
        self.sandbox.calls(endpoint)
    }

    /// The token that WeChat accepts now.
    fn valid_token(&self, app_id: &str) -> Option<String> {
        self.sandbox.authorizer_token(COMPONENT, app_id)
    }
}

async fn token(node: &Broker, app_id: &str) -> Result<Arc<Credential>, Error> {
    let name = format!("agency/{app_id}");
    node.credential(&name, Kind::AccessToken).await
}

fn active(node: &Broker) -> usize {
    node.platforms().remove(0).active
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn a_redis_restarted_empty_gets_the_accounts_of_a_platform_back_from_memory() {
    let mut world = World::new(2).await;
    let lists = world.calls(LIST);
    world.redis.restart();
    world.advance(6);
    // Before the keeper has run: the store is read and is empty.
    let read = token(&world.nodes[0], SHOP).await.unwrap();
    assert_eq!(
        Some(read.value.expose()),
        world.valid_token(SHOP).as_deref()
    );
    // Redis may answer too late for the first pass.
    let names = [
        format!("component:{COMPONENT}:access_token"),
        format!("platform:{COMPONENT}}}:ticket"),
        format!("platform:{COMPONENT}:authorizer}}:{SHOP}"),
        format!("platform:{COMPONENT}:authorizer}}:{CAFE}"),
    ];
    let are_back = |_: &Broker| {
        let keys = world.redis.cli(&["KEYS", "*"]);
        names.iter().all(|name| keys.contains(name))
    };
    world.until(are_back).await;
    let late = world.node();
    world.nodes = vec![late];
    world.until(|node| active(node) == 2).await;
    // With the ticket from memory.
    for app_id in [SHOP, CAFE] {
        let read = token(&world.nodes[0], app_id).await.unwrap();
        assert_eq!(
            Some(read.value.expose()),
            world.valid_token(app_id).as_deref()
        );
    }
    let again = |_: &Broker| world.calls(LIST) > lists;
    world.until(again).await;
    let calls = [COMPONENT_TOKEN, LIST].map(|path| world.calls(path));
    assert_eq!(calls, [1, lists + 1], "the list restores what no node knew");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn all_nodes_together_ask_wechat_to_push_once_in_ten_minutes() {
    let world = World::without_ticket(3).await;
    for asked in 1..=4 {
        world.advance(600);
        world.tend().await;
        called(&world.sandbox, START_PUSH, asked).await;
    }
    assert_eq!(world.calls(START_PUSH), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn a_request_to_push_replaces_the_claim_of_a_clock_that_was_ahead() {
    let world = World::without_ticket(3).await;
    let claim = Document {
        expires_at: Some(START.plus(Duration::from_secs(30 * 86_400))),
        ..Document::new("")
    };
    let name = format!("platform:{COMPONENT}:starting");
    let store = world.store();
    let saved = store.save_document(&name, &claim, START).await;
    assert_eq!(saved, Ok(Some(1)));
    world.tend().await;
    called(&world.sandbox, START_PUSH, 1).await;
    let replaced = store.load_document(&name, START).await.unwrap().unwrap();
    let ten_minutes = Duration::from_secs(600);
    assert_eq!(replaced.expires_at, Some(START.plus(ten_minutes)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn a_refused_request_to_push_does_not_keep_a_peer_node_from_its_own() {
    let world = World::without_ticket(2).await;
    world
        .sandbox
        .fault(Fault::once(START_PUSH, FaultKind::Errcode(61004)));
    world.nodes[0].tend().await;
    called(&world.sandbox, START_PUSH, 1).await;
    let (store, claim) = (world.store(), format!("platform:{COMPONENT}:starting"));
    let is_ended = async || store.load_document(&claim, world.clock.now()).await == Ok(None);
    until("the claim has ended", is_ended).await;
    world.nodes[1].tend().await;
    called(&world.sandbox, START_PUSH, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn nothing_is_asked_of_wechat_before_the_store_has_told_of_a_ticket() {
    let mut world = World::new(1).await;
    assert_eq!(world.redis.cli(&["SAVE"]), "OK");
    let calls = world.calls(START_PUSH);
    world.redis.kill();
    world.nodes = vec![world.node()];
    for _ in 0..3 {
        world.tend().await;
    }
    world.redis.restart();
    world.until(|node| active(node) == 2).await;
    assert_eq!(world.calls(START_PUSH), calls);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn a_value_in_plain_text_that_came_after_the_first_look_is_encrypted_too() {
    let world = World::new(1).await;
    let current = EncryptionKey::parse(&"b".repeat(64)).ok();
    let keys = |accept_unencrypted| EncryptionKeys {
        current: current.clone(),
        previous: None,
        accept_unencrypted,
    };
    let encrypting = world.node_on(world.store().encrypted(keys(true)));
    encrypting.tend().await;
    // By a node that has no key yet.
    let token = token(&world.nodes[0], SHOP).await.unwrap();
    world.advance(6);
    encrypting.tend().await;
    let accounts = encrypting.accounts();
    let (_, account) = accounts.of_authorizer(COMPONENT, SHOP).unwrap();
    let key = account.key(Kind::AccessToken);
    let stored = world.store().encrypted(keys(false)).load(&key).await;
    assert_eq!(stored, Ok(Some((*token).clone())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn an_account_that_authorises_again_has_a_valid_token_on_every_node() {
    let world = World::new(2).await;
    let mut tokens = Vec::new();
    for node in &world.nodes {
        tokens.push(token(node, SHOP).await.unwrap().value.clone());
    }
    assert_eq!(tokens[0], tokens[1]);
    world.sandbox.cancel_authorization(COMPONENT, SHOP).await;
    let authorizer = SHOP.to_owned();
    world.pushed(EventKind::Unauthorized { authorizer }).await;
    world.until(|node| active(node) == 1).await;
    for node in &world.nodes {
        assert!(token(node, SHOP).await.is_err());
    }
    world.authorize(SHOP).await;
    world.until(|node| active(node) == 2).await;
    for node in &world.nodes {
        let served = token(node, SHOP).await.unwrap();
        assert_ne!(served.value, tokens[0]);
        assert_eq!(
            Some(served.value.expose()),
            world.valid_token(SHOP).as_deref()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn a_request_makes_an_account_known_that_authorised_at_another_node() {
    let world = World::new(2).await;
    let is_listed = |node: &Broker| node.platforms()[0].listed_at.is_some();
    world.until(is_listed).await;
    let [one, other] = world.nodes.as_slice() else {
        panic!("two nodes")
    };
    for (known, app_id) in [(3, BOOK), (4, FILM)] {
        world.sandbox.add_app(App::official(app_id, SECRET));
        world.authorize(app_id).await;
        until("one node knows it", async || active(one) == known).await;
    }
    let query = format!("account=agency/{BOOK}&url=https%3A%2F%2Fwww.example.com%2Fpage");
    let signed = endpoint::answer(other, "/config", &query).await;
    assert!(signed.is_ok(), "{signed:?}");
    // Requests for unknown accounts cause one read a second.
    world.advance(1);
    let reads = || {
        let store = other.snapshot(&Find::all()).stats.store;
        let loads = store.iter().find(|(name, ..)| *name == "load");
        loads.map(|(_, reads, _)| *reads)
    };
    let before = reads();
    for unknown in 0..50 {
        let error = token(other, &format!("wx{unknown:016x}"))
            .await
            .unwrap_err();
        assert_eq!(error.code(), "unknown_account", "{error}");
    }
    assert_eq!(reads(), before.map(|before| before + 1));
    assert!(token(other, FILM).await.is_err(), "in the same second");
    world.advance(1);
    assert!(token(other, FILM).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn a_spent_quota_of_tokens_that_one_node_finds_stops_the_accounts_of_all_nodes() {
    let world = World::new(2).await;
    let [one, other] = world.nodes.as_slice() else {
        panic!("two nodes")
    };
    let spent = Fault::always(AUTHORIZER_TOKEN, FaultKind::Errcode(45009));
    world.sandbox.fault(spent);
    for (node, app_id) in [(one, SHOP), (other, CAFE), (other, SHOP), (one, CAFE)] {
        let error = token(node, app_id).await.unwrap_err();
        assert_eq!(error.code(), "upstream_quota", "{error}");
    }
    assert_eq!(world.calls(AUTHORIZER_TOKEN), 1);
    world.sandbox.clear_faults();
    let refreshed = one.refresh_now("agency", Kind::AccessToken).await;
    assert!(refreshed.is_ok(), "{refreshed:?}");
    assert!(token(one, CAFE).await.is_ok());
    assert!(token(other, SHOP).await.is_err(), "it has not looked yet");
    world.advance(6);
    world.tend().await;
    assert!(token(other, SHOP).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn a_token_that_a_peer_node_has_ended_is_no_longer_served() {
    let world = World::new(1).await;
    let node = &world.nodes[0];
    let served = token(node, SHOP).await.unwrap();
    let accounts = node.accounts();
    let (_, account) = accounts.of_authorizer(COMPONENT, SHOP).unwrap();
    world.advance(60);
    let ended = Credential {
        expires_at: world.clock.now(),
        ..(*served).clone()
    };
    let peer = world.store();
    let saved = peer.save(&account.key(Kind::AccessToken), &ended).await;
    assert_eq!(saved, Ok(Saved::Stored));
    world.sandbox.revoke_authorizer_token(COMPONENT, SHOP);
    world.tend().await;
    let read = token(node, SHOP).await.unwrap();
    assert_ne!(read.value, served.value);
    assert_eq!(
        Some(read.value.expose()),
        world.valid_token(SHOP).as_deref()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn a_list_that_could_not_be_stored_is_read_again_after_five_minutes() {
    let world = World::without_ticket(1).await;
    let gate = world.sandbox.hold(LIST);
    world.push_ticket().await;
    world.tend().await;
    called(&world.sandbox, LIST, 1).await;
    // Redis refuses to write, and answers reads.
    world.redis.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    gate.release();
    let errors = async || world.redis.cli(&["INFO", "errorstats"]);
    let refused = async || errors().await.contains("OOM");
    until("a change of a record was refused", refused).await;
    world.redis.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    world.advance(300);
    world.until(|node| active(node) == 2).await;
    world
        .until(|node| node.platforms()[0].listed_at.is_some())
        .await;
    assert_eq!(world.calls(LIST), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn redis_down_past_the_end_of_a_token_stops_no_account_of_a_platform() {
    let mut world = World::new(2).await;
    for node in &world.nodes {
        token(node, SHOP).await.unwrap();
    }
    world.redis.kill();
    world.advance(7_200);
    for node in &world.nodes {
        let served = token(node, SHOP).await.unwrap();
        assert_eq!(
            Some(served.value.expose()),
            world.valid_token(SHOP).as_deref()
        );
    }
    // The owner withdraws; a refusal changes nothing before the store answers.
    world.sandbox.cancel_authorization(COMPONENT, SHOP).await;
    world.advance(7_200);
    for node in &world.nodes {
        let refused = token(node, SHOP).await.unwrap_err();
        let errcode = refused.upstream().and_then(|error| error.errcode());
        assert_eq!(errcode, Some(61003));
        assert_eq!(active(node), 2);
    }
    world.redis.restart();
    world.advance(120);
    for node in &world.nodes {
        assert!(token(node, SHOP).await.is_err());
    }
    world.until(|node| active(node) == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn a_failover_to_an_older_copy_withdraws_no_account_of_a_platform() {
    let mut world = World::new(2).await;
    world.sandbox.cancel_authorization(COMPONENT, SHOP).await;
    let authorizer = SHOP.to_owned();
    world.pushed(EventKind::Unauthorized { authorizer }).await;
    world.until(|node| active(node) == 1).await;
    // The next server in its directory starts with this copy.
    assert_eq!(world.redis.cli(&["SAVE"]), "OK");
    world.advance(600);
    world.push_ticket().await;
    world.authorize(SHOP).await;
    world.until(|node| active(node) == 2).await;
    let ticket_at = world.nodes[0].platforms()[0].ticket_at;
    let lists = world.calls(LIST);
    world.redis.restart();
    for _ in 0..3 {
        world.advance(6);
        world.tend().await;
        for node in &world.nodes {
            assert_eq!(active(node), 2);
            assert_eq!(node.platforms()[0].ticket_at, ticket_at);
        }
    }
    // With what the store has now.
    let late = world.node();
    world.nodes.push(late);
    world.until(|node| active(node) == 2).await;
    assert_eq!(world.nodes[2].platforms()[0].ticket_at, ticket_at);
    for node in &world.nodes {
        let served = token(node, SHOP).await.unwrap();
        assert_eq!(
            Some(served.value.expose()),
            world.valid_token(SHOP).as_deref()
        );
    }
    assert_eq!(
        world.calls(LIST),
        lists,
        "no node asked for a refresh token"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis-server: make test"]
async fn a_withdrawal_after_a_failover_to_an_older_copy_counts() {
    let mut world = World::new(2).await;
    assert_eq!(world.redis.cli(&["SAVE"]), "OK");
    world.advance(600);
    world.authorize(SHOP).await;
    world.until(|node| active(node) == 2).await;
    world.redis.restart();
    world.advance(600);
    // Before a node has read the older copy.
    world.sandbox.cancel_authorization(COMPONENT, SHOP).await;
    let authorizer = SHOP.to_owned();
    world.pushed(EventKind::Unauthorized { authorizer }).await;
    world.until(|node| active(node) == 1).await;
    for _ in 0..3 {
        world.advance(6);
        world.tend().await;
        assert!(world.nodes.iter().all(|node| active(node) == 1));
    }
}
