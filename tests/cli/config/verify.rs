//! `verify_files`: WeChat's domain verification files, and only valid names and contents.

use super::support::*;

const FILE: &str = r#"verify_files = { "MP_verify_AbCdEfGh12345678.txt" = "AbCdEfGh12345678" }"#;

#[test]
fn names_and_contents_are_kept_exactly() {
    let settings = good(&format!("{MAIN}{FILE}"));
    let files = settings.accounts[0].1.verify_files();
    assert_eq!(files.len(), 1);
    assert_eq!(
        (files[0].name(), &**files[0].content()),
        ("MP_verify_AbCdEfGh12345678.txt", "AbCdEfGh12345678")
    );
    assert!(good(MAIN).accounts[0].1.verify_files().is_empty());
}

#[test]
fn a_misspelt_name_of_the_setting_is_recognised() {
    let text = format!("{MAIN}{}", FILE.replace("verify_files", "verify_file"));
    let what = only("accounts.main.verify_file", read(&text));
    assert!(what.contains("did you mean verify_files?"), "{what}");
}

#[test]
fn a_separate_section_is_accepted_too() {
    let settings = good(&format!(
        "{MAIN}[accounts.main.verify_files]\n\"WW_verify_b.txt\" = \"b\"\n\"MP_verify_a.txt\" = \"a\"\n"
    ));
    let names: Vec<_> = settings.accounts[0]
        .1
        .verify_files()
        .iter()
        .map(|file| file.name().to_owned())
        .collect();
    assert_eq!(names, ["MP_verify_a.txt", "WW_verify_b.txt"]);
}

#[test]
fn a_name_that_wechat_does_not_issue_is_refused() {
    for name in [
        "index.html",
        "a/MP_verify_a.txt",
        "../MP_verify_a.txt",
        "mp_verify_a.txt",
        "MP_verify_.txt",
        "MP_verify_a.html",
        "",
    ] {
        let what = only(
            "accounts.main.verify_files",
            read(&format!("{MAIN}verify_files = {{ \"{name}\" = \"a\" }}")),
        );
        assert!(what.contains("MP_verify_"), "{name}: {what}");
    }
}

#[test]
fn content_that_is_not_a_single_word_is_refused() {
    for content in ["", "a b", "a\\n", "/etc/passwd", "<html>"] {
        let text = format!("{MAIN}verify_files = {{ \"MP_verify_a.txt\" = \"{content}\" }}");
        assert!(
            only("accounts.main.verify_files", read(&text)).contains("content"),
            "{content}"
        );
    }
}

#[test]
fn every_bad_file_is_named() {
    let text = format!(
        "{MAIN}verify_files = {{ \"a.txt\" = \"a\", \"MP_verify_b.txt\" = \"\", \"MP_verify_c.txt\" = 1, \"MP_verify_d.txt\" = \"d\" }}"
    );
    assert_eq!(paths(read(&text)), ["accounts.main.verify_files"; 3]);
}

#[test]
fn anything_but_a_table_is_refused() {
    for value in ["\"MP_verify_a.txt\"", "[]", "1", "true"] {
        only(
            "accounts.main.verify_files",
            read(&format!("{MAIN}verify_files = {value}")),
        );
    }
}

#[test]
fn one_name_may_be_repeated_only_with_the_same_content() {
    let other = named("other").replace("wx0123456789abcdef", "wxother");
    good(&format!("{MAIN}{FILE}\n{other}{FILE}"));
    let text = format!(
        "{MAIN}{FILE}\n{other}{}",
        FILE.replace("= \"AbCd", "= \"XbCd")
    );
    let what = only("accounts.other.verify_files", read(&text));
    assert!(
        what.contains("[accounts.main]") && what.contains("MP_verify_AbCdEfGh12345678.txt"),
        "{what}"
    );
    assert_eq!(
        paths(read(&text.replace("app_id = \"wxother\"", ""))),
        ["accounts.other.app_id", "accounts.other.verify_files"],
        "beside another mistake"
    );
}

#[test]
fn account_defaults_have_no_verify_files() {
    let what = only(
        "account_defaults.verify_files",
        read(&format!("[account_defaults]\n{FILE}")),
    );
    assert!(what.contains("unknown setting"), "{what}");
}
