//! WeChat's own paths for the company's other servers: an existing SDK changes only its host, and has an API key in the place of
//! the secret.
//!
//! Answers have WeChat's shapes and errcodes, always with status 200. A token is handed out as often as it is asked for and lives
//! as long as is left of it; `force_refresh` is a rationed `reject`. Only tokens and tickets are served: an SDK's other calls go to
//! WeChat itself. A ticket call shows a token and no key: the limits of the keys that bought the token hold for it.

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
/// For a listener that the internet does not reach. Storing other keys in `keys` takes effect at the next request.
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
        // As WeCom does: nothing in it.
        .default_service(web::to(HttpResponse::NotFound))
}

/// Like WeChat's, each takes its query by GET and by POST.
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

/// Whether the client may have this ticket for the access token that it shows.
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
        debug!(account, %kind, ?buyers, "refused: no key that bought the token opens this ticket");
    }
    right
}

/// The query of a call; of a name that comes twice the first counts.
struct Query(Vec<(String, String)>);

impl Query {
    fn of(request: &HttpRequest) -> Self {
        Self(serde_urlencoded::from_str(request.query_string()).unwrap_or_default())
    }

    /// The parameter, unless it is missing or empty.
    fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(key, _)| key == name)?;
        given(value)
    }
}

/// A value without the line break that a file or a shell put at its end; none of these values has white space.
fn given(value: &str) -> Option<&str> {
    Some(value.trim()).filter(|value| !value.is_empty())
}

/// SDKs send a few hundred bytes.
const MAX_BODY: usize = 8 * 1024;
