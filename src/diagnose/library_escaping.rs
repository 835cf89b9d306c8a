//! Escapes and unescapes URLs as the libraries of JavaScript, PHP, Java and other languages do.

use encoding_rs::Encoding;

use super::ticket_input;
use crate::hex;

/// JavaScript's `encodeURIComponent`.
pub(super) fn component(text: &str) -> String {
    keeping(text, b"-_.!~*'()")
}

/// PHP's `urlencode` and Java's `URLEncoder`: a space becomes `+`.
pub(super) fn form(text: &str) -> String {
    keeping(text, b"-_. ").replace(' ', "+")
}

/// JavaScript's `encodeURI`: keeps the characters with a meaning in a URL, and escapes each `%` again.
pub(super) fn whole(text: &str) -> String {
    keeping(text, b"-_.!~*'();,/?:@&=+$#")
}

/// Converts a URL from its readable form to that of `location.href`. Browsers differ in what they escape
/// after the host, so ASCII is kept there.
pub(super) fn href(address: &str) -> String {
    let escaped = escaped(address);
    let start = escaped.find("://").map_or(0, |at| at + 3);
    let end = escaped[start..]
        .find(['/', '?', '#'])
        .map_or(escaped.len(), |length| start + length);
    let (origin, rest) = escaped.split_at(end);
    let is_plain = !origin.contains(['@', '\\']);
    let parsed = url::Url::parse(origin)
        .ok()
        .filter(|parsed| is_plain && start > 0 && ["http", "https"].contains(&parsed.scheme()));
    match parsed {
        Some(parsed) => format!("{parsed}{}", rest.strip_prefix('/').unwrap_or(rest)),
        None => escaped,
    }
}

/// Escapes non-ASCII characters and blanks, and writes the host in punycode. Quotes around the URL are
/// removed.
pub(super) fn escaped(address: &str) -> String {
    let address = ticket_input::address(address);
    let start = address.find("://").map_or(0, |at| at + 3);
    let end = address[start..]
        .find(['/', '?', '#', ':'])
        .map_or(address.len(), |length| start + length);
    let (host, rest) = (&address[start..end], &address[end..]);
    // An invalid host name is kept as given.
    let ascii = Some(host)
        .filter(|host| !host.is_ascii())
        .and_then(|host| url::Host::parse(host).ok());
    let host = ascii.map_or_else(|| host.to_owned(), |host| host.to_string());
    let rest = percent_encoded(rest.as_bytes(), |byte| byte.is_ascii() && *byte != b' ');
    format!("{}{host}{rest}", &address[..start])
}

/// The ways in which libraries write the names and values of a query.
pub(super) const VALUES: &[fn(&str) -> String] = &[
    form,
    component,
    // qs, PHP's RFC 3986 form, Symfony and .NET's EscapeDataString; then Python and Go; then browsers and
    // Java.
    |text| keeping(text, b"-_.~"),
    |text| keeping(text, b"-_.~ ").replace(' ', "+"),
    |text| keeping(text, b"-_.* ").replace(' ', "+"),
    // jQuery; axios; Python's quote.
    |text| keeping(text, b"-_.!~*'() ").replace(' ', "+"),
    |text| keeping(text, b"-_.!~*'():$,[] ").replace(' ', "+"),
    |text| keeping(text, b"-_.~/"),
    // vue-router 3; vue-router 4; Nuxt's ufo.
    |text| {
        let kept = keeping(text, b"-_.~,");
        kept.replace("%2A", "%2a")
    },
    |text| keeping(text, b"-_.!~*'();,/?:@$=`{}^|[] ").replace(' ', "+"),
    |text| keeping(text, b"-_.!~*'();,?:@$=`^| ").replace(' ', "+"),
    // .NET's HttpUtility.
    |text| recased(&keeping(text, b"-_.!*() "), str::to_ascii_lowercase).replace(' ', "+"),
    // java.net.URI; encodeURI of a decoded value.
    |text| keeping(text, b"-_.!~*'();,/?:@$=[]"),
    |text| keeping(text, b"-_.!~*'();,/?:@$="),
];

/// The ways in which servers write a path that they have decoded.
pub(super) const PATHS: &[fn(&str) -> String] = &[
    // In this order: Go; Django; ASP.NET Core; encodeURI; nginx; Node's url.format; Python's quote.
    |text| keeping(text, b"-_.~$&+,/:;=@"),
    |text| keeping(text, b"-_.!~*'()/:@&+$,"),
    |text| keeping(text, b"-_.!~*'()/:@&+$,;="),
    whole,
    |text| keeping(text, b"-_.!~*'();,/:@&=+$\"<>[]\\^`{|}"),
    |text| keeping(text, b"-_.!~*();,/:@&=+$%"),
    |text| keeping(text, b"-_.~/"),
];

/// Returns the normal form of RFC 3986, which .NET and Java proxies write: escapes of letters, digits and
/// `-._~` are decoded, the others are in upper case.
pub(super) fn normal(text: &str) -> String {
    recased(&undoing(text, is_unreserved), str::to_ascii_uppercase)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// JavaScript's `escape`.
pub(super) fn escape_of_javascript(text: &str) -> String {
    let stays = |byte: &u8| byte.is_ascii_alphanumeric() || b"@*_+-./".contains(byte);
    text.encode_utf16()
        .map(|unit| match u8::try_from(unit) {
            Ok(byte) => percent_encoded(&[byte], stays),
            Err(_) => format!("%u{unit:04X}"),
        })
        .collect()
}

fn keeping(text: &str, kept: &[u8]) -> String {
    percent_encoded(text.as_bytes(), |byte| {
        byte.is_ascii_alphanumeric() || kept.contains(byte)
    })
}

/// Percent-encodes the bytes except those that stay, which are ASCII.
fn percent_encoded(bytes: &[u8], stays: impl Fn(&u8) -> bool) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        if stays(byte) {
            out.push(char::from(*byte));
        } else {
            let digits = [*byte >> 4, *byte & 15].map(|digit| DIGITS[usize::from(digit)]);
            out.extend([b'%', digits[0], digits[1]].map(char::from));
        }
    }
    out
}

/// `decodeURIComponent`, except that invalid UTF-8 becomes the replacement character, as in most servers.
pub(super) fn decoded(text: &str) -> String {
    undone(text, b"")
}

/// JavaScript's `decodeURI`: keeps the escapes of characters with a meaning in a URL.
pub(super) fn decoded_whole(text: &str) -> String {
    undone(text, b";,/?:@&=+$#")
}

/// The path of Flask's `request.url`: keeps the escapes of characters with a meaning in a path.
pub(super) fn decoded_path(text: &str) -> String {
    undone(text, b"/?#%; ")
}

/// The query of Flask's `request.url`.
pub(super) fn decoded_query(text: &str) -> String {
    undone(text, b"&=+#% ")
}

/// Decodes every escape and reads the bytes in another charset.
pub(super) fn decoded_as(text: &str, charset: &'static Encoding) -> String {
    let bytes = bytes_undoing(text, |_| true);
    charset.decode_without_bom_handling(&bytes).0.into_owned()
}

/// Decodes every escape into one character per byte: ISO-8859-1, the former default of servlets.
pub(super) fn decoded_as_latin_1(text: &str) -> String {
    let bytes = bytes_undoing(text, |_| true);
    bytes.into_iter().map(char::from).collect()
}

/// Escapes the non-ASCII characters in another charset: `%D5%C5` instead of `%E5%BC%A0`.
pub(super) fn escaped_in(text: &str, charset: &'static Encoding) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let end = rest.as_bytes()[at..]
            .chunks(3)
            .take_while(|chunk| escape(chunk).is_some_and(|byte| !byte.is_ascii()))
            .count()
            * 3
            + at;
        out.push_str(&rest[..at]);
        if end == at {
            out.push('%');
            rest = &rest[at + 1..];
        } else {
            let bytes = in_charset(&decoded(&rest[at..end]), charset);
            out.push_str(&percent_encoded(&bytes, u8::is_ascii_alphanumeric));
            rest = &rest[end..];
        }
    }
    out.push_str(rest);
    out
}

/// Encodes a text in a charset; characters that the charset lacks become `?`.
pub(super) fn in_charset(text: &str, charset: &'static Encoding) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut letters = [0; 4];
    for letter in text.chars() {
        let (bytes, _, lacks) = charset.encode(letter.encode_utf8(&mut letters));
        if lacks {
            out.push(b'?');
        } else {
            out.extend_from_slice(&bytes);
        }
    }
    out
}

/// Encodes a text in ISO-8859-1, limited to code points up to `last`; other characters become `?`.
pub(super) fn in_latin_1(text: &str, last: u8) -> Vec<u8> {
    text.chars()
        .map(|letter| {
            let byte = u8::try_from(letter).ok().filter(|byte| *byte <= last);
            byte.unwrap_or(b'?')
        })
        .collect()
}

fn undone(text: &str, staying: &[u8]) -> String {
    undoing(text, |byte| !staying.contains(&byte))
}

fn undoing(text: &str, undoes: impl Fn(u8) -> bool) -> String {
    String::from_utf8_lossy(&bytes_undoing(text, undoes)).into_owned()
}

fn bytes_undoing(text: &str, undoes: impl Fn(u8) -> bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        match escape(rest).filter(|byte| undoes(*byte)) {
            Some(byte) => {
                out.push(byte);
                rest = &rest[3..];
            }
            None => {
                out.push(first);
                rest = after;
            }
        }
    }
    out
}

/// Returns the byte of an escape at the start of `text`.
fn escape(text: &[u8]) -> Option<u8> {
    let digits = text.strip_prefix(b"%")?.get(..2)?;
    let [byte] = hex::decode(std::str::from_utf8(digits).ok()?)?;
    Some(byte)
}

/// Applies `case` to the hex digits of every escape.
pub(super) fn recased(text: &str, case: fn(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let end = if escape(&rest.as_bytes()[at..]).is_some() {
            at + 3
        } else {
            at + 1
        };
        out.push_str(&rest[..at]);
        out.push_str(&case(&rest[at..end]));
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn javascript_escapes_are_reproduced() {
        assert_eq!(
            component("https://h/张?a=b c"),
            "https%3A%2F%2Fh%2F%E5%BC%A0%3Fa%3Db%20c"
        );
        assert_eq!(whole("https://h/p?a=%20"), "https://h/p?a=%2520");
        assert_eq!(form("a b*~"), "a+b%2A%7E");
    }

    #[test]
    fn a_human_readable_address_becomes_the_browsers_address() {
        assert_eq!(
            href(" https://h.cn/商/1?q=a b&c=%2f+#/é "),
            "https://h.cn/%E5%95%86/1?q=a%20b&c=%2f+#/%C3%A9"
        );
        assert_eq!(
            href("https://张三.cn:8443/p"),
            "https://xn--ehq892b.cn:8443/p"
        );
        for same in ["", "%", "://", "https://", "?&=#", "https://h:x/", "张 三"] {
            let once = href(same);
            assert_eq!(href(&once), once, "{same}");
        }
    }

    #[test]
    fn unescaping_leaves_other_text_unchanged() {
        assert_eq!(decoded("%E5%BC%A0+%2F%zz%4"), "张+/%zz%4");
        assert_eq!(decoded_whole("%E5%BC%A0%2F"), "张%2F");
        assert_eq!(decoded("%FF"), "\u{fffd}");
    }

    #[test]
    fn only_escapes_change_their_case() {
        assert_eq!(
            recased("/AbC%2f%zZ张%e5", |text| text.to_ascii_uppercase()),
            "/AbC%2F%zZ张%E5"
        );
        assert_eq!(recased("100%", |text| text.to_ascii_lowercase()), "100%");
    }
}
