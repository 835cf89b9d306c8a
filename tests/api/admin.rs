//! The admin listener over real HTTP: both scopes on a free port, the sandbox as upstream, and a manual clock.

mod accounts;
mod behind;
mod credentials;
mod diagnose;
mod keys;
mod quota;
mod reject;
mod weixin;
mod work;
mod world;
