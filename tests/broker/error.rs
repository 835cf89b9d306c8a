//! How WeChat's refusals are handled: the next action, its delay, and the texts for people.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use wx_jssdk::clock::UnixTime;
use wx_jssdk::credential::Kind;
use wx_jssdk::error::{
    Advice, CallAuth, Class, Error, Failure, PageError, ProxyProblem, System, Text, UpstreamError,
    Wait, codes, explain,
};

use CallAuth::{WithComponentToken, WithPushedTicket, WithSecret, WithToken};
use System::{Qyapi, Weixin};

/// Every code that the upstream contract names for official accounts, mini programs, pages and third-party platforms.
const WEIXIN_CODES: &[i64] = &[
    -1, 40001, 40002, 40013, 40014, 40029, 40030, 40048, 40066, 40094, 40097, 40125, 40164, 40201,
    40202, 40203, 40243, 41001, 41002, 41004, 41018, 41019, 41020, 41021, 42001, 42002, 42003,
    42006, 42007, 42009, 43002, 43003, 44002, 45009, 45011, 45035, 47001, 48001, 48004, 48006,
    50004, 50005, 50007, 61000, 61001, 61002, 61003, 61004, 61005, 61006, 61007, 61009, 61010,
    61011, 61012, 61013, 61014, 61015, 61016, 61017, 61023, 61024, 61028, 61029, 61030, 63001,
    63002, 63003, 63004, 76001, 76003, 76021, 76022, 89501, 89502, 89503, 89504, 89505, 89506,
    89507,
];

/// The same for WeCom.
const QYAPI_CODES: &[i64] = &[
    -1, 40001, 40013, 40014, 40029, 40056, 40058, 40066, 40082, 40091, 40093, 40097, 41001, 41002,
    41004, 41011, 42001, 42007, 42009, 42012, 43003, 45009, 45033, 48002, 50001, 50003, 60011,
    60020, 80001, 81013, 85004, 85005, 301002, 301007,
];

const HOUR: Wait = Wait::For(Duration::from_secs(3600));
const DAY: Wait = Wait::For(Duration::from_secs(86400));

fn refused(system: System, auth: CallAuth, errcode: i64, errmsg: &str) -> UpstreamError {
    failed(
        system,
        auth,
        Failure::Refused {
            errcode,
            errmsg: errmsg.to_owned(),
            blocked_until: None,
            few_calls: None,
        },
    )
}

fn failed(system: System, auth: CallAuth, failure: Failure) -> UpstreamError {
    UpstreamError {
        endpoint: "/cgi-bin/token",
        system,
        auth,
        failure,
        also_seen: Vec::new(),
    }
}

/// The action for a code and its delay.
fn policy(system: System, auth: CallAuth, errcode: i64) -> (Class, Wait) {
    let error = refused(system, auth, errcode, "");
    (error.class(), error.wait())
}

fn unknown(system: System) -> &'static Advice {
    explain(system, WithSecret, 1_234_567)
}

fn is_cjk(c: char) -> bool {
    // CJK punctuation, ideographs, compatibility ideographs, full-width forms.
    matches!(c, '\u{3000}'..='\u{303f}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}')
}

fn speaks_both_languages(what: &str, advice: &Advice) {
    for (part, hint) in [("cause", &advice.cause), ("fix", &advice.fix)] {
        assert!(
            !hint.en.is_empty() && !hint.zh.is_empty(),
            "{what}: the {part} is empty"
        );
        assert!(
            !hint.en.chars().any(is_cjk),
            "{what}: Chinese in the English {part}: {}",
            hint.en
        );
        assert!(
            hint.zh.chars().any(is_cjk),
            "{what}: no Chinese in the Chinese {part}: {}",
            hint.zh
        );
        for text in [&hint.en, &hint.zh] {
            assert!(
                !text.contains("  ") && text.trim() == text.as_ref(),
                "{what}: stray blanks in the {part}: {text}"
            );
        }
    }
    assert!(advice.fix.en.ends_with('.'), "{what}: {}", advice.fix.en);
    assert!(advice.fix.zh.ends_with('。'), "{what}: {}", advice.fix.zh);
    assert!(
        !advice.cause.en.ends_with('.'),
        "{what}: a cause is a clause: {}",
        advice.cause.en
    );
    assert!(
        !advice.cause.zh.ends_with('。'),
        "{what}: a cause is a clause: {}",
        advice.cause.zh
    );
}

// Checks of the whole table.

#[test]
fn every_code_of_the_reference_has_a_row() {
    for (system, errcodes) in [(Weixin, WEIXIN_CODES), (Qyapi, QYAPI_CODES)] {
        for &errcode in errcodes {
            let known = [WithSecret, WithToken, WithComponentToken]
                .into_iter()
                .any(|auth| explain(system, auth, errcode) != unknown(system));
            assert!(known, "{system:?} {errcode}");
        }
    }
}

#[test]
fn the_list_of_the_reference_above_is_complete() {
    let rows: HashSet<_> = codes::all()
        .map(|(system, _, errcode, _)| (system, errcode))
        .collect();
    let listed: HashSet<_> = [(Weixin, WEIXIN_CODES), (Qyapi, QYAPI_CODES)]
        .into_iter()
        .flat_map(|(system, errcodes)| errcodes.iter().map(move |&errcode| (system, errcode)))
        .collect();
    assert_eq!(rows, listed);
}

#[test]
fn every_row_is_found_by_its_own_code() {
    for (system, auth, errcode, advice) in codes::all() {
        for auth in auth.map_or(vec![WithSecret, WithToken], |only| vec![only]) {
            assert!(
                std::ptr::eq(explain(system, auth, errcode), advice),
                "{system:?} {auth:?} {errcode}"
            );
        }
    }
}

#[test]
fn no_row_is_listed_twice() {
    let mut seen = HashSet::new();
    for (system, auth, errcode, _) in codes::all() {
        assert_ne!(errcode, 0, "0 is success");
        for auth in auth.map_or(vec![WithSecret, WithToken], |only| vec![only]) {
            assert!(
                seen.insert((system, auth, errcode)),
                "{system:?} {auth:?} {errcode} has two rows"
            );
        }
    }
}

#[test]
fn every_row_has_both_languages() {
    for (system, auth, errcode, advice) in codes::all() {
        speaks_both_languages(&format!("{system:?} {auth:?} {errcode}"), advice);
    }
}

#[test]
fn every_fix_is_short_enough_to_be_read() {
    for (system, _, errcode, advice) in codes::all() {
        assert!(
            advice.fix.en.chars().count() <= 300,
            "{system:?} {errcode}: {}",
            advice.fix.en
        );
        assert!(
            advice.fix.zh.chars().count() <= 150,
            "{system:?} {errcode}: {}",
            advice.fix.zh
        );
    }
}

#[test]
fn a_stale_token_is_only_blamed_for_calls_made_with_a_token() {
    for (system, auth, errcode, advice) in codes::all() {
        if advice.class == Class::StaleToken {
            assert!(
                matches!(auth, Some(WithToken | WithComponentToken)),
                "{system:?} {errcode}: a token call has no token to refresh"
            );
        }
    }
}

#[test]
fn setup_failures_are_never_retried_quickly() {
    for (system, _, errcode, advice) in codes::all().filter(|row| row.3.class == Class::Setup) {
        assert!(
            matches!(advice.wait, Wait::Slow | Wait::For(_)),
            "{system:?} {errcode} {:?}",
            advice.wait
        );
    }
}

#[test]
fn an_unknown_code_is_retried_rarely_and_says_where_to_look() {
    for (system, table) in [(Weixin, "“全局返回码”"), (Qyapi, "“全局错误码”")] {
        for errcode in [i64::MIN, -2, 1, 40_000, 1_234_567, i64::MAX] {
            for auth in [WithSecret, WithToken] {
                let advice = explain(system, auth, errcode);
                assert_eq!(
                    (advice.class, advice.wait),
                    (Class::Setup, Wait::Slow),
                    "{system:?} {errcode}"
                );
                assert!(
                    advice.fix.en.contains("global return-code table")
                        && advice.fix.zh.contains(table)
                );
                speaks_both_languages("unknown", advice);
            }
        }
    }
}

#[test]
fn every_fix_of_a_wait_of_an_hour_or_a_day_says_how_to_end_it() {
    for (system, auth, errcode, advice) in codes::all() {
        if matches!(advice.wait, Wait::For(_)) {
            assert!(
                advice.fix.en.contains("\"refresh now\"") && advice.fix.zh.contains("“立即刷新”"),
                "{system:?} {auth:?} {errcode}: {:?}",
                advice.fix
            );
        }
    }
}

// Actions for codes.

#[test]
fn errcode_40001_means_a_wrong_secret_or_a_dead_token_depending_on_the_call() {
    assert_eq!(
        policy(Weixin, WithSecret, 40001),
        (Class::Setup, Wait::Slow)
    );
    assert_eq!(policy(Weixin, WithToken, 40001).0, Class::StaleToken);
    assert!(
        explain(Weixin, WithSecret, 40001)
            .cause
            .en
            .contains("AppSecret")
    );
    let foreign = explain(Weixin, WithToken, 40001);
    assert!(
        foreign.cause.en.contains("another server"),
        "{}",
        foreign.cause.en
    );
    assert!(
        foreign.fix.en.contains("token_mode = \"stable\"")
            && foreign.fix.zh.contains("token_mode = \"stable\"")
    );
}

#[test]
fn a_wrong_secret_is_never_retried_rapidly() {
    for errcode in [40001, 40013, 40125, 41002, 41004] {
        assert_eq!(
            policy(Weixin, WithSecret, errcode),
            (Class::Setup, Wait::Slow),
            "{errcode}"
        );
    }
    for errcode in [40001, 40013, 40091, 41002, 41004] {
        assert_eq!(
            policy(Qyapi, WithSecret, errcode),
            (Class::Setup, Wait::Slow),
            "{errcode}"
        );
    }
}

#[test]
fn an_open_platforms_own_id_and_secret_are_sought_in_its_own_console() {
    for (auth, errcode) in [
        (WithPushedTicket, 40013),
        (WithComponentToken, 40013),
        (WithPushedTicket, 40125),
    ] {
        let fix = &explain(Weixin, auth, errcode).fix;
        assert!(
            fix.en.contains("open.weixin.qq.com") && fix.zh.contains("第三方平台"),
            "{errcode}: {fix:?}"
        );
        assert!(
            !fix.en.contains("app_id") && !fix.zh.contains("公众号"),
            "{errcode}: {fix:?}"
        );
    }
}

#[test]
fn wecom_names_the_ban_after_wrong_secrets_for_a_refused_token_call_only() {
    let token_call = explain(Qyapi, WithSecret, 45009);
    assert_eq!((token_call.class, token_call.wait), (Class::Quota, HOUR));
    assert!(
        token_call.cause.en.contains("wrong secret") && token_call.fix.en.contains("40001"),
        "{token_call:?}"
    );
    assert!(
        token_call.cause.zh.contains("Secret") && token_call.fix.zh.contains("40001"),
        "{token_call:?}"
    );
    let cause = &explain(Qyapi, WithToken, 45009).cause;
    assert!(!cause.en.contains("secret"), "{cause:?}");
}

#[test]
fn wecom_is_never_asked_for_a_new_token_because_of_a_bad_secret() {
    assert_eq!(
        policy(Qyapi, WithToken, 40001),
        (Class::Setup, Wait::Slow),
        "fetching again gets the IP banned for an hour"
    );
}

#[test]
fn a_dead_token_is_refreshed_once() {
    for (system, errcode) in [
        (Weixin, 40001),
        (Weixin, 40014),
        (Weixin, 42001),
        (Qyapi, 40014),
        (Qyapi, 42001),
    ] {
        assert_eq!(
            policy(system, WithToken, errcode).0,
            Class::StaleToken,
            "{system:?} {errcode}"
        );
    }
}

#[test]
fn a_missing_token_is_the_callers_mistake_and_not_a_dead_token() {
    assert_eq!(policy(Weixin, WithToken, 41001).0, Class::Setup);
    assert_eq!(policy(Qyapi, WithToken, 41001).0, Class::Setup);
}

#[test]
fn errors_of_user_suite_and_platform_tokens_cause_no_account_refresh() {
    for errcode in [42002, 42003, 42006, 42007, 40029, 40030, 61023] {
        assert_eq!(
            policy(Weixin, WithToken, errcode).0,
            Class::Setup,
            "{errcode}"
        );
    }
    for errcode in [40082, 42007, 42009] {
        assert_eq!(
            policy(Qyapi, WithToken, errcode).0,
            Class::Setup,
            "{errcode}"
        );
    }
}

#[test]
fn the_two_systems_mean_different_things_by_the_same_code() {
    for errcode in [40001, 42007, 42009, 45009] {
        assert_ne!(
            explain(Weixin, WithToken, errcode).cause,
            explain(Qyapi, WithToken, errcode).cause,
            "{errcode}"
        );
    }
    assert!(
        explain(Weixin, WithToken, 42007)
            .cause
            .en
            .contains("password")
    );
    assert!(
        explain(Qyapi, WithToken, 42007)
            .cause
            .en
            .contains("pre_auth_code")
    );
}

#[test]
fn only_a_refused_call_of_an_accounts_token_hints_at_a_mini_program() {
    for (auth, hints) in [
        (WithToken, true),
        (WithSecret, false),
        (WithComponentToken, false),
    ] {
        let fix = &explain(Weixin, auth, 48001).fix;
        for text in [&fix.en, &fix.zh] {
            assert_eq!(text.contains("platform = \"mini\""), hints, "{auth:?}");
        }
    }
}

#[test]
fn a_wecom_token_is_not_checked_against_the_agent_id() {
    // No call carries the agent_id.
    let advice = explain(Qyapi, WithToken, 40014);
    assert!(!advice.fix.en.contains("agent_id") && !advice.fix.zh.contains("agent_id"));
}

#[test]
fn a_code_of_one_system_is_unknown_to_the_other() {
    assert_eq!(explain(Qyapi, WithSecret, 40164), unknown(Qyapi));
    assert_eq!(explain(Weixin, WithToken, 60020), unknown(Weixin));
}

#[test]
fn an_exhausted_day_waits_for_the_next_and_a_wecom_block_for_an_hour() {
    for auth in [WithSecret, WithToken, WithComponentToken] {
        assert_eq!(policy(Weixin, auth, 45009), (Class::Quota, Wait::NextDay));
        assert_eq!(policy(Qyapi, auth, 45009), (Class::Quota, HOUR));
    }
    assert_eq!(
        policy(Weixin, WithToken, 48006),
        (Class::Quota, Wait::NextDay)
    );
}

#[test]
fn transient_failures_are_retried_automatically() {
    assert_eq!(
        policy(Weixin, WithSecret, -1),
        (Class::Transient, Wait::Backoff)
    );
    assert_eq!(
        policy(Qyapi, WithSecret, -1),
        (Class::Transient, Wait::Backoff)
    );
    assert_eq!(
        policy(Qyapi, WithToken, 45033),
        (Class::Transient, Wait::Backoff)
    );
    assert_eq!(
        policy(Weixin, WithSecret, 45011),
        (Class::Transient, Wait::NextMinute)
    );
}

#[test]
fn an_administrators_refusal_is_respected_as_long_as_wechat_does() {
    assert_eq!(policy(Weixin, WithSecret, 89507), (Class::Setup, HOUR));
    assert_eq!(policy(Weixin, WithSecret, 89506), (Class::Setup, DAY));
    assert_eq!(
        policy(Weixin, WithSecret, 89503),
        (Class::Setup, Wait::Slow)
    );
}

#[test]
fn the_setup_faults_name_the_place_in_the_console() {
    for errcode in [40125, 40164, 40243] {
        let fix = &explain(Weixin, WithSecret, errcode).fix;
        assert!(
            fix.zh.contains("微信开发者平台") || fix.zh.contains("微信公众平台"),
            "{errcode}: {}",
            fix.zh
        );
    }
    for errcode in [40001, 40013, 60020] {
        assert!(
            explain(Qyapi, WithSecret, errcode)
                .fix
                .zh
                .contains("企业微信管理后台"),
            "{errcode}"
        );
    }
}

// The IP address in a refusal.

#[test]
fn the_ip_is_read_from_an_official_accounts_refusal() {
    let msg = "invalid ip 106.41.36.218 ipv6 ::ffff:106.41.36.218, not in whitelist rid: 68d0e15f-18b1eca2-4de8f3b9";
    assert_eq!(
        refused(Weixin, WithSecret, 40164, msg).seen_ip(),
        Some("106.41.36.218")
    );
    let old = "invalid ip 106.41.36.218, not in whitelist hint: [abc]";
    assert_eq!(
        refused(Weixin, WithSecret, 40164, old).seen_ip(),
        Some("106.41.36.218")
    );
}

#[test]
fn the_ip_is_read_from_wecoms_refusal() {
    let msg = "not allow to access from your ip, hint: [1589168158_51_1be5], from ip: 203.0.113.9, more info at \
               https://open.work.weixin.qq.com/devtool/query?e=60020";
    assert_eq!(
        refused(Qyapi, WithToken, 60020, msg).seen_ip(),
        Some("203.0.113.9")
    );
    let v6 = "not allow to access from your ip, hint: [1], from ip: 2001:db8::7, more info at https://example.com";
    assert_eq!(
        refused(Qyapi, WithToken, 60020, v6).seen_ip(),
        Some("2001:db8::7")
    );
}

#[test]
fn the_ip_is_read_from_a_third_party_platforms_refusal() {
    let msg =
        "access clientip is not registered requestIP: 203.0.113.9 rid: 638fefcc-674a03e0-161bfbc2";
    assert_eq!(
        refused(Weixin, WithToken, 61004, msg).seen_ip(),
        Some("203.0.113.9")
    );
}

#[test]
fn no_ip_is_made_up() {
    for msg in [
        "",
        "invalid ip ",
        "invalid ip not-an-ip ipv6",
        "from ip: 999.1.1.1, more",
        "invalid appid rid: 1-2-3",
        "from ip:",
    ] {
        assert_eq!(
            refused(Weixin, WithSecret, 40164, msg).seen_ip(),
            None,
            "{msg:?}"
        );
    }
    assert_eq!(
        failed(
            Weixin,
            WithSecret,
            Failure::Unreachable("from ip: 203.0.113.9".into())
        )
        .seen_ip(),
        None
    );
}

#[test]
fn the_fix_names_the_ip_to_allow() {
    let cases = [
        (
            Weixin,
            40164,
            "invalid ip 203.0.113.9 ipv6 ::ffff:203.0.113.9, not in whitelist rid: 1-2-3",
        ),
        (
            Weixin,
            61004,
            "access clientip is not registered requestIP: 203.0.113.9 rid: 1-2-3",
        ),
        (
            Qyapi,
            60020,
            "not allow to access from your ip, hint: [1], from ip: 203.0.113.9, more info at https://example.com",
        ),
    ];
    for (system, errcode, msg) in cases {
        let fix = refused(system, WithSecret, errcode, msg).fix_for_operator();
        assert!(
            fix.en.ends_with(". The IP to allow: 203.0.113.9"),
            "{}",
            fix.en
        );
        assert!(
            fix.zh.ends_with("。需要加入的 IP：203.0.113.9"),
            "{}",
            fix.zh
        );
        assert!(
            fix.en.contains("Add it") && fix.zh.contains("请加入"),
            "{errcode}"
        );
    }
}

#[test]
fn several_addresses_are_all_named_and_reported_as_a_changing_egress() {
    let msg = "invalid ip 203.0.113.9 ipv6 ::ffff:203.0.113.9, not in whitelist rid: 1-2-3";
    let mut error = refused(Weixin, WithSecret, 40164, msg);
    let others = ["203.0.113.10", "203.0.113.9", "2001:db8::7"];
    error.also_seen = others.map(|ip| ip.parse().unwrap()).to_vec();
    let fix = error.fix_for_operator();
    let list = "203.0.113.9, 203.0.113.10, 2001:db8::7";
    assert!(
        fix.en.contains("not fixed") && fix.en.ends_with(&format!("The IPs to allow: {list}")),
        "{}",
        fix.en
    );
    assert!(
        fix.zh.contains("出口 IP 不固定")
            && fix
                .zh
                .ends_with(&format!("需要加入的 IP：{}", list.replace(", ", "、"))),
        "{}",
        fix.zh
    );
    assert!(!error.fix().en.contains("203.0.113"), "safe for the public");
    let other = refused(Weixin, WithSecret, 40013, "invalid appid");
    let other = UpstreamError {
        also_seen: error.also_seen,
        ..other
    };
    assert!(other.ips_to_allow().is_empty());
}

#[test]
fn hints_name_the_causes_that_operators_overlook() {
    for (system, errcode, en, zh) in [
        (Qyapi, 60020, "trusted domain", "可信域名"),
        (Qyapi, 60020, "callback", "接收消息服务器"),
        (Weixin, 48001, "personal subscription account", "个人订阅号"),
        (Weixin, 40013, "gh_", "gh_"),
    ] {
        let fix = &explain(system, WithToken, errcode).fix;
        assert!(fix.en.contains(en), "{errcode}: {}", fix.en);
        assert!(fix.zh.contains(zh), "{errcode}: {}", fix.zh);
    }
}

#[test]
fn an_ip_that_needs_no_allowing_stays_out_of_the_fix() {
    let msg = "invalid credential, hint: [1686402237354962763423746], from ip: 203.0.113.9, more info at https://example.com";
    let error = refused(Qyapi, WithSecret, 40001, msg);
    assert_eq!(error.seen_ip(), Some("203.0.113.9"));
    assert_eq!(
        error.fix_for_operator(),
        explain(Qyapi, WithSecret, 40001).fix
    );
}

#[test]
fn an_allow_list_fix_is_grammatical_when_wechat_names_no_ip() {
    let error = refused(Weixin, WithSecret, 40164, "not in whitelist");
    assert_eq!(
        error.fix_for_operator(),
        explain(Weixin, WithSecret, 40164).fix
    );
}

// Failures without an answer of WeChat.

fn unanswered() -> [Failure; 8] {
    let why = || "x".to_owned();
    let not_json = |status| Failure::NotJson {
        status,
        what: why(),
    };
    [
        not_json(200),
        not_json(404),
        not_json(502),
        Failure::Untrusted(why()),
        Failure::Unreachable(why()),
        Failure::ReplyLost(why()),
        Failure::Unusable(why()),
        Failure::StoreUnreachable(why()),
    ]
}

#[test]
fn an_http_5xx_without_json_is_not_explained_as_a_login_page() {
    let failed = |status| {
        let what = "0 bytes that are not a JSON object".to_owned();
        failed(Weixin, WithSecret, Failure::NotJson { status, what })
    };
    for status in [500, 502, 503, 599] {
        let (cause, fix) = (failed(status).cause(), failed(status).fix());
        assert!(
            cause.en.contains("5xx") && cause.zh.contains("5xx"),
            "{cause:?}"
        );
        for text in [&cause.en, &fix.en] {
            assert!(
                !text.contains("login") && !text.contains("portal"),
                "{text}"
            );
        }
    }
    let fix = failed(302).fix();
    assert!(fix.en.contains("portal"), "{fix:?}");
    assert!(
        !fix.en.contains("The log has the beginning"),
        "an empty body has none: {fix:?}"
    );
}

#[test]
fn a_store_that_does_not_answer_is_not_reported_as_wechat() {
    let error = failed(
        Weixin,
        WithSecret,
        Failure::StoreUnreachable("no connection within 5 s".into()),
    );
    for said in [error.cause(), error.fix_for_operator()] {
        assert!(
            !said.en.contains("qq.com") && !said.en.contains("proxy") && !said.zh.contains("代理"),
            "{said:?}"
        );
        assert!(
            said.en.contains("Redis") && said.zh.contains("Redis"),
            "{said:?}"
        );
    }
    assert!(
        error.fix().en.contains("redis-cli ping") && error.fix().zh.contains("store.url"),
        "{:?}",
        error.fix()
    );
    assert!(!error.may_have_been_carried_out(), "nothing was called");
}

#[test]
fn a_block_that_is_remembered_ends_at_its_own_time() {
    let until = UnixTime(1_767_225_600);
    for system in [Weixin, Qyapi] {
        let error = failed(system, WithToken, Failure::spent_until(until, until, None));
        assert_eq!(
            (error.class(), error.wait(), error.errcode()),
            (Class::Quota, Wait::Until(until), Some(45009))
        );
        assert_eq!(
            error.spent_until(UnixTime(0)),
            None,
            "the store has it already, so it is not stored again"
        );
        assert!(
            error.to_string().ends_with("before 2026-01-01T00:00:00Z"),
            "{error}"
        );
    }
}

#[test]
fn a_transport_failure_is_retried_with_backoff() {
    for failure in unanswered() {
        for system in [Weixin, Qyapi] {
            let error = failed(system, WithSecret, failure.clone());
            assert_eq!(
                (error.class(), error.wait(), error.errcode()),
                (Class::Transient, Wait::Backoff, None),
                "{failure:?}"
            );
        }
    }
}

#[test]
fn a_transport_failure_is_explained_in_both_languages() {
    let hints = |failure| {
        let error = failed(Weixin, WithSecret, failure);
        (error.cause(), error.fix())
    };
    let all = unanswered().map(hints);
    for (cause, fix) in &all {
        let advice = Advice {
            class: Class::Transient,
            wait: Wait::Backoff,
            cause: cause.clone(),
            fix: fix.clone(),
        };
        speaks_both_languages("transport", &advice);
    }
    let causes: HashSet<_> = all.iter().map(|(cause, _)| cause.en.clone()).collect();
    assert_eq!(
        causes.len(),
        7,
        "each kind of failure has its own cause; a 404 has another fix"
    );
}

#[test]
fn the_fix_of_an_unreachable_host_names_the_host_and_setting_of_its_system() {
    let no_route = || Failure::Proxy {
        problem: ProxyProblem::NoRoute,
        said: "x".into(),
    };
    for (system, host, setting) in [
        (Weixin, "https://api.weixin.qq.com/", "upstream.weixin"),
        (Qyapi, "https://qyapi.weixin.qq.com/", "upstream.qyapi"),
    ] {
        let direct = failed(system, WithSecret, Failure::Unreachable("x".into())).fix();
        let proxied = failed(system, WithSecret, no_route()).fix();
        for text in [&direct.en, &direct.zh, &proxied.en, &proxied.zh] {
            assert!(text.contains(host), "{text}");
        }
        for text in [&direct.en, &direct.zh] {
            // Also for https:// to a server without TLS.
            assert!(text.contains(setting) && text.contains("http "), "{text}");
        }
    }
}

#[test]
fn the_fix_for_check_says_to_run_it_again_and_never_that_a_call_is_retried() {
    let rows = codes::all().map(|(system, auth, errcode, _)| {
        refused(system, auth.unwrap_or(WithSecret), errcode, "system error")
    });
    let proxies = [
        ProxyProblem::Unreachable,
        ProxyProblem::TimedOut,
        ProxyProblem::NoRoute,
    ];
    let proxies = proxies.map(|problem| Failure::Proxy {
        problem,
        said: "x".into(),
    });
    let unanswered = unanswered().into_iter().chain(proxies);
    let unanswered = unanswered.map(|failure| failed(Weixin, WithSecret, failure));
    for error in rows.chain(unanswered) {
        let (service, check) = (error.fix_for_operator(), error.fix_for_check());
        let is_automatic = |fix: &Text| {
            let words = ["retried", "automatically", "by itself"];
            let en = words.into_iter().any(|word| fix.en.contains(word));
            (en, fix.zh.contains("会自动"))
        };
        assert_eq!(is_automatic(&check), (false, false), "{error}: {check:?}");
        let (is_retried, zh) = is_automatic(&service);
        assert_eq!(is_retried, zh, "{service:?}");
        assert_eq!(is_retried, check.en.contains("un check again"), "{check:?}");
        assert_eq!(is_retried, check.zh.contains("再次运行 check"), "{check:?}");
    }
}

#[test]
fn only_a_call_with_a_broken_answer_may_have_been_carried_out() {
    assert!(
        failed(Weixin, WithSecret, Failure::ReplyLost("timeout".into()))
            .may_have_been_carried_out()
    );
    assert!(
        failed(Weixin, WithSecret, Failure::Unusable("empty value".into()))
            .may_have_been_carried_out()
    );
    assert!(
        !failed(Weixin, WithSecret, Failure::Unreachable("refused".into()))
            .may_have_been_carried_out()
    );
    assert!(!refused(Weixin, WithSecret, -1, "system error").may_have_been_carried_out());
}

#[test]
fn a_printed_failure_names_the_path_and_no_url() {
    let errors = [
        failed(
            Weixin,
            WithSecret,
            Failure::Unreachable("connection refused".into()),
        ),
        failed(
            Weixin,
            WithSecret,
            Failure::ReplyLost("the body ended early".into()),
        ),
        failed(Weixin, WithSecret, Failure::Unusable("not JSON".into())),
        refused(
            Weixin,
            WithSecret,
            40125,
            "invalid appsecret rid: 64b79aff-477f027c-06415867",
        ),
    ];
    for error in errors {
        let text = error.to_string();
        assert!(text.contains("/cgi-bin/token"), "{text}");
        assert!(
            !text.contains("://") && !text.contains('?') && !text.contains("qq.com"),
            "{text}"
        );
    }
}

#[test]
fn a_printed_refusal_carries_wechats_code_and_words() {
    let text = refused(
        Weixin,
        WithSecret,
        40013,
        "invalid appid rid: 6aac005a-01bfdbee-79769285",
    )
    .to_string();
    assert_eq!(
        text,
        "/cgi-bin/token refused: 40013 invalid appid rid: 6aac005a-01bfdbee-79769285"
    );
}

// Errors that the broker returns to its callers.

fn upstream(error: UpstreamError, retry_after: u64) -> Error {
    Error::Upstream {
        account: "main".into(),
        kind: Some(Kind::JsapiTicket),
        error: Arc::new(error),
        served: false,
        retry_at: UnixTime(1_800_000_000),
        retry_after: Duration::from_secs(retry_after),
    }
}

#[test]
fn an_upstream_failure_is_named_by_its_class() {
    let code = |system, auth, errcode| upstream(refused(system, auth, errcode, ""), 1).code();
    assert_eq!(code(Weixin, WithSecret, 40125), "account_misconfigured");
    assert_eq!(code(Weixin, WithSecret, 40164), "account_misconfigured");
    assert_eq!(code(Weixin, WithSecret, 45009), "upstream_quota");
    assert_eq!(code(Weixin, WithSecret, -1), "upstream_unavailable");
    assert_eq!(code(Weixin, WithToken, 40001), "upstream_unavailable");
    assert_eq!(code(Qyapi, WithToken, 40001), "account_misconfigured");
    assert_eq!(
        upstream(
            failed(Weixin, WithSecret, Failure::ReplyLost(String::new())),
            1
        )
        .code(),
        "upstream_unavailable"
    );
}

#[test]
fn stable_mode_is_advised_only_where_it_is_not_in_use() {
    let fix_of = |endpoint| {
        let error = UpstreamError {
            endpoint,
            ..refused(Weixin, WithSecret, 45009, "")
        };
        error.fix()
    };
    let (classic, stable) = (fix_of("/cgi-bin/token"), fix_of("/cgi-bin/stable_token"));
    for text in [&classic.en, &classic.zh] {
        assert!(text.contains("token_mode = \"stable\""), "{text}");
    }
    for text in [&stable.en, &stable.zh] {
        assert!(!text.contains("token_mode"), "{text}");
    }
}

#[test]
fn every_other_error_has_its_own_name() {
    let (account, kind) = (|| "main".to_owned(), Kind::JsapiTicket);
    let retry_after = Duration::from_secs(30);
    let cases = [
        (
            Error::UnknownAccount { account: account() },
            "unknown_account",
        ),
        (
            Error::AccountsNotLoaded {
                account: account(),
                retry_after,
            },
            "accounts_not_loaded",
        ),
        (Error::AccountRequired, "account_required"),
        (
            Error::UnsupportedCredential {
                account: account(),
                platform: "mini",
                kind,
            },
            "unsupported_credential",
        ),
        (Error::Page(PageError::Empty), "missing_url"),
        (Error::Page(PageError::DoubleEncoded), "url_double_encoded"),
        (Error::Page(PageError::NotHttp), "bad_url"),
        (Error::Page(PageError::TooLong), "bad_url"),
        (
            Error::PageNotAllowed {
                account: account(),
                platform: "official",
                host: "example.net".into(),
            },
            "page_not_allowed",
        ),
        (
            Error::RateLimited {
                account: account(),
                kind,
                retry_after,
            },
            "rate_limited",
        ),
        (
            Error::Interrupted {
                account: account(),
                kind,
            },
            "upstream_unavailable",
        ),
    ];
    for (error, code) in cases {
        assert_eq!(error.code(), code, "{error}");
        assert!(error.upstream().is_none(), "{error}");
    }
}

#[test]
fn a_caller_is_told_how_long_to_wait_only_where_waiting_helps() {
    let retry_after = Duration::from_secs(30);
    let limited = Error::RateLimited {
        account: "main".into(),
        kind: Kind::AccessToken,
        retry_after,
    };
    assert_eq!(limited.retry_after(), Some(retry_after));
    assert_eq!(
        upstream(refused(Weixin, WithSecret, 45009, ""), 7).retry_after(),
        Some(Duration::from_secs(7))
    );
    let interrupted = Error::Interrupted {
        account: "main".into(),
        kind: Kind::AccessToken,
    };
    assert_eq!(interrupted.retry_after(), Some(Duration::from_secs(1)));
    assert_eq!(Error::Page(PageError::Empty).retry_after(), None);
    assert_eq!(Error::AccountRequired.retry_after(), None);
}

#[test]
fn the_upstream_failure_is_kept_as_the_source_of_the_error() {
    let error = upstream(refused(Weixin, WithSecret, 40243, ""), 60);
    assert_eq!(
        error.upstream().and_then(UpstreamError::errcode),
        Some(40243)
    );
    assert!(
        error
            .to_string()
            .contains("account \"main\" has no valid jsapi_ticket"),
        "{error}"
    );
}

#[test]
fn every_page_error_says_what_the_page_has_to_do() {
    use PageError::{Blank, DoubleEncoded, Empty, NoHost, NotAscii, NotHttp, TooLong, UserInfo};
    for error in [
        Empty,
        TooLong,
        DoubleEncoded,
        NotHttp,
        Blank,
        NotAscii,
        UserInfo,
        NoHost,
    ] {
        let Text { en, zh } = error.hint();
        assert!(
            !en.chars().any(is_cjk) && en.ends_with('.'),
            "{error:?}: {en}"
        );
        assert!(
            zh.chars().any(is_cjk) && zh.ends_with('。'),
            "{error:?}: {zh}"
        );
    }
}
