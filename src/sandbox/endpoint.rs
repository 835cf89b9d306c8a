//! The simulated endpoints.

use super::wechat_app::Platform;

/// An endpoint of WeChat's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Token,
    StableToken,
    GetTicket,
    ApiDomainIp,
    MenuGet,
    ClearQuota,
    QuotaGet,
    GetToken,
    GetJsapiTicket,
    TicketGet,
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
    pub(super) const ALL: [Self; 10] = [
        Self::Token,
        Self::StableToken,
        Self::GetTicket,
        Self::ApiDomainIp,
        Self::MenuGet,
        Self::ClearQuota,
        Self::QuotaGet,
        Self::GetToken,
        Self::GetJsapiTicket,
        Self::TicketGet,
    ];

    /// Returns the path, which also names the endpoint in counts and faults.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Token => "/cgi-bin/token",
            Self::StableToken => "/cgi-bin/stable_token",
            Self::GetTicket => "/cgi-bin/ticket/getticket",
            Self::ApiDomainIp => "/cgi-bin/get_api_domain_ip",
            Self::MenuGet => "/cgi-bin/menu/get",
            Self::ClearQuota => "/cgi-bin/clear_quota",
            Self::QuotaGet => "/cgi-bin/openapi/quota/get",
            Self::GetToken => "/cgi-bin/gettoken",
            Self::GetJsapiTicket => "/cgi-bin/get_jsapi_ticket",
            Self::TicketGet => "/cgi-bin/ticket/get",
        }
    }

    /// Returns the endpoint at this exact path.
    pub(super) fn at(path: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|endpoint| endpoint.path() == path)
    }

    /// Returns the owner, or `None` if both systems have the path and the token decides.
    pub(super) fn system(self) -> Option<System> {
        match self {
            Self::ApiDomainIp => None,
            Self::GetToken | Self::GetJsapiTicket | Self::TicketGet => Some(System::Qyapi),
            _ => Some(System::Weixin),
        }
    }

    /// Returns whether it answers 43002 to anything but POST. The others read the query, whatever the method.
    pub(super) fn wants_post(self) -> bool {
        matches!(self, Self::StableToken | Self::ClearQuota | Self::QuotaGet)
    }

    /// Returns whether an app of this platform may call it. Mini programs have no tickets and no menu.
    pub(super) fn serves(self, platform: Platform) -> bool {
        match platform {
            Platform::Official => self.system() != Some(System::Qyapi),
            Platform::Mini => {
                self.system() != Some(System::Qyapi)
                    && !matches!(self, Self::GetTicket | Self::MenuGet)
            }
            Platform::Work => self.system() != Some(System::Weixin),
        }
    }

    /// Returns the error text for an unknown endpoint.
    pub(super) fn unknown(path: &str) -> String {
        let known = Self::ALL.map(Self::path).join(", ");
        format!("unknown endpoint \"{path}\"; available: {known}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_is_found_by_its_own_path_only() {
        for endpoint in Endpoint::ALL {
            assert_eq!(Endpoint::at(endpoint.path()), Some(endpoint));
        }
        assert_eq!(Endpoint::at("/cgi-bin/token/"), None);
        assert_eq!(Endpoint::at("/CGI-BIN/token"), None);
        assert_eq!(
            Endpoint::at("/cgi-bin/ticket/get"),
            Some(Endpoint::TicketGet)
        );
        assert!(Endpoint::unknown("/x").contains("/cgi-bin/token, /cgi-bin/stable_token"));
    }
    #[test]
    fn each_platform_may_call_its_own_systems_endpoints_and_the_one_that_both_have() {
        let of = |platform| {
            Endpoint::ALL
                .into_iter()
                .filter(move |endpoint| endpoint.serves(platform))
                .count()
        };
        assert_eq!(
            (
                of(Platform::Official),
                of(Platform::Mini),
                of(Platform::Work)
            ),
            (7, 5, 4)
        );
        assert!(
            Endpoint::ALL
                .iter()
                .enumerate()
                .all(|(at, endpoint)| *endpoint as usize == at),
            "they index the counts"
        );
    }
}
