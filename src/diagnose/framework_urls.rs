//! URLs as servers and routers write them after parsing: PHP, Laravel, servlets, Spring, ASP.NET, Express,
//! Koa, Next, vue-router, Nuxt, Flask, Django, Starlette, Go and nginx. Each form was observed on the
//! running software (ASP.NET's: in its documentation).

use std::collections::HashMap;

use super::causes::{self as c, Cause};
use super::library_escaping::{PATHS, VALUES, component, decoded};
use super::url_mistakes::Variant;

/// Returns the forms in which `query` is rewritten from its parsed parameters.
pub(super) fn queries(query: &str) -> Vec<Variant> {
    let given = parsed(query);
    let grouped = grouped(&given);
    let mut by_name = given.clone();
    by_name.sort_by(|one, other| one.0.cmp(&other.0));
    // JavaScript objects and PHP's sort put numbers first, in ascending order.
    let numbers_first = |pairs: &Pairs| {
        let mut pairs = pairs.clone();
        pairs.sort_by_key(|(name, _)| name.parse::<u32>().unwrap_or(u32::MAX));
        pairs
    };

    let mut found = Vec::new();
    for pairs in [
        &given,
        &by_name,
        &grouped,
        &numbers_first(&grouped),
        &numbers_first(&by_name),
    ] {
        written(&c::QUERY_REENCODED, pairs, &mut found);
        found.push((&c::PERCENT_DECODED, joined(pairs, str::to_owned)));
    }
    let renamed: Pairs = given
        .iter()
        .map(|(name, value)| (name.replace(['.', ' '], "_"), value.clone()))
        .collect();
    if renamed != given {
        written(&c::NAMES_REWRITTEN, &renamed, &mut found);
    }
    let repeats = grouped
        .windows(2)
        .any(|neighbours| neighbours[0].0 == neighbours[1].0);
    if repeats {
        for keeps_first in [true, false] {
            let single = one_of_each(&grouped, keeps_first);
            let mut sorted = single.clone();
            sorted.sort();
            for pairs in [single, sorted] {
                written(&c::DUPLICATES_DROPPED, &pairs, &mut found);
            }
        }
    }
    if repeats || given.iter().any(|(name, _)| name.contains('[')) {
        for pairs in arrays(&grouped) {
            written(&c::ARRAYS_REWRITTEN, &pairs, &mut found);
        }
    }
    found
}

/// Returns the forms in which servers write a path that they have parsed.
pub(super) fn paths(path: &str) -> Vec<Variant> {
    let readable = decoded(path);
    let bare = without_parameters(path);
    let merged = merged_slashes(path);
    let slashes = [
        merged.clone(),
        path.trim_end_matches('/').replacen("//", "/", 1),
        format!("/{}", path.trim_start_matches('/')),
        merged.trim_end_matches('/').to_owned(),
    ];
    let mut found = Vec::from(slashes.map(|text| (&c::SLASHES_MERGED, text)));
    found.push((&c::PATH_DECODED, readable.clone()));
    if bare != path {
        let matched = decoded(&merged_slashes(&bare));
        found.push((&c::PATH_PARAMETERS, bare));
        found.push((&c::PATH_PARAMETERS, matched));
    }
    for encode in PATHS {
        found.push((&c::PATH_REENCODED, encode(&readable)));
        found.push((&c::PATH_REENCODED, encode(&merged_slashes(&readable))));
    }
    let segments: Vec<_> = path
        .split('/')
        .map(|segment| component(&decoded(segment)))
        .collect();
    found.push((&c::PATH_REENCODED, segments.join("/")));
    found
}

type Pairs = Vec<(String, String)>;

/// Parses a query as form parsers do: empty parts are skipped, and a name without a value gets an empty one.
fn parsed(query: &str) -> Pairs {
    let read = |text: &str| decoded(&text.replace('+', " "));
    query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(name, value)| (read(name), read(value)))
        .collect()
}

fn joined(pairs: &[(String, String)], encode: fn(&str) -> String) -> String {
    pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect::<Vec<_>>()
        .join("&")
}

fn written(cause: &'static Cause, pairs: &Pairs, found: &mut Vec<Variant>) {
    found.extend(VALUES.iter().map(|encode| (cause, joined(pairs, *encode))));
    if cause != &c::QUERY_REENCODED {
        found.push((cause, joined(pairs, str::to_owned)));
    }
}

/// Moves the values of one name together, to the place of the first.
fn grouped(pairs: &Pairs) -> Pairs {
    let mut places = HashMap::new();
    for (at, (name, _)) in pairs.iter().enumerate() {
        places.entry(name.as_str()).or_insert(at);
    }
    let mut grouped = pairs.clone();
    grouped.sort_by_key(|(name, _)| places[name.as_str()]);
    grouped
}

fn one_of_each(grouped: &Pairs, keeps_first: bool) -> Pairs {
    let mut kept = grouped.clone();
    kept.dedup_by(|later, earlier| {
        let is_repeated = later.0 == earlier.0;
        if is_repeated && !keeps_first {
            std::mem::swap(later, earlier);
        }
        is_repeated
    });
    kept
}

/// Returns list parameters in the forms that the frameworks write.
fn arrays(grouped: &Pairs) -> Vec<Pairs> {
    let base = |name: &str| name.split('[').next().unwrap_or_default().to_owned();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for (name, _) in grouped {
        *counts.entry(name).or_default() += 1;
    }
    let is_list = |name: &str| counts[name] > 1 || name.ends_with("[]");
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let (mut bare, mut indexed, mut bracketed) = (Vec::new(), Vec::new(), Vec::new());
    for (name, value) in grouped {
        let at = seen.entry(name).or_default();
        let stem = name.strip_suffix("[]").unwrap_or(name);
        let in_list = |written: String| {
            (
                if is_list(name) { written } else { name.clone() },
                value.clone(),
            )
        };
        bare.push(in_list(stem.to_owned()));
        indexed.push(in_list(format!("{stem}[{at}]")));
        bracketed.push(in_list(format!("{stem}[]")));
        *at += 1;
    }
    let mut lists = vec![bare, indexed, bracketed];
    for strips in [false, true] {
        let mut commas: Pairs = Vec::new();
        let mut name_before = None;
        for (name, value) in grouped {
            let stem = if strips { base(name) } else { name.clone() };
            match commas.last_mut().filter(|_| name_before == Some(name)) {
                Some((_, values)) => *values = format!("{values},{value}"),
                None => commas.push((stem, value.clone())),
            }
            name_before = Some(name);
        }
        lists.push(commas);
    }
    // How languages print a list or an object.
    for printed in ["Array", "", "[object Object]"] {
        let mut texts: Pairs = Vec::new();
        for (name, value) in grouped {
            if !name.contains('[') {
                texts.push((name.clone(), value.clone()));
            } else if texts.last().is_none_or(|last| last.0 != base(name)) {
                texts.push((base(name), printed.to_owned()));
            }
        }
        lists.push(texts);
    }
    lists
}

/// Returns `/p;jsessionid=1/q` as servlets match it: `/p/q`.
fn without_parameters(path: &str) -> String {
    path.split('/')
        .map(|segment| segment.split(';').next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("/")
}

fn merged_slashes(path: &str) -> String {
    let mut letters: Vec<char> = path.chars().collect();
    letters.dedup_by(|one, other| *one == '/' && *other == '/');
    letters.into_iter().collect()
}
