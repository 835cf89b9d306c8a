//! wip
pub mod account;
#[cfg(feature = "actix")]
pub mod actix;
pub mod broker;
pub mod clock;
pub mod credential;
pub mod error;
pub mod sign;
pub mod store;
pub mod upstream;
