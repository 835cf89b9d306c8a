//! The endpoints played here: one row each, and nothing else.

use super::app::Platform;

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
}

impl Endpoint {
    pub(super) const ALL: [Self; 7] =
        [Self::Token, Self::StableToken, Self::GetTicket, Self::ApiDomainIp, Self::MenuGet, Self::ClearQuota, Self::QuotaGet];

    /// Its path, which is also its name in counts and faults.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Token => "/cgi-bin/token",
            Self::StableToken => "/cgi-bin/stable_token",
            Self::GetTicket => "/cgi-bin/ticket/getticket",
            Self::ApiDomainIp => "/cgi-bin/get_api_domain_ip",
            Self::MenuGet => "/cgi-bin/menu/get",
            Self::ClearQuota => "/cgi-bin/clear_quota",
            Self::QuotaGet => "/cgi-bin/openapi/quota/get",
        }
    }

    /// The endpoint at this exact path.
    pub(super) fn at(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|endpoint| endpoint.path() == path)
    }

    /// Whether it answers 43002 to anything but POST. The others take what they need from the query, whatever the method.
    pub(super) fn wants_post(self) -> bool {
        matches!(self, Self::StableToken | Self::ClearQuota | Self::QuotaGet)
    }

    /// Whether an app of this platform may call it: mini programs have no tickets and no menu.
    pub(super) fn serves(self, platform: Platform) -> bool {
        match platform {
            Platform::Official => true,
            Platform::Mini => !matches!(self, Self::GetTicket | Self::MenuGet),
        }
    }

    /// What to say when somebody names an endpoint that is not played here.
    pub(super) fn unknown(path: &str) -> String {
        let known = Self::ALL.map(Self::path).join(", ");
        format!("\"{path}\" is no endpoint of the sandbox; there are: {known}")
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
        assert!(Endpoint::unknown("/x").contains("/cgi-bin/token, /cgi-bin/stable_token"));
    }
}
