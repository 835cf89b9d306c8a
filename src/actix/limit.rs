//! The rate limit per client for requests that reach the router.

use actix_web::http::header::HeaderMap;
use actix_web::{HttpMessage as _, HttpRequest, web};

use crate::endpoint::{Headers, Problem, RateLimit};

/// A request extension with the result of [`RateLimit::check`] before the router, so that no request is counted
/// twice.
pub(super) struct RateLimitResult(pub(super) Result<(), Problem>);

/// Checks the request against the rate limit, if one is mounted.
pub(crate) fn check_rate_limit(request: &HttpRequest) -> Result<(), Problem> {
    if let Some(RateLimitResult(decided)) = request.extensions_mut().remove() {
        return decided;
    }
    let limit = request.app_data::<web::Data<RateLimit>>();
    let peer = request.peer_addr().map(|peer| peer.ip());
    limit.map_or(Ok(()), |limit| limit.check(peer, request.headers()))
}

impl Headers for HeaderMap {
    fn values<'h>(&'h self, name: &str) -> impl DoubleEndedIterator<Item = &'h [u8]> {
        self.get_all(name).map(|value| value.as_bytes())
    }
}
