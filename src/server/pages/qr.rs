//! `GET /qr.svg`: a QR code of a page's address, to open the page on a phone.

use std::num::NonZeroU32;
use std::sync::Arc;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use qrcode::QrCode;
use qrcode::render::svg;
use serde::Deserialize;

use super::super::backpressure::UnsentBudget;
use super::{FILE_POLICY, Pages};
use crate::actix::{ClientIps, RateLimit};
use crate::clock::Clock;
use crate::endpoint::Problem;
use crate::error::{ProblemCode, Text};

#[derive(Deserialize)]
struct QrQuery {
    url: String,
}

pub(super) async fn qr(
    request: HttpRequest,
    pages: web::Data<Pages>,
    unsent: web::Data<UnsentBudget>,
) -> Result<HttpResponse, Problem> {
    let peer = request.peer_addr().map(|peer| peer.ip());
    pages.qr_limit.check_client(peer, request.headers())?;
    let query = web::Query::<QrQuery>::from_query(request.query_string());
    let url = query.map_err(|_| bad_url())?.into_inner().url;
    if url.is_empty() || url.len() > MAX_QR_URL {
        return Err(bad_url());
    }
    if !(pages.qr_allowed)(&url) {
        return Err(not_allowed());
    }
    // Only codes that are drawn count against all clients.
    pages.qr_limit.check_total()?;
    let code = QrCode::new(url.as_bytes()).map_err(|_| bad_url())?;
    let image = code
        .render::<svg::Color<'_>>()
        .min_dimensions(QR_SIZE, QR_SIZE)
        .build();
    let answer = HttpResponse::Ok()
        .content_type("image/svg+xml")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::CONTENT_SECURITY_POLICY, FILE_POLICY))
        .insert_header((header::CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"))
        .body(image);
    Ok(unsent.limit(&request, answer))
}

/// Returns the rate limit of QR codes: drawing one costs a thousand times as much as a signature.
pub(super) fn limit(clients: Arc<ClientIps>, clock: Clock) -> RateLimit {
    RateLimit::new(SHARE_A_SECOND, SHARE_AT_ONCE, clients, clock).with_total(
        "the rate limit of QR codes",
        A_SECOND,
        AT_ONCE,
    )
}

fn bad_url() -> Problem {
    Problem::new(
        ProblemCode::BadUrl,
        format!("url is missing, repeated, or longer than {MAX_QR_URL} bytes"),
        Text::new(
            "Request /qr.svg?url= followed by encodeURIComponent(location.href); keep the page's query short.",
            "请请求 /qr.svg?url= 加 encodeURIComponent(location.href)，并去掉页面地址中过长的参数。",
        ),
    )
}

fn not_allowed() -> Problem {
    Problem::new(
        ProblemCode::PageNotAllowed,
        "QR codes are only made for pages that this service signs",
        Text::new(
            "Open the page under one of the account's JS safe domains.",
            "请通过该账号已绑定的 JS接口安全域名（企业微信：可信域名）访问本页。",
        ),
    )
}

/// QR codes per second and client.
const SHARE_A_SECOND: u32 = 2;

/// At once: several people may be behind one address.
const SHARE_AT_ONCE: u32 = 20;

/// The total rate for all clients: less than a tenth of a worker's time.
const A_SECOND: NonZeroU32 = NonZeroU32::new(10).expect("not zero");

const AT_ONCE: NonZeroU32 = NonZeroU32::new(60).expect("not zero");

/// Longest URL, in bytes. A QR code of a longer one is too fine for a phone to read from a screen.
const MAX_QR_URL: usize = 1024;

/// Minimum size in pixels. The image is vector, so this matters only if a page shows it without a size.
const QR_SIZE: u32 = 240;
