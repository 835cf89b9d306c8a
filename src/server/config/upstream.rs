//! `[upstream]`.

use std::path::Path;
use std::time::Duration;

use super::section::Section;
use super::{Problems, ServerSettings, egress};
use crate::upstream::UpstreamOptions;

pub(super) fn read(
    section: &mut Section,
    base: &Path,
    problems: &mut Problems,
) -> Option<UpstreamOptions> {
    let weixin = section.url("weixin", problems);
    let qyapi = section.url("qyapi", problems);
    let fallback = egress::fallback(section, weixin.as_deref(), problems);
    let egress = egress::read(section, base, problems);
    let connect_timeout = section.number("connect_timeout_ms", 1..=60_000, problems);
    let timeout = section.number("timeout_ms", 1..=60_000, problems);
    section.finish(problems);
    Some(UpstreamOptions {
        weixin: weixin?,
        qyapi: qyapi?,
        fallback: fallback?,
        egress: egress?.unwrap_or_default(),
        connect_timeout: Duration::from_millis(connect_timeout?),
        timeout: Duration::from_millis(timeout?),
    })
}

/// Reports an upstream that is one of this server's own listeners: every call would come back.
pub(super) fn check_is_elsewhere(
    server: &ServerSettings,
    upstream: &UpstreamOptions,
    problems: &mut Problems,
) {
    let fallback = upstream.fallback.iter().map(|base| ("fallback", base));
    let bases = [("weixin", &upstream.weixin), ("qyapi", &upstream.qyapi)];
    for (setting, base) in bases.into_iter().chain(fallback) {
        let url = url::Url::parse(base).ok();
        if let Some(address) = url.and_then(|url| server.own_address(&url)) {
            problems.add(
                &format!("upstream.{setting}"),
                format!("{address} is this server itself: write the address of WeChat, or of another wx-jssdk"),
                format!("{address} 是本服务自己的地址：请填写微信或另一台 wx-jssdk 的地址"),
            );
        }
    }
}
