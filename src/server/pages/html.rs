//! How every page goes out: one place, so that no page forgets a header.

use actix_web::HttpResponse;
use actix_web::http::header;

use super::Lang;

/// What differs from page to page.
pub(in crate::server) struct Page {
    /// Its name in the log.
    pub(in crate::server) name: &'static str,
    /// What it may load.
    pub(in crate::server) policy: &'static str,
    /// What the sites that it links to learn of its address.
    pub(in crate::server) referrer: &'static str,
}

impl Page {
    /// The answer. `html` is what the template gave.
    pub(in crate::server) fn answer(
        &self,
        html: askama::Result<String>,
        lang: Lang,
    ) -> HttpResponse {
        let html = match html {
            Ok(html) => html,
            Err(error) => {
                tracing::error!(page = self.name, %error, "a page could not be rendered");
                let text = "This page could not be made: a mistake in the program; the log has it. · 页面生成失败：程序缺陷，详见日志。\n";
                return HttpResponse::InternalServerError()
                    .content_type("text/plain; charset=utf-8")
                    .body(text);
            }
        };
        HttpResponse::Ok()
            .content_type("text/html; charset=utf-8")
            .insert_header((header::CONTENT_LANGUAGE, lang.tag()))
            .insert_header((header::VARY, "Accept-Language"))
            .insert_header((header::CACHE_CONTROL, "no-cache"))
            .insert_header((header::CONTENT_SECURITY_POLICY, self.policy))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .insert_header((header::REFERRER_POLICY, self.referrer))
            .insert_header((header::PERMISSIONS_POLICY, NO_POWERS))
            .insert_header((header::CROSS_ORIGIN_OPENER_POLICY, "same-origin"))
            .insert_header((header::CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"))
            .body(html)
    }
}

/// What the page's own script may not use, and a script of res.wx.qq.com neither: WeChat's interfaces do not go this way.
const NO_POWERS: &str = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), \
     payment=(), usb=()";
