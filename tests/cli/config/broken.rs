//! Invalid files and arbitrary input.

use std::collections::HashMap;
use std::path::Path;

use proptest::prelude::*;
use wx_jssdk::server::config::{DEFAULTS, Settings};

use super::support::*;

#[test]
fn broken_toml_is_named_by_line_and_column_and_its_text_is_never_printed() {
    for (line, broken) in [
        (
            4,
            MAIN.replace(&format!("\"{SECRET}\""), &format!("\"{SECRET}")),
        ),
        (4, MAIN.replace(&format!("\"{SECRET}\""), SECRET)),
        (4, MAIN.replace("secret = ", "secret ")),
        (4, MAIN.replace("secret = ", "")),
        (4, MAIN.replace(SECRET, &format!("{SECRET}\\q"))),
        (
            4,
            MAIN.replace(&format!("\"{SECRET}\""), &format!("'{SECRET}")),
        ),
        (
            4,
            MAIN.replace(&format!("\"{SECRET}\""), &format!("\"{SECRET}\" # | \u{1}")),
        ),
        (
            4,
            MAIN.replace(
                &format!("\"{SECRET}\""),
                &format!("\"{SECRET}\" \"{SECRET}\""),
            ),
        ),
        (6, format!("{MAIN}secret = \"{SECRET}\"")),
        (6, format!("{MAIN}[accounts.main]\nsecret = \"{SECRET}\"")),
        (6, format!("{MAIN}]{SECRET}")),
    ] {
        let result = read(&broken);
        let printed = result.as_ref().expect_err(&broken).to_string();
        let what = only("the configuration", result);
        assert!(
            what.contains(&format!("line {line}, column ")),
            "{broken}\n{what}"
        );
        assert!(printed.contains(&format!("第 {line} 行第 ")), "{printed}");
        assert!(!printed.contains(&SECRET[..8]), "{printed}");
    }
}

#[test]
fn a_character_of_a_chinese_input_method_is_named_with_its_replacement() {
    let quoted = format!("\"{SECRET}\"");
    for (broken, en, zh) in [
        (
            MAIN.replace(&quoted, &format!("“{SECRET}”")),
            "line 4, column 10: string values must be quoted, expected literal string; \
             \"“\" is a Chinese quotation mark: write \"",
            "第 4 行第 10 列不是有效的 TOML：字符串须加英文双引号；“ 是中文引号",
        ),
        (
            MAIN.replace(&quoted, &format!("\"{SECRET}”")),
            "\"”\" is a Chinese quotation mark",
            "” 是中文引号",
        ),
        (
            MAIN.replace("app_id =", "app_id ＝"),
            "\"＝\" is a full-width character: write \"=\"",
            "请改为 =",
        ),
        (
            MAIN.replace("\"]", "\"，\"b.com\"]"),
            "write \",\"",
            "请改为 ,",
        ),
        (
            MAIN.replace("[accounts.main]", "【accounts.main】"),
            "write \"[\"",
            "请改为 [",
        ),
        (
            MAIN.replace("app_id", "\u{3000}app_id"),
            "U+3000 is not an ordinary blank",
            "普通空格",
        ),
        (
            MAIN.replace("app_id", "\u{a0}app_id"),
            "U+00A0 is not an ordinary blank",
            "普通空格",
        ),
        (
            MAIN.replace("app_id", "app_id\u{200b}"),
            "U+200B is an invisible character",
            "不可见",
        ),
        (format!("{MAIN}＃ 注释\n"), "write \"#\"", "请改为 #"),
    ] {
        let result = read(&broken);
        let printed = result.as_ref().expect_err(&broken).to_string();
        let what = only("the configuration", result);
        assert!(what.contains(en), "{broken}\n{what}");
        assert!(printed.contains(zh), "{broken}\n{printed}");
    }
}

#[test]
fn a_character_in_a_text_or_a_comment_is_not_taken_for_the_mistake() {
    for line in ["x = [\"公众号，\" y]", "x = \"“a”\" y", "x = 1 y # ＃"] {
        let what = only("the configuration", read(&format!("{MAIN}{line}\n")));
        assert!(!what.contains("write \""), "{line}: {what}");
    }
}

#[test]
fn a_duplicate_key_is_named_unless_it_may_be_a_secret() {
    let duplicate = |key: &str| format!("{MAIN}[log]\n{key} = \"a\"\n{key} = \"b\"\n");
    let what = only("the configuration", read(&duplicate("level")));
    assert!(what.ends_with("duplicate key \"level\""), "{what}");
    let what = only("the configuration", read(&duplicate(SECRET)));
    assert!(what.ends_with("duplicate key"), "{what}");
}

#[test]
fn broken_toml_and_another_encoding_are_reported_with_the_file_of_the_configuration() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("own.toml");
    let name = path.to_str().unwrap();
    std::fs::write(&path, "app_id: 1").unwrap();
    assert!(only(name, Settings::load(Some(&path))).contains("not valid TOML"));
    // 公众号 in GBK, and a text in UTF-16.
    for bytes in [&b"# \xb9\xab\xd6\xda\xba\xc5"[..], b"\xff\xfe[\0"] {
        std::fs::write(&path, bytes).unwrap();
        let printed = Settings::load(Some(&path)).unwrap_err().to_string();
        for advice in ["save it as UTF-8", "请另存为 UTF-8"] {
            assert!(printed.contains(advice), "{printed}");
        }
    }
}

#[test]
fn a_missing_or_non_text_file_is_named() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("no.toml");
    assert!(only(path.to_str().unwrap(), Settings::load(Some(&path))).contains("cannot be read"));
    std::fs::write(&path, b"\xff\xfe\x00").unwrap();
    assert!(only(path.to_str().unwrap(), Settings::load(Some(&path))).contains("UTF-8"));
    assert!(Settings::load(Some(home.path())).is_err(), "a directory");
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_accepted() {
    assert_eq!(
        good(&format!("\u{feff}{}", MAIN.replace('\n', "\r\n")))
            .accounts
            .len(),
        1
    );
}

/// A valid configuration with everything in it, to be broken.
fn whole() -> String {
    format!(
        "{DEFAULTS}\n{MAIN}\n{}",
        named("work").replace("app_id", "platform = \"work\"\nagent_id = 7\ncorp_id")
    )
}

#[test]
fn the_configuration_that_is_mutated_below_is_valid() {
    assert_eq!(good(&whole()).accounts.len(), 2);
}

fn settled(text: &str, environment: HashMap<String, String>) {
    match Settings::read(text, Path::new("/nonexistent"), environment) {
        Ok(settings) => assert!(!format!("{settings:?}").is_empty()),
        Err(problems) => {
            assert!(!problems.0.is_empty(), "refused without a reason: {text}");
            assert!(
                problems
                    .0
                    .iter()
                    .all(|problem| problem.what.zh.chars().any(is_chinese)),
                "{problems}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_accepted_or_refused_with_a_reason(text in any::<String>()) {
        settled(&text, HashMap::new());
    }

    #[test]
    fn any_keys_and_values_are_accepted_or_refused_with_a_reason(
        settings in proptest::collection::vec((
            prop_oneof!["server", "log", "store", "upstream", "account_defaults", "accounts", "accounts.main", "[a-z.\\[\\]0-9\"-]{0,12}"],
            prop_oneof!["listen", "workers", "kind", "level", "platform", "secret", "js_safe_domains", "\"[^\"\\\\\\n\\r]{0,8}\""],
            prop_oneof!["1", "-1", "1e400", "true", "\"\"", "\\[\\]", "\\[\\[\\{\\}\\]\\]", "\\{\\}", "1979-05-27", "nan", "\"[^\"\\\\\\n\\r]{0,8}\""],
        ), 0..6)
    ) {
        let text: String = settings.iter().map(|(section, key, value)| format!("{section}.{key} = {value}\n")).collect();
        settled(&text, HashMap::new());
    }

    #[test]
    fn a_configuration_with_a_piece_replaced_is_accepted_or_refused(
        at in any::<prop::sample::Index>(), length in 0_usize..40, piece in prop_oneof![any::<String>(), "[\\[\\]{}=\"'.,#0-9\\n]{0,6}"]
    ) {
        let mut characters: Vec<char> = whole().chars().collect();
        let start = at.index(characters.len());
        let end = (start + length).min(characters.len());
        characters.splice(start..end, piece.chars());
        settled(&characters.into_iter().collect::<String>(), HashMap::new());
    }

    #[test]
    fn any_environment_is_accepted_or_refused_with_a_reason(
        variables in proptest::collection::hash_map(prop_oneof!["(SERVER|ACCOUNTS|STORE|LOG|_)__[A-Z_]{0,12}", "[ -~]{0,20}", any::<String>()], any::<String>(), 0..6)
    ) {
        settled(MAIN, variables.into_iter().map(|(name, value)| (format!("WX_JSSDK__{name}"), value)).collect());
    }
}
