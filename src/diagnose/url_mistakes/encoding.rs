//! Changes of blanks, escapes and charsets, and the URLs that frameworks rebuild.

use super::{Add, origin_and_rest};
use crate::diagnose::causes as c;
use crate::diagnose::library_escaping::{
    component, decoded, decoded_as, decoded_as_latin_1, decoded_path, decoded_query, decoded_whole,
    escape_of_javascript, escaped_in, form, normal, recased, whole,
};
use crate::diagnose::{Case, framework_urls};

pub(super) fn blanks(url: &str, _: &Case, add: &mut Add<'_>) {
    add(&c::PLUS_TO_SPACE, url.replace('+', " "));
    add(&c::PLUS_TO_SPACE, url.replace("%20", "+"));
    add(&c::PLUS_TO_SPACE, url.replace('+', "%20"));
    add(&c::PLUS_TO_SPACE, url.replace('+', "%2B"));
    add(&c::PLUS_TO_SPACE, url.replace("%2B", "+"));
}

pub(super) fn escaping(url: &str, _: &Case, add: &mut Add<'_>) {
    add(&c::PERCENT_DECODED, decoded(url));
    add(&c::PERCENT_DECODED, decoded_whole(url));
    add(&c::PERCENT_DECODED, decoded(&url.replace('+', " ")));
    for encode in [component, form] {
        add(&c::ENCODED, encode(url));
        add(&c::ENCODED, recased(&encode(url), str::to_ascii_lowercase));
        add(&c::DOUBLE_ENCODED, encode(&encode(url)));
    }
    if url.contains('%') {
        add(&c::ESCAPES_ENCODED, whole(url));
    }
    add(&c::ESCAPE_CASE, recased(url, str::to_ascii_lowercase));
    add(&c::ESCAPE_CASE, recased(url, str::to_ascii_uppercase));
    let html = url.replace('&', "&amp;");
    add(&c::HTML_ESCAPED, html.clone());
    add(&c::HTML_ESCAPED, url.replace("&amp;", "&"));
    add(&c::JSON_ESCAPED, url.replace('/', "\\/"));
    add(&c::JSON_ESCAPED, url.replace('&', "\\u0026"));
    add(&c::JSON_ESCAPED, format!("\"{url}\""));
    add(&c::JSON_ESCAPED, format!("\"{}\"", url.replace('/', "\\/")));
    add(&c::HTML_ESCAPED, html.replace('\'', "&#039;"));
    add(&c::HTML_ESCAPED, html.replace('\'', "&#39;"));
    add(&c::LOWER_CASED, url.to_ascii_lowercase());
}

/// The request URL that frameworks return.
pub(super) fn rebuilt(url: &str, _: &Case, add: &mut Add<'_>) {
    let Some((origin, rest)) = origin_and_rest(url) else {
        return;
    };
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let asked = &rest[path.len()..];
    for (cause, path) in framework_urls::paths(path) {
        add(cause, format!("{origin}{path}{asked}"));
    }
    if !query.is_empty() {
        for (cause, query) in framework_urls::queries(query) {
            add(cause, format!("{origin}{path}?{query}"));
        }
        // Flask; java.net.URI; a WHATWG parser, and code that undoes it; a path joined with its query and
        // then escaped.
        add(
            &c::PERCENT_DECODED,
            format!("{origin}{}?{}", decoded_path(path), decoded_query(query)),
        );
        add(&c::QUERY_REENCODED, url.replace('\'', "%27"));
        add(&c::QUERY_REENCODED, url.replace("%27", "'"));
        add(&c::QUESTION_ENCODED, url.replacen('?', "%3F", 1));
        add(&c::QUESTION_ENCODED, url.replace('?', "%3F"));
    }
    add(&c::PERCENT_DECODED, decoded(url).replace(' ', "%20"));
    add(&c::PATH_REENCODED, url.replace('\'', "%27"));
    let normal = normal(url);
    let cause = if normal.starts_with(&format!("{origin}{path}?")) {
        &c::QUERY_REENCODED
    } else {
        &c::PATH_REENCODED
    };
    add(cause, normal);
    add(&c::QUERY_REENCODED, whole(&decoded(url)));
    add(&c::ESCAPES_ENCODED, whole(&decoded_whole(url)));
    // The URL as part of a path.
    add(&c::SLASHES_MERGED, url.replacen("://", ":/", 1));
}

/// Non-ASCII characters in a charset other than UTF-8.
pub(super) fn charset(url: &str, _: &Case, add: &mut Add<'_>) {
    if !url.contains('%') && url.is_ascii() {
        return;
    }
    add(&c::CHARSET, decoded_as_latin_1(url));
    for charset in CHARSETS {
        add(&c::CHARSET, decoded_as(url, charset));
        let escaped = escaped_in(url, charset);
        add(&c::CHARSET, recased(&escaped, str::to_ascii_lowercase));
        add(&c::CHARSET, escaped);
    }
    if let Some((origin, rest)) = origin_and_rest(url) {
        let escaped = escape_of_javascript(&decoded(rest));
        add(&c::CHARSET, format!("{origin}{escaped}"));
        let in_place: String = decoded(rest)
            .chars()
            .map(|letter| {
                if letter.is_ascii() {
                    letter.to_string()
                } else {
                    escape_of_javascript(&letter.to_string())
                }
            })
            .collect();
        add(&c::CHARSET, format!("{origin}{in_place}"));
        // A servlet's path, decoded as ISO-8859-1, with an undecoded query.
        let (path, query) = rest.find('?').map_or((rest, ""), |at| rest.split_at(at));
        let path = decoded_as_latin_1(path);
        add(&c::CHARSET, format!("{origin}{path}{query}"));
    }
}

/// The charsets of the platforms that Chinese backends run on.
pub(in crate::diagnose) static CHARSETS: [&encoding_rs::Encoding; 3] = [
    encoding_rs::GBK,
    encoding_rs::BIG5,
    encoding_rs::WINDOWS_1252,
];
