//! The status page, over real HTTP: the service as `serve` starts it, a WeChat that fails on demand, a clock that stands still.

mod crowd;
mod drill;
mod fields;
mod page;
mod refresh;
mod visitors;
mod world;
