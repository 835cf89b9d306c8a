//! wip
pub mod account;
pub mod clock;
pub mod credential;
pub mod error;
pub mod store;
