//! The pages' files, all compiled in: a name is never looked up on disk.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use super::{FILE_POLICY, Pages};
use crate::actix::read_route;
use crate::endpoint::{ClientFile, client_has};

/// One file of `static/`. Its URL is `/static/{name}`, without the folder.
struct StaticFile {
    folder: &'static str,
    name: &'static str,
    bytes: &'static [u8],
}

macro_rules! files {
    ($($folder:literal: $($name:literal)+;)+) => {
        &[$($(StaticFile {
            folder: $folder,
            name: $name,
            bytes: include_bytes!(concat!("../../../static/", $folder, "/", $name)),
        }),+),+]
    };
}

/// Every file of `static/` except `client/`, which the signing scope serves.
const FILES: &[StaticFile] = files! {
    "shared": "style.css" "icon.svg" "copy.js" "fill.js" "language.js" "too-old.js";
    "demo": "demo.css" "share.png" "client-errors.js" "demo.js" "demo-banner.js" "demo-calls.js"
        "demo-cards.js" "demo-client.js" "demo-log.js" "demo-parameters.js" "demo-result.js"
        "demo-search.js" "explain.js" "explain-calls.js" "interface-needs.js" "interface-parts.js"
        "interfaces.js" "interfaces-account.js" "interfaces-phone.js" "sign-coupon.js" "url-difference.js";
    "doctor": "doctor.css" "doctor.js" "doctor-code.js" "doctor-show.js";
    "status": "status.css" "status.js";
    "docs": "docs.css" "docs.js";
    // wechat-client.js first: the others add to it.
    "sandbox": "wechat-client.js" "wechat-client-media.js" "wechat-client-menu.js"
        "wechat-client-answers.js" "wechat-client-tags.js" "wx-stand-in.js";
};

const SCRIPT: &str = "text/javascript; charset=utf-8";

impl StaticFile {
    fn find(name: &str, folders: &[&str]) -> Option<&'static Self> {
        FILES
            .iter()
            .find(|file| file.name == name && folders.contains(&file.folder))
    }

    fn content_type(&self) -> &'static str {
        match self.name.rsplit('.').next() {
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            Some("png") => "image/png",
            _ => SCRIPT,
        }
    }

    /// Returns which sites may load the file. Other sites' pages show the image of a shared card; all other
    /// files are for this site only.
    fn readers(&self) -> &'static str {
        if self.content_type().starts_with("image/") {
            "cross-origin"
        } else {
            "same-origin"
        }
    }
}

/// Returns the name of every file.
pub(in crate::server) fn static_names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|file| file.name)
}

/// Returns the modules that demo.js imports.
pub(super) fn demo_modules() -> impl Iterator<Item = &'static str> {
    FILES
        .iter()
        .filter(|file| ["demo", "shared"].contains(&file.folder) && file.content_type() == SCRIPT)
        .map(|file| file.name)
        .filter(|name| !["demo.js", "too-old.js"].contains(name))
}

/// Returns the scripts of the simulated client, in dependency order.
pub(super) fn sandbox_scripts() -> impl Iterator<Item = &'static str> {
    simulated_client().map(|file| file.name)
}

fn simulated_client() -> impl Iterator<Item = &'static StaticFile> {
    FILES
        .iter()
        .filter(|file| file.name.starts_with("wechat-client"))
}

/// Serves a file of the public listener: `/static/{name}`.
pub(super) async fn static_file(
    request: HttpRequest,
    name: web::Path<String>,
    pages: web::Data<Pages>,
) -> HttpResponse {
    let folders: &[&str] = if pages.sandbox {
        &["shared", "demo", "doctor", "sandbox"]
    } else {
        &["shared", "demo", "doctor"]
    };
    answer_with(&request, StaticFile::find(&name, folders))
}

/// Serves the files of the admin listener's pages: `/static/{name}`.
pub(in crate::server) fn admin_files(services: &mut web::ServiceConfig) {
    services.service(web::resource("/static/{name}").route(read_route().to(admin_file)));
}

async fn admin_file(request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    answer_with(
        &request,
        StaticFile::find(&name, &["shared", "status", "docs", "doctor"]),
    )
}

fn answer_with(request: &HttpRequest, file: Option<&'static StaticFile>) -> HttpResponse {
    let Some(file) = file else {
        return not_found();
    };
    let tag = ClientFile::tag_of(file.bytes);
    let known = client_has(request.headers(), &tag);
    let mut response = HttpResponse::build(if known {
        StatusCode::NOT_MODIFIED
    } else {
        StatusCode::OK
    });
    response
        .insert_header((header::ETAG, tag))
        // Revalidated on each use and usually answered with 304, so that a page never runs an outdated
        // script.
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        // An SVG that is opened directly is a document, hence the policy. `readers` decides which sites may
        // embed the file.
        .insert_header((header::CONTENT_SECURITY_POLICY, FILE_POLICY))
        .insert_header((header::CROSS_ORIGIN_RESOURCE_POLICY, file.readers()));
    if known {
        response.finish()
    } else {
        response.content_type(file.content_type()).body(file.bytes)
    }
}

/// Serves the whole simulated client as one script, for pages on other ports.
pub(super) async fn phone(pages: web::Data<Pages>) -> HttpResponse {
    if !pages.sandbox {
        return not_found();
    }
    let parts: Vec<_> = simulated_client().map(|file| file.bytes).collect();
    HttpResponse::Ok()
        .content_type(SCRIPT)
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::CROSS_ORIGIN_RESOURCE_POLICY, "cross-origin"))
        .body(parts.join(&b'\n'))
}

fn not_found() -> HttpResponse {
    HttpResponse::NotFound()
        .content_type("text/plain; charset=utf-8")
        .body("not found\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_has_every_file_once() {
        let listed: BTreeSet<String> = FILES
            .iter()
            .map(|file| format!("{}/{}", file.folder, file.name))
            .collect();
        let folders = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/static")).unwrap();
        let mut on_disk = BTreeSet::new();
        for folder in folders.map(Result::unwrap) {
            for file in std::fs::read_dir(folder.path())
                .unwrap()
                .map(Result::unwrap)
            {
                let path = [folder.file_name(), file.file_name()];
                on_disk.insert(path.map(|part| part.into_string().unwrap()).join("/"));
            }
        }
        on_disk.retain(|path| !path.starts_with("client/"));
        assert_eq!(listed, on_disk);
        let names: BTreeSet<_> = static_names().collect();
        assert_eq!(names.len(), FILES.len(), "names are unique across folders");
    }
}
