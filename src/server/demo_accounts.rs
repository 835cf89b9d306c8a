//! The accounts, the open platform and the API key of `serve --sandbox`.

use super::config::PlatformSettings;
use super::startup_error::StartupError;
use crate::account::Account;
use crate::actix::{APP_ID, ApiKey, ApiKeys, KeyHash, new_key};
use crate::credential::Secret;
use crate::platform::PushKeys;
use crate::platform::push_crypto::AesKey;
use crate::sandbox::{App, DEMO_DOMAINS, OpenPlatform, Platform, demo_apps};

/// Returns the sandbox's apps with the names of their accounts.
pub(super) fn demo_accounts() -> impl Iterator<Item = (&'static str, App)> {
    [DEFAULT_DEMO, "demo-mini", "demo-work"]
        .into_iter()
        .zip(demo_apps())
}

pub(super) fn demo_account(app: &App, apis: &[String]) -> Result<Account, StartupError> {
    let account = match app.platform() {
        Platform::Official => Account::official(app.app_id(), app.secret()),
        Platform::Mini => Account::mini(app.app_id(), app.secret()),
        Platform::Work => Account::work(
            app.app_id(),
            app.agent_id().unwrap_or_default(),
            app.secret(),
        ),
    };
    app.safe_domains()
        .iter()
        .try_fold(account.js_api_list(apis), |account, domain| {
            account
                .js_safe_domain(domain)
                .map_err(|error| StartupError::SafeDomain(error.to_string()))
        })
}

pub(super) fn demo_platform_settings(platform: &OpenPlatform, apis: &[String]) -> PlatformSettings {
    let component_app_id = platform.component_app_id();
    let account = Account::component(component_app_id, platform.secret()).js_api_list(apis);
    let account = DEMO_DOMAINS.iter().fold(account, |account, domain| {
        let bound = account.js_safe_domain(domain);
        bound.expect("the sandbox's own domains")
    });
    let aes_key = AesKey::parse(platform.encoding_aes_key()).expect("the sandbox's own key");
    PlatformSettings {
        name: DEMO_PLATFORM.to_owned(),
        account,
        push_keys: PushKeys {
            token: Secret::new(platform.push_token()).into(),
            aes_key: aes_key.into(),
            receive_id: component_app_id.to_owned(),
        },
        // The page takes its own address from each request.
        authorize_url: Some(String::new()),
        callback_path: format!("/platforms/{DEMO_PLATFORM}/events"),
        messages_path: format!("/platforms/{DEMO_PLATFORM}/messages/{APP_ID}"),
        messages_url: None,
    }
}

/// Generates a key that opens everything, and its stored form.
pub(super) fn demo_key() -> (ApiKeys, Secret) {
    let key = new_key();
    let kept = ApiKey {
        calls: vec!["/".parse().expect("every path")],
        manage: true,
        ..ApiKey::new("sandbox", KeyHash::of(&key))
    };
    (ApiKeys::new(vec![kept]), Secret::new(key))
}

/// The open platform of the sandbox.
const DEMO_PLATFORM: &str = "demo-platform";

/// An official account that has not authorised it yet.
pub(super) const DEMO_OWNER_ID: &str = "wxabcdef0123456789";

/// The demo account of a request that names no account.
pub(super) const DEFAULT_DEMO: &str = "demo";
