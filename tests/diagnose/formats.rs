//! Everyday formats of logs, dumps and source code: what surrounds a value is no mistake of the backend.

use serde_json::{Value, json};
use wx_jssdk::diagnose::{Answer, Case, Confidence, Finding, Paste, PasteKind, Role, diagnose};

use crate::backend::*;

const URL: &str = "https://www.example.com/shop/list?id=5&name=x";

fn signature() -> String {
    sha1(&string(TICKET, NONCE, TIME, URL))
}

fn config() -> Value {
    json!({
        "appId": "wx1", "timestamp": 1_414_587_457, "nonceStr": NONCE, "signature": signature(), "jsApiList": ["chooseImage"],
    })
}

/// Returns the findings on a paste: with the page's address if `page`, with the ticket if `ticket`.
fn findings(text: &str, page: bool, ticket: bool) -> Vec<Finding> {
    let case = Case {
        url: if page { URL.into() } else { String::new() },
        ..Case::default()
    };
    let case = if ticket {
        case.ticket(Role::Current, TICKET)
    } else {
        case
    };
    let findings = diagnose(&case.paste(Paste::read(text)));
    no_ticket_is_shown(&findings);
    findings
}

#[track_caller]
fn is(text: &str, page: bool, ticket: bool, code: &str) {
    let findings = findings(text, page, ticket);
    let read = Paste::read(text);
    assert_eq!(findings[0].code, code, "{text}\n{read:?}\n{findings:?}");
}

/// Source code and formulas that build the string.
const SOURCES: [&str; 9] = [
    "$string = \"jsapi_ticket=$jsapiTicket&noncestr=$nonceStr&timestamp=$timestamp&url=$url\";\n$signature = sha1($string);",
    "s = \"jsapi_ticket=%s&noncestr=%s&timestamp=%s&url=%s\" % (ticket, nonce, ts, url)",
    "str := fmt.Sprintf(\"jsapi_ticket=%s&noncestr=%s&timestamp=%d&url=%s\", ticket, nonce, ts, url)",
    "const str = `jsapi_ticket=${ticket}&noncestr=${nonceStr}&timestamp=${timestamp}&url=${url}`;",
    "String s = \"jsapi_ticket=\" + jsapi_ticket + \"&noncestr=\" + nonce_str + \"&timestamp=\" + timestamp + \"&url=\" + url;",
    "string1 = \"jsapi_ticket=\" + jsapi_ticket +\n  \"&noncestr=\" + nonce_str +\n  \"&timestamp=\" + timestamp +\n  \"&url=\" + url;",
    "jsapi_ticket=JSAPI_TICKET&noncestr=NONCESTR&timestamp=TIMESTAMP&url=URL",
    "s := \"jsapi_ticket=\" + t + \"&noncestr=Wm3WZYTPz0wzccnW&timestamp=1414587457&url=\" + url",
    "$timestamp = time();\n$url = \"$protocol$_SERVER[HTTP_HOST]\";\n$string = \"jsapi_ticket=$t&noncestr=$n&timestamp=$timestamp&url=$url\";\n$p = array(\"appId\" => $this->appId, \"nonceStr\" => $n, \"url\" => $url, \"signature\" => $signature);",
];

#[test]
fn source_code_that_builds_the_string_is_not_the_string() {
    for source in SOURCES {
        assert_eq!(Paste::read(source).kinds, [PasteKind::Source], "{source}");
        for (page, ticket) in [(true, true), (true, false), (false, true)] {
            is(source, page, ticket, "nothing_given");
        }
        let refused = format!("config:invalid signature\n{source}");
        is(&refused, true, true, "invalid_signature");
    }
}

#[test]
fn values_beside_the_source_code_are_read() {
    let dump = format!(
        "Array([appId] => wx1 [nonceStr] => {NONCE} [timestamp] => {TIME} [signature] => {})",
        signature()
    );
    for source in SOURCES {
        for values in [dump.clone(), config().to_string()] {
            let text = format!("{source}\n{values}");
            is(&text, true, true, "signature_is_right");
            is(&text, true, false, "ticket_needed");
        }
    }
}

#[test]
fn what_surrounds_the_string_in_a_log_does_not_belong_to_it() {
    let surrounded = |string: &str| {
        [
            format!("2023-01-01 INFO 待签名字符串[{string}]"),
            format!("待签名：【{string}】"),
            format!("（{string}）"),
            format!("sha1({string})"),
            format!("签名串：{string}。"),
            format!("sha1(\"{string}\")"),
            format!("string1={string} signature={}", sha1(string)),
            format!("签名前: {string}, 签名后: {}", sha1(string)),
            format!("签名前：{string}，签名后：{}", sha1(string)),
            format!("{{\"string1\":\"{string}\"}}"),
            format!(
                "INFO sign {{\"str\":\"{string}\",\"ret\":\"{}\"}}",
                sha1(string)
            ),
            json!({ "a": [{ "rawString": string }] })
                .to_string()
                .replace('/', "\\/"),
            format!("INFO sign [{string}] => {}", sha1(string)),
            format!("<p>{string}</p>"),
            format!("log(\\\"{string}\\\")"),
        ]
    };
    for text in surrounded(&string(TICKET, NONCE, TIME, URL)) {
        is(&text, true, false, "string_is_right");
        is(&text, false, false, "string_is_right");
        is(&text, true, true, "signature_is_right");
    }
    let wrong = string(TICKET, NONCE, TIME, &URL.replace("https", "http"));
    for text in surrounded(&wrong) {
        is(&text, true, false, "scheme_swapped");
        let found = findings(&text, true, false);
        assert_eq!(found[0].confidence, Confidence::Proven, "{text}");
    }
    for url in [
        "https://h.cn/p_(x)?a[]=1",
        "https://h.cn/p?a=%E5%BC%A0+b{c}$d",
    ] {
        for text in surrounded(&string(TICKET, NONCE, TIME, url)) {
            assert_eq!(
                Paste::read(&text).answer.url.as_deref(),
                Some(url),
                "{text}"
            );
        }
    }
}

#[test]
fn the_string_in_an_answer_needs_no_page_url() {
    let mut answer = config();
    answer["rawString"] = string(TICKET, NONCE, TIME, URL).into();
    for page in [true, false] {
        is(&answer.to_string(), page, false, "signature_is_right");
    }
}

#[test]
fn a_string_in_another_order_is_read_as_a_whole() {
    for text in [
        format!("noncestr={NONCE}&jsapi_ticket={TICKET}&timestamp={TIME}&url={URL}"),
        format!("jsapi_ticket={TICKET}&url={URL}&noncestr={NONCE}&timestamp={TIME}"),
        format!("string1: jsapi_ticket={TICKET}&timestamp={TIME}&noncestr={NONCE}&url={URL}"),
    ] {
        for page in [true, false] {
            is(&text, page, false, "parameters_unsorted");
        }
    }
}

#[test]
fn a_decoded_or_encoded_url_in_the_string_is_still_found() {
    let page = "https://h.cn/p?q=a%20b&c=%E5%BC%A0%EF%BC%8C%E5%BC%A0";
    for (url, code) in [
        ("https://h.cn/p?q=a b&c=张，张", "percent_decoded"),
        (
            "https%3A%2F%2Fh.cn%2Fp%3Fq%3Da%2520b%26c%3D%25E5%25BC%25A0%25EF%25BC%258C%25E5%25BC%25A0",
            "encoded_once_more",
        ),
        ("undefined", "url_was_missing"),
        ("", "url_was_missing"),
        (
            "h.cn/p?q=a%20b&c=%E5%BC%A0%EF%BC%8C%E5%BC%A0",
            "scheme_missing",
        ),
    ] {
        let string = string(TICKET, NONCE, TIME, url);
        for text in [
            string.clone(),
            format!("\"{string}\""),
            json!({ "a": string }).to_string(),
        ] {
            let case = Case {
                url: page.into(),
                ..Case::default()
            };
            let findings = diagnose(&case.paste(Paste::read(&text)));
            assert_eq!(findings[0].code, code, "{text}");
        }
    }
}

#[test]
fn another_url_in_a_pasted_string_is_only_likely() {
    let text = string(TICKET, NONCE, TIME, "https://h.cn/other?x=1");
    let findings = findings(&text, true, false);
    assert_eq!(
        (findings[0].code, findings[0].confidence),
        ("another_url_signed", Confidence::Likely)
    );
}

#[test]
fn a_url_without_quotes_keeps_its_ampersands() {
    let s = signature();
    for text in [
        format!(
            "WxJsapiSignature(appId=wx1, nonceStr={NONCE}, timestamp={TIME}, url={URL}, signature={s})"
        ),
        format!(
            "Array\n(\n    [appId] => wx1\n    [nonceStr] => {NONCE}\n    [timestamp] => {TIME}\n    [url] => {URL}\n    [signature] => {s}\n)"
        ),
        format!("{{appId=wx1, nonceStr={NONCE}, timestamp={TIME}, signature={s}, url={URL}}}"),
        format!("{{AppID:wx1 Timestamp:{TIME} NonceStr:{NONCE} URL:{URL} Signature:{s}}}"),
        format!("[sign] appId=wx1, timestamp={TIME}, nonceStr={NONCE}, url={URL}, signature={s}"),
        format!("{{appId:'wx1',timestamp:{TIME},nonceStr:'{NONCE}',url:{URL},signature:'{s}'}}"),
        format!("appId=wx1&timestamp={TIME}&nonceStr={NONCE}&url={URL}&signature={s}"),
        format!("url={URL}&nonceStr={NONCE}&timestamp={TIME}&signature={s}"),
    ] {
        assert_eq!(
            Paste::read(&text).answer.url.as_deref(),
            Some(URL),
            "{text}"
        );
        let misnamed = text.contains("NonceStr:");
        let without = if misnamed {
            "fields_misnamed"
        } else {
            "ticket_needed"
        };
        is(&text, true, false, without);
        let with = if misnamed {
            "fields_misnamed"
        } else {
            "signature_is_right"
        };
        is(&text, false, true, with);
    }
    let cut = format!(
        "timestamp={TIME}, nonceStr={NONCE}, url={}, signature={s}",
        URL.split('&').next().unwrap()
    );
    is(&cut, true, false, "cut_at_ampersand");
    let bracket = format!(
        "(nonceStr={NONCE}, timestamp={TIME}, signature={s}, url=https://h.cn/p?a=[1],2;3&appid=wx9)"
    );
    assert_eq!(
        Paste::read(&bracket).answer.url.as_deref(),
        Some("https://h.cn/p?a=[1],2;3&appid=wx9")
    );
}

#[test]
fn a_sign_of_the_gateway_or_of_a_payment_is_not_the_signature() {
    let md5 = "0123456789abcdef0123456789abcdef";
    for answer in [
        json!({"code": 0, "timestamp": 1_700_000_000_123_i64, "sign": md5, "data": config()}),
        json!({"signature": md5, "result": config()}),
        json!({"pay": {"appid": "wx1", "timestamp": TIME, "noncestr": "x", "sign": md5}, "z": config()}),
        json!({"js": {"sign": signature(), "nonceStr": NONCE, "timestamp": TIME}, "z": config()}),
    ] {
        is(&answer.to_string(), true, true, "signature_is_right");
        is(&answer.to_string(), true, false, "ticket_needed");
    }
    is(
        &format!("{{\"sign\":\"{md5}\",\"ts\":1}}\n{}", config()),
        true,
        true,
        "signature_is_right",
    );
    let other = json!({"sign": signature(), "nonceStr": NONCE, "timestamp": TIME, "appId": "wx1"});
    is(&other.to_string(), true, true, "fields_misnamed");
}

#[test]
fn a_sign_without_a_nonce_is_read_if_it_is_a_sha1() {
    let answer = |sign: &str| json!({"code": 0, "data": {"sign": sign, "timestamp": TIME}});
    let read = Answer::from_json(&answer(&signature())).unwrap();
    assert!(read.misnamed);
    let case = Case::new(URL, NONCE, TIME, read.signature.unwrap());
    let findings = diagnose(&case.ticket(Role::Current, TICKET));
    assert_eq!(findings[0].code, "signature_is_right");
    let md5 = "0123456789abcdef0123456789abcdef";
    assert_eq!(Answer::from_json(&answer(md5)), None);
}

#[test]
fn a_number_under_another_name_counts_once() {
    let answer = json!({
        "signature": signature(), "nonceStr": NONCE, "timestamp": TIME, "time": 1, "ts": 2, "timeStamp": 3.0,
    });
    let times = Answer::from_json(&answer).unwrap().other_timestamps;
    let mut sorted = times.clone();
    sorted.sort();
    assert_eq!(sorted, ["1", "2", "3", "3.0"]);
}

#[test]
fn a_link_to_share_is_not_the_signed_url() {
    for more in [
        json!({"title": "t", "link": "https://www.example.com/shop/list", "imgUrl": "https://h.cn/a.png"}),
        json!({"title": "t", "url": "https://www.example.com/shop/list"}),
        json!({"link": "https://www.example.com/"}),
    ] {
        let mut answer = config();
        answer
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        is(&answer.to_string(), true, false, "ticket_needed");
        assert_eq!(Answer::from_json(&answer).unwrap().url, None, "{answer}");
    }
}

#[test]
fn a_page_url_in_quotes_or_after_a_label_is_read() {
    for url in [
        format!("'{URL}'"),
        format!("\"{URL}\""),
        format!("“{URL}”"),
        format!(" `{URL}`, "),
        format!("location.href: {URL}"),
        format!("location.href = '{URL}';"),
        format!("页面地址：{URL}"),
        format!("页面 URL：{URL}"),
        format!("Page : {URL}"),
        URL.to_owned(),
    ] {
        let case = |signed: &str| {
            let signature = sha1(&string(TICKET, NONCE, TIME, signed));
            Case::new(&url, NONCE, TIME, signature).ticket(Role::Current, TICKET)
        };
        assert_eq!(case(URL).url, URL);
        assert_eq!(diagnose(&case(URL))[0].code, "signature_is_right", "{url}");
        let http = URL.replace("https", "http");
        assert_eq!(diagnose(&case(&http))[0].code, "scheme_swapped", "{url}");
        let literal = Case {
            url: url.clone(),
            ..case(URL)
        };
        assert_eq!(diagnose(&literal)[0].code, "signature_is_right", "{url}");
        let text = format!("{}\n{}", url.trim().replace(" = ", ": "), config());
        is(&text, false, true, "signature_is_right");
    }
    let landing = Case::new(URL, NONCE, TIME, signature()).ticket(Role::Current, TICKET);
    let landing = Case {
        landing: Some(format!("'{URL}'")),
        ..landing
    };
    assert_eq!(diagnose(&landing)[0].code, "signature_is_right");
    for kept in [
        "https://h.cn/it's;'",
        "https://h.cn/?a='b',",
        "https://h.cn/r?u=http://x",
    ] {
        assert_eq!(Case::new(kept, "", "", "").url, kept);
    }
    for other in [
        "Request URL: https://api.h.cn/js",
        "[\n  \"https://h.cn/a\"\n]",
        "location.href = 'https://h.cn/login'",
        "接口地址：https://api.h.cn/js",
        "页面请求的接口：https://api.h.cn/sign",
        "Next page: https://h.cn/list?page=2",
    ] {
        assert_eq!(Paste::read(other).url, None, "{other}");
    }
}

#[test]
fn a_page_url_without_its_scheme_is_reported() {
    let bare = URL.strip_prefix("https://").unwrap();
    for signed in [URL, bare, "https://h.cn/"] {
        let signature = sha1(&string(TICKET, NONCE, TIME, signed));
        let case = Case::new(bare, NONCE, TIME, signature);
        for case in [case.clone(), case.ticket(Role::Current, TICKET)] {
            let findings = diagnose(&case);
            assert_eq!(findings[0].code, "address_incomplete", "{findings:?}");
            assert!(!findings[0].explains());
        }
    }
}

#[test]
fn numbers_are_compared_as_javascript_writes_them() {
    let answer = |time: &str, nonce: &str, signed_time: &str, signed_nonce: &str| {
        let signature = sha1(&string(TICKET, signed_nonce, signed_time, URL));
        format!(
            "{{\"appId\":\"wx1\",\"timestamp\":{time},\"nonceStr\":{nonce},\"signature\":\"{signature}\"}}"
        )
    };
    let quoted = format!("\"{NONCE}\"");
    for time in ["1.414587457E9", "1414587457.0", "1414587457"] {
        is(
            &answer(time, &quoted, TIME, NONCE),
            true,
            true,
            "signature_is_right",
        );
        is(
            &answer(time, &quoted, "1414587457.0", NONCE),
            true,
            true,
            "timestamp_written_otherwise",
        );
    }
    let large = "9223372036854775123";
    is(
        &answer(TIME, large, TIME, large),
        true,
        true,
        "nonce_rounded",
    );
    is(
        &answer(TIME, large, TIME, "9223372036854775000"),
        true,
        true,
        "signature_is_right",
    );
    is(
        &answer(TIME, "123456789", TIME, "123456789"),
        true,
        true,
        "signature_is_right",
    );
}

#[test]
fn dumps_logs_and_xml_are_read() {
    let s = signature();
    for text in [
        format!("appId：wx1，timestamp：{TIME}，nonceStr：{NONCE}，signature：{s}"),
        format!("appId：wx1\ntimestamp：{TIME}\nnonceStr：{NONCE}\nsignature：{s}"),
        format!("array(4) {{\n  [\"appId\"]=>\n  string(3) \"wx1\"\n  [\"nonceStr\"]=>\n  string(16) \"{NONCE}\"\n  [\"timestamp\"]=>\n  int({TIME})\n  [\"signature\"]=>\n  string(40) \"{s}\"\n}}"),
        format!("array(4) {{\n  [\"appId\"] => string(3) \"wx1\"\n  [\"nonceStr\"] => string(16) \"{NONCE}\"\n  [\"timestamp\"] => int({TIME})\n  [\"signature\"] => string(40) \"{s}\"\n}}"),
        format!("signature, {s}\njsapi_ticket, jsapi_ticket\nurl, {URL}\nnonceStr, {NONCE}\ntimestamp, {TIME}"),
        format!("{{“appId”:“wx1”,“timestamp”:{TIME},“nonceStr”:“{NONCE}”,“signature”:“{s}”}}"),
        format!("“signature”：“{s}”，“nonceStr”：“{NONCE}”，“timestamp”：“{TIME}”"),
        format!("<xml><appId>wx1</appId><timestamp>{TIME}</timestamp><nonceStr>{NONCE}</nonceStr><signature>{s}</signature></xml>"),
        format!("<xml><timestamp>{TIME}</timestamp><nonceStr><![CDATA[{NONCE}]]></nonceStr><signature><![CDATA[{s}]]></signature></xml>"),
        format!("body=\"{{\\\"appId\\\":\\\"wx1\\\",\\\"timestamp\\\":{TIME},\\\"nonceStr\\\":\\\"{NONCE}\\\",\\\"signature\\\":\\\"{s}\\\"}}\""),
        format!("\u{feff}{}", config()),
        json!({"log": {"entries": [{"response": {"content": {"text": json!({"code": 0, "data": {"config": config()}}).to_string()}}}]}}).to_string(),
        format!("sign(nonceStr, timestamp, signature)\nnonceStr: {NONCE}\ntimestamp: {TIME}\nsignature: {s}"),
    ] {
        is(&text, true, true, "signature_is_right");
    }
}

#[test]
fn an_ordinary_word_before_a_colon_is_no_interface() {
    let lists = "wx.config({appId:a,jsApiList:['chooseImage','onMenuShareAppMessage']})";
    for (refused, code) in [
        ("fail: permission denied", "permission_denied"),
        ("console msg: permission denied", "permission_denied"),
        ("app.js:12 fail: permission denied", "permission_denied"),
        (
            "失败 res: the permission value is offline verifying",
            "offline_verifying",
        ),
        ("onError: permission denied", "permission_denied"),
        (
            "realAuthUrl: https://h.cn/ permission denied",
            "permission_denied",
        ),
        (
            "menu:share:appmessage permission denied",
            "permission_denied",
        ),
        ("chooseImage: fail, permission denied", "permission_denied"),
        ("scanQRCode：permission denied", "interface_not_listed"),
        (
            "scanQRCode:fail, the permission value is offline verifying",
            "interface_not_listed",
        ),
        (
            "updateAppMessageShareData:permission denied",
            "interface_not_listed",
        ),
        ("shareTimeline: permission denied", "interface_not_listed"),
    ] {
        is(&format!("{refused}\n{lists}"), false, false, code);
    }
}

#[test]
fn a_refused_payment_is_not_explained_as_the_configs_signature() {
    for (text, code) in [
        ("chooseWXPay:fail, 签名错误", "payment_parameters"),
        (
            "get_brand_wcpay_request:fail 签名错误",
            "payment_parameters",
        ),
        (
            "<xml><return_code><![CDATA[FAIL]]></return_code><return_msg><![CDATA[签名错误]]></return_msg></xml>",
            "payment_parameters",
        ),
        (
            r#"{"code":"SIGN_ERROR","message":"签名错误"}"#,
            "payment_parameters",
        ),
        (
            r#"{"errMsg":"requestPayment:fail:商户签名错误"}"#,
            "payment_parameters",
        ),
        (
            r#"{"errMsg":"chooseWXPay:fail","err_desc":"支付签名错误"}"#,
            "payment_parameters",
        ),
        ("requestPayment:fail", "payment_parameters"),
        ("chooseWXPay:fail cancel", "cancelled_by_user"),
        (
            "chooseWXPay:fail, the permission value is offline verifying",
            "offline_verifying",
        ),
        ("config:fail, 签名错误", "invalid_signature"),
        (
            "Uncaught TypeError: Cannot read property 'config' of undefined",
            "not_in_wechat",
        ),
    ] {
        is(text, false, false, code);
    }
}
