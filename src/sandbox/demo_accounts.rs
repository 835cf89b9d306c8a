//! Apps of `serve --sandbox`: one per platform, and an open platform, with made-up ids and a new secret at each start.

use super::app_settings::App;
use super::open_platform::OpenPlatform;
use super::token_values::new_work_secret;
use crate::hex::hex;

/// Returns one app per platform: an official account, a mini program and a WeCom app.
pub fn demo_apps() -> [App; 3] {
    let official = bound(App::official(DEMO_APP_ID, new_secret()));
    let mini = bound(App::mini(DEMO_MINI_ID, new_secret()));
    let work = bound(App::work(DEMO_CORP_ID, DEMO_AGENT_ID, new_work_secret()));
    [official, mini, work]
}

/// Returns an open platform that the official account and the mini program have authorised. It has no push URL
/// yet.
pub fn demo_platform() -> OpenPlatform {
    DEMO_DOMAINS
        .into_iter()
        .fold(
            OpenPlatform::new(DEMO_COMPONENT_ID, new_secret()),
            OpenPlatform::safe_domain,
        )
        .authorized_by(DEMO_APP_ID)
        .authorized_by(DEMO_MINI_ID)
}

fn bound(app: App) -> App {
    DEMO_DOMAINS.into_iter().fold(app, App::safe_domain)
}

/// Returns 32 hex digits.
fn new_secret() -> String {
    hex(&rand::random::<[u8; 16]>())
}

/// AppID of the official account: valid in form, and obviously made up like the other ids.
pub const DEMO_APP_ID: &str = "wx0123456789abcdef";

/// AppID of the mini program.
pub const DEMO_MINI_ID: &str = "wxfedcba9876543210";

/// AppID of the open platform.
pub const DEMO_COMPONENT_ID: &str = "wx00000000000c0de0";

/// The safe domains of all demo accounts.
pub const DEMO_DOMAINS: [&str; 3] = ["demo.example.com", "localhost", "127.0.0.1"];

/// CorpID of the WeCom app.
pub const DEMO_CORP_ID: &str = "ww0123456789abcdef";

/// AgentId of the WeCom app: the first that WeCom assigns.
pub const DEMO_AGENT_ID: u64 = 1_000_002;
