//! The route for WeChat's pushes to open platforms.

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::http::Method;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, Resource, guard, web};
use arc_swap::ArcSwap;

use super::public::unknown_path;

use crate::broker::Broker;
use crate::endpoint::push::{NotReceived, PushReceiver, SUCCESS};
use crate::platform::MAX_PUSH;

/// The receivers of all open platforms by the path to which WeChat pushes. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Pushes(Arc<ArcSwap<HashMap<String, Arc<PushReceiver>>>>);

impl Pushes {
    /// Replaces all receivers; a platform that stays keeps its counts.
    pub fn replace(&self, receivers: impl IntoIterator<Item = (String, PushReceiver)>) {
        let before = self.0.load_full();
        let with_counts = |(path, receiver): (String, PushReceiver)| {
            let same = before
                .values()
                .find(|before| before.component_app_id() == receiver.component_app_id());
            let receiver = match same {
                Some(same) => receiver.counting_on(same),
                None => receiver,
            };
            (path, Arc::new(receiver))
        };
        self.0
            .store(Arc::new(receivers.into_iter().map(with_counts).collect()));
    }

    /// Returns the receivers.
    pub fn all(&self) -> Vec<Arc<PushReceiver>> {
        self.0.load().values().cloned().collect()
    }

    /// Serves `POST /platforms/{platform}/events`. Mount it on the listener that the internet reaches. Other
    /// callback paths need [`Pushes::receive`] in the application's default service.
    #[must_use]
    pub fn resource(&self, broker: Broker) -> Resource {
        web::resource("/platforms/{platform}/events")
            .guard(guard::Post())
            .app_data(web::Data::new(broker))
            .app_data(web::Data::new(self.clone()))
            .app_data(web::PayloadConfig::new(MAX_PUSH))
            .route(web::post().to(receive))
    }

    /// Answers a push on a callback path that is not the usual one; `None` if the path is no callback path.
    pub async fn receive(
        &self,
        broker: &Broker,
        request: &HttpRequest,
        body: Payload,
    ) -> Option<HttpResponse> {
        let receiver = self.find(request.path())?;
        if request.method() != Method::POST {
            return None;
        }
        // A body over the limit is refused as an empty one is.
        let body = match body.to_bytes_limited(MAX_PUSH).await {
            Ok(Ok(body)) => body,
            _ => web::Bytes::new(),
        };
        Some(answer(&receiver, broker, request, &body).await)
    }

    fn find(&self, path: &str) -> Option<Arc<PushReceiver>> {
        self.0.load().get(path).cloned()
    }
}

async fn receive(
    request: HttpRequest,
    broker: web::Data<Broker>,
    pushes: web::Data<Pushes>,
    body: Result<web::Bytes, actix_web::Error>,
) -> HttpResponse {
    match pushes.find(request.path()) {
        // A body over the limit is refused as an empty one is.
        Some(receiver) => answer(&receiver, &broker, &request, &body.unwrap_or_default()).await,
        None => unknown_path().await,
    }
}

/// One answer for every push that is not valid, so that the sender learns nothing.
async fn answer(
    receiver: &PushReceiver,
    broker: &Broker,
    request: &HttpRequest,
    body: &[u8],
) -> HttpResponse {
    let received = receiver.receive(broker, request.query_string(), body);
    match received.await {
        Ok(()) => HttpResponse::Ok().content_type("text/plain").body(SUCCESS),
        Err(NotReceived::Invalid) => HttpResponse::BadRequest()
            .content_type("text/plain")
            .body("the push is not valid"),
        Err(NotReceived::Failed) => HttpResponse::ServiceUnavailable()
            .content_type("text/plain")
            .body("not stored"),
    }
}
