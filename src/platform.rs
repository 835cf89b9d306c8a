//! The open platform (third-party platform): accounts that authorised it, and the pushes by which WeChat
//! reports them.
//!
//! Pure functions and data; nothing here does I/O. A push is one encrypted XML document: `push_envelope::encrypted`
//! reads the outer document, `PushKeys::open` checks and decrypts it, `PushEvent::read` reads the event (feature
//! `platform`), and `message` what a user wrote to an authorised account.
//! [`PlatformTicket`] and [`Authorizer`] say what an event changes. Each of them decides by the event's
//! CreateTime, so that a repeated or late push is harmless.

pub mod authorizer;
mod event;
#[cfg(feature = "platform")]
pub mod message;
#[cfg(feature = "platform")]
pub mod push_crypto;
#[cfg(feature = "platform")]
pub mod push_envelope;
mod record;
pub mod ticket;
#[cfg(feature = "platform")]
mod xml;

pub use authorizer::Authorizer;
pub use event::{AuthorizationCode, EventKind, PushEvent};
#[cfg(feature = "platform")]
pub use push_crypto::{PushKeys, PushRefusal};
pub use ticket::PlatformTicket;

/// Largest push that is read, in bytes. Events have less than 2 KiB; a user's message has at most 2,048
/// characters.
pub const MAX_PUSH: usize = 64 * 1024;
