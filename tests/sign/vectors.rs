//! Signing, byte for byte: published vectors, and properties over arbitrary addresses.

use proptest::prelude::*;
use serde_json::Value;
use wx_jssdk::clock::UnixTime;
use wx_jssdk::credential::Secret;
use wx_jssdk::sign::{
    AgentConfig, CardExt, ChooseCard, PageError, PageUrl, Signer, before_fragment, card_signature,
    nonce,
};

fn vectors() -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!("vectors.json")).unwrap();
    file["vectors"].as_array().unwrap().clone()
}

fn of(algorithm: &str) -> Vec<Value> {
    let found: Vec<_> = vectors()
        .into_iter()
        .filter(|v| v["algorithm"] == algorithm)
        .collect();
    assert!(!found.is_empty(), "there are vectors for {algorithm}");
    found
}

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector["inputs"][name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} in {}", vector["id"]))
}

/// Signs the vector's url as a page would send it.
fn signed(vector: &Value) -> String {
    let url = before_fragment(text(vector, "url"));
    let timestamp = UnixTime(vector["inputs"]["timestamp"].as_u64().unwrap());
    Signer::new("wx12ab", text(vector, "jsapi_ticket"))
        .signature(url, text(vector, "noncestr"), timestamp)
        .to_string()
}

#[test]
fn every_jsapi_vector_holds() {
    for vector in of("jsapi") {
        assert_eq!(
            signed(&vector),
            vector["expected"].as_str().unwrap(),
            "{}",
            vector["id"]
        );
    }
}

#[test]
fn every_negative_vector_is_refused() {
    let negative: Vec<_> = vectors()
        .into_iter()
        .filter(|v| v["kind"] == "negative")
        .collect();
    assert!(negative.len() >= 2);
    for vector in negative {
        assert_ne!(
            signed(&vector),
            vector["wrong_signature"].as_str().unwrap(),
            "{}",
            vector["id"]
        );
    }
}

#[test]
fn every_card_vector_holds() {
    for vector in of("card_ext") {
        let names = [
            "api_ticket",
            "timestamp",
            "card_id",
            "code",
            "openid",
            "nonce_str",
        ];
        let signature = card_signature(names.map(|name| text(&vector, name)));
        assert_eq!(
            signature.to_string(),
            vector["expected"].as_str().unwrap(),
            "{}",
            vector["id"]
        );
    }
}

#[test]
fn every_vector_is_of_a_kind_that_a_test_reads() {
    for vector in vectors() {
        let algorithm = vector["algorithm"].as_str().unwrap();
        assert!(
            ["jsapi", "card_ext", "choose_card"].contains(&algorithm),
            "no test reads {algorithm}: {}",
            vector["id"]
        );
    }
}

#[test]
fn a_card_ext_is_the_signed_fields_as_json_text() {
    for vector in of("card_ext")
        .iter()
        .filter(|v| text(v, "timestamp").parse::<u64>().is_ok())
    {
        let card = CardExt {
            card_id: text(vector, "card_id").into(),
            code: text(vector, "code").into(),
            openid: text(vector, "openid").into(),
            timestamp: UnixTime(text(vector, "timestamp").parse().unwrap()),
            nonce_str: text(vector, "nonce_str").into(),
            fixed_begintimestamp: None,
            outer_str: Some("shelf 3".into()),
        };
        let json: Value =
            serde_json::from_str(&card.sign(&Secret::new(text(vector, "api_ticket")))).unwrap();
        assert_eq!(json["signature"], vector["expected"], "{}", vector["id"]);
        assert_eq!(
            json["timestamp"],
            text(vector, "timestamp"),
            "a string, as in WeChat's own example"
        );
        assert_eq!(json["outer_str"], "shelf 3");
        assert_eq!(
            json["nonce_str"],
            text(vector, "nonce_str"),
            "the nonce is in the answer"
        );
        assert!(json.get("card_id").is_none() && json.get("api_ticket").is_none());
    }
}

#[test]
fn a_card_ext_omits_empty_fields() {
    let card = CardExt {
        card_id: "p1".into(),
        timestamp: UnixTime(5),
        nonce_str: "n".into(),
        ..CardExt::default()
    };
    let json: Value = serde_json::from_str(&card.sign(&Secret::new("t"))).unwrap();
    let names: Vec<_> = json
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(names, ["nonce_str", "signature", "timestamp"]);
}

#[test]
fn a_choice_of_cards_is_signed_as_the_vectors_say() {
    for vector in of("choose_card") {
        let filter = [
            text(&vector, "location_id"),
            text(&vector, "card_id"),
            text(&vector, "card_type"),
        ];
        let timestamp = UnixTime(text(&vector, "timestamp").parse().unwrap());
        let ticket = Secret::new(text(&vector, "api_ticket"));
        let choice = ChooseCard::sign(
            &ticket,
            text(&vector, "appid"),
            filter,
            text(&vector, "nonce_str"),
            timestamp,
        );
        assert_eq!(
            choice.card_sign.to_string(),
            vector["expected"].as_str().unwrap(),
            "{}",
            vector["id"]
        );
        let json = serde_json::to_value(&choice).unwrap();
        assert_eq!(
            (&json["signType"], &json["timestamp"]),
            (&Value::from("SHA1"), &Value::from(timestamp.0))
        );
    }
}

#[test]
fn an_agent_config_has_the_names_that_wecom_accepts() {
    let page = PageUrl::parse("https://example.com/").unwrap();
    let config = Signer::new("ww12ab", "agent-ticket").sign(&page, "n", UnixTime(7));
    let json = serde_json::to_value(AgentConfig::new(config.clone(), 1_000_002)).unwrap();
    assert_eq!(json["corpid"], "ww12ab");
    assert_eq!(json["agentid"], "1000002");
    assert_eq!(json["nonceStr"], "n");
    assert_eq!(json["timestamp"], 7);
    assert_eq!(json["signature"], config.signature.to_string());
    assert_eq!(json["jsApiList"], Value::Array(Vec::new()));
}

#[test]
fn only_the_fragment_is_cut() {
    for (href, signed) in [
        ("https://h.cn/p#x", "https://h.cn/p"),
        ("https://h.cn/p#", "https://h.cn/p"),
        ("https://h.cn/p#a#b?c=1", "https://h.cn/p"),
        ("https://h.cn/p%23x", "https://h.cn/p%23x"),
        ("https://h.cn", "https://h.cn"),
        ("https://h.cn/", "https://h.cn/"),
        ("https://h.cn/?", "https://h.cn/?"),
        ("https://h.cn/?a=1&", "https://h.cn/?a=1&"),
        ("https://h.cn//a/../b/./", "https://h.cn//a/../b/./"),
        ("https://h.cn:443/", "https://h.cn:443/"),
        (
            "https://h.cn/?a=%e4%bd%a0&b=%E4",
            "https://h.cn/?a=%e4%bd%a0&b=%E4",
        ),
        ("https://h.cn/?a=b+c%20d", "https://h.cn/?a=b+c%20d"),
        (
            "https://h.cn/?q=null&to=https://other.cn/",
            "https://h.cn/?q=null&to=https://other.cn/",
        ),
        ("HTTPS://h.cn/", "HTTPS://h.cn/"),
        ("https://h.cn/?a=x\\y", "https://h.cn/?a=x\\y"),
    ] {
        assert_eq!(PageUrl::parse(href).unwrap().as_str(), signed, "{href}");
    }
}

#[test]
fn an_address_that_no_browser_has_is_refused() {
    for (href, error) in [
        ("", PageError::Empty),
        ("#/route", PageError::Empty),
        ("/page", PageError::NotHttp),
        ("page", PageError::NotHttp),
        ("//example.com/", PageError::NotHttp),
        ("ftp://example.com/", PageError::NotHttp),
        ("javascript:alert(1)", PageError::NotHttp),
        ("file:///etc/passwd", PageError::NotHttp),
        ("https:example.com/x", PageError::NotHttp),
        ("https:/example.com/x", PageError::NotHttp),
        ("undefined", PageError::NotHttp),
        ("null", PageError::NotHttp),
        ("https%3A%2F%2Fexample.com%2F", PageError::DoubleEncoded),
        ("HTTP%3a%2f%2Fexample.com", PageError::DoubleEncoded),
        (" https://example.com/", PageError::Blank),
        ("https://example.com/\n", PageError::Blank),
        ("https://example.com/a b", PageError::Blank),
        ("https://example.com/\u{0}", PageError::Blank),
        ("https://example.com/\u{7f}", PageError::Blank),
        ("https://exam\tple.com/", PageError::Blank),
        ("https://example.com/中文", PageError::NotAscii),
        ("https://例え.jp/", PageError::NotAscii),
        ("https://example.com/\u{fffd}", PageError::NotAscii),
        ("https://user@example.com/", PageError::UserInfo),
        ("https://example.com@evil.example/", PageError::UserInfo),
        ("https://user:pw@example.com/", PageError::UserInfo),
        ("https://evil.example\\@example.com/", PageError::UserInfo),
        ("https://", PageError::NoHost),
        ("https:///example.com/", PageError::NoHost),
        ("https://?a=1", PageError::NoHost),
        ("https://[::1/", PageError::NoHost),
        ("https://example.com:99999/", PageError::NoHost),
        ("https://exa%00mple.com/", PageError::NoHost),
    ] {
        assert_eq!(PageUrl::parse(href), Err(error), "{href:?}");
    }
}

#[test]
fn a_host_longer_than_a_dns_name_is_refused_unread() {
    let longest = format!("{}a", "a.".repeat(126));
    assert!(PageUrl::parse(&format!("https://{longest}.:65535/")).is_ok());
    for host in [format!("{longest}.:65535a"), "xn--bcher-kva.".repeat(1_000)] {
        let refused = PageUrl::parse(&format!("https://{host}/"));
        assert_eq!(refused, Err(PageError::NoHost), "{host}");
    }
}

#[test]
fn an_address_of_sixteen_kib_is_signed_and_one_byte_more_is_not() {
    let base = "https://example.com/?";
    let longest = format!("{base}{}", "a".repeat(16 * 1024 - base.len()));
    assert!(PageUrl::parse(&longest).is_ok());
    assert!(
        PageUrl::parse(&format!("{longest}#{longest}")).is_ok(),
        "the fragment is not signed"
    );
    assert_eq!(
        PageUrl::parse(&format!("{longest}a")),
        Err(PageError::TooLong)
    );
}

#[test]
fn the_host_is_read_as_a_browser_reads_it() {
    for (href, host) in [
        ("https://Example.COM:8443/", "example.com"),
        ("https://example.com./", "example.com."),
        ("https://[::1]:8080/", "[::1]"),
        ("https://[2001:DB8::1]/", "[2001:db8::1]"),
        ("http://127.0.0.1:8080/", "127.0.0.1"),
        ("http://2130706433/", "127.0.0.1"),
        ("https://xn--r8jz45g.jp/", "xn--r8jz45g.jp"),
        ("https://example.com?a=1", "example.com"),
        ("https://example.com.evil.com/", "example.com.evil.com"),
    ] {
        assert_eq!(PageUrl::parse(href).unwrap().host(), host, "{href}");
    }
}

const OFFICIAL_TICKET: &str =
    "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg";

/// Reference implementation of the signature: one string, one hash, no saved state.
fn by_the_book(ticket: &str, nonce: &str, timestamp: u64, url: &str) -> String {
    use sha1::{Digest, Sha1};
    let string1 = format!("jsapi_ticket={ticket}&noncestr={nonce}&timestamp={timestamp}&url={url}");
    Sha1::digest(string1)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Addresses as a browser may have them: any printable ASCII after the host.
fn href() -> impl Strategy<Value = String> {
    (
        "https?",
        "[a-z0-9]{1,8}(\\.[a-z]{2,5}){1,2}",
        "(:[1-9][0-9]{0,3})?",
        "([/?][!-~]{0,80})?",
    )
        .prop_map(|(scheme, host, port, rest)| format!("{scheme}://{host}{port}{rest}"))
}

proptest! {
    #[test]
    fn the_signature_is_the_hash_of_the_bytes_before_the_fragment(href in href(), time in any::<u32>(), nonce in "[A-Za-z0-9]{16,32}") {
        prop_assume!(PageUrl::parse(&href).is_ok());
        let page = PageUrl::parse(&href).unwrap();
        let config = Signer::new("wx", OFFICIAL_TICKET).sign(&page, &nonce, UnixTime(time.into()));
        let url = href.split('#').next().unwrap();
        prop_assert_eq!(config.signature.to_string(), by_the_book(OFFICIAL_TICKET, &nonce, time.into(), url));
        prop_assert_eq!(config.url, url);
    }

    #[test]
    fn nothing_after_the_fragment_sign_changes_anything(href in href(), fragment in "\\PC{0,40}") {
        prop_assume!(!href.contains('#') && PageUrl::parse(&href).is_ok());
        prop_assert_eq!(PageUrl::parse(&href), PageUrl::parse(&format!("{href}#{fragment}")));
    }

    #[test]
    fn every_byte_before_the_fragment_changes_the_signature(a in href(), b in href()) {
        let cut = |href: &str| href.split('#').next().unwrap().to_owned();
        let signer = Signer::new("wx", OFFICIAL_TICKET);
        let sign = |url: &str| signer.signature(url, "Wm3WZYTPz0wzccnW", UnixTime(1));
        prop_assert_eq!(sign(&cut(&a)) == sign(&cut(&b)), cut(&a) == cut(&b));
    }

    #[test]
    fn any_text_is_signed_or_refused_and_never_panics(text in "\\PC*") {
        if let Ok(page) = PageUrl::parse(&text) {
            prop_assert_eq!(page.as_str(), text.split('#').next().unwrap());
            prop_assert!(page.as_str().is_ascii());
        }
    }

    #[test]
    fn an_address_is_never_changed_by_parsing(href in href()) {
        if let Ok(page) = PageUrl::parse(&href) {
            prop_assert!(href.starts_with(page.as_str()));
        }
    }

    #[test]
    fn cards_are_signed_the_same_in_whatever_order_the_values_come(mut values in prop::collection::vec("[a-zA-Z0-9_-]{0,12}", 1..7)) {
        let one = card_signature(values.iter().map(String::as_str));
        values.reverse();
        values.push(String::new());
        prop_assert_eq!(one, card_signature(values.iter().map(String::as_str)));
    }
}

#[test]
fn nonces_are_fresh() {
    assert_ne!(nonce(), nonce());
}
