//! What is hashed after `jsapi_ticket=T&noncestr=`, in one buffer that is used again for the next page: `N&timestamp=S&url=U`.
//!
//! Only for addresses that need no parser ([`super::plain`]). It allocates nothing once it has been used.

use super::{nonce_bytes, plain};
use crate::clock::UnixTime;

/// The buffer. First the page's address goes in ([`Tail::start`]); when it is known that it will be signed, nonce and time
/// ([`Tail::seal`]).
#[derive(Debug)]
pub(crate) struct Tail(Vec<u8>);

/// A page whose host and path need no parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlainPage<'a> {
    pub(crate) host: &'a str,
    pub(crate) path: &'a str,
}

impl Default for Tail {
    fn default() -> Self {
        let fixed = [&[b'0'; NONCE][..], TIMESTAMP, &[b'0'; SECONDS], URL];
        Self(fixed.concat())
    }
}

impl Tail {
    /// Where the next address is to be written, without its fragment.
    pub(crate) fn start(&mut self) -> &mut Vec<u8> {
        self.0.truncate(URL_AT);
        &mut self.0
    }

    /// The page, if its address is a plain one.
    pub(crate) fn page(&self) -> Option<PlainPage<'_>> {
        let (host, path) = plain::place(self.url())?;
        let text = |part| std::str::from_utf8(&self.url()[part]).ok();
        Some(PlainPage {
            host: text(host)?,
            path: if path.is_empty() { "/" } else { text(path)? },
        })
    }

    /// Puts a fresh nonce and the time in; `None` for a time that has not ten digits, or is after the year 2106.
    pub(crate) fn seal(&mut self, time: UnixTime) -> Option<()> {
        let mut seconds = u32::try_from(time.0)
            .ok()
            .filter(|seconds| *seconds >= 1_000_000_000)?;
        for digit in self.0[SECONDS_AT..SECONDS_AT + SECONDS].iter_mut().rev() {
            *digit = b'0' + (seconds % 10) as u8;
            seconds /= 10;
        }
        self.0[..NONCE].copy_from_slice(&nonce_bytes());
        Some(())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn nonce(&self) -> &[u8] {
        &self.0[..NONCE]
    }

    pub(crate) fn seconds(&self) -> &[u8] {
        &self.0[SECONDS_AT..SECONDS_AT + SECONDS]
    }

    pub(crate) fn url(&self) -> &[u8] {
        &self.0[URL_AT..]
    }
}

const NONCE: usize = 32;
const TIMESTAMP: &[u8] = b"&timestamp=";
const SECONDS_AT: usize = NONCE + TIMESTAMP.len();
const SECONDS: usize = 10;
const URL: &[u8] = b"&url=";
const URL_AT: usize = SECONDS_AT + SECONDS + URL.len();

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::{PageUrl, Signer};

    #[test]
    fn it_is_what_the_signer_hashes() {
        let (mut tail, signer) = (Tail::default(), Signer::new("wx12ab", "a-ticket"));
        for (url, time) in [
            ("https://example.com/p?a=1", 1_767_225_600),
            ("http://b.cn", 1_000_000_000),
        ] {
            tail.start().extend_from_slice(url.as_bytes());
            assert_eq!(tail.seal(UnixTime(time)), Some(()));
            let nonce = std::str::from_utf8(tail.nonce()).unwrap();
            assert_eq!(
                signer.signature_of(&tail),
                signer.signature(url, nonce, UnixTime(time))
            );
            assert_eq!(
                (tail.seconds(), tail.url()),
                (time.to_string().as_bytes(), url.as_bytes())
            );
            let (page, whole) = (tail.page().unwrap(), PageUrl::parse(url).unwrap());
            assert_eq!((page.host, page.path), (whole.host(), whole.path()));
        }
    }

    #[test]
    fn each_seal_has_a_nonce_of_its_own() {
        let mut tail = Tail::default();
        let nonces: std::collections::HashSet<_> = (0..100)
            .map(|_| {
                tail.seal(UnixTime(1_767_225_600)).unwrap();
                tail.nonce().to_vec()
            })
            .collect();
        assert_eq!(nonces.len(), 100);
    }

    #[test]
    fn what_does_not_fit_is_left_to_others() {
        let mut tail = Tail::default();
        assert_eq!(tail.seal(UnixTime(999_999_999)), None);
        assert_eq!(tail.seal(UnixTime(u64::from(u32::MAX) + 1)), None);
        tail.start().extend_from_slice(b"https://Example.com/");
        assert_eq!(tail.page(), None);
    }
}
