//! The routes for WeChat's pushes to open platforms: authorisation events, and messages of users.

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::http::{Method, header};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, Resource, guard, web};
use arc_swap::ArcSwap;

use super::json_body;
use super::public::unknown_path;

use crate::account::is_app_id;
use crate::broker::Broker;
use crate::endpoint::push::{Forward, NotReceived, PushReceiver, SUCCESS};
use crate::platform::MAX_PUSH;

/// The receivers of all open platforms by the paths to which WeChat pushes. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Pushes(Arc<ArcSwap<Receivers>>);

#[derive(Debug, Default)]
struct Receivers {
    events: HashMap<String, Arc<PushReceiver>>,
    /// With the paths that have [`APP_ID`] in the place of the AppID.
    messages: Vec<(String, Arc<PushReceiver>)>,
}

/// An open platform's receiver, and the paths to which WeChat pushes.
#[derive(Debug)]
pub struct PushRoute {
    /// For authorisation events (授权事件接收URL).
    pub events: String,
    /// For messages of users (消息与事件接收URL), with [`APP_ID`] in the place of the account's AppID.
    pub messages: String,
    /// The receiver of both.
    pub receiver: PushReceiver,
}

/// Where a push goes.
enum Target<'a> {
    Event(Arc<PushReceiver>),
    /// With the account's AppID.
    Message(Arc<PushReceiver>, &'a str),
}

impl Pushes {
    /// Replaces all receivers; a platform that stays keeps its counts.
    pub fn replace(&self, routes: impl IntoIterator<Item = PushRoute>) {
        let before = self.0.load_full();
        let mut receivers = Receivers::default();
        for route in routes {
            let receiver = route.receiver;
            let same = before
                .events
                .values()
                .find(|before| before.component_app_id() == receiver.component_app_id());
            let receiver = Arc::new(match same {
                Some(same) => receiver.counting_on(same),
                None => receiver,
            });
            receivers.messages.push((route.messages, receiver.clone()));
            receivers.events.insert(route.events, receiver);
        }
        self.0.store(Arc::new(receivers));
    }

    /// Returns the receivers.
    pub fn all(&self) -> Vec<Arc<PushReceiver>> {
        self.0.load().events.values().cloned().collect()
    }

    /// Serves `POST /platforms/{platform}/events` and `/platforms/{platform}/messages/{app_id}`. Mount them on the
    /// listener that the internet reaches. Other paths need [`Pushes::receive`] in the application's default service.
    pub fn resources(&self, broker: &Broker) -> [Resource; 2] {
        [
            "/platforms/{platform}/events",
            "/platforms/{platform}/messages/{app_id}",
        ]
        .map(|path| {
            web::resource(path)
                .guard(guard::Post())
                .app_data(web::Data::new(broker.clone()))
                .app_data(web::Data::new(self.clone()))
                .route(web::post().to(receive))
        })
    }

    /// Answers a push; `None` if no platform has the path. Its body is not read then.
    pub async fn receive(
        &self,
        broker: &Broker,
        request: &HttpRequest,
        body: Payload,
    ) -> Option<HttpResponse> {
        let target = self.find(request.path())?;
        if request.method() != Method::POST {
            return None;
        }
        // A body over the limit is refused as an empty one is.
        let body = json_body::whole(body, MAX_PUSH).await.unwrap_or_default();
        Some(answer(target, broker, request, &body).await)
    }

    fn find<'a>(&self, path: &'a str) -> Option<Target<'a>> {
        let receivers = self.0.load();
        if let Some(receiver) = receivers.events.get(path) {
            return Some(Target::Event(receiver.clone()));
        }
        let mut messages = receivers.messages.iter();
        messages.find_map(|(pattern, receiver)| {
            let app_id = app_id_in(path, pattern)?;
            Some(Target::Message(receiver.clone(), app_id))
        })
    }
}

/// Returns the AppID in a path for messages, if it is of this pattern, which has [`APP_ID`] in its place.
pub(crate) fn app_id_in<'a>(path: &'a str, pattern: &str) -> Option<&'a str> {
    let (prefix, suffix) = pattern.split_once(APP_ID)?;
    let app_id = path.strip_prefix(prefix)?.strip_suffix(suffix)?;
    is_app_id(app_id).then_some(app_id)
}

async fn receive(
    request: HttpRequest,
    broker: web::Data<Broker>,
    pushes: web::Data<Pushes>,
    body: Payload,
) -> HttpResponse {
    match pushes.receive(&broker, &request, body).await {
        Some(answer) => answer,
        None => unknown_path().await,
    }
}

/// One answer for every push that is not valid, so that the sender learns nothing.
async fn answer(
    target: Target<'_>,
    broker: &Broker,
    request: &HttpRequest,
    body: &[u8],
) -> HttpResponse {
    let query = request.query_string();
    let received = match target {
        Target::Event(receiver) => {
            let received = receiver.receive(broker, query, body).await;
            received.map(|()| HttpResponse::Ok().content_type("text/plain").body(SUCCESS))
        }
        // This service, or another one like it, forwarded it: its own URL is messages_url.
        Target::Message(..) if request.headers().contains_key(FORWARDED) => {
            Err(NotReceived::Invalid)
        }
        Target::Message(receiver, app_id) => {
            let content_type = request.headers().get(header::CONTENT_TYPE);
            let push = Forward {
                app_id,
                query,
                content_type: content_type.and_then(|value| value.to_str().ok()),
                body,
            };
            let received = receiver.receive_message(broker, &push).await;
            received.map(|answer| {
                let mut response = HttpResponse::Ok();
                if let Some(content_type) = answer.content_type {
                    response.content_type(content_type);
                }
                response.body(answer.body)
            })
        }
    };
    received.unwrap_or_else(|problem| match problem {
        NotReceived::Invalid => HttpResponse::BadRequest()
            .content_type("text/plain")
            .body("the push is not valid"),
        NotReceived::Failed => HttpResponse::ServiceUnavailable()
            .content_type("text/plain")
            .body("not stored"),
    })
}

/// What WeChat replaces by the account's AppID in the path for messages.
pub const APP_ID: &str = "$APPID$";

/// The header of forwarded messages. WeChat does not send it.
pub const FORWARDED: &str = "wx-jssdk-forwarded";
