//! The doctor: a faulty backend makes one mistake, and the doctor names it first.
#![cfg(feature = "diagnose")]
#![allow(clippy::unwrap_used)] // helpers of tests are not in a #[test]

use serde_json::json;
use sha1::{Digest, Sha1};
use wx_jssdk::diagnose::{Answer, Case, Confidence, Finding, Role, Target, diagnose};

const TICKET: &str = "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg";
const PREVIOUS: &str = "bxLdikRXVbTPdHSM05e5u5sUoXNKd8-41ZO3MhKoyN5OfkWITDGgnr2fwJ0m9E8NYzWKVZvdVtaUgWvsdshFKA";
const CARD: &str = "IpK_1T69hDhZkLQTlwsAX6uY3jSiIbsrJ-k2n8fPCaRdTicketOfCards";
const AGENT: &str = "HoagFKDcsGMVCIY2vOjf9gTicketOfTheAgentConfigKind0123456789";
const TOKEN: &str = "73_access_token_that_is_no_ticket_at_all_0123456789abcdef";
const OTHER: &str = "kgt8ON7yVITDhtdwci0qeZOtherAccountsTicket0123456789";
const NONCE: &str = "Wm3WZYTPz0wzccnW";
const TIME: &str = "1414587457";
const PAGE: &str = "https://www.example.com/app/list?name=%E5%BC%A0%2F1&b=2+3&a=#/route";

fn sha1(text: &str) -> String {
    Sha1::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The string that WeChat hashes.
fn string(ticket: &str, nonce: &str, time: &str, url: &str) -> String {
    format!("jsapi_ticket={ticket}&noncestr={nonce}&timestamp={time}&url={url}")
}

fn before_hash(href: &str) -> &str {
    href.split('#').next().unwrap()
}

/// All tickets are known.
fn case(page: &str, signature: &str) -> Case {
    Case::new(page, NONCE, TIME, signature)
        .ticket(Role::Current, TICKET)
        .ticket(Role::Previous, PREVIOUS)
        .ticket(Role::Card, CARD)
        .ticket(Role::Agent, AGENT)
        .ticket(Role::AccessToken, TOKEN)
        .ticket(Role::Other("shop".into()), OTHER)
}

fn no_ticket_is_shown(findings: &[Finding]) {
    let shown = format!("{findings:?}");
    for ticket in [TICKET, PREVIOUS, CARD, AGENT, TOKEN, OTHER] {
        assert!(!shown.to_lowercase().contains(&ticket[..20].to_lowercase()), "{shown}");
    }
}

/// A backend hashed `text` for `page`: the doctor names `code` first, as proven, and shows what was signed.
#[track_caller]
fn named_first(code: &str, page: &str, text: &str) {
    let findings = diagnose(&case(page, &sha1(text)));
    assert_eq!((findings[0].code, findings[0].confidence), (code, Confidence::Proven), "{text:?}");
    assert!(findings[0].evidence.is_some());
    assert_eq!(findings.len(), 1, "{findings:?}");
    no_ticket_is_shown(&findings);
}

/// A backend that changes the address before it signs.
#[track_caller]
fn address(code: &str, page: &str, fault: impl Fn(&str) -> String) {
    named_first(code, page, &string(TICKET, NONCE, TIME, &fault(page)));
}

/// One that changes it after cutting the fragment.
#[track_caller]
fn cut_address(code: &str, page: &str, fault: impl Fn(&str) -> String) {
    address(code, page, |href| fault(before_hash(href)));
}

/// `encodeURIComponent`, written anew here.
fn encode(text: &str) -> String {
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte);
    text.bytes().map(|byte| if kept(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[test]
fn a_right_signature_is_called_right_and_the_reader_is_sent_elsewhere() {
    let findings = diagnose(&case(PAGE, &sha1(&string(TICKET, NONCE, TIME, before_hash(PAGE)))));
    assert_eq!((findings[0].code, findings[0].confidence), ("signature_is_right", Confidence::Proven));
    assert!(findings[0].cause.en.starts_with("the signature is right; look at"), "{:?}", findings[0]);
    let evidence = findings[0].evidence.as_deref().unwrap();
    assert_eq!(evidence, string("[jsapi_ticket]", NONCE, TIME, before_hash(PAGE)));
}

#[test]
fn wechats_own_example_is_right() {
    let case = Case::new("http://mp.weixin.qq.com?params=value", NONCE, TIME, "0f9de62fce790f9a083d5c99e95740ceb90c27ed")
        .ticket(Role::Current, TICKET);
    assert_eq!(diagnose(&case)[0].code, "signature_is_right");
}

#[test]
fn the_fragment_was_kept() {
    address("fragment_kept", PAGE, str::to_owned);
    address("fragment_kept", "https://example.com/", |href| format!("{href}#/"));
}

#[test]
fn the_address_was_decoded() {
    cut_address("percent_decoded", PAGE, |url| url.replace("%E5%BC%A0", "张").replace("%2F", "/"));
    cut_address("percent_decoded", PAGE, |url| url.replace("%E5%BC%A0", "张"));
}

#[test]
fn the_address_was_encoded_once_more() {
    cut_address("encoded_once_more", PAGE, encode);
}

#[test]
fn the_address_was_encoded_twice() {
    cut_address("double_encoded", PAGE, |url| encode(&encode(url)));
}

#[test]
fn the_escapes_were_escaped() {
    cut_address("escapes_encoded_again", PAGE, |url| url.replace('%', "%25"));
}

#[test]
fn a_plus_became_a_space() {
    cut_address("plus_to_space", PAGE, |url| url.replace('+', " "));
    cut_address("plus_to_space", "https://h.cn/p?q=a%20b", |url| url.replace("%20", "+"));
    cut_address("plus_to_space", "https://h.cn/p?q=a+b", |url| url.replace('+', "%20"));
}

#[test]
fn the_escapes_changed_their_case() {
    cut_address("escape_case_changed", PAGE, |url| url.replace("%E5%BC%A0%2F", "%e5%bc%a0%2f"));
}

#[test]
fn a_template_escaped_the_address() {
    cut_address("html_escaped", PAGE, |url| url.replace('&', "&amp;"));
}

#[test]
fn the_address_was_signed_as_json_source() {
    cut_address("json_escaped", PAGE, |url| url.replace('/', "\\/"));
    cut_address("json_escaped", PAGE, |url| url.replace('&', "\\u0026"));
    cut_address("json_escaped", PAGE, |url| format!("\"{url}\""));
}

#[test]
fn the_address_was_cut_at_its_ampersand() {
    cut_address("cut_at_ampersand", PAGE, |url| url.split('&').next().unwrap().to_owned());
}

#[test]
fn the_query_was_dropped() {
    cut_address("query_dropped", PAGE, |url| url.split('?').next().unwrap().to_owned());
}

#[test]
fn the_query_was_sorted_or_reordered() {
    cut_address("query_reordered", "https://h.cn/p?c=3&a=1&b=2", |_| "https://h.cn/p?a=1&b=2&c=3".into());
    cut_address("query_reordered", "https://h.cn/p?c=3&a=1&b=2", |_| "https://h.cn/p?b=2&c=3&a=1".into());
}

#[test]
fn the_query_was_written_anew() {
    cut_address("query_reencoded", "https://h.cn/p?q=a*b&r=%7E%20", |_| "https://h.cn/p?q=a%2Ab&r=%7E+".into());
}

#[test]
fn one_parameter_was_stripped() {
    cut_address("parameter_dropped", "https://h.cn/p?a=1&_t=7&b=2", |url| url.replace("&_t=7", ""));
}

#[test]
fn wechat_added_share_parameters_after_the_signing() {
    let clean = "https://h.cn/p?id=7";
    let all = format!("{clean}&from=singlemessage&isappinstalled=0&scene=1&clicktime=1600000000&enterid=1600000000");
    cut_address("share_parameters_added", &all, |_| clean.into());
    for name in [
        "from",
        "isappinstalled",
        "ascene",
        "devicetype",
        "version",
        "nettype",
        "lang",
        "exportkey",
        "pass_ticket",
        "wx_header",
    ] {
        cut_address("share_parameters_added", &format!("{clean}&{name}=x"), |_| clean.into());
    }
    cut_address("share_parameters_added", "https://h.cn/p?from=timeline", |_| "https://h.cn/p".into());
}

#[test]
fn the_page_came_back_from_oauth() {
    cut_address("oauth_parameters", "https://h.cn/p?id=7&code=0a1b2c&state=x", |_| "https://h.cn/p?id=7".into());
}

#[test]
fn a_slash_was_added_or_removed() {
    cut_address("trailing_slash", "https://h.cn/app/?a=1", |_| "https://h.cn/app?a=1".into());
    cut_address("trailing_slash", "https://h.cn/app?a=1", |_| "https://h.cn/app/?a=1".into());
    cut_address("trailing_slash", "https://h.cn/", |_| "https://h.cn".into());
}

#[test]
fn the_index_file_was_added_or_removed() {
    cut_address("index_file", "https://h.cn/app/?a=1", |_| "https://h.cn/app/index.html?a=1".into());
    cut_address("index_file", "https://h.cn/app/index.php?a=1", |_| "https://h.cn/app/?a=1".into());
}

#[test]
fn behind_a_proxy_http_was_signed_for_https() {
    cut_address("scheme_swapped", PAGE, |url| url.replace("https:", "http:"));
    cut_address("scheme_swapped", "http://h.cn/p", |url| url.replace("http:", "https:"));
}

#[test]
fn a_port_was_added_or_removed() {
    cut_address("port_changed", PAGE, |url| url.replace("example.com", "example.com:8080"));
    cut_address("port_changed", "https://h.cn:8443/p?a=1", |url| url.replace(":8443", ""));
}

#[test]
fn the_host_of_the_api_or_of_a_container_was_signed() {
    let text = string(TICKET, NONCE, TIME, "https://api.example.com/app/list?x=1");
    let case = Case { hosts: vec!["api.example.com".into()], ..case("https://h.cn/app/list?x=1", &sha1(&text)) };
    assert_eq!(diagnose(&case)[0].code, "another_host");
    cut_address("another_host", "https://h.cn/p", |_| "https://localhost:3000/p".into());
}

#[test]
fn the_address_of_the_api_was_signed() {
    let text = string(TICKET, NONCE, TIME, "https://api.example.com/jssdk/sign");
    let case = Case { hosts: vec!["https://api.example.com/jssdk/sign?url=x".into()], ..case(PAGE, &sha1(&text)) };
    assert_eq!(diagnose(&case)[0].code, "api_url_signed");
}

#[test]
fn www_was_removed() {
    cut_address("www_changed", PAGE, |url| url.replace("www.", ""));
}

#[test]
fn a_cross_origin_referer_was_signed() {
    cut_address("origin_only", PAGE, |_| "https://www.example.com/".into());
}

#[test]
fn the_address_has_lost_a_part() {
    cut_address("scheme_missing", PAGE, |url| url.replace("https:", ""));
    cut_address("scheme_missing", PAGE, |url| url.replace("https://www.example.com", ""));
    cut_address("path_prefix_stripped", PAGE, |url| url.replace("/app/", "/"));
    cut_address("path_dropped", PAGE, |url| url.replace("/app/list", "/"));
}

#[test]
fn the_landing_address_was_signed_for_the_current_one() {
    let landing = "https://h.cn/home?x=1#top";
    let text = string(TICKET, NONCE, TIME, before_hash(landing));
    let case = Case { landing: Some(landing.into()), ..case("https://h.cn/detail/7", &sha1(&text)) };
    assert_eq!(diagnose(&case)[0].code, "landing_url_signed");
}

#[test]
fn the_current_address_was_signed_where_ios_checks_the_landing_one() {
    let text = string(TICKET, NONCE, TIME, "https://h.cn/detail/7");
    let case = Case { landing: Some("https://h.cn/home".into()), ..case("https://h.cn/detail/7", &sha1(&text)) };
    let codes: Vec<_> = diagnose(&case).iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["current_url_signed", "signature_is_right"]);
}

#[test]
fn the_address_was_lower_cased() {
    cut_address("url_lower_cased", "https://h.cn/App/List?Id=A", str::to_lowercase);
}

#[test]
fn a_newline_or_blank_was_hashed_along() {
    cut_address("newline_or_blank", PAGE, |url| format!("{url}\n"));
    cut_address("newline_or_blank", PAGE, |url| format!(" {url}"));
}

#[test]
fn the_query_begins_twice() {
    cut_address("double_question_mark", PAGE, |url| url.replace('?', "??"));
    cut_address("double_question_mark", "https://h.cn/p?a=1?b=2", |_| "https://h.cn/p?a=1&b=2".into());
}

#[test]
fn an_empty_end_of_the_query_was_tidied_away() {
    cut_address("empty_query_changed", "https://h.cn/p?a=1&", |_| "https://h.cn/p?a=1".into());
    cut_address("empty_query_changed", "https://h.cn/p?a=&b=1", |_| "https://h.cn/p?a&b=1".into());
}

#[test]
fn no_address_arrived() {
    for nothing in ["", "undefined", "null", "None"] {
        address("url_was_missing", PAGE, |_| nothing.into());
    }
}

#[test]
fn the_wrong_ticket_signed() {
    for (code, ticket) in [
        ("previous_ticket", PREVIOUS),
        ("card_ticket_for_jsapi", CARD),
        ("agent_ticket_for_jsapi", AGENT),
        ("access_token_for_ticket", TOKEN),
        ("ticket_of_another_account", OTHER),
    ] {
        named_first(code, PAGE, &string(ticket, NONCE, TIME, before_hash(PAGE)));
    }
}

#[test]
fn agent_config_was_signed_with_the_corps_ticket() {
    let text = string(TICKET, NONCE, TIME, before_hash(PAGE));
    let case = Case { target: Target::AgentConfig, ..case(PAGE, &sha1(&text)) };
    assert_eq!(diagnose(&case)[0].code, "jsapi_ticket_for_agent");
}

#[test]
fn without_the_right_ticket_a_known_wrong_one_is_still_recognised() {
    let text = string(PREVIOUS, NONCE, TIME, before_hash(PAGE));
    let case = Case::new(PAGE, NONCE, TIME, sha1(&text)).ticket(Role::Previous, PREVIOUS);
    assert_eq!(diagnose(&case)[0].code, "previous_ticket");
}

#[test]
fn the_ticket_was_spoilt_on_its_way() {
    let with = |code, ticket: &str| named_first(code, PAGE, &string(ticket, NONCE, TIME, before_hash(PAGE)));
    with("ticket_with_newline", &format!("{TICKET}\n"));
    with("ticket_with_newline", &format!("\u{feff}{TICKET}"));
    with("ticket_cut", &TICKET[..64]);
    with("ticket_case_changed", &TICKET.to_lowercase());
    with("ticket_was_missing", "undefined");
}

#[test]
fn another_timestamp_was_signed() {
    let with = |code, time: &str| named_first(code, PAGE, &string(TICKET, NONCE, time, before_hash(PAGE)));
    with("timestamp_in_milliseconds", "1414587457000");
    with("timestamp_in_milliseconds", "1414587457123");
    with("another_timestamp", "1414587456");
    with("another_timestamp", "1414587157");
    with("timestamp_in_local_time", "1414616257");
    with("timestamp_written_otherwise", "\"1414587457\"");
    with("timestamp_written_otherwise", "1414587457.0");
    with("timestamp_written_otherwise", "");
}

#[test]
fn milliseconds_were_sent_and_seconds_signed() {
    let signature = sha1(&string(TICKET, NONCE, TIME, before_hash(PAGE)));
    let case = Case { timestamp: "1414587457123".into(), ..case(PAGE, &signature) };
    assert_eq!(diagnose(&case)[0].code, "timestamp_in_milliseconds");
}

#[test]
fn another_nonce_was_signed() {
    let with = |code, nonce: &str| named_first(code, PAGE, &string(TICKET, nonce, TIME, before_hash(PAGE)));
    with("nonce_case_changed", "wm3wzytpz0wzccnw");
    with("nonce_trimmed", " Wm3WZYTPz0wzccnW");
    with("nonce_was_missing", "undefined");
}

#[test]
fn the_string_was_put_together_wrongly() {
    let url = before_hash(PAGE);
    let right = string(TICKET, NONCE, TIME, url);
    let with = |code, text: &str| named_first(code, PAGE, text);
    with("nonce_name", &right.replace("noncestr", "nonceStr"));
    with("ticket_name", &right.replace("jsapi_ticket", "ticket"));
    with("timestamp_name", &right.replace("timestamp", "timeStamp"));
    with("parameters_unsorted", &format!("url={url}&timestamp={TIME}&noncestr={NONCE}&jsapi_ticket={TICKET}"));
    with("values_only", &format!("{TIME}{NONCE}{url}{TICKET}"));
    with("separator", &format!("jsapi_ticket={TICKET},noncestr={NONCE},timestamp={TIME},url={url}"));
    with("times_entity", &right.replace("&timestamp", "×tamp"));
    with("stray_separator", &format!("&{right}"));
    with("stray_separator", &format!("?{right}"));
    with("byte_order_mark", &format!("\u{feff}{right}"));
    with("string_encoded", &encode(&right));
    with("string_case_changed", &right.to_lowercase());
    with("parameter_missing", &right.replace(&format!("&timestamp={TIME}"), ""));
    with("utf16_hashed", &right.chars().flat_map(|letter| [letter, '\0']).collect::<String>());
}

#[test]
fn the_app_id_was_put_into_the_string() {
    let text = format!("appid=wx12&{}", string(TICKET, NONCE, TIME, before_hash(PAGE)));
    let case = Case { app_id: Some("wx12".into()), ..case(PAGE, &sha1(&text)) };
    assert_eq!(diagnose(&case)[0].code, "app_id_added");
}

#[test]
fn the_hash_or_its_spelling_is_wrong() {
    let right = string(TICKET, NONCE, TIME, before_hash(PAGE));
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let judged = |signature: &str| diagnose(&case(PAGE, signature))[0].code;
    assert_eq!(judged(&sha1(&right).to_uppercase()), "upper_case_hex");
    assert_eq!(judged(&hex(&md5::Md5::digest(&right))), "md5_for_sha1");
    assert_eq!(judged(&hex(&sha2::Sha256::digest(&right))), "sha256_for_sha1");
    assert_eq!(judged(&format!("{}\n", sha1(&right))), "signature_with_blanks");
    assert_eq!(judged(&sha1(&right)[..39]), "signature_malformed");
    let official = Case::new("http://mp.weixin.qq.com?params=value", NONCE, TIME, "D53mL855D5oIPVyZ6VdAzrkMJ+0=");
    assert_eq!(diagnose(&official.ticket(Role::Current, TICKET))[0].code, "base64_for_hex");
}

/// Two mistakes at once: both are named, with one evidence.
#[track_caller]
fn both(codes: [&str; 2], page: &str, text: &str) {
    let findings = diagnose(&case(page, &sha1(text)));
    let mut found: Vec<_> = findings.iter().map(|finding| finding.code).collect();
    found.sort_unstable();
    assert_eq!(found, codes, "{findings:?}");
    assert_eq!(findings[0].evidence, findings[1].evidence);
    no_ticket_is_shown(&findings);
}

#[test]
fn two_mistakes_together_are_both_named() {
    let page = "https://h.cn/p?name=%E5%BC%A0&b=2#top";
    let cut = before_hash(page);
    let http = cut.replace("https", "http");
    both(["percent_decoded", "scheme_swapped"], page, &string(TICKET, NONCE, TIME, &http.replace("%E5%BC%A0", "张")));
    both(["fragment_kept", "scheme_swapped"], page, &string(TICKET, NONCE, TIME, &page.replace("https", "http")));
    both(["previous_ticket", "scheme_swapped"], page, &string(PREVIOUS, NONCE, TIME, &http));
    both(["another_timestamp", "fragment_kept"], page, &string(TICKET, NONCE, "1414587458", page));
    both(["nonce_name", "scheme_swapped"], page, &string(TICKET, NONCE, TIME, &http).replace("noncestr", "nonceStr"));
    both(["nonce_name", "previous_ticket"], page, &string(PREVIOUS, NONCE, TIME, cut).replace("noncestr", "nonceStr"));
}

#[test]
fn a_signature_that_nothing_explains_is_not_explained_away() {
    let findings = diagnose(&case("https://h.cn/p", &sha1("something else")));
    assert_eq!(findings[0].code, "no_known_mistake_fits");
    assert!(!findings[0].explains());
    assert_eq!(findings[0].evidence, None);
}

#[test]
fn a_ticket_in_the_address_is_struck_out_too() {
    let page = format!("https://h.cn/p?ticket={TICKET}");
    let findings = diagnose(&case(&page, &sha1(&string(TICKET, NONCE, TIME, &page))));
    assert_eq!(findings[0].code, "signature_is_right");
    no_ticket_is_shown(&findings);
}

#[test]
fn without_a_ticket_the_clients_words_are_explained() {
    for (code, words) in [
        ("domain_not_bound", "config:invalid url domain"),
        ("domain_not_bound", "config:fail,Error: invalid url domain"),
        ("invalid_signature", "config:fail,Error: 系统错误，错误码：63002,invalid signature [2019-12-04 15:50:27][]"),
        ("offline_verifying", "chooseImage:the permission value is offline verifying"),
        ("permission_denied", "chooseImage:permission denied"),
        ("function_not_exist", "scanQRCode:function not exist"),
        ("require_subscribe", "config:require subscribe"),
        ("app_id_invalid", "config:fail,Error: AppID 不合法"),
        ("app_id_invalid", "agentConfig:invalid corpId more info at https://open.work.weixin.qq.com/devtool/query?e=40013"),
        (
            "trusted_domain_mismatch",
            "agentConfig:not match any reliable domain. more info at https://open.work.weixin.qq.com/devtool/query?e=80001",
        ),
        (
            "agent_config_signature",
            "agentConfig:invalid signature more info at https://open.work.weixin.qq.com/devtool/query?e=40093",
        ),
        ("cancelled_by_user", "chooseImage:cancel"),
        ("wechat_errcode", "40048"),
        ("wechat_errcode", "errcode 63002"),
        ("wechat_errcode", "https://open.work.weixin.qq.com/devtool/query?e=80001"),
    ] {
        let findings = diagnose(&Case { error: Some(words.into()), ..Case::default() });
        assert_eq!((findings[0].code, findings[0].confidence), (code, Confidence::Likely), "{words}");
        assert!(!findings[0].cause.en.is_empty() && !findings[0].fix.zh.is_empty(), "{words}");
    }
}

#[test]
fn a_right_signature_with_a_refused_domain_names_the_domain_first() {
    let signature = sha1(&string(TICKET, NONCE, TIME, before_hash(PAGE)));
    let refused = |error: &str| diagnose(&Case { error: Some(error.into()), ..case(PAGE, &signature) })[0].code;
    assert_eq!(refused("config:invalid url domain"), "domain_not_bound");
    assert_eq!(refused("config:invalid signature"), "signature_is_right");
}

#[test]
fn without_ticket_and_words_it_says_what_it_needs() {
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
        json!(json!({"appId": "wx12", "timestamp": TIME, "nonceStr": NONCE, "signature": signature}).to_string()),
    ];
    for (json, misnamed) in answers.iter().zip([false, false, true, true, false]) {
        let answer = Answer::from_json(json).unwrap();
        assert_eq!((answer.app_id.as_deref(), answer.misnamed), (Some("wx12"), misnamed), "{json}");
        let case = Case { url: "https://h.cn/".into(), ..Case::default() }.answer(answer).ticket(Role::Current, TICKET);
        let expected = if misnamed { "fields_misnamed" } else { "signature_is_right" };
        assert_eq!(diagnose(&case)[0].code, expected, "{json}");
    }
    assert_eq!(Answer::from_json(&json!({"errcode": 40_001})), None);
}

#[test]
fn the_address_that_the_answer_names_was_signed() {
    let other = "https://elsewhere.cn/x/y?z=1";
    let json =
        json!({"timestamp": TIME, "nonceStr": NONCE, "signature": sha1(&string(TICKET, NONCE, TIME, other)), "url": other});
    let case = Case { url: "https://h.cn/p".into(), ..Case::default() }.answer(Answer::from_json(&json).unwrap());
    assert_eq!(diagnose(&case)[0].code, "another_url_signed", "it can be seen without the ticket");
    assert_eq!(diagnose(&case.ticket(Role::Current, TICKET))[0].code, "another_url_signed");
}

#[test]
fn garbage_neither_panics_nor_explains() {
    for url in ["%", "://", "https://", "?&=#", "https://张.cn/%E5?%", "a:b:c//?#", "https://h:x/é"] {
        let findings = diagnose(&case(url, &sha1("something else")));
        assert!(!findings[0].explains(), "{url}: {findings:?}");
    }
}
