//! The doctor page, `GET /doctor`: diagnoses pasted text and names one cause. The page posts to
//! `POST /doctor/diagnose` ([`Doctor`]), which accepts requests only from pages of this host.
//!
//! A link can fill in the form, and should do so in the fragment, which reaches no server and no log:
//! `/doctor#url=…&landing=…&signature=…&nonceStr=…&timestamp=…&appId=…&account=…&errMsg=…&agent=1`,
//! each value encoded by `encodeURIComponent`; `paste=` fills the large field. All are optional. `ticket` is
//! not supported, since an address must not hold a ticket. If a signature or an `errMsg` is given, the page
//! starts the diagnosis at once.

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::pages::{Lang, Page};
use crate::actix::{Doctor, read_route};

/// The doctor page and its endpoint.
#[derive(Clone)]
pub(super) struct DoctorPages {
    pub(super) doctor: Doctor,
    pub(super) sandbox: bool,
    /// Shows the links of the admin listener.
    pub(super) admin: bool,
}

impl DoctorPages {
    /// Adds `{prefix}/doctor` and `{prefix}/doctor/diagnose`; `pages` serves the page's files.
    pub(super) fn configure_below(
        self,
        prefix: &str,
    ) -> impl FnOnce(&mut web::ServiceConfig) + use<> {
        let path = format!("{prefix}/doctor");
        move |services| {
            services
                .service(self.doctor.resource(&format!("{path}/diagnose")))
                .app_data(web::Data::new(self))
                .service(web::resource(path).route(read_route().to(page)));
        }
    }
}

#[derive(Template)]
#[template(path = "doctor.html")]
struct DoctorPage {
    lang: Lang,
    sandbox: bool,
    admin: bool,
    version: &'static str,
}

async fn page(request: HttpRequest, pages: web::Data<DoctorPages>) -> HttpResponse {
    let page = DoctorPage {
        lang: Lang::of(&request),
        sandbox: pages.sandbox,
        admin: pages.admin,
        version: env!("CARGO_PKG_VERSION"),
    };
    DOCTOR.answer(page.render(), page.lang)
}

/// `no-referrer`: linked sites do not learn the page's address. Pasted text is never in the address.
const DOCTOR: Page = Page {
    name: "doctor",
    policy: POLICY,
    referrer: "no-referrer",
};

/// The page loads its own files and calls its own server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
