//! Fallback hosts: used only if nothing was sent to the previous hosts.

use std::time::Duration;

use wx_jssdk::account::{Account, Egress, Proxy as Way, TokenMode};
use wx_jssdk::clock::{Clock, UnixTime};
use wx_jssdk::error::Failure;
use wx_jssdk::sandbox::{App, Fault, FaultKind, Host, Proxy, ProxyRule, Sandbox};
use wx_jssdk::upstream::{Upstream, UpstreamOptions};

use crate::upstream::support::*;

struct Two {
    sandbox: Sandbox,
    second: Host,
    clock: Clock,
    upstream: Upstream,
}

impl Two {
    async fn new(egress: Egress) -> Self {
        let clock = Clock::manual(UnixTime(1_700_000_000));
        let sandbox = Sandbox::start(clock.clone()).await.unwrap();
        sandbox.add_app(App::official(APP, SECRET));
        let second = sandbox.second_host().await.unwrap();
        let options = UpstreamOptions {
            weixin: sandbox.url().to_owned(),
            qyapi: sandbox.url().to_owned(),
            fallback: vec![second.url()],
            egress,
            connect_timeout: PATIENT,
            timeout: PATIENT,
        };
        let upstream = Upstream::with_clock(&options, clock.clone()).unwrap();
        Self {
            sandbox,
            second,
            clock,
            upstream,
        }
    }

    async fn token(&self) -> bool {
        let token = self.upstream.token(&account(), false).await;
        token.is_ok()
    }

    /// Number of calls that reached each host.
    fn calls(&self) -> (u64, u64) {
        (self.sandbox.host().calls(), self.second.calls())
    }

    fn in_use(&self) -> (String, bool) {
        let route = self.upstream.route(&account());
        (route.base, route.is_fallback)
    }

    /// Makes the first host unreachable, and lets three calls find that out.
    async fn lose_the_first(&self) {
        self.sandbox.host().set_reachable(false).await.unwrap();
        for _ in 0..3 {
            assert!(self.token().await);
        }
        assert_eq!(self.in_use(), (self.second.url(), true));
    }
}

/// The account with a proxy of its own.
fn through(proxy: &Proxy) -> Account {
    account().egress(Egress::Proxy(Way::parse(&proxy.url()).unwrap()))
}

#[tokio::test]
async fn the_second_host_is_called_only_while_the_first_refuses_connections() {
    let two = Two::new(Egress::Direct).await;
    assert!(two.token().await);
    assert_eq!(two.calls(), (1, 0));
    two.sandbox.host().set_reachable(false).await.unwrap();
    assert!(two.token().await);
    assert_eq!(two.calls(), (1, 1));
    two.sandbox.host().set_reachable(true).await.unwrap();
    assert!(two.token().await);
    assert_eq!(
        two.calls(),
        (2, 1),
        "the first host is used again once it is back"
    );
}

#[tokio::test]
async fn after_three_failures_the_first_host_is_skipped_until_a_probe_succeeds() {
    let two = Two::new(Egress::Direct).await;
    assert_eq!(two.in_use(), (two.sandbox.url().to_owned(), false));
    two.lose_the_first().await;
    assert_eq!(two.upstream.unreachable_hosts(), [two.sandbox.url()]);
    two.sandbox.host().set_reachable(true).await.unwrap();
    assert!(two.token().await);
    assert_eq!(two.calls(), (0, 4), "the circuit is open");
    two.clock.advance(Duration::from_secs(60));
    assert!(two.token().await);
    assert_eq!(two.calls(), (1, 4), "the probe");
    assert!(two.token().await);
    assert_eq!(two.calls(), (2, 4), "healed");
    assert!(two.upstream.unreachable_hosts().is_empty());
}

#[tokio::test]
async fn a_call_that_was_sent_is_not_repeated_on_another_host() {
    let two = Two::new(Egress::Direct).await;
    let classic = account().token_mode(TokenMode::Classic);
    for kind in [FaultKind::LostReply, FaultKind::CutBody] {
        two.sandbox.fault(Fault::once("/cgi-bin/token", kind));
        assert_lost(two.upstream.token(&classic, false).await);
    }
    for kind in [FaultKind::Status(502), FaultKind::NotJson] {
        two.sandbox.fault(Fault::once("/cgi-bin/token", kind));
        let outcome = two.upstream.token(&classic, false).await;
        assert!(outcome.unwrap_err().may_have_been_carried_out());
    }
    two.sandbox
        .fault(Fault::once("/cgi-bin/token", FaultKind::Errcode(-1)));
    assert!(two.upstream.token(&classic, false).await.is_err());
    assert_eq!(two.calls(), (5, 0));
    assert_eq!(
        two.in_use().0,
        two.sandbox.url(),
        "this is not a connection failure"
    );
}

#[tokio::test]
async fn if_no_host_is_reachable_the_first_hosts_failure_is_reported() {
    let two = Two::new(Egress::Direct).await;
    two.sandbox.host().set_reachable(false).await.unwrap();
    two.second.set_reachable(false).await.unwrap();
    for _ in 0..5 {
        assert_unreachable(two.upstream.token(&account(), false).await);
    }
    assert_eq!(two.calls(), (0, 0));
    two.second.set_reachable(true).await.unwrap();
    assert!(two.token().await, "open circuits never block every host");
}

#[tokio::test]
async fn wecom_has_no_fallback() {
    let two = Two::new(Egress::Direct).await;
    two.sandbox.host().set_reachable(false).await.unwrap();
    let work = Account::work("ww0123456789abcdef", 1, SECRET);
    assert!(two.upstream.token(&work, false).await.is_err());
    assert_eq!(two.calls(), (0, 0));
}

#[tokio::test]
async fn a_host_behind_a_proxy_is_replaced_only_if_the_proxy_cannot_reach_it() {
    let two = Two::new(Egress::Direct).await;
    let proxy = two.sandbox.socks5_proxy(None).await.unwrap();
    let by_proxy = through(&proxy);
    two.sandbox.host().set_reachable(false).await.unwrap();
    two.upstream.token(&by_proxy, false).await.unwrap();
    assert_eq!((two.calls(), proxy.connections()), ((0, 1), 2));
    two.sandbox.host().set_reachable(true).await.unwrap();
    proxy.set_rule(ProxyRule::Deny);
    for _ in 0..4 {
        let error = two.upstream.token(&by_proxy, false).await.unwrap_err();
        assert!(matches!(error.failure, Failure::Proxy { .. }), "{error}");
    }
    assert_eq!(proxy.connections(), 6, "one connection each");
    assert_eq!(two.in_use().0, two.sandbox.url());
    assert!(two.token().await);
    assert_eq!(two.calls(), (1, 1));
}

#[tokio::test]
async fn an_accounts_own_proxy_leaves_no_host_out_for_others() {
    let two = Two::new(Egress::Direct).await;
    let proxy = two.sandbox.socks5_proxy(None).await.unwrap();
    proxy.set_rule(ProxyRule::Fail);
    let by_proxy = through(&proxy);
    for _ in 0..4 {
        assert!(two.upstream.token(&by_proxy, false).await.is_err());
    }
    assert_eq!(two.in_use(), (two.sandbox.url().to_owned(), false));
    assert!(two.upstream.unreachable_hosts().is_empty());
    assert!(two.token().await);
    assert_eq!(two.calls(), (1, 0));
}

#[tokio::test]
async fn a_call_through_an_accounts_own_proxy_is_no_probe_for_the_others() {
    let two = Two::new(Egress::Direct).await;
    let proxy = two.sandbox.socks5_proxy(None).await.unwrap();
    two.lose_the_first().await;
    proxy.set_rule(ProxyRule::Fail);
    two.sandbox.host().set_reachable(true).await.unwrap();
    two.clock.advance(Duration::from_secs(60));
    let failed = two.upstream.token(&through(&proxy), false).await;
    assert!(failed.is_err());
    assert!(two.token().await);
    assert_eq!(two.calls(), (1, 3), "the probe was left to the others");
}

#[tokio::test]
async fn an_answer_through_an_accounts_own_proxy_puts_no_host_into_use_for_others() {
    let two = Two::new(Egress::Direct).await;
    let proxy = two.sandbox.socks5_proxy(None).await.unwrap();
    two.lose_the_first().await;
    // For the proxy the first host is back, at once and not a minute later.
    two.sandbox.host().set_reachable(true).await.unwrap();
    let by_proxy = through(&proxy);
    two.upstream.token(&by_proxy, false).await.unwrap();
    assert_eq!(two.calls(), (1, 3));
    assert_eq!(two.upstream.route(&by_proxy).base, two.sandbox.url());
    assert!(two.token().await);
    assert_eq!(two.calls(), (1, 4), "still left out for the others");
}
