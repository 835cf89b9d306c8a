//! Cold reads, shared reads, and refusals before any call.

use std::sync::Arc;

use wx_jssdk::account::TokenMode;
use wx_jssdk::broker::BuildError;
use wx_jssdk::sandbox::Sandbox;
use wx_jssdk::{Account, Broker, Clock, Error, Kind, PageUrl, UpstreamOptions};

use crate::common::http::BOUND;
use crate::common::upstream::{impatient, verdict};
use crate::common::wait::called;
use crate::world::{APP, SECRET, STABLE, START, TICKET, World, account, app, page};

#[tokio::test]
async fn building_a_broker_makes_no_upstream_call() {
    let world = World::stable().await;
    assert_eq!(world.sandbox.calls_total(), 0);
}

#[tokio::test]
async fn a_cold_read_fetches_a_token_then_a_ticket() {
    let world = World::stable().await;
    let ticket = world.ticket().await.unwrap();
    assert_eq!(
        Some(ticket.value.expose()),
        world.sandbox.ticket(APP, "jsapi").as_deref()
    );
    assert_eq!((ticket.issued_at, ticket.life().as_secs()), (START, 7_200));
    assert_eq!(
        (
            world.calls(STABLE),
            world.calls(TICKET),
            world.sandbox.calls_total()
        ),
        (1, 1, 2)
    );
}

#[tokio::test]
async fn a_second_read_makes_no_upstream_call() {
    let world = World::stable().await;
    let first = world.ticket().await.unwrap();
    let second = world.ticket().await.unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(world.sandbox.calls_total(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_cold_readers_cause_one_token_and_one_ticket_call() {
    let world = World::stable().await;
    let gate = world.sandbox.hold(STABLE);
    let readers: Vec<_> = (0..1_000)
        .map(|_| {
            let broker = world.broker.clone();
            tokio::spawn(async move { broker.js_config("main", &page()).await })
        })
        .collect();
    called(&world.sandbox, STABLE, 1).await;
    gate.release();
    for reader in readers {
        assert_eq!(reader.await.unwrap().unwrap().app_id, APP);
    }
    assert_eq!((world.calls(STABLE), world.calls(TICKET)), (1, 1));
}

#[tokio::test]
async fn readers_of_a_failing_credential_share_one_failure() {
    // google-cloud-rust: no initial token thundering herd, failure shares error.
    let world = World::stable().await;
    world.fault(STABLE, wx_jssdk::sandbox::FaultKind::Errcode(-1));
    let gate = world.sandbox.hold(STABLE);
    let readers: Vec<_> = (0..100)
        .map(|_| {
            let broker = world.broker.clone();
            tokio::spawn(async move { broker.credential("main", Kind::AccessToken).await })
        })
        .collect();
    called(&world.sandbox, STABLE, 1).await;
    gate.release();
    for reader in readers {
        assert_eq!(
            reader.await.unwrap().unwrap_err().code(),
            "upstream_unavailable"
        );
    }
    assert_eq!(world.calls(STABLE), 1);
}

#[tokio::test]
async fn a_cancelled_caller_does_not_abort_the_refresh() {
    let world = World::stable().await;
    let gate = world.sandbox.hold(STABLE);
    let broker = world.broker.clone();
    let impatient = tokio::spawn(async move { broker.credential("main", Kind::JsapiTicket).await });
    called(&world.sandbox, STABLE, 1).await;
    impatient.abort();
    assert!(impatient.await.unwrap_err().is_cancelled());
    gate.release();
    world.ticket().await.unwrap();
    assert_eq!(
        (world.calls(STABLE), world.calls(TICKET)),
        (1, 1),
        "the refresh that it had begun continued"
    );
}

#[tokio::test]
async fn a_reader_of_a_valid_value_does_not_wait_for_a_running_refresh() {
    let world = World::stable().await;
    let old = world.ticket().await.unwrap();
    world.advance(7_200 - 100);
    let gate = world.sandbox.hold(STABLE);
    let broker = world.broker.clone();
    let keeper = tokio::spawn(async move { broker.tend().await });
    called(&world.sandbox, STABLE, 2).await;
    // The call is held at the gate; this read would hang too if it needed more than memory.
    assert_eq!(world.ticket().await.unwrap().value, old.value);
    assert!(world.token().await.is_ok());
    gate.release();
    assert!(keeper.await.unwrap().iter().all(Result::is_ok));
}

#[tokio::test]
async fn a_page_signed_by_the_broker_is_accepted_by_the_client() {
    let world = World::stable().await;
    let config = world.broker.js_config("main", &page()).await.unwrap();
    let page = "https://www.example.com/page?a=1#another-route";
    let verdict = verdict(&world.sandbox, &config, page);
    assert!(verdict.is_ok(), "{verdict:?}");
    assert_eq!(config.timestamp, START);
    assert!(!config.beta && !config.debug);
}

#[tokio::test]
async fn a_page_on_a_foreign_domain_is_not_signed_and_costs_no_call() {
    let world = World::stable().await;
    let page = PageUrl::parse("https://example.com.evil.com/").unwrap();
    let error = world.broker.js_config("main", &page).await.unwrap_err();
    assert!(
        matches!(&error, Error::PageNotAllowed { host, .. } if host == "example.com.evil.com"),
        "{error}"
    );
    assert_eq!(world.sandbox.calls_total(), 0);
}

#[tokio::test]
async fn a_mini_program_has_no_ticket_and_no_call_is_made_to_find_out() {
    let world = World::stable().await;
    let broker = Broker::builder()
        .account("mini", Account::mini(APP, SECRET))
        .upstream(impatient(&world.sandbox))
        .clock(world.clock.clone())
        .build()
        .unwrap();
    for kind in [Kind::JsapiTicket, Kind::CardTicket, Kind::AgentTicket] {
        let error = broker.credential("mini", kind).await.unwrap_err();
        assert_eq!(error.code(), "unsupported_credential");
        assert!(
            error.to_string().contains("mini") && error.to_string().contains(kind.as_str()),
            "{error}"
        );
    }
    let error = broker.js_config("mini", &page()).await.unwrap_err();
    assert_eq!(error.code(), "unsupported_credential");
    assert_eq!(world.sandbox.calls_total(), 0);
}

#[tokio::test]
async fn the_only_account_is_the_default_one() {
    let world = World::stable().await;
    assert_eq!(
        world.broker.js_config("", &page()).await.unwrap().app_id,
        APP
    );
    assert_eq!(
        world
            .broker
            .js_config("other", &page())
            .await
            .unwrap_err()
            .code(),
        "unknown_account"
    );
}

#[tokio::test]
async fn with_several_accounts_the_default_must_be_named() {
    let world = World::stable().await;
    let second = Account::official("wx2222222222222222", "s")
        .js_safe_domain("two.example")
        .unwrap();
    let two = || {
        Broker::builder()
            .account("main", account(TokenMode::Stable))
            .account("two", second.clone())
    };
    assert_eq!(
        two()
            .build()
            .unwrap()
            .accounts()
            .get("")
            .unwrap_err()
            .code(),
        "account_required"
    );
    let broker = two()
        .default_account("two")
        .upstream(impatient(&world.sandbox))
        .build()
        .unwrap();
    assert_eq!(
        broker.accounts().get("").unwrap().1.app_id(),
        "wx2222222222222222"
    );
    assert!(
        matches!(two().default_account("three").build(), Err(BuildError::NoSuchDefault(name)) if name == "three")
    );
}

#[tokio::test]
async fn an_account_without_a_domain_keeps_its_token_and_fetches_a_ticket_when_asked() {
    let world = World::stable().await;
    let tokens_only = || vec![("main".into(), Account::official(APP, SECRET))];
    let signing = || vec![("main".into(), account(TokenMode::Stable))];
    world.broker.reload(tokens_only(), None).unwrap();
    world.broker.tend().await;
    assert_eq!((world.calls(STABLE), world.calls(TICKET)), (1, 0));
    assert!(!world.broker.accounts().get("main").unwrap().1.signs_pages());
    world.broker.reload(signing(), None).unwrap();
    world.broker.tend().await;
    assert_eq!((world.calls(STABLE), world.calls(TICKET)), (1, 1));
    world.broker.reload(tokens_only(), None).unwrap();
    world.advance(7_000);
    world.broker.tend().await;
    assert_eq!((world.calls(STABLE), world.calls(TICKET)), (2, 1));
    assert!(matches!(
        world.broker.js_config("main", &page()).await,
        Err(Error::PageNotAllowed { .. })
    ));
    assert!(world.ticket().await.is_ok());
}

#[tokio::test]
async fn the_default_is_the_only_account_that_signs_pages() {
    let mini = |id: &str| Account::mini(id, "s");
    let broker = Broker::builder()
        .account("main", account(TokenMode::Stable))
        .account("mini", mini("wx2222222222222222"))
        .account("mini2", mini("wx3333333333333333"))
        .build()
        .unwrap();
    assert_eq!(broker.accounts().get("").unwrap().1.app_id(), APP);
    let alone = Broker::builder().account("mini", mini("wx2222222222222222"));
    assert_eq!(
        alone
            .build()
            .unwrap()
            .accounts()
            .get("")
            .unwrap()
            .1
            .app_id(),
        "wx2222222222222222",
        "the only account is the default, whatever its name"
    );
}

#[tokio::test]
async fn an_appid_belongs_to_one_account_whatever_its_platform() {
    let accounts = || {
        [
            ("shop".to_owned(), account(TokenMode::Classic)),
            ("applet".to_owned(), Account::mini(APP, "s")),
        ]
    };
    let build = accounts()
        .into_iter()
        .fold(Broker::builder(), |builder, (name, account)| {
            builder.account(name, account)
        });
    let error = build.build().unwrap_err().to_string();
    for part in ["\"shop\"", "\"applet\"", APP] {
        assert!(error.contains(part), "{error}");
    }
    let world = World::classic().await;
    let error = world.broker.reload(accounts().into(), None).unwrap_err();
    assert!(error.to_string().contains("\"applet\""), "{error}");
    assert_eq!(
        world.broker.accounts().iter().count(),
        1,
        "nothing has changed"
    );
    // The platform of an AppID may change: there is one account of it before and after.
    let mini = vec![("applet".to_owned(), Account::mini(APP, "s"))];
    world.broker.reload(mini, None).unwrap();
}

#[tokio::test]
async fn two_accounts_of_one_app_are_refused() {
    let build = Broker::builder()
        .account("a", account(TokenMode::Stable))
        .account("b", account(TokenMode::Classic))
        .build();
    let error = build.unwrap_err().to_string();
    assert!(
        error.contains("\"a\"") && error.contains("\"b\"") && error.contains(APP),
        "{error}"
    );
    let build = Broker::builder()
        .account("a", Account::work("ww", 1, "s"))
        .account("b", Account::work("ww", 2, "s"))
        .build();
    assert!(build.is_ok(), "two apps of one corp are two accounts");
}

#[tokio::test]
async fn two_accounts_of_one_name_are_refused() {
    let build = Broker::builder()
        .account("a", Account::mini("wx1", "s"))
        .account("a", Account::mini("wx2", "s"))
        .build();
    assert!(matches!(build, Err(BuildError::SameName(name)) if name == "a"));
}

#[test]
fn a_broker_built_outside_a_runtime_says_so() {
    let build = Broker::builder()
        .account("main", account(TokenMode::Stable))
        .build();
    assert!(build.unwrap_err().to_string().contains("runtime"));
}

#[tokio::test]
async fn two_apps_of_one_sandbox_never_see_each_others_values() {
    // Two Go centers shared one response struct: app A stored with B's token under load.
    let clock = Clock::manual(START);
    let sandbox = Sandbox::start(clock.clone()).await.unwrap();
    // On a busy machine so many calls at once take seconds.
    let patient = UpstreamOptions {
        connect_timeout: BOUND,
        timeout: BOUND,
        ..UpstreamOptions::at(sandbox.url())
    };
    let mut builder = Broker::builder().clock(clock).upstream(patient);
    let ids: Vec<_> = (0..40).map(|i| format!("wx{i:016x}")).collect();
    for id in &ids {
        sandbox.add_app(wx_jssdk::sandbox::App::official(id, SECRET).safe_domain("example.com"));
        builder = builder.account(id, Account::official(id.as_str(), SECRET));
    }
    let broker = builder.build().unwrap();
    let reads: Vec<_> = (0..5)
        .flat_map(|_| ids.clone())
        .map(|id| {
            let broker = broker.clone();
            tokio::spawn(async move {
                let credentials = tokio::join!(
                    broker.credential(&id, Kind::AccessToken),
                    broker.credential(&id, Kind::JsapiTicket),
                    broker.credential(&id, Kind::CardTicket)
                );
                (id, credentials)
            })
        })
        .collect();
    for read in reads {
        let (id, (token, jsapi, card)) = read.await.unwrap();
        assert!(sandbox.accepts_token(&id, token.unwrap().value.expose()));
        assert!(sandbox.accepts_ticket(&id, "jsapi", jsapi.unwrap().value.expose()));
        assert!(sandbox.accepts_ticket(&id, "wx_card", card.unwrap().value.expose()));
    }
    assert_eq!((sandbox.calls(STABLE), sandbox.calls(TICKET)), (40, 80));
}

#[tokio::test]
async fn a_restart_with_the_same_store_makes_no_upstream_call() {
    let world = World::stable().await;
    let ticket = world.ticket().await.unwrap();
    world.advance(3_000);
    let restarted = world.another(TokenMode::Stable);
    assert_eq!(
        restarted
            .credential("main", Kind::JsapiTicket)
            .await
            .unwrap()
            .value,
        ticket.value
    );
    assert!(
        restarted
            .credential("main", Kind::AccessToken)
            .await
            .is_ok()
    );
    assert_eq!(world.sandbox.calls_total(), 2);
}

#[tokio::test]
async fn an_account_that_is_removed_and_added_again_keeps_what_it_had() {
    let world = World::stable().await;
    world.broker.tend().await;
    let card = || world.broker.credential("main", Kind::CardTicket);
    let first = card().await.unwrap();
    let known = || world.status().credentials.into_iter();
    let known = || known().map(|one| (one.kind, one.issued_at, one.expires_at, one.next_refresh));
    let before: Vec<_> = known().collect();
    assert_eq!(before.len(), 3);
    world.broker.reload(Vec::new(), None).unwrap();
    world.advance(600);
    let again = vec![("again".into(), account(TokenMode::Stable))];
    world.broker.reload(again, None).unwrap();
    assert_eq!(known().collect::<Vec<_>>(), before);
    let calls = world.sandbox.calls_total();
    let same = world.broker.refresh_now("again", Kind::CardTicket).await;
    let same = same.unwrap();
    assert_eq!((&same.credential.value, same.is_new), (&first.value, false));
    assert_eq!(world.sandbox.calls_total(), calls + 1);
    // The keeper refreshes all three, the card ticket too.
    world.advance(6_500);
    assert_eq!(world.broker.tend().await.len(), 3);
}

#[tokio::test]
async fn a_store_never_replaces_a_newer_value_in_memory_by_an_older_one() {
    let world = World::stable().await;
    let old = world.token().await.unwrap();
    let other = world.another(TokenMode::Stable);
    world.advance(7_100);
    let new = other.credential("main", Kind::AccessToken).await.unwrap();
    assert_eq!(new.value, old.value, "still valid, so not refreshed");
    other.tend().await;
    let new = other.credential("main", Kind::AccessToken).await.unwrap();
    assert_ne!(new.value, old.value);
    assert!(new.generation > old.generation);
    // The first process finds the newer one in the store instead of calling.
    let calls = world.calls(STABLE);
    world.broker.tend().await;
    assert_eq!(world.token().await.unwrap().value, new.value);
    assert_eq!(world.calls(STABLE), calls);
}

#[tokio::test]
async fn no_call_is_made_for_a_kind_that_no_caller_requested() {
    let world = World::stable().await;
    world.broker.tend().await;
    assert_eq!(
        world.calls(TICKET),
        1,
        "the jsapi ticket; a card ticket is kept after its first request"
    );
    world
        .broker
        .credential("main", Kind::CardTicket)
        .await
        .unwrap();
    world.advance(7_100);
    world.broker.tend().await;
    assert_eq!(world.calls(TICKET), 4, "now both are refreshed");
}

#[tokio::test]
async fn a_broker_prints_no_secret() {
    let world = World::new(TokenMode::Stable, app()).await;
    let ticket = world.ticket().await.unwrap();
    let text = format!(
        "{:?} {:?} {:?}",
        world.broker,
        world
            .broker
            .snapshot(&wx_jssdk::broker::Find::all())
            .accounts,
        ticket
    );
    assert!(
        !text.contains(SECRET) && !text.contains(ticket.value.expose()),
        "{text}"
    );
}
