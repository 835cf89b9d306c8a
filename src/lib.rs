//! The WeChat JS-SDK signing backend: `access_token` → `jsapi_ticket` → signature → a page whose `wx.config` succeeds.
//!
//! # Four ways to use it
//!
//! **In an actix-web application** (feature `actix`): a scope that answers `GET /jssdk/config?url=…` with the
//! parameters of `wx.config`.
//!
//! ```no_run
//! # #[cfg(feature = "actix")]
//! # async fn run(secret: String) -> Result<(), Box<dyn std::error::Error>> {
//! use actix_web::{App, HttpServer};
//! use wx_jssdk::{Account, Broker};
//!
//! let broker = Broker::builder()
//!     .account("main", Account::official("wx0123456789abcdef", secret).js_safe_domain("example.com")?)
//!     .build()?;
//! tokio::spawn(broker.clone().keep_fresh());
//! HttpServer::new(move || App::new().service(wx_jssdk::actix::public_scope("/jssdk", broker.clone())))
//!     .bind(("127.0.0.1", 8080))?
//!     .run()
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! **In an axum application** (feature `axum`): `axum::public_router`, with the same answers.
//!
//! **Without a web framework**: call the [`Broker`].
//!
//! ```no_run
//! # async fn run(broker: wx_jssdk::Broker, dead: wx_jssdk::Secret) -> Result<(), Box<dyn std::error::Error>> {
//! use wx_jssdk::{JsConfig, Kind, PageUrl};
//!
//! let page = PageUrl::parse("https://example.com/page?a=1#route")?;
//! let config: JsConfig = broker.js_config("main", &page).await?;
//! // WeChat answered 40001 to this token:
//! broker.reject("main", Kind::AccessToken, &dead).await?;
//! # Ok(())
//! # }
//! ```
//!
//! **With your own ticket**: use the [`Signer`].
//!
//! ```
//! use wx_jssdk::{PageUrl, Signer, UnixTime};
//!
//! let ticket = "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg";
//! let page = PageUrl::parse("http://mp.weixin.qq.com?params=value")?;
//! let config = Signer::new("wx0123456789abcdef", ticket).sign(&page, "Wm3WZYTPz0wzccnW", UnixTime(1414587457));
//! assert_eq!(config.signature.to_string(), "0f9de62fce790f9a083d5c99e95740ceb90c27ed");
//! # Ok::<(), wx_jssdk::PageError>(())
//! ```
//!
//! # Features
//!
//! `server` (default) is everything that the binary needs. Library users set `default-features = false` and
//! add what they need: `actix` or `axum` (the endpoints for that framework), `file` (credentials survive a
//! restart), `redis` or `sql` (several processes share credentials), `sandbox` (a simulated WeChat for tests),
//! `diagnose` (why a signature is refused), `platform` (the pushes of an open platform). The core
//! compiles without a web framework.

pub mod account;
#[cfg(feature = "actix")]
pub mod actix;
#[cfg(feature = "axum")]
pub mod axum;
pub mod broker;
#[cfg(feature = "server")]
pub mod cli;
pub mod clock;
pub mod credential;
#[cfg(feature = "diagnose")]
pub mod diagnose;
#[cfg_attr(not(feature = "actix"), allow(dead_code, unused_imports))] // the scopes use all of it
pub mod endpoint;
pub mod error;
mod hex;
pub mod platform;
#[cfg(feature = "sandbox")]
pub mod sandbox;
#[cfg(feature = "server")]
pub mod server;
pub mod sign;
pub mod store;
pub mod upstream;

pub use account::{Account, Platform, TokenMode};
pub use broker::Broker;
pub use clock::{Clock, UnixTime};
pub use credential::{Credential, Kind, Secret};
pub use error::{Class, Error, PageError, UpstreamError};
pub use sign::{JsConfig, PageUrl, Signer};
pub use store::Store;
pub use upstream::UpstreamOptions;
