//! JSON object bodies.

use std::future::poll_fn;
use std::pin::pin;

use actix_web::body::{BodyStream, MessageBody as _};
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use actix_web::web::{Bytes, BytesMut, Payload};
use serde::de::DeserializeOwned;

use crate::endpoint::Problem;
use crate::error::Text;

/// Reads a body of at most `limit` bytes as a JSON object. `bad` is the problem of any other body. A handler
/// calls it once the request is admitted: the body of another one takes no memory.
pub(crate) async fn read<T: DeserializeOwned>(
    body: Payload,
    limit: usize,
    hint: Text,
    bad: fn() -> Problem,
) -> Result<T, Problem> {
    let body = whole(body, limit).await.map_err(|error| match error {
        PayloadError::Overflow => Problem::body_too_large(limit, hint),
        _ => bad(),
    })?;
    object(&body).ok_or_else(bad)
}

/// Reads a body of at most `limit` bytes. Takes memory for what arrives, unlike actix-web's own function, which
/// takes 32 KiB at once.
pub(super) async fn whole(body: Payload, limit: usize) -> Result<Bytes, PayloadError> {
    let (mut body, mut whole) = (pin!(BodyStream::new(body)), BytesMut::new());
    while let Some(part) = poll_fn(|context| body.as_mut().poll_next(context)).await {
        let part = part?;
        if part.len() > limit - whole.len() {
            return Err(PayloadError::Overflow);
        }
        whole.extend_from_slice(&part);
    }
    Ok(whole.freeze())
}

/// Returns whether the headers say that the body is JSON.
#[cfg_attr(not(feature = "diagnose"), allow(dead_code))] // only browsers' requests are asked
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(CONTENT_TYPE);
    let given = given.and_then(|value| value.to_str().ok());
    let kind = given.unwrap_or_default().split(';').next();
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// Parses a JSON object. A derived deserializer would also accept an array (`["…"]`) of the members in
/// declaration order, which is never intended.
fn object<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    let is_object = body.trim_ascii_start().starts_with(b"{");
    serde_json::from_slice(body).ok().filter(|_| is_object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Named {
        name: String,
    }

    #[test]
    fn an_array_of_field_values_is_not_an_object() {
        let name = |text: &str| object::<Named>(text.as_bytes()).map(|named| named.name);
        assert_eq!(name(" {\"name\": \"n\"}").as_deref(), Some("n"));
        for text in [r#"["n"]"#, "", "{", "null", r#"{"name": 1}"#] {
            assert_eq!(name(text), None, "{text}");
        }
    }
}
