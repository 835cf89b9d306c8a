//! Generates tokens and tickets of the observed shapes, with a cryptographic generator.

use rand::RngExt as _;

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

/// Returns `length` random characters of six bits each.
fn base64url(length: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut rng = rand::rng();
    (0..length)
        .map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]))
        .collect()
}

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
        }
    }
}
