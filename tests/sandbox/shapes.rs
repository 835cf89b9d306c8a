//! Answers of a requested shape, and the endpoints that return files.

use reqwest::Response;
use wx_jssdk::sandbox::{Fault, FaultKind, Sandbox};

use crate::support::*;

const ANY: &str = "/cgi-bin/express/any";

async fn call(sandbox: &Sandbox, path_and_query: &str) -> Response {
    let token = match sandbox.token(APP, wx_jssdk::sandbox::Mode::Stable) {
        Some(token) => token,
        None => token_of(&stable(sandbox).await),
    };
    let separator = if path_and_query.contains('?') {
        '&'
    } else {
        '?'
    };
    client()
        .get(format!(
            "{}{path_and_query}{separator}access_token={token}",
            sandbox.url()
        ))
        .send()
        .await
        .unwrap()
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_binary_answer_has_the_requested_length_and_constant_bytes() {
    let sandbox = sandbox().await;
    for (length, more, content_type, file) in [
        (0, "", "image/jpeg", "sandbox.jpg"),
        (11, "", "image/jpeg", "sandbox.jpg"),
        (
            100_000,
            "&sandbox_type=audio/amr",
            "audio/amr",
            "sandbox.amr",
        ),
        (
            5_000_000,
            "&sandbox_type=application/x",
            "application/x",
            "sandbox.bin",
        ),
    ] {
        let path = format!("{ANY}?sandbox_bytes={length}{more}");
        let answer = call(&sandbox, &path).await;
        assert_eq!(
            (
                header(&answer, "content-type"),
                header(&answer, "content-disposition")
            ),
            (
                content_type,
                format!("attachment; filename=\"{file}\"").as_str()
            )
        );
        assert_eq!(header(&answer, "content-length"), length.to_string());
        let bytes = answer.bytes().await.unwrap();
        assert_eq!(bytes.len(), length);
        assert_eq!(bytes, call(&sandbox, &path).await.bytes().await.unwrap());
        assert!(length == 0 || bytes.starts_with(b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"));
    }
}

#[tokio::test]
async fn a_json_answer_has_the_requested_length() {
    let sandbox = sandbox().await;
    for length in [100, 5_000_000] {
        let answer = call(&sandbox, &format!("{ANY}?sandbox_json={length}")).await;
        assert_eq!(
            header(&answer, "content-type"),
            "application/json; encoding=utf-8"
        );
        let text = answer.text().await.unwrap();
        assert!(text.len() == length && text.starts_with('{'));
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["errcode"], 0);
    }
}

#[tokio::test]
async fn a_chunked_answer_announces_no_length() {
    let sandbox = sandbox().await;
    for query in ["sandbox_bytes=100000&", "sandbox_json=100&", ""] {
        let answer = call(&sandbox, &format!("{ANY}?{query}sandbox_chunked=1")).await;
        assert_eq!(
            (
                header(&answer, "content-length"),
                header(&answer, "transfer-encoding")
            ),
            ("", "chunked")
        );
        assert!(!answer.bytes().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_gzip_answer_is_sent_to_clients_that_did_not_accept_it() {
    let sandbox = sandbox().await;
    for query in ["", "&sandbox_json=200000"] {
        let answer = call(&sandbox, &format!("{ANY}?sandbox_gzip=1{query}")).await;
        assert_eq!(header(&answer, "content-encoding"), "gzip");
        let bytes = answer.bytes().await.unwrap();
        assert!(bytes.starts_with(b"\x1f\x8b\x08"));
        let text = stored(&bytes);
        let answer: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(answer["errcode"], 0);
    }
}

/// The data of a gzip file whose blocks are not compressed.
fn stored(file: &[u8]) -> Vec<u8> {
    let (mut rest, mut data, mut last) = (&file[10..], Vec::new(), false);
    while !last {
        last = rest[0] == 1;
        let length = usize::from(u16::from_le_bytes([rest[1], rest[2]]));
        data.extend_from_slice(&rest[5..5 + length]);
        rest = &rest[5 + length..];
    }
    assert_eq!(rest[4..], (data.len() as u32).to_le_bytes());
    data
}

#[tokio::test]
async fn a_truncated_answer_ends_after_the_requested_bytes() {
    let sandbox = sandbox().await;
    let token = token_of(&stable(&sandbox).await);
    for (cut, shape) in [
        (0, "sandbox_bytes=100"),
        (10, "sandbox_bytes=100"),
        (10, "sandbox_json=100"),
        (100_000, "sandbox_bytes=1000000"),
    ] {
        let path = format!("{ANY}?access_token={token}&{shape}&sandbox_cut={cut}");
        let bytes = raw(&sandbox, &path).await;
        let head = bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap()
            + 4;
        assert!(bytes.starts_with(b"HTTP/1.1 200 OK"));
        assert_eq!(bytes.len() - head, cut, "{shape}");
    }
    let whole = call(&sandbox, &format!("{ANY}?sandbox_bytes=10&sandbox_cut=11")).await;
    assert_eq!(whole.bytes().await.unwrap().len(), 10);
}

#[tokio::test]
async fn an_errcode_may_come_as_plain_text() {
    let sandbox = sandbox().await;
    for (query, content_type) in [
        ("", "application/json; encoding=utf-8"),
        ("&sandbox_type=text/plain", "text/plain"),
        ("&sandbox_bytes=10", "application/json; encoding=utf-8"),
    ] {
        let answer = call(&sandbox, &format!("{ANY}?sandbox_errcode=40001{query}")).await;
        assert_eq!(header(&answer, "content-type"), content_type);
        assert_eq!(header(&answer, "content-disposition"), "");
        assert_eq!(json_of(answer).await["errcode"], 40001);
    }
    assert_eq!(sandbox.errcodes(ANY)[&40001], 3);
}

#[tokio::test]
async fn a_dead_token_is_refused_before_any_shape_applies() {
    let sandbox = sandbox().await;
    for shape in ["sandbox_bytes=10", "sandbox_errcode=-1", "sandbox_gzip=1"] {
        let answer = get(&sandbox, &format!("{ANY}?access_token=dead&{shape}")).await;
        assert_eq!(answer["errcode"], 40001);
    }
}

#[tokio::test]
async fn an_invalid_shape_is_answered_with_the_valid_ones() {
    let sandbox = sandbox().await;
    for (told, query) in [
        (
            "unknown parameter \"sandbox_size\"; available: sandbox_bytes,",
            "sandbox_size=1",
        ),
        (
            "sandbox_bytes must be a whole number (got \"1k\")",
            "sandbox_bytes=1k",
        ),
        ("sandbox_cut must be a whole number", "sandbox_cut=-1"),
        (
            "sandbox_gzip must be one of: 0, 1 (got \"yes\")",
            "sandbox_gzip=yes",
        ),
        (
            "sandbox_type must be a media type",
            "sandbox_type=a%0d%0ab:c",
        ),
        (
            "at most 16777216",
            "sandbox_gzip=1&sandbox_bytes=99999999999",
        ),
    ] {
        let answer = call(&sandbox, &format!("{ANY}?{query}")).await;
        assert_eq!(answer.status(), 400, "{query}");
        let text = answer.text().await.unwrap().replace("\\\"", "\"");
        assert!(text.contains(told), "{text}");
    }
}

#[tokio::test]
async fn endpoints_of_files_answer_a_small_picture_and_their_errors_as_json() {
    let sandbox = sandbox().await;
    for path in [
        "/wxa/getwxacode",
        "/wxa/getwxacodeunlimit",
        "/cgi-bin/media/get",
        "/cgi-bin/material/get_material",
        "/cgi-bin/wxaapp/createwxaqrcode",
    ] {
        let answer = call(&sandbox, path).await;
        assert_eq!(header(&answer, "content-type"), "image/jpeg");
        let bytes = answer.bytes().await.unwrap();
        assert!(bytes.len() == 1_024 && bytes.starts_with(b"\xff\xd8\xff"));
        let refused = get(&sandbox, &format!("{path}?access_token=dead")).await;
        assert_eq!(refused["errcode"], 40001);
    }
    sandbox.fault(Fault::once("/cgi-bin/media/get", FaultKind::Errcode(40007)));
    let refused = call(&sandbox, "/cgi-bin/media/get").await;
    assert_eq!(json_of(refused).await["errcode"], 40007);
    let json = call(&sandbox, "/cgi-bin/media/get?sandbox_json=60").await;
    assert_eq!(json_of(json).await["errcode"], 0);
}
