//! Pasted text: what is recognised in it, and the resulting findings.

use proptest::prelude::*;
use wx_jssdk::diagnose::{Case, Paste, PasteKind, Role, diagnose};

use crate::backend::*;
use crate::faults::FAULTS;

const URL: &str = "https://h.cn/p?a=1";

fn signature() -> String {
    sha1(&string(TICKET, NONCE, TIME, URL))
}

/// Returns the findings on this text, with the page's address and the ticket.
fn findings_on(text: &str) -> &'static str {
    let case = Case {
        url: URL.into(),
        ..Case::default()
    }
    .ticket(Role::Current, TICKET);
    diagnose(&case.paste(Paste::read(text)))[0].code
}

#[test]
fn values_are_found_in_every_programming_language() {
    let s = signature();
    for text in [
        format!(r#"{{"appId":"wx1","timestamp":{TIME},"nonceStr":"{NONCE}","signature":"{s}"}}"#),
        format!(
            r#"{{"errcode":0,"data":{{"appId":"wx1","timestamp":"{TIME}","nonceStr":"{NONCE}","signature":"{s}"}}}}"#
        ),
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{{\"data\":{{\"timestamp\":{TIME},\"nonceStr\":\"{NONCE}\",\"signature\":\"{s}\"}}}}"
        ),
        format!(
            "wx.config({{\n  debug: true, // see alerts\n  appId: 'wx1',\n  timestamp: {TIME},\n  nonceStr: '{NONCE}',\n  signature: '{s}',\n  jsApiList: [\n    'chooseImage',\n  ]\n}});"
        ),
        format!(
            "wx.config({{debug:!1,appId:\"wx1\",timestamp:\"{TIME}\",nonceStr:\"{NONCE}\",signature:\"{s}\",jsApiList:[\"scanQRCode\"]}})"
        ),
        format!("wx.config({{ timestamp: {TIME}, nonceStr: `{NONCE}`, signature: `{s}` }})"),
        format!(
            "{{'appId': 'wx1', 'timestamp': {TIME}, 'nonceStr': '{NONCE}', 'signature': '{s}'}}"
        ),
        format!(
            "Array\n(\n    [appId] => wx1\n    [timestamp] => {TIME}\n    [nonceStr] => {NONCE}\n    [signature] => {s}\n)"
        ),
        format!("array('timestamp' => {TIME}, 'nonceStr' => '{NONCE}', 'signature' => '{s}')"),
        format!("{{nonceStr={NONCE}, timestamp={TIME}, signature={s}, appId=wx1}}"),
        format!("map[appId:wx1 nonceStr:{NONCE} signature:{s} timestamp:{TIME}]"),
        format!("appId: wx1\ntimestamp: {TIME}\nnonceStr: {NONCE}\nsignature: {s}\n"),
        format!("2026-11-21 10:00:00 INFO sign - nonceStr={NONCE} timestamp={TIME} signature={s}"),
    ] {
        assert_eq!(
            findings_on(&text),
            "signature_is_right",
            "{text}\n{:?}",
            Paste::read(&text)
        );
    }
}

#[test]
fn names_that_wx_config_does_not_read_are_pointed_out() {
    let s = signature();
    for text in [
        format!(
            r#"{{"data":{{"app_id":"wx1","timestamp":{TIME},"nonce_str":"{NONCE}","signature":"{s}"}}}}"#
        ),
        format!(r#"{{"appId":"wx1","timestamp":{TIME},"noncestr":"{NONCE}","signature":"{s}"}}"#),
        format!("{{timeStamp={TIME}, nonceStr={NONCE}, signature={s}}}"),
    ] {
        assert_eq!(findings_on(&text), "fields_misnamed", "{text}");
    }
}

#[test]
fn two_values_for_one_name_in_an_answer_are_a_mistake() {
    let answer = |more: &str| format!(r#"{{"appId":"wx1",{more},"signature":"{}"}}"#, signature());
    for (more, code) in [
        (
            format!(r#""noncestr":"{NONCE}","nonceStr":"B","timestamp":{TIME}"#),
            "two_nonces",
        ),
        (
            format!(r#""nonceStr":"{NONCE}","timestamp":1414587999,"timeStamp":{TIME}"#),
            "two_timestamps",
        ),
        (
            format!(r#""nonceStr":"{NONCE}","noncestr":"B","timestamp":{TIME},"timeStamp":1"#),
            "signature_is_right",
        ),
    ] {
        let text = answer(&more);
        assert_eq!(findings_on(&text), code, "{text}");
        let code_of_text = findings_on(&text.replace('"', "'"));
        assert_eq!(code_of_text, code, "{text}");
    }
}

#[test]
fn a_call_with_variables_is_source_code_without_values() {
    for text in [
        "wx.config({ appId: res.data.appId, timestamp: res.data.timestamp, nonceStr: res.data.nonceStr, signature: res.data.signature })",
        "wx.config({appId, timestamp, nonceStr, signature, jsApiList: ['chooseImage']})",
        "wx.config({ appId: appId, timestamp: timestamp, nonceStr: nonceStr, signature: signature })",
        "wx.config({ appId: '<?php echo $appId ?>', timestamp: {{ timestamp }}, signature: getSignature() })",
    ] {
        let paste = Paste::read(text);
        assert_eq!(paste.kinds, [PasteKind::Source], "{text}: {paste:?}");
    }
}

#[test]
fn the_hashed_string_alone_is_enough() {
    let wrong = string(TICKET, NONCE, TIME, "http://h.cn/p?a=1");
    for text in [
        wrong.clone(),
        format!("string1: {wrong}"),
        format!("DEBUG \"{wrong}\";"),
        format!("{URL}\n{wrong}"),
    ] {
        let paste = Paste::read(&text);
        assert!(paste.kinds.contains(&PasteKind::SignedString), "{paste:?}");
        assert_eq!(
            paste.ticket.as_ref().map(|ticket| ticket.expose()),
            Some(TICKET)
        );
        assert!(
            !format!("{paste:?}").contains(TICKET),
            "a ticket is not printed"
        );
        let case = Case {
            url: URL.into(),
            ..Case::default()
        }
        .paste(paste);
        let findings = diagnose(&case);
        assert_eq!(findings[0].code, "scheme_swapped", "{text}");
        no_ticket_is_shown(&findings);
    }
    // Mistakes in the string itself are found, too.
    let renamed = string(TICKET, NONCE, TIME, URL).replace("noncestr", "nonceStr");
    assert_eq!(findings_on(&renamed), "nonce_name");
}

/// Mistakes that show only beside the account's ticket, or that leave no string with the four names.
const UNREADABLE: [&str; 21] = [
    "previous_ticket",
    "card_ticket_for_jsapi",
    "agent_ticket_for_jsapi",
    "access_token_for_ticket",
    "ticket_of_another_account",
    "ticket_not_current",
    "jsapi_ticket_for_agent",
    "ticket_with_newline",
    "ticket_was_missing",
    "ticket_cut",
    "ticket_case_changed",
    "ticket_name",
    "nonce_name",
    "timestamp_name",
    "values_only",
    "separator",
    "times_entity",
    "string_encoded",
    "parameter_missing",
    "utf16_hashed",
    "payment_key_added",
];

#[test]
fn a_mistake_in_a_pasted_string_is_found_without_the_ticket() {
    let code = |backend: &Backend, page: &str, hashed: &str| {
        let case = Case {
            url: page.into(),
            ..Case::default()
        };
        let signature = (backend.hash)(hashed);
        let text = format!(
            r#"{{"timestamp":"{TIME}","nonceStr":"{NONCE}","signature":{}}}"#,
            serde_json::to_string(&signature).unwrap()
        );
        let text = format!("{text}\n{hashed}");
        let findings = diagnose(&(backend.known)(case).paste(Paste::read(&text)));
        no_ticket_is_shown(&findings);
        findings[0].code
    };
    let mut wrong = Vec::new();
    for fault in FAULTS {
        let backend = Backend::right().with(fault);
        let hashed = backend.hashes(fault.page);
        // An AppID at the end is a parameter of the page.
        if UNREADABLE.contains(&fault.code) || hashed.ends_with("&appId=wx12") {
            continue;
        }
        let code = code(&backend, fault.page, &hashed);
        if code != fault.code {
            wrong.push(format!("{} {code} {hashed}", fault.code));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));

    let right = string(TICKET, NONCE, TIME, URL);
    for (hashed, expected) in [
        (right.replace('&', "&amp;"), "separator"),
        (right.replace('&', "& "), "separator"),
        (
            right.replace(TICKET, &format!("\"{TICKET}\"")),
            "ticket_with_newline",
        ),
        (right.replace(TICKET, "undefined"), "ticket_needed"),
        (right.replace(NONCE, &format!("'{NONCE}'")), "nonce_trimmed"),
        (
            right.replace(TIME, "undefined"),
            "timestamp_written_otherwise",
        ),
        (right.replace(URL, "localhost:8080"), "another_url_signed"),
    ] {
        let code = code(&Backend::right(), URL, &hashed);
        assert_eq!(code, expected, "{hashed}");
    }
}

#[test]
fn of_several_strings_the_one_with_the_answers_nonce_counts() {
    let other = string(TICKET, "Another1", TIME, "https://h.cn/other");
    for own in [URL, "http://h.cn/p?a=1"] {
        let own = string(TICKET, NONCE, TIME, own);
        let answer = format!(
            r#"{{"timestamp":{TIME},"nonceStr":"{NONCE}","signature":"{}"}}"#,
            sha1(&own)
        );
        let code = findings_on(&format!("{own}\n{answer}"));
        for text in [
            format!("{other}\n{own}\n{answer}"),
            format!("{own}\n{other}\n{answer}"),
            format!("\"{other}\" \"{own}\" {answer}"),
            format!(r#"[{{"a":"{other}"}},{{"a":"{own}"}},{answer}]"#),
        ] {
            assert_eq!(findings_on(&text), code, "{text}");
            assert_eq!(Paste::read(&text).answer.url, Paste::read(&own).answer.url);
        }
    }
    let first = Paste::read(&format!("{other}\n{}", string(TICKET, NONCE, TIME, URL)));
    assert_eq!(first.answer.nonce.as_deref(), Some("Another1"));
}

#[test]
fn a_formula_with_empty_values_is_not_the_string() {
    let paste = Paste::read("jsapi_ticket=&noncestr=&timestamp=&url=");
    assert_eq!(paste.kinds, [PasteKind::Source]);
}

#[test]
fn urls_that_are_no_values_are_read_up_to_a_limit() {
    let url = |tries: usize| {
        let rejected = "/url=a".repeat(tries) + &"&b".repeat(5_000);
        let answer = format!("signature={} url={URL}", signature());
        Paste::read(&format!("{rejected} {answer}")).answer.url
    };
    assert_eq!(url(8).as_deref(), Some(URL));
    assert_eq!(url(200), None);
}

#[test]
fn the_clients_message_is_distinguished_from_a_backends_answer() {
    for (text, kinds, error) in [
        (
            "config:invalid signature",
            &[PasteKind::Error][..],
            Some("config:invalid signature"),
        ),
        (
            r#"{"errMsg":"config:invalid url domain"}"#,
            &[PasteKind::Json, PasteKind::Error],
            Some("config:invalid url domain"),
        ),
        (
            "config:fail,Error: 系统错误，错误码：63002,invalid signature [2019-12-04 15:50:27][]",
            &[PasteKind::Error],
            Some("63002"),
        ),
        (
            "config:fail,invalid signature",
            &[PasteKind::Error],
            Some("invalid signature"),
        ),
        ("errcode 40164", &[PasteKind::Error], Some("40164")),
        (
            "config:something new",
            &[PasteKind::Error],
            Some("something new"),
        ),
        ("the page is blank", &[], None),
        ("", &[], None),
        ("1414587457", &[], None),
    ] {
        let paste = Paste::read(text);
        assert_eq!(paste.kinds, kinds, "{text}");
        match error {
            Some(words) => assert!(
                paste
                    .error
                    .as_deref()
                    .is_some_and(|said| said.contains(words)),
                "{text}: {paste:?}"
            ),
            None => assert_eq!(paste.error, None, "{text}"),
        }
    }
}

#[test]
fn digits_in_an_answer_are_not_taken_for_an_errcode() {
    let paste = Paste::read(&format!(
        r#"{{"timestamp":40001,"nonceStr":"40164","signature":"{}"}}"#,
        signature()
    ));
    assert_eq!((paste.kinds, paste.error), (vec![PasteKind::Json], None));
}

#[test]
fn wechats_own_refusal_of_a_call_is_explained() {
    for (text, error) in [
        (
            r#"{"errcode":40164,"errmsg":"invalid ip 1.2.3.4 ipv6 ::ffff:1.2.3.4, not in whitelist rid: 5f7c"}"#,
            "errcode 40164: invalid ip 1.2.3.4 ipv6 ::ffff:1.2.3.4, not in whitelist rid: 5f7c",
        ),
        (
            r#"{"errcode":40125,"errmsg":"invalid appsecret, rid: 6123"}"#,
            "errcode 40125: invalid appsecret, rid: 6123",
        ),
        (r#"{"errcode":45009}"#, "errcode 45009"),
        (
            r#"{"code":500,"data":{"errcode":40001,"errmsg":"invalid credential"}}"#,
            "errcode 40001: invalid credential",
        ),
    ] {
        let paste = Paste::read(text);
        assert_eq!(
            (paste.kinds.as_slice(), paste.error.as_deref()),
            (&[PasteKind::Json, PasteKind::Error][..], Some(error))
        );
        assert_eq!(
            diagnose(&Case::default().paste(paste))[0].code,
            "wechat_errcode",
            "{text}"
        );
    }
    assert_eq!(Paste::read(r#"{"errcode":0,"errmsg":"ok"}"#).error, None);
}

#[test]
fn a_backends_own_message_does_not_hide_the_clients_message() {
    let answer = |more: &str| {
        format!(
            r#"{{{more},"data":{{"timestamp":{TIME},"nonceStr":"{NONCE}","signature":"{}"}}}}"#,
            signature()
        )
    };
    for more in [
        r#""errCode":0,"errMsg":"ok""#,
        r#""errcode":0,"errmsg":"success""#,
        r#""errMsg":"成功""#,
        r#""errMsg":"config:ok""#,
    ] {
        for text in [
            format!("config:invalid url domain\n{}", answer(more)),
            format!("{}\nconfig:invalid url domain", answer(more)),
        ] {
            let paste = Paste::read(&text);
            assert_eq!(
                paste.error.as_deref(),
                Some("config:invalid url domain"),
                "{text}"
            );
            assert_eq!(findings_on(&text), "domain_not_bound", "{text}");
        }
        assert_eq!(findings_on(&answer(more)), "signature_is_right", "{more}");
    }
    // An error of the backend itself is not one of the client's.
    assert_eq!(
        Paste::read(&answer(r#""errcode":1001,"errmsg":"please log in""#)).error,
        None
    );
    assert_eq!(
        Paste::read(r#"{"errMsg":"config:something new"}"#)
            .error
            .as_deref(),
        Some("config:something new")
    );
}

#[test]
fn the_address_that_the_client_checked_is_used() {
    let paste = Paste::read(
        r#"{"errMsg":"config:invalid signature","realAuthUrl":["https://h.cn/landing?a=1"]}"#,
    );
    assert_eq!(paste.url.as_deref(), Some("https://h.cn/landing?a=1"));
    let case = Case::new(
        "",
        NONCE,
        TIME,
        sha1(&string(TICKET, NONCE, TIME, "https://h.cn/now")),
    )
    .ticket(Role::Current, TICKET);
    let case = Case {
        answered_url: Some("https://h.cn/now".into()),
        ..case
    }
    .paste(paste);
    assert_eq!(diagnose(&case)[0].code, "current_url_signed");
}

/// The first finding for a client's message that names the checked address, beside a backend's answer that names the
/// signed address: with the ticket, and without it.
fn beside_an_answer(
    checked: &str,
    page: Option<&str>,
    landing: Option<&str>,
    signed: &str,
) -> [&'static str; 2] {
    let signature = sha1(&string(TICKET, NONCE, TIME, signed));
    let answer = format!(
        r#"{{"appId":"wx1","timestamp":{TIME},"nonceStr":"{NONCE}","signature":"{signature}","url":"{signed}"}}"#
    );
    let text = format!("{checked}\n{answer}");
    let case = Case {
        url: page.unwrap_or_default().into(),
        landing: landing.map(str::to_owned),
        ..Case::default()
    }
    .paste(Paste::read(&text));
    let computed = diagnose(&case.clone().ticket(Role::Current, TICKET));
    [computed[0].code, diagnose(&case)[0].code]
}

#[test]
fn the_checked_address_decides_which_address_should_be_signed() {
    let message =
        |url: &str| format!(r#"{{"errMsg":"config:invalid signature","realAuthUrl":"{url}"}}"#);
    let home = message("https://h.cn/home?a=1");
    for (page, landing, signed, code) in [
        // Another route of the same site: the page's current one, whether the page's address is known or not.
        (None, None, "https://h.cn/detail/7", "current_url_signed"),
        (
            Some("https://h.cn/detail/7#/x"),
            None,
            "https://h.cn/detail/7",
            "current_url_signed",
        ),
        (
            Some("https://h.cn/"),
            None,
            "https://h.cn/",
            "current_url_signed",
        ),
        // Where the phone checked the current address, the signed one is the landing page's.
        (
            Some("https://h.cn/home?a=1"),
            Some("https://h.cn/list"),
            "https://h.cn/list",
            "landing_url_signed",
        ),
        // A constant address was signed.
        (None, None, "https://h.cn/", "origin_only"),
        (None, None, "https://h.cn", "origin_only"),
        (None, None, "https://h.cn/index.html", "origin_only"),
        // The same route, changed on its way.
        (None, None, "https://h.cn/home", "query_dropped"),
        (None, None, "http://h.cn/home?a=1", "scheme_swapped"),
        // Another site.
        (
            None,
            None,
            "https://other.cn/detail/7",
            "another_url_signed",
        ),
    ] {
        let first = beside_an_answer(&home, page, landing, signed);
        assert_eq!(first, [code, code], "{page:?} {landing:?} {signed}");
    }
    // The checked address was signed: whatever the landing page and the page are, the address is not the cause.
    let right = beside_an_answer(
        &home,
        Some("https://h.cn/now"),
        Some("https://h.cn/first"),
        "https://h.cn/home?a=1",
    );
    assert_eq!(right, ["signature_is_right", "invalid_signature"]);
}

#[test]
fn the_checked_address_is_read_in_every_form_that_clients_print() {
    for text in [
        r#"{"errMsg":"config:invalid signature","realAuthUrl":["https://h.cn/p?a=1&b=2","https://h.cn/q"]}"#,
        r#""{\"errMsg\":\"config:invalid signature\",\"realAuthUrl\":[\"https:\\/\\/h.cn\\/p?a=1\\u0026b=2\"]}""#,
        r#"{"errMsg":"config:invalid signature","realAuthUrl":"https%3A%2F%2Fh.cn%2Fp%3Fa%3D1%26b%3D2"}"#,
        "config:invalid signature {errMsg: 'config:invalid signature', realAuthUrl: ['https://h.cn/p?a=1&b=2']}",
        "errMsg: config:invalid signature\nrealAuthUrl: https://h.cn/p?a=1&b=2",
        "config:invalid signature, real_auth_url=https://h.cn/p?a=1&b=2, x",
        r#"{"errMsg":"config:invalid signature","realAuthUrl":"","data":{"realAuthUrl":"https:\/\/h.cn\/p?a=1&b=2"}}"#,
    ] {
        let paste = Paste::read(text);
        assert_eq!(
            paste.checked_url.as_deref(),
            Some("https://h.cn/p?a=1&b=2"),
            "{text}"
        );
        let case = Case::default().client_error(Some(text.into()));
        assert_eq!(case.checked_url, paste.checked_url, "{text}");
        assert_eq!(case.url, "https://h.cn/p?a=1&b=2", "{text}");
    }
    let with_fragment =
        r#"{"errMsg":"config:invalid signature","realAuthUrl":"https://h.cn/p#/x"}"#;
    for (signed, code) in [
        ("https://h.cn/p", "signature_is_right"),
        ("https://h.cn/p#/x", "fragment_kept"),
    ] {
        assert_eq!(beside_an_answer(with_fragment, None, None, signed)[0], code);
    }
    for text in [
        "realAuthUrl",
        "realAuthUrl: Array(1)",
        r#"{"realAuthUrl":[]}"#,
        "realAuthUrl: /p",
    ] {
        assert_eq!(Paste::read(text).checked_url, None, "{text}");
    }
}

#[test]
fn a_signed_constant_is_reported_as_a_constant() {
    let page = "https://h.cn/detail/7";
    for signed in ["https://h.cn/", "https://h.cn", "https://h.cn/index.html"] {
        let findings = diagnose(&case(page, &sha1(&string(TICKET, NONCE, TIME, signed))));
        assert_eq!(findings[0].code, "origin_only", "{signed}");
        assert!(findings[0].cause.en.contains("constant"), "{findings:?}");
        assert!(findings[0].cause.zh.contains("固定地址"), "{findings:?}");
    }
}

#[test]
fn an_address_is_recognised_only_if_it_stands_alone() {
    for (text, url) in [
        ("https://h.cn/p#x", Some("https://h.cn/p#x")),
        (
            "config:invalid signature\n  https://h.cn/p?a=1&b=2  \n",
            Some("https://h.cn/p?a=1&b=2"),
        ),
        ("HTTPS://H.cn/", Some("HTTPS://H.cn/")),
        ("see https://h.cn/p for more", None),
        (
            "agentConfig:invalid signature\nhttps://open.work.weixin.qq.com/devtool/query?e=40093",
            None,
        ),
        ("ftp://h.cn/", None),
    ] {
        assert_eq!(Paste::read(text).url.as_deref(), url, "{text}");
    }
}

#[test]
fn all_of_it_may_be_pasted_at_once() {
    let s = sha1(&string(TICKET, NONCE, TIME, "https://h.cn/p?a=1#/x"));
    let text = format!(
        "config:invalid signature\nhttps://h.cn/p?a=1#/x\n{{\"data\":{{\"timestamp\":{TIME},\"nonceStr\":\"{NONCE}\",\"signature\":\"{s}\"}}}}"
    );
    let paste = Paste::read(&text);
    assert_eq!(
        paste.kinds,
        [PasteKind::Json, PasteKind::Url, PasteKind::Error]
    );
    let case = Case::default().paste(paste).ticket(Role::Current, TICKET);
    let codes: Vec<_> = diagnose(&case).iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["fragment_kept"]);
}

#[test]
fn pasted_text_does_not_overwrite_given_values() {
    let case = Case {
        error: Some("mine".into()),
        ..Case::new("https://mine/", "n", "1", "s")
    }
    .ticket(Role::Current, "my-ticket");
    let other = format!(
        "{}\nconfig:invalid signature\nhttps://other/",
        string(TICKET, NONCE, TIME, "https://other/")
    );
    let case = case.paste(Paste::read(&other));
    assert_eq!(
        [&*case.url, &case.nonce, &case.timestamp, &case.signature],
        ["https://mine/", "n", "1", "s"]
    );
    assert_eq!(case.error.as_deref(), Some("mine"));
    assert_eq!(
        (&case.tickets[0].role, case.tickets[0].value.expose()),
        (&Role::Current, "my-ticket")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_pasted_text_causes_a_panic(text in prop_oneof![".{0,200}", "[{}\\[\\]\"':=,&a-z_ \\\\]{0,80}", "(jsapi_ticket=|noncestr=|&|timestamp=|url=|Ä|[a-z])*"]) {
        let _ = Paste::read(&text);
    }

    #[test]
    fn values_survive_any_quoting(nonce in "[A-Za-z0-9]{8,32}", quote in "['\"`]", space in " {0,2}", separator in "(:|=>|=)") {
        let text = format!("nonceStr{space}{separator}{space}{quote}{nonce}{quote}, timestamp{separator}{TIME}, signature{separator}{quote}{}{quote}", signature());
        prop_assert_eq!(Paste::read(&text).answer.nonce, Some(nonce));
    }
}
