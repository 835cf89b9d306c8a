//! Random pages: correct signatures are reported as correct, wrong ones never.

use proptest::prelude::*;
use wx_jssdk::diagnose::{Answer, Case, Role, diagnose};

use crate::backend::*;
use crate::faults::FAULTS;

/// An address as browsers have them.
fn page() -> impl Strategy<Value = String> {
    let part = "([A-Za-z0-9_.~-]|%[0-9A-F]{2}|%e4%bd%a0|[!*'(),;:@/+]){0,8}";
    let query = prop::collection::vec(("[a-z_]{1,6}", prop::option::of(part)), 0..5);
    let host = prop_oneof![
        "[a-z]{1,8}\\.(com|cn|com\\.cn)",
        "www\\.[a-z]{1,8}\\.com",
        "[a-z]{1,6}\\.[a-z]{1,6}\\.cn:[1-9][0-9]{1,3}"
    ];
    (
        "https?",
        host,
        prop::collection::vec(part, 0..4),
        query,
        prop::option::of("[!/A-Za-z0-9?&=]{0,10}"),
    )
        .prop_map(|(scheme, host, path, query, fragment)| {
            let query: Vec<_> = query
                .into_iter()
                .map(|(name, value)| value.map_or(name.clone(), |value| format!("{name}={value}")))
                .collect();
            let query = if query.is_empty() {
                String::new()
            } else {
                format!("?{}", query.join("&"))
            };
            let fragment = fragment.map_or(String::new(), |fragment| format!("#{fragment}"));
            // Browsers leave out a scheme's own port.
            let own_port = if scheme == "http" { ":80" } else { ":443" };
            let host = host.strip_suffix(own_port).unwrap_or(&host);
            format!("{scheme}://{host}/{}{query}{fragment}", path.join("/"))
        })
}

/// An address in human-readable form, and as browsers have it.
fn read_page() -> impl Strategy<Value = (String, String)> {
    let part = "([a-z0-9%2F]|张三|商品|é|ß|😀| ){1,6}";
    (
        prop::collection::vec(part, 1..3),
        prop::option::of(part),
        prop::option::of(part),
    )
        .prop_map(|(path, query, fragment)| {
            let query = query.map_or(String::new(), |value| format!("?q={value}&b=2"));
            let fragment = fragment.map_or(String::new(), |fragment| format!("#/{fragment}/x"));
            let read = format!(
                "https://www.example.cn/{}/1{query}{fragment}",
                path.join("/")
            );
            let kept = |c: char| c.is_ascii() && c != ' ';
            let escaped = |c: char| {
                c.to_string()
                    .bytes()
                    .map(|byte| format!("%{byte:02X}"))
                    .collect::<String>()
            };
            let had = read
                .chars()
                .map(|c| if kept(c) { c.to_string() } else { escaped(c) })
                .collect();
            (read, had)
        })
}

fn case_of(page: &str, [ticket, nonce, time]: [&str; 3], signature: &str) -> Case {
    Case::new(page, nonce, time, signature).ticket(Role::Current, ticket)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_correct_signature_is_reported_as_correct(
        page in page(), ticket in "[A-Za-z0-9_-]{20,120}", nonce in "[A-Za-z0-9-]{1,32}", time in 1_000_000_000_u64..4_000_000_000,
    ) {
        let time = time.to_string();
        let before = page.split('#').next().unwrap();
        let signature = sha1(&string(&ticket, &nonce, &time, before));
        let findings = diagnose(&case_of(&page, [&ticket, &nonce, &time], &signature));
        // A page's port is reported in addition to its signature.
        let codes: Vec<_> = findings.iter().map(|finding| finding.code).filter(|code| *code != "port_not_supported").collect();
        prop_assert_eq!(codes, ["signature_is_right"]);
        let shown = format!("{findings:?}");
        prop_assert!(!shown.contains(&ticket));
    }

    #[test]
    fn a_correct_signature_is_recognised_in_every_answer_shape(page in page(), shape in 0..5) {
        let before = page.split('#').next().unwrap();
        let signature = sha1(&string(TICKET, NONCE, TIME, before));
        let bare = serde_json::json!({"appId": "wx1", "timestamp": TIME, "nonceStr": NONCE, "signature": signature});
        let shaped = match shape {
            0 => bare,
            1 => serde_json::json!({"data": bare}),
            2 => serde_json::json!([{"a": 1}, {"result": {"config": bare}}]),
            3 => serde_json::Value::String(bare.to_string()),
            _ => serde_json::json!({"appId": "wx1", "timestamp": 1_414_587_457, "nonceStr": NONCE, "signature": signature}),
        };
        let case = Case { url: page.clone(), ..Case::default() }.answer(Answer::from_json(&shaped).unwrap());
        let findings = diagnose(&case.ticket(Role::Current, TICKET));
        prop_assert_eq!(findings.last().unwrap().code, "signature_is_right");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_human_readable_address_equals_the_browsers_address((read, had) in read_page()) {
        let before = had.split('#').next().unwrap();
        for page in [&read, &had] {
            let right = diagnose(&case(page, &sha1(&string(TICKET, NONCE, TIME, before))));
            prop_assert_eq!((right.len(), right[0].code), (1, "signature_is_right"), "{}", page);
            let kept = diagnose(&case(page, &sha1(&string(TICKET, NONCE, TIME, &had))));
            prop_assert_eq!(kept[0].code, if *before == *had { "signature_is_right" } else { "fragment_kept" }, "{}", page);
        }
        // The client only has the encoded form: a signature of the readable form was made over a decoded address.
        let landed = Case { landing: Some(read.clone()), ..case("https://www.example.cn/now", &sha1(&string(TICKET, NONCE, TIME, before))) };
        prop_assert_eq!(diagnose(&landed)[0].code, "landing_url_signed");
        let raw = read.split('#').next().unwrap();
        let decoded = diagnose(&case(&read, &sha1(&string(TICKET, NONCE, TIME, raw))));
        prop_assert_eq!(decoded.iter().any(|finding| finding.code == "signature_is_right"), *raw == *before);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, max_global_rejects: 20_000, ..ProptestConfig::default() })]

    /// A mistake on a page for which it was not designed: it is never reported as correct, unless the mistake changed nothing.
    #[test]
    fn a_wrong_signature_is_never_reported_as_correct(page in page(), row in 0..FAULTS.len()) {
        let fault = &FAULTS[row];
        // Faults that need one specific page cannot be applied to another.
        prop_assume!(fault.page == PAGE && fault.code != "jsapi_ticket_for_agent");
        let backend = Backend::right().with(fault);
        let before = page.split('#').next().unwrap();
        // A cut, a split or a decoding of bytes that are no UTF-8 may not be possible on this page.
        let Ok(hashed) = std::panic::catch_unwind(|| backend.hashes(&page)) else { return Ok(()) };
        let right = (backend.hash)(&hashed) == sha1(&string(TICKET, NONCE, TIME, before));
        let signature = (backend.hash)(&hashed);
        let findings = diagnose(&case(&page, &signature));
        prop_assert_eq!(findings.iter().any(|finding| finding.code == "signature_is_right"), right, "{:?}", findings);
        no_ticket_is_shown(&findings);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn a_signature_with_a_changed_digit_is_never_reported_as_correct(page in page(), at in 0_usize..40) {
        let before = page.split('#').next().unwrap();
        let mut signature = sha1(&string(TICKET, NONCE, TIME, before)).into_bytes();
        signature[at] = if signature[at] == b'0' { b'1' } else { b'0' };
        let findings = diagnose(&case_of(&page, [TICKET, NONCE, TIME], &String::from_utf8(signature).unwrap()));
        prop_assert_eq!(findings[0].code, "no_known_mistake_fits");
        prop_assert!(!findings[0].explains());
    }

    #[test]
    fn no_text_causes_a_panic(url in ".{0,60}", nonce in ".{0,20}", time in ".{0,20}", signature in "[0-9a-f]{40}|.{0,50}", ticket in ".{0,30}", error in ".{0,60}") {
        let case = Case { error: Some(error), landing: Some(url.clone()), hosts: vec![nonce.clone()], ..Case::new(url, nonce, time, signature) };
        prop_assert!(!diagnose(&case.ticket(Role::Current, ticket)).is_empty());
    }
}
