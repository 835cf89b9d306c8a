//! Calls through a proxy: the route they take, and how the proxy's failures are reported.

use std::io::Write as _;
use std::net::TcpListener;
use std::time::Duration;

use wx_jssdk::account::{Account, Egress, Proxy as Way};
use wx_jssdk::credential::Secret;
use wx_jssdk::error::{Class, Failure, ProxyProblem, UpstreamError};
use wx_jssdk::sandbox::{App, Proxy, ProxyRule, Sandbox};
use wx_jssdk::upstream::{Issued, Upstream, UpstreamOptions, Via};

use crate::common::process::{again, passes};
use crate::common::tls::TlsCertificate;
use crate::upstream::silence::untrusted_server;
use crate::upstream::support::*;

const USER: &str = "gateway%41";
const PASSWORD: &str = "p@ss:/wörd%41 ";

fn through(proxy: &str) -> Egress {
    let proxy = Way::parse(proxy).unwrap();
    Egress::Proxy(proxy.credentials(USER, Secret::new(PASSWORD)))
}

fn upstream_by(base: &str, egress: Egress, timeout: Duration) -> Upstream {
    Upstream::new(&UpstreamOptions {
        egress,
        connect_timeout: timeout,
        timeout: timeout + PATIENT,
        ..UpstreamOptions::at(base)
    })
    .unwrap()
}

async fn proxies(sandbox: &Sandbox) -> [Proxy; 2] {
    let credentials = Some((USER, PASSWORD));
    [
        sandbox.http_proxy(credentials).await.unwrap(),
        sandbox.socks5_proxy(credentials).await.unwrap(),
    ]
}

/// The same sandbox by plain HTTP, which an HTTP proxy forwards, and by TLS, for which it opens a tunnel.
fn bases(sandbox: &Sandbox) -> [String; 2] {
    [
        sandbox.url().to_owned(),
        sandbox.url().replace("http:", "https:"),
    ]
}

#[track_caller]
fn assert_proxys(
    outcome: Result<Issued, UpstreamError>,
    problem: ProxyProblem,
    proxy: &Proxy,
) -> UpstreamError {
    let error = outcome.expect_err("a failure");
    let Failure::Proxy {
        problem: found,
        said,
    } = &error.failure
    else {
        panic!("{error:?}");
    };
    assert_eq!(*found, problem, "{error}");
    assert!(said.contains(&proxy.addr().to_string()), "{said}");
    assert!(!error.may_have_been_carried_out(), "{error}");
    let texts = [error.cause(), error.fix()];
    for text in &texts {
        assert!(text.en.to_lowercase().contains("prox"), "{text:?}");
        assert!(text.zh.contains("代理"), "{text:?}");
        assert!(!text.en.contains("127.0.0.1"), "{text:?}");
    }
    let printed = format!("{error} {error:?} {texts:?}");
    for secret in [SECRET, APP, "grant_type", "p@ss", USER, "Z2F0ZXdheSU0MT"] {
        assert!(!printed.contains(secret), "{secret}: {printed}");
    }
    error
}

#[tokio::test]
async fn wechat_sees_and_names_the_address_of_the_proxy() {
    let sandbox = sandbox().await;
    sandbox.add_app(App::official(APP, SECRET).allow_ips(["203.0.113.7"]));
    for proxy in proxies(&sandbox).await {
        let upstream = upstream_by(sandbox.url(), through(&proxy.url()), PATIENT);
        proxy.set_egress("203.0.113.7".parse().unwrap());
        upstream.token(&account(), false).await.unwrap();
        proxy.set_egress("203.0.113.8".parse().unwrap());
        let error = upstream.token(&account(), false).await.unwrap_err();
        assert_eq!(error.errcode(), Some(40164), "{error}");
        assert_eq!(error.seen_ip(), Some("203.0.113.8"));
        assert_eq!(proxy.connections(), 2);
        assert_eq!(
            upstream.route(&account()).via,
            Via::Proxy(proxy.url()),
            "without credentials"
        );
    }
    let direct = upstream_by(sandbox.url(), Egress::Direct, PATIENT);
    let error = direct.token(&account(), false).await.unwrap_err();
    assert_eq!(error.seen_ip(), Some("127.0.0.1"));
    assert_eq!(direct.route(&account()).via, Via::Direct);
}

#[tokio::test]
async fn an_account_may_have_its_own_proxy() {
    let sandbox = sandbox().await;
    let [http, socks] = proxies(&sandbox).await;
    let upstream = upstream_by(sandbox.url(), through(&http.url()), PATIENT);
    let counts = || (http.connections(), socks.connections());
    upstream.token(&account(), false).await.unwrap();
    assert_eq!(counts(), (1, 0));
    let by_socks = account().egress(through(&socks.url()));
    upstream.token(&by_socks, false).await.unwrap();
    assert_eq!(counts(), (1, 1));
    let direct = account().egress(Egress::Direct);
    upstream.token(&direct, false).await.unwrap();
    assert_eq!(counts(), (1, 1));
    assert_eq!(sandbox.calls(STABLE), 3);
}

#[tokio::test]
async fn socks5_resolves_names_here_and_socks5h_at_the_proxy() {
    let sandbox = sandbox().await;
    let socks = sandbox.socks5_proxy(Some((USER, PASSWORD))).await.unwrap();
    let port = sandbox.addr().port();
    let url = socks.url();
    let there = through(&url.replace("socks5:", "socks5h:"));
    let upstream = upstream_by(&format!("http://api.wechat.test:{port}"), there, PATIENT);
    upstream.token(&account(), false).await.unwrap();
    assert_eq!(socks.targets(), [format!("api.wechat.test:{port}")]);
    let upstream = upstream_by(&format!("http://localhost:{port}"), through(&url), PATIENT);
    upstream.token(&account(), false).await.unwrap();
    assert_eq!(socks.targets()[1], format!("127.0.0.1:{port}"));
    let upstream = upstream_by("http://nowhere.invalid:1", through(&url), PATIENT);
    let error = upstream.token(&account(), false).await.unwrap_err();
    assert!(
        matches!(error.failure, Failure::Unreachable(_)),
        "this machine's DNS, not the proxy: {error:?}"
    );
}

#[tokio::test]
async fn a_wrong_password_is_attributed_to_the_proxy() {
    let sandbox = sandbox().await;
    for proxy in proxies(&sandbox).await {
        for base in bases(&sandbox) {
            let way = Way::parse(&proxy.url()).unwrap();
            let wrong = way.clone().credentials(USER, Secret::new("p@ssword"));
            for way in [way, wrong] {
                let upstream = upstream_by(&base, Egress::Proxy(way), PATIENT);
                let outcome = upstream.token(&account(), false).await;
                let error = assert_proxys(outcome, ProxyProblem::Password, &proxy);
                assert_eq!(error.class(), Class::Setup);
            }
        }
    }
    assert_eq!(sandbox.calls_total(), 0);
}

#[tokio::test]
async fn a_proxys_refusals_and_failures_are_attributed_to_it() {
    let sandbox = sandbox().await;
    for proxy in proxies(&sandbox).await {
        for (rule, problem, class) in [
            (ProxyRule::Deny, ProxyProblem::Rules, Class::Setup),
            (ProxyRule::Fail, ProxyProblem::NoRoute, Class::Transient),
        ] {
            proxy.set_rule(rule);
            for base in bases(&sandbox) {
                let is_forwarded = base.starts_with("http:") && proxy.url().starts_with("http:");
                if is_forwarded && rule == ProxyRule::Fail {
                    continue; // a 502 may come from a gateway behind it
                }
                let upstream = upstream_by(&base, through(&proxy.url()), PATIENT);
                let outcome = upstream.token(&account(), false).await;
                let error = assert_proxys(outcome, problem, &proxy);
                assert_eq!(error.class(), class, "{base}");
            }
        }
    }
    assert_eq!(sandbox.calls_total(), 0);
}

#[tokio::test]
async fn a_proxy_that_does_not_answer_is_named_and_the_call_is_unsent() {
    let sandbox = sandbox().await;
    let tunnelled = sandbox.url().replace("http:", "https:");
    for proxy in proxies(&sandbox).await {
        proxy.set_rule(ProxyRule::Hang);
        let upstream = upstream_by(&tunnelled, through(&proxy.url()), BRIEF);
        let outcome = upstream.token(&account(), false).await;
        let error = assert_proxys(outcome, ProxyProblem::TimedOut, &proxy);
        assert_eq!(error.class(), Class::Transient);
    }
}

#[tokio::test]
async fn a_proxy_that_refuses_connections_is_unreachable_and_not_wechat() {
    let sandbox = sandbox().await;
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for scheme in ["http", "socks5", "socks5h"] {
        for base in bases(&sandbox) {
            let way = through(&format!("{scheme}://{free}"));
            let error = upstream_by(&base, way, PATIENT)
                .token(&account(), false)
                .await;
            let error = error.unwrap_err();
            let Failure::Proxy { problem, said } = &error.failure else {
                panic!("{error:?}");
            };
            assert_eq!(
                *problem,
                ProxyProblem::Unreachable,
                "{scheme} {base} {error}"
            );
            assert!(said.contains(&free.to_string()), "{said}");
            assert_eq!(error.class(), Class::Transient);
        }
    }
    assert_eq!(sandbox.calls_total(), 0);
}

#[tokio::test]
async fn a_server_that_is_not_a_proxy_is_reported_as_a_proxy_fault() {
    let sandbox = sandbox().await;
    let tunnelled = sandbox.url().replace("http:", "https:");
    // An HTTP proxy is asked once more for its status.
    for (scheme, connections) in [("http", 2), ("socks5", 1)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let greeting = std::thread::spawn(move || {
            let greeted = listener.incoming().take(connections).map(|stream| {
                let mut stream = stream.unwrap();
                stream.write_all(b"220 smtp.example.com ESMTP\r\n").unwrap();
                stream
            });
            greeted.collect::<Vec<_>>()
        });
        let way = through(&format!("{scheme}://{address}"));
        let upstream = upstream_by(&tunnelled, way, PATIENT);
        let error = upstream.token(&account(), false).await.unwrap_err();
        let Failure::Proxy { problem: found, .. } = &error.failure else {
            panic!("{error:?}");
        };
        assert_eq!(*found, ProxyProblem::Unreachable, "{error}");
        drop(greeting.join().unwrap());
    }
}

#[tokio::test]
async fn a_proxy_that_intercepts_tls_is_reported_with_how_to_trust_it() {
    let sandbox = sandbox().await;
    for proxy in proxies(&sandbox).await {
        let (base, serving) = untrusted_server();
        let upstream = upstream_by(&base, through(&proxy.url()), PATIENT);
        let outcome = upstream.token(&account(), false).await;
        serving.join().unwrap();
        let error = assert_proxys(outcome, ProxyProblem::Untrusted, &proxy);
        assert!(error.fix().en.contains("SSL_CERT_FILE"), "{error:?}");
    }
    // The connection to the proxy itself.
    let (base, serving) = untrusted_server();
    let upstream = upstream_by("https://api.weixin.test", through(&base), PATIENT);
    let error = upstream.token(&account(), false).await.unwrap_err();
    serving.join().unwrap();
    let Failure::Proxy { problem, .. } = &error.failure else {
        panic!("{error:?}");
    };
    assert_eq!(*problem, ProxyProblem::Untrusted, "{error}");
}

#[test]
fn no_debug_output_holds_the_credentials() {
    let account = Account::official(APP, SECRET).egress(through("http://127.0.0.1:9"));
    let options = UpstreamOptions {
        egress: through("socks5://127.0.0.1:9"),
        ..UpstreamOptions::default()
    };
    let upstream = Upstream::new(&options).unwrap();
    let printed = format!(
        "{account:?} {options:?} {upstream:?} {:?}",
        upstream.route(&account)
    );
    for secret in ["p@ss", "p%40ss", USER, "gateway"] {
        assert!(!printed.contains(secret), "{secret}: {printed}");
    }
}

#[tokio::test]
async fn https_calls_pass_every_kind_of_proxy_when_its_root_is_trusted() {
    let sandbox = sandbox().await;
    let [http, socks] = proxies(&sandbox).await;
    let certificate = TlsCertificate::new();
    let wechat = certificate.in_front_of(sandbox.addr());
    let https = certificate.in_front_of(http.addr());
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("roots.pem");
    std::fs::write(&file, certificate.pem()).unwrap();
    for proxy in [
        http.url(),
        socks.url(),
        socks.url().replace("socks5:", "socks5h:"),
        format!("https://{https}"),
    ] {
        let calls = sandbox.calls(STABLE);
        // In its own process, because the environment names the trusted certificates.
        let file = file.clone();
        let passed = tokio::task::spawn_blocking(move || {
            passes(
                again(one_https_call_by_the_proxy_of_the_environment)
                    .env("SSL_CERT_FILE", &file)
                    .env("TEST_WECHAT", format!("https://{wechat}"))
                    .env("TEST_PROXY", proxy),
            );
        });
        passed.await.unwrap();
        assert_eq!(sandbox.calls(STABLE), calls + 1);
    }
    assert_eq!((http.connections(), socks.connections()), (2, 2));
}

#[tokio::test]
#[ignore = "run with certificates in its environment by the test above"]
async fn one_https_call_by_the_proxy_of_the_environment() {
    let [wechat, proxy] = ["TEST_WECHAT", "TEST_PROXY"].map(|name| std::env::var(name).unwrap());
    let upstream = upstream_by(&wechat, through(&proxy), PATIENT);
    upstream.token(&account(), false).await.unwrap();
}
