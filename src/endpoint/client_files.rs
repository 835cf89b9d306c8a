//! The client script and its type definitions, which are compiled in.
//!
//! Both are public and identical for all clients. The script finds the endpoint by its own address, so it
//! contains no path.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use super::Headers;

/// A file that the scope for pages serves.
#[derive(Debug)]
pub struct ClientFile {
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// The content.
    pub text: &'static str,
    /// The value of `ETag`.
    pub tag: String,
}

/// `wx-jssdk.js`. The tag is computed once, since every page load needs it.
pub static SCRIPT: LazyLock<ClientFile> = LazyLock::new(|| {
    ClientFile::new(
        "text/javascript; charset=utf-8",
        include_str!("../../static/client/wx-jssdk.js"),
    )
});

/// `wx-jssdk.d.ts`. TypeScript has no registered media type, and many tables map `.ts` to a video type.
pub static TYPES: LazyLock<ClientFile> = LazyLock::new(|| {
    ClientFile::new(
        "text/plain; charset=utf-8",
        include_str!("../../static/client/wx-jssdk.d.ts"),
    )
});

impl ClientFile {
    fn new(content_type: &'static str, text: &'static str) -> Self {
        Self {
            content_type,
            text,
            tag: Self::tag_of(text.as_bytes()),
        }
    }

    /// Computes an ETag from the content. It is the same in every process of one build.
    pub(crate) fn tag_of(bytes: &[u8]) -> String {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        format!("\"{:016x}\"", hasher.finish())
    }

    /// Returns the headers of an answer with or without the file, except for its type.
    pub fn headers(&self) -> [(&'static str, &str); 5] {
        [
            ("etag", &self.tag),
            // Revalidated at each load, mostly with a 304, so that no page runs an outdated script.
            ("cache-control", "no-cache"),
            ("x-content-type-options", "nosniff"),
            // Module scripts are fetched with CORS, from pages on any of the accounts' hosts. The content is
            // public.
            ("access-control-allow-origin", "*"),
            ("cross-origin-resource-policy", "cross-origin"),
        ]
    }
}

/// Returns whether the client has this version already (`If-None-Match`): then answer 304. `tag` is that of
/// a [`ClientFile`], so it contains no comma.
pub fn client_has(headers: &impl Headers, tag: &str) -> bool {
    headers
        .values("if-none-match")
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .any(|known| known == b"*" || known.strip_prefix(b"W/").unwrap_or(known) == tag.as_bytes())
}
