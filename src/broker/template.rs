//! The answer for `wx.config` as text, with everything of it written beforehand that is the same for every page of an account.

use super::Broker;
use super::signing::default_config;
use crate::account::Account;
use crate::clock::{Moment, UnixTime};
use crate::credential::Kind;
use crate::sign::{Signer, Tail};

impl Broker {
    /// The JSON text of [`Broker::js_config`] for the page in `tail`, and counts it, if all is as it almost always is: the account
    /// is known, the address plain and allowed, the ticket living. `None`: take the ordinary way, which says what is missing.
    pub(crate) fn sign_plainly(
        &self,
        account: &str,
        tail: &mut Tail,
        at: &Moment,
    ) -> Option<Vec<u8>> {
        let members = self.inner.members.load();
        let member = members.find(account)?;
        let slot = member.slot_of(Kind::JsapiTicket)?;
        let page = tail.page()?;
        if !member.account.allows_page(page.host, page.path) {
            return None;
        }
        let living = self.living_at(slot, at);
        let living = living.as_ref()?;
        tail.seal(at.wall)?;
        let signature = living.signer.signature_of(tail).hex();
        member.tally.record(200);
        Some(
            member
                .template
                .get_or_init(|| Template::new(&member.account))
                .fill(tail, &signature),
        )
    }
}

/// What stands before, between and after timestamp, nonce, signature and address. Cut out of what serde writes, so that both ways
/// give the same bytes.
#[derive(Debug)]
pub(super) struct Template {
    to_timestamp: Box<[u8]>,
    to_nonce: Box<[u8]>,
    to_signature: Box<[u8]>,
    to_url: Box<[u8]>,
    end: Box<[u8]>,
}

impl Template {
    pub(super) fn new(account: &Account) -> Self {
        let config = default_config(
            account,
            &Signer::new(account.app_id(), ""),
            "",
            "",
            UnixTime(0),
        );
        let signature = config.signature.to_string();
        let json = serde_json::to_string(&config).expect("texts and numbers always serialise");
        // A quote inside of a value is written with a backslash, so these names stand nowhere but where they are names.
        let mut rest = json.as_str();
        let mut upto = |mark: &str, skipped: usize| {
            let (before, after) =
                rest.split_at(rest.find(mark).expect("serde writes every field") + mark.len());
            rest = &after[skipped..];
            Box::from(before.as_bytes())
        };
        let to_timestamp = upto(r#""timestamp":"#, "0".len());
        let to_nonce = upto(r#""nonceStr":""#, 0);
        let to_signature = upto(r#""signature":""#, signature.len());
        let to_url = upto(r#","url":""#, 0);
        Self {
            to_timestamp,
            to_nonce,
            to_signature,
            to_url,
            end: Box::from(rest.as_bytes()),
        }
    }

    /// The answer, in one allocation of the right size.
    pub(super) fn fill(&self, tail: &Tail, signature: &[u8; 40]) -> Vec<u8> {
        let url = tail.url();
        // A plain address is visible ASCII: JSON escapes two characters of it.
        // They are looked for before they are counted, since that many bytes are compared at once.
        let is_escaped = |byte: &u8| (*byte == b'"') | (*byte == b'\\');
        let has_escapes = url.iter().fold(false, |any, byte| any | is_escaped(byte));
        let escapes = if has_escapes {
            url.iter().filter(|byte| is_escaped(byte)).count()
        } else {
            0
        };
        let parts: [&[u8]; 7] = [
            &self.to_timestamp,
            tail.seconds(),
            &self.to_nonce,
            tail.nonce(),
            &self.to_signature,
            signature,
            &self.to_url,
        ];
        let length = parts.iter().map(|part| part.len()).sum::<usize>()
            + url.len()
            + escapes
            + self.end.len();
        let mut json = Vec::with_capacity(length);
        parts.iter().for_each(|part| json.extend_from_slice(part));
        if escapes == 0 {
            json.extend_from_slice(url);
        } else {
            for byte in url {
                if is_escaped(byte) {
                    json.push(b'\\');
                }
                json.push(*byte);
            }
        }
        json.extend_from_slice(&self.end);
        json
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn agree(account: &Account, url: &str, time: u64) {
        let (mut tail, signer) = (Tail::default(), Signer::new(account.app_id(), "a-ticket"));
        tail.start().extend_from_slice(url.as_bytes());
        tail.seal(UnixTime(time)).unwrap();
        let quick = Template::new(account).fill(&tail, &signer.signature_of(&tail).hex());
        let nonce = std::str::from_utf8(tail.nonce()).unwrap();
        let config = default_config(account, &signer, url, nonce, UnixTime(time));
        assert_eq!(
            std::str::from_utf8(&quick),
            Ok(serde_json::to_string(&config).unwrap().as_str())
        );
        assert_eq!(quick.capacity(), quick.len());
    }

    #[test]
    fn the_text_is_serdes_for_every_platform_and_for_names_that_look_like_fields() {
        let official = Account::official("wx12ab", "s").js_api_list(["chooseImage", "scanQRCode"]);
        let work = Account::work("ww12ab", 7, "s").open_tag_list(["wx-open-audio"]);
        let odd = Account::official(r#"","timestamp":0,"url":""#, "s")
            .js_api_list([r#""signature":""#, r#"\","url":""#]);
        for account in [official, work, odd, Account::mini("wx12ab", "s")] {
            agree(&account, "https://example.com/p?a=1", 1_767_225_600);
        }
    }

    proptest! {
        #[test]
        fn the_text_is_serdes_for_every_visible_address(
            app in "\\PC{1,12}", apis in prop::collection::vec("\\PC{0,8}", 0..4), url in "https://[!-~]{0,80}",
            time in 1_000_000_000u64..4_000_000_000,
        ) {
            agree(&Account::official(app.as_str(), "s").js_api_list(&apis).open_tag_list(apis.iter().rev()), &url, time);
        }
    }
}
