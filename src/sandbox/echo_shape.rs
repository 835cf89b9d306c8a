//! Shapes of answers on demand: `sandbox_…` in the query of a call that is answered with an echo.
//!
//! WeChat has no such parameters. They make a path answer like an endpoint that the sandbox does not simulate.

use super::simulated_endpoints::Call;
use super::streamed_body::MadeBody;

/// What the `sandbox_…` parameters of a call ask for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shape<'a> {
    /// Length of a binary answer.
    bytes: Option<u64>,
    /// Length of a JSON answer.
    json: Option<u64>,
    /// Errcode of a JSON error.
    pub(super) errcode: Option<i64>,
    pub(super) content_type: Option<&'a str>,
    pub(super) gzip: bool,
    chunked: bool,
    /// Bytes of the body after which the connection is closed.
    cut: Option<u64>,
}

impl<'a> Shape<'a> {
    /// Reads the parameters, or returns what is wrong with them.
    pub(super) fn of(call: &'a Call<'_>) -> Result<Self, String> {
        let mut shape = Self::default();
        for (name, value) in &call.query {
            let Some(what) = name.strip_prefix("sandbox_") else {
                continue;
            };
            match what {
                "bytes" => shape.bytes = Some(number(name, value)?),
                "json" => shape.json = Some(number(name, value)?),
                "errcode" => shape.errcode = Some(number(name, value)?),
                "cut" => shape.cut = Some(number(name, value)?),
                "gzip" => shape.gzip = switch(name, value)?,
                "chunked" => shape.chunked = switch(name, value)?,
                "type" => shape.content_type = Some(content_type(name, value)?),
                _ => return Err(format!("unknown parameter \"{name}\"; available: {KNOWN}")),
            }
        }
        let length = shape.bytes.max(shape.json).unwrap_or_default();
        if shape.gzip && length > LONGEST_GZIP {
            return Err(format!(
                "with sandbox_gzip, the length must be at most {LONGEST_GZIP} (got {length})"
            ));
        }
        if shape.bytes.is_none() && shape.json.is_none() && BINARY.contains(&call.path) {
            shape.bytes = Some(SMALL_PICTURE);
        }
        Ok(shape)
    }

    /// Returns whether the answer is a file.
    pub(super) fn is_binary(&self) -> bool {
        self.bytes.is_some() && self.errcode.is_none()
    }

    /// Returns the body that is asked for instead of the echo.
    pub(super) fn body(&self) -> Option<MadeBody> {
        match (self.bytes, self.json) {
            (Some(length), _) => Some(MadeBody::picture(length)),
            (None, Some(length)) => Some(MadeBody::json(length)),
            (None, None) => None,
        }
    }

    /// Applies what is asked of the way in which a body is sent.
    pub(super) fn sent(&self, mut body: MadeBody) -> MadeBody {
        if self.gzip {
            body = body.gzipped();
        }
        if self.chunked {
            body = body.chunked();
        }
        match self.cut {
            Some(bytes) => body.cut_after(bytes),
            None => body,
        }
    }

    /// Returns the file name of a binary answer.
    pub(super) fn file_name(&self) -> &'static str {
        match self.content_type {
            None | Some(PICTURE) => "sandbox.jpg",
            Some("image/png") => "sandbox.png",
            Some("audio/amr") => "sandbox.amr",
            Some("video/mp4") => "sandbox.mp4",
            Some(_) => "sandbox.bin",
        }
    }
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value
        .parse()
        .map_err(|_| format!("{name} must be a whole number (got \"{value}\")"))
}

fn switch(name: &str, value: &str) -> Result<bool, String> {
    match value {
        "1" => Ok(true),
        "0" => Ok(false),
        _ => Err(format!("{name} must be one of: 0, 1 (got \"{value}\")")),
    }
}

fn content_type<'a>(name: &str, value: &'a str) -> Result<&'a str, String> {
    match !value.is_empty() && value.bytes().all(|b| matches!(b, b' '..=b'~')) {
        true => Ok(value),
        false => Err(format!(
            "{name} must be a media type, for example image/jpeg"
        )),
    }
}

/// Content type of a binary answer.
pub(super) const PICTURE: &str = "image/jpeg";

/// Endpoints that answer a file unless they fail.
const BINARY: [&str; 6] = [
    "/wxa/getwxacode",
    "/wxa/getwxacodeunlimit",
    "/cgi-bin/wxaapp/createwxaqrcode",
    "/cgi-bin/media/get",
    "/cgi-bin/media/get/jssdk",
    "/cgi-bin/material/get_material",
];

/// In bytes.
const SMALL_PICTURE: u64 = 1_024;

/// A gzip body is made in memory. In bytes.
const LONGEST_GZIP: u64 = 16 * 1_024 * 1_024;

const KNOWN: &str = "sandbox_bytes, sandbox_json, sandbox_errcode, sandbox_type, sandbox_gzip, sandbox_chunked, sandbox_cut";
