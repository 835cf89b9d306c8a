//! The routes of open platforms on the public listener.

use actix_web::{HttpRequest, HttpResponse, web};

use super::authorize::AuthorizePages;
use super::config::Settings;
use super::forward::MessageClient;
use super::pages::not_found;
use crate::actix::Pushes;
use crate::broker::Broker;

/// The routes of open platforms on the public listener. Clones share the platforms.
#[derive(Clone)]
pub(super) struct PlatformRoutes {
    pub(super) pushes: Pushes,
    pub(super) message_client: MessageClient,
    pub(super) pages: AuthorizePages,
}

impl PlatformRoutes {
    /// Replaces the platforms by those of a new configuration.
    pub(super) fn replace(&self, settings: &Settings) {
        self.pushes
            .replace(settings.push_routes(&self.message_client));
        self.pages.replace(&settings.platforms);
    }
}

/// Answers what no other route does: a push on a callback path of its own, or nothing.
pub(super) async fn push_or_not_found(
    request: HttpRequest,
    body: web::Payload,
    broker: web::Data<Broker>,
    pushes: web::Data<Pushes>,
) -> HttpResponse {
    match pushes.receive(&broker, &request, body).await {
        Some(answer) => answer,
        None => not_found(request).await,
    }
}
