//! `js_safe_domains` of an account or an open platform.

use super::section::Section;
use crate::account::{Platform, SafeDomain};

/// Reads the domains if all of them are valid. An official account or a WeCom app that signs no pages says so with an
/// empty list of its own.
pub(super) fn read(platform: Option<Platform>, section: &mut Section) -> Option<Vec<String>> {
    let is_work = matches!(platform, Some(Platform::Work { .. }));
    // The empty list of the defaults, or a variable without a value, says nothing of this account.
    let signs_pages = is_work || platform == Some(Platform::Official);
    let may_be_empty = section.has_own(KEY) || !signs_pages;
    let path = match section.is_variable(KEY) {
        true => section.path_of(KEY),
        false => section.own_path_of(KEY),
    };
    let domains = section.optional(KEY, Vec::new(), Section::list)?;
    platform?; // it is wrong, and so is what would be said of its domains
    if domains.is_empty() && !may_be_empty {
        let (en, zh) = match is_work {
            true => (
                "is missing: list the app's trusted domains of WeCom's admin console, each host exactly",
                "未填写：请填写企业微信管理后台中该应用的可信域名（须完全一致）",
            ),
            false => (
                "is missing: list the domains bound in WeChat's console",
                "未填写：请填写微信后台绑定的 JS接口安全域名",
            ),
        };
        section.report_at(
            &path,
            format!("{en}; write js_safe_domains = [] if the account only provides tokens"),
            format!("{zh}；只提供 token、不为页面签名的账号请写 js_safe_domains = []"),
        );
        return None;
    }
    let invalid = domains
        .iter()
        .filter_map(|domain| Some((domain, SafeDomain::parse_for(domain, !is_work).err()?)));
    let mut good = true;
    for (domain, error) in invalid {
        section.report(
            KEY,
            error.to_string(),
            format!("“{domain}”不能作为安全域名：{}", error.problem().zh()),
        );
        good = false;
    }
    good.then_some(domains)
}

const KEY: &str = "js_safe_domains";
