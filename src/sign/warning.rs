//! Warnings about a signature that is valid for the requested URL, but that the phone will probably reject.

use std::borrow::Cow;

use serde::Serialize;

/// A warning for the page's developer, in English and Chinese.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// A stable code in snake_case: `address_not_canonical`, `address_html_escaped`, `parameter_ignored`.
    pub code: &'static str,
    /// English.
    pub en: Cow<'static, str>,
    /// Chinese.
    pub zh: Cow<'static, str>,
}

impl Warning {
    /// Returns the warning for a URL that every browser would write as `href`.
    pub(super) fn not_canonical(href: &str) -> Self {
        let href = quoted(href, 200);
        Self {
            code: "address_not_canonical",
            en: format!(
                "No browser has this address: its location.href would be {href}. The signature is over the text as it was \
                 sent, and the phone will refuse it. Send location.href.split('#')[0] as it is."
            )
            .into(),
            zh: format!(
                "浏览器中不会出现这个地址，实际的 location.href 会是 {href}。签名按传来的原文计算，手机会报 invalid signature。\
                 请原样传 location.href.split('#')[0]。"
            )
            .into(),
        }
    }

    /// Returns the warning for a URL whose query contains `&amp;`.
    pub(super) fn html_escaped() -> Self {
        Self {
            code: "address_html_escaped",
            en: "The address holds &amp; where a browser has &: it was escaped for HTML on its way. The signature is over the \
                 text as it was sent. Send location.href.split('#')[0] as it is."
                .into(),
            zh: "地址中的 & 变成了 &amp;，说明它被 HTML 转义过。签名按传来的原文计算。请原样传 location.href.split('#')[0]。"
                .into(),
        }
    }

    /// Returns the warning for the query parameter `given`, which is spelled `known`.
    pub(crate) fn parameter_ignored(given: &str, known: &str) -> Self {
        let given = quoted(given, 32);
        Self {
            code: "parameter_ignored",
            en: format!("The parameter {given} was ignored: it is spelled {known}.").into(),
            zh: format!("参数 {given} 被忽略，正确的写法是 {known}。").into(),
        }
    }
}

/// Returns the text's beginning: the answer should not grow with what a request contains.
fn quoted(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
    }
}
