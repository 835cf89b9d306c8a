//! `verify_files` of an account: WeChat's domain ownership files, by name.

use std::collections::HashMap;

use super::redact::quoted;
use super::section::{Section, entries};
use crate::account::{VerifyFile, VerifyFileError};

/// Reads an account's files. Reports and leaves out invalid ones.
pub(super) fn read(section: &mut Section) -> Vec<VerifyFile> {
    let pairs = match section.take_variable(KEY) {
        Some(text) => listed(&text),
        None => section.section(KEY).pairs(),
    };
    let file = |(name, content): (String, String)| match VerifyFile::new(&name, &content) {
        Ok(file) => Some(file),
        Err(error) => {
            let (en, zh) = quoted(&name);
            let what = match error {
                VerifyFileError::Name => {
                    "文件名应为微信后台给出的 MP_verify_….txt 或 WW_verify_….txt，不带路径"
                }
                VerifyFileError::Content => {
                    "内容应为微信文件中的那一串字符（1 到 128 个），不带空格、换行，也不是文件路径"
                }
            };
            section.refuse(KEY, format!("{en}: {error}"), format!("{zh}：{what}"))
        }
    };
    pairs.into_iter().filter_map(file).collect()
}

/// Splits the environment's `NAME=CONTENT,NAME=CONTENT`: a variable's name cannot hold a file's name.
fn listed(text: &str) -> Vec<(String, String)> {
    entries(text)
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, content)| (name.to_owned(), content.to_owned()))
        .collect()
}

/// Adds an account's files to all file names with their content and where they are configured. Reports those that
/// another account has with different content: one address cannot serve two contents.
pub(super) fn note(
    seen: &mut HashMap<String, (String, String)>,
    files: &[VerifyFile],
    section: &Section,
) {
    for file in files {
        let (content, place) = seen
            .entry(file.name().to_owned())
            .or_insert_with(|| (file.content().to_string(), section.place()));
        if **file.content() != **content {
            let name = file.name();
            section.report_at(
                &section.own_path_of(KEY),
                format!("{name} has different content in {place}: one address cannot serve both; download the file from WeChat's console again"),
                format!("{name} 在 {place} 中的内容不同：同一地址无法返回两种内容，请从微信后台重新下载"),
            );
        }
    }
}

pub(super) const KEY: &str = "verify_files";
