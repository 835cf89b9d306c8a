//! The routes of open platforms on the public listener.

use std::pin::Pin;

use actix_web::{HttpRequest, HttpResponse, web};

use super::authorize::AuthorizePages;
use super::config::Settings;
use super::forward::Forwarding;
use super::pages::not_found;
use crate::actix::Pushes;
use crate::broker::Broker;
type BoxFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// The routes of open platforms on the public listener. Clones share the platforms.
#[derive(Clone)]
pub(super) struct PlatformRoutes {
    pub(super) pushes: Pushes,
    pub(super) forwarding: Forwarding,
    pub(super) pages: AuthorizePages,
}

impl PlatformRoutes {
    /// Answers what no other route does: a push on a callback path of its own, or nothing.
    pub(super) fn push_or_not_found(
        self,
        broker: Broker,
    ) -> impl Fn(HttpRequest, web::Payload) -> BoxFuture<HttpResponse> + Clone {
        move |request, body| {
            let (pushes, broker) = (self.pushes.clone(), broker.clone());
            Box::pin(async move {
                match pushes.receive(&broker, &request, body).await {
                    Some(answer) => answer,
                    None => not_found(request).await,
                }
            })
        }
    }

    /// Replaces the platforms by those of a new configuration.
    pub(super) fn replace(&self, settings: &Settings) {
        self.pushes.replace(settings.push_routes(&self.forwarding));
        self.pages.replace(&settings.platforms);
    }
}
