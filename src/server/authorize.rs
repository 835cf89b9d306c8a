//! `/authorize/{platform}`: the page on which the owner of an account authorises an open platform, and the page to
//! which WeChat returns the browser.
//!
//! WeChat has no state parameter, so a signed one is in `redirect_uri` and in a cookie: a code that a stranger
//! sends to someone is not redeemed in that browser. The code is redeemed at once; no page shows it.
//!
//! Links cost a call of WeChat's quota, so only the page's button fetches them: crawlers cost nothing.

mod state;

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use arc_swap::ArcSwap;
use askama::Template;
use subtle::ConstantTimeEq as _;
use url::Url;

use super::config::PlatformSettings;
use super::pages::{Lang, PLAIN_POLICY, PLAIN_STYLE, Page};
use crate::actix::{ClientIps, check_rate_limit, read_route};
use crate::broker::{AuthorizationLinks, AuthorizedAccount, Broker};
use crate::clock::Clock;
use crate::credential::Secret;
use crate::endpoint::{Problem, RateLimit, query};
use crate::error::{Error, PlatformProblem, Text, UpstreamError};

/// The pages of all platforms that have them. Clones share them.
#[derive(Clone)]
pub(super) struct AuthorizePages {
    /// The pages by the platform's name.
    pages: Arc<ArcSwap<HashMap<String, PlatformPage>>>,
    broker: Broker,
    limit: web::Data<RateLimit>,
}

/// The page of one platform.
#[derive(Clone)]
struct PlatformPage {
    /// Its base URL; empty in the sandbox, where it is the visitor's.
    base: String,
    /// The path of the page as browsers see it: a proxy may remove its beginning.
    path: String,
    /// Signs states, at every node.
    secret: Secret,
}

impl AuthorizePages {
    /// Create it once: all workers share its rate limit.
    pub(super) fn new(broker: &Broker, clients: Arc<ClientIps>, clock: Clock) -> Self {
        let limit = RateLimit::new(VISITS_PER_SECOND, VISITS_AT_ONCE, clients, clock);
        let name = "the authorisation page";
        let limit = limit.with_total(name, ALL_VISITS_PER_SECOND, ALL_VISITS_AT_ONCE);
        Self {
            pages: Arc::default(),
            broker: broker.clone(),
            limit: web::Data::new(limit),
        }
    }

    /// Replaces the platforms.
    pub(super) fn replace(&self, platforms: &[PlatformSettings]) {
        let pages = platforms.iter().filter_map(|platform| {
            let (name, base) = (&platform.name, platform.authorize_url.clone()?);
            let url = Url::parse(&base).ok();
            let below = url
                .as_ref()
                .map_or("", |url| url.path().trim_end_matches('/'));
            let page = PlatformPage {
                path: format!("{below}/authorize/{name}"),
                secret: platform.account.secret().clone(),
                base,
            };
            Some((name.clone(), page))
        });
        self.pages.store(Arc::new(pages.collect()));
    }

    /// Adds the routes to an application.
    pub(super) fn configure(self) -> impl FnOnce(&mut web::ServiceConfig) {
        move |services| {
            services.service(
                web::scope("/authorize/{platform}")
                    .app_data(self.limit.clone())
                    .app_data(web::Data::new(self))
                    .service(
                        web::resource("")
                            .route(read_route().to(start))
                            .route(web::post().to(links)),
                    )
                    .service(web::resource("/done").route(web::get().to(done))),
            );
        }
    }

    fn page_of(&self, platform: &str) -> Option<PlatformPage> {
        self.pages.load().get(platform).cloned()
    }
}

#[derive(Template)]
#[template(path = "authorize.html")]
struct AuthorizePage {
    lang: Lang,
    body: Body,
}

enum Body {
    /// The button that fetches the links.
    Start,
    Links(AuthorizationLinks),
    /// The account's name here, and what its followers call it.
    Done(String, String),
    Failed(Text, Text),
    /// What failed, what to do, and the platform whose page the visitor has to open again.
    StartAgain(Text, Text, String),
}

impl Body {
    /// Returns the page for an account that has authorised the platform.
    fn of(account: AuthorizedAccount, platform: String) -> Self {
        let Some(problem) = account.problem else {
            return Self::Done(account.name, account.nick_name);
        };
        let what = match problem {
            PlatformProblem::NoApiPermission => NO_PERMISSION,
            PlatformProblem::NeedsAuthorization | PlatformProblem::NotAuthorized => NOT_VALID,
            // These end by themselves, within seconds or with the next ticket.
            _ => return Self::Done(account.name, account.nick_name),
        };
        Self::StartAgain(what, problem.advice().fix.clone(), platform)
    }
}

/// Shows the button that fetches the links.
async fn start(
    request: HttpRequest,
    platform: web::Path<String>,
    pages: web::Data<AuthorizePages>,
) -> HttpResponse {
    match pages.page_of(&platform) {
        Some(_) => answer(&request, StatusCode::OK, Body::Start),
        None => super::pages::not_found(request).await,
    }
}

/// Shows the links, each for this visitor only.
async fn links(
    request: HttpRequest,
    platform: web::Path<String>,
    pages: web::Data<AuthorizePages>,
) -> HttpResponse {
    let Some(page) = pages.page_of(&platform) else {
        return super::pages::not_found(request).await;
    };
    // A form on a page of another site, whose answer would replace the state of this browser.
    let site = request.headers().get("sec-fetch-site");
    if site.is_some_and(|site| site == "cross-site") {
        return answer(&request, StatusCode::OK, Body::Start);
    }
    if let Err(problem) = check_rate_limit(&request) {
        return refused(&request, &problem);
    }
    let now = pages.broker.clock().now();
    // A second tab or a reload keeps the state of the first, which may be on WeChat's page.
    let kept = kept_states(&request).find_map(|state| {
        let left = state::life_left(state, &platform, &page.secret, now)?;
        (left >= ENOUGH).then(|| (state.to_owned(), left))
    });
    let (state, left) =
        kept.unwrap_or_else(|| (state::issue(&platform, &page.secret, now), state::LIFE));
    let base = match page.base.as_str() {
        "" => super::pages::origin_of(&request, "127.0.0.1:8080"),
        base => base.to_owned(),
    };
    let redirect = format!("{base}/authorize/{platform}/done?state={state}");
    match pages.broker.authorization_links(&platform, &redirect).await {
        Ok(links) => {
            let mut response = answer(&request, StatusCode::OK, Body::Links(links));
            let secure = if base.starts_with("https:") {
                "; Secure"
            } else {
                ""
            };
            // Lax: sent when WeChat's page leads back here.
            let cookie = format!(
                "{COOKIE}={state}; Path={}; Max-Age={}; HttpOnly; SameSite=Lax{secure}",
                page.path,
                left.as_secs()
            );
            if let Ok(cookie) = header::HeaderValue::from_str(&cookie) {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            response
        }
        Err(error) => failed(&request, platform.into_inner(), &error),
    }
}

/// Redeems the code with which WeChat's page returns the browser.
async fn done(
    request: HttpRequest,
    platform: web::Path<String>,
    pages: web::Data<AuthorizePages>,
) -> HttpResponse {
    let Some(page) = pages.page_of(&platform) else {
        return super::pages::not_found(request).await;
    };
    let value = |name| query::value(request.query_string(), name);
    let state = value("state").unwrap_or_default();
    let mut kept = kept_states(&request);
    let is_kept = kept.any(|kept| kept.as_bytes().ct_eq(state.as_bytes()).into());
    let now = pages.broker.clock().now();
    if !is_kept || state::life_left(&state, &platform, &page.secret, now).is_none() {
        let body = Body::StartAgain(WRONG_BROWSER, SAME_BROWSER, platform.into_inner());
        return answer(&request, StatusCode::FORBIDDEN, body);
    }
    let code = value("auth_code").map(Secret::new);
    let Some(code) = code.filter(|code| code.check().is_ok()) else {
        let body = Body::StartAgain(NO_CODE, SAME_BROWSER, platform.into_inner());
        return answer(&request, StatusCode::BAD_REQUEST, body);
    };
    // Visits without a state and a code cost no call, so that they do not count against all visitors.
    if let Err(problem) = check_rate_limit(&request) {
        return refused(&request, &problem);
    }
    match pages.broker.redeem_from_browser(&platform, &code).await {
        Ok(account) => {
            let body = Body::of(account, platform.into_inner());
            answer(&request, StatusCode::OK, body)
        }
        Err(error) => failed(&request, platform.into_inner(), &error),
    }
}

/// The operator finds the reason in the log and on the status page. The visitor can only do something about a code
/// that WeChat does not accept.
fn failed(request: &HttpRequest, platform: String, error: &Error) -> HttpResponse {
    if error.upstream().is_some_and(UpstreamError::refuses_code) {
        tracing::info!(%error, path = request.path(), "visitor brought a code that is not valid any more");
        let body = Body::StartAgain(CODE_REFUSED, SAME_BROWSER, platform);
        return answer(request, StatusCode::BAD_REQUEST, body);
    }
    tracing::warn!(%error, path = request.path(), "account could not be authorised");
    let body = Body::Failed(NOT_NOW, COME_BACK);
    answer(request, StatusCode::SERVICE_UNAVAILABLE, body)
}

/// The problem's own text is about signatures.
fn refused(request: &HttpRequest, problem: &Problem) -> HttpResponse {
    let body = Body::Failed(TOO_OFTEN, RELOAD_LATER);
    let mut response = answer(request, StatusCode::TOO_MANY_REQUESTS, body);
    let wait = problem.retry_after.map_or(1, |wait| wait.as_secs().max(1));
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, header::HeaderValue::from(wait));
    response
}

fn answer(request: &HttpRequest, status: StatusCode, body: Body) -> HttpResponse {
    let lang = Lang::of(request);
    let page = Page {
        name: "authorize",
        policy: &PLAIN_POLICY,
        // WeChat's page checks from which host the visitor comes.
        referrer: "origin",
    };
    let mut response = page.answer(AuthorizePage { lang, body }.render(), lang);
    *response.status_mut() = status;
    // Each link is for one visitor.
    let no_store = header::HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    response
}

/// Returns the values of the cookie: a browser may have one for each path of the page.
fn kept_states(request: &HttpRequest) -> impl Iterator<Item = &str> {
    let headers = request.headers().get_all(header::COOKIE);
    let pairs = headers
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'));
    pairs.filter_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

const COOKIE: &str = "wx_jssdk_authorize";

/// Links cost a call of WeChat's quota.
const VISITS_PER_SECOND: u32 = 1;
const VISITS_AT_ONCE: u32 = 5;

/// Of all visitors together, among them those whose address a proxy hides.
const ALL_VISITS_PER_SECOND: NonZeroU32 = NonZeroU32::new(2).expect("not zero");
const ALL_VISITS_AT_ONCE: NonZeroU32 = NonZeroU32::new(60).expect("not zero");

/// WeChat's links work for half an hour: a state that is used again must outlive them.
const ENOUGH: Duration = Duration::from_secs(1_800);

const NOT_NOW: Text = Text::new("This does not work now", "暂时无法授权");
const COME_BACK: Text = Text::new(
    "Try again in a few minutes. If it does not work then, tell the provider who sent you here.",
    "请几分钟后再试；如果仍然不行，请联系让你打开本页的服务商。",
);
const TOO_OFTEN: Text = Text::new("Too many visits", "访问过于频繁");
const RELOAD_LATER: Text = Text::new(
    "Wait a few seconds, then reload this page.",
    "请等待几秒，再刷新本页。",
);
const SAME_BROWSER: Text = Text::new(
    "Start again, and stay in this browser.",
    "请重新授权，并全程使用当前浏览器。",
);
const NO_PERMISSION: Text = Text::new(
    "Authorised, but without API permissions: the account cannot be used yet",
    "已授权，但未授予接口权限，该账号暂时无法使用",
);
const NOT_VALID: Text = Text::new("This authorisation is not valid any more", "此次授权已失效");
const NO_CODE: Text = Text::new("WeChat sent no code", "微信没有返回授权码");
const CODE_REFUSED: Text = Text::new("The code is no longer valid", "授权码已失效");
const WRONG_BROWSER: Text = Text::new(
    "This authorisation was not started in this browser, or too long ago",
    "此次授权不是在当前浏览器中发起的，或已超时",
);
