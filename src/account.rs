//! Accounts: the app to sign for, its secret, and the pages that it may sign.
//!
//! Pure: an [`Account`] holds settings and answers questions about them; it fetches nothing.

pub(crate) mod egress;
mod identity;
mod platform;
mod safe_domain;
mod verify_file;

use std::sync::Arc;
use std::time::Duration;

pub use egress::{Egress, Proxy, ProxyError};
pub use platform::Platform;
pub use safe_domain::{DomainError, DomainProblem, SafeDomain};
pub use verify_file::{VerifyFile, VerifyFileError};

use crate::credential::{Kind, Secret};
use safe_domain::covers_host;

/// How an official account or mini program fetches its access token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenMode {
    /// `POST /cgi-bin/stable_token`: a repeated call returns the same token, so calls by another server do
    /// no harm. <https://developers.weixin.qq.com/doc/service/api/base/api_getstableaccesstoken>
    #[default]
    Stable,
    /// `GET /cgi-bin/token`: each call retires the previous token. Only for accounts that cannot use stable
    /// mode.
    Classic,
}

/// One app on one platform, with everything needed to fetch its credentials and sign its pages.
#[derive(Clone, Debug)]
pub struct Account {
    platform: Platform,
    app_id: Arc<str>,
    secret: Secret,
    /// The component_appid of the open platform that acts for it.
    component: Option<Arc<str>>,
    token_mode: TokenMode,
    safe_domains: Vec<SafeDomain>,
    /// Shared by clones, and by the accounts of one configuration that have equal lists.
    js_api_list: Arc<[String]>,
    open_tag_list: Arc<[String]>,
    verify_files: Vec<VerifyFile>,
    /// Boxed, because most accounts have none.
    egress: Option<Box<Egress>>,
    /// How long after their last use the credentials of an account that authorised a platform are kept alive.
    kept_for: Duration,
}

impl Account {
    /// Creates an official account (公众号, 服务号) from its AppID and AppSecret.
    pub fn official(app_id: impl Into<Arc<str>>, secret: impl Into<Secret>) -> Self {
        Self::new(Platform::Official, app_id, secret)
    }

    /// Creates a mini program (小程序) from its AppID and AppSecret.
    pub fn mini(app_id: impl Into<Arc<str>>, secret: impl Into<Secret>) -> Self {
        Self::new(Platform::Mini, app_id, secret)
    }

    /// Creates an app of a WeCom corp (企业微信) from the CorpID, the AgentId and the app's own secret.
    pub fn work(corp_id: impl Into<Arc<str>>, agent_id: u64, secret: impl Into<Secret>) -> Self {
        Self::new(Platform::Work { agent_id }, corp_id, secret)
    }

    /// Creates an open platform (第三方平台) from its component_appid and component_appsecret. The domains and
    /// lists of this account apply to all accounts that authorise the platform.
    pub fn component(app_id: impl Into<Arc<str>>, secret: impl Into<Secret>) -> Self {
        // Each new token retires the one before, as in classic mode.
        Self::new(Platform::Component, app_id, secret).token_mode(TokenMode::Classic)
    }

    /// Creates an account that authorised this open platform, with its settings. It has no AppSecret of its own.
    pub(crate) fn authorizer(component: &Self, app_id: &str, is_mini: bool) -> Self {
        Self {
            platform: match is_mini {
                true => Platform::Mini,
                false => Platform::Official,
            },
            app_id: app_id.into(),
            component: Some(component.app_id.clone()),
            verify_files: Vec::new(),
            ..component.clone()
        }
    }

    fn new(platform: Platform, app_id: impl Into<Arc<str>>, secret: impl Into<Secret>) -> Self {
        Self {
            platform,
            app_id: app_id.into(),
            secret: secret.into(),
            component: None,
            token_mode: TokenMode::default(),
            safe_domains: Vec::new(),
            js_api_list: Arc::default(),
            open_tag_list: Arc::default(),
            verify_files: Vec::new(),
            egress: None,
            kept_for: KEPT_FOR,
        }
    }

    /// Adds a JS safe domain (JS接口安全域名), as in WeChat's console: `example.com` or `example.com/path`.
    ///
    /// # Errors
    /// [`DomainError`] names the problem: a scheme, a port, a wildcard, a blank, several domains, no host name.
    pub fn js_safe_domain(mut self, domain: &str) -> Result<Self, DomainError> {
        self.safe_domains
            .push(SafeDomain::parse_for(domain, self.covers_subdomains())?);
        Ok(self)
    }

    /// Sets the `jsApiList` for requests that name none.
    #[must_use]
    pub fn js_api_list<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.js_api_list = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the `openTagList` for requests that name none.
    #[must_use]
    pub fn open_tag_list<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.open_tag_list = names.into_iter().map(Into::into).collect();
        self
    }

    /// Adds a domain ownership file, with the name and content from WeChat's console.
    ///
    /// # Errors
    /// [`VerifyFileError`] says which of the two is invalid.
    pub fn verify_file(mut self, name: &str, content: &str) -> Result<Self, VerifyFileError> {
        self.verify_files.push(VerifyFile::new(name, content)?);
        Ok(self)
    }

    #[cfg(feature = "server")]
    pub(crate) fn verify_files_of(mut self, files: Vec<VerifyFile>) -> Self {
        self.verify_files = files;
        self
    }

    /// Shares lists that are equal to those of another account: few accounts have lists of their own.
    #[cfg(feature = "server")]
    pub(crate) fn share_lists(&mut self, other: &Self) {
        if self.js_api_list == other.js_api_list {
            self.js_api_list = other.js_api_list.clone();
        }
        if self.open_tag_list == other.open_tag_list {
            self.open_tag_list = other.open_tag_list.clone();
        }
    }

    /// Sets the token endpoint to use. Has no effect for WeCom, which has only one.
    #[must_use]
    pub fn token_mode(mut self, mode: TokenMode) -> Self {
        self.token_mode = mode;
        self
    }

    /// Sets the way by which this account's calls leave, if it is not that of all accounts
    /// ([`crate::UpstreamOptions::egress`]).
    #[must_use]
    pub fn egress(mut self, egress: Egress) -> Self {
        self.egress = Some(Box::new(egress));
        self
    }

    /// Sets how long after their last use the credentials of the accounts that authorised this open platform are
    /// refreshed. The default is a day.
    #[must_use]
    pub fn keep_for(mut self, time: Duration) -> Self {
        self.kept_for = time;
        self
    }

    /// Returns how long after their last use credentials are refreshed, if the account authorised a platform.
    pub fn kept_for(&self) -> Duration {
        self.kept_for
    }

    /// Returns the platform.
    pub fn platform(&self) -> Platform {
        self.platform
    }

    /// Returns the AppID, or WeCom's CorpID: the `appId` that `wx.config` takes.
    pub fn app_id(&self) -> &str {
        &self.app_id
    }

    /// Returns the component_appid of the open platform that acts for this account; `None` for an account with
    /// an AppSecret.
    pub fn component_app_id(&self) -> Option<&str> {
        self.component.as_deref()
    }

    /// Whether [`Account::secret`] is that of an open platform, which logs users in on other paths.
    pub fn has_no_app_secret(&self) -> bool {
        self.component.is_some() || self.platform == Platform::Component
    }

    /// Returns the AppSecret, or the WeCom app's secret; for an account that authorised an open platform, that of
    /// the platform.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Returns the token endpoint in use.
    pub fn mode(&self) -> TokenMode {
        self.token_mode
    }

    /// Returns the bound domains.
    pub fn safe_domains(&self) -> &[SafeDomain] {
        &self.safe_domains
    }

    /// Returns the default `jsApiList`.
    pub fn js_apis(&self) -> &[String] {
        &self.js_api_list
    }

    /// Returns the default `openTagList`.
    pub fn open_tags(&self) -> &[String] {
        &self.open_tag_list
    }

    /// Returns the domain ownership files.
    pub fn verify_files(&self) -> &[VerifyFile] {
        &self.verify_files
    }

    /// Returns the way by which this account's calls leave, if it has one of its own.
    pub fn own_egress(&self) -> Option<&Egress> {
        self.egress.as_deref()
    }

    /// Returns whether this account has credentials of this kind.
    pub fn has(&self, kind: Kind) -> bool {
        self.platform.kinds().contains(&kind)
    }

    /// Returns whether it signs pages: its platform has the ticket for that, and it has a JS safe domain.
    pub fn signs_pages(&self) -> bool {
        self.has(Kind::JsapiTicket) && !self.safe_domains.is_empty()
    }

    /// Returns the kinds to refresh before the first request: the token, and the tickets that an ordinary page needs
    /// if the account signs pages.
    pub fn kept_kinds(&self) -> &'static [Kind] {
        match (self.signs_pages(), self.platform) {
            (false, _) => &[Kind::AccessToken],
            (true, Platform::Official) => &[Kind::AccessToken, Kind::JsapiTicket],
            (true, platform) => platform.kinds(),
        }
    }

    /// Returns the kind that the account exists for: the ticket that signs its pages, or the token if it signs none.
    pub fn primary_kind(&self) -> Kind {
        match self.signs_pages() {
            true => Kind::JsapiTicket,
            false => Kind::AccessToken,
        }
    }

    /// Whether its token comes from the endpoint of this mode. WeCom has another one.
    pub(crate) fn has_token_of(&self, mode: TokenMode) -> bool {
        self.token_mode == mode && !matches!(self.platform, Platform::Work { .. })
    }

    /// Returns whether a page on `host` (lower case, punycode, as in [`crate::sign::PageUrl::host`]) at
    /// `path` may be signed.
    ///
    /// An official account's domain covers its subdomains, as WeChat's console says; a WeCom trusted domain
    /// covers that host only.
    pub fn allows_page(&self, host: &str, path: &str) -> bool {
        let subdomains = self.covers_subdomains();
        self.safe_domains
            .iter()
            .any(|domain| SafeDomain::covers(&domain.text, subdomains, host, path))
    }

    /// Returns whether any page on `host` may be signed. Used for origins, which have no path.
    pub fn allows_host(&self, host: &str) -> bool {
        self.safe_domains
            .iter()
            .any(|domain| covers_host(domain.host(), self.covers_subdomains(), host))
    }

    pub(crate) fn covers_subdomains(&self) -> bool {
        !matches!(self.platform, Platform::Work { .. })
    }
}

/// Whether a text can be an AppID. AppIDs become names of stored entries and stand in the log.
pub(crate) fn is_app_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && is_word(id)
}

/// Whether a text has only ASCII letters, digits, `_` and `-`.
fn is_word(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

const KEPT_FOR: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;

    fn official(domains: &[&str]) -> Account {
        domains
            .iter()
            .fold(Account::official("wx12ab", "s"), |account, domain| {
                account.js_safe_domain(domain).unwrap()
            })
    }

    #[test]
    fn a_domain_covers_itself_and_its_subdomains() {
        let account = official(&["example.com"]);
        for host in ["example.com", "www.example.com", "a.b.example.com"] {
            assert!(account.allows_page(host, "/"), "{host}");
        }
    }

    #[test]
    fn a_domain_does_not_cover_lookalike_domains() {
        let account = official(&["example.com"]);
        for host in [
            "example.com.evil.com",
            "evilexample.com",
            "xample.com",
            "com",
            ".example.com",
            "example.com.",
            "",
            "127.0.0.1",
        ] {
            assert!(!account.allows_page(host, "/"), "{host}");
        }
    }

    #[test]
    fn a_name_without_a_dot_covers_itself_only() {
        let account = official(&["localhost", "com"]);
        assert!(account.allows_page("localhost", "/"));
        assert!(!account.allows_page("example.com", "/"));
    }

    #[test]
    fn a_wecom_domain_covers_only_its_exact_host() {
        let account = Account::work("ww12ab", 1, "s")
            .js_safe_domain("example.com")
            .unwrap();
        assert!(account.allows_page("example.com", "/"));
        assert!(!account.allows_page("www.example.com", "/"));
    }

    #[test]
    fn a_bound_path_covers_its_subpaths() {
        let account = official(&["example.com/app/"]);
        assert!(account.allows_page("example.com", "/app"));
        assert!(account.allows_page("www.example.com", "/app/page"));
        assert!(!account.allows_page("example.com", "/application"));
        assert!(!account.allows_page("example.com", "/"));
    }

    #[test]
    fn each_platform_has_its_own_kinds() {
        assert!(official(&[]).has(Kind::CardTicket) && !official(&[]).has(Kind::AgentTicket));
        let mini = Account::mini("wx12ab", "s");
        assert!(mini.has(Kind::AccessToken) && !mini.has(Kind::JsapiTicket));
        let work = Account::work("ww12ab", 7, "s");
        assert!(work.has(Kind::AgentTicket) && !work.has(Kind::CardTicket));
        assert_eq!(
            work.key(Kind::AgentTicket).to_string(),
            "work:ww12ab:7:agent_ticket"
        );
    }

    #[test]
    fn an_account_prints_no_secret() {
        let account = Account::official("wx12ab", "0c79e1fa963cd80cc0be99b20a18faeb");
        assert!(!format!("{account:?}").contains("0c79"));
    }
}
