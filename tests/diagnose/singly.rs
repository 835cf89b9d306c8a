//! One mistake at a time: it is reported first and alone, as proven, with both strings.

use std::collections::BTreeSet;

use wx_jssdk::diagnose::Confidence;

use crate::backend::*;
use crate::faults::FAULTS;

#[test]
fn each_mistake_is_named_first_alone_and_as_proven() {
    let mut wrong = Vec::new();
    for (row, fault) in FAULTS.iter().enumerate() {
        let backend = Backend::right().with(fault);
        let findings = backend.examined(fault.page);
        let codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
        if codes != [fault.code] || findings[0].confidence != Confidence::Proven {
            wrong.push(format!(
                "row {row} on {}: {} was made, {codes:?} is said",
                fault.page, fault.code
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_evidence_is_the_hashed_string_and_the_expected_one() {
    for fault in FAULTS
        .iter()
        .filter(|fault| !["jsapi_ticket_for_agent", "nonce_rounded"].contains(&fault.code))
    {
        let backend = Backend::right().with(fault);
        let finding = backend.examined(fault.page).remove(0);
        let shown = finding.evidence.unwrap();
        let (before, _) = fault.page.split_once('#').unwrap_or((fault.page, ""));
        assert_eq!(
            finding.expected.as_deref(),
            Some(&*string("[jsapi_ticket]", NONCE, TIME, before)),
            "{}",
            fault.code
        );
        let hashed = backend.hashes(fault.page);
        // If the correct ticket was used unchanged, the two strings differ in nothing else.
        if hashed.contains(TICKET) && !hashed.contains('\0') {
            assert_eq!(
                shown
                    .replace("[jsapi_ticket]", TICKET)
                    .replace("[ticket]", TICKET),
                hashed,
                "{}",
                fault.code
            );
        }
    }
}

#[test]
fn every_cause_that_the_doctor_knows_is_covered() {
    let source = include_str!("../../src/diagnose/causes.rs");
    let known: BTreeSet<_> = source
        .split("row(\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    let made: BTreeSet<_> = FAULTS.iter().map(|fault| fault.code).collect();
    assert!(known.len() >= 70, "{} causes", known.len());
    assert_eq!(
        known.symmetric_difference(&made).collect::<Vec<_>>(),
        Vec::<&&str>::new()
    );
}

#[test]
fn a_backend_without_a_fault_is_right_on_every_page() {
    let pages: BTreeSet<_> = FAULTS.iter().map(|fault| fault.page).collect();
    for page in pages {
        let mut codes = Backend::right().codes(page);
        codes.retain(|code| *code != "port_not_supported");
        assert_eq!(codes, ["signature_is_right"], "{page}");
    }
}

#[test]
fn causes_and_fixes_are_whole_sentences_in_both_languages() {
    for fault in FAULTS {
        let finding = Backend::right().with(fault).examined(fault.page).remove(0);
        for hint in [&finding.cause, &finding.fix] {
            assert!(
                hint.en.is_ascii() || hint.en.contains(['…', '×', 'J']),
                "{}",
                hint.en
            );
            assert!(
                hint.en.len() > 20
                    && hint
                        .zh
                        .chars()
                        .any(|c| ('\u{4e00}'..'\u{9fff}').contains(&c)),
                "{hint:?}"
            );
        }
        assert!(
            finding.fix.en.ends_with('.') && finding.fix.zh.ends_with('。'),
            "{:?}",
            finding.fix
        );
    }
}
