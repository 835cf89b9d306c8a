//! WeChat's own paths for clients: an existing SDK changes only its host, and sends an API key instead of
//! the secret.
//!
//! Answers have WeChat's shapes and errcodes, always with status 200. A token request returns the current
//! token with its remaining lifetime; `force_refresh` is a rate-limited `reject`. Only tokens and tickets
//! are served: an SDK sends its other calls to WeChat. A ticket call presents an access token and no key;
//! the limits of the keys that got the token apply to it.

pub(super) mod reply;
mod weixin;
mod work;

use actix_web::http::Method;
use actix_web::http::header::ALLOW;
use actix_web::{HttpRequest, HttpResponse, Resource, Route, Scope, web};
use arc_swap::ArcSwap;
use tracing::debug;

use super::credentials::peer_ip;
use super::keys::{ApiKeys, TicketRight};
use crate::broker::Broker;
use crate::credential::Kind;

/// The token and ticket endpoints of `api.weixin.qq.com` and `qyapi.weixin.qq.com`, below `/cgi-bin`.
///
/// Mount it on a listener that the internet does not reach. Storing other keys in `keys` takes effect at
/// the next request.
#[must_use]
pub fn dropin_scope(broker: Broker, keys: web::Data<ArcSwap<ApiKeys>>) -> Scope {
    web::scope("/cgi-bin")
        .app_data(web::Data::new(broker))
        .app_data(keys)
        .app_data(web::PayloadConfig::new(MAX_BODY))
        .service(at("/token", || web::to(weixin::token)))
        .service(at("/stable_token", || web::to(weixin::stable_token)))
        .service(at("/ticket/getticket", || web::to(weixin::ticket)))
        .service(at("/gettoken", || web::to(work::token)))
        .service(at("/get_jsapi_ticket", || web::to(work::corp_ticket)))
        .service(at("/ticket/get", || web::to(work::agent_ticket)))
        // An empty body, like WeCom's.
        .default_service(web::to(HttpResponse::NotFound))
}

/// Registers a path for GET and POST with the query in the address, like WeChat's.
fn at(path: &str, handler: impl Fn() -> Route) -> Resource {
    let methods = [Method::GET, Method::HEAD, Method::POST];
    let resource = methods
        .into_iter()
        .fold(web::resource(path), |resource, method| {
            resource.route(handler().method(method))
        });
    resource.default_service(web::to(|| async {
        HttpResponse::MethodNotAllowed()
            .insert_header((ALLOW, "GET, HEAD, POST"))
            .finish()
    }))
}

type Keys = web::Data<ArcSwap<ApiKeys>>;

/// Checks whether the client may have this ticket for the access token that it presents.
fn ticket_right(
    request: &HttpRequest,
    broker: &Broker,
    keys: &Keys,
    account: &str,
    token: &str,
    kind: Kind,
) -> TicketRight {
    let buyers = broker.buyers_of(account, token, peer_ip(request));
    let right = keys
        .load()
        .ticket_right(account, kind, &buyers, broker.has_peers());
    if right != TicketRight::Granted {
        debug!(account, %kind, ?buyers, "no API key that fetched the token has access to this ticket");
    }
    right
}

/// The query of a call. The first of several parameters with one name counts.
struct Query(Vec<(String, String)>);

impl Query {
    fn of(request: &HttpRequest) -> Self {
        Self(serde_urlencoded::from_str(request.query_string()).unwrap_or_default())
    }

    /// Returns the parameter, unless it is missing or empty.
    fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(key, _)| key == name)?;
        given(value)
    }
}

/// Trims a value, since files and shells append a line break; no valid value contains white space.
fn given(value: &str) -> Option<&str> {
    Some(value.trim()).filter(|value| !value.is_empty())
}

/// Maximum length of a body. SDKs send a few hundred bytes.
const MAX_BODY: usize = 8 * 1024;
