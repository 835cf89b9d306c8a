//! The calls to WeChat: what goes out, and what becomes of every answer that can come back.

mod answers;
mod client;
mod egress;
mod fallback;
mod garbage;
mod refusals;
mod requests;
mod silence;
mod support;
