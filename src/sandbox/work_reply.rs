//! WeCom's answers, word for word. They differ from weixin's in the tail of the errmsg, in their headers, and
//! in that a success has an errcode too.

use std::net::IpAddr;

use rand::RngExt as _;
use serde::Serialize;

use crate::clock::UnixTime;

use super::reply::{Refusal, error_body, json};
use super::simulated_endpoints::Endpoint;

/// Returns the answer of the only simulated WeCom data call besides the tickets. Its errcode comes last, as
/// captured, in errors as well.
pub(super) fn work_ip_list(ip_list: &[&str], errcode: i64, errmsg: &str) -> String {
    #[derive(Serialize)]
    struct Reply<'a> {
        ip_list: &'a [&'a str],
        errcode: i64,
        errmsg: &'a str,
    }
    json(&Reply {
        ip_list,
        errcode,
        errmsg,
    })
}

impl Refusal {
    /// Uses WeCom's wording for this code.
    pub(super) fn work(code: i64) -> Self {
        Self::worded(code, wording(code))
    }

    /// Returns the errmsg with WeCom's tail: the time, the caller's address and a link.
    pub(super) fn work_errmsg(&self, now: UnixTime, from: IpAddr) -> String {
        let digits: u64 = rand::rng().random_range(0..1_000_000_000_000_000);
        self.hinted(&format!("{}{digits:015}", now.0), from)
    }

    fn hinted(&self, hint: &str, from: IpAddr) -> String {
        format!(
            "{}, hint: [{hint}], from ip: {from}, more info at {}",
            self.text(),
            more_info(self.code)
        )
    }

    /// Returns the body with this errmsg: the endpoint's empty fields, then the errcode and the errmsg.
    pub(super) fn work_body(&self, endpoint: Endpoint, errmsg: &str) -> String {
        match endpoint {
            Endpoint::ApiDomainIp => work_ip_list(&[], self.code, errmsg),
            _ => error_body(self.code, errmsg),
        }
    }
}

/// Returns WeCom's page about a code; pages get the same link.
pub(super) fn more_info(code: i64) -> String {
    format!("https://open.work.weixin.qq.com/devtool/query?e={code}")
}

/// Returns the errmsg without its tail.
fn wording(code: i64) -> &'static str {
    match code {
        -1 => "system error",
        0 => "ok",
        40001 => "invalid credential",
        40013 => "invalid corpid",
        40014 => "invalid access_token",
        40056 => "invalid agentid",
        40058 => "invalid request parameter",
        40091 => "invalid corpsecret",
        41001 => "access_token missing",
        41002 => "corpid missing",
        41004 => "corpsecret missing",
        41011 => "agentid missing",
        42001 => "access_token expired",
        45009 => "api freq out of limit",
        45033 => "api concurrent out of limit",
        48002 => "api forbidden",
        50003 => "app disabled",
        60020 => "not allow to access from your ip",
        301002 => "no privilege to access/modify contact/party/agent",
        301007 => "corp disbanded",
        _ => "error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_captured_refusal_is_reproduced_to_the_byte() {
        let refusal = Refusal::work(40001);
        let errmsg = refusal.hinted(
            "1686402237354962763423746",
            "123.116.182.237".parse().unwrap(),
        );
        let body = refusal.work_body(Endpoint::GetToken, &errmsg);
        assert_eq!(
            body,
            r#"{"errcode":40001,"errmsg":"invalid credential, hint: [1686402237354962763423746], from ip: 123.116.182.237, more info at https://open.work.weixin.qq.com/devtool/query?e=40001"}"#
        );
        assert_eq!(body.len(), 176, "its Content-Length");
    }

    #[test]
    fn a_hint_begins_with_the_time_and_is_unique() {
        let errmsg =
            || Refusal::work(-1).work_errmsg(UnixTime(1_686_402_237), "::1".parse().unwrap());
        let digits = errmsg()
            .strip_prefix("system error, hint: [1686402237")
            .unwrap()[..16]
            .to_owned();
        assert!(
            digits
                .strip_suffix(']')
                .is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit())),
            "{digits}"
        );
        assert_ne!(errmsg(), errmsg());
    }

    #[test]
    fn a_refused_list_is_an_empty_list_followed_by_its_errcode() {
        assert_eq!(
            Refusal::work(40014).work_body(Endpoint::ApiDomainIp, "invalid access_token"),
            r#"{"ip_list":[],"errcode":40014,"errmsg":"invalid access_token"}"#
        );
    }
}
