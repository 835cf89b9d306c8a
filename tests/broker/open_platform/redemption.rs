//! Codes whose redemption fails, is lost, or depends on a wrong clock.

use super::*;
use crate::common::http::client;
use crate::common::log::Log;

impl World {
    /// Advances ten seconds at a time, with the keeper's work in each step. A call to WeChat has the real time
    /// of five others to end in its step.
    async fn pass(&self, seconds: u64) {
        let (client, state) = (client(), format!("{}/sandbox/state", self.sandbox.url()));
        for _ in 0..seconds / 10 {
            self.advance(10);
            for _ in 0..5 {
                self.broker.tend().await;
                client.get(&state).send().await.expect("an answer");
            }
        }
        self.settle().await;
    }

    /// Lets time pass until this holds: a call takes real time, in which the manual clock may go far.
    async fn pass_until(&self, holds: impl Fn() -> bool) {
        for _ in 0..720 {
            if holds() {
                return;
            }
            self.pass(10).await;
        }
        panic!("it does not hold in two hours: {:?}", self.platform());
    }

    fn calls_of<const N: usize>(&self, endpoints: [&str; N]) -> [u64; N] {
        endpoints.map(|endpoint| self.calls(endpoint))
    }
}

#[tokio::test]
async fn a_lost_answer_to_a_known_accounts_code_costs_one_list_call() {
    let world = World::ready(platform().authorized_by(SHOP)).await;
    world.assert_signs(SHOP).await;
    world.advance(10);
    let lists = world.calls(LIST);
    world
        .sandbox
        .fault(Fault::once(QUERY_AUTH, FaultKind::LostReply));
    let code = world.authorize(SHOP).await;
    world.pushed(EventKind::Authorized(code)).await;
    world.until(|| world.calls(LIST) > lists).await;
    world.pass(600).await;
    assert_eq!(world.calls_of([QUERY_AUTH, LIST]), [1, lists + 1]);
    world.assert_signs(SHOP).await;
}

#[tokio::test]
async fn a_code_whose_answer_was_lost_for_the_browser_is_settled_by_the_push() {
    let world = World::ready(platform()).await;
    let code = world.authorize(SHOP).await;
    world
        .sandbox
        .fault(Fault::once(QUERY_AUTH, FaultKind::LostReply));
    let redeemed = world.broker.redeem_from_browser("agency", &code.code).await;
    assert!(redeemed.is_err());
    world.pushed(EventKind::Authorized(code)).await;
    world.pass(60).await;
    world.until(|| world.is_usable(SHOP)).await;
    world.assert_signs(SHOP).await;
    world.settle().await;
    let calls = || world.calls_of([QUERY_AUTH, LIST, AUTHORIZER_TOKEN]);
    let before = calls();
    world.pass(600).await;
    world.assert_signs(SHOP).await;
    assert_eq!(calls(), before);
}

#[tokio::test]
async fn a_code_that_no_platform_token_carried_to_wechat_can_be_brought_again() {
    let world = World::ready(platform()).await;
    let code = world.authorize(SHOP).await;
    world.sandbox.revoke_component_token(COMPONENT);
    world
        .sandbox
        .fault(Fault::once(COMPONENT_TOKEN, FaultKind::LostReply));
    let redeem = || world.broker.redeem_from_browser("agency", &code.code);
    assert!(redeem().await.is_err());
    world.advance(60);
    assert_eq!(redeem().await.unwrap().name, name(SHOP));
    world.assert_signs(SHOP).await;
}

#[tokio::test]
async fn an_unredeemable_code_is_retried_with_backoff_for_an_hour() {
    let world = World::ready(platform().authorized_by(SHOP)).await;
    world.assert_signs(SHOP).await;
    world.advance(10);
    let [lists, tokens] = world.calls_of([LIST, AUTHORIZER_TOKEN]);
    world
        .sandbox
        .fault(Fault::always(QUERY_AUTH, FaultKind::Errcode(-1)));
    let code = world.authorize(SHOP).await;
    world.pushed(EventKind::Authorized(code)).await;
    world.until(|| world.calls(QUERY_AUTH) > 0).await;
    world.pass(3_500).await;
    let tries = world.calls(QUERY_AUTH);
    assert!((8..=20).contains(&tries), "{tries} tries");
    let renewed = world.calls(AUTHORIZER_TOKEN) - tokens;
    assert!(renewed <= 1, "the dead token is dropped once: {renewed}");
    world.pass(600).await;
    assert_eq!(world.calls(LIST), lists + 1, "then the list decides");
    let tries = world.calls(QUERY_AUTH);
    world.pass(600).await;
    assert_eq!(world.calls(QUERY_AUTH), tries);
    world.assert_signs(SHOP).await;
}

#[tokio::test]
async fn a_code_that_ends_while_the_list_cannot_be_read_is_settled_when_it_can() {
    let world = World::ready(platform()).await;
    for endpoint in [QUERY_AUTH, LIST] {
        let fault = Fault::always(endpoint, FaultKind::Errcode(-1));
        world.sandbox.fault(fault);
    }
    let code = world.authorize(SHOP).await;
    world.pushed(EventKind::Authorized(code)).await;
    world.until(|| world.calls(QUERY_AUTH) > 0).await;
    world.pass(4_500).await;
    world.pass_until(|| world.calls(LIST) >= 2).await;
    assert!(world.platform().needs_authorization.is_empty());
    let asked = world.calls(LIST);
    assert!(asked < 10, "{asked} calls");
    world.sandbox.clear_faults();
    world
        .pass_until(|| world.platform().needs_authorization == [SHOP])
        .await;
    world.authorized(SHOP).await;
    world.assert_signs(SHOP).await;
}

#[tokio::test]
async fn the_log_says_whether_a_code_was_refused_or_is_tried_again() {
    let log = Log::default();
    let world = World::ready(platform()).await;
    let _listening = log.listen();
    for (errcode, message) in [
        (-1, "authorisation code not redeemed yet"),
        (61009, "authorisation code refused: WeChat's list decides"),
    ] {
        world.advance(10);
        world
            .sandbox
            .fault(Fault::once(QUERY_AUTH, FaultKind::Errcode(errcode)));
        let code = world.authorize(SHOP).await;
        world.pushed(EventKind::Authorized(code)).await;
        world
            .until(|| !log.about("authorisation code ").is_empty())
            .await;
        let lines = log.about("authorisation code ");
        let line = &lines[0];
        assert_eq!(line["message"], message, "{line}");
        let error = line["error"].as_str().unwrap();
        let start =
            format!("a call of open platform \"agency\" failed: {QUERY_AUTH} refused: {errcode} ");
        assert!(error.starts_with(&start), "{error}");
        log.clear();
    }
}

#[tokio::test]
async fn a_code_that_another_server_redeemed_is_settled_once_the_list_can_be_read() {
    let world = World::ready(platform()).await;
    let code = world.authorize(SHOP).await;
    for (endpoint, errcode) in [(QUERY_AUTH, 61009), (LIST, -1)] {
        let fault = Fault::once(endpoint, FaultKind::Errcode(errcode));
        world.sandbox.fault(fault);
    }
    let lists = world.calls(LIST);
    world.pushed(EventKind::Authorized(code)).await;
    world.until(|| world.calls(LIST) > lists).await;
    world.settle().await;
    world.pass_until(|| world.calls(LIST) > lists + 1).await;
    world
        .pass_until(|| world.platform().needs_authorization == [SHOP])
        .await;
    let calls = world.calls_of([QUERY_AUTH, LIST]);
    world.pass(1_200).await;
    assert_eq!(world.calls_of([QUERY_AUTH, LIST]), calls, "it is settled");
}

#[tokio::test]
async fn an_authorisation_that_a_slow_clock_dates_before_a_withdrawal_counts() {
    let world = World::ready(platform()).await;
    world.authorized(SHOP).await;
    world.advance(10);
    let withdrawn_at = world.now().plus(Duration::from_secs(40));
    let withdrawal = || EventKind::Unauthorized {
        authorizer: SHOP.to_owned(),
    };
    world.sandbox.cancel_authorization(COMPONENT, SHOP).await;
    world.pushed_at(withdrawn_at, withdrawal()).await;
    let code = world.authorize(SHOP).await;
    let redeemed = world.broker.redeem_from_browser("agency", &code.code).await;
    assert_eq!(redeemed.unwrap().name, name(SHOP));
    world.assert_signs(SHOP).await;
    world.pushed_at(withdrawn_at, withdrawal()).await;
    world.settle().await;
    world.assert_signs(SHOP).await;
    let event = EventKind::Authorized(code);
    let authorized_at = withdrawn_at.plus(Duration::from_secs(10));
    world.pushed_at(authorized_at, event).await;
    world.settle().await;
    world.assert_signs(SHOP).await;
}

#[tokio::test]
async fn a_ticket_that_is_pushed_again_unchanged_is_prolonged() {
    let world = World::new(platform()).await;
    world.push_ticket().await;
    let ticket = world.sandbox.component_ticket(COMPONENT).unwrap();
    for _ in 0..80 {
        world.advance(600);
        world.broker.tend().await;
        world
            .pushed(EventKind::Ticket(Secret::new(ticket.clone())))
            .await;
    }
    assert!(world.platform().has_ticket);
    assert_eq!(world.calls(START_PUSH), 0);
}

#[tokio::test]
async fn each_pushed_ticket_counts_though_this_machines_clock_is_slow() {
    let world = World::new(platform()).await;
    for ahead in [60, 661, 1_260, 7_200, 43_200] {
        let at = world.now().plus(Duration::from_secs(ahead));
        let ticket = Secret::new(format!("ticket@@@{ahead}"));
        world.pushed_at(at, EventKind::Ticket(ticket)).await;
        assert_eq!(world.platform().ticket_at, Some(at));
    }
}

#[cfg(feature = "sql")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_that_a_slow_clock_finds_in_the_future_stays_in_a_shared_store() {
    let home = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", home.path().join("store.db").display());
    let open = || Store::sql_within(&url, "", Duration::from_secs(20)).unwrap();
    let world = World::with(platform(), open()).await;
    let other = broker(&world.sandbox, &world.clock, &open());
    let ticket_at = |broker: &Broker| broker.platforms().remove(0).ticket_at;
    let both_have = async |at: UnixTime| {
        until("both nodes have it, and it is stored", async || {
            world.advance(5);
            for broker in [&world.broker, &other] {
                broker.tend().await;
            }
            let name = format!("platform:{COMPONENT}:ticket");
            let stored = world.store.load_document(&name, world.now()).await.unwrap();
            let stored =
                stored.is_some_and(|stored| stored.text.expose().contains(&at.to_string()));
            stored
                && [&world.broker, &other]
                    .iter()
                    .all(|it| ticket_at(it) == Some(at))
        })
        .await;
    };
    for ahead in [60, 661] {
        let at = START.plus(Duration::from_secs(ahead));
        let ticket = Secret::new(format!("ticket@@@{ahead}"));
        world.pushed_at(at, EventKind::Ticket(ticket)).await;
        both_have(at).await;
        // And it stays.
        both_have(at).await;
    }
}

#[tokio::test]
async fn a_refused_ticket_that_is_pushed_again_is_tried_again() {
    let world = World::new(platform()).await;
    world.push_ticket().await;
    world
        .sandbox
        .fault(Fault::once(COMPONENT_TOKEN, FaultKind::Errcode(61006)));
    let platform_token = || world.broker.credential("agency", Kind::AccessToken);
    assert!(platform_token().await.is_err());
    let ticket = world.sandbox.component_ticket(COMPONENT).unwrap();
    world.advance(600);
    world.pushed(EventKind::Ticket(Secret::new(ticket))).await;
    assert!(platform_token().await.is_ok());
}

#[tokio::test]
async fn a_token_that_came_with_a_code_is_dated_when_the_code_was_sent() {
    let world = World::ready(platform()).await;
    let code = world.authorize(SHOP).await;
    world.sandbox.revoke_component_token(COMPONENT);
    let refreshes = world.calls(COMPONENT_TOKEN);
    let gate = world.sandbox.hold(COMPONENT_TOKEN);
    let redeem = world.broker.redeem_from_browser("agency", &code.code);
    let wait = async {
        called(&world.sandbox, COMPONENT_TOKEN, refreshes + 1).await;
        world.advance(10);
        gate.release();
    };
    let (redeemed, ()) = tokio::join!(redeem, wait);
    redeemed.unwrap();
    let token = world.token(SHOP).await.unwrap();
    assert_eq!(token.issued_at, world.now());
}

#[tokio::test]
async fn a_token_that_came_with_a_code_counts_as_a_refresh() {
    let world = World::ready(platform()).await;
    let code = world.authorize(SHOP).await.code;
    let redeemed = world.broker.redeem_from_browser("agency", &code).await;
    redeemed.unwrap();
    let snapshot = world.broker.snapshot(&Find::all());
    let mut accounts = snapshot.accounts.into_iter();
    let shop = accounts.find(|account| account.name == name(SHOP)).unwrap();
    let token = shop.credentials.first().unwrap();
    assert_eq!(token.kind, Kind::AccessToken);
    assert_eq!(world.calls(AUTHORIZER_TOKEN), 0);
    assert_eq!(token.refreshes, 1);
    assert_eq!(token.last_success, Some(world.now()));
    assert_eq!(token.history().len(), 1);
    assert_ne!(*shop.hours(world.now()).last().unwrap(), HourState::NoData);
}
