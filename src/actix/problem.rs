//! Problems as answers of actix-web.

use actix_web::http::StatusCode;
use actix_web::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpResponse, ResponseError};

use crate::endpoint::Problem;
use crate::error::ProblemCode;

/// The cause of a failed request, as an extension of its answer: for the access log, which sees no
/// bodies.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(not(feature = "server"), allow(dead_code))] // an embedder's application has no such log
pub(super) struct FailureCode {
    /// The problem's code.
    pub(super) code: Option<ProblemCode>,
    /// WeChat's errcode, or the one that this program answered in its place.
    pub(super) errcode: Option<i64>,
}

impl Problem {
    /// Converts the problem to a response that is not cached. For others there is
    /// [`ResponseError::error_response`]: a public method would hide the trait method of axum.
    pub(crate) fn into_response(self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response
            .insert_header((CONTENT_TYPE, "application/problem+json"))
            .insert_header((CACHE_CONTROL, "no-store"))
            .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"));
        if let Some(wait) = self.retry_after {
            response.insert_header((RETRY_AFTER, wait.as_secs().max(1)));
        }
        if self.code == ProblemCode::Unauthorized {
            response.insert_header((WWW_AUTHENTICATE, "Bearer"));
        }
        let mut response = response.body(self.body());
        response.extensions_mut().insert(FailureCode {
            code: Some(self.code),
            errcode: self.errcode,
        });
        response
    }

    /// Converts as [`Problem::into_response`] does, with an `Allow` header.
    pub(super) fn into_response_allowing(self, allow: &'static str) -> HttpResponse {
        let mut response = self.into_response();
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static(allow));
        response
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        self.clone().into_response()
    }
}
