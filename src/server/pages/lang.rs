//! The language of a page: the reader's choice, else the browser's, else Chinese.

use std::cmp::Reverse;

use actix_web::HttpRequest;
use actix_web::http::header::{
    ACCEPT_LANGUAGE, AcceptLanguage, HeaderValue, Quality, from_comma_delimited,
};

use crate::endpoint::query;

/// The two languages of the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Lang {
    Zh,
    En,
}

impl Lang {
    /// Returns the language of a request: `?lang=`, else the browser's.
    pub(in crate::server) fn of(request: &HttpRequest) -> Self {
        query::value(request.query_string(), "lang")
            .and_then(|tag| Self::from_tag(&tag))
            .or_else(|| Self::from_accept(request.headers().get(ACCEPT_LANGUAGE)?))
            // Most WeChat users read Chinese.
            .unwrap_or(Self::Zh)
    }

    /// Returns the tag for `lang=` and `Content-Language`.
    pub(in crate::server) fn tag(self) -> &'static str {
        self.t("en", "zh-CN")
    }

    /// Returns the text in this language. The call holds both languages, like `Text`.
    pub(in crate::server) fn t<'s>(self, en: &'s str, zh: &'s str) -> &'s str {
        match self {
            Self::En => en,
            Self::Zh => zh,
        }
    }

    fn from_tag(tag: &str) -> Option<Self> {
        match tag.trim().split(['-', '_']).next().unwrap_or_default() {
            tag if tag.eq_ignore_ascii_case("zh") => Some(Self::Zh),
            tag if tag.eq_ignore_ascii_case("en") => Some(Self::En),
            _ => None,
        }
    }

    /// Returns the supported language with the highest weight; of equal weights the first. Reads only the
    /// beginning: tens of kilobytes would take tens of milliseconds.
    fn from_accept(accepted: &HeaderValue) -> Option<Self> {
        let accepted = accepted.as_bytes();
        let accepted = &accepted[..accepted.len().min(MOST_ACCEPTED)];
        let accepted = HeaderValue::from_bytes(accepted).ok()?;
        let ranges = from_comma_delimited(std::iter::once(&accepted));
        let AcceptLanguage(mut ranges) = AcceptLanguage(ranges.ok()?);
        ranges.retain(|range| range.quality > Quality::ZERO);
        ranges.sort_by_key(|range| Reverse(range.quality));
        let mut tags = ranges.iter().filter_map(|range| range.item.item());
        tags.find_map(|tag| Self::from_tag(tag.primary_language()))
    }
}

/// More bytes than the `Accept-Language` of a browser has.
const MOST_ACCEPTED: usize = 256;
