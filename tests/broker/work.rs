//! WeCom: tokens per app, tickets per corp and per app, and a token that rotates only at its very end.

use std::time::Duration;

use wx_jssdk::broker::{Find, RefreshOutcome};
use wx_jssdk::sandbox::{App, Fault, FaultKind, Sandbox};
use wx_jssdk::store::Store;
use wx_jssdk::{Account, Broker, Clock, Credential, Error, Kind};

use crate::common::upstream::impatient;
use crate::world::{START, page};

const CORP: &str = "ww0123456789abcdef";
const GETTOKEN: &str = "/cgi-bin/gettoken";
const APPS: [(&str, u64); 2] = [("crm", 1_000_002), ("oa", 1_000_003)];

async fn work() -> (Sandbox, Clock, Broker) {
    let clock = Clock::manual(START);
    let sandbox = Sandbox::start(clock.clone()).await.unwrap();
    for (name, agent) in APPS {
        sandbox.add_app(App::work(CORP, agent, name).safe_domain("www.example.com"));
    }
    let broker = broker(&sandbox, &clock, &Store::memory());
    (sandbox, clock, broker)
}

fn broker(sandbox: &Sandbox, clock: &Clock, store: &Store) -> Broker {
    let mut builder = Broker::builder()
        .clock(clock.clone())
        .store(store.clone())
        .upstream(impatient(sandbox));
    for (name, agent) in APPS {
        builder = builder.account(
            name,
            Account::work(CORP, agent, name)
                .js_safe_domain("www.example.com")
                .unwrap(),
        );
    }
    builder.build().unwrap()
}

#[tokio::test]
async fn each_app_has_its_own_token_and_agent_ticket() {
    let (sandbox, _, broker) = work().await;
    for (name, agent) in APPS {
        let app = format!("{CORP}:{agent}");
        let token = broker.credential(name, Kind::AccessToken).await.unwrap();
        assert!(sandbox.accepts_token(&app, token.value.expose()));
        let ticket = broker.credential(name, Kind::AgentTicket).await.unwrap();
        assert!(sandbox.accepts_ticket(&app, "agent_config", ticket.value.expose()));
        let ticket = broker.credential(name, Kind::JsapiTicket).await.unwrap();
        assert!(sandbox.accepts_ticket(CORP, "jsapi", ticket.value.expose()));
    }
    assert_eq!(sandbox.calls(GETTOKEN), 2);
}

#[tokio::test]
async fn a_day_of_wecom_costs_a_sane_number_of_calls_and_serves_nothing_dead() {
    let (sandbox, clock, broker) = work().await;
    let mut refused = 0;
    for _ in 0..24 * 720 {
        broker.tend().await;
        match broker.credential("crm", Kind::AccessToken).await {
            Ok(token) => assert!(
                sandbox.accepts_token(&format!("{CORP}:1000002"), token.value.expose()),
                "{}",
                clock.now()
            ),
            Err(_) => refused += 1,
        }
        match broker.js_config("crm", &page()).await {
            Ok(_) => {
                let ticket = broker.credential("crm", Kind::JsapiTicket).await.unwrap();
                assert!(
                    sandbox.accepts_ticket(CORP, "jsapi", ticket.value.expose()),
                    "{}",
                    clock.now()
                );
            }
            Err(_) => refused += 1,
        }
        clock.advance(Duration::from_secs(5));
    }
    assert_eq!(
        refused, 0,
        "the value that WeCom repeats is served to its end"
    );
    let calls = sandbox.calls(GETTOKEN);
    assert!(calls <= 2 * 12 * 9, "{calls} calls in a day for two apps");
}

#[tokio::test]
async fn a_wrong_wecom_secret_is_not_retried_into_a_ban() {
    let (sandbox, clock, broker) = work().await;
    sandbox.fault(Fault::always(GETTOKEN, FaultKind::Errcode(40001)));
    for _ in 0..3_600 {
        broker.tend().await;
        assert!(broker.js_config("crm", &page()).await.is_err());
        clock.advance(Duration::from_secs(1));
    }
    assert!(sandbox.calls(GETTOKEN) <= 32, "{}", sandbox.calls(GETTOKEN));
}

#[tokio::test]
async fn a_dead_wecom_token_is_refreshed_for_the_ticket() {
    let (sandbox, _, broker) = work().await;
    broker.credential("crm", Kind::AccessToken).await.unwrap();
    sandbox.revoke(&format!("{CORP}:1000002"), wx_jssdk::sandbox::Revoke::Token);
    assert!(broker.agent_config("crm", &page()).await.is_ok());
    assert_eq!(sandbox.calls(GETTOKEN), 2);
}

#[tokio::test]
async fn a_token_that_recovers_for_one_ticket_ends_the_wait_of_the_other() {
    let (sandbox, clock, broker) = work().await;
    sandbox.fault(Fault::always(GETTOKEN, FaultKind::Errcode(60020)));
    let kinds = [Kind::JsapiTicket, Kind::AgentTicket];
    for kind in kinds {
        broker.credential("crm", kind).await.unwrap_err();
    }
    sandbox.clear_faults();
    clock.advance(Duration::from_secs(31));
    broker.refresh_now("crm", Kind::JsapiTicket).await.unwrap();
    assert!(broker.credential("crm", Kind::AgentTicket).await.is_ok());
}

#[tokio::test]
async fn an_exhausted_hour_is_waited_out_and_no_longer() {
    let (sandbox, clock, broker) = work().await;
    sandbox.fault(Fault::once(
        "/cgi-bin/get_jsapi_ticket",
        FaultKind::Errcode(45009),
    ));
    let error = broker.js_config("crm", &page()).await.unwrap_err();
    assert_eq!(
        (error.code(), error.retry_after().unwrap().as_secs()),
        ("upstream_quota", 3_600)
    );
    clock.advance(Duration::from_secs(3_599));
    assert!(broker.js_config("crm", &page()).await.is_err());
    clock.advance(Duration::from_secs(1));
    assert!(broker.js_config("crm", &page()).await.is_ok());
}

#[tokio::test]
async fn a_block_read_from_the_store_ends_at_its_own_end() {
    let clock = Clock::manual(START.plus(Duration::from_secs(3_000)));
    let sandbox = Sandbox::start(clock.clone()).await.unwrap();
    sandbox.add_app(App::work(CORP, 1_000_002, "crm").safe_domain("www.example.com"));
    let account = Account::work(CORP, 1_000_002, "crm")
        .js_safe_domain("www.example.com")
        .unwrap();
    let (store, end) = (Store::memory(), START.plus(Duration::from_secs(3_600)));
    // A client got it at START.
    store
        .set_block(&account.key(Kind::AccessToken).app, GETTOKEN, end, START)
        .await
        .unwrap();
    let builder = Broker::builder()
        .account("crm", account)
        .clock(clock.clone())
        .upstream(impatient(&sandbox));
    let broker = builder.store(store).build().unwrap();
    for kind in [Kind::AccessToken, Kind::JsapiTicket] {
        let error = broker.credential("crm", kind).await.unwrap_err();
        let Error::Upstream {
            retry_at,
            retry_after,
            ..
        } = &error
        else {
            panic!("{error}")
        };
        assert_eq!(
            (error.code(), *retry_at, retry_after.as_secs()),
            ("upstream_quota", end, 600),
            "{kind}"
        );
        assert!(
            error
                .to_string()
                .ends_with("no call before 2026-01-01T01:00:00Z"),
            "{error}"
        );
    }
    assert_eq!(sandbox.calls_total(), 0);
    clock.advance(Duration::from_secs(600));
    assert!(broker.js_config("crm", &page()).await.is_ok());
}

#[tokio::test]
async fn a_token_that_wecom_repeats_after_a_restart_is_no_value_of_the_store() {
    let (sandbox, clock, _) = work().await;
    let store = Store::memory();
    let token = |broker: Broker| async move { broker.refresh_now("crm", Kind::AccessToken).await };
    token(broker(&sandbox, &clock, &store)).await.unwrap();
    clock.advance(Duration::from_secs(7_100));
    let restarted = broker(&sandbox, &clock, &store);
    token(restarted.clone()).await.unwrap();
    assert_eq!(sandbox.calls(GETTOKEN), 2);
    let crm = Find {
        account: Some("crm".to_owned()),
        ..Find::all()
    };
    let history = restarted.snapshot(&crm).accounts[0].credentials[0].history();
    let outcomes: Vec<_> = history.iter().map(|refresh| refresh.outcome).collect();
    assert_eq!(outcomes, [RefreshOutcome::Repeated]);
}

/// WeCom's answer that repeats this token.
fn repeated(token: &Credential, expires_in: u64) -> FaultKind {
    let token = token.value.expose();
    FaultKind::Body(format!(
        r#"{{"errcode":0,"errmsg":"ok","access_token":"{token}","expires_in":{expires_in}}}"#
    ))
}

#[tokio::test]
async fn a_token_that_wecom_repeats_after_its_end_is_served_for_a_moment() {
    for expires_in in [0, 1, 7_200] {
        let (sandbox, clock, broker) = work().await;
        let token = || broker.credential("crm", Kind::AccessToken);
        let old = token().await.unwrap();
        clock.advance(Duration::from_secs(7_200));
        for _ in 0..2 {
            sandbox.fault(Fault::once(GETTOKEN, repeated(&old, expires_in)));
            let calls = sandbox.calls(GETTOKEN);
            for _ in 0..2 {
                assert_eq!(token().await.unwrap().value, old.value, "{expires_in}");
            }
            assert_eq!(sandbox.calls(GETTOKEN), calls + 1, "{expires_in}");
            clock.advance(Duration::from_secs(1));
        }
        assert_ne!(token().await.unwrap().value, old.value, "{expires_in}");
        let snapshot = broker.snapshot(&Find::all());
        let history = snapshot.accounts[0].credentials[0].history();
        assert!(
            history.iter().all(|refresh| !refresh.outcome.is_failure()),
            "{history:?}"
        );
    }
}

#[tokio::test]
async fn a_new_token_of_wecom_without_a_life_is_an_error() {
    let (sandbox, _, broker) = work().await;
    let body = r#"{"errcode":0,"errmsg":"ok","access_token":"t","expires_in":0}"#;
    sandbox.fault(Fault::once(GETTOKEN, FaultKind::Body(body.into())));
    let error = broker.credential("crm", Kind::AccessToken).await;
    assert!(error.unwrap_err().to_string().contains("expires_in is 0"));
}

#[tokio::test]
async fn a_token_that_wecom_repeats_without_end_is_not_served_without_end() {
    let (sandbox, clock, broker) = work().await;
    let old = broker.credential("crm", Kind::AccessToken).await.unwrap();
    clock.advance(Duration::from_secs(7_200));
    sandbox.fault(Fault::always(GETTOKEN, repeated(&old, 0)));
    for _ in 0..2 {
        let again = broker.credential("crm", Kind::AccessToken).await;
        assert_eq!(again.unwrap().value, old.value);
        clock.advance(Duration::from_secs(1));
    }
    let error = broker.credential("crm", Kind::AccessToken).await;
    assert_eq!(error.unwrap_err().code(), "upstream_unavailable");
    sandbox.clear_faults();
    clock.advance(Duration::from_secs(5));
    let new = broker.credential("crm", Kind::AccessToken).await.unwrap();
    assert_ne!(new.value, old.value);
}

#[tokio::test]
async fn calls_to_wechat_and_wecom_by_one_base_url_leave_by_one_way() {
    let clock = Clock::manual(START);
    let sandbox = Sandbox::start(clock.clone()).await.unwrap();
    let builder = Broker::builder()
        .account("crm", Account::work(CORP, 1_000_002, "crm"))
        .account("main", Account::official("wx0123456789abcdef", "main"))
        .clock(clock)
        .upstream(impatient(&sandbox));
    let ways = builder.build().unwrap().egress().ways;
    assert_eq!((ways.len(), ways[0].accounts), (1, 2));
}
