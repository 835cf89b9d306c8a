//! Whole cases: correct signatures, findings from the client's message alone, input in every shape.

use serde_json::json;
use wx_jssdk::diagnose::{Answer, Case, Confidence, Paste, Role, diagnose};

use crate::backend::*;
use crate::faults::hmac_sha256;

fn before_hash(href: &str) -> &str {
    href.split('#').next().unwrap()
}

#[track_caller]
fn named_first(code: &str, page: &str, signed: &str) {
    let findings = diagnose(&case(page, &sha1(&string(TICKET, NONCE, TIME, signed))));
    assert_eq!(
        (findings[0].code, findings[0].confidence),
        (code, Confidence::Proven),
        "{page}"
    );
}

#[test]
fn a_correct_signature_is_reported_with_other_things_to_check() {
    let findings = diagnose(&case(
        PAGE,
        &sha1(&string(TICKET, NONCE, TIME, before_hash(PAGE))),
    ));
    assert_eq!(
        (findings[0].code, findings[0].confidence),
        ("signature_is_right", Confidence::Proven)
    );
    assert!(
        findings[0]
            .cause
            .en
            .starts_with("the signature is correct; check"),
        "{:?}",
        findings[0]
    );
    let evidence = findings[0].evidence.as_deref().unwrap();
    assert_eq!(
        evidence,
        string("[jsapi_ticket]", NONCE, TIME, before_hash(PAGE))
    );
}

#[test]
fn wechats_own_example_is_right() {
    let case = Case::new(
        "http://mp.weixin.qq.com?params=value",
        NONCE,
        TIME,
        "0f9de62fce790f9a083d5c99e95740ceb90c27ed",
    )
    .ticket(Role::Current, TICKET);
    let codes: Vec<_> = diagnose(&case).iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["address_not_canonical", "signature_is_right"]);
}

#[test]
fn an_address_that_no_browser_has_is_not_the_one_to_sign() {
    for (typed, browsers) in [
        ("https://www.example.com", "https://www.example.com/"),
        (
            "https://www.example.com?a=1#/x",
            "https://www.example.com/?a=1",
        ),
        ("https://Example.com/P", "https://example.com/P"),
        ("HTTPS://example.com/p", "https://example.com/p"),
        ("https://h.cn:443/p", "https://h.cn/p"),
    ] {
        let findings =
            |signed: &str| diagnose(&case(typed, &sha1(&string(TICKET, NONCE, TIME, signed))));
        let right = findings(browsers);
        assert_eq!(
            (right[0].code, right[0].confidence, right.len()),
            ("signature_is_right", Confidence::Proven, 1),
            "{typed}"
        );
        let as_typed = findings(typed.split('#').next().unwrap());
        let found: Vec<_> = as_typed
            .iter()
            .map(|finding| (finding.code, finding.confidence))
            .collect();
        let expected = [
            ("address_not_canonical", Confidence::Likely),
            ("signature_is_right", Confidence::Proven),
        ];
        assert_eq!(found, expected, "{typed}");
    }
    // A mistake of the backend is one against the address that the browser has.
    named_first("scheme_swapped", "https://h.cn:443/p", "http://h.cn/p");
}

#[test]
fn wechat_added_share_parameters_after_the_signing() {
    let clean = "https://h.cn/p?id=7";
    let all = format!(
        "{clean}&from=singlemessage&isappinstalled=0&scene=1&clicktime=1600000000&enterid=1600000000"
    );
    named_first("share_parameters_added", &all, clean);
    for name in [
        "isappinstalled",
        "clicktime",
        "enterid",
        "ascene",
        "nettype",
        "exportkey",
        "pass_ticket",
        "wx_header",
        "nsukey",
    ] {
        named_first(
            "share_parameters_added",
            &format!("{clean}&{name}=x"),
            clean,
        );
    }
    named_first(
        "share_parameters_added",
        "https://h.cn/p?from=timeline",
        "https://h.cn/p",
    );
    // The page's own parameters stay, even with the names of share parameters.
    named_first(
        "share_parameters_added",
        "https://h.cn/p?lang=en&from=timeline&scene=2",
        "https://h.cn/p?lang=en&scene=2",
    );
    named_first(
        "share_parameters_added",
        "https://h.cn/p?id=7&lang=zh_CN&exportkey=x&version=28",
        clean,
    );
}

#[test]
fn common_parameters_do_not_suggest_sharing_or_a_login() {
    for (dropped, code) in [
        ("lang=en", "cut_at_ampersand"),
        ("version=2&scene=3", "cut_at_ampersand"),
        ("sessionid=1", "cut_at_ampersand"),
        ("countrycode=CN&devicetype=2", "cut_at_ampersand"),
        ("from=shop", "cut_at_ampersand"),
        ("from", "cut_at_ampersand"),
        ("code=ABC", "cut_at_ampersand"),
        ("state=open", "cut_at_ampersand"),
        ("code=0a1b&state=x", "oauth_parameters"),
    ] {
        named_first(
            code,
            &format!("https://h.cn/list?id=7&{dropped}"),
            "https://h.cn/list?id=7",
        );
        let alone = if code == "cut_at_ampersand" {
            "query_dropped"
        } else {
            code
        };
        named_first(
            alone,
            &format!("https://h.cn/list?{dropped}"),
            "https://h.cn/list",
        );
    }
    named_first(
        "parameter_dropped",
        "https://h.cn/list?id=7&lang=en&b=2",
        "https://h.cn/list?id=7&b=2",
    );
    // If both are missing, the truncation alone explains it.
    named_first(
        "cut_at_ampersand",
        "https://h.cn/list?id=7&b=2&from=timeline",
        "https://h.cn/list?id=7",
    );
}

#[test]
fn the_current_address_was_signed_where_ios_checks_the_landing_one() {
    let text = string(TICKET, NONCE, TIME, "https://h.cn/detail/7");
    let case = Case {
        landing: Some("https://h.cn/home".into()),
        ..case("https://h.cn/detail/7", &sha1(&text))
    };
    let codes: Vec<_> = diagnose(&case).iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["current_url_signed", "signature_is_right"]);
}

#[test]
fn the_landing_address_was_signed_which_is_right_on_ios() {
    let on = |page: &str, signed: &str, checked: Option<&str>| {
        let case = Case {
            landing: Some("https://h.cn/home".into()),
            checked_url: checked.map(str::to_owned),
            ..case(page, &sha1(&string(TICKET, NONCE, TIME, signed)))
        };
        let findings = diagnose(&case).into_iter();
        findings
            .map(|finding| (finding.code, finding.confidence))
            .collect::<Vec<_>>()
    };
    let page = "https://h.cn/detail/7";
    let proven = |code| (code, Confidence::Proven);
    assert_eq!(
        on(page, "https://h.cn/home", None),
        [
            ("landing_url_signed", Confidence::Likely),
            proven("signature_is_right")
        ]
    );
    assert_eq!(
        on(page, "https://h.cn/home", Some(page)),
        [proven("landing_url_signed")]
    );
    // Another mistake beside it is one on every client.
    assert_eq!(
        on(page, "http://h.cn/home", None),
        [
            proven("scheme_swapped"),
            ("landing_url_signed", Confidence::Likely)
        ]
    );
}

#[test]
fn a_page_given_in_chinese_is_signed_in_escapes() {
    let read = "https://demo.example.com/商品/1?q=张 三";
    named_first(
        "signature_is_right",
        read,
        "https://demo.example.com/%E5%95%86%E5%93%81/1?q=%E5%BC%A0%20%E4%B8%89",
    );
    named_first("percent_decoded", read, read);
    let same = Case {
        landing: Some(
            "https://demo.example.com/%E5%95%86%E5%93%81/1?q=%E5%BC%A0%20%E4%B8%89".into(),
        ),
        ..case(read, "")
    };
    let signature = sha1(&string(
        TICKET,
        NONCE,
        TIME,
        same.landing.as_deref().unwrap(),
    ));
    let same = Case { signature, ..same };
    assert_eq!(diagnose(&same).len(), 1, "the landing page is this page");
    let answered = Case {
        tickets: Vec::new(),
        answered_url: same.landing.clone(),
        ..same
    };
    assert_eq!(
        diagnose(&answered)[0].code,
        "ticket_needed",
        "and so is the one that the answer names"
    );
}

#[test]
fn without_the_right_ticket_a_known_wrong_one_is_still_recognised() {
    let text = string(PREVIOUS, NONCE, TIME, before_hash(PAGE));
    let case = Case::new(PAGE, NONCE, TIME, sha1(&text)).ticket(Role::Previous, PREVIOUS);
    assert_eq!(diagnose(&case)[0].code, "previous_ticket");
}

#[test]
fn milliseconds_were_sent_and_seconds_signed() {
    let signature = sha1(&string(TICKET, NONCE, TIME, before_hash(PAGE)));
    let case = Case {
        timestamp: "1414587457123".into(),
        ..case(PAGE, &signature)
    };
    assert_eq!(diagnose(&case)[0].code, "timestamp_in_milliseconds");
}

#[test]
fn milliseconds_on_both_sides_are_named_beside_a_right_signature() {
    let milliseconds = "1414587457000";
    let findings = |signature: &str, ticket: &str| {
        diagnose(
            &Case::new("https://h.cn/p", NONCE, milliseconds, signature)
                .ticket(Role::Current, ticket),
        )
    };
    let signature = sha1(&string(TICKET, NONCE, milliseconds, "https://h.cn/p"));
    let right = findings(&signature, TICKET);
    let codes: Vec<_> = right.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["sent_in_milliseconds", "signature_is_right"]);
    assert!(!right[0].cause.en.contains("one side"), "{:?}", right[0]);
    assert_eq!(
        findings(&signature, "")[0].code,
        "sent_in_milliseconds",
        "it is seen without a ticket, too"
    );
}

#[test]
fn a_signature_that_lost_zeros_is_distinguished_from_a_truncated_one() {
    let page = |at: usize| format!("https://h.cn/p{at}");
    let whole = |at| sha1(&string(TICKET, NONCE, TIME, &page(at)));
    let at = (0..)
        .find(|at| whole(*at).starts_with('0') && !whole(*at).starts_with("00"))
        .unwrap();
    let judged = |signature: &str| diagnose(&case(&page(at), signature));
    assert_eq!(judged(&whole(at)[1..])[0].code, "hex_zeros_lost");
    let cut = judged(&whole(at)[..39]);
    assert_eq!(
        (cut[0].code, cut[0].confidence, cut.len()),
        ("signature_malformed", Confidence::Proven, 1)
    );
    let unknown = diagnose(&Case::new(page(at), NONCE, TIME, &whole(at)[1..]));
    assert_eq!(
        unknown[0].code, "signature_malformed",
        "without a ticket no more can be said"
    );
}

#[test]
fn the_hash_or_its_spelling_is_wrong() {
    let right = string(TICKET, NONCE, TIME, before_hash(PAGE));
    let judged = |signature: &str| diagnose(&case(PAGE, signature))[0].code;
    assert_eq!(judged(&sha1(&right).to_uppercase()), "upper_case_hex");
    assert_eq!(judged(&md5(&right)), "md5_for_sha1");
    assert_eq!(judged(&sha256(&right)), "sha256_for_sha1");
    assert_eq!(
        judged(&format!("{}\n", sha1(&right))),
        "signature_with_blanks"
    );
    assert_eq!(judged(&sha1(&right)[..39]), "signature_malformed");
    let official = Case::new(
        "http://mp.weixin.qq.com?params=value",
        NONCE,
        TIME,
        "D53mL855D5oIPVyZ6VdAzrkMJ+0=",
    );
    assert_eq!(
        diagnose(&official.ticket(Role::Current, TICKET))[0].code,
        "base64_for_hex"
    );
}

#[test]
fn an_unexplained_signature_gets_no_invented_cause() {
    let findings = diagnose(&case("https://h.cn/p", &sha1("something else")));
    assert_eq!(findings[0].code, "no_known_mistake_fits");
    assert!(!findings[0].explains());
    assert_eq!(findings[0].evidence, None);
}

#[test]
fn a_ticket_in_the_address_is_redacted_too() {
    let page = format!("https://h.cn/p?ticket={TICKET}");
    let findings = diagnose(&case(&page, &sha1(&string(TICKET, NONCE, TIME, &page))));
    assert_eq!(findings[0].code, "signature_is_right");
    no_ticket_is_shown(&findings);
}

#[test]
fn without_a_ticket_the_clients_message_is_explained() {
    for (code, words) in [
        ("domain_not_bound", "config:invalid url domain"),
        ("domain_not_bound", "config:fail,Error: invalid url domain"),
        (
            "invalid_signature",
            "config:fail,Error: 系统错误，错误码：63002,invalid signature [2019-12-04 15:50:27][]",
        ),
        (
            "offline_verifying",
            "chooseImage:the permission value is offline verifying",
        ),
        ("permission_denied", "chooseImage:permission denied"),
        ("function_not_exist", "scanQRCode:function not exist"),
        ("require_subscribe", "config:require subscribe"),
        ("app_id_invalid", "config:fail,Error: AppID 不合法"),
        (
            "corp_id_invalid",
            "agentConfig:invalid corpId more info at https://open.work.weixin.qq.com/devtool/query?e=40013",
        ),
        (
            "trusted_domain_mismatch",
            "agentConfig:not match any reliable domain. more info at https://open.work.weixin.qq.com/devtool/query?e=80001",
        ),
        (
            "agent_config_signature",
            "agentConfig:invalid signature more info at https://open.work.weixin.qq.com/devtool/query?e=40093",
        ),
        ("cancelled_by_user", "chooseImage:cancel"),
        ("cancelled_by_user", "chooseImage:fail cancel"),
        ("cancelled_by_user", "chooseImage:fail_cancel"),
        ("cancelled_by_user", "scanQRCode:fail user cancel"),
        ("permission_denied", "getLocation:fail, no permission"),
        (
            "permission_denied",
            "getLocation:fail_no permission to execute",
        ),
        ("permission_denied", "getLocation:access_denied"),
        ("function_not_exist", "scanQRCode:fail_function_not_exist"),
        ("domain_not_bound", "40048"),
        ("invalid_signature", "errcode 63002"),
        (
            "trusted_domain_mismatch",
            "https://open.work.weixin.qq.com/devtool/query?e=80001",
        ),
    ] {
        let findings = diagnose(&Case {
            error: Some(words.into()),
            ..Case::default()
        });
        assert_eq!(
            (findings[0].code, findings[0].confidence),
            (code, Confidence::Likely),
            "{words}"
        );
        assert!(
            !findings[0].cause.en.is_empty() && !findings[0].fix.zh.is_empty(),
            "{words}"
        );
    }
}

#[test]
fn a_right_signature_with_a_refused_domain_names_the_domain_first() {
    let signature = sha1(&string(TICKET, NONCE, TIME, before_hash(PAGE)));
    let refused = |error: &str| {
        diagnose(&Case {
            error: Some(error.into()),
            ..case(PAGE, &signature)
        })[0]
            .code
    };
    assert_eq!(refused("config:invalid url domain"), "domain_not_bound");
    assert_eq!(refused("config:invalid signature"), "signature_is_right");
}

#[test]
fn without_a_ticket_and_a_message_it_says_what_it_needs() {
    let findings = diagnose(&Case::new("https://h.cn/", NONCE, TIME, sha1("x")));
    assert_eq!(findings[0].code, "ticket_needed");
    assert!(!findings[0].explains());
}

#[test]
fn the_answer_of_any_backend_is_understood() {
    let signature = sha1(&string(TICKET, NONCE, TIME, "https://h.cn/"));
    let answers = [
        json!({"appId": "wx12", "timestamp": 1_414_587_457, "nonceStr": NONCE, "signature": signature}),
        json!({"code": 0, "data": {"appId": "wx12", "timestamp": TIME, "nonceStr": NONCE, "signature": signature}}),
        json!({"app_id": "wx12", "time_stamp": TIME, "nonce_str": NONCE, "signature": signature}),
        json!({"result": [{"appid": "wx12", "timeStamp": TIME, "noncestr": NONCE, "Signature": signature}]}),
        json!(
            json!({"appId": "wx12", "timestamp": TIME, "nonceStr": NONCE, "signature": signature})
                .to_string()
        ),
    ];
    for (json, misnamed) in answers.iter().zip([false, false, true, true, false]) {
        let answer = Answer::from_json(json).unwrap();
        assert_eq!(
            (answer.app_id.as_deref(), answer.misnamed),
            (Some("wx12"), misnamed),
            "{json}"
        );
        let case = Case {
            url: "https://h.cn/".into(),
            ..Case::default()
        }
        .answer(answer)
        .ticket(Role::Current, TICKET);
        let expected = if misnamed {
            "fields_misnamed"
        } else {
            "signature_is_right"
        };
        assert_eq!(diagnose(&case)[0].code, expected, "{json}");
    }
    assert_eq!(Answer::from_json(&json!({"errcode": 40_001})), None);
}

#[test]
fn the_address_that_the_answer_names_was_signed() {
    let other = "https://elsewhere.cn/x/y?z=1";
    let json = json!({"timestamp": TIME, "nonceStr": NONCE, "signature": sha1(&string(TICKET, NONCE, TIME, other)), "url": other});
    let case = Case {
        url: "https://h.cn/p".into(),
        ..Case::default()
    }
    .answer(Answer::from_json(&json).unwrap());
    assert_eq!(
        diagnose(&case)[0].code,
        "another_url_signed",
        "it can be seen without the ticket"
    );
    assert_eq!(
        diagnose(&case.ticket(Role::Current, TICKET))[0].code,
        "another_url_signed"
    );
}

#[test]
fn the_fragment_that_only_the_answer_names_was_signed() {
    let signed = "https://h.cn/p?a=1#/r";
    let json = json!({"timestamp": TIME, "nonceStr": NONCE, "signature": sha1(&string(TICKET, NONCE, TIME, signed)), "url": signed});
    for page in ["https://h.cn/p?a=1", "https://h.cn/p?a=1#/other"] {
        let case = Case {
            url: page.into(),
            ..Case::default()
        }
        .answer(Answer::from_json(&json).unwrap());
        assert_eq!(diagnose(&case)[0].code, "fragment_kept", "{page}");
        let findings = diagnose(&case.ticket(Role::Current, TICKET));
        assert_eq!(
            (findings[0].code, findings[0].confidence, findings.len()),
            ("fragment_kept", Confidence::Proven, 1),
            "{page}"
        );
    }
}

#[test]
fn an_address_decoded_and_hashed_in_the_platforms_charset_is_recognised() {
    let page = "https://h.cn/p?name=%E5%BC%A0%E4%B8%89";
    for (signature, codes) in [
        // GBK; ASCII, with ? for what it lacks; ISO-8859-1.
        (
            "f03f68f861e43ed0f03d06e78c992723f34321e4",
            &["percent_decoded", "another_charset"][..],
        ),
        (
            "03ac20bc6f7fa4f18820e29c6d452a2ef232a68a",
            &["percent_decoded", "another_charset"],
        ),
        (
            "1f4b3a28b333bde50b715f9849f0f3b111af8a1e",
            &["another_charset"],
        ),
    ] {
        let findings = diagnose(&case(page, signature));
        let found: Vec<_> = findings.iter().map(|finding| finding.code).collect();
        assert_eq!(found, codes, "{signature}");
        assert_eq!(findings[0].confidence, Confidence::Proven);
    }
}

#[test]
fn a_wrong_app_id_is_reported_before_a_correct_signature() {
    let signature = sha1(&string(TICKET, NONCE, TIME, before_hash(PAGE)));
    let judged = |given: &str, account: &str| {
        let findings = diagnose(&Case {
            app_id: Some(given.into()),
            account_app_id: Some(account.into()),
            ..case(PAGE, &signature)
        });
        findings
            .iter()
            .map(|finding| (finding.code, finding.confidence))
            .collect::<Vec<_>>()
    };
    let right = ("signature_is_right", Confidence::Proven);
    assert_eq!(judged("wx1", "wx1"), [right]);
    assert_eq!(
        judged("wxcomponent", "wx1"),
        [("app_id_of_another_account", Confidence::Proven), right]
    );
    assert_eq!(
        judged("1000002", "ww1"),
        [("agent_id_for_app_id", Confidence::Proven), right]
    );
    let wrong = sha1(&string(PREVIOUS, NONCE, TIME, before_hash(PAGE)));
    let findings = diagnose(&Case {
        app_id: Some("wx2".into()),
        account_app_id: Some("wx1".into()),
        ..case(PAGE, &wrong)
    });
    let codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["previous_ticket", "app_id_of_another_account"]);
}

#[test]
fn the_hashes_of_payments_and_logins_are_recognised() {
    let right = string(TICKET, NONCE, TIME, before_hash(PAGE));
    let unsigned = right.split_once('&').unwrap().1;
    let swapped = right.replacen("https:", "http:", 1);
    let codes = |signature: &str| {
        let findings = diagnose(&case(PAGE, signature));
        findings
            .iter()
            .map(|finding| finding.code)
            .collect::<Vec<_>>()
    };
    // WeChat Pay's: sorted, the key last, MD5 or HMAC in upper case.
    let paid = format!("{unsigned}&key={TICKET}");
    assert_eq!(
        codes(&md5(&paid).to_uppercase()),
        ["payment_key_added", "md5_for_sha1"]
    );
    assert_eq!(
        codes(&hmac_sha256(&paid).to_uppercase()),
        ["payment_key_added", "hmac_for_sha1"]
    );
    assert_eq!(
        codes(&hmac_sha256(unsigned)),
        ["parameter_missing", "hmac_for_sha1"]
    );
    assert_eq!(
        codes(&hmac_sha256(&swapped)),
        ["scheme_swapped", "hmac_for_sha1"]
    );
    // The signature with which WeChat authenticates itself to a server.
    let mut values = [TICKET, NONCE, TIME];
    values.sort_unstable();
    assert_eq!(codes(&sha1(&values.concat())), ["values_only"]);
    // Base64 of other digests, in the alphabet of addresses, and of the hex digits.
    assert_eq!(
        codes(&sha1_base64(&right).replace('+', "-").replace('/', "_")),
        ["base64_for_hex"]
    );
    assert_eq!(
        codes(&sha1_base64(&right).replace('=', "")),
        ["base64_for_hex"]
    );
}

#[test]
fn an_unmentioned_port_is_found_with_its_scheme() {
    named_first(
        "port_changed",
        "https://h.cn/p?a=1",
        "https://h.cn:19001/p?a=1",
    );
    let page = "https://h.cn/p?a=1";
    let behind = sha1(&string(TICKET, NONCE, TIME, "http://h.cn:61234/p?a=1"));
    let codes: Vec<_> = diagnose(&case(page, &behind))
        .iter()
        .map(|finding| finding.code)
        .collect();
    assert_eq!(codes, ["scheme_swapped", "port_changed"]);
}

#[test]
fn garbage_causes_neither_a_panic_nor_an_explanation() {
    for url in [
        "%",
        "://",
        "https://",
        "?&=#",
        "https://张.cn/%E5?%",
        "a:b:c//?#",
        "https://h:x/é",
    ] {
        let findings = diagnose(&case(url, &sha1("something else")));
        assert!(!findings[0].explains(), "{url}: {findings:?}");
    }
}

#[test]
fn a_text_crafted_to_be_slow_is_read_in_bounded_time() {
    for text in [
        "a=".repeat(32_000),
        "url=".repeat(16_000),
        "appid: ".repeat(9_000),
        "url='".repeat(13_000),
        "agentconfig:failx".repeat(3_800),
        "agentconfig:fail.".repeat(3_800),
        "{".repeat(64_000),
        format!("{}40001", "1 ".repeat(500_000)),
        "errcode5".repeat(100_000),
    ] {
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let case = Case::default().paste(Paste::read(&text));
            tell.send(diagnose(&case))
        });
        // Generous for a loaded machine without optimisation; a quadratic algorithm takes minutes.
        told.recv_timeout(std::time::Duration::from_secs(60))
            .expect("an answer in time");
    }
}

#[test]
fn an_address_crafted_to_be_slow_is_analysed_in_bounded_time() {
    let many: String = (0..3_000).map(|at| format!("&a{at}=%E5%BC%A0+")).collect();
    for url in [
        format!("https://h.cn/p?x=1{many}#/r"),
        format!("https://h.cn/{}", "a/".repeat(20_000)),
        format!("https://h.cn/?{}", "&".repeat(40_000)),
        format!("https://h.cn/?{}", "%".repeat(40_000)),
        format!("https://h.cn/?{}", "?".repeat(40_000)),
        // Most mistakes give the same text here: the number of built strings counts, not only of hashed ones.
        format!("https://h.cn/?{}", "a[]=1&".repeat(330)),
        format!("https://h.cn/?{}", "a[]=1&".repeat(2_700)),
    ] {
        let (tell, told) = std::sync::mpsc::channel();
        let case = Case {
            landing: Some(format!("{url}#x")),
            hosts: vec!["a.cn".into(); 8],
            ..case(&url, &sha1("something else"))
        };
        std::thread::spawn(move || tell.send(diagnose(&case)));
        // The bound is generous for a loaded machine without optimisation, but a quadratic algorithm exceeds it.
        let findings = told
            .recv_timeout(std::time::Duration::from_secs(60))
            .expect("an answer in time");
        assert_eq!(findings[0].code, "no_known_mistake_fits");
    }
}
