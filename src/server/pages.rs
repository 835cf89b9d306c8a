//! The HTML pages and their files, all compiled in.
//!
//! The demo page proves that WeChat accepts this server's signatures. No script or style is inline, so the
//! policy below forbids both; the server passes values to the script in `data-` attributes. Pages sign
//! nothing and hold no credential.

mod files;
mod lang;
mod page_response;
mod qr;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};

pub(super) use files::{admin_files, static_names};
pub(super) use lang::Lang;
pub(super) use page_response::Page;

use super::backpressure::UnsentBudget;
use super::routes::SCOPE;
use crate::actix::{ClientIps, RateLimit, read_route, unknown_path};
use crate::clock::Clock;

/// Decides whether a QR code may be drawn for a page URL. A QR code of any URL under this host's name would
/// help phishing.
pub type QrAllowed = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// The demo page, its static files and its QR code. The signing scope has to be at `/jssdk` beside it.
#[derive(Clone)]
pub struct Pages {
    /// Whether a script simulates the WeChat client, so that the page works in any browser.
    pub sandbox: bool,
    /// The admin listener's URL, for the snippets. Everyone who opens the page can read it.
    pub admin: String,
    /// The page URLs that get a QR code.
    pub qr_allowed: QrAllowed,
    /// The rate limit of QR codes: see [`Pages::qr_limit`].
    pub qr_limit: web::Data<RateLimit>,
}

impl Pages {
    /// Creates the usual rate limit of QR codes. Create it once: all workers share it.
    pub fn qr_limit(clients: Arc<ClientIps>, clock: Clock) -> web::Data<RateLimit> {
        web::Data::new(qr::limit(clients, clock))
    }

    /// Adds `/`, `/demo`, `/static/{name}` and `/qr.svg` to an application.
    pub fn configure(self) -> impl FnOnce(&mut web::ServiceConfig) {
        move |services| {
            services.service(web::resource("/").route(read_route().to(demo)));
            self.configure_below("")(services);
        }
    }

    /// Adds `{prefix}/demo` with its files, for proxies that pass on a prefix only.
    pub(super) fn configure_below(
        self,
        prefix: &str,
    ) -> impl FnOnce(&mut web::ServiceConfig) + use<> {
        let prefix = prefix.to_owned();
        move |services| {
            let at = |path: &str| web::resource(format!("{prefix}{path}"));
            services
                .app_data(web::Data::new(self))
                .app_data(web::Data::new(UnsentBudget::default()))
                .service(at("/demo").route(read_route().to(demo)))
                .service(at("/static/phone.js").route(read_route().to(files::phone)))
                .service(at("/static/{name}").route(read_route().to(files::static_file)))
                .service(at("/qr.svg").route(read_route().to(qr::qr)));
        }
    }
}

/// Answers unknown paths: browsers get a page, programs a problem document.
pub(super) async fn not_found(request: HttpRequest) -> HttpResponse {
    if !accepts(&request, "text/html") {
        return unknown_path().await;
    }
    let lang = Lang::of(&request);
    let page = Page {
        name: "not found",
        policy: &PLAIN_POLICY,
        referrer: "no-referrer",
    };
    let has_pages = request.app_data::<web::Data<Pages>>().is_some();
    let mut response = page.answer(NotFoundPage { lang, has_pages }.render(), lang);
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

/// Returns whether the client accepts a media type by its name.
pub(super) fn accepts(request: &HttpRequest, media_type: &str) -> bool {
    let accepted = request.headers().get(header::ACCEPT);
    let accepted = accepted.and_then(|accepted| accepted.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains(media_type))
}

#[derive(Template)]
#[template(path = "not-found.html")]
struct NotFoundPage {
    lang: Lang,
    /// Whether this listener serves the demo page and the doctor.
    has_pages: bool,
}

/// The style of pages that load no file.
pub(super) const PLAIN_STYLE: &str = include_str!("../../templates/plain.css");

/// Such a page may use its style and its own forms, and load nothing.
pub(super) static PLAIN_POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = BASE64_STANDARD.encode(Sha256::digest(PLAIN_STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    )
});

#[derive(Template)]
#[template(path = "demo.html")]
struct DemoPage<'a> {
    lang: Lang,
    pages: &'a Pages,
    /// The directory of the signing endpoints, relative to the page: a proxy may pass them on below a prefix.
    scope: String,
    /// This server's address as the request names it, for the snippets.
    origin: String,
    admin: &'a str,
    version: &'static str,
}

async fn demo(request: HttpRequest, pages: web::Data<Pages>) -> HttpResponse {
    let page = DemoPage {
        lang: Lang::of(&request),
        pages: &pages,
        scope: match request.path().strip_prefix(SCOPE) {
            Some(_) => ".".to_owned(),
            None => format!(".{SCOPE}"),
        },
        origin: origin_of(&request, "127.0.0.1:8080"),
        admin: &pages.admin,
        version: env!("CARGO_PKG_VERSION"),
    };
    DEMO.answer(page.render(), page.lang)
}

/// Returns the address of the server that a request names, for commands to copy. An invalid Host header is not
/// put into a command: `default` takes its place.
pub(super) fn origin_of(request: &HttpRequest, default: &str) -> String {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .filter(|host| {
            let mut bytes = host.bytes();
            (1..=MAX_HOST).contains(&host.len())
                && bytes.all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b))
        });
    // Without a trusted proxy the scheme is only a guess; the script corrects it.
    let is_secure = request.connection_info().scheme() == "https";
    let scheme = if is_secure { "https" } else { "http" };
    format!("{scheme}://{}", host.unwrap_or(default))
}

/// Returns the admin listener's URL as a command on the same machine writes it; the default one if its address
/// is not known.
pub(super) fn admin_in_commands(listen: Option<SocketAddr>, is_tls: bool) -> String {
    let known = listen.filter(|address| address.port() != 0);
    let mut address = known.unwrap_or(([127, 0, 0, 1], 8081).into());
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let scheme = if is_tls { "https" } else { "http" };
    format!("{scheme}://{address}")
}

/// The longest name, in brackets and with a port.
const MAX_HOST: usize = 263;

const DEMO: Page = Page {
    name: "demo",
    policy: PAGE_POLICY,
    referrer: "strict-origin-when-cross-origin",
};

/// What the page may load. `img-src`: local images are `data:`, on phones `weixin:` (Android) and
/// `wxLocalResource:` (iOS) addresses; jweixin reports by loading an image from open.weixin.qq.com.
/// `frame-src`: older clients pass the bridge's calls through an invisible frame of the `weixin:` scheme;
/// open tags are frames of `webcompt:` or of qq.com, as their documentation says.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self' https://res.wx.qq.com https://res2.wx.qq.com; \
     style-src 'self'; img-src 'self' data: blob: weixin: wxlocalresource: https://open.weixin.qq.com; connect-src 'self'; \
     frame-src weixin: webcompt: https://*.qq.com; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The policy of other files: they load nothing and cannot be framed.
const FILE_POLICY: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_name_the_real_admin_port_if_it_is_known() {
        for (listen, url) in [
            (None, "http://127.0.0.1:8081"),
            (Some("127.0.0.1:0"), "http://127.0.0.1:8081"),
            (Some("127.0.0.1:28081"), "http://127.0.0.1:28081"),
            (Some("0.0.0.0:28081"), "http://127.0.0.1:28081"),
            (Some("10.0.0.5:8081"), "http://10.0.0.5:8081"),
        ] {
            let listen = listen.map(|listen| listen.parse().unwrap());
            assert_eq!(admin_in_commands(listen, false), url);
        }
        assert_eq!(admin_in_commands(None, true), "https://127.0.0.1:8081");
    }
}
