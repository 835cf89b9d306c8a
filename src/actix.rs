//! The endpoints as actix-web scopes, for an application of your own or for `server`.
//!
//! ```no_run
//! use actix_web::{App, HttpServer};
//! use wx_jssdk::{account::Account, broker::Broker};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let account = Account::official("wx0123456789abcdef", std::env::var("WX_SECRET")?).js_safe_domain("example.com")?;
//! let broker = Broker::builder().account("main", account).build()?;
//! tokio::spawn(broker.clone().keep_fresh());
//! HttpServer::new(move || App::new().service(wx_jssdk::actix::public_scope("/jssdk", broker.clone())))
//!     .bind(("127.0.0.1", 8080))?
//!     .run()
//!     .await?;
//! # Ok(())
//! # }
//! ```

mod cells;
mod client;
mod clients;
mod cors;
mod desk;
#[cfg(feature = "diagnose")]
mod diagnose;
mod dropin;
#[cfg(feature = "server")]
mod front;
mod guesses;
mod hot;
#[cfg(feature = "server")]
mod journal;
mod keys;
mod limit;
mod object;
mod private;
mod problem;
mod public;
mod query;
mod verify;

#[cfg(feature = "server")]
pub use diagnose::Doctor;
mod seldom;

#[cfg(feature = "server")]
pub(crate) use client::{knows, tag_of};
pub use clients::Clients;
#[cfg(feature = "diagnose")]
pub use diagnose::diagnose_resource;
pub use dropin::dropin_scope;
#[cfg(feature = "server")]
pub(crate) use front::Front;
pub use guesses::Guesses;
#[cfg(feature = "server")]
pub use journal::RequestLog;
pub use keys::{ApiKey, ApiKeys, KeyHash, new_key};
pub use limit::RateLimit;
#[cfg(feature = "server")]
pub(crate) use limit::admit;
#[cfg(feature = "server")]
pub(crate) use object::object;
#[cfg(feature = "server")]
pub(crate) use private::admit as admit_key;
pub use private::private_scope;
pub use problem::Problem;
pub use public::public_scope;
#[cfg(feature = "server")]
pub(crate) use public::{uncounted_scope, unknown_path};
pub use verify::verify_resource;

/// The shapes of bodies, for the API description.
#[cfg(feature = "server")]
pub(crate) mod shapes {
    pub(crate) use super::diagnose::{DoctorAnswer, Findings, Question};
    pub(crate) use super::dropin::reply::{ErrorReply, TicketReply, TokenReply, WorkTokenReply};
    pub(crate) use super::private::{Answer, Rejection};
    pub(crate) use super::problem::{Body, Both};
    pub(crate) use super::public::{AddCard, WorkConfig};
}
