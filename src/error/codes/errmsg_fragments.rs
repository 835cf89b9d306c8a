//! Fragments of WeChat's errmsg, to recognise an error whose errcode is missing.

use crate::error::System::{self, Qyapi, Weixin};

/// Returns the errcode of this system whose fragment matches; the first row counts.
pub(crate) fn by_errmsg(system: System, is_in: impl Fn(&str) -> bool) -> Option<i64> {
    FRAGMENTS
        .iter()
        .find(|(of, _, fragment)| *of == system && is_in(fragment))
        .map(|(_, errcode, _)| *errcode)
}

/// Lower case, without the variable parts: rid, hint and IPs.
static FRAGMENTS: &[(System, i64, &str)] = &[
    (Weixin, 40001, "access_token is invalid or not latest"),
    (Weixin, 40001, "access_token isinvalid or not latest"),
    (Weixin, 40001, "getstableaccesstoken"),
    (Weixin, 40001, "invalid credential"),
    (Weixin, 40002, "invalid grant_type"),
    (Weixin, 40014, "invalid access_token"),
    (Weixin, 40029, "invalid code"),
    (Weixin, 40029, "code been used"),
    (Weixin, 40066, "invalid url rid"),
    (Weixin, 40097, "invalid args"),
    (Weixin, 40125, "invalid appsecret"),
    (Weixin, 40164, "not in whitelist"),
    (Weixin, 41001, "access_token missing"),
    (Weixin, 41002, "appid missing"),
    (Weixin, 41004, "appsecret missing"),
    (Weixin, 42001, "access_token expired"),
    (Weixin, 43002, "require post method"),
    (Weixin, 43003, "require https"),
    (Weixin, 44002, "empty post data"),
    (Weixin, 45009, "reach max api daily quota limit"),
    (Weixin, 45011, "api minute-quota reach limit"),
    (Weixin, 47001, "data format error"),
    (Weixin, 48001, "api unauthorized"),
    (Weixin, 50004, "maybe for punishment"),
    (Weixin, 61024, "must use api(api_component_token)"),
    (Qyapi, 40001, "invalid credential"),
    (Qyapi, 40014, "invalid access_token"),
    (Qyapi, 40029, "invalid code"),
    (Qyapi, 40029, "invalid oauth_code"),
    (Qyapi, 40056, "invalid agentid"),
    (Qyapi, 40058, "invalid request parameter"),
    (Qyapi, 41001, "access_token missing"),
    (Qyapi, 41004, "corpsecret missing"),
    (Qyapi, 42001, "access_token expired"),
    (Qyapi, 45009, "api freq out of limit"),
    (Qyapi, 60011, "no privilege to access"),
    (Qyapi, 60020, "not allow to access from your ip"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::codes::all;

    #[test]
    fn each_fragment_belongs_to_a_code_that_has_advice() {
        for (system, errcode, fragment) in FRAGMENTS {
            assert!(
                all().any(|(of, _, code, _)| (of, code) == (*system, *errcode)),
                "{errcode} {fragment}"
            );
        }
    }
}
