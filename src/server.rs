//! The service.

pub mod pages;
