//! WeChat's answers, word for word.
//!
//! Programs match on these strings, so they are copied from captured answers, spelling mistakes included.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use rand::RngExt as _;
use serde::Serialize;

use crate::clock::UnixTime;

use super::issued_values::Issued;
use super::simulated_endpoints::{Endpoint, System};

/// A business error: HTTP 200 with an `errcode`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: i64,
    text: String,
}

impl Refusal {
    /// Uses WeChat's wording for this code.
    pub(super) fn new(code: i64) -> Self {
        Self {
            code,
            text: wording(code).to_owned(),
        }
    }

    /// Uses a custom wording.
    pub(super) fn worded(code: i64, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }

    /// Returns 40164, which names the caller's address twice.
    pub(super) fn not_in_whitelist(peer: IpAddr) -> Self {
        let mapped = match peer {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        Self::worded(
            40164,
            format!("invalid ip {peer} ipv6 {mapped}, not in whitelist"),
        )
    }

    /// Returns 61004, which names the caller's address.
    pub(super) fn not_registered(peer: IpAddr) -> Self {
        Self::worded(
            61004,
            format!("access clientip is not registered requestIP: {peer}"),
        )
    }

    /// Uses the wording of this system and endpoint for the code.
    pub(super) fn by(system: System, endpoint: Endpoint, code: i64) -> Self {
        match (system, code) {
            (System::Weixin, 40001) if endpoint.is_sns() => Self::not_a_users_token(),
            (System::Weixin, _) => Self::new(code),
            (System::Qyapi, _) => Self::work(code),
        }
    }

    /// Returns 40001 as it is below `/sns/`, without the sentence about `getStableAccessToken`.
    pub(super) fn not_a_users_token() -> Self {
        Self::worded(
            40001,
            "invalid credential, access_token is invalid or not latest",
        )
    }

    /// Returns the errmsg without its tail.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the body of the answer. Below `/sns/` a comma precedes the rid.
    pub(super) fn body(&self, endpoint: Endpoint, now: UnixTime) -> String {
        let comma = if endpoint.is_sns() { "," } else { "" };
        let errmsg = format!("{}{comma} rid: {}", self.text, rid(now));
        error_body(self.code, &errmsg)
    }
}

/// Refuses with this code unless the condition holds.
pub(super) fn require(condition: bool, code: i64) -> Result<(), Refusal> {
    condition.then_some(()).ok_or_else(|| Refusal::new(code))
}

/// A value that was issued, such as `{"access_token","expires_in"}`. A success has no errcode, unless it is a
/// ticket's or WeCom's.
#[derive(Serialize)]
pub(super) struct IssuedReply<'a> {
    /// One field.
    #[serde(flatten)]
    value: BTreeMap<&'static str, &'a str>,
    expires_in: u64,
}

impl<'a> IssuedReply<'a> {
    pub(super) fn new(field: &'static str, value: &'a str, life: Duration) -> Self {
        Self {
            value: BTreeMap::from([(field, value)]),
            expires_in: life.as_secs(),
        }
    }

    pub(super) fn of(field: &'static str, issued: &'a Issued, now: UnixTime) -> Self {
        Self::new(field, &issued.value, issued.remaining(now))
    }
}

/// Returns a subset of WeChat's real list; the sandbox does not listen on these addresses.
pub(super) fn ip_list() -> String {
    let addresses = ["101.226.103.0/25", "101.226.62.0/26", "140.207.54.0/25"];
    json(&BTreeMap::from([("ip_list", addresses)]))
}

/// Returns the quota of a path, with the calls that are allowed in a minute if they are limited.
pub(super) fn quota_reply(daily_limit: u64, used: u64, per_minute: Option<u64>) -> String {
    #[derive(Serialize)]
    struct Reply {
        quota: Quota,
        #[serde(skip_serializing_if = "Option::is_none")]
        rate_limit: Option<RateLimit>,
    }
    #[derive(Serialize)]
    struct Quota {
        daily_limit: u64,
        used: u64,
        remain: u64,
    }
    #[derive(Serialize)]
    struct RateLimit {
        call_count: u64,
        refresh_second: u64,
    }
    json_with_ok(&Reply {
        quota: Quota {
            daily_limit,
            used,
            remain: daily_limit.saturating_sub(used),
        },
        rate_limit: per_minute.map(|call_count| RateLimit {
            call_count,
            refresh_second: 60,
        }),
    })
}

/// Returns the body of a refusal with this complete errmsg.
pub(super) fn error_body(errcode: i64, errmsg: &str) -> String {
    #[derive(Serialize)]
    struct Body<'a> {
        errcode: i64,
        errmsg: &'a str,
    }
    json(&Body { errcode, errmsg })
}

/// Returns JSON with the fields in declaration order, as WeChat's order is fixed.
pub(super) fn json(body: &impl Serialize) -> String {
    serde_json::to_string(body).expect("a struct with text keys is always JSON")
}

/// Returns the JSON of a success that has an errcode, which comes first.
pub(super) fn json_with_ok(fields: &impl Serialize) -> String {
    #[derive(Serialize)]
    struct Success<'a, T> {
        errcode: i64,
        errmsg: &'static str,
        #[serde(flatten)]
        fields: &'a T,
    }
    json(&Success {
        errcode: 0,
        errmsg: "ok",
        fields,
    })
}

/// Returns a request id: three groups of eight hex digits, the first of which is the time.
fn rid(now: UnixTime) -> String {
    let (a, b): (u32, u32) = rand::rng().random();
    format!("{:08x}-{a:08x}-{b:08x}", now.0)
}

/// Returns the errmsg without its ` rid: …`.
fn wording(code: i64) -> &'static str {
    match code {
        -1 => "system error",
        0 => "ok",
        40001 => {
            "invalid credential, access_token is invalid or not latest, could get access_token by getStableAccessToken, more details at https://mmbizurl.cn/s/JtxxFh33r"
        }
        40002 => "invalid grant_type",
        40003 => "invalid openid",
        40013 => "invalid appid",
        40014 => "invalid access_token",
        40029 => "invalid code",
        40030 => "invalid refresh_token",
        40094 => "invalid component credential",
        40097 => "invalid args",
        40125 => "invalid appsecret",
        40163 => "code been used",
        40164 => "invalid ip 127.0.0.1 ipv6 ::ffff:127.0.0.1, not in whitelist",
        40243 => "AppSecret frozen",
        41001 => "access_token missing",
        41002 => "appid missing",
        41003 => "refresh_token missing",
        41004 => "appsecret missing",
        41008 => "missing code",
        41009 => "missing openid",
        41018 => "missing component_appid",
        41019 => "missing platform_secret",
        41020 => "missing platform_ticket",
        41021 => "missing component_access_token",
        42001 => "access_token expired",
        42002 => "refresh_token expired",
        42006 => "component_access_token expired",
        43002 => "require POST method",
        43003 => "require https",
        44002 => "empty post data",
        45009 => "reach max api daily quota limit",
        45011 => "api minute-quota reach limit, must slower, retry next minute",
        46003 => "menu no exist",
        47001 => "data format error",
        48001 => "api unauthorized",
        48004 => "api forbidden for irregularities",
        48006 => "forbid to clear quota because of reaching the limit",
        50004 => "user not allow to use accesstoken, maybe for punishment",
        50007 => "account frozen",
        61000 => "component type is wrong",
        61001 => "component type and component appid is not match",
        61003 => "component is not authorized by this account",
        61004 => "access clientip is not registered requestIP: 127.0.0.1",
        61005 => "component ticket is expired",
        61006 => "component ticket is invalid",
        61007 => "api is unauthorized to component",
        61009 => "code is invalid",
        61010 => "code is expired",
        61011 => "invalid component",
        61014 => "must use component token for component api",
        61015 => "must use biz account token, not component api",
        61016 => "function category of API need be confirmed by component",
        61017 => "function category of API is not authorized",
        61023 => "refresh_token is invalid",
        61024 => "must use api(api_component_token) to get token for component acct",
        61028 => "component is unpublished",
        61029 => "component need republish with base category",
        61030 => "component cancel authorization not allowed",
        76003 => "invalid cgi_path prefix",
        76021 => "cgi_path not found, please check",
        76022 => "could not use this cgi_path, no permission",
        89501..=89505 => "admin must confirm this call",
        89506 => "admin refused this ip, retry after 24 hours",
        89507 => "admin refused this ip, retry after 1 hour",
        _ => "error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_refusals_of_one_second_have_different_rids() {
        assert_ne!(
            Refusal::new(-1).body(Endpoint::Token, UnixTime(1)),
            Refusal::new(-1).body(Endpoint::Token, UnixTime(1))
        );
    }

    #[test]
    fn an_ipv6_caller_is_named_as_it_is() {
        assert_eq!(
            Refusal::not_in_whitelist("::1".parse().unwrap()).text,
            "invalid ip ::1 ipv6 ::1, not in whitelist"
        );
    }
}
