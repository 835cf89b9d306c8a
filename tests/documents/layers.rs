//! Import rules: the modules of `src/` in their order, and the responsibilities that only one module has.

use std::fs;
use std::path::{Path, PathBuf};

use crate::named_tests::has_test;

/// Every Rust file below a folder.
fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every source file with its module.
pub(crate) fn sources() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &mut found);
    let module = |path: &Path| {
        let first = path
            .strip_prefix(&root)
            .unwrap()
            .components()
            .next()
            .unwrap();
        first
            .as_os_str()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs")
            .to_owned()
    };
    found
        .into_iter()
        .map(|path| {
            (
                module(&path),
                path.clone(),
                code_of(&fs::read_to_string(path).unwrap()),
            )
        })
        .collect()
}

/// The code without its comments: a link in a doc comment imports nothing.
fn code_of(text: &str) -> String {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The code before its inline tests. `#[cfg(test)]` can also mark a module of its own file or an import at the top.
pub(crate) fn without_tests(code: &str) -> &str {
    code.split("\nmod tests {").next().unwrap()
}

/// The modules named after each `crate::` in the code, groups included: `use crate::{a::X, b}`.
fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            None => found.push(word(rest)),
            Some(group) => {
                let mut depth = 0;
                let mut start = true;
                for (at, c) in group.char_indices() {
                    match c {
                        '}' if depth == 0 => break,
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if start && !c.is_whitespace() => {
                            found.push(word(&group[at..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    found
}

fn word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// The modules of the document's table, and for each the modules it may import. A module may always import itself.
fn may_import(document: &str) -> Vec<(&str, Vec<&str>)> {
    let table = document.split("## The modules").nth(1).unwrap();
    let table = table.split("\n## ").next().unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let imports = cells.last().unwrap().split(", ");
        (
            cells[0].trim_matches('`'),
            imports.filter(|name| *name != "–").collect(),
        )
    })
    .collect()
}

/// It would share a mistake with what it tests.
#[test]
fn the_simulator_may_import_no_rule_of_the_product() {
    let architecture = architecture();
    let mut modules = may_import(&architecture).into_iter();
    let sandbox = modules.find(|(module, _)| *module == "sandbox");
    assert_eq!(sandbox.unwrap().1, ["hex", "clock"]);
}

#[test]
fn the_table_of_modules_lists_each_after_those_it_may_import() {
    let architecture = architecture();
    let order = may_import(&architecture);
    assert!(order.len() > 15, "{order:?}");
    for (at, (module, allowed)) in order.iter().enumerate() {
        for import in allowed {
            let is_above = order[..at].iter().any(|(name, _)| name == import);
            assert!(is_above, "{module}: {import} is not above it");
        }
    }
}

#[test]
fn modules_import_only_the_modules_below_them() {
    let architecture = architecture();
    let order = may_import(&architecture);
    let mut wrong = Vec::new();
    for (module, path, code) in sources() {
        if ["lib", "main"].contains(&module.as_str()) {
            continue;
        }
        let (_, allowed) = order
            .iter()
            .find(|(name, _)| *name == module)
            .unwrap_or_else(|| panic!("{module} is missing in the order"));
        for import in imports(&code) {
            let is_module = order.iter().any(|(name, _)| *name == import);
            if !is_module && import.chars().next().is_some_and(char::is_uppercase) {
                wrong.push(format!(
                    "{}: imports {import} from the crate's root: name its module",
                    path.display()
                ));
            } else if import != module && !allowed.contains(&import.as_str()) {
                wrong.push(format!(
                    "{}: {module} may not import {import}",
                    path.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn architecture() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ARCHITECTURE.md")).unwrap()
}

/// Tests named in full (`a_name_of_many_words`) and files or folders below tests/.
#[test]
fn every_test_that_an_invariant_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = architecture();
    let table = text.split("## Invariants").nth(1).unwrap();
    let table = table.split("\n## ").next().unwrap();
    let shown_by = table
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(1)
        .map(|row| row.trim_matches('|').split(" | ").last().unwrap());
    let named: Vec<&str> = shown_by
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    assert!(named.len() > 50, "{named:?}");
    let mut tests = Vec::new();
    walk(&root.join("tests"), &mut tests);
    let tests: Vec<String> = tests
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    for name in named {
        let exists = match name {
            _ if name.starts_with("tests/") => {
                root.join(name).exists() || root.join(format!("{name}.rs")).exists()
            }
            _ if name.matches('_').count() > 3 => tests.iter().any(|text| has_test(text, name)),
            _ => true,
        };
        assert!(exists, "there is no {name}");
    }
}

#[test]
fn the_import_parser_finds_every_import() {
    assert_eq!(
        imports("use crate::a::B;\nuse crate::{c::{D, e::F}, g, h::I};\nlet x = crate::j::k();"),
        ["a", "c", "g", "h", "j"]
    );
    assert_eq!(
        imports("use super::x;\nuse std::fmt;"),
        Vec::<String>::new()
    );
    assert_eq!(
        code_of("//! crate::broker\n    /// crate::sign\nuse crate::clock;"),
        "use crate::clock;"
    );
}

#[test]
fn only_inline_tests_are_left_out() {
    let code = "#[cfg(test)]\nmod tests;\nfn a() {}\n\n#[cfg(test)]";
    let whole = format!("{code}\nmod tests {{\n    use super::*;\n}}\n");
    assert_eq!(without_tests(&whole), code);
}

/// The files of other modules that contain one of the words.
fn elsewhere(home: &[&str], words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (module, path, code) in sources() {
        let code = without_tests(&code);
        if !home.contains(&module.as_str()) && words.iter().any(|word| code.contains(word)) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn only_the_clock_reads_time() {
    assert_eq!(
        elsewhere(
            &["clock"],
            &["SystemTime::now", "Instant::now", "UNIX_EPOCH"]
        ),
        Vec::<String>::new()
    );
}

#[test]
fn only_upstream_uses_the_http_client_and_knows_wechats_paths() {
    let mut users = elsewhere(&["upstream", "cli"], &["reqwest::"]);
    users.extend(elsewhere(
        &["upstream"],
        &["hyper_util::", "hyper_rustls::"],
    ));
    // WeChat pushes, and so does the sandbox. Messages of users are forwarded.
    users.retain(|path| {
        !path.contains("src/server/notify")
            && !path.ends_with("src/server/forward.rs")
            && !path.ends_with("src/sandbox/push_queue.rs")
    });
    assert_eq!(users, Vec::<String>::new());
    // The drop-in scope replaces WeChat: one file has its paths. Two say which paths a key may call.
    let mut knowing = elsewhere(&["upstream", "sandbox"], &["\"/cgi-bin"]);
    knowing.retain(|path| {
        ![
            "actix/dropin.rs",
            "actix/wechat_path.rs",
            "server/config/keys.rs",
        ]
        .iter()
        .any(|file| path.ends_with(&format!("src/{file}")))
            && !path.contains("src/actix/gateway")
    });
    assert_eq!(knowing, Vec::<String>::new());
}

#[test]
fn only_error_knows_errcodes() {
    let codes = [
        "40001", "40013", "40014", "40125", "40164", "40243", "42001", "45009", "45011", "50004",
        "61003", "61005", "61006", "61009", "61010", "61023", "89503",
    ];
    assert_eq!(
        elsewhere(&["error", "sandbox"], &codes),
        Vec::<String>::new()
    );
}

#[test]
fn the_core_uses_no_web_framework() {
    assert_eq!(
        elsewhere(
            &["actix", "sandbox", "server", "cli"],
            &["actix_web", "askama"]
        ),
        Vec::<String>::new()
    );
    assert_eq!(elsewhere(&["axum"], &["axum::"]), Vec::<String>::new());
}

#[test]
fn only_the_server_uses_a_metrics_library() {
    assert_eq!(
        elsewhere(&["server"], &["prometheus_client"]),
        Vec::<String>::new()
    );
}

#[test]
fn only_the_command_line_prints_to_stdout() {
    assert_eq!(
        elsewhere(&["cli", "main"], &["println!", "io::stdout"]),
        Vec::<String>::new()
    );
}

/// tokio panics if the system refuses its pool a thread. `own_thread` and `file_thread` return an error.
#[test]
fn no_work_needs_a_thread_of_tokios_pool() {
    assert_eq!(
        elsewhere(&[], &["spawn_blocking", "web::block(", "tokio::fs"]),
        Vec::<String>::new()
    );
}
