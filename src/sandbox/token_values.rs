//! Generates tokens and tickets of the observed shapes, with a cryptographic generator.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rand::RngExt as _;
use sha2::{Digest as _, Sha256};

/// Returns a token: `NN_` and base64url, 136 to 157 characters in all, as observed.
pub(super) fn new_token() -> String {
    let mut rng = rand::rng();
    let (prefix, length) = (rng.random_range(10..100_u32), rng.random_range(133..=154));
    format!("{prefix}_{}", base64url(length))
}

/// Returns a WeCom token: no prefix; a real one had 214 characters.
pub(super) fn new_work_token() -> String {
    base64url(214)
}

/// Returns a WeCom secret: 43 characters, which is 32 bytes.
pub(super) fn new_work_secret() -> String {
    base64url(43)
}

/// Returns a ticket: 86 characters, which is 64 bytes.
pub(super) fn new_ticket() -> String {
    base64url(86)
}

/// Returns a login code: 32 characters.
pub(super) fn new_login_code() -> String {
    base64url(32)
}

/// Returns a component_verify_ticket, which is pushed to an open platform.
pub(super) fn new_component_ticket() -> String {
    format!("ticket@@@{}", base64url(86))
}

/// Returns a code for one visit to the authorisation page.
pub(super) fn new_pre_auth_code() -> String {
    format!("preauthcode@@@{}", base64url(86))
}

/// Returns a code that an open platform redeems for an account's refresh token.
pub(super) fn new_authorization_code() -> String {
    format!("queryauthcode@@@{}", base64url(86))
}

/// Returns an account's refresh token for an open platform.
pub(super) fn new_refresh_token() -> String {
    format!("refreshtoken@@@{}", base64url(43))
}

/// Returns a token for the signatures of pushes.
pub(super) fn new_push_token() -> String {
    alphanumeric(32)
}

/// Returns an EncodingAESKey.
pub(super) fn new_encoding_aes_key() -> String {
    alphanumeric(43)
}

/// Returns a mini program's session key: 16 bytes in base64. Clients use it as an AES key.
pub(super) fn new_session_key() -> String {
    BASE64_STANDARD.encode(rand::random::<[u8; 16]>())
}

/// Returns the openid of an app's simulated user: `o` and 27 characters, the same each time.
pub(super) fn openid_of(app_id: &str) -> String {
    let hash = Sha256::digest(app_id.as_bytes());
    let rest = hash[..27]
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 64)]));
    std::iter::once('o').chain(rest).collect()
}

/// Returns `length` random characters of six bits each.
fn base64url(length: usize) -> String {
    random(ALPHABET, length)
}

/// Returns `length` random letters and digits.
fn alphanumeric(length: usize) -> String {
    random(&ALPHABET[..62], length)
}

fn random(alphabet: &[u8], length: usize) -> String {
    let mut rng = rand::rng();
    let letter = || char::from(alphabet[rng.random_range(0..alphabet.len())]);
    std::iter::repeat_with(letter).take(length).collect()
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_tickets_have_the_shapes_seen_in_the_field() {
        for _ in 0..200 {
            let token = new_token();
            let (prefix, rest) = token.split_once('_').unwrap();
            assert!(
                prefix.len() == 2 && prefix.bytes().all(|b| b.is_ascii_digit()),
                "{token}"
            );
            assert!(
                (136..=157).contains(&token.len()),
                "{} characters",
                token.len()
            );
            assert!(
                rest.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
            );
            assert_eq!(
                (
                    new_ticket().len(),
                    new_work_token().len(),
                    new_work_secret().len()
                ),
                (86, 214, 43)
            );
            let key = new_session_key();
            assert!(key.len() == 24 && key.ends_with("=="), "{key}");
        }
        let openid = openid_of("wx1");
        assert!(openid.len() == 28 && openid.starts_with('o'), "{openid}");
        assert_eq!(openid, openid_of("wx1"));
    }
}
