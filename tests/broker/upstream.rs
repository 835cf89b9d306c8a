//! Calls to WeChat: the requests, and the handling of every possible answer.

mod answers;
mod client;
mod egress;
mod fallback;
mod garbage;
mod refusals;
mod requests;
mod silence;
mod support;
