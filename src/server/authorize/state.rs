//! The state of an authorisation: random, with an end, and signed, so that every node accepts only states that one
//! of them has issued.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::RngExt as _;
use sha2::Sha256;
use std::time::Duration;

use crate::clock::UnixTime;
use crate::credential::Secret;

/// Issues a state for the page of this platform, signed with the platform's secret.
pub(super) fn issue(platform: &str, secret: &Secret, now: UnixTime) -> String {
    let mut state = [0; LENGTH];
    let end = now.plus(LIFE).0.to_be_bytes();
    let (claims, proof) = state.split_at_mut(CLAIMS);
    claims[..RANDOM].copy_from_slice(&rand::rng().random::<[u8; RANDOM]>());
    claims[RANDOM..].copy_from_slice(&end);
    proof.copy_from_slice(&signed(claims, platform, secret).finalize().into_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(state)
}

/// Returns how long a state is still valid; `None` if it has ended or was not issued for this platform.
pub(super) fn life_left(
    state: &str,
    platform: &str,
    secret: &Secret,
    now: UnixTime,
) -> Option<Duration> {
    let state = BASE64_URL_SAFE_NO_PAD.decode(state).ok()?;
    let state: [u8; LENGTH] = state.try_into().ok()?;
    let (claims, proof) = state.split_at(CLAIMS);
    signed(claims, platform, secret).verify_slice(proof).ok()?;
    let end = claims[RANDOM..].try_into().ok().map(u64::from_be_bytes)?;
    let left = UnixTime(end).since(now);
    (!left.is_zero()).then_some(left)
}

fn signed(claims: &[u8], platform: &str, secret: &Secret) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .expect("an HMAC takes a key of any length");
    mac.update(b"wx-jssdk authorisation state\n");
    mac.update(claims);
    mac.update(platform.as_bytes());
    mac
}

/// How long a state is valid.
pub(super) const LIFE: Duration = Duration::from_secs(3_600);

const RANDOM: usize = 16;

/// The random bytes and the end, in seconds.
const CLAIMS: usize = RANDOM + 8;

const LENGTH: usize = CLAIMS + 32;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_800_000_000);

    #[test]
    fn a_state_is_valid_for_an_hour_at_every_node() {
        let secret = Secret::new("secret");
        let state = issue("agency", &secret, NOW);
        assert_ne!(state, issue("agency", &secret, NOW));
        let left = |seconds| life_left(&state, "agency", &secret, UnixTime(NOW.0 + seconds));
        assert_eq!(left(0), Some(LIFE));
        assert_eq!(left(3_599), Some(Duration::from_secs(1)));
        assert_eq!(left(3_600), None);
    }

    #[test]
    fn a_state_that_was_not_issued_for_the_platform_is_refused() {
        let secret = Secret::new("secret");
        let state = issue("agency", &secret, NOW);
        for (platform, key) in [("other", "secret"), ("agency", "another secret")] {
            assert_eq!(life_left(&state, platform, &Secret::new(key), NOW), None);
        }
        let mut later = BASE64_URL_SAFE_NO_PAD.decode(&state).unwrap();
        later[CLAIMS - 1] ^= 1;
        for forged in [
            "",
            "x",
            &"0".repeat(32),
            &"A".repeat(75),
            &state[1..],
            &BASE64_URL_SAFE_NO_PAD.encode(later),
        ] {
            assert_eq!(life_left(forged, "agency", &secret, NOW), None, "{forged}");
        }
    }
}
