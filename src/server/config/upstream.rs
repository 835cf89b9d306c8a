//! `[upstream]`.

use std::time::Duration;

use super::egress;
use super::section::Section;
use super::server::OwnAddresses;
use crate::upstream::UpstreamOptions;

pub(super) fn read(section: &mut Section, own: &OwnAddresses) -> Option<UpstreamOptions> {
    let weixin = section.url("weixin");
    let qyapi = section.url("qyapi");
    let fallback = egress::fallback(section, weixin.as_deref());
    let egress = egress::read(section);
    let connect_timeout = section.number("connect_timeout_ms", 1..=60_000);
    let timeout = section.number("timeout_ms", 1..=60_000);
    section.finish();
    let bases = [("weixin", &weixin), ("qyapi", &qyapi)].into_iter();
    let bases = bases.filter_map(|(setting, base)| Some((setting, base.as_ref()?)));
    let fallbacks = fallback.iter().flatten().map(|base| ("fallback", base));
    for (setting, base) in bases.chain(fallbacks) {
        let url = url::Url::parse(base).ok();
        // Every call would come back.
        if let Some(address) = url.and_then(|url| own.find(&url)) {
            section.report(
                setting,
                format!(
                    "{address} is this server itself: write the address of WeChat, or of another wx-jssdk"
                ),
                format!("{address} 是本服务自己的地址：请填写微信或另一台 wx-jssdk 的地址"),
            );
        }
    }
    Some(UpstreamOptions {
        weixin: weixin?,
        qyapi: qyapi?,
        fallback: fallback?,
        egress: egress.unwrap_or_default(),
        connect_timeout: Duration::from_millis(connect_timeout?),
        timeout: Duration::from_millis(timeout?),
    })
}
