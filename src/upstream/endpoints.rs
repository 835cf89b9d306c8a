//! The endpoints of WeChat's API that this service calls.

use crate::account::{Account, Platform, TokenMode};
use crate::credential::Kind;
use crate::error::{CallAuth, Failure, System, UpstreamError};

/// A WeChat endpoint: its system and path, the credential that authenticates the call, and the response
/// field with the value, if its answer has one.
pub(super) struct Endpoint {
    pub(super) system: System,
    pub(super) path: &'static str,
    pub(super) auth: CallAuth,
    pub(super) field: &'static str,
}

const TOKEN: Endpoint = Endpoint {
    system: System::Weixin,
    path: "/cgi-bin/token",
    auth: CallAuth::WithSecret,
    field: "access_token",
};
const STABLE_TOKEN: Endpoint = TOKEN.at("/cgi-bin/stable_token");
const GETTOKEN: Endpoint = TOKEN.at("/cgi-bin/gettoken").of_wecom();

const TICKET: Endpoint = Endpoint {
    system: System::Weixin,
    path: "/cgi-bin/ticket/getticket",
    auth: CallAuth::WithToken,
    field: "ticket",
};
const WORK_JSAPI_TICKET: Endpoint = TICKET.at("/cgi-bin/get_jsapi_ticket").of_wecom();
const WORK_TICKET: Endpoint = TICKET.at("/cgi-bin/ticket/get").of_wecom();
/// Answers a list of addresses, which is no credential: only a refused token matters.
pub(super) const CHECK: Endpoint = TICKET.at("/cgi-bin/get_api_domain_ip");
pub(super) const WORK_CHECK: Endpoint = CHECK.of_wecom();
/// A message of an account to one of its users (客服消息).
pub(super) const SEND_MESSAGE: Endpoint = TICKET.at("/cgi-bin/message/custom/send");

const COMPONENT_TOKEN: Endpoint = Endpoint {
    system: System::Weixin,
    path: "/cgi-bin/component/api_component_token",
    auth: CallAuth::WithPushedTicket,
    field: "component_access_token",
};
/// Needs no token, which does not exist before the first push.
pub(super) const START_PUSH: Endpoint =
    COMPONENT_TOKEN.at("/cgi-bin/component/api_start_push_ticket");

pub(super) const AUTHORIZER_TOKEN: Endpoint = Endpoint {
    system: System::Weixin,
    path: "/cgi-bin/component/api_authorizer_token",
    auth: CallAuth::WithComponentToken,
    field: "authorizer_access_token",
};
pub(super) const QUERY_AUTH: Endpoint = AUTHORIZER_TOKEN.at("/cgi-bin/component/api_query_auth");
pub(super) const AUTHORIZER_LIST: Endpoint =
    AUTHORIZER_TOKEN.at("/cgi-bin/component/api_get_authorizer_list");
pub(super) const AUTHORIZER_INFO: Endpoint =
    AUTHORIZER_TOKEN.at("/cgi-bin/component/api_get_authorizer_info");
pub(super) const PRE_AUTH_CODE: Endpoint = Endpoint {
    field: "pre_auth_code",
    ..AUTHORIZER_TOKEN.at("/cgi-bin/component/api_create_preauthcode")
};

impl Endpoint {
    /// Returns the endpoint of another path of the same kind.
    const fn at(self, path: &'static str) -> Self {
        Self { path, ..self }
    }

    /// Returns the endpoint of the same kind in WeCom.
    const fn of_wecom(self) -> Self {
        Self {
            system: System::Qyapi,
            ..self
        }
    }

    /// Returns whether it repeats a value until its last moment. The rest of its life, in whole seconds, may then
    /// be rounded down to 0.
    pub(super) fn repeats_to_the_end(&self) -> bool {
        self.path == GETTOKEN.path
    }

    /// Returns the error of a call to this endpoint.
    pub(super) fn failed(&self, failure: Failure) -> UpstreamError {
        UpstreamError {
            endpoint: self.path,
            system: self.system,
            auth: self.auth,
            failure,
            also_seen: Vec::new(),
        }
    }

    /// Returns the `type` of a ticket in the query. WeCom's corp ticket has a path of its own instead.
    pub(super) fn ticket_type(&self, kind: Kind) -> Option<&'static str> {
        match kind {
            Kind::AgentTicket => Some("agent_config"),
            Kind::CardTicket => Some("wx_card"),
            _ => (self.path == TICKET.path).then_some("jsapi"),
        }
    }
}

/// Returns the URL of a call.
pub(super) fn url(base: &str, endpoint: &Endpoint, query: &[(&str, &str)]) -> String {
    let query = serde_urlencoded::to_string(query).expect("pairs of strings always encode");
    if query.is_empty() {
        format!("{base}{}", endpoint.path)
    } else {
        format!("{base}{}?{query}", endpoint.path)
    }
}

/// Returns the error of the call that issues this credential.
pub(crate) fn failed(account: &Account, kind: Kind, failure: Failure) -> UpstreamError {
    endpoint_of(account, kind).failed(failure)
}

/// Returns the endpoint that issues this credential: the system and path used in errors, logs and the quota
/// count.
pub fn endpoint(account: &Account, kind: Kind) -> (System, &'static str) {
    let endpoint = endpoint_of(account, kind);
    (endpoint.system, endpoint.path)
}

pub(super) fn endpoint_of(account: &Account, kind: Kind) -> &'static Endpoint {
    if kind == Kind::AccessToken && account.component_app_id().is_some() {
        return &AUTHORIZER_TOKEN;
    }
    match (account.platform(), kind, account.mode()) {
        (Platform::Component, _, _) => &COMPONENT_TOKEN,
        (Platform::Work { .. }, Kind::AccessToken, _) => &GETTOKEN,
        (Platform::Work { .. }, Kind::AgentTicket, _) => &WORK_TICKET,
        (Platform::Work { .. }, _, _) => &WORK_JSAPI_TICKET,
        (_, Kind::AccessToken, TokenMode::Classic) => &TOKEN,
        (_, Kind::AccessToken, TokenMode::Stable) => &STABLE_TOKEN,
        (_, _, _) => &TICKET,
    }
}
