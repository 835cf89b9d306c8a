//! The open platform (third-party platform): accounts that authorised it, and the pushes by which WeChat
//! reports them.
//!
//! Pure functions and data; nothing here does I/O. A push is one encrypted XML document: [`push_event::Envelope`]
//! reads the outer document, [`PushKeys::open`] checks and decrypts it, [`PushEvent::read`] reads the event.
//! [`PlatformTicket`] and [`Authorizer`] say what an event changes. Each of them decides by the event's
//! CreateTime, so that a repeated or late push is harmless.

pub mod authorizer;
pub mod push_crypto;
pub mod push_event;
mod record;
pub mod ticket;
mod xml;

pub use authorizer::Authorizer;
pub use push_crypto::{PushError, PushKeys, PushRefusal};
pub use push_event::PushEvent;
pub use ticket::PlatformTicket;

/// Largest push that is read, in bytes. Events have less than 2 KiB; a user's message has at most 2,048
/// characters.
pub const MAX_PUSH: usize = 64 * 1024;

/// Whether a text can be an AppID. AppIDs become names of stored entries and stand in the log.
fn is_app_id(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}
