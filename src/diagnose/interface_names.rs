//! Interface names in clients' error texts, and the names in `jsApiList` that they stand for.

use super::Case;

/// Returns whether `jsApiList` is known and lacks the rejected interface (`chooseImage:…`). Not if the
/// client rejected the config itself, which needs no entry, or an interface of WeCom's own, whose entry is in
/// the list of `wx.agentConfig`.
pub(super) fn is_unlisted(case: &Case, error: &str) -> bool {
    let Some(list) = &case.js_api_list else {
        return false;
    };
    let names: Vec<&str> = refused_names(error).collect();
    let is_exempt = |name: &&str| is_among(&NEED_NO_ENTRY, name) || is_among(&WECOMS_OWN, name);
    if names.iter().any(is_exempt) {
        return false;
    }
    let is_listed = |name: &str| list.iter().any(|listed| listed == listed_as(name));
    list.is_empty() || (!names.is_empty() && !names.into_iter().any(is_listed))
}

/// Returns the known names before a colon, and other words that may be names directly before the text of a
/// refusal.
fn refused_names(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices([':', '：'])
        .filter_map(move |(at, colon)| {
            let mut words = text[..at].rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let word = words.next()?;
            let after = text[at + colon.len()..].trim_start();
            let is_refused = || {
                REFUSALS.iter().any(|refusal| {
                    let start = after.get(..refusal.len());
                    start.is_some_and(|start| start.eq_ignore_ascii_case(refusal))
                })
            };
            // Labels, such as `fail` and `res`, are rarely written in camel case.
            let is_name = word.starts_with(|c: char| c.is_ascii_lowercase())
                && word.contains(|c: char| c.is_ascii_uppercase())
                && !is_among(&LABELS, word);
            let is_known = is_among(&NEED_NO_ENTRY, word) || listed_as(word) != word;
            (is_known || (is_name && is_refused())).then_some(word)
        })
}

fn is_among(names: &[&str], word: &str) -> bool {
    names.iter().any(|name| name.eq_ignore_ascii_case(word))
}

fn listed_as(name: &str) -> &str {
    let row = LISTED_AS.iter().find(|(client, _)| *client == name);
    row.map_or(name, |(_, listed)| listed)
}

/// Words before a colon that name the text, not an interface.
const LABELS: [&str; 5] = ["errMsg", "errorMessage", "errMessage", "onError", "onFail"];

/// The texts with which a client's refusal of a call begins.
const REFUSALS: [&str; 6] = [
    "fail",
    "permission",
    "the permission",
    "no permission",
    "access",
    "offline",
];

/// Calls that no client looks up in `jsApiList`.
const NEED_NO_ENTRY: [&str; 4] = [
    "config",
    "preVerifyJSAPI",
    "agentConfig",
    "invokeMiniProgramAPI",
];

/// WeCom's own interfaces, in lower case: `wx.agentConfig` permits them, not `wx.config`.
pub(super) const WECOMS_OWN: [&str; 18] = [
    "selectexternalcontact",
    "getcurexternalcontact",
    "getcurexternalchat",
    "sharetoexternalcontact",
    "sharetoexternalchat",
    "sharetoexternalmoments",
    "selectprivilegedcontact",
    "selectenterprisecontact",
    "selectcorpgroupcontact",
    "openenterprisechat",
    "openexistedchatwithmsg",
    "createchatwithmsg",
    "createcorpgroupchat",
    "openthirdappservicechat",
    "sendchatmessage",
    "openuserprofile",
    "navigatetoaddcustomer",
    "getcontext",
];

/// Names that clients use, and the ones that a page lists: what jweixin calls when the user shares, and its
/// names on the bridge.
const LISTED_AS: [(&str, &str); 17] = [
    ("sendAppMessage", "onMenuShareAppMessage"),
    ("shareTimeline", "onMenuShareTimeline"),
    ("shareQQ", "onMenuShareQQ"),
    ("shareQZone", "onMenuShareQZone"),
    ("shareWeiboApp", "onMenuShareWeibo"),
    ("geoLocation", "getLocation"),
    ("imagePreview", "previewImage"),
    ("openProductViewWithPid", "openProductSpecificView"),
    ("batchAddCard", "addCard"),
    ("batchViewCard", "openCard"),
    ("consumedShareCard", "consumeAndShareCard"),
    ("getBrandWCPayRequest", "chooseWXPay"),
    ("getRecevieBizHongBaoRequest", "openEnterpriseRedPacket"),
    ("startMonitoringBeacons", "startSearchBeacons"),
    ("stopMonitoringBeacons", "stopSearchBeacons"),
    ("onBeaconsInRange", "onSearchBeacons"),
    ("editAddress", "openAddress"),
];
