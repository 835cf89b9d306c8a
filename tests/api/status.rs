//! The status page over real HTTP: the service as `serve` starts it, a WeChat with faults, a manual clock.

mod crowd;
mod drill;
mod fields;
mod page;
mod refresh;
mod visitors;
mod world;
