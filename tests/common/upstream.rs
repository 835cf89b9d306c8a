//! Where the services under test find WeChat, and whether their signatures are right.

use std::fmt::Display;
use std::time::Duration;

use serde::Serialize;
use sha1::{Digest as _, Sha1};
use wx_jssdk::UpstreamOptions;
use wx_jssdk::sandbox::{PreVerify, Sandbox, Verdict};

/// A short timeout, so that a hanging call does not delay a test by five seconds. A busy machine answers within it.
pub(crate) const BRIEF: Duration = Duration::from_millis(1_500);

/// Options for the simulated WeChat, with short timeouts.
pub(crate) fn impatient(sandbox: &Sandbox) -> UpstreamOptions {
    UpstreamOptions {
        connect_timeout: BRIEF,
        timeout: BRIEF,
        ..UpstreamOptions::at(sandbox.url())
    }
}

/// Returns the client's verdict on an answer of `/jssdk/config` for this page.
pub(crate) fn verdict(sandbox: &Sandbox, config: &impl Serialize, page: &str) -> Verdict {
    let config = serde_json::to_value(config).expect("JSON");
    let text = |name: &str| config[name].as_str().unwrap_or_default().to_owned();
    sandbox.verify(&PreVerify {
        app_id: text("appId"),
        timestamp: config["timestamp"].to_string(),
        nonce_str: text("nonceStr"),
        signature: text("signature"),
        url: page.to_owned(),
        js_api_list: Some(Vec::new()),
        ..PreVerify::default()
    })
}

/// Returns the signature that a page at `url` needs, computed as WeChat documents it.
pub(crate) fn signature(ticket: &str, nonce: &str, timestamp: impl Display, url: &str) -> String {
    sha1_hex(&format!(
        "jsapi_ticket={ticket}&noncestr={nonce}&timestamp={timestamp}&url={url}"
    ))
}

pub(crate) fn sha1_hex(text: &str) -> String {
    let digest = Sha1::digest(text);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
