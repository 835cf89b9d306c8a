//! CSRF check for changes: allows only this page and programs. `host_guard` protects reading, for the whole
//! listener.

use actix_web::HttpRequest;
use actix_web::http::header::{HOST, HeaderName, ORIGIN};

use crate::endpoint::Problem;
use crate::error::{ProblemCode, Text};

/// Rejects a change that this page's own script did not send. Programs send neither `Sec-Fetch-Site` nor
/// `Origin`.
pub(super) fn check_own_script(request: &HttpRequest) -> Result<(), Problem> {
    let site = header(request, HeaderName::from_static("sec-fetch-site"));
    let origin = header(request, ORIGIN);
    let own = |origin: &str| {
        let host = origin.split_once("://").map(|(_, host)| host);
        host.is_some_and(|host| {
            header(request, HOST).is_some_and(|own| own.eq_ignore_ascii_case(host))
        })
    };
    let marked = header(request, HeaderName::from_static("x-requested-with")) == Some(MARK);
    if !marked
        || site.is_some_and(|site| site != "same-origin")
        || origin.is_some_and(|origin| !own(origin))
    {
        return Err(cross_site());
    }
    Ok(())
}

fn cross_site() -> Problem {
    Problem::new(
        ProblemCode::CrossSite,
        "the request comes from a page of another origin, or lacks X-Requested-With: wx-jssdk",
        Text::new(
            "Open /status directly. Programs send the header X-Requested-With: wx-jssdk and no Origin.",
            "请直接打开 /status。程序调用时请带上请求头 X-Requested-With: wx-jssdk，不要带 Origin。",
        ),
    )
}

/// Returns the header. An unreadable value counts as present and matches no expected text.
fn header(request: &HttpRequest, name: HeaderName) -> Option<&str> {
    let value = request.headers().get(name)?;
    Some(value.to_str().unwrap_or("unreadable"))
}

/// Value of `X-Requested-With`. A form of another site cannot send it; its script can only after a preflight,
/// which this server does not allow.
const MARK: &str = "wx-jssdk";
