//! Fuzz targets. Each takes arbitrary bytes and panics if the program breaks a promise.
//!
//! `fuzz_targets/` runs them with libFuzzer (`make fuzz`); the program's `tests/sign/fuzz_corpus.rs` runs the
//! stored inputs in plain `cargo test`. They use the program's public API, except for the classification of
//! WeChat's answers, which is otherwise reachable only over a socket. Expected results are computed
//! independently where possible.

mod service;

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;
use sha1::{Digest as _, Sha1};
use wx_jssdk::diagnose::{Answer, Case, Role, Target};
use wx_jssdk::server::config::Settings;
use wx_jssdk::sign::before_fragment;
use wx_jssdk::{Account, Kind, PageUrl, Secret, Signer, UnixTime};

pub use service::{central, query};

/// A target: takes arbitrary bytes.
pub type Run = fn(&[u8]);

/// All targets, with the names of their corpora.
pub const TARGETS: &[(&str, Run)] = &[
    ("page_url", page_url),
    ("query", query),
    ("upstream", upstream),
    ("config", config),
    ("diagnose", diagnose),
    ("central", central),
];

/// Checks `PageUrl::parse` and signing: what is signed is the text up to its first `#`, or nothing.
pub fn page_url(data: &[u8]) {
    let Ok(href) = std::str::from_utf8(data) else {
        return;
    };
    let text = href.split('#').next().expect("a text has a first part");
    match PageUrl::parse(href) {
        Ok(page) => {
            assert_eq!(
                page.as_str(),
                text,
                "what is signed is the address before its fragment"
            );
            assert!(
                !must_be_refused(text),
                "no browser has this address: {text:?}"
            );
            assert!(page.path().starts_with('/') && !page.host().is_empty());
            assert!(
                !page.host().contains(['@', '/', '\\', '?', '#'])
                    && !page.host().bytes().any(|b| b.is_ascii_uppercase())
            );
            let config = Signer::new("wx0123456789abcdef", service::TICKET).sign(
                &page,
                "Wm3WZYTPz0wzccnW",
                UnixTime(1_414_587_457),
            );
            assert_eq!(
                config.signature.to_string(),
                signature("Wm3WZYTPz0wzccnW", 1_414_587_457, text)
            );
            assert_eq!(config.url, text);
            let again = PageUrl::parse(page.as_str()).expect("what was good once is good");
            assert_eq!(again, page);
            bound_domains_only(&page);
        }
        Err(error) => {
            let hint = error.hint();
            assert!(!hint.en.is_empty() && !hint.zh.is_empty() && !error.to_string().is_empty());
        }
    }
}

/// Returns whether the text cannot be a `location.href`, judged by its bytes.
pub fn must_be_refused(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let rest = lower
        .strip_prefix("http://")
        .or_else(|| lower.strip_prefix("https://"));
    let blank = text.bytes().any(|b| b <= b' ' || b == 0x7f || b >= 0x80);
    text.len() > 16 * 1024
        || blank
        || rest.is_none_or(|rest| {
            rest.split(['/', '?'])
                .next()
                .is_none_or(|host| host.is_empty() || host.contains(['@', '\\']))
        })
}

/// Checks that an account signs its own domain and subdomains, and no other.
fn bound_domains_only(page: &PageUrl) {
    let account = Account::official("wx0123456789abcdef", "secret")
        .js_safe_domain("example.com")
        .expect("a domain");
    let below = page.host() == "example.com" || page.host().ends_with(".example.com");
    let allowed = account.allows_page(page.host(), page.path());
    assert!(!allowed || below, "{page} is none of the account's");
    // A host with an empty label may be refused.
    assert!(
        allowed || !below || page.host().split('.').any(str::is_empty),
        "{page} is the account's"
    );
}

/// Checks the classification of WeChat's answers: a usable value, or one error that contains no secret. The
/// first byte selects the call, the rest is the body.
pub fn upstream(data: &[u8]) {
    let Some((first, body)) = data.split_first() else {
        return;
    };
    let secret = Secret::new("0c79e1fa963cd80cc0be99b20a18faeb");
    let official = Account::official("wx0123456789abcdef", secret.clone());
    let work = Account::work("wwbbbbbbbbbbbbbbbb", 1_000_002, secret.clone());
    let (account, kind) = match first % 5 {
        0 => (official, Kind::AccessToken),
        1 => (official, Kind::JsapiTicket),
        2 => (official, Kind::CardTicket),
        3 => (work, Kind::AccessToken),
        _ => (work, Kind::AgentTicket),
    };
    let status = if first & 128 == 0 { 200 } else { 502 };
    match wx_jssdk::upstream::judge_body(&account, kind, &secret, status, body) {
        Ok(issued) => {
            let value = issued.value.expose();
            assert!(
                !value.is_empty() && value.bytes().all(|b| b.is_ascii_graphic()),
                "{value:?}"
            );
            // WeCom rounds the last second of a token that it repeats down to 0.
            let least = u64::from(first % 5 != 3);
            assert!((least..=86_400).contains(&issued.expires_in.as_secs()));
            let answer: Value = serde_json::from_slice(body).expect("only JSON is a value");
            assert!(
                answer["errcode"].is_null() || answer["errcode"] == 0,
                "{answer}"
            );
        }
        Err(error) => {
            let said = format!(
                "{error} {error:?} {} {}",
                error.cause().en,
                error.fix_for_operator().zh
            );
            assert!(!said.contains(secret.expose()), "the secret is in {said}");
            let errmsg = error.to_string();
            assert!(
                errmsg.lines().count() <= 1 && errmsg.len() < 4_096,
                "not one short line: {errmsg}"
            );
            assert!(
                !error.cause().zh.is_empty()
                    && !error.fix().en.is_empty()
                    && !error.class().as_str().is_empty()
            );
            let now = UnixTime(1_767_225_600);
            assert!(error.spent_until(now).is_none_or(|until| until >= now));
        }
    }
}

/// Checks configuration files: settings that print no secret, or problems that state where and what.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    // A configuration may name any file of the machine, such as `/dev/zero`. That is allowed, but not tested
    // here.
    if ["/", "\\"].iter().any(|root| text.contains(root))
        && ["_file", "_dir"].iter().any(|name| text.contains(name))
    {
        return;
    }
    match Settings::read(
        text,
        Path::new("there-is-no-such-directory"),
        HashMap::new(),
    ) {
        Ok(settings) => {
            let shown = format!("{settings:?}");
            for (name, account) in &settings.accounts {
                let secret = account.secret().expose();
                assert!(!name.is_empty() && !secret.is_empty());
                // A short secret may also occur in the output for another reason.
                assert!(
                    secret.len() < 24
                        || text.matches(secret).count() > 1
                        || !shown.contains(secret),
                    "{shown}"
                );
            }
        }
        Err(problems) => {
            assert!(!problems.0.is_empty(), "refused without a reason");
            for problem in &problems.0 {
                assert!(
                    !problem.path.is_empty()
                        && !problem.what.en.is_empty()
                        && !problem.what.zh.is_empty(),
                    "{problem:?}"
                );
            }
            assert!(!problems.to_string().is_empty());
        }
    }
}

/// Checks the diagnosis of a refused signature, as text or JSON: it has a finding and shows no ticket.
pub fn diagnose(data: &[u8]) {
    let case = match serde_json::from_slice::<Value>(data) {
        Ok(json @ Value::Object(_)) => case_of(&json),
        Ok(json) => Answer::from_json(&json)
            .map(|answer| Case::default().answer(answer))
            .unwrap_or_default(),
        Err(_) => Case {
            error: Some(String::from_utf8_lossy(data).into_owned()),
            ..Case::default()
        },
    };
    let findings = wx_jssdk::diagnose::diagnose(&case);
    assert!(!findings.is_empty(), "nothing said");
    for finding in &findings {
        assert!(
            !finding.code.is_empty() && !finding.cause.zh.is_empty() && !finding.fix.en.is_empty()
        );
        let Some(evidence) = &finding.evidence else {
            continue;
        };
        assert!(
            !evidence.contains(service::TICKET),
            "the ticket is in {evidence}"
        );
    }
}

fn case_of(json: &Value) -> Case {
    let text = |name: &str| match &json[name] {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    let optional = |name: &str| json[name].as_str().map(str::to_owned);
    let mut case = Case {
        target: if json["agent"] == true {
            Target::AgentConfig
        } else {
            Target::Config
        },
        landing: optional("landing"),
        hosts: json["hosts"]
            .as_array()
            .into_iter()
            .flatten()
            .take(4)
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        error: optional("error"),
        app_id: optional("app_id"),
        ..Case::new(
            text("url"),
            text("nonce"),
            text("timestamp"),
            text("signature"),
        )
    };
    // Searching for the mistake is expensive, so only cases with `ticket` do it.
    if json["ticket"] == true {
        // If the ticket is also part of the URL or the nonce, the evidence may show it.
        if case.url.contains(service::TICKET) || case.nonce.contains(service::TICKET) {
            return Case::default();
        }
        case = case.ticket(Role::Current, service::TICKET);
    }
    match Answer::from_json(&json["answer"]) {
        Some(answer) => case.answer(answer),
        None => case,
    }
}

/// WeChat's signature algorithm, implemented independently.
fn signature(nonce: &str, timestamp: u64, url: &str) -> String {
    assert_eq!(before_fragment(url), url, "a fragment is never signed");
    let string = format!(
        "jsapi_ticket={}&noncestr={nonce}&timestamp={timestamp}&url={url}",
        service::TICKET
    );
    Sha1::digest(string)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
