//! A typical backend and its typical mistakes. This code shares nothing with the doctor: each mistake is implemented independently, the
//! way a language or framework makes it.

use md5::Md5;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use sha2::Sha256;
use wx_jssdk::diagnose::{Answer, Case, Finding, Role, diagnose};

pub(crate) const TICKET: &str =
    "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg";
pub(crate) const PREVIOUS: &str =
    "bxLdikRXVbTPdHSM05e5u5sUoXNKd8-41ZO3MhKoyN5OfkWITDGgnr2fwJ0m9E8NYzWKVZvdVtaUgWvsdshFKA";
pub(crate) const CARD: &str = "IpK_1T69hDhZkLQTlwsAX6uY3jSiIbsrJ-k2n8fPCaRdTicketOfCards";
pub(crate) const AGENT: &str = "HoagFKDcsGMVCIY2vOjf9gTicketOfTheAgentConfigKind0123456789";
pub(crate) const TOKEN: &str = "73_access_token_that_is_no_ticket_at_all_0123456789abcdef";
pub(crate) const OTHER: &str = "kgt8ON7yVITDhtdwci0qeZOtherAccountsTicket0123456789";
pub(crate) const PASTED: &str = "TicketOfNobodyKnowsWhom_thatStandsInTheString_0123456789";
pub(crate) const NONCE: &str = "Wm3WZYTPz0wzccnW";
pub(crate) const TIME: &str = "1414587457";
pub(crate) const PAGE: &str = "https://www.example.com/app/list?name=%E5%BC%A0%2F1&b=2+3&a=#/route";

/// How a backend handles the address, the values, the string and the hash: correct until a fault is added.
#[derive(Clone)]
pub(crate) struct Backend {
    /// Applied in order, after the fragment was cut if `cuts`.
    pub(crate) address: Vec<fn(&str) -> String>,
    pub(crate) cuts: bool,
    pub(crate) ticket: fn() -> String,
    pub(crate) nonce: fn(&str) -> String,
    pub(crate) time: fn(&str) -> String,
    pub(crate) string: fn(&[&str; 4]) -> String,
    pub(crate) hash: fn(&str) -> String,
    /// Other known tickets.
    pub(crate) known: fn(Case) -> Case,
}

impl Backend {
    pub(crate) fn right() -> Self {
        Self {
            address: Vec::new(),
            cuts: true,
            ticket: || TICKET.into(),
            nonce: str::to_owned,
            time: str::to_owned,
            string: |[ticket, nonce, time, url]| string(ticket, nonce, time, url),
            hash: sha1,
            known: |case| case,
        }
    }

    /// Returns the string that it hashes for a page.
    pub(crate) fn hashes(&self, page: &str) -> String {
        let came = if self.cuts {
            page.split('#').next().unwrap()
        } else {
            page
        };
        let url = self
            .address
            .iter()
            .fold(came.to_owned(), |url, change| change(&url));
        (self.string)(&[
            &(self.ticket)(),
            &(self.nonce)(NONCE),
            &(self.time)(TIME),
            &url,
        ])
    }

    /// Returns its answer to a page.
    pub(crate) fn answer(&self, page: &str) -> Value {
        let signature = (self.hash)(&self.hashes(page));
        json!({"code": 0, "data": {"timestamp": TIME, "nonceStr": NONCE, "signature": signature}})
    }

    /// Returns the case for the doctor.
    pub(crate) fn case(&self, page: &str) -> Case {
        let case = Case {
            url: page.into(),
            ..Case::default()
        }
        .answer(Answer::from_json(&self.answer(page)).unwrap());
        (self.known)(with_tickets(case))
    }

    /// Returns the doctor's findings on that answer.
    pub(crate) fn examined(&self, page: &str) -> Vec<Finding> {
        let findings = diagnose(&self.case(page));
        no_ticket_is_shown(&findings);
        findings
    }

    /// Returns the codes of these findings.
    pub(crate) fn codes(&self, page: &str) -> Vec<&'static str> {
        self.examined(page)
            .iter()
            .map(|finding| finding.code)
            .collect()
    }

    pub(crate) fn with(&self, fault: &Fault) -> Self {
        let mut faulty = self.clone();
        (fault.make)(&mut faulty);
        faulty
    }
}

/// One mistake.
pub(crate) struct Fault {
    pub(crate) code: &'static str,
    /// A page on which the mistake has an effect.
    pub(crate) page: &'static str,
    pub(crate) make: fn(&mut Backend),
}

pub(crate) fn string(ticket: &str, nonce: &str, time: &str, url: &str) -> String {
    format!("jsapi_ticket={ticket}&noncestr={nonce}&timestamp={time}&url={url}")
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn sha1(text: &str) -> String {
    hex(&Sha1::digest(text))
}

pub(crate) fn md5(text: &str) -> String {
    hex(&Md5::digest(text))
}

pub(crate) fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text))
}

/// SHA-1 as Base64, by bits.
pub(crate) fn sha1_base64(text: &str) -> String {
    let bits: String = Sha1::digest(text)
        .iter()
        .map(|byte| format!("{byte:08b}"))
        .collect();
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let sixes = bits.as_bytes().chunks(6).map(|six| {
        let six = format!("{:0<6}", std::str::from_utf8(six).unwrap());
        char::from(letters[usize::from_str_radix(&six, 2).unwrap()])
    });
    sixes.collect::<String>() + "="
}

/// `encodeURIComponent`.
pub(crate) fn encode(text: &str) -> String {
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte);
    text.bytes()
        .map(|byte| {
            if kept(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

/// `decodeURIComponent`, by way of the library that servers use.
pub(crate) fn decode(text: &str) -> String {
    let [(name, _)] = &serde_urlencoded::from_str::<Vec<(String, String)>>(
        &text.replace('+', "%2B").replace(['&', '='], "\u{1}"),
    )
    .unwrap()[..] else {
        panic!("one name in {text}")
    };
    // The two characters that would have ended the name are restored, in their order.
    let mut aside = text.chars().filter(|c| matches!(c, '&' | '='));
    name.chars()
        .map(|c| {
            if c == '\u{1}' {
                aside.next().unwrap()
            } else {
                c
            }
        })
        .collect()
}

/// All tickets are known.
pub(crate) fn with_tickets(case: Case) -> Case {
    case.ticket(Role::Current, TICKET)
        .ticket(Role::Previous, PREVIOUS)
        .ticket(Role::Card, CARD)
        .ticket(Role::Agent, AGENT)
        .ticket(Role::AccessToken, TOKEN)
        .ticket(Role::Other("shop".into()), OTHER)
}

pub(crate) fn case(page: &str, signature: &str) -> Case {
    with_tickets(Case::new(page, NONCE, TIME, signature))
}

#[track_caller]
pub(crate) fn no_ticket_is_shown(findings: &[Finding]) {
    let shown = format!("{findings:?}").to_lowercase();
    for ticket in [TICKET, PREVIOUS, CARD, AGENT, TOKEN, OTHER, PASTED] {
        assert!(!shown.contains(&ticket[..20].to_lowercase()), "{shown}");
    }
}
