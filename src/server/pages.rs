//! The pages a person opens, and the files they need, all compiled in.
//!
//! The demo page proves one thing: that a signature of this server satisfies WeChat. No script or style is inline, so the
//! policy below can forbid both; what the script must know reaches it in `data-` attributes.
//! Nothing is signed here, and no credential is seen.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, ETag, EntityTag, IfNoneMatch};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, Route, guard, web};
use askama::Template;
use qrcode::QrCode;
use qrcode::render::svg;
use serde::Deserialize;

use crate::actix::admit;
use crate::error::Hint;

/// Whether a QR code may be drawn for a page URL: anybody's link under our host's name would serve a phisher.
pub type QrAllowed = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// The demo page, its static files and its QR code.
#[derive(Clone)]
pub struct Pages {
    /// The account that the page names to the endpoint; `None` leaves the choice to the server.
    pub account: Option<String>,
    /// The path of the signing endpoint, e.g. `/jssdk/config`.
    pub endpoint: String,
    /// Whether a script plays the phone's client, so that any browser gets an answer.
    pub sandbox: bool,
    /// For which page URLs a QR code is drawn.
    pub qr_allowed: QrAllowed,
}

impl Pages {
    /// Adds `/`, `/static/{name}` and `/qr.svg` to an application.
    pub fn configure(self) -> impl FnOnce(&mut web::ServiceConfig) {
        move |services| {
            services
                .app_data(web::Data::new(self))
                .service(web::resource("/").route(web::route().guard(reads()).to(demo)))
                .service(web::resource("/static/phone.js").route(web::route().guard(reads()).to(phone)))
                .service(web::resource("/static/{name}").route(web::route().guard(reads()).to(static_file)))
                .service(web::resource("/qr.svg").route(web::route().guard(reads()).to(qr)));
        }
    }
}

pub(super) fn reads() -> impl guard::Guard {
    guard::Any(guard::Get()).or(guard::Head())
}

/// The language of a page: the two of our readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lang {
    Zh,
    En,
}

impl Lang {
    /// Of a request: `?lang=`, else the browser's. A query that cannot be read (WeChat and its users append what they like) must
    /// not cost the page.
    pub(super) fn of(request: &HttpRequest) -> Self {
        let asked = web::Query::<LangQuery>::from_query(request.query_string()).ok().and_then(|query| query.into_inner().lang);
        let accepts = request.headers().get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        Self::choose(asked.as_deref(), accepts)
    }

    /// The sentence in this language.
    pub(super) fn choose_text<'s>(self, en: &'s str, zh: &'s str) -> &'s str {
        match self {
            Self::En => en,
            Self::Zh => zh,
        }
    }

    /// The reader's own choice, else the browser's, else Chinese: that is where WeChat is.
    pub(super) fn choose(asked: Option<&str>, accept_language: Option<&str>) -> Self {
        asked.and_then(Self::from_tag).or_else(|| accept_language.and_then(Self::from_accept)).unwrap_or(Self::Zh)
    }

    fn from_tag(tag: &str) -> Option<Self> {
        match tag.trim().split(['-', '_']).next().unwrap_or_default() {
            tag if tag.eq_ignore_ascii_case("zh") => Some(Self::Zh),
            tag if tag.eq_ignore_ascii_case("en") => Some(Self::En),
            _ => None,
        }
    }

    /// The one of ours that stands highest; of two with the same weight the first.
    fn from_accept(value: &str) -> Option<Self> {
        let mut best: Option<(f32, Self)> = None;
        for range in value.split(',') {
            let mut parts = range.split(';');
            let Some(lang) = parts.next().and_then(Self::from_tag) else { continue };
            let q = parts.find_map(|part| part.trim().strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
            if q > 0.0 && best.is_none_or(|(most, _)| q > most) {
                best = Some((q, lang));
            }
        }
        best.map(|(_, lang)| lang)
    }
}

#[derive(Template)]
#[template(path = "demo.html")]
struct DemoPage<'a> {
    lang: Lang,
    pages: &'a Pages,
    version: &'static str,
}

impl DemoPage<'_> {
    /// The sentence in the page's language. Both stand side by side in the template, as in [`Hint`].
    fn t<'s>(&self, en: &'s str, zh: &'s str) -> &'s str {
        self.lang.choose_text(en, zh)
    }

    fn tag(&self) -> &'static str {
        self.t("en", "zh-CN")
    }
}

#[derive(Deserialize)]
struct LangQuery {
    lang: Option<String>,
}

async fn demo(request: HttpRequest, pages: web::Data<Pages>) -> HttpResponse {
    let page = DemoPage { lang: Lang::of(&request), pages: &pages, version: env!("CARGO_PKG_VERSION") };
    let html = match page.render() {
        Ok(html) => html,
        Err(error) => {
            tracing::error!(%error, "the demo page could not be rendered");
            return HttpResponse::InternalServerError().finish();
        }
    };
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_LANGUAGE, page.tag()))
        .insert_header((header::VARY, "Accept-Language"))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::CONTENT_SECURITY_POLICY, PAGE_POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "strict-origin-when-cross-origin"))
        .insert_header((header::PERMISSIONS_POLICY, NO_POWERS))
        .insert_header((header::CROSS_ORIGIN_OPENER_POLICY, "same-origin"))
        .insert_header((header::CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"))
        .body(html)
}

async fn static_file(request: HttpRequest, name: web::Path<String>, pages: web::Data<Pages>) -> HttpResponse {
    answer_with(&request, StaticFile::named(&name).filter(|file| pages.sandbox || !file.sandbox_only))
}

/// The files of the private listener's pages: `/static/{name}`.
pub(super) fn private_files(services: &mut web::ServiceConfig) {
    services.service(web::resource("/static/{name}").route(read_route().to(private_file)));
}

/// GET and HEAD.
pub(super) fn read_route() -> Route {
    web::route().guard(reads())
}

/// The name of every file, each once.
pub(super) fn static_names() -> impl Iterator<Item = &'static str> {
    let private_only = PRIVATE_FILES.iter().filter(|file| StaticFile::named(file.name).is_none());
    STATIC_FILES.iter().chain(private_only).map(|file| file.name)
}

async fn private_file(request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    answer_with(&request, PRIVATE_FILES.iter().find(|file| file.name == *name))
}

fn answer_with(request: &HttpRequest, file: Option<&'static StaticFile>) -> HttpResponse {
    let Some(file) = file else {
        return HttpResponse::NotFound().content_type("text/plain; charset=utf-8").body("not found\n");
    };
    let tag = file.tag();
    let known = known_already(request, &tag);
    let mut response = HttpResponse::build(if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
    response
        .insert_header(ETag(tag))
        // Asked for again each time and mostly answered with 304: a page never runs with yesterday's script.
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        // An SVG opened by itself is a page, and a picture shown elsewhere is the visitor's matter.
        .insert_header((header::CONTENT_SECURITY_POLICY, FILE_POLICY))
        .insert_header((header::CROSS_ORIGIN_RESOURCE_POLICY, file.readers()));
    if known { response.finish() } else { response.content_type(file.content_type).body(file.bytes) }
}

/// The whole simulated client as one script, for pages that are not ours: the examples load it, whatever it is made of.
async fn phone(pages: web::Data<Pages>) -> HttpResponse {
    if !pages.sandbox {
        return HttpResponse::NotFound().content_type("text/plain; charset=utf-8").body("not found\n");
    }
    let parts = SANDBOX_SCRIPTS.iter().filter_map(|name| STATIC_FILES.iter().find(|file| file.name == *name));
    HttpResponse::Ok()
        .content_type(SCRIPT)
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(parts.map(|file| file.bytes).collect::<Vec<_>>().join(&b'\n'))
}

fn known_already(request: &HttpRequest, tag: &EntityTag) -> bool {
    match request.get_header::<IfNoneMatch>() {
        Some(IfNoneMatch::Any) => true,
        Some(IfNoneMatch::Items(known)) => known.iter().any(|one| one.weak_eq(tag)),
        None => false,
    }
}

struct StaticFile {
    name: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
    sandbox_only: bool,
}

impl StaticFile {
    fn named(name: &str) -> Option<&'static Self> {
        STATIC_FILES.iter().find(|file| file.name == name)
    }

    /// A shared card shows its picture in other pages; nothing else of ours belongs there.
    fn readers(&self) -> &'static str {
        if self.content_type.starts_with("image/") { "cross-origin" } else { "same-origin" }
    }

    /// Changes exactly when the content does; the same in every process of one build.
    fn tag(&self) -> EntityTag {
        let mut hasher = DefaultHasher::new();
        self.bytes.hash(&mut hasher);
        EntityTag::new_strong(format!("{:016x}", hasher.finish()))
    }
}

macro_rules! static_file {
    ($name:literal, $content_type:expr, sandbox_only: $sandbox_only:literal) => {
        StaticFile {
            name: $name,
            content_type: $content_type,
            bytes: include_bytes!(concat!("../../static/", $name)),
            sandbox_only: $sandbox_only,
        }
    };
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Every file there is: a name is looked up here and never on a disk.
const STATIC_FILES: &[StaticFile] = &[
    static_file!("style.css", "text/css; charset=utf-8", sandbox_only: false),
    static_file!("demo.css", "text/css; charset=utf-8", sandbox_only: false),
    static_file!("demo.js", SCRIPT, sandbox_only: false),
    static_file!("demo-banner.js", SCRIPT, sandbox_only: false),
    static_file!("demo-calls.js", SCRIPT, sandbox_only: false),
    static_file!("demo-cards.js", SCRIPT, sandbox_only: false),
    static_file!("demo-client.js", SCRIPT, sandbox_only: false),
    static_file!("demo-config.js", SCRIPT, sandbox_only: false),
    static_file!("demo-endpoint.js", SCRIPT, sandbox_only: false),
    static_file!("demo-log.js", SCRIPT, sandbox_only: false),
    static_file!("demo-parameters.js", SCRIPT, sandbox_only: false),
    static_file!("demo-result.js", SCRIPT, sandbox_only: false),
    static_file!("demo-search.js", SCRIPT, sandbox_only: false),
    static_file!("explain.js", SCRIPT, sandbox_only: false),
    static_file!("doctor.css", "text/css; charset=utf-8", sandbox_only: false),
    static_file!("doctor.js", SCRIPT, sandbox_only: false),
    static_file!("doctor-show.js", SCRIPT, sandbox_only: false),
    static_file!("doctor-code.js", SCRIPT, sandbox_only: false),
    static_file!("explain-calls.js", SCRIPT, sandbox_only: false),
    static_file!("interface-needs.js", SCRIPT, sandbox_only: false),
    static_file!("interface-parts.js", SCRIPT, sandbox_only: false),
    static_file!("interfaces.js", SCRIPT, sandbox_only: false),
    static_file!("interfaces-account.js", SCRIPT, sandbox_only: false),
    static_file!("interfaces-phone.js", SCRIPT, sandbox_only: false),
    static_file!("language.js", SCRIPT, sandbox_only: false),
    static_file!("url-difference.js", SCRIPT, sandbox_only: false),
    static_file!("icon.svg", "image/svg+xml", sandbox_only: false),
    static_file!("share.png", "image/png", sandbox_only: false),
    static_file!("wechat-client.js", SCRIPT, sandbox_only: true),
    static_file!("wechat-client-media.js", SCRIPT, sandbox_only: true),
    static_file!("wechat-client-menu.js", SCRIPT, sandbox_only: true),
    static_file!("wechat-client-answers.js", SCRIPT, sandbox_only: true),
    static_file!("wechat-client-tags.js", SCRIPT, sandbox_only: true),
    static_file!("wx-stand-in.js", SCRIPT, sandbox_only: true),
];

/// What there is on the private listener.
static PRIVATE_FILES: [StaticFile; 5] = [
    static_file!("style.css", "text/css; charset=utf-8", sandbox_only: false),
    static_file!("api.css", "text/css; charset=utf-8", sandbox_only: false),
    static_file!("status.css", "text/css; charset=utf-8", sandbox_only: false),
    static_file!("status.js", SCRIPT, sandbox_only: false),
    static_file!("icon.svg", "image/svg+xml", sandbox_only: false),
];

/// What demo.js imports, named in the page's head: a phone then fetches them side by side, not one import after another.
const DEMO_MODULES: [&str; 19] = [
    "demo-banner.js",
    "demo-calls.js",
    "demo-cards.js",
    "demo-client.js",
    "demo-config.js",
    "demo-endpoint.js",
    "demo-log.js",
    "demo-parameters.js",
    "demo-result.js",
    "demo-search.js",
    "explain.js",
    "explain-calls.js",
    "interface-needs.js",
    "interface-parts.js",
    "interfaces.js",
    "interfaces-account.js",
    "interfaces-phone.js",
    "language.js",
    "url-difference.js",
];

/// What plays the client, in the order in which they build on each other.
const SANDBOX_SCRIPTS: [&str; 5] = [
    "wechat-client.js",
    "wechat-client-media.js",
    "wechat-client-menu.js",
    "wechat-client-answers.js",
    "wechat-client-tags.js",
];

#[derive(Deserialize)]
struct QrQuery {
    url: String,
}

async fn qr(request: HttpRequest, pages: web::Data<Pages>) -> HttpResponse {
    // Drawing costs a thousand times what signing does.
    if let Err(problem) = admit(&request) {
        return problem.into_response();
    }
    let Ok(query) = web::Query::<QrQuery>::from_query(request.query_string()) else { return QR_BAD_URL.respond() };
    let url = query.into_inner().url;
    if url.is_empty() || url.len() > MAX_QR_URL {
        return QR_BAD_URL.respond();
    }
    if !(pages.qr_allowed)(&url) {
        return QR_NOT_ALLOWED.respond();
    }
    let Ok(code) = QrCode::new(url.as_bytes()) else { return QR_BAD_URL.respond() };
    let image = code.render::<svg::Color<'_>>().min_dimensions(QR_SIZE, QR_SIZE).build();
    HttpResponse::Ok()
        .content_type("image/svg+xml")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::CONTENT_SECURITY_POLICY, FILE_POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"))
        .body(image)
}

/// A refusal in the shape of every other error of the service.
struct Refusal {
    status: StatusCode,
    code: &'static str,
    detail: &'static str,
    hint: Hint,
}

impl Refusal {
    fn respond(&self) -> HttpResponse {
        let body = serde_json::json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
            "hint": { "en": self.hint.en, "zh": self.hint.zh },
        });
        HttpResponse::build(self.status)
            .content_type("application/problem+json")
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .body(body.to_string())
    }
}

const QR_BAD_URL: Refusal = Refusal {
    status: StatusCode::BAD_REQUEST,
    code: "bad_url",
    detail: "url is missing, doubled, or longer than 1024 bytes",
    hint: Hint::fixed(
        "Ask for /qr.svg?url= followed by encodeURIComponent(location.href); drop long queries from the page's address.",
        "请请求 /qr.svg?url= 加 encodeURIComponent(location.href)，并去掉页面地址中过长的参数。",
    ),
};

const QR_NOT_ALLOWED: Refusal = Refusal {
    status: StatusCode::FORBIDDEN,
    code: "page_not_allowed",
    detail: "a QR code is drawn only for pages that may be signed",
    hint: Hint::fixed(
        "Open the page under one of the account's JS safe domains.",
        "请通过公众号已绑定的 JS 接口安全域名访问本页。",
    ),
};

/// A QR code of more than this is too fine for a phone to read from a screen.
const MAX_QR_URL: usize = 1024;

/// Pixels at least; it is vector, so this is only the size of a page that shows it bare.
const QR_SIZE: u32 = 240;

/// What the page may load. `img-src`: local images come as `data:`, on phones as `weixin:` (Android) and `wxLocalResource:`
/// (iOS) addresses, and jweixin reports by an image of open.weixin.qq.com. `frame-src`: older clients carry the bridge's
/// calls in an invisible frame of the `weixin:` scheme; open tags are frames of `webcompt:` or of qq.com, as their documentation says.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self' https://res.wx.qq.com https://res2.wx.qq.com; \
     style-src 'self'; img-src 'self' data: blob: weixin: wxlocalresource: https://open.weixin.qq.com; connect-src 'self'; \
     frame-src weixin: webcompt: https://*.qq.com; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What the page's own script may not use, and a script of res.wx.qq.com neither: WeChat's interfaces do not go this way.
const NO_POWERS: &str = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), \
     payment=(), usb=()";

/// For what is no page: it loads nothing and is framed nowhere.
const FILE_POLICY: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readers_choice_beats_the_browsers_and_an_unknown_one_counts_as_none() {
        assert_eq!(Lang::choose(Some("en"), Some("zh-CN")), Lang::En);
        assert_eq!(Lang::choose(Some("ZH-tw"), Some("en")), Lang::Zh);
        assert_eq!(Lang::choose(Some("fr"), Some("en-GB,en;q=0.8")), Lang::En);
        assert_eq!(Lang::choose(None, None), Lang::Zh);
    }

    #[test]
    fn the_browsers_languages_are_weighed() {
        assert_eq!(Lang::from_accept("fr-FR,fr;q=0.9,en;q=0.8,zh;q=0.7"), Some(Lang::En));
        assert_eq!(Lang::from_accept("en;q=0.3, zh-Hans-CN;q=0.4"), Some(Lang::Zh));
        assert_eq!(Lang::from_accept("en, zh"), Some(Lang::En));
        assert_eq!(Lang::from_accept("en;q=0"), None);
        assert_eq!(Lang::from_accept("en;q=nonsense, zh;q=0.1"), Some(Lang::Zh));
        assert_eq!(Lang::from_accept("*"), None);
        assert_eq!(Lang::from_accept("english"), None);
    }

    #[test]
    fn every_static_file_has_a_name_and_content_of_its_own() {
        for (at, file) in STATIC_FILES.iter().enumerate() {
            assert!(!file.bytes.is_empty(), "{}", file.name);
            assert!(STATIC_FILES[at + 1..].iter().all(|other| other.name != file.name && other.tag() != file.tag()));
        }
    }
}
