//! Reproduces the known mistakes in ticket, nonce and timestamp, and in the string built from the four
//! values.

use super::causes::{self as c, Cause};
use super::library_escaping::{component, form, whole};
use super::url_mistakes::{NOTHING, Variant};
use super::{Case, Role, Target};

/// The four values of a signed string, and the placeholder shown instead of the ticket.
#[derive(Clone)]
pub(super) struct Values {
    pub(super) ticket: String,
    pub(super) shown: String,
    pub(super) nonce: String,
    pub(super) timestamp: String,
    pub(super) url: String,
}

impl Values {
    /// Returns each value with its name, in the order that WeChat hashes.
    fn named(&self) -> [(&'static str, &str); 4] {
        [
            ("jsapi_ticket", &self.ticket),
            ("noncestr", &self.nonce),
            ("timestamp", &self.timestamp),
            ("url", &self.url),
        ]
    }

    /// Returns the string that WeChat hashes.
    pub(super) fn string(&self) -> String {
        joined(&self.named(), "&")
    }

    /// Returns the same values with the ticket redacted.
    pub(super) fn struck_out(&self) -> Self {
        Self {
            ticket: self.shown.clone(),
            ..self.clone()
        }
    }
}

/// Returns the wrong tickets, with the placeholders shown instead.
pub(super) fn tickets(case: &Case, right: &str) -> Vec<(&'static Cause, String, String)> {
    let mut found = Vec::new();
    let mut add = |cause, value: &str, shown: String| {
        if value != right {
            found.push((cause, value.to_owned(), shown));
        }
    };
    // Pasted tickets come last: their account is unknown, and they may equal one of the others.
    let (pasted, known): (Vec<_>, Vec<_>) = case
        .tickets
        .iter()
        .partition(|ticket| ticket.role == Role::Pasted);
    for ticket in known.into_iter().chain(pasted) {
        let cause = match (&ticket.role, case.signed_for()) {
            (Role::Current, Target::Config)
            | (Role::Agent, Target::AgentConfig)
            | (Role::Signing, _) => continue,
            (Role::Current, Target::AgentConfig) => &c::CORP_TICKET,
            (Role::Previous, _) => &c::PREVIOUS_TICKET,
            (Role::Card, _) => &c::CARD_TICKET,
            (Role::Agent, Target::Config) => &c::AGENT_TICKET,
            (Role::AccessToken, _) => &c::ACCESS_TOKEN,
            (Role::Other(_), _) => &c::OTHER_ACCOUNT,
            (Role::Pasted, _) => &c::PASTED_TICKET,
        };
        add(cause, ticket.value.expose(), ticket.role.shown());
    }
    for nothing in NOTHING {
        add(&c::TICKET_MISSING, nothing, (*nothing).to_owned());
    }
    let shown = "[ticket]";
    for (before, after) in EDGES {
        let value = format!("{before}{right}{after}");
        add(&c::TICKET_BLANK, &value, format!("{before}{shown}{after}"));
    }
    add(&c::TICKET_CASE, &right.to_ascii_lowercase(), shown.into());
    add(&c::TICKET_CASE, &right.to_ascii_uppercase(), shown.into());
    for length in COLUMNS {
        if let Some(cut) = right.get(..length) {
            let shown = format!("[the ticket's first {length} characters]");
            add(&c::TICKET_CUT, cut, shown);
        }
    }
    found
}

/// Returns nonces that differ from the one that was sent.
pub(super) fn nonces(nonce: &str, case: &Case) -> Vec<Variant> {
    let mut found = others(&case.other_nonces, nonce, &c::NONCE_ROUNDED, &c::TWO_NONCES);
    found.extend([
        (&c::NONCE_CASE, nonce.to_ascii_lowercase()),
        (&c::NONCE_CASE, nonce.to_ascii_uppercase()),
        (&c::NONCE_BLANK, nonce.trim().to_owned()),
        (&c::NONCE_BLANK, nonce.replace('-', "")),
    ]);
    found.extend(surrounded(&c::NONCE_BLANK, nonce));
    for nothing in NOTHING {
        found.push((&c::NONCE_MISSING, (*nothing).to_owned()));
    }
    found.retain(|(_, text)| text != nonce);
    found
}

/// Returns timestamps that differ from the one that was sent and are worth combining with every other
/// mistake.
pub(super) fn timestamps(sent: &str, case: &Case) -> Vec<Variant> {
    let mut found = others(
        &case.other_timestamps,
        sent,
        &c::TIME_AS_TEXT,
        &c::TWO_TIMES,
    );
    found.push((&c::TIME_AS_TEXT, sent.trim().to_owned()));
    if let Ok(time) = sent.trim().parse::<i64>() {
        found.push((&c::MILLISECONDS, (time / 1_000).to_string()));
        found.push((&c::MILLISECONDS, (time.saturating_mul(1_000)).to_string()));
        for seconds in [1, -1, 2, -2, 3, -3] {
            found.push((&c::OTHER_TIME, time.saturating_add(seconds).to_string()));
        }
    }
    found.push((&c::TIME_AS_TEXT, format!("{sent}.0")));
    found.extend(surrounded(&c::TIME_AS_TEXT, sent));
    for nothing in NOTHING.iter().chain(&["0"]) {
        found.push((&c::TIME_AS_TEXT, (*nothing).to_owned()));
    }
    found.retain(|(_, text)| text != sent);
    found
}

/// Returns the other values of the answer, each with its cause: `rounded` if it is the number that JavaScript
/// writes as the one that was sent, else `two`.
fn others(
    others: &[String],
    sent: &str,
    rounded: &'static Cause,
    two: &'static Cause,
) -> Vec<Variant> {
    let cause = |other: &str| {
        if is_number_of(other, sent) {
            rounded
        } else {
            two
        }
    };
    let others = others.iter().take(MAX_OTHERS);
    others.map(|other| (cause(other), other.clone())).collect()
}

/// Returns the value with what often surrounds one.
fn surrounded(cause: &'static Cause, value: &str) -> impl Iterator<Item = Variant> {
    EDGES
        .into_iter()
        .map(move |(before, after)| (cause, format!("{before}{value}{after}")))
}

/// Returns whether JavaScript writes this number of a JSON text as `sent`.
fn is_number_of(literal: &str, sent: &str) -> bool {
    literal
        .parse::<f64>()
        .is_ok_and(|number| number.to_string() == sent)
}

/// Returns timestamps farther off. Not tried in pairs, since there are thousands.
pub(super) fn far_timestamps(sent: &str) -> Vec<Variant> {
    let Ok(time) = sent.trim().parse::<i64>() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut add = |cause, time: i64| found.push((cause, time.to_string()));
    for seconds in (4..=FAR).flat_map(|by| [-by, by]) {
        add(&c::OTHER_TIME, time.saturating_add(seconds));
    }
    for half_hours in (1..=28).flat_map(|by| [-by, by]) {
        add(&c::TIME_ZONE, time.saturating_add(half_hours * 1_800));
    }
    let milliseconds = time.saturating_mul(1_000);
    for part in 1..1_000 {
        add(&c::MILLISECONDS, milliseconds.saturating_add(part));
    }
    for by in (1..=FAR).flat_map(|by| [-by, by]) {
        add(&c::MILLISECONDS, time / 1_000 + by);
    }
    found
}

/// Returns the wrongly built strings. Their number and order do not depend on the values, so that the list
/// built with the redacted ticket shows at the same position what was hashed.
pub(super) fn strings(values: &Values, case: &Case) -> Vec<Variant> {
    let named = values.named();
    let right = joined(&named, "&");
    let mut found = Vec::new();
    let mut renamed = |cause: &'static Cause, at: usize, names: &[&'static str]| {
        for name in names {
            let mut named = named;
            named[at].0 = name;
            found.push((cause, joined(&named, "&")));
        }
    };
    renamed(
        &c::NONCE_NAME,
        1,
        &["nonceStr", "nonce_str", "nonce", "NonceStr", "noncestring"],
    );
    renamed(
        &c::TICKET_NAME,
        0,
        &[
            "ticket",
            "jsapiTicket",
            "jsApiTicket",
            "jsapi-ticket",
            "js_ticket",
            "api_ticket",
            "access_token",
        ],
    );
    renamed(
        &c::TIMESTAMP_NAME,
        2,
        &["timeStamp", "time_stamp", "Timestamp", "time"],
    );
    for order in orders(4) {
        let ordered: Vec<_> = order.iter().map(|at| named[*at]).collect();
        found.push((&c::UNSORTED, joined(&ordered, "&")));
        let bare: Vec<&str> = ordered.iter().map(|(_, value)| *value).collect();
        found.push((&c::VALUES_ONLY, bare.concat()));
        found.push((&c::VALUES_ONLY, bare.join("&")));
    }
    // WeChat's server verification sorts token, timestamp and nonce like this.
    for order in orders(3) {
        let bare: Vec<&str> = order.iter().map(|at| named[*at].1).collect();
        found.push((&c::VALUES_ONLY, bare.concat()));
    }
    for separator in [
        "", ",", ";", "|", "\n", "\r\n", " & ", "& ", " &", "&amp;", "&&",
    ] {
        found.push((&c::SEPARATOR, joined(&named, separator)));
    }
    // One & is missing.
    for at in 1..named.len() {
        let (before, after) = named.split_at(at);
        let text = format!("{}{}", joined(before, "&"), joined(after, "&"));
        found.push((&c::SEPARATOR, text));
    }
    found.push((&c::SEPARATOR, right.replacen('=', " = ", 4)));
    found.push((&c::TIMES_ENTITY, right.replacen("&timestamp", "×tamp", 1)));
    for stray in ["&", "?"] {
        found.push((&c::STRAY, format!("{right}{stray}")));
        found.push((&c::STRAY, format!("{stray}{right}")));
    }
    found.push((&c::BOM, format!("\u{feff}{right}")));
    found.extend([component, form, whole].map(|encode| (&c::STRING_ENCODED, encode(&right))));
    found.push((&c::STRING_CASE, right.to_ascii_lowercase()));
    found.push((&c::STRING_CASE, right.to_ascii_uppercase()));
    for missing in 0..4 {
        let mut kept = named.to_vec();
        kept.remove(missing);
        found.push((&c::PARAMETER_MISSING, joined(&kept, "&")));
    }
    let key = &values.ticket;
    let unsigned = joined(&named[1..], "&");
    found.push((&c::PAYMENT_KEY, format!("{unsigned}&key={key}")));
    found.push((&c::PAYMENT_KEY, format!("{right}&key={key}")));
    if let Some(app_id) = &case.app_id {
        let pay = unsigned.replacen("noncestr=", "nonceStr=", 1);
        let capital = pay.replacen("&timestamp=", "&timeStamp=", 1);
        for text in [pay, capital] {
            let text = format!("appId={app_id}&{text}&key={key}");
            found.push((&c::PAYMENT_KEY, text));
        }
        for name in ["appid", "appId", "app_id"] {
            found.push((&c::APP_ID_ADDED, format!("{name}={app_id}&{right}")));
            found.push((&c::APP_ID_ADDED, format!("{right}&{name}={app_id}")));
        }
    }
    let utf16 = right.chars().flat_map(|letter| [letter, '\0']);
    found.push((&c::UTF16, utf16.collect()));
    found
}

/// Returns every order of `count` items.
pub(super) fn orders(count: usize) -> Vec<Vec<usize>> {
    let mut orders = vec![Vec::new()];
    for _ in 0..count {
        orders = orders
            .into_iter()
            .flat_map(|order: Vec<usize>| {
                (0..count)
                    .filter(|next| !order.contains(next))
                    .map(|next| [order.as_slice(), &[next]].concat())
                    .collect::<Vec<_>>()
            })
            .collect();
    }
    orders
}

fn joined(named: &[(&str, &str)], separator: &str) -> String {
    named
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect::<Vec<_>>()
        .join(separator)
}

/// Bounds the cost of an answer that repeats a name in many spellings.
const MAX_OTHERS: usize = 4;

/// What surrounds a value read from a file, a shell or JSON.
const EDGES: [(&str, &str); 7] = [
    ("", "\n"),
    ("", "\r\n"),
    ("", " "),
    (" ", ""),
    ("\"", "\""),
    ("'", "'"),
    ("\u{feff}", ""),
];

/// Common lengths of database columns.
const COLUMNS: [usize; 12] = [20, 32, 40, 50, 60, 64, 80, 85, 100, 120, 128, 255];

/// Maximum difference of two clock readings in seconds: a slow request, or a signature cached for ten
/// minutes.
const FAR: i64 = 600;
