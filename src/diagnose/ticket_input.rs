//! Reads a ticket as users enter it: in quotes, with its name, or inside WeChat's complete answer to
//! `getticket`.

use serde_json::Value;

use super::Role;
use super::backend_answer::{first_in, is_one_of};
use crate::credential::Secret;

/// Extracts the ticket. A ticket from a pasted string is kept unchanged, since that is what was hashed.
pub(super) fn read(role: &Role, given: Secret) -> Secret {
    if *role == Role::Pasted {
        return given;
    }
    let name = match role {
        Role::AccessToken => "access_token",
        _ => "ticket",
    };
    let text = given.expose().trim_matches(is_around);
    match named(text, name) {
        Some(value) => Secret::new(value),
        None if text.len() == given.expose().len() => given,
        None => Secret::new(text),
    }
}

/// Finds a ticket in JSON at any depth. A value that is too short is another field with that name.
pub(super) fn in_json(json: &Value) -> Option<Secret> {
    first_in(json, &|fields| {
        let mut named = fields.iter().filter(|(key, _)| is_one_of(key, &NAMES));
        let value = named.find_map(|(_, value)| value.as_str())?;
        is_long_enough(value).then(|| Secret::new(value))
    })
}

/// Returns whether the value is long enough for a ticket: WeChat's have about 86 characters.
pub(super) fn is_long_enough(value: &str) -> bool {
    value.len() >= MIN_TICKET
}

/// Returns the value after the name. Quotes are optional, since shells remove them.
fn named<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let values = text.match_indices(name).filter_map(|(at, _)| {
        let rest = &text[at + name.len()..];
        let value = rest.trim_start_matches(|c: char| is_around(c) || ":=".contains(c));
        let between = &rest[..rest.len() - value.len()];
        let end = value
            .find(|c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c)))
            .unwrap_or(value.len());
        between.contains([':', '=']).then_some(&value[..end])
    });
    values.into_iter().find(|value| !value.is_empty())
}

/// Returns the page's URL without the quotes around it or the label before it.
pub(super) fn address(text: &str) -> &str {
    address_after(text, |label| !label.contains(['/', '?', '#', '&']))
}

/// Returns a URL without the quotes around it or an accepted label before it; else the text, trimmed.
pub(super) fn address_after(text: &str, is_label: impl Fn(&str) -> bool) -> &str {
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    let starts = ["http://", "https://"].map(|scheme| lower.find(scheme));
    let Some(start) = starts
        .into_iter()
        .flatten()
        .min()
        .filter(|start| *start > 0)
    else {
        return text;
    };
    let (before, url) = text.split_at(start);
    let label = before.trim_end_matches(is_around);
    let is_label = |label: &str| label.ends_with([':', '：', '=']) && is_label(label);
    if !label.is_empty() && !is_label(label) {
        return text;
    }
    if before.ends_with(|c| is_around(c) && !c.is_whitespace()) {
        url.trim_end_matches(is_around)
    } else {
        url
    }
}

/// Returns whether the text before a URL says that the URL is the page's.
pub(super) fn is_page_label(label: &str) -> bool {
    let label = label.to_lowercase();
    let name = label.trim_end_matches([':', '：']).trim();
    name == "page" || PAGE_LABELS.iter().any(|known| name.ends_with(known))
}

/// Returns whether the URL starts with `http://` or `https://`.
pub(super) fn has_scheme(url: &str) -> bool {
    let url = url.to_ascii_lowercase();
    url.starts_with("https://") || url.starts_with("http://")
}

/// Returns whether the character may surround a value.
fn is_around(c: char) -> bool {
    c.is_whitespace() || "\"'`\\,;“”‘’「」＂＇\u{200b}\u{feff}".contains(c)
}

/// Field names of a ticket in JSON.
pub(super) const NAMES: [&str; 2] = ["ticket", "jsapiticket"];

/// The ends of labels of the page's URL, in lower case.
const PAGE_LABELS: [&str; 7] = [
    "location.href",
    "页面",
    "页面地址",
    "页面url",
    "页面 url",
    "当前地址",
    "page url",
];

const MIN_TICKET: usize = 40;
