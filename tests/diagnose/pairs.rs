//! Two mistakes at once: both are named, one of them first, with one evidence.

use wx_jssdk::diagnose::{Confidence, diagnose, diagnose_briefly};

use crate::backend::*;
use crate::faults::FAULTS;

const PAIRED_PAGE: &str = "https://www.example.com/app/list?name=%E5%BC%A0&b=2+3#/route";

/// Mistakes with the address that can be combined with others.
const ADDRESS: [&str; 8] = [
    "fragment_kept",
    "percent_decoded",
    "plus_to_space",
    "html_escaped",
    "query_dropped",
    "scheme_swapped",
    "port_changed",
    "www_changed",
];

/// Mistakes with other parts, grouped by part.
const TICKETS: [&str; 3] = [
    "previous_ticket",
    "ticket_of_another_account",
    "ticket_with_newline",
];
const VALUES: [&str; 3] = [
    "timestamp_in_milliseconds",
    "another_timestamp",
    "nonce_case_changed",
];
const STRINGS: [&str; 4] = [
    "nonce_name",
    "timestamp_name",
    "parameters_unsorted",
    "values_only",
];
const HASHES: [&str; 4] = [
    "upper_case_hex",
    "md5_for_sha1",
    "sha256_for_sha1",
    "base64_for_hex",
];

/// The first fault of this code.
fn of(code: &str) -> &'static crate::backend::Fault {
    FAULTS
        .iter()
        .find(|fault| fault.code == code)
        .unwrap_or_else(|| panic!("{code} is not covered by any fault"))
}

fn wrong_pairs(first: &[&str], second: &[&str]) -> Vec<String> {
    let mut wrong = Vec::new();
    for a in first {
        for b in second {
            let findings = Backend::right()
                .with(of(a))
                .with(of(b))
                .examined(PAIRED_PAGE);
            let mut said: Vec<_> = findings.iter().map(|finding| finding.code).collect();
            let all_proven = findings
                .iter()
                .all(|finding| finding.confidence == Confidence::Proven);
            let one_evidence = findings
                .iter()
                .all(|finding| finding.evidence == findings[0].evidence);
            said.sort_unstable();
            let mut made = [*a, *b];
            made.sort_unstable();
            if said != made || !all_proven || !one_evidence {
                wrong.push(format!("{made:?} were made, {said:?} is said"));
            }
        }
    }
    wrong
}

#[track_caller]
fn all_named(first: &[&str], second: &[&str]) {
    let wrong = wrong_pairs(first, second);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_wrong_address_and_a_wrong_ticket() {
    all_named(&ADDRESS, &TICKETS);
}

#[test]
fn a_wrong_address_and_a_wrong_value() {
    all_named(&ADDRESS, &VALUES);
}

#[test]
fn a_wrong_address_in_a_wrong_string() {
    all_named(&ADDRESS, &STRINGS);
}

#[test]
fn a_wrong_address_under_a_wrong_hash() {
    all_named(&ADDRESS, &HASHES);
}

#[test]
fn a_wrong_ticket_and_a_wrong_value() {
    all_named(&TICKETS, &VALUES);
}

#[test]
fn a_wrong_ticket_or_value_in_a_wrong_string_or_under_a_wrong_hash() {
    all_named(&TICKETS, &STRINGS);
    all_named(&VALUES, &STRINGS);
    all_named(&[&TICKETS[..], &VALUES].concat(), &HASHES);
}

#[test]
fn two_mistakes_with_the_address() {
    for (first, second) in [
        ("scheme_swapped", "fragment_kept"),
        ("scheme_swapped", "percent_decoded"),
        ("scheme_swapped", "html_escaped"),
        ("scheme_swapped", "plus_to_space"),
        ("port_changed", "percent_decoded"),
        ("port_changed", "html_escaped"),
        ("www_changed", "scheme_swapped"),
        ("www_changed", "fragment_kept"),
        ("html_escaped", "percent_decoded"),
        ("fragment_kept", "html_escaped"),
        ("query_dropped", "scheme_swapped"),
        ("query_dropped", "port_changed"),
    ] {
        all_named(&[first], &[second]);
    }
}

#[test]
fn the_public_doctors_shorter_search_names_the_same_pairs() {
    // The last that are tried.
    for (first, second) in [
        ("www_changed", "scheme_swapped"),
        ("ticket_of_another_account", "nonce_case_changed"),
        ("nonce_case_changed", "values_only"),
    ] {
        let backend = Backend::right().with(of(first)).with(of(second));
        let case = backend.case(PAIRED_PAGE);
        assert_eq!(diagnose_briefly(&case), diagnose(&case));
    }
}

#[test]
fn two_mistakes_that_cancel_each_other_are_not_reported() {
    let encoded_and_decoded = Backend {
        address: vec![encode, decode],
        ..Backend::right()
    };
    assert_eq!(
        encoded_and_decoded.codes(PAIRED_PAGE),
        ["signature_is_right"]
    );
}
