//! Builds the response of every page, with the same headers.

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderValue};

use super::Lang;

/// The settings that differ between pages.
pub(in crate::server) struct Page {
    /// The page's name in the log.
    pub(in crate::server) name: &'static str,
    /// The content security policy.
    pub(in crate::server) policy: &'static str,
    /// The referrer policy.
    pub(in crate::server) referrer: &'static str,
}

impl Page {
    /// Builds the response from the template's result.
    pub(in crate::server) fn answer(
        &self,
        html: Result<String, impl std::fmt::Display>,
        lang: Lang,
    ) -> HttpResponse {
        let html = match html {
            Ok(html) => html,
            Err(error) => {
                tracing::error!(page = self.name, %error, "page could not be rendered");
                let text = "The page could not be rendered: a defect of the program; see the log. · 页面生成失败：程序缺陷，详见日志。\n";
                return HttpResponse::InternalServerError()
                    .content_type("text/plain; charset=utf-8")
                    .body(text);
            }
        };
        let response = HttpResponse::Ok()
            .content_type("text/html; charset=utf-8")
            .insert_header((header::CONTENT_LANGUAGE, lang.tag()))
            .insert_header((header::VARY, "Accept-Language"))
            .insert_header((header::CACHE_CONTROL, "no-cache"))
            .insert_header((header::PERMISSIONS_POLICY, NO_POWERS))
            .body(html);
        self.guard(response)
    }

    /// Adds the headers that protect an answer from other sites.
    pub(in crate::server) fn guard(&self, mut response: HttpResponse) -> HttpResponse {
        for (name, value) in [
            (header::CONTENT_SECURITY_POLICY, self.policy),
            (header::REFERRER_POLICY, self.referrer),
            (header::CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
            (header::CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
        ] {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// Browser features that the page's own script and a script of res.wx.qq.com must not use: WeChat's
/// interfaces do not use them.
const NO_POWERS: &str = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), \
     payment=(), usb=()";
