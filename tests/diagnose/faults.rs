//! Every mistake of a backend: with the address, the ticket, the values, the string and the hash.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::{Digest as _, Sha1};
use sha2::{Sha256, Sha512};
use wx_jssdk::diagnose::{Case, Role, Target};

use crate::backend::*;

const fn on(page: &'static str, code: &'static str, make: fn(&mut Backend)) -> Fault {
    Fault { code, page, make }
}

const fn fault(code: &'static str, make: fn(&mut Backend)) -> Fault {
    on(PAGE, code, make)
}

/// The signing endpoint is known.
fn with_endpoint(case: Case) -> Case {
    Case {
        hosts: vec!["https://api.example.com/sign".into()],
        ..case
    }
}

/// Java's `Integer.toHexString` for each byte.
fn unpadded(text: &str) -> String {
    Sha1::digest(text)
        .iter()
        .map(|byte| format!("{byte:x}"))
        .collect()
}

/// `BitConverter.ToString` of .NET.
fn dashed(text: &str) -> String {
    let bytes: Vec<_> = Sha1::digest(text)
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    bytes.join("-")
}

/// Java's `String.format("%02x", …)` of a byte made an int.
fn signed_bytes(text: &str) -> String {
    let extended = |byte: &u8| format!("{:02x}", i32::from(byte.cast_signed()));
    Sha1::digest(text).iter().map(extended).collect()
}

/// As for payments, with the ticket as the key.
pub(crate) fn hmac_sha256(text: &str) -> String {
    let hmac = Hmac::<Sha256>::new_from_slice(TICKET.as_bytes()).unwrap();
    hex(&hmac.chain_update(text).finalize().into_bytes())
}

/// Java's `BigInteger.toString(16)`.
fn as_number(text: &str) -> String {
    sha1(text).trim_start_matches('0').to_owned()
}

/// The parameters of an address, changed.
fn with_parts(url: &str, change: fn(&mut Vec<&str>)) -> String {
    let (path, query) = url.split_once('?').unwrap();
    let mut parts = query.split('&').collect();
    change(&mut parts);
    format!("{path}?{}", parts.join("&"))
}

#[rustfmt::skip] // one row, one mistake
pub(crate) static FAULTS: &[Fault] = &[
    fault("fragment_kept", |backend| { backend.cuts = false; }),
    on("https://example.com/#/", "fragment_kept", |backend| { backend.cuts = false; }),
    on("https://example.com/", "fragment_kept", |backend| backend.address.push(|url| format!("{url}#/"))),
    on("https://example.com/p?a=1", "fragment_kept", |backend| backend.address.push(|url| format!("{url}#"))),
    on("https://h.cn/p#top", "fragment_kept", |backend| { backend.cuts = false; backend.address.push(|url| url.replacen('#', "%23", 1)); }),
    fault("percent_decoded", |backend| backend.address.push(decode)),
    fault("percent_decoded", |backend| backend.address.push(|url| decode(&url.replace('+', " ")))),
    fault("percent_decoded", |backend| backend.address.push(|url| url.replace("%E5%BC%A0", "张"))),
    fault("percent_decoded", |backend| backend.address.push(|url| url.replace("%E5%BC%A0", "张").replace("%2F", "/"))),
    fault("encoded_once_more", |backend| backend.address.push(encode)),
    on("https://h.cn/p", "encoded_once_more", |backend| backend.address.push(|url| encode(url).replace("%3A", "%3a").replace("%2F", "%2f"))),
    on("https://h.cn/~me/p", "encoded_once_more", |backend| backend.address.push(|url| encode(url).replace("%20", "+").replace('~', "%7E"))),
    fault("double_encoded", |backend| backend.address.push(|url| encode(&encode(url)))),
    fault("escapes_encoded_again", |backend| backend.address.push(|url| url.replace('%', "%25"))),
    fault("plus_to_space", |backend| backend.address.push(|url| url.replace('+', " "))),
    fault("plus_to_space", |backend| backend.address.push(|url| url.replace('+', "%20"))),
    on("https://h.cn/p?q=a%20b", "plus_to_space", |backend| backend.address.push(|url| url.replace("%20", "+"))),
    on("https://h.cn/p?q=a%2Bb", "plus_to_space", |backend| backend.address.push(|url| url.replace("%2B", "+"))),
    fault("plus_to_space", |backend| backend.address.push(|url| url.replace('+', "%2B"))),
    fault("escape_case_changed", |backend| backend.address.push(|url| url.replace("%E5%BC%A0%2F", "%e5%bc%a0%2f"))),
    on("https://h.cn/p?q=%e5", "escape_case_changed", |backend| backend.address.push(|url| url.replace("%e5", "%E5"))),
    fault("html_escaped", |backend| backend.address.push(|url| url.replace('&', "&amp;"))),
    on("https://h.cn/p?a=1&amp;b=2", "html_escaped", |backend| backend.address.push(|url| url.replace("&amp;", "&"))),
    fault("json_escaped", |backend| backend.address.push(|url| url.replace('/', "\\/"))),
    fault("json_escaped", |backend| backend.address.push(|url| url.replace('&', "\\u0026"))),
    fault("json_escaped", |backend| backend.address.push(|url| serde_json::to_string(url).unwrap())),
    fault("cut_at_ampersand", |backend| backend.address.push(|url| url.split('&').next().unwrap().to_owned())),
    on("https://h.cn/p?a=1&b=2&c=3&d=4", "parameter_dropped", |backend| backend.address.push(|url| url.rsplit_once('&').unwrap().0.to_owned())),
    fault("query_dropped", |backend| backend.address.push(|url| url.split('?').next().unwrap().to_owned())),
    fault("query_dropped", |backend| backend.address.push(|url| url.split_inclusive('?').next().unwrap().to_owned())),
    on("https://h.cn/p?c=3&a=1&b=2", "query_reordered", |backend| backend.address.push(|url| with_parts(url, |parts| parts.sort_unstable()))),
    on("https://h.cn/p?a=1&b=2&c=3&d=4&e=5&f=6", "query_reordered", |backend| backend.address.push(|url| with_parts(url, |parts| parts.reverse()))),
    on("https://h.cn/p?c=3&a=1&b=2", "query_reordered", |backend| backend.address.push(|url| with_parts(url, |parts| parts.rotate_left(1)))),
    on("https://h.cn/p?q=a*b&r=%7E%20", "query_reencoded", |backend| backend.address.push(|_| "https://h.cn/p?q=a%2Ab&r=%7E+".into())),
    on("https://h.cn/p?ids=1,2&t=10:30", "query_reencoded", |backend| backend.address.push(|url| url.replace(',', "%2C").replace(':', "%3A").replace("https%3A", "https:"))),
    on("https://h.cn/p?a[]=1&a[]=2", "array_parameters_rewritten", |backend| backend.address.push(|_| "https://h.cn/p?a%5B0%5D=1&a%5B1%5D=2".into())),
    on("https://h.cn/p?a=1&b=2&a=3", "duplicate_parameters_dropped", |backend| backend.address.push(|_| "https://h.cn/p?a=3&b=2".into())),
    on("https://h.cn/p?a.b=1", "parameter_names_rewritten", |backend| backend.address.push(|url| url.replace("a.b", "a_b"))),
    on("https://h.cn/p?a=1&_t=7&b=2", "parameter_dropped", |backend| backend.address.push(|url| url.replace("&_t=7", ""))),
    on("https://h.cn/p?a=1&b=2&utm_source=x&utm_medium=y", "parameter_dropped", |backend| backend.address.push(|_| "https://h.cn/p?a=1&b=2".into())),
    on("https://h.cn/list?id=7&lang=en", "cut_at_ampersand", |backend| backend.address.push(|url| url.split('&').next().unwrap().to_owned())),
    on("https://h.cn/list?scene=3&version=2", "query_dropped", |backend| backend.address.push(|url| url.split('?').next().unwrap().to_owned())),
    on("https://h.cn/p?id=7&from=singlemessage&isappinstalled=0", "share_parameters_added", |backend| backend.address.push(|_| "https://h.cn/p?id=7".into())),
    on("https://h.cn/p?id=7&from=groupmessage&scene=1&subscene=2&clicktime=1600000000&enterid=1600000000&ascene=1&devicetype=android-29&version=28003f33&nettype=WIFI&lang=zh_CN&exportkey=x&pass_ticket=y&wx_header=3", "share_parameters_added", |backend| backend.address.push(|_| "https://h.cn/p?id=7".into())),
    on("https://h.cn/p?from=timeline", "share_parameters_added", |backend| backend.address.push(|_| "https://h.cn/p".into())),
    on("https://h.cn/p?id=7&code=0a1b2c&state=x", "oauth_parameters", |backend| backend.address.push(|_| "https://h.cn/p?id=7".into())),
    on("https://h.cn/p?code=0a1b2c&state=", "oauth_parameters", |backend| backend.address.push(|_| "https://h.cn/p".into())),
    on("https://h.cn/app/?a=1", "trailing_slash", |backend| backend.address.push(|url| url.replace("app/", "app"))),
    on("https://h.cn/app?a=1", "trailing_slash", |backend| backend.address.push(|url| url.replace("app", "app/"))),
    on("https://h.cn/", "trailing_slash", |backend| backend.address.push(|url| url.trim_end_matches('/').to_owned())),
    on("https://h.cn/app", "trailing_slash", |backend| backend.address.push(|url| format!("{url}/"))),
    on("https://h.cn/app/?a=1", "index_file", |backend| backend.address.push(|url| url.replace("app/", "app/index.html"))),
    on("https://h.cn/app/index.php?a=1", "index_file", |backend| backend.address.push(|url| url.replace("index.php", ""))),
    on("https://h.cn/p?a=1", "path_prefix_added", |backend| backend.address.push(|url| url.replace("/p", "/backend/p"))),
    on("https://h.cn/p?a=1", "script_path_signed", |backend| backend.address.push(|url| url.replace("/p", "/index.php/p"))),
    on("https://h.cn/p?a=1", "script_path_signed", |backend| backend.address.push(|_| "https://h.cn/index.php?s=/p&a=1".into())),
    on("https://h.cn/%E5%BC%A0/p?n=%E4%B8%89", "path_decoded", |backend| backend.address.push(|url| url.replace("%E5%BC%A0", "张"))),
    on("https://h.cn/a@b:c,d/p?x=1", "path_reencoded", |backend| backend.address.push(|url| url.replace('@', "%40").replace(":c,", "%3Ac%2C"))),
    on("https://h.cn/p;jsessionid=AB12?a=1", "path_parameters_dropped", |backend| backend.address.push(|url| url.replace(";jsessionid=AB12", ""))),
    on("https://h.cn/a//b?x=1", "slashes_merged", |backend| backend.address.push(|url| url.replace("a//b", "a/b"))),
    on("https://h.cn/p?a=1", "question_mark_encoded", |backend| backend.address.push(|url| url.replace('?', "%3F"))),
    on("https://h.cn/p?n=%E5%BC%A0", "another_charset", |backend| backend.address.push(|url| url.replace("%E5%BC%A0", "%D5%C5"))),
    on("https://h.cn/p?n=%E5%BC%A0", "another_charset", |backend| backend.address.push(|url| url.replace("%E5%BC%A0", "å¼\u{a0}"))),
    fault("scheme_swapped", |backend| backend.address.push(|url| url.replacen("https:", "http:", 1))),
    on("http://h.cn/p", "scheme_swapped", |backend| backend.address.push(|url| url.replacen("http:", "https:", 1))),
    fault("port_changed", |backend| backend.address.push(|url| url.replace("example.com", "example.com:8080"))),
    fault("port_changed", |backend| backend.address.push(|url| url.replace("example.com", "example.com:443"))),
    on("https://h.cn:8443/p?a=1", "port_changed", |backend| backend.address.push(|url| url.replace(":8443", ""))),
    fault("another_host", |backend| { backend.known = |case| Case { hosts: vec!["api.example.com".into()], ..case }; backend.address.push(|url| url.replace("www.", "api.")); }),
    fault("another_host", |backend| backend.address.push(|url| url.replace("www.example.com", "localhost:3000"))),
    fault("another_host", |backend| backend.address.push(|url| url.replace("www.example.com", "127.0.0.1"))),
    fault("www_changed", |backend| backend.address.push(|url| url.replace("www.", ""))),
    on("https://h.cn/p", "www_changed", |backend| backend.address.push(|url| url.replace("h.cn", "www.h.cn"))),
    fault("api_url_signed", |backend| { backend.known = |case| Case { hosts: vec!["https://api.example.com/sign?url=x".into()], ..case }; backend.address.push(|_| "https://api.example.com/sign?url=x".into()); }),
    fault("api_url_signed", |backend| { backend.known = |case| Case { hosts: vec!["https://api.example.com/sign?url=x".into()], ..case }; backend.address.push(|_| "https://api.example.com/sign".into()); }),
    fault("api_url_signed", |backend| { backend.known = with_endpoint; backend.address.push(|url| format!("https://api.example.com/sign?url={}", encode(url))); }),
    fault("api_url_signed", |backend| { backend.known = with_endpoint; backend.address.push(|url| format!("http://api.example.com/sign?url={}", encode(url))); }),
    on("https://h.cn/p?q=a*b~c#/x", "api_url_signed", |backend| { backend.known = with_endpoint; backend.address.push(|url| format!("https://api.example.com/sign?url={}", encode(url).replace('*', "%2A").replace('~', "%7E"))); }),
    on("https://h.cn/p#/x", "api_url_signed", |backend| { backend.known = with_endpoint; backend.cuts = false; backend.address.push(|url| format!("https://api.example.com/sign?url={}", encode(url))); }),
    fault("api_url_signed", |backend| { backend.known = with_endpoint; backend.address.push(|_| "http://api.example.com/sign".into()); }),
    fault("origin_only", |backend| backend.address.push(|_| "https://www.example.com/".into())),
    fault("origin_only", |backend| backend.address.push(|_| "https://www.example.com".into())),
    fault("scheme_missing", |backend| backend.address.push(|url| url.replace("https:", ""))),
    fault("scheme_missing", |backend| backend.address.push(|url| url.replace("https://", ""))),
    fault("scheme_missing", |backend| backend.address.push(|url| url.replace("https://www.example.com", ""))),
    fault("path_prefix_stripped", |backend| backend.address.push(|url| url.replace("/app/", "/"))),
    fault("path_dropped", |backend| backend.address.push(|url| url.replace("/app/list", "/"))),
    fault("path_dropped", |backend| backend.address.push(|url| url.replace("/app/list", ""))),
    on("https://h.cn/detail/7", "landing_url_signed", |backend| { backend.known = |case| Case { landing: Some("https://h.cn/home?x=1#top".into()), checked_url: Some("https://h.cn/detail/7".into()), ..case }; backend.address.push(|_| "https://h.cn/home?x=1".into()); }),
    on("https://h.cn/App/List?Id=A", "url_lower_cased", |backend| backend.address.push(str::to_lowercase)),
    fault("newline_or_blank", |backend| backend.address.push(|url| format!("{url}\n"))),
    fault("newline_or_blank", |backend| backend.address.push(|url| format!("{url}\r\n"))),
    fault("newline_or_blank", |backend| backend.address.push(|url| format!(" {url}"))),
    fault("two_nonces", |backend| { backend.known = |case| Case { other_nonces: vec!["another".into()], ..case }; backend.nonce = |_| "another".into(); }),
    on("https://h.cn/p", "nonce_rounded", |backend| { backend.known = |case| Case { nonce: "9223372036854775000".into(), other_nonces: vec!["9223372036854775123".into()], ..case }; backend.nonce = |_| "9223372036854775123".into(); }),
    fault("two_timestamps", |backend| { backend.known = |case| Case { other_timestamps: vec!["1414580000".into()], ..case }; backend.time = |_| "1414580000".into(); }),
    fault("double_question_mark", |backend| backend.address.push(|url| url.replace('?', "??"))),
    fault("double_question_mark", |backend| backend.address.push(|url| url.replacen('&', "?", 1))),
    on("https://h.cn/p?a=1?b=2", "double_question_mark", |backend| backend.address.push(|url| url.replace("1?b", "1&b"))),
    on("https://h.cn/p", "null_query_added", |backend| backend.address.push(|url| format!("{url}?null"))),
    on("https://h.cn/p#/x", "null_query_added", |backend| backend.address.push(|url| format!("{url}?undefined"))),
    on("https://h.cn/", "null_query_added", |backend| backend.address.push(|url| format!("{url}?None"))),
    on("https://h.cn/p?a=1&", "empty_query_changed", |backend| backend.address.push(|url| url.trim_end_matches('&').to_owned())),
    on("https://h.cn/p?", "empty_query_changed", |backend| backend.address.push(|url| url.trim_end_matches('?').to_owned())),
    on("https://h.cn/p?a=&b=1", "empty_query_changed", |backend| backend.address.push(|url| url.replace("a=&", "a&"))),
    on("https://h.cn/p?a&b=1", "empty_query_changed", |backend| backend.address.push(|url| url.replace("?a&", "?a=&"))),
    fault("url_was_missing", |backend| backend.address.push(|_| "".into())),
    fault("url_was_missing", |backend| backend.address.push(|_| "undefined".into())),
    fault("url_was_missing", |backend| backend.address.push(|_| "null".into())),
    fault("url_was_missing", |backend| backend.address.push(|_| "None".into())),
    fault("url_was_missing", |backend| backend.address.push(|_| "[object Object]".into())),
    fault("another_url_signed", |backend| { backend.known = |case| Case { answered_url: Some("https://h.cn/elsewhere?x=1".into()), ..case }; backend.address.push(|_| "https://h.cn/elsewhere?x=1".into()); }),
    fault("previous_ticket", |backend| { backend.ticket = || PREVIOUS.into(); }),
    fault("card_ticket_for_jsapi", |backend| { backend.ticket = || CARD.into(); }),
    fault("agent_ticket_for_jsapi", |backend| { backend.ticket = || AGENT.into(); }),
    fault("access_token_for_ticket", |backend| { backend.ticket = || TOKEN.into(); }),
    fault("ticket_of_another_account", |backend| { backend.ticket = || OTHER.into(); }),
    fault("ticket_not_current", |backend| { backend.known = |case| case.ticket(Role::Pasted, PASTED); backend.ticket = || PASTED.into(); }),
    fault("jsapi_ticket_for_agent", |backend| { backend.known = |case| Case { target: Target::AgentConfig, ..case }; }),
    fault("ticket_with_newline", |backend| { backend.ticket = || format!("{TICKET}\n"); }),
    fault("ticket_with_newline", |backend| { backend.ticket = || format!("{TICKET} "); }),
    fault("ticket_with_newline", |backend| { backend.ticket = || format!("\"{TICKET}\""); }),
    fault("ticket_with_newline", |backend| { backend.ticket = || format!("\u{feff}{TICKET}"); }),
    fault("ticket_was_missing", |backend| { backend.ticket = || String::new(); }),
    fault("ticket_was_missing", |backend| { backend.ticket = || "undefined".into(); }),
    fault("ticket_was_missing", |backend| { backend.ticket = || "null".into(); }),
    fault("ticket_was_missing", |backend| { backend.ticket = || "None".into(); }),
    fault("ticket_cut", |backend| { backend.ticket = || TICKET[..32].into(); }),
    fault("ticket_cut", |backend| { backend.ticket = || TICKET[..64].into(); }),
    fault("ticket_cut", |backend| { backend.ticket = || TICKET[..80].into(); }),
    fault("ticket_case_changed", |backend| { backend.ticket = || TICKET.to_lowercase(); }),
    fault("ticket_case_changed", |backend| { backend.ticket = || TICKET.to_uppercase(); }),
    fault("timestamp_in_milliseconds", |backend| { backend.time = |time| format!("{time}000"); }),
    fault("timestamp_in_milliseconds", |backend| { backend.time = |time| format!("{time}123"); }),
    fault("another_timestamp", |backend| { backend.time = |time| (time.parse::<u64>().unwrap() + 1).to_string(); }),
    fault("another_timestamp", |backend| { backend.time = |time| (time.parse::<u64>().unwrap() - 1).to_string(); }),
    fault("another_timestamp", |backend| { backend.time = |time| (time.parse::<u64>().unwrap() - 300).to_string(); }),
    fault("timestamp_in_local_time", |backend| { backend.time = |time| (time.parse::<u64>().unwrap() + 8 * 3_600).to_string(); }),
    fault("timestamp_in_local_time", |backend| { backend.time = |time| (time.parse::<u64>().unwrap() - 5 * 3_600).to_string(); }),
    fault("timestamp_written_otherwise", |backend| { backend.time = |time| format!("\"{time}\""); }),
    fault("timestamp_written_otherwise", |backend| { backend.time = |time| format!("{time}.0"); }),
    fault("timestamp_written_otherwise", |backend| { backend.time = |time| format!(" {time}"); }),
    fault("timestamp_written_otherwise", |backend| { backend.time = |_| String::new(); }),
    fault("timestamp_written_otherwise", |backend| { backend.time = |_| "NaN".into(); }),
    fault("nonce_case_changed", |backend| { backend.nonce = str::to_lowercase; }),
    fault("nonce_case_changed", |backend| { backend.nonce = str::to_uppercase; }),
    fault("nonce_trimmed", |backend| { backend.nonce = |nonce| format!(" {nonce}"); }),
    fault("nonce_trimmed", |backend| { backend.nonce = |nonce| format!("\"{nonce}\""); }),
    fault("nonce_was_missing", |backend| { backend.nonce = |_| String::new(); }),
    fault("nonce_was_missing", |backend| { backend.nonce = |_| "undefined".into(); }),
    fault("nonce_name", |backend| { backend.string = |[ticket, nonce, time, url]| string(ticket, nonce, time, url).replacen("noncestr=", "nonceStr=", 1); }),
    fault("nonce_name", |backend| { backend.string = |[ticket, nonce, time, url]| string(ticket, nonce, time, url).replacen("noncestr=", "nonce_str=", 1); }),
    fault("nonce_name", |backend| { backend.string = |[ticket, nonce, time, url]| string(ticket, nonce, time, url).replacen("noncestr=", "nonce=", 1); }),
    fault("ticket_name", |backend| { backend.string = |[ticket, nonce, time, url]| string(ticket, nonce, time, url).replacen("jsapi_ticket=", "ticket=", 1); }),
    fault("ticket_name", |backend| { backend.string = |[ticket, nonce, time, url]| string(ticket, nonce, time, url).replacen("jsapi_ticket=", "jsapiTicket=", 1); }),
    fault("ticket_name", |backend| { backend.string = |[ticket, nonce, time, url]| string(ticket, nonce, time, url).replacen("jsapi_ticket=", "access_token=", 1); }),
    fault("timestamp_name", |backend| { backend.string = |[ticket, nonce, time, url]| string(ticket, nonce, time, url).replacen("timestamp=", "timeStamp=", 1); }),
    fault("timestamp_name", |backend| { backend.string = |[ticket, nonce, time, url]| string(ticket, nonce, time, url).replacen("timestamp=", "time_stamp=", 1); }),
    fault("timestamp_name", |backend| { backend.string = |[ticket, nonce, time, url]| string(ticket, nonce, time, url).replacen("timestamp=", "Timestamp=", 1); }),
    fault("parameters_unsorted", |backend| { backend.string = |[ticket, nonce, time, url]| format!("noncestr={nonce}&jsapi_ticket={ticket}&timestamp={time}&url={url}"); }),
    fault("parameters_unsorted", |backend| { backend.string = |[ticket, nonce, time, url]| format!("url={url}&timestamp={time}&noncestr={nonce}&jsapi_ticket={ticket}"); }),
    fault("values_only", |backend| { backend.string = |[ticket, nonce, time, url]| { let mut all = [*ticket, *nonce, *time, *url]; all.sort_unstable(); all.concat() }; }),
    fault("values_only", |backend| { backend.string = |[ticket, nonce, time, url]| [*ticket, *nonce, *time, *url].join("&"); }),
    fault("separator", |backend| { backend.string = |[ticket, nonce, time, url]| format!("jsapi_ticket={ticket},noncestr={nonce},timestamp={time},url={url}"); }),
    fault("separator", |backend| { backend.string = |[ticket, nonce, time, url]| format!("jsapi_ticket={ticket}noncestr={nonce}timestamp={time}url={url}"); }),
    fault("separator", |backend| { backend.string = |[ticket, nonce, time, url]| format!("jsapi_ticket={ticket}noncestr={nonce}&timestamp={time}&url={url}"); }),
    fault("separator", |backend| { backend.string = |[ticket, nonce, time, url]| format!("jsapi_ticket={ticket}&noncestr={nonce}timestamp={time}&url={url}"); }),
    fault("separator", |backend| { backend.string = |[ticket, nonce, time, url]| format!("jsapi_ticket={ticket}&noncestr={nonce}&timestamp={time}url={url}"); }),
    fault("separator", |backend| { backend.string = |[ticket, nonce, time, url]| format!("jsapi_ticket={ticket}&amp;noncestr={nonce}&amp;timestamp={time}&amp;url={url}"); }),
    fault("times_entity", |backend| { backend.string = |[ticket, nonce, time, url]| string(ticket, nonce, time, url).replacen("&timestamp", "×tamp", 1); }),
    fault("stray_separator", |backend| { backend.string = |[ticket, nonce, time, url]| format!("&{}", string(ticket, nonce, time, url)); }),
    fault("stray_separator", |backend| { backend.string = |[ticket, nonce, time, url]| format!("?{}", string(ticket, nonce, time, url)); }),
    fault("byte_order_mark", |backend| { backend.string = |[ticket, nonce, time, url]| format!("\u{feff}{}", string(ticket, nonce, time, url)); }),
    fault("string_encoded", |backend| { backend.string = |[ticket, nonce, time, url]| encode(&string(ticket, nonce, time, url)); }),
    fault("string_case_changed", |backend| { backend.string = |[ticket, nonce, time, url]| string(ticket, nonce, time, url).to_lowercase(); }),
    fault("string_case_changed", |backend| { backend.string = |[ticket, nonce, time, url]| string(ticket, nonce, time, url).to_uppercase(); }),
    fault("parameter_missing", |backend| { backend.string = |[ticket, nonce, time, url]| { let _ = time; format!("jsapi_ticket={ticket}&noncestr={nonce}&url={url}") }; }),
    fault("parameter_missing", |backend| { backend.string = |[ticket, nonce, time, url]| { let _ = nonce; format!("jsapi_ticket={ticket}&timestamp={time}&url={url}") }; }),
    fault("app_id_added", |backend| { backend.known = |case| Case { app_id: Some("wx12".into()), ..case }; backend.string = |[ticket, nonce, time, url]| format!("appid=wx12&{}", string(ticket, nonce, time, url)); }),
    fault("app_id_added", |backend| { backend.known = |case| Case { app_id: Some("wx12".into()), ..case }; backend.string = |[ticket, nonce, time, url]| string(ticket, nonce, time, url) + "&appId=wx12"; }),
    fault("utf16_hashed", |backend| { backend.string = |[ticket, nonce, time, url]| string(ticket, nonce, time, url).chars().flat_map(|letter| [letter, '\0']).collect(); }),
    fault("upper_case_hex", |backend| { backend.hash = |text| sha1(text).to_uppercase(); }),
    fault("hex_zeros_lost", |backend| { backend.hash = unpadded; }),
    on("https://h.cn/0", "hex_zeros_lost", |backend| { backend.hash = as_number; }),
    fault("md5_for_sha1", |backend| { backend.hash = md5; }),
    fault("md5_for_sha1", |backend| { backend.hash = |text| md5(text).to_uppercase(); }),
    fault("sha256_for_sha1", |backend| { backend.hash = sha256; }),
    fault("sha512_for_sha1", |backend| { backend.hash = |text| hex(&Sha512::digest(text)); }),
    fault("hmac_for_sha1", |backend| { backend.hash = hmac_sha256; }),
    fault("hashed_twice", |backend| { backend.hash = |text| md5(&md5(text)); }),
    fault("hashed_twice", |backend| { backend.hash = |text| sha1(&sha1(text)); }),
    fault("payment_key_added", |backend| { backend.string = |[ticket, nonce, time, url]| format!("noncestr={nonce}&timestamp={time}&url={url}&key={ticket}"); }),
    fault("hex_with_separators", |backend| { backend.hash = dashed; }),
    fault("hex_sign_extended", |backend| { backend.hash = signed_bytes; }),
    fault("base64_for_hex", |backend| { backend.hash = sha1_base64; }),
    fault("signature_with_blanks", |backend| { backend.hash = |text| format!("{}\n", sha1(text)); }),
    fault("signature_with_blanks", |backend| { backend.hash = |text| format!("\"{}\"", sha1(text)); }),
];
