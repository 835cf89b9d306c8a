//! The simulated endpoints, the paths that are answered with an echo, and a call to one of them.

use std::net::IpAddr;

use serde_json::Value;

use super::app_settings::Platform;
use super::reply::{Refusal, require};

/// Declares [`Endpoint`] and the table of its paths, in one order.
macro_rules! endpoints {
    ($($name:ident $path:literal)*) => {
        /// An endpoint of WeChat's API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Endpoint {
            $($name,)*
            /// Any other path below `/cgi-bin/`, a first segment that both systems have.
            OtherCgi,
            /// Any other path below `/sns/`, where `access_token` is the user's.
            OtherUser,
            /// Any other path below a first segment that only `api.weixin.qq.com` has.
            OtherWeixin,
        }

        impl Endpoint {
            /// The endpoints with a simulation of their own, and their paths.
            pub(super) const SIMULATED: &'static [(Self, &'static str)] =
                &[$((Self::$name, $path)),*];
        }
    };
}

endpoints! {
    Token "/cgi-bin/token"
    StableToken "/cgi-bin/stable_token"
    GetTicket "/cgi-bin/ticket/getticket"
    ApiDomainIp "/cgi-bin/get_api_domain_ip"
    MenuGet "/cgi-bin/menu/get"
    ClearQuota "/cgi-bin/clear_quota"
    QuotaGet "/cgi-bin/openapi/quota/get"
    GetToken "/cgi-bin/gettoken"
    GetJsapiTicket "/cgi-bin/get_jsapi_ticket"
    TicketGet "/cgi-bin/ticket/get"
    ClearQuotaV2 "/cgi-bin/clear_quota/v2"
    RidGet "/cgi-bin/openapi/rid/get"
    JsCode2Session "/sns/jscode2session"
    UserToken "/sns/oauth2/access_token"
    UserTokenRefresh "/sns/oauth2/refresh_token"
    UserInfo "/sns/userinfo"
    UserAuth "/sns/auth"
    StartPushTicket "/cgi-bin/component/api_start_push_ticket"
    ComponentToken "/cgi-bin/component/api_component_token"
    CreatePreAuthCode "/cgi-bin/component/api_create_preauthcode"
    QueryAuth "/cgi-bin/component/api_query_auth"
    AuthorizerToken "/cgi-bin/component/api_authorizer_token"
    AuthorizerList "/cgi-bin/component/api_get_authorizer_list"
    AuthorizerInfo "/cgi-bin/component/api_get_authorizer_info"
    ComponentClearQuota "/cgi-bin/component/clear_quota/v2"
}

/// Owner of an endpoint. Both systems share one listener; their paths differ except for those that both have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum System {
    /// `api.weixin.qq.com`: official accounts and mini programs.
    Weixin,
    /// `qyapi.weixin.qq.com`: WeCom.
    Qyapi,
}

impl Endpoint {
    /// Returns the endpoint that answers this path, or `None` below an unknown first segment and for the
    /// authorisation page.
    pub(super) fn of(path: &str) -> Option<Self> {
        if let Some((endpoint, _)) = Self::SIMULATED.iter().find(|(_, own)| *own == path) {
            return Some(*endpoint);
        }
        if AUTHORIZATION_PAGES.contains(&path) {
            return None;
        }
        let (first, rest) = path.strip_prefix('/')?.split_once('/')?;
        match first {
            _ if rest.is_empty() || rest.contains('?') => None,
            _ if FIRST_SEGMENTS.split(", ").all(|known| known != first) => None,
            "cgi-bin" => Some(Self::OtherCgi),
            "sns" => Some(Self::OtherUser),
            _ => Some(Self::OtherWeixin),
        }
    }

    /// Returns whether it is answered with an echo, after the check of the token.
    pub(super) fn is_echo(self) -> bool {
        matches!(self, Self::OtherCgi | Self::OtherUser | Self::OtherWeixin)
    }

    /// Returns whether it is below `/sns/`, which writes its error messages in its own way.
    pub(super) fn is_sns(self) -> bool {
        self == Self::OtherUser || self.is_below("/sns/")
    }

    /// Returns whether it is called by an open platform, with the platform's token or secret.
    pub(super) fn is_component(self) -> bool {
        self.is_below("/cgi-bin/component/")
    }

    fn is_below(self, folder: &str) -> bool {
        let simulated = Self::SIMULATED.get(self as usize);
        simulated.is_some_and(|(_, path)| path.starts_with(folder))
    }

    /// Returns the owner, or `None` if both systems have the path and the token decides.
    pub(super) fn system(self) -> Option<System> {
        match self {
            Self::ApiDomainIp | Self::OtherCgi => None,
            Self::GetToken | Self::GetJsapiTicket | Self::TicketGet => Some(System::Qyapi),
            _ => Some(System::Weixin),
        }
    }

    /// Returns whether it answers 43002 to anything but POST. The others read the query, whatever the method.
    pub(super) fn wants_post(self) -> bool {
        self.is_component()
            || matches!(
                self,
                Self::StableToken
                    | Self::ClearQuota
                    | Self::ClearQuotaV2
                    | Self::QuotaGet
                    | Self::RidGet
            )
    }

    /// Returns whether an app of this platform may call it. Mini programs have no tickets and no menu.
    pub(super) fn serves(self, platform: Platform) -> bool {
        match platform {
            _ if self.is_component() => false,
            Platform::Official => self.system() != Some(System::Qyapi),
            Platform::Mini => {
                self.system() != Some(System::Qyapi)
                    && !matches!(self, Self::GetTicket | Self::MenuGet)
            }
            Platform::Work => self.system() != Some(System::Weixin),
        }
    }

    /// Returns the error text for a path without an endpoint.
    pub(super) fn unknown(path: &str) -> String {
        if AUTHORIZATION_PAGES.contains(&path) {
            return format!(
                "\"{path}\" is the authorisation page, which has no faults, gates and counts"
            );
        }
        format!("unknown endpoint \"{path}\"; its first segment must be one of: {FIRST_SEGMENTS}")
    }
}

/// An API call as WeChat sees it.
pub(super) struct Call<'a> {
    pub(super) endpoint: Endpoint,
    pub(super) path: &'a str,
    pub(super) is_post: bool,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: &'a [u8],
    pub(super) peer: IpAddr,
}

impl Call<'_> {
    /// Returns the first query parameter of this name.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns the first query parameter of this name, or `None` if it is empty.
    pub(super) fn filled(&self, name: &str) -> Option<&str> {
        self.param(name).filter(|value| !value.is_empty())
    }

    /// Returns the first query parameter of this name, or refuses with this code if it is absent or empty.
    pub(super) fn required(&self, name: &str, code: i64) -> Result<&str, Refusal> {
        self.filled(name).ok_or_else(|| Refusal::new(code))
    }

    pub(super) fn json(&self) -> Result<Value, Refusal> {
        require(!self.body.is_empty(), 44002)?;
        serde_json::from_slice(self.body)
            .ok()
            .filter(Value::is_object)
            .ok_or_else(|| Refusal::new(47001))
    }
}

/// Returns a filled text field of a JSON body.
pub(super) fn text<'a>(body: &'a Value, field: &str) -> Option<&'a str> {
    let value = body.get(field).and_then(Value::as_str);
    value.filter(|value| !value.is_empty())
}

/// The authorisation page for browsers, and the one for phones under two addresses.
pub(super) const AUTHORIZATION_PAGES: [&str; 3] = [
    "/cgi-bin/componentloginpage",
    "/wxaopen/safe/bindcomponent",
    "/safe/bindcomponent",
];

/// First path segments of `api.weixin.qq.com`; those from `merchant` on are in older SDKs. All paths of
/// `qyapi.weixin.qq.com` begin with `cgi-bin`.
const FIRST_SEGMENTS: &str = "cgi-bin, wxa, sns, channels, shop, product, card, wxaapi, wxaapp, \
    wxadrama, wxopen, tcb, componenttcb, union, datacube, xpay, customservice, nontax, promoter, cv, \
    intp, cityservice, wedata, user-order, donut, scan, publisher, semantic, marketing, \
    redpacketcover, retail, mall, merchant, device, shakearound, bizwifi, business";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_is_found_by_its_own_path() {
        for &(endpoint, path) in Endpoint::SIMULATED {
            assert_eq!(Endpoint::of(path), Some(endpoint));
            assert!(!endpoint.is_echo());
        }
        assert!(Endpoint::unknown("/x").contains("one of: cgi-bin, wxa, sns"));
    }

    #[test]
    fn the_first_segment_decides_which_platform_echoes_a_path() {
        for (path, endpoint) in [
            ("/cgi-bin/token/", Some(Endpoint::OtherCgi)),
            ("/cgi-bin/message/send", Some(Endpoint::OtherCgi)),
            ("/wxa/getwxacode", Some(Endpoint::OtherWeixin)),
            ("/user-order/x", Some(Endpoint::OtherWeixin)),
            ("/sns/component/jscode2session", Some(Endpoint::OtherUser)),
            ("/sns/auth", Some(Endpoint::UserAuth)),
            ("/cgi-bin", None),
            ("/cgi-bin/", None),
            ("/cgi-bin/message/send?access_token=x", None),
            ("//cgi-bin/token", None),
            ("/CGI-BIN/token", None),
            ("/cgi-bin2/token", None),
            ("cgi-bin/token", None),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(Endpoint::of(path), endpoint, "{path}");
        }
    }

    #[test]
    fn each_platform_may_call_its_own_endpoints_and_the_shared_one() {
        let of = |platform| {
            Endpoint::SIMULATED
                .iter()
                .filter(move |(endpoint, _)| endpoint.serves(platform))
                .count()
        };
        assert_eq!(
            (
                of(Platform::Official),
                of(Platform::Mini),
                of(Platform::Work)
            ),
            (14, 12, 4)
        );
    }
}
