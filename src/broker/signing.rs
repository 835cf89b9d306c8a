//! Signatures with the current tickets: the answers of the signing endpoints.

use std::hint::black_box;
use std::sync::Arc;

use memchr::memchr_iter;

use super::slot::{Reason, Slot};
use super::stats::StatusCounts;
use super::{AccountEntry, Broker};
use crate::account::{Account, Platform, SafeDomain};
use crate::clock::UnixTime;
use crate::credential::Kind;
use crate::error::Error;
use crate::sign::{
    AgentConfig, CardExt, ChooseCard, JsConfig, PageUrl, Signer, Warning, nonce, nonce_digits,
};

/// Options of a request besides the page.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ConfigOptions {
    /// Replaces the account's own list.
    pub(crate) js_api_list: Option<Vec<String>>,
    /// Replaces the account's own list.
    pub(crate) open_tag_list: Option<Vec<String>>,
    pub(crate) debug: bool,
    /// A warning about the request itself. A warning about the page's address takes precedence.
    pub(crate) warning: Option<Warning>,
}

impl ConfigOptions {
    /// Applies them to an answer. A warning about the page's address stays.
    pub(crate) fn apply(&self, config: &mut JsConfig) {
        if let Some(names) = &self.js_api_list {
            config.js_api_list.clone_from(names);
        }
        if let Some(names) = &self.open_tag_list {
            config.open_tag_list.clone_from(names);
        }
        config.debug = self.debug;
        config.warning = config.warning.take().or_else(|| self.warning.clone());
    }
}

/// Bytes of a cache line of the usual processors.
const CACHE_LINE: usize = 64;

/// Bytes of a refused path that an answer quotes: it should not grow with what a request contains.
const MAX_SHOWN_PATH: usize = 200;

/// A JSON answer and the counters of its account.
type CountedText = (Vec<u8>, Arc<StatusCounts>);

impl Broker {
    /// Returns everything that `wx.config` needs for one page, signed now with a new nonce, the wall
    /// clock's second and the account's default lists.
    ///
    /// # Errors
    /// [`Error::PageNotAllowed`] for a page outside the account's JS safe domains; otherwise as
    /// [`Broker::credential`].
    pub async fn js_config(&self, account: &str, page: &PageUrl) -> Result<JsConfig, Error> {
        let entry = self.entry(account)?;
        self.signed(&entry, Kind::JsapiTicket, page).await
    }

    /// Returns everything that `wx.agentConfig` needs. It is signed with the app's own ticket, not the
    /// corp's; confusing the two is the most common mistake.
    ///
    /// # Errors
    /// [`Error::UnsupportedCredential`] for an account that is not a WeCom app; otherwise as
    /// [`Broker::js_config`].
    pub async fn agent_config(&self, account: &str, page: &PageUrl) -> Result<AgentConfig, Error> {
        let entry = self.entry(account)?;
        let config = self.signed(&entry, Kind::AgentTicket, page).await?;
        match entry.account.platform() {
            Platform::Work { agent_id } => Ok(AgentConfig::new(config, agent_id)),
            platform => Err(Error::UnsupportedCredential {
                account: entry.name.clone(),
                platform: platform.as_str(),
                kind: Kind::AgentTicket,
            }),
        }
    }

    /// Returns the `cardExt` text of one coupon for `wx.addCard`. The time and nonce of `card` are replaced
    /// by new ones.
    ///
    /// # Errors
    /// [`Error::UnsupportedCredential`] for an account without a card ticket; otherwise as
    /// [`Broker::credential`].
    pub async fn card_ext(&self, account: &str, card: CardExt) -> Result<String, Error> {
        let ticket = self.credential(account, Kind::CardTicket).await?;
        let card = CardExt {
            timestamp: self.inner.clock.wall(),
            nonce_str: nonce(),
            ..card
        };
        Ok(card.sign(&ticket.value))
    }

    /// Returns everything that `wx.chooseCard` needs. `filter` holds shop id, card id and card type; each
    /// may be empty.
    ///
    /// # Errors
    /// As [`Broker::card_ext`].
    pub async fn choose_card(&self, account: &str, filter: [&str; 3]) -> Result<ChooseCard, Error> {
        let entry = self.entry(account)?;
        let ticket = self.credential(account, Kind::CardTicket).await?;
        Ok(ChooseCard::sign(
            &ticket.value,
            entry.account.app_id(),
            filter,
            &nonce(),
            self.inner.clock.wall(),
        ))
    }

    /// Returns [`Broker::js_config`] as JSON text from memory, with the account's counters; `None` if the
    /// ticket has to be refreshed first.
    ///
    /// # Errors
    /// As [`Broker::js_config`], except for upstream errors.
    pub(crate) fn config_text(
        &self,
        account: &str,
        page: &PageUrl,
        options: &ConfigOptions,
    ) -> Result<Option<CountedText>, Error> {
        let accounts = self.inner.accounts.load();
        let entry = accounts.find(account)?;
        let slot = entry.slot_for(Kind::JsapiTicket, page)?;
        let at = self.inner.clock.moment();
        let current = self.current(slot, &at);
        let Some(current) = current.as_ref() else {
            return Ok(None);
        };
        slot.want();
        let text = entry.config_text(&current.signer, page, options, at.wall);
        Ok(Some((text, entry.answers.clone())))
    }

    /// Refreshes the ticket first, then returns the same text as [`Broker::config_text`].
    ///
    /// # Errors
    /// As [`Broker::js_config`].
    pub(crate) async fn refreshed_config_text(
        &self,
        account: &str,
        page: &PageUrl,
        options: &ConfigOptions,
    ) -> Result<Vec<u8>, Error> {
        let entry = self.entry(account)?;
        let slot = entry.slot_for(Kind::JsapiTicket, page)?;
        let (signer, time) = self.signer(&entry, slot).await?;
        Ok(entry.config_text(&signer, page, options, time))
    }

    async fn signed(
        &self,
        entry: &Arc<AccountEntry>,
        kind: Kind,
        page: &PageUrl,
    ) -> Result<JsConfig, Error> {
        let slot = entry.slot_for(kind, page)?;
        let (signer, time) = self.signer(entry, slot).await?;
        Ok(entry.config(&signer, page, time))
    }

    /// Returns the signer with the current ticket, refreshed first if necessary, and the time of signing.
    async fn signer(
        &self,
        entry: &Arc<AccountEntry>,
        slot: &Arc<Slot>,
    ) -> Result<(Signer, UnixTime), Error> {
        let at = self.inner.clock.moment();
        if let Some(current) = self.current(slot, &at).as_ref() {
            slot.want();
            return Ok((current.signer.clone(), at.wall));
        }
        let ticket = self.refresh(entry, slot, Reason::Missing).await?;
        let signer = Signer::new(entry.account.app_id(), ticket.value.clone());
        Ok((signer, self.inner.clock.wall()))
    }
}

impl AccountEntry {
    /// Reads from the cache lines that a signature needs. Of ten thousand accounts most are not in the cache, and the
    /// atomic operations of signing would wait for one line after the other.
    fn bring_near(&self, slot: &Slot) {
        let text = self.template().text.bytes().step_by(CACHE_LINE);
        let text = text.fold(0, |all, byte| all ^ byte);
        black_box((slot.is_wanted(), text, self.answers.ok()));
    }

    /// Returns the slot whose ticket signs this page.
    fn slot_for(&self, kind: Kind, page: &PageUrl) -> Result<&Arc<Slot>, Error> {
        let slot = self.slot(kind)?;
        self.bring_near(slot);
        if self.allows(page) {
            slot.note_use();
            return Ok(slot);
        }
        let (host, path) = (page.host(), page.path());
        let path = if self.account.allows_host(host) {
            path.get(..MAX_SHOWN_PATH).unwrap_or(path)
        } else {
            ""
        };
        Err(Error::PageNotAllowed {
            account: self.name.clone(),
            host: format!("{host}{path}"),
        })
    }

    fn allows(&self, page: &PageUrl) -> bool {
        self.template().allows(page.host(), page.path())
    }

    fn template(&self) -> &Template {
        self.template.get_or_init(|| Template::of(&self.account))
    }

    fn config_text(
        &self,
        signer: &Signer,
        page: &PageUrl,
        options: &ConfigOptions,
        time: UnixTime,
    ) -> Vec<u8> {
        if page.warning().is_none() && *options == ConfigOptions::default() {
            return self.template().fill(signer, page.as_str(), time);
        }
        let mut config = self.config(signer, page, time);
        options.apply(&mut config);
        serde_json::to_vec(&config).expect("texts and numbers always serialise")
    }

    /// Returns the answer to a request without options, with a new nonce.
    fn config(&self, signer: &Signer, page: &PageUrl, time: UnixTime) -> JsConfig {
        JsConfig {
            warning: page.warning(),
            ..default_config(&self.account, signer, page.as_str(), &nonce(), time)
        }
    }
}

/// Returns the answer for a page whose address causes no warning.
fn default_config(
    account: &Account,
    signer: &Signer,
    url: &str,
    nonce: &str,
    timestamp: UnixTime,
) -> JsConfig {
    JsConfig {
        beta: matches!(account.platform(), Platform::Work { .. }),
        js_api_list: account.js_apis().to_vec(),
        open_tag_list: account.open_tags().to_vec(),
        ..signer.sign_text(url, nonce, timestamp)
    }
}

fn blank_config(account: &Account) -> JsConfig {
    let signer = Signer::new(account.app_id(), "");
    default_config(account, &signer, "", "", UnixTime(0))
}

/// The JSON text of a [`JsConfig`] as serde writes it, without timestamp, nonce, signature and URL: the
/// part that is the same for every page of an account. The account's safe domains are kept before it in one
/// allocation, since most of ten thousand accounts are not in the CPU cache.
#[derive(Debug)]
pub(super) struct Template {
    /// The safe domains, one a line, then the JSON text.
    text: Box<str>,
    /// Offset of the JSON text.
    json_at: usize,
    /// Offsets of timestamp, nonce, signature and URL.
    at: [usize; 4],
    /// Whether a safe domain covers its subdomains.
    subdomains: bool,
}

impl Template {
    /// `config` must have an empty nonce and URL, and the timestamp 0.
    fn new(config: &JsConfig) -> Self {
        let signature = config.signature.to_string();
        let mut text = serde_json::to_string(config).expect("texts and numbers always serialise");
        // Quotes inside values are escaped, so these patterns match only field names.
        let mut hole = |mark: &str, length: usize| {
            let at = text.find(mark).expect("serde writes every field") + mark.len();
            text.replace_range(at..at + length, "");
            at
        };
        let at = [
            hole(r#""timestamp":"#, "0".len()),
            hole(r#""nonceStr":""#, 0),
            hole(r#""signature":""#, signature.len()),
            hole(r#","url":""#, 0),
        ];
        Self {
            text: text.into(),
            json_at: 0,
            at,
            subdomains: false,
        }
    }

    /// Returns the template of an account's answers without options.
    fn of(account: &Account) -> Self {
        let domains = account.safe_domains().iter().map(ToString::to_string);
        // No page has a line break in its path.
        let domains = domains.filter(|domain| !domain.contains('\n'));
        let domains: String = domains.map(|domain| domain + "\n").collect();
        let json = Self::new(&blank_config(account));
        let json_at = domains.len();
        Self {
            text: (domains + &json.text).into(),
            json_at,
            at: json.at.map(|at| json_at + at),
            subdomains: account.covers_subdomains(),
        }
    }

    /// Returns [`Account::allows_page`].
    fn allows(&self, host: &str, path: &str) -> bool {
        let mut start = 0;
        memchr_iter(b'\n', &self.text.as_bytes()[..self.json_at]).any(|end| {
            let domain = &self.text[start..end];
            start = end + 1;
            SafeDomain::covers(domain, self.subdomains, host, path)
        })
    }

    /// Returns the answer for the page at `url`, with a new nonce.
    fn fill(&self, signer: &Signer, url: &str, time: UnixTime) -> Vec<u8> {
        let nonce = nonce_digits();
        let mut digits = itoa::Buffer::new();
        let seconds = digits.format(time.0).as_bytes();
        let signature = signer.signature_of(&nonce, seconds, url).hex();
        // A URL is visible ASCII, of which JSON escapes two characters. Counting without an early exit lets
        // the compiler vectorise the loop.
        let is_escaped = |byte: &u8| (*byte == b'"') | (*byte == b'\\');
        let escapes: usize = url.bytes().map(|byte| usize::from(is_escaped(&byte))).sum();
        let text = self.text.as_bytes();
        let mut written = self.json_at;
        let length = text.len() - written
            + (seconds.len() + nonce.len() + signature.len() + url.len() + escapes);
        let mut json = Vec::with_capacity(length);
        for (at, value) in self.at.into_iter().zip([seconds, &nonce, &signature]) {
            json.extend_from_slice(&text[written..at]);
            json.extend_from_slice(value);
            written = at;
        }
        json.extend_from_slice(&text[written..self.at[3]]);
        if escapes == 0 {
            json.extend_from_slice(url.as_bytes());
        } else {
            for byte in url.bytes() {
                if is_escaped(&byte) {
                    json.push(b'\\');
                }
                json.push(byte);
            }
        }
        json.extend_from_slice(&text[self.at[3]..]);
        json
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // helpers of tests are not in a #[test]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Fills the template and compares the text with serde's.
    fn agree(account: &Account, url: &str, time: u64) {
        let signer = Signer::new(account.app_id(), "a-ticket");
        let json = Template::of(account).fill(&signer, url, UnixTime(time));
        assert_eq!(json.capacity(), json.len());
        let text = String::from_utf8(json).unwrap();
        let read: Value = serde_json::from_str(&text).unwrap();
        let nonce = read["nonceStr"].as_str().unwrap();
        let config = default_config(account, &signer, url, nonce, UnixTime(time));
        assert_eq!(text, serde_json::to_string(&config).unwrap());
    }

    #[test]
    fn the_json_equals_serdes_for_all_platforms_and_field_like_names() {
        let official = Account::official("wx12ab", "s").js_api_list(["chooseImage", "scanQRCode"]);
        let work = Account::work("ww12ab", 7, "s").open_tag_list(["wx-open-audio"]);
        let odd = Account::official(r#"","timestamp":0,"url":""#, "s")
            .js_api_list([r#""signature":""#, r#"\","url":""#]);
        let bound = Account::official("wx12ab", "s")
            .js_safe_domain("example.com/shop")
            .unwrap();
        for account in [official, work, odd, bound, Account::mini("wx12ab", "s")] {
            agree(&account, "https://example.com/p?a=1", 1_767_225_600);
        }
    }

    #[test]
    fn a_template_allows_the_pages_of_its_account() {
        let domains = ["example.com", "shop.example.org/a", "localhost"];
        let pages = [
            ("example.com", "/"),
            ("www.example.com", "/p"),
            ("evilexample.com", "/"),
            ("shop.example.org", "/a/b"),
            ("shop.example.org", "/ab"),
            ("localhost", "/"),
            ("", ""),
        ];
        for account in [Account::official("wx1", "s"), Account::work("ww1", 7, "s")] {
            let bind = |account: Account, domain| account.js_safe_domain(domain).unwrap();
            let bound = domains.into_iter().fold(account.clone(), bind);
            for account in [account, bound] {
                for (host, path) in pages {
                    assert_eq!(
                        Template::of(&account).allows(host, path),
                        account.allows_page(host, path),
                        "{host}{path}"
                    );
                }
            }
        }
    }

    proptest! {
        #[test]
        fn the_json_equals_serdes_for_every_printable_address(
            app in "\\PC{1,12}", apis in prop::collection::vec("\\PC{0,8}", 0..4), url in "https://[!-~]{0,80}",
            time in 0u64..4_000_000_000,
        ) {
            agree(&Account::official(app.as_str(), "s").js_api_list(&apis).open_tag_list(apis.iter().rev()), &url, time);
        }
    }
}
