//! Calls about calls: `clear_quota`, `openapi/quota/get` and `openapi/rid/get`.

use serde_json::{Value, json};

use crate::clock::UnixTime;

use super::platform_token::PlatformToken;
use super::reply::{Refusal, json_with_ok, quota_reply, require};
use super::simulated_endpoints::{Call, Endpoint, System, text};
use super::simulator::{Running, Simulator};

/// A success without data.
pub(super) const OK: &str = r#"{"errcode":0,"errmsg":"ok"}"#;

impl Simulator {
    /// Clears the counts of the app that `appid` and `appsecret` name, in the query or in a JSON body.
    pub(super) fn clear_quota_by_secret(
        &mut self,
        call: &Call<'_>,
        now: UnixTime,
    ) -> Result<String, Refusal> {
        let body = match call.body.is_empty() {
            true => Value::Null,
            false => call.json()?,
        };
        let param = |name| call.filled(name).or_else(|| text(&body, name));
        let running = self.named(param("appid"))?;
        running.check_secret(param("appsecret"))?;
        running.clear(now)
    }

    /// Answers with the quota of a path, for an app or for an open platform.
    pub(super) fn quota(&mut self, call: &Call<'_>, now: UnixTime) -> Result<String, Refusal> {
        let token = call.param("access_token").unwrap_or_default();
        if let Some(PlatformToken::Component { at, .. }) = self.platform_token(token, now) {
            self.component_caller(call, now)?;
            return self.components[at].quota(&call.json()?);
        }
        self.caller(call, now)?.quota(&call.json()?)
    }

    /// Returns the request of a rid. The sandbox keeps no rids: every well-formed one is a failed call with the
    /// caller's own token and AppSecret, because WeChat's real answer quotes a request completely.
    pub(super) fn request_by_rid(
        &mut self,
        call: &Call<'_>,
        now: UnixTime,
    ) -> Result<String, Refusal> {
        let app = &self.caller(call, now)?.app;
        let sent = json!({ "appid": app.app_id, "appsecret": app.secret }).to_string();
        let body = call.json()?;
        let rid = text(&body, "rid").unwrap_or_default();
        if !is_rid(rid) {
            return Err(Refusal::worded(76001, "rid not found"));
        }
        let token = call.param("access_token").unwrap_or_default();
        // The token stands there twice, once percent-encoded inside the value of another parameter.
        let url = format!(
            "https://api.weixin.qq.com/cgi-bin/clear_quota/v2?from=%2F%3Faccess_token%3D{token}&access_token={token}"
        );
        Ok(json_with_ok(&json!({
            "request": {
                "invoke_time": now.0,
                "cost_in_ms": 30,
                "request_url": url,
                "request_body": sent,
                "response_body": format!(r#"{{"errcode":48006,"errmsg":"forbid to clear quota because of reaching the limit rid: {rid}"}}"#),
                "client_ip": call.peer.to_canonical().to_string(),
            }
        })))
    }
}

impl Running {
    pub(super) fn clear_quota(&mut self, body: &Value, now: UnixTime) -> Result<String, Refusal> {
        let app_id = text(body, "appid").ok_or_else(|| Refusal::new(41002))?;
        require(app_id == self.app.app_id, 40013)?;
        self.clear(now)
    }

    pub(super) fn clear(&mut self, now: UnixTime) -> Result<String, Refusal> {
        self.usage.roll(now, &self.app.switches);
        self.usage.clear(&self.app.quotas).map(|()| OK.to_owned())
    }

    pub(super) fn quota(&self, body: &Value) -> Result<String, Refusal> {
        let (endpoint, is_platforms) = asked_endpoint(body)?;
        let is_own = !is_platforms && !endpoint.is_sns() && endpoint.serves(self.app.platform);
        require(is_own, 76022)?;
        let quotas = &self.app.quotas;
        let per_minute = (endpoint == Endpoint::StableToken).then_some(quotas.stable_per_minute);
        let used = self.usage.used(endpoint);
        Ok(quota_reply(quotas.daily(endpoint), used, per_minute))
    }
}

/// Returns the endpoint that a call about quotas names, and whether an open platform calls it for itself.
pub(super) fn asked_endpoint(body: &Value) -> Result<(Endpoint, bool), Refusal> {
    let path = text(body, "cgi_path")
        .filter(|path| path.starts_with('/'))
        .ok_or_else(|| Refusal::new(76003))?;
    let endpoint = Endpoint::of(path)
        .filter(|it| it.system() != Some(System::Qyapi))
        .ok_or_else(|| Refusal::new(76021))?;
    Ok((endpoint, path.starts_with("/cgi-bin/component/")))
}

/// Returns whether it is three groups of eight hex digits.
fn is_rid(rid: &str) -> bool {
    let group = |group: &str| group.len() == 8 && group.bytes().all(|b| b.is_ascii_hexdigit());
    rid.split('-').count() == 3 && rid.split('-').all(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rid_is_three_groups_of_eight_hex_digits() {
        assert!(is_rid("6aac005a-01bfdbee-79769285"));
        for not in [
            "",
            "6aac005a-01bfdbee",
            "6aac005a-01bfdbee-7976928g",
            "a-b-c",
        ] {
            assert!(!is_rid(not), "{not}");
        }
    }
}
