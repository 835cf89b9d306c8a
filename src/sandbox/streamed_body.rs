//! Response bodies that are made while they are sent, so that a large one costs no memory.

use std::io::{Error, ErrorKind};
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder};

/// A response body: a beginning, a filler of any length, an end.
pub(super) struct MadeBody {
    head: Bytes,
    /// One block.
    filler: &'static [u8],
    filler_left: u64,
    tail: Bytes,
    chunked: bool,
    cut: Option<Cut>,
}

/// Where the connection is closed instead of sending the rest.
struct Cut {
    left: u64,
    flushed: bool,
}

impl MadeBody {
    pub(super) fn of(bytes: impl Into<Bytes>) -> Self {
        Self::padded(bytes, 0, Bytes::new())
    }

    /// Returns a body with this many `a` between two texts.
    pub(super) fn padded(head: impl Into<Bytes>, letters: u64, tail: impl Into<Bytes>) -> Self {
        Self {
            head: head.into(),
            filler: &LETTERS,
            filler_left: letters,
            tail: tail.into(),
            chunked: false,
            cut: None,
        }
    }

    /// Returns bytes that begin like a JPEG and are the same each time.
    pub(super) fn picture(length: u64) -> Self {
        Self {
            filler: &PICTURE,
            ..Self::padded(Bytes::new(), length, Bytes::new())
        }
    }

    /// Returns a JSON object of this length, or the shortest one if that is longer.
    pub(super) fn json(length: u64) -> Self {
        let (head, tail) = (r#"{"errcode":0,"errmsg":"ok","padding":""#, r#""}"#);
        let letters = length.saturating_sub((head.len() + tail.len()) as u64);
        Self::padded(head, letters, tail)
    }

    /// Returns a body that closes the connection before a byte of the response is sent.
    pub(super) fn lost() -> Self {
        let cut = Cut {
            left: 0,
            flushed: true,
        };
        Self {
            chunked: true,
            cut: Some(cut),
            ..Self::of(Bytes::new())
        }
    }

    /// Announces no length.
    pub(super) fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    /// Closes the connection after this many bytes. A shorter body is sent whole.
    pub(super) fn cut_after(mut self, bytes: u64) -> Self {
        self.cut = Some(Cut {
            left: bytes,
            flushed: false,
        });
        self
    }

    /// Encodes the body as gzip, which holds it in memory. The data is stored, not compressed.
    pub(super) fn gzipped(mut self) -> Self {
        Self {
            chunked: self.chunked,
            ..Self::of(gzip(&self.collect()))
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.filler_left + (self.head.len() + self.tail.len()) as u64
    }

    pub(super) fn respond(mut self, response: &mut HttpResponseBuilder) -> HttpResponse {
        match self.len() <= BLOCK as u64 && !self.chunked && self.cut.is_none() {
            // Actix writes whole bytes together with the headers.
            true => response.body(self.collect()),
            false => response.body(self),
        }
    }

    fn collect(&mut self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(usize::try_from(self.len()).unwrap_or_default());
        while let Some(part) = self.next_part() {
            bytes.extend_from_slice(&part);
        }
        bytes
    }

    fn next_part(&mut self) -> Option<Bytes> {
        if !self.head.is_empty() {
            return Some(std::mem::take(&mut self.head));
        }
        if self.filler_left > 0 {
            let length = self.filler_left.min(BLOCK as u64);
            self.filler_left -= length;
            return Some(Bytes::from_static(&self.filler[..length as usize]));
        }
        Some(std::mem::take(&mut self.tail)).filter(|tail| !tail.is_empty())
    }
}

impl MessageBody for MadeBody {
    type Error = Error;

    fn size(&self) -> BodySize {
        match self.chunked {
            true => BodySize::Stream,
            false => BodySize::Sized(self.len()),
        }
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        match &mut self.cut {
            Some(Cut { left: 0, flushed }) if *flushed => {
                // A failed body makes the server drop the connection and any unsent bytes.
                return Poll::Ready(Some(Err(ErrorKind::ConnectionAborted.into())));
            }
            Some(Cut { left: 0, flushed }) => {
                *flushed = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            _ => {}
        }
        let Some(mut part) = self.next_part() else {
            return Poll::Ready(None);
        };
        if let Some(cut) = &mut self.cut {
            part.truncate(usize::try_from(cut.left).unwrap_or(usize::MAX));
            cut.left -= part.len() as u64;
        }
        Poll::Ready(Some(Ok(part)))
    }
}

/// Returns a gzip file with stored blocks.
fn gzip(data: &[u8]) -> Vec<u8> {
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let blocks = data.len().div_ceil(LONGEST_STORED).max(1);
    for at in 0..blocks {
        let start = at * LONGEST_STORED;
        let block = &data[start..data.len().min(start + LONGEST_STORED)];
        let length = block.len() as u16;
        file.push(u8::from(at + 1 == blocks));
        file.extend(length.to_le_bytes());
        file.extend((!length).to_le_bytes());
        file.extend(block);
    }
    file.extend(crc32(data).to_le_bytes());
    file.extend((data.len() as u32).to_le_bytes());
    file
}

fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

/// A JPEG's first bytes, then noise.
static PICTURE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 1_u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    let first = *b"\xff\xd8\xff\xe0\x00\x10JFIF\x00";
    let rest = noise.take(BLOCK).skip(first.len());
    first.into_iter().chain(rest).collect()
});

/// As much as actix buffers for a connection.
const BLOCK: usize = 32 * 1_024;

static LETTERS: [u8; BLOCK] = [b'a'; BLOCK];

/// Longest stored block of deflate.
const LONGEST_STORED: usize = 0xffff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_the_length_it_announces() {
        for length in [0, 1, 11, 32_767, 32_768, 32_769, 1_048_576] {
            let mut body = MadeBody::picture(length);
            assert_eq!(body.len(), length);
            assert_eq!(body.collect().len() as u64, length);
        }
        assert!(
            MadeBody::picture(20)
                .collect()
                .starts_with(b"\xff\xd8\xff\xe0\x00\x10JFIF\x00")
        );
    }

    #[test]
    fn sized_json_is_valid_and_never_shorter_than_its_fields() {
        for (asked, length) in [(0, 40), (40, 40), (41, 41), (100_000, 100_000)] {
            let text = MadeBody::json(asked).collect();
            assert_eq!(text.len(), length);
            assert!(serde_json::from_slice::<serde_json::Value>(&text).is_ok());
        }
    }

    #[test]
    fn the_checksum_is_that_of_gzip() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        let empty = gzip(b"");
        assert_eq!(empty[10..], [1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
        let two = gzip(&[7; 65_536]);
        assert_eq!((two[10], two[10 + 5 + 65_535]), (0, 1), "two blocks");
    }
}
