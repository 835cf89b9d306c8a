//! The pages' files, all compiled in: a name is never looked up on disk.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, ETag};
use actix_web::{HttpRequest, HttpResponse, web};

use super::{FILE_POLICY, Pages, read_route};
use crate::actix::{knows, tag_of};

pub(super) async fn static_file(
    request: HttpRequest,
    name: web::Path<String>,
    pages: web::Data<Pages>,
) -> HttpResponse {
    answer_with(
        &request,
        StaticFile::named(&name).filter(|file| pages.sandbox || !file.sandbox_only),
    )
}

/// Serves the files of the admin listener's pages: `/static/{name}`.
pub(in crate::server) fn private_files(services: &mut web::ServiceConfig) {
    services.service(web::resource("/static/{name}").route(read_route().to(private_file)));
}

/// Returns the name of every file, without duplicates.
pub(in crate::server) fn static_names() -> impl Iterator<Item = &'static str> {
    let private_only = PRIVATE_FILES
        .iter()
        .filter(|file| StaticFile::named(file.name).is_none());
    STATIC_FILES
        .iter()
        .chain(private_only)
        .map(|file| file.name)
}

async fn private_file(request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    answer_with(
        &request,
        PRIVATE_FILES.iter().find(|file| file.name == *name),
    )
}

fn answer_with(request: &HttpRequest, file: Option<&'static StaticFile>) -> HttpResponse {
    let Some(file) = file else {
        return HttpResponse::NotFound()
            .content_type("text/plain; charset=utf-8")
            .body("not found\n");
    };
    let tag = tag_of(file.bytes);
    let known = knows(request, &tag);
    let mut response = HttpResponse::build(if known {
        StatusCode::NOT_MODIFIED
    } else {
        StatusCode::OK
    });
    response
        .insert_header(ETag(tag))
        // Revalidated on each use and usually answered with 304, so that a page never runs an outdated
        // script.
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        // An SVG that is opened directly is a document, hence the policy. `readers` decides which sites may
        // embed the file.
        .insert_header((header::CONTENT_SECURITY_POLICY, FILE_POLICY))
        .insert_header((header::CROSS_ORIGIN_RESOURCE_POLICY, file.readers()));
    if known {
        response.finish()
    } else {
        response.content_type(file.content_type).body(file.bytes)
    }
}

/// The whole simulated client as one script, for external pages: the examples load it, independent of its
/// parts.
pub(super) async fn phone(pages: web::Data<Pages>) -> HttpResponse {
    if !pages.sandbox {
        return HttpResponse::NotFound()
            .content_type("text/plain; charset=utf-8")
            .body("not found\n");
    }
    let parts = SANDBOX_SCRIPTS
        .iter()
        .filter_map(|name| STATIC_FILES.iter().find(|file| file.name == *name));
    HttpResponse::Ok()
        .content_type(SCRIPT)
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(
            parts
                .map(|file| file.bytes)
                .collect::<Vec<_>>()
                .join(&b'\n'),
        )
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

    /// Returns which sites may load the file. Other sites' pages show the image of a shared card; all other
    /// files are for this site only.
    fn readers(&self) -> &'static str {
        if self.content_type.starts_with("image/") {
            "cross-origin"
        } else {
            "same-origin"
        }
    }
}

macro_rules! static_file {
    ($name:literal, $content_type:expr, sandbox_only: $sandbox_only:literal) => {
        StaticFile {
            name: $name,
            content_type: $content_type,
            bytes: include_bytes!(concat!("../../../static/", $name)),
            sandbox_only: $sandbox_only,
        }
    };
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The public listener's files.
const STATIC_FILES: &[StaticFile] = &[
    static_file!("style.css", "text/css; charset=utf-8", sandbox_only: false),
    static_file!("demo.css", "text/css; charset=utf-8", sandbox_only: false),
    static_file!("client-errors.js", SCRIPT, sandbox_only: false),
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

/// The admin listener's files.
const PRIVATE_FILES: &[StaticFile] = &[
    static_file!("style.css", "text/css; charset=utf-8", sandbox_only: false),
    static_file!("api.css", "text/css; charset=utf-8", sandbox_only: false),
    static_file!("status.css", "text/css; charset=utf-8", sandbox_only: false),
    static_file!("status.js", SCRIPT, sandbox_only: false),
    static_file!("icon.svg", "image/svg+xml", sandbox_only: false),
];

/// The scripts of the simulated client, in dependency order.
pub(super) const SANDBOX_SCRIPTS: [&str; 5] = [
    "wechat-client.js",
    "wechat-client-media.js",
    "wechat-client-menu.js",
    "wechat-client-answers.js",
    "wechat-client-tags.js",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_static_file_has_a_name_and_content_of_its_own() {
        for (at, file) in STATIC_FILES.iter().enumerate() {
            assert!(!file.bytes.is_empty(), "{}", file.name);
            assert!(
                STATIC_FILES[at + 1..]
                    .iter()
                    .all(|other| other.name != file.name
                        && tag_of(other.bytes) != tag_of(file.bytes))
            );
        }
    }
}
