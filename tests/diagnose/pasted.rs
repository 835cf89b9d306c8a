//! A pasted string contains its own ticket, and the client's message names its purpose: neither is trusted further than that.

use wx_jssdk::diagnose::{Case, Confidence, Finding, Paste, Role, Target, diagnose};

use crate::backend::*;

const URL: &str = "https://h.cn/p?a=1";

/// The findings on a pasted text, for the page, with these tickets known.
fn findings_on(text: &str, tickets: &[(Role, &str)]) -> Vec<Finding> {
    let case = Case {
        url: URL.into(),
        ..Case::default()
    }
    .paste(Paste::read(text));
    let case = tickets.iter().fold(case, |case, (role, ticket)| {
        case.ticket(role.clone(), *ticket)
    });
    let findings = diagnose(&case);
    no_ticket_is_shown(&findings);
    findings
}

fn codes(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.code).collect()
}

fn agent_answer(ticket: &str) -> String {
    let signature = sha1(&string(ticket, NONCE, TIME, URL));
    format!(
        "agentConfig:fail,invalid signature\n{{\"timestamp\":{TIME},\"nonceStr\":\"{NONCE}\",\"signature\":\"{signature}\"}}"
    )
}

#[test]
fn a_string_does_not_prove_its_own_ticket() {
    let findings = findings_on(&string(TICKET, NONCE, TIME, URL), &[]);
    assert_eq!(
        (codes(&findings), findings[0].confidence),
        (vec!["string_is_right"], Confidence::Possible)
    );
    assert!(!findings[0].explains());
    assert_eq!(
        findings[0].evidence.as_deref(),
        Some(&*string("[jsapi_ticket]", NONCE, TIME, URL))
    );
    // A mistake in the string is reported with any ticket.
    assert_eq!(
        codes(&findings_on(
            &string(TICKET, NONCE, TIME, "http://h.cn/p?a=1"),
            &[]
        )),
        ["scheme_swapped"]
    );
}

#[test]
fn the_accounts_tickets_verify_the_ticket_in_the_string() {
    let known = [
        (Role::AccessToken, TOKEN),
        (Role::Current, TICKET),
        (Role::Card, CARD),
    ];
    for (ticket, code) in [
        (TICKET, "signature_is_right"),
        (TOKEN, "access_token_for_ticket"),
        (CARD, "card_ticket_for_jsapi"),
        (PASTED, "ticket_not_current"),
    ] {
        let findings = findings_on(&string(ticket, NONCE, TIME, URL), &known);
        assert_eq!(
            (codes(&findings), findings[0].confidence),
            (vec![code], Confidence::Proven)
        );
    }
    let both = codes(&findings_on(
        &string(PASTED, NONCE, TIME, "http://h.cn/p?a=1"),
        &known,
    ));
    assert!(
        both.contains(&"ticket_not_current") && both.contains(&"scheme_swapped"),
        "{both:?}"
    );
}

#[test]
fn a_string_with_a_known_wrong_ticket_is_wrong_without_the_right_one() {
    assert_eq!(
        codes(&findings_on(
            &string(PREVIOUS, NONCE, TIME, URL),
            &[(Role::Previous, PREVIOUS)]
        )),
        ["previous_ticket"]
    );
    assert_eq!(
        codes(&findings_on(
            &string(TICKET, NONCE, TIME, URL),
            &[(Role::Previous, PREVIOUS)]
        )),
        ["string_is_right"]
    );
}

#[test]
fn the_pages_signature_is_checked_against_the_string_beside_it() {
    let line = string(TICKET, NONCE, TIME, URL);
    let with = |signature: &str| {
        format!(
            "{{\"timestamp\":{TIME},\"nonceStr\":\"{NONCE}\",\"signature\":\"{signature}\"}}\n{line}"
        )
    };
    assert_eq!(
        codes(&findings_on(&with(&sha1(&line)), &[])),
        ["signature_is_right"]
    );
    assert_eq!(
        codes(&findings_on(&with(&md5(&line)), &[])),
        ["md5_for_sha1"]
    );
}

#[test]
fn the_clients_message_says_which_ticket_it_needs() {
    let known = [(Role::Agent, AGENT), (Role::Current, TICKET)];
    assert_eq!(
        codes(&findings_on(&agent_answer(AGENT), &known)),
        ["signature_is_right"]
    );
    assert_eq!(
        codes(&findings_on(&agent_answer(TICKET), &known)),
        ["jsapi_ticket_for_agent"]
    );
    let of_string = format!(
        "agentConfig:fail,invalid signature\n{}",
        string(AGENT, NONCE, TIME, URL)
    );
    assert_eq!(
        codes(&findings_on(&of_string, &known)),
        ["signature_is_right"]
    );
    let alone = findings_on(&of_string, &[]);
    let right = alone
        .iter()
        .find(|finding| finding.code == "string_is_right")
        .unwrap_or_else(|| panic!("{alone:?}"));
    assert_eq!(
        right.evidence.as_deref(),
        Some(&*string("[agent_config ticket]", NONCE, TIME, URL))
    );
}

#[test]
fn the_target_is_the_given_one_or_that_of_the_message() {
    let case = |error: Option<&str>, target| Case {
        error: error.map(str::to_owned),
        target,
        ..Case::default()
    };
    for (words, target, signed_for) in [
        (None, Target::Config, Target::Config),
        (None, Target::AgentConfig, Target::AgentConfig),
        (
            Some("config:invalid signature"),
            Target::Config,
            Target::Config,
        ),
        (
            Some("config:invalid signature"),
            Target::AgentConfig,
            Target::AgentConfig,
        ),
        (
            Some("AgentConfig:fail"),
            Target::Config,
            Target::AgentConfig,
        ),
    ] {
        assert_eq!(
            case(words, target).signed_for(),
            signed_for,
            "{words:?} {target:?}"
        );
    }
}

/// An argument of `wx.agentConfig`, signed with this ticket.
fn agent_config(ticket: &str) -> String {
    let signature = sha1(&string(ticket, NONCE, TIME, URL));
    format!(
        r#"{{"corpid":"ww1","agentid":"1000002","timestamp":{TIME},"nonceStr":"{NONCE}","signature":"{signature}","jsApiList":[]}}"#
    )
}

/// An argument of `wx.config` of a WeCom page, signed with this ticket.
fn corp_config(ticket: &str) -> String {
    let signature = sha1(&string(ticket, NONCE, TIME, URL));
    format!(
        r#"{{"appId":"ww1","timestamp":{TIME},"nonceStr":"{NONCE}","signature":"{signature}"}}"#
    )
}

const OF_CORP: [(Role, &str); 2] = [(Role::Current, TICKET), (Role::Agent, AGENT)];

#[test]
fn an_answer_for_agent_config_is_judged_with_the_agent_ticket() {
    let source = |ticket: &str| {
        let signature = sha1(&string(ticket, NONCE, TIME, URL));
        format!(
            "wx.agentConfig({{ corpid: cfg.corpid, timestamp: {TIME}, nonceStr: '{NONCE}', signature: '{signature}' }})"
        )
    };
    let values =
        |ticket: &str| format!("wx.agentConfig({})", agent_config(ticket).replace('"', "'"));
    let made: [&dyn Fn(&str) -> String; 3] = [&agent_config, &source, &values];
    for make in made {
        for (ticket, code) in [
            (AGENT, "signature_is_right"),
            (TICKET, "jsapi_ticket_for_agent"),
        ] {
            let text = make(ticket);
            let findings = findings_on(&text, &OF_CORP);
            assert_eq!(
                (codes(&findings), findings[0].confidence),
                (vec![code], Confidence::Proven),
                "{text}"
            );
        }
    }
    // The error text names the call that was refused.
    let refused = format!("config:invalid signature\n{}", agent_config(TICKET));
    assert_eq!(
        codes(&findings_on(&refused, &OF_CORP)),
        ["signature_is_right"]
    );
    assert_eq!(
        codes(&findings_on(&corp_config(TICKET), &OF_CORP)),
        ["signature_is_right"]
    );
}

#[test]
fn a_ticket_of_unknown_kind_proves_no_agent_config() {
    let judged = |ticket: &str, known: &[(Role, &str)]| {
        let findings = findings_on(&agent_config(ticket), known);
        (codes(&findings), findings[0].confidence)
    };
    let unknown = (Role::Signing, AGENT);
    assert_eq!(
        judged(AGENT, std::slice::from_ref(&unknown)),
        (vec!["ticket_kind_unknown"], Confidence::Possible)
    );
    for known in [(Role::Agent, AGENT), (Role::Current, TICKET)] {
        assert_eq!(
            judged(AGENT, &[unknown.clone(), known]),
            (vec!["signature_is_right"], Confidence::Proven)
        );
    }
    // The same value as the corp's ticket, or beside the app's: it is the corp's.
    for known in [(Role::Current, TICKET), (Role::Agent, AGENT)] {
        assert_eq!(
            judged(TICKET, &[(Role::Signing, TICKET), known]),
            (vec!["jsapi_ticket_for_agent"], Confidence::Proven)
        );
    }
    let config = findings_on(&corp_config(TICKET), &[(Role::Signing, TICKET)]);
    assert_eq!(
        (codes(&config), config[0].confidence),
        (vec!["signature_is_right"], Confidence::Proven)
    );
}

#[test]
fn an_agent_config_without_a_ticket_asks_for_the_agent_ticket() {
    for (text, code) in [
        (agent_config(TICKET), "agent_ticket_needed"),
        (corp_config(TICKET), "ticket_needed"),
    ] {
        let needed = findings_on(&text, &[]).remove(0);
        assert_eq!(needed.code, code);
        assert!(!needed.explains(), "{needed:?}");
    }
}

#[test]
fn of_an_answer_with_both_configs_the_one_in_question_is_judged() {
    let both = |config: &str, agent: &str| {
        format!(
            r#"{{"config":{},"agentConfig":{}}}"#,
            corp_config(config),
            agent_config(agent)
        )
    };
    for (words, config, agent, code) in [
        ("", TICKET, AGENT, "signature_is_right"),
        ("", TICKET, TICKET, "jsapi_ticket_for_agent"),
        ("", AGENT, AGENT, "agent_ticket_for_jsapi"),
        (
            "config:invalid signature\n",
            AGENT,
            AGENT,
            "agent_ticket_for_jsapi",
        ),
        (
            "agentConfig:fail,invalid signature\n",
            TICKET,
            AGENT,
            "signature_is_right",
        ),
        (
            "agentConfig:fail,invalid signature\n",
            TICKET,
            TICKET,
            "jsapi_ticket_for_agent",
        ),
    ] {
        let text = format!("{words}{}", both(config, agent));
        assert_eq!(codes(&findings_on(&text, &OF_CORP)), [code], "{text}");
        let apart = format!("{words}{}\n{}", corp_config(config), agent_config(agent));
        assert_eq!(codes(&findings_on(&apart, &OF_CORP)), [code], "{apart}");
    }
    // Without the app's ticket, only one of the two is proven right.
    let needed = findings_on(&both(TICKET, AGENT), &[(Role::Signing, TICKET)]);
    assert_eq!(codes(&needed), ["agent_ticket_needed"]);
    assert!(!needed[0].cause.en.starts_with("in wx.agentConfig"));
    // A mistake that both could have is said to be in this one.
    let signature = sha1(&string(AGENT, NONCE, TIME, "http://h.cn/p?a=1"));
    let wrong = agent_config(AGENT).replace(&sha1(&string(AGENT, NONCE, TIME, URL)), &signature);
    let text = format!("{}\n{wrong}", corp_config(TICKET));
    let findings = findings_on(&text, &OF_CORP);
    assert_eq!(codes(&findings), ["scheme_swapped"]);
    assert!(findings[0].cause.en.starts_with("in wx.agentConfig: "));
    assert_eq!(findings[0].signature.as_ref(), Some(&signature));
    let chosen = Case {
        url: URL.into(),
        target: Target::AgentConfig,
        ..Case::default()
    }
    .paste(Paste::read(&both(TICKET, AGENT)))
    .ticket(Role::Current, TICKET)
    .ticket(Role::Agent, AGENT);
    assert_eq!(codes(&diagnose(&chosen)), ["signature_is_right"]);
}

#[test]
fn the_agentid_of_another_app_is_reported_before_a_right_signature() {
    for (signs, expected) in [
        (1_000_002, vec!["signature_is_right"]),
        (
            1_000_003,
            vec!["agent_id_of_another_app", "signature_is_right"],
        ),
    ] {
        let case = Case {
            url: URL.into(),
            account_agent_id: Some(signs),
            ..Case::default()
        };
        let case = case
            .paste(Paste::read(&agent_config(AGENT)))
            .ticket(Role::Agent, AGENT);
        let findings = diagnose(&case);
        assert_eq!(codes(&findings), expected);
        assert_eq!(findings[0].confidence, Confidence::Proven);
    }
}
