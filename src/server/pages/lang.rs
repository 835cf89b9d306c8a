//! The language of a page: the reader's choice, else the browser's, else Chinese.

use actix_web::http::header;
use actix_web::{HttpRequest, web};
use serde::Deserialize;

/// The two languages of the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Lang {
    Zh,
    En,
}

impl Lang {
    /// Returns the language of a request: `?lang=`, else the browser's. A malformed query (WeChat and its
    /// users append parameters) must not make the page fail.
    pub(in crate::server) fn of(request: &HttpRequest) -> Self {
        let asked = web::Query::<LangQuery>::from_query(request.query_string())
            .ok()
            .and_then(|query| query.into_inner().lang);
        let accepts = request
            .headers()
            .get(header::ACCEPT_LANGUAGE)
            .and_then(|value| value.to_str().ok());
        Self::choose(asked.as_deref(), accepts)
    }

    /// Returns the tag for `lang=` and `Content-Language`.
    pub(in crate::server) fn tag(self) -> &'static str {
        self.t("en", "zh-CN")
    }

    /// Returns the text in this language. The call holds both languages, like `Hint`.
    pub(in crate::server) fn t<'s>(self, en: &'s str, zh: &'s str) -> &'s str {
        match self {
            Self::En => en,
            Self::Zh => zh,
        }
    }

    /// Returns the reader's choice, else the browser's, else Chinese, since most WeChat users read Chinese.
    pub(in crate::server) fn choose(asked: Option<&str>, accept_language: Option<&str>) -> Self {
        asked
            .and_then(Self::from_tag)
            .or_else(|| accept_language.and_then(Self::from_accept))
            .unwrap_or(Self::Zh)
    }

    fn from_tag(tag: &str) -> Option<Self> {
        match tag.trim().split(['-', '_']).next().unwrap_or_default() {
            tag if tag.eq_ignore_ascii_case("zh") => Some(Self::Zh),
            tag if tag.eq_ignore_ascii_case("en") => Some(Self::En),
            _ => None,
        }
    }

    /// Returns the supported language with the highest weight; of equal weights the first.
    fn from_accept(value: &str) -> Option<Self> {
        let mut best: Option<(f32, Self)> = None;
        for range in value.split(',') {
            let mut parts = range.split(';');
            let Some(lang) = parts.next().and_then(Self::from_tag) else {
                continue;
            };
            let q = parts
                .find_map(|part| part.trim().strip_prefix("q="))
                .map_or(1.0, |q| q.parse().unwrap_or(0.0));
            if q > 0.0 && best.is_none_or(|(most, _)| q > most) {
                best = Some((q, lang));
            }
        }
        best.map(|(_, lang)| lang)
    }
}

#[derive(Deserialize)]
struct LangQuery {
    lang: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readers_choice_beats_the_browsers_and_an_unknown_one_counts_as_none() {
        assert_eq!(Lang::choose(Some("en"), Some("zh-CN")), Lang::En);
        assert_eq!(Lang::choose(Some("ZH-tw"), Some("en")), Lang::Zh);
        assert_eq!(Lang::choose(Some("fr"), Some("en-GB,en;q=0.8")), Lang::En);
        assert_eq!(Lang::choose(None, None), Lang::Zh);
    }

    #[test]
    fn the_browsers_languages_are_weighed() {
        assert_eq!(
            Lang::from_accept("fr-FR,fr;q=0.9,en;q=0.8,zh;q=0.7"),
            Some(Lang::En)
        );
        assert_eq!(
            Lang::from_accept("en;q=0.3, zh-Hans-CN;q=0.4"),
            Some(Lang::Zh)
        );
        assert_eq!(Lang::from_accept("en, zh"), Some(Lang::En));
        assert_eq!(Lang::from_accept("en;q=0"), None);
        assert_eq!(Lang::from_accept("en;q=nonsense, zh;q=0.1"), Some(Lang::Zh));
        assert_eq!(Lang::from_accept("*"), None);
        assert_eq!(Lang::from_accept("english"), None);
    }
}
