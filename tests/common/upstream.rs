//! Where the services under test find WeChat.

use std::time::Duration;

use wx_jssdk::UpstreamOptions;
use wx_jssdk::sandbox::Sandbox;

/// Short timeouts, so that a hanging call does not delay a test by five seconds. A busy machine answers within
/// them.
pub(crate) fn impatient(sandbox: &Sandbox) -> UpstreamOptions {
    UpstreamOptions {
        connect_timeout: Duration::from_millis(1_500),
        timeout: Duration::from_millis(1_500),
        ..UpstreamOptions::at(sandbox.url())
    }
}
