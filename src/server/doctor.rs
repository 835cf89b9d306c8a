//! The doctor page, `GET /doctor`: paste what was seen, be told the one cause. Its question goes to `POST /doctor/diagnose`
//! ([`Doctor`]), which every page of this host may ask and no other.
//!
//! A link may bring the details, and should bring them in the fragment, which no server and no log sees:
//! `/doctor#url=…&landing=…&signature=…&nonceStr=…&timestamp=…&appId=…&account=…&errMsg=…&agent=1`, each value through
//! `encodeURIComponent`; `paste=` fills the large field. All are optional. There is no `ticket`: a ticket has no place in an address.
//! With a signature or an `errMsg` the page asks at once.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::pages::{Lang, Page, reads};
use crate::actix::{ClientIps, Doctor};
use crate::broker::Broker;

/// The page and its question.
#[derive(Clone)]
pub struct DoctorPages {
    doctor: Doctor,
    sandbox: bool,
}

impl DoctorPages {
    /// Made once: the limits of what may be asked are for all workers together.
    #[must_use]
    pub fn new(broker: Broker, clients: Arc<ClientIps>, sandbox: bool) -> Self {
        Self {
            doctor: Doctor::new(broker, clients),
            sandbox,
        }
    }

    /// Adds `/doctor` and `/doctor/diagnose` to an application; the files that the page needs are those of `pages`.
    pub fn configure(self) -> impl FnOnce(&mut web::ServiceConfig) {
        move |services| {
            services
                .service(self.doctor.resource("/doctor/diagnose"))
                .app_data(web::Data::new(self))
                .service(web::resource("/doctor").route(web::route().guard(reads()).to(page)));
        }
    }
}

#[derive(Template)]
#[template(path = "doctor.html")]
struct DoctorPage {
    lang: Lang,
    sandbox: bool,
    version: &'static str,
}

async fn page(request: HttpRequest, pages: web::Data<DoctorPages>) -> HttpResponse {
    let page = DoctorPage {
        lang: Lang::of(&request),
        sandbox: pages.sandbox,
        version: env!("CARGO_PKG_VERSION"),
    };
    DOCTOR.answer(page.render(), page.lang)
}

/// Of what was pasted nothing is in the address; of where the reader comes from, nobody need know.
const DOCTOR: Page = Page {
    name: "doctor",
    policy: POLICY,
    referrer: "no-referrer",
};

/// It loads its own files and asks its own server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
