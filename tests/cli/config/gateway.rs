//! `calls` and `token` of an API key, `[gateway]`, and an upstream that is this server.

use wx_jssdk::actix::{KeyHash, TokenStyle};

use super::support::*;

fn with_key(lines: &str) -> String {
    let hash = KeyHash::of("wxk_x");
    format!("[[server.api_keys]]\nname = \"crm\"\nsha256 = \"{hash}\"\n{lines}\n{MAIN}")
}

#[test]
fn by_default_a_key_makes_no_calls_and_gets_real_tokens() {
    let keys = |lines: &str| {
        let settings = good(&with_key(lines));
        let key = settings.server.api_keys.find("wxk_x").unwrap().clone();
        (key.calls.clone(), key.token)
    };
    assert_eq!(keys(""), (vec![], TokenStyle::Real));
    assert_eq!(
        keys("calls = []\ntoken = \"real\""),
        (vec![], TokenStyle::Real)
    );
    let calls = ["/cgi-bin/message/", "POST /wxa/"].map(|text| text.parse().unwrap());
    assert_eq!(
        keys("calls = [\"/cgi-bin/message\", \"POST /wxa/\"]\ntoken = \"virtual\""),
        (calls.to_vec(), TokenStyle::Virtual)
    );
}

#[test]
fn invalid_call_paths_are_named() {
    for bad in [
        "wxa",
        "/wxa/../cgi-bin/",
        "PUT /wxa/",
        "/wxa/*",
        "https://api.weixin.qq.com/wxa/",
        "",
    ] {
        let text = with_key(&format!("calls = [\"/wxa/\", \"{bad}\"]"));
        let what = only("server.api_keys[0].calls", read(&text));
        assert!(what.contains("/cgi-bin/message/"), "{what}");
    }
    let what = only(
        "server.api_keys[0].token",
        read(&with_key("token = \"fake\"")),
    );
    assert!(what.contains("real, virtual"), "{what}");
    let what = only(
        "server.api_keys[0].call",
        read(&with_key("call = [\"/wxa/\"]")),
    );
    assert!(what.contains("calls"), "{what}");
}

#[test]
fn the_gateways_limits_are_range_checked() {
    let gateway = good("").gateway;
    assert_eq!(
        (gateway.replay_limit, gateway.body_limit),
        (1 << 20, 25 << 20)
    );
    for (name, value) in [
        ("replay_limit", "99999999"),
        ("body_limit", "0"),
        ("connect_timeout_ms", "0"),
        ("timeout_ms", "0"),
        ("calls_at_once", "0"),
        ("calls_per_second", "-1"),
    ] {
        only(
            &format!("gateway.{name}"),
            read(&format!("[gateway]\n{name} = {value}\n")),
        );
    }
}

#[test]
fn an_upstream_that_is_this_server_is_refused() {
    for (listen, upstream) in [
        ("127.0.0.1:8081", "http://127.0.0.1:8081"),
        ("127.0.0.1:8081", "http://localhost:8081/"),
        ("0.0.0.0:8081", "http://127.0.0.1:8081"),
        ("[::1]:8081", "http://[::1]:8081"),
    ] {
        let text = format!(
            "[server]\nadmin_listen = \"{listen}\"\n[upstream]\nqyapi = \"{upstream}\"\n{MAIN}"
        );
        let what = only("upstream.qyapi", read(&text));
        assert!(what.contains("this server itself"), "{what}");
    }
    // Another machine, as in a chain of two.
    for (listen, upstream) in [
        ("127.0.0.1:8081", "http://127.0.0.1:8082"),
        ("0.0.0.0:8081", "http://10.0.0.5:8081"),
    ] {
        good(&format!(
            "[server]\nadmin_listen = \"{listen}\"\n[upstream]\nweixin = \"{upstream}\"\n{MAIN}"
        ));
    }
}
