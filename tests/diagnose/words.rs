//! Error messages of clients and of WeChat: the meaning of each text, however it was copied.

use wx_jssdk::diagnose::{Case, Confidence, Finding, Paste, Role, diagnose};

use crate::backend::*;

const URL: &str = "https://h.cn/p?a=1";

fn findings_on(error: &str) -> Vec<Finding> {
    diagnose(&Case {
        error: Some(error.into()),
        ..Case::default()
    })
}

#[track_caller]
fn is_found(error: &str, code: &str) {
    let findings = findings_on(error);
    assert_eq!(
        (findings[0].code, findings[0].confidence),
        (code, Confidence::Likely),
        "{error}"
    );
    let pasted = diagnose(&Case::default().paste(Paste::read(error)));
    assert_eq!(pasted[0].code, code, "pasted: {error}");
}

/// The same texts are read by the pages' script: tests/browser/client-errors.test.mjs.
#[test]
fn the_most_common_texts_are_known() {
    let texts: Vec<(String, String)> =
        serde_json::from_str(include_str!("client_errors.json")).unwrap();
    for (error, code) in &texts {
        is_found(error, code);
    }
}

#[test]
fn an_errcode_that_only_platforms_get_is_explained_as_theirs() {
    let found = &findings_on(r#"{"errcode":40094,"errmsg":"invalid component credential"}"#)[0];
    assert!(
        found.cause.en.contains("component_access_token"),
        "{found:?}"
    );
    // The call with a token is the usual one.
    let found = &findings_on(r#"{"errcode":40001,"errmsg":"x"}"#)[0];
    assert!(found.cause.en.contains("access_token"), "{found:?}");
}

#[test]
fn an_unlisted_errcode_gets_the_advice_of_its_system() {
    for (text, place) in [
        (
            r#"{"errcode":60028,"errmsg":"x"}"#,
            "developers.weixin.qq.com",
        ),
        ("errcode: 301055", "developers.weixin.qq.com"),
        (r#"{"errcode":-2,"errmsg":"x"}"#, "developers.weixin.qq.com"),
        (
            r#"{"errcode":88000,"errmsg":"without comment privilege rid: 6b0dd591-08784a05-84ec0a40"}"#,
            "developers.weixin.qq.com",
        ),
        (
            r#"{"errcode":701008,"errmsg":"x, from ip: 1.2.3.4"}"#,
            "open.work.weixin.qq.com/devtool/query",
        ),
    ] {
        is_found(text, "wechat_errcode");
        let fix = &findings_on(text)[0].fix;
        assert!(fix.en.contains(place), "{text}: {}", fix.en);
    }
    // A backend's own code beside its answer, or a success.
    for text in [r#"{"errcode":0,"errmsg":"ok"}"#, "errcode"] {
        let findings = diagnose(&Case::default().paste(Paste::read(text)));
        assert_eq!(findings[0].code, "nothing_given", "{text}");
    }
    let answer = r#"{"errcode":1,"nonceStr":"n","timestamp":1414587457,"signature":"da39a3ee5e6b4b0d3255bfef95601890afd80709"}"#;
    let case = Case {
        url: URL.into(),
        ..Case::default()
    };
    let findings = diagnose(&case.paste(Paste::read(answer)));
    assert!(
        findings
            .iter()
            .all(|finding| finding.code != "wechat_errcode"),
        "{findings:?}"
    );
}

#[test]
fn a_permission_that_wecom_refused_points_to_wecoms_console() {
    for (text, console) in [
        ("agentConfig:permission denied", "企业微信管理后台"),
        ("agentConfig:fail_no permission", "企业微信管理后台"),
        (
            "selectExternalContact:no permission more info at https://open.work.weixin.qq.com/devtool/query?e=48002",
            "企业微信管理后台",
        ),
        ("chooseImage:permission denied", "微信开发者平台"),
    ] {
        let fix = &findings_on(text)[0].fix;
        assert!(fix.zh.contains(console), "{text}: {}", fix.zh);
    }
}

#[test]
fn errors_on_a_page_of_wecom_point_to_wecom() {
    let is_of_wecom = |text: &str, code: &str, words: &str| {
        let found = diagnose(&Case::default().paste(Paste::read(text))).remove(0);
        assert_eq!(found.code, code, "{text}");
        assert!(found.fix.zh.contains(words), "{text}: {}", found.fix.zh);
    };
    let domain = ("trusted_domain_mismatch", "网页授权及JS-SDK");
    let permission = ("permission_denied", "企业微信管理后台");
    let early = ("offline_verifying", "wx.agentConfig 的 success 回调");
    let lacking = ("function_not_exist", "升级企业微信");
    for page in [
        r#"{"appId":"ww0123456789abcdef"}"#,
        "wx.config({ beta: true, appId: 'ww0123456789abcdef' })",
    ] {
        for (text, (code, words)) in [
            ("config:invalid url domain", domain),
            ("chooseImage:permission denied", permission),
            ("63004", permission),
            (
                "chooseImage:the permission value is offline verifying",
                early,
            ),
            ("scanQRCode:fail_function_not_exist", lacking),
        ] {
            // A number counts only if it stands alone.
            if text != "63004" {
                is_of_wecom(&format!("{text}\n{page}"), code, words);
            }
            let case = Case {
                error: Some(text.into()),
                ..Case::default()
            };
            let found = &diagnose(&case.paste(Paste::read(page)))[0];
            assert_eq!(found.code, code, "{text} {page}");
        }
    }
    for (text, (code, words)) in [
        ("agentConfig:invalid url domain", domain),
        ("selectExternalContact:permission denied", permission),
        ("sendChatMessage:fail_no permission", permission),
        ("shareToExternalContact:fail no permission", permission),
        ("openUserProfile:permission denied", permission),
        (
            "getCurExternalContact:the permission value is offline verifying",
            early,
        ),
        ("agentConfig:fail_function_not_exist", lacking),
        ("getCurExternalContact:function not exist", lacking),
        // The list of wx.config does not concern WeCom's own interfaces.
        (
            "selectExternalContact:permission denied\nwx.config({ jsApiList: ['chooseImage'] })",
            permission,
        ),
    ] {
        is_of_wecom(text, code, words);
    }
    // The line is found, although only the answer beside it names WeCom.
    let beside =
        "chooseImage:permission denied\n{\"agentConfig\":{\"corpid\":\"ww1\",\"agentid\":\"2\"}}";
    assert_eq!(
        Paste::read(beside).error.as_deref(),
        Some("chooseImage:permission denied")
    );
    // The phone's own permission is the same in both clients.
    let phone = "getLocation:fail system permission denied\n{\"appId\":\"ww0123456789abcdef\"}";
    is_of_wecom(phone, "phone_permission", "微信");
    // The client script sets it in WeChat too.
    let beta = "chooseImage:permission denied\nwx.config({ beta: true, appId: appId })";
    is_of_wecom(beta, "permission_denied", "微信开发者平台");
}

#[test]
fn a_problem_of_the_signing_endpoint_is_explained_in_its_own_words() {
    let problem = r#"{"type":"urn:wx-jssdk:error:page_not_allowed","title":"x","status":403,"detail":"account \"main\" does not sign pages on \"h.cn\"","code":"page_not_allowed","hint":{"en":"Bind it.","zh":"请绑定。"}}"#;
    for text in [
        problem.to_owned(),
        format!("HTTP/1.1 403 Forbidden\n\n{problem}"),
        format!(r#"{{"status":403,"problem":{problem}}}"#),
        problem.replace(r#""status":403"#, r#""status":502,"errcode":40164"#),
    ] {
        let found = diagnose(&Case::default().paste(Paste::read(&text))).remove(0);
        assert_eq!(found.code, "page_not_allowed", "{text}");
        assert_eq!(
            found.cause.en,
            r#"account "main" does not sign pages on "h.cn""#
        );
        assert_eq!((&*found.fix.en, &*found.fix.zh), ("Bind it.", "请绑定。"));
    }
    is_found(problem, "page_not_allowed");
    let quoted = serde_json::to_string(problem).unwrap();
    for text in [
        "WxJssdkError: page_not_allowed: The page is outside the account's JS safe domains. (HTTP 403)",
        "page_not_allowed: 本页不在 JS接口安全域名内。 (HTTP 403)",
        "page_not_allowed",
        quoted.as_str(),
    ] {
        is_found(text, "page_not_allowed");
        let Finding { cause, fix, .. } = findings_on(text).remove(0);
        assert!(cause.en.ends_with("JS safe domains"), "{cause:?}");
        assert!(fix.en.ends_with('.') && fix.zh.ends_with('。'), "{fix:?}");
        assert!(!fix.to_string().contains(['`', '*']), "{fix:?}");
    }
}

#[test]
fn the_client_scripts_own_messages_are_explained() {
    for (text, code) in [
        ("no_bridge: The user agent claims WeChat.", "no_bridge"),
        (
            "Uncaught (in promise) WxJssdkError: sdk_not_loaded: jweixin could not be loaded from res.wx.qq.com or res2.wx.qq.com.",
            "sdk_not_loaded",
        ),
        (
            "WxJssdkError: endpoint_unreachable: The signing endpoint returned no signature. (HTTP 502: <html>)",
            "endpoint_unreachable",
        ),
        (
            "WxJssdkError: timeout: The client did not answer. (preVerifyJSAPI)",
            "timeout",
        ),
        (
            "timeout: 客户端没有响应。 (preVerifyJSAPI) 请重新加载页面或升级客户端。",
            "timeout",
        ),
        (
            "WxJssdkError: not_in_wechat: The page is not open in WeChat.",
            "not_in_wechat",
        ),
        (
            "WxJssdkError: url_double_encoded: the page's URL was encoded twice (HTTP 400)",
            "url_double_encoded",
        ),
    ] {
        is_found(text, code);
    }
}

#[test]
fn case_blanks_width_and_punctuation_are_ignored() {
    for (text, code) in [
        ("config:fail", "config_field_missing"),
        ("config:invalid signature", "invalid_signature"),
        ("config:fail,invalid url domain", "domain_not_bound"),
        (
            "chooseImage:the permission value is offline verifying",
            "offline_verifying",
        ),
        ("scanQRCode:function_not_exist", "function_not_exist"),
        ("config:require subscribe", "require_subscribe"),
    ] {
        let full_width = text.replace(':', "：").replace(',', "，");
        let wide: String = text
            .chars()
            .map(|c| match c {
                '!'..='~' => char::from_u32(u32::from(c) + 0xfee0).unwrap(),
                _ => '\u{3000}',
            })
            .collect();
        for error in [
            text.to_uppercase(),
            full_width.clone(),
            format!("{full_width}。"),
            wide,
            format!("  {text} . "),
            format!("\"{text}\""),
            format!("“{text}”！"),
            text.replace(':', " : "),
            text.replace(' ', "\u{a0}"),
            text.replace(' ', "_"),
            format!("{text}\u{200b}"),
            format!("{{\"errMsg\":\"{text}\"}}"),
            format!("{{errMsg: '{text}'}}"),
            format!("Error: {text}\n    at wx.error (index.js:12)"),
        ] {
            is_found(&error, code);
        }
    }
}

#[test]
fn wechats_numbers_are_known_with_their_texts_and_without() {
    for (text, words) in [
        ("60011", "可见范围"),
        ("40066", "接口路径"),
        ("40097", "参数"),
        ("40058", "参数"),
        ("81013", "touser"),
        ("40164", "白名单"),
        (
            r#"{"errcode":60011,"errmsg":"no privilege to access/modify contact/party/agent, hint: [1], from ip: 1.2.3.4"}"#,
            "可见范围",
        ),
        (
            "no privilege to access/modify contact/party/agent",
            "可见范围",
        ),
        (
            r#"{"errcode":40029,"errmsg":"invalid code, hint: [1], from ip: 1.2.3.4, more info at https://open.work.weixin.qq.com/devtool/query?e=40029"}"#,
            "多台服务器",
        ),
        ("40029 (WeCom)", "多台服务器"),
        ("企业微信 40066", "部门"),
        ("企业微信返回 errcode：４００９７", "离职"),
        (
            "invalid credential, access_token is invalid or not latest, could get access_token by getStableAccessToken, more details at https://mmbizurl.cn/s/JtxxFh33r",
            "stable",
        ),
        (
            "Invalid_credential，access_token is invalid or not latest",
            "stable",
        ),
        (
            "access_token expired rid: 6aac005a-01bfdbee-79769285",
            "校准",
        ),
        (
            "invalid ip 106.41.36.218 ipv6 ::ffff:106.41.36.218, not in whitelist rid: 68d0e15f-18b1eca2-4de8f3b9",
            "白名单",
        ),
        ("reach max api daily quota limit", "北京时间"),
        (
            "not allow to access from your ip, hint: [1], from ip: 1.2.3.4",
            "可信IP",
        ),
        (
            r#"{"errcode":40013,"errmsg":"invalid appid rid: 6aac005a-01bfdbee-79769285"}"#,
            "app_id",
        ),
        (r#"{"errcode":-1,"errmsg":"system error"}"#, "自动重试"),
    ] {
        is_found(text, "wechat_errcode");
        let fix = &findings_on(text)[0].fix;
        assert!(fix.zh.contains(words), "{text}: {}", fix.zh);
    }
    // WeCom's own script reports a code of -1, which has no meaning.
    is_found(
        r#"{"errMsg":"preVerifyJSAPI:invalid signature","errCode":-1}"#,
        "invalid_signature",
    );
}

#[test]
fn a_refused_domain_is_named() {
    for error in [
        "config:invalid url domain, https://shop.h.cn/p?a=1",
        "config:fail,Error: invalid url domain，https://shop.h.cn/p",
        r#"{"errMsg":"config:invalid url domain, https://shop.h.cn/p"}"#,
        "config:not match any reliable domain. https://shop.h.cn/ more info at https://open.work.weixin.qq.com/devtool/query?e=80001",
    ] {
        let cause = &findings_on(error)[0].cause;
        assert!(
            cause.en.ends_with(": shop.h.cn") && cause.zh.ends_with("：shop.h.cn"),
            "{error}: {cause:?}"
        );
        let paste = Paste::read(error);
        assert!(
            paste
                .url
                .as_deref()
                .is_some_and(|url| url.starts_with("https://shop.h.cn/")),
            "{paste:?}"
        );
    }
    // If the message does not name the domain, the page's own is reported.
    let case = Case {
        url: URL.into(),
        error: Some("config:invalid url domain".into()),
        ..Case::default()
    };
    assert!(diagnose(&case)[0].cause.en.ends_with(": h.cn"));
}

#[test]
fn another_port_is_named_if_the_signature_is_right_or_the_domain_refused() {
    let codes =
        |case: &Case| -> Vec<_> { diagnose(case).iter().map(|finding| finding.code).collect() };
    for (page, is_other) in [
        ("https://h.cn:8443/p", true),
        ("http://h.cn:8080/p", true),
        ("https://h.cn/p", false),
        ("http://h.cn:443/p", false),
        ("http://127.0.0.1:8080/p", false),
        ("http://localhost:8080/p", false),
    ] {
        let signature = sha1(&string(TICKET, NONCE, TIME, page));
        let case = case(page, &signature);
        let first = if is_other {
            "port_not_supported"
        } else {
            "signature_is_right"
        };
        assert_eq!(codes(&case)[0], first, "{page}");
        assert!(codes(&case).contains(&"signature_is_right"), "{page}");
        let refused = Case {
            url: page.into(),
            error: Some("config:invalid url domain".into()),
            ..Case::default()
        };
        assert_eq!(
            codes(&refused)[0] == "port_not_supported",
            is_other,
            "{page}"
        );
    }
    assert_eq!(
        findings_on("config:invalid url domain, https://h.cn:8443/p")[0].code,
        "port_not_supported"
    );
}

#[test]
fn an_interface_that_is_not_listed_is_the_cause_of_offline_verifying() {
    let signature = sha1(&string(TICKET, NONCE, TIME, URL));
    let answer = |list: &str| {
        format!(
            r#"{{"appId":"wx1","timestamp":{TIME},"nonceStr":"{NONCE}","signature":"{signature}","jsApiList":{list}}}"#
        )
    };
    let refused = "chooseImage:the permission value is offline verifying";
    for (text, code) in [
        (
            format!("{refused}\n{}", answer("[]")),
            "interface_not_listed",
        ),
        (
            format!("{refused}\n{}", answer(r#"["scanQRCode"]"#)),
            "interface_not_listed",
        ),
        (
            format!("{refused}\n{}", answer(r#"["chooseImage"]"#)),
            "offline_verifying",
        ),
        (
            format!("chooseImage:permission denied\n{}", answer("[ ]")),
            "interface_not_listed",
        ),
        (
            format!("{refused}\nwx.config({{ appId: appId, jsApiList: [] }})"),
            "interface_not_listed",
        ),
        (
            format!("{refused}\nwx.config({{ appId: appId, jsApiList: [\n  'chooseImage',\n] }})"),
            "offline_verifying",
        ),
        (
            format!("{refused}\nwx.config({{ appId: appId, jsApiList: [...list] }})"),
            "offline_verifying",
        ),
        (
            format!("{refused}\nwx.config({{ appId: appId, jsApiList: list }})"),
            "offline_verifying",
        ),
    ] {
        let case = Case {
            url: URL.into(),
            ..Case::default()
        }
        .ticket(Role::Current, TICKET)
        .paste(Paste::read(&text));
        assert_eq!(diagnose(&case)[0].code, code, "{text}");
    }
}

#[test]
fn a_refused_config_or_a_listed_interface_is_not_called_unlisted() {
    let denied = "permission denied";
    for (refused, list, code) in [
        (
            format!("config:{denied}"),
            "'scanQRCode'",
            "permission_denied",
        ),
        (format!("config:{denied}"), "", "permission_denied"),
        (
            format!("preVerifyJSAPI:fail_{denied}"),
            "'scanQRCode'",
            "permission_denied",
        ),
        (
            format!("agentConfig:{denied}"),
            "'scanQRCode'",
            "permission_denied",
        ),
        (
            "config:fail,Error: 系统错误，错误码：63004,permission denied [2026-11-04 15:50:27][]"
                .into(),
            "'scanQRCode'",
            "permission_denied",
        ),
        ("63004".into(), "'scanQRCode'", "permission_denied"),
        ("错误码：63004".into(), "'scanQRCode'", "permission_denied"),
        (
            "config:the permission value is offline verifying".into(),
            "'scanQRCode'",
            "offline_verifying",
        ),
        (
            format!("sendAppMessage:{denied}"),
            "'onMenuShareAppMessage'",
            "permission_denied",
        ),
        (
            format!("shareTimeline:{denied}"),
            "'onMenuShareTimeline'",
            "permission_denied",
        ),
        (
            format!("shareQQ:{denied}"),
            "'onMenuShareQQ'",
            "permission_denied",
        ),
        (
            format!("shareQZone:{denied}"),
            "'onMenuShareQZone'",
            "permission_denied",
        ),
        (
            format!("shareWeiboApp:{denied}"),
            "'onMenuShareWeibo'",
            "permission_denied",
        ),
        (
            format!("geoLocation:{denied}"),
            "'getLocation'",
            "permission_denied",
        ),
        (
            format!("shareTimeline:{denied}"),
            "'onMenuShareAppMessage'",
            "interface_not_listed",
        ),
        (
            format!("{denied}, more info at https://h.cn/"),
            "'chooseImage'",
            "permission_denied",
        ),
        (
            format!("errMsg: chooseImage:{denied}"),
            "'chooseImage'",
            "permission_denied",
        ),
        (
            format!("errMsg: chooseImage:{denied}"),
            "'scanQRCode'",
            "interface_not_listed",
        ),
    ] {
        let config = format!("wx.config({{ appId: 'wx1', jsApiList: [{list}] }})");
        let case = Case {
            error: Some(refused.clone()),
            ..Case::default()
        };
        let findings = diagnose(&case.paste(Paste::read(&config)));
        assert_eq!(findings[0].code, code, "{refused}, {list}");
    }
}

#[test]
fn the_ticket_is_not_requested_if_it_cannot_help() {
    let unsolved = |error: &str, tickets: &[&str]| {
        let case = Case {
            error: Some(error.into()),
            ..Case::new(URL, NONCE, TIME, sha1("something else"))
        };
        let role = case.signed_for().role();
        let case = tickets
            .iter()
            .fold(case, |case, ticket| case.ticket(role.clone(), *ticket));
        diagnose(&case)
    };
    for (error, needed) in [
        ("config:invalid signature", "ticket_needed"),
        ("config:fail,63002", "ticket_needed"),
        ("agentConfig:invalid signature", "agent_ticket_needed"),
        ("", "ticket_needed"),
    ] {
        let with = unsolved(error, &[TICKET]);
        assert_eq!(with[0].code, "no_known_mistake_fits", "{error}");
        assert_eq!(with.len(), 1, "{error}");
        assert!(with[0].fix.en.contains("cache") && with[0].fix.zh.contains("缓存"));
        let without = unsolved(error, &[]).pop().unwrap();
        assert_eq!(without.code, needed, "{error}");
        assert!(!without.fix.en.contains("error message"), "{error}");
        assert!(!without.fix.zh.contains("报错"), "{error}");
    }
    let unexplained = diagnose(&Case::new(URL, NONCE, TIME, sha1("something else"))).remove(0);
    assert!(unexplained.fix.en.ends_with("the client's error message."));
    assert!(unexplained.fix.zh.ends_with("报错文字。"));
    let refused = unsolved("config:invalid signature", &[]);
    assert_eq!(refused[0].code, "invalid_signature");
    for word in ["cache", "POST"] {
        assert!(refused[0].fix.en.contains(word), "{word}");
    }
}

#[test]
fn a_ticket_is_understood_in_quotes_and_as_the_whole_answer() {
    let signature = sha1(&string(TICKET, NONCE, TIME, "https://h.cn/p#x"));
    let answer = format!(r#"{{"errcode":0,"errmsg":"ok","ticket":"{TICKET}","expires_in":7200}}"#);
    for given in [
        TICKET.to_owned(),
        format!("\"{TICKET}\""),
        format!(" '{TICKET}',\n"),
        format!("“{TICKET}”"),
        answer.clone(),
        answer.replace('"', "\\\""),
        answer.replace('"', ""),
        answer.replace("ticket", "jsapi_ticket"),
        format!("jsapi_ticket={TICKET}"),
        format!("ticket: \"{TICKET}\";"),
    ] {
        let case = Case::new("https://h.cn/p#x", NONCE, TIME, &signature);
        assert_eq!(
            diagnose(&case.ticket(Role::Current, given.as_str()))[0].code,
            "fragment_kept",
            "{given}"
        );
    }
    for pasted in [
        answer.clone(),
        format!("ticket: \"{TICKET}\""),
        format!("config:invalid signature\n{answer}"),
    ] {
        let paste = Paste::read(&pasted);
        assert!(
            !format!("{paste:?}").contains(TICKET),
            "a ticket is not printed"
        );
        let case = Case::new("https://h.cn/p#x", NONCE, TIME, &signature).paste(paste);
        let findings = diagnose(&case);
        assert_eq!(findings[0].code, "fragment_kept", "{pasted}");
        no_ticket_is_shown(&findings);
    }
}

/// The documents' tables name texts that the doctor knows.
#[test]
fn every_error_that_the_readmes_explain_is_in_the_table() {
    for document in [
        include_str!("../../README.md"),
        include_str!("../../README.zh-CN.md"),
    ] {
        let texts = document
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
            .filter(|text| text.starts_with("config:") || text.starts_with('…'));
        for text in texts {
            let known = findings_on(&text.replace('…', "chooseImage"));
            assert!(known[0].explains(), "{text}");
        }
    }
}

/// The pages and the terminal print the texts unescaped.
#[test]
fn no_text_holds_markup() {
    for source in [
        include_str!("../../src/diagnose/causes.rs"),
        include_str!("../../src/diagnose/verdicts.rs"),
        include_str!("../../src/diagnose/client_errors/table.rs"),
        include_str!("../../src/error/codes/weixin.rs"),
        include_str!("../../src/error/codes/qyapi.rs"),
    ] {
        let mut texts = source
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        assert_eq!(texts.find(|line| line.contains('`')), None);
    }
}

#[test]
fn source_code_and_numbers_beside_an_answer_are_not_the_clients_message() {
    let signature = sha1(&string(TICKET, NONCE, TIME, URL));
    let answer = format!(
        r#"{{"timestamp":{TIME},"nonceStr":"{NONCE}","signature":"{signature}","price":40093,"count":80001}}"#
    );
    for beside in [
        "",
        "// 分享标题, 默认卡片\nwx.updateAppMessageShareData({ title: '默认', link });",
        "wx.config({ openTagList: ['wx-open-launch-app'], jsApiList: ['chooseImage'] }); // not used",
        r#"{"errmsg":"缺少参数 url"}"#,
    ] {
        let text = format!("{answer}\n{beside}");
        let case = Case {
            url: URL.into(),
            ..Case::default()
        }
        .ticket(Role::Current, TICKET)
        .paste(Paste::read(&text));
        assert_eq!(case.error, None, "{text}");
        assert_eq!(diagnose(&case)[0].code, "signature_is_right", "{text}");
    }
}
