//! The authorisation page, on which an account's owner authorises an open platform. Plain HTML without a script.
//!
//! WeChat has one for browsers, which shows a QR code, and one for phones. Here both list the sandbox's accounts.

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ContentType, LOCATION, REFERER,
};
use actix_web::middleware::from_fn;
use actix_web::web::{self, Bytes, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use url::Url;

use super::app_settings::{App, Platform};
use super::component::Component;
use super::control_api_access::own_pages_only;
use super::open_platform::OpenPlatform;
use super::shared_state::Shared;
use super::simulated_endpoints::AUTHORIZATION_PAGES;

pub(super) fn routes(config: &mut ServiceConfig) {
    for path in AUTHORIZATION_PAGES {
        let page = web::resource(path)
            .route(web::get().to(show))
            .route(web::post().to(authorize))
            .wrap(from_fn(own_pages_only));
        config.service(page);
    }
}

/// Parameters of the page, and of its forms.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Visit {
    component_appid: String,
    pre_auth_code: String,
    redirect_uri: String,
    /// Which accounts may be chosen: 1 official accounts, 2 mini programs, otherwise both.
    auth_type: String,
    /// The only account that may be chosen.
    biz_appid: String,
    /// The account that was chosen.
    app_id: String,
}

/// Why the page cannot be used: Chinese, English.
type Refused = (&'static str, &'static str);

impl Visit {
    fn read(text: &str) -> Result<Self, Refused> {
        serde_urlencoded::from_str(text)
            .map_err(|_| ("参数格式错误", "The parameters are not readable"))
    }

    /// Checks the code, then where the page would return to.
    fn check(&self, component: &Component, shared: &Shared) -> Result<Url, Refused> {
        if !component.accepts_pre_auth_code(&self.pre_auth_code, shared.clock.now()) {
            return Err((
                "预授权码无效、已使用或已过期",
                "The pre_auth_code is unknown, used or expired",
            ));
        }
        let allowed = &component.settings.redirect_hosts;
        Url::parse(&self.redirect_uri)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .filter(|url| allowed.is_empty() || allowed.iter().any(|host| is_at(url, host)))
            .ok_or((
                "redirect_uri 无效，或其域名不是授权发起页域名",
                "The redirect_uri is not a URL of an allowed host",
            ))
    }

    fn offers(&self, app: &App) -> bool {
        let of_type = match self.auth_type.as_str() {
            "1" => app.platform() == Platform::Official,
            "2" => app.platform() == Platform::Mini,
            _ => app.platform() != Platform::Work,
        };
        of_type && (self.biz_appid.is_empty() || self.biz_appid == app.app_id())
    }
}

/// Shows the accounts.
async fn show(shared: Data<Shared>, request: HttpRequest) -> HttpResponse {
    let list = || {
        let visit = Visit::read(request.query_string())?;
        let inside = shared.inside();
        let simulator = &inside.simulator;
        let component = simulator
            .component(&visit.component_appid)
            .map_err(|_| UNKNOWN)?;
        if !is_linked_from(&component.settings, &request) {
            return Err((
                "请确认授权入口页所在域名",
                "The page that links here must be on the platform's host (授权发起页域名)",
            ));
        }
        visit.check(component, &shared)?;
        let apps = simulator.apps.iter().map(|running| &running.app);
        let cards: String = apps
            .filter(|app| visit.offers(app))
            .map(|app| card(app, &visit, component.authorizer(app.app_id()).is_ok()))
            .collect();
        Ok((component.settings.app_id.clone(), cards))
    };
    match list() {
        Ok((component, cards)) => accounts(&component, &cards),
        Err(refused) => refusal(refused),
    }
}

/// Authorises the platform for the chosen account, and returns to the platform with a code.
async fn authorize(shared: Data<Shared>, body: Bytes) -> HttpResponse {
    let chosen = || {
        let text = std::str::from_utf8(&body).unwrap_or_default();
        let visit = Visit::read(text)?;
        let url = {
            let inside = shared.inside();
            let component = inside
                .simulator
                .component(&visit.component_appid)
                .map_err(|_| UNKNOWN)?;
            let offered = inside.simulator.app(&visit.app_id);
            if !offered.is_some_and(|running| visit.offers(&running.app)) {
                return Err(("请选择列表中的账号", "Choose an account of the list"));
            }
            visit.check(component, &shared)?
        };
        let code = Some(visit.pre_auth_code.as_str());
        let granted = shared
            .simulate(|it, now| {
                it.authorize(&visit.component_appid, &visit.app_id, code, false, now)
            })
            .map_err(|_| UNKNOWN)?;
        if let Some(message) = &granted.message {
            // Platforms without a push URL get the code by the redirect alone.
            let _ = shared.push_event_later(&visit.component_appid, message);
        }
        Ok(with_code(url, &granted.code, granted.expires_in))
    };
    match chosen() {
        Ok(url) => HttpResponse::SeeOther()
            .insert_header((LOCATION, url.as_str()))
            .finish(),
        Err(refused) => refusal(refused),
    }
}

/// Adds the code to the query, which is kept.
fn with_code(mut url: Url, code: &str, expires_in: u64) -> Url {
    url.query_pairs_mut()
        .append_pair("auth_code", code)
        .append_pair("expires_in", &expires_in.to_string());
    url
}

fn is_linked_from(settings: &OpenPlatform, request: &HttpRequest) -> bool {
    let Some(host) = &settings.page_host else {
        return true;
    };
    let referer = request.headers().get(REFERER);
    referer
        .and_then(|referer| Url::parse(referer.to_str().ok()?).ok())
        .is_some_and(|url| is_at(&url, host))
}

/// Returns whether a URL is at `host` or `host:port`.
fn is_at(url: &Url, host: &str) -> bool {
    let Some(name) = url.host_str() else {
        return false;
    };
    let port = url.port_or_known_default().unwrap_or_default();
    name == host || format!("{name}:{port}") == host
}

/// Returns an account with its button.
fn card(app: &App, visit: &Visit, authorized: bool) -> String {
    let hidden = [
        ("component_appid", visit.component_appid.as_str()),
        ("pre_auth_code", &visit.pre_auth_code),
        ("redirect_uri", &visit.redirect_uri),
        ("auth_type", &visit.auth_type),
        ("biz_appid", &visit.biz_appid),
        ("app_id", app.app_id()),
    ]
    .map(|(name, value)| {
        format!(
            r#"<input type="hidden" name="{name}" value="{}">"#,
            escaped(value)
        )
    })
    .concat();
    let (zh, en) = match app.platform() {
        Platform::Mini => ("小程序", "Mini program"),
        _ => ("公众号", "Official account"),
    };
    let state = match authorized {
        true => r#"<p class="done">已授权 · <span lang="en">authorised already</span></p>"#,
        false => "",
    };
    format!(
        r#"<li><form method="post"><div><p>{zh} · <span lang="en">{en}</span></p><p class="id">{}</p>{state}</div>{hidden}<button type="submit">授权 · <span lang="en">Authorise</span></button></form></li>"#,
        escaped(app.app_id())
    )
}

fn accounts(component: &str, cards: &str) -> HttpResponse {
    let list = match cards.is_empty() {
        true => r#"<p>沙箱中没有可授权的账号。<br><span lang="en">The sandbox has no account to choose.</span></p>"#.to_owned(),
        false => format!("<ul>{cards}</ul>"),
    };
    let content = format!(
        r#"<p>第三方平台 <b class="id">{}</b> 申请获得账号的授权。<br><span lang="en">This open platform asks to be authorised. Choose an account.</span></p>{list}"#,
        escaped(component)
    );
    page(&content)
}

/// WeChat shows its refusals with status 200.
fn refusal((zh, en): Refused) -> HttpResponse {
    let content = format!(r#"<p class="refused">{zh}<br><span lang="en">{en}</span></p>"#);
    page(&content)
}

fn page(content: &str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(ContentType::html())
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
        ))
        .body(PAGE.replace("<!-- content -->", content))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

const UNKNOWN: Refused = ("component_appid 无效", "The component_appid is unknown");

/// The page, with a comment where its content comes.
const PAGE: &str = include_str!("authorize_page.html");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_added_to_the_query_that_is_there() {
        for (uri, expected) in [
            (
                "https://a.test",
                "https://a.test/?auth_code=q%40%40%40x&expires_in=600",
            ),
            (
                "https://a.test/cb?state=%2F1",
                "https://a.test/cb?state=%2F1&auth_code=q%40%40%40x&expires_in=600",
            ),
            (
                "https://a.test/cb#end",
                "https://a.test/cb?auth_code=q%40%40%40x&expires_in=600#end",
            ),
        ] {
            let url = with_code(Url::parse(uri).unwrap(), "q@@@x", 600);
            assert_eq!(url.as_str(), expected);
        }
    }

    #[test]
    fn a_host_is_compared_with_its_port_only_if_one_is_given() {
        let url = Url::parse("http://a.test:8080/x").unwrap();
        assert!(is_at(&url, "a.test") && is_at(&url, "a.test:8080"));
        assert!(!is_at(&url, "test") && !is_at(&url, "a.test:80"));
    }
}
