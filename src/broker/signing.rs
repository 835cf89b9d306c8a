//! Signatures with the current tickets: the answers of the signing endpoints.

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::hint::black_box;
use std::sync::Arc;

use memchr::memchr_iter;

use super::slot::{Reason, Slot};
use super::stats::StatusCounts;
use super::{AccountEntry, Broker};
use crate::account::{Account, Platform, SafeDomain};
use crate::clock::{Moment, UnixTime};
use crate::credential::Kind;
use crate::error::{Error, PageError};
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
        let entry = self.entry_or_stored(account).await?;
        self.signed(&entry, Kind::JsapiTicket, page).await
    }

    /// Returns everything that `wx.agentConfig` needs. It is signed with the app's own ticket, not the
    /// corp's; confusing the two is the most common mistake.
    ///
    /// # Errors
    /// [`Error::UnsupportedCredential`] for an account that is not a WeCom app; otherwise as
    /// [`Broker::js_config`].
    pub async fn agent_config(&self, account: &str, page: &PageUrl) -> Result<AgentConfig, Error> {
        let entry = self.entry_or_stored(account).await?;
        let Platform::Work { agent_id } = entry.account.platform() else {
            return Err(entry.unsupported(Kind::AgentTicket));
        };
        let config = self.signed(&entry, Kind::AgentTicket, page).await?;
        Ok(AgentConfig::new(config, agent_id))
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
        let entry = self.entry_or_stored(account).await?;
        let ticket = self.credential(account, Kind::CardTicket).await?;
        Ok(ChooseCard::sign(
            &ticket.value,
            entry.account.app_id(),
            filter,
            &nonce(),
            self.inner.clock.wall(),
        ))
    }

    /// Returns [`Broker::js_config`] as JSON text from memory, signed at this moment, with the account's counters;
    /// `None` if the ticket has to be refreshed first, or the account to be looked for in the store.
    ///
    /// # Errors
    /// As [`Broker::js_config`], except for upstream errors.
    pub(crate) fn config_text(
        &self,
        account: &str,
        page: &PageUrl,
        options: &ConfigOptions,
        at: &Moment,
    ) -> Result<Option<CountedText>, Error> {
        let accounts = self.inner.accounts.load();
        let entry = match self.find(&accounts, account) {
            Err(_) if self.may_be_stored(&accounts, account) => return Ok(None),
            found => found?,
        };
        let slot = entry.slot_for(Kind::JsapiTicket, page)?;
        let current = self.current(slot, at);
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
        let entry = self.entry_or_stored(account).await?;
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
        let own = self.page_answer.own.bytes().step_by(CACHE_LINE);
        let own = own.fold(0, |all, byte| all ^ byte);
        black_box((slot.is_wanted(), own, self.answers.ok()));
    }

    /// Returns the slot whose ticket signs this page, if the account may sign it and every other page for which
    /// the signature would hold.
    fn slot_for(&self, kind: Kind, page: &PageUrl) -> Result<&Arc<Slot>, Error> {
        let slot = self.slot(kind)?;
        self.bring_near(slot);
        if !self.allows(page) {
            let (host, path) = (page.host(), page.path());
            let path = if self.account.allows_host(host) {
                path.get(..MAX_SHOWN_PATH).unwrap_or(path)
            } else {
                ""
            };
            return Err(Error::PageNotAllowed {
                account: self.name.clone(),
                platform: self.account.platform().as_str(),
                host: format!("{host}{path}"),
            });
        }
        let is_own = |other: &Option<PageUrl>| other.as_ref().is_some_and(|it| self.allows(it));
        if !page.also_signed().all(|other| is_own(&other)) {
            return Err(Error::Page(PageError::OtherPage));
        }
        slot.note_use();
        Ok(slot)
    }

    fn allows(&self, page: &PageUrl) -> bool {
        self.page_answer.allows(page.host(), page.path())
    }

    fn config_text(
        &self,
        signer: &Signer,
        page: &PageUrl,
        options: &ConfigOptions,
        time: UnixTime,
    ) -> Vec<u8> {
        if page.warning().is_none() && *options == ConfigOptions::default() {
            return self.page_answer.fill(signer, page.as_str(), time);
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

/// The JSON text of a [`JsConfig`] as serde writes it, without the five values that differ from page to page or from
/// account to account. Accounts with the same lists share it, so that it stays in the CPU cache.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Template {
    text: String,
    /// Offsets of AppID, timestamp, nonce, signature and URL.
    at: [usize; 5],
}

impl Template {
    /// `config` must have an empty AppID, nonce and URL, and the timestamp 0.
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
            hole(r#""appId":""#, 0),
            hole(r#""timestamp":"#, "0".len()),
            hole(r#""nonceStr":""#, 0),
            hole(r#""signature":""#, signature.len()),
            hole(r#","url":""#, 0),
        ];
        Self { text, at }
    }
}

/// The templates of all accounts.
#[derive(Debug, Default)]
pub(super) struct Templates(HashSet<Arc<Template>>);

impl Clone for Templates {
    /// Leaves out those that no account has any more.
    fn clone(&self) -> Self {
        let used = self.0.iter().filter(|it| Arc::strong_count(it) > 1);
        Self(used.cloned().collect())
    }
}

impl Templates {
    fn share(&mut self, template: Template) -> Arc<Template> {
        if let Some(same) = self.0.get(&template) {
            return same.clone();
        }
        let template = Arc::new(template);
        self.0.insert(template.clone());
        template
    }
}

/// What the answers for pages of one account need: which pages may be signed, and the text around the signature.
#[derive(Debug)]
pub(super) struct PageAnswer {
    /// The safe domains, one a line, then the AppID as JSON writes it: in one allocation, since most of ten
    /// thousand accounts are not in the CPU cache.
    own: Box<str>,
    /// Offset of the AppID.
    app_id_at: usize,
    /// Whether a safe domain covers its subdomains.
    subdomains: bool,
    template: Arc<Template>,
}

impl PageAnswer {
    /// Returns what the answers without options of an account need.
    pub(super) fn new(account: &Account, templates: &mut Templates) -> Self {
        // A domain contains no line break.
        let domains = account.safe_domains().iter();
        let domains: String = domains.map(|domain| domain.to_string() + "\n").collect();
        let app_id = serde_json::to_string(account.app_id()).expect("a text always serialises");
        let blank = default_config(account, &Signer::new("", ""), "", "", UnixTime(0));
        Self {
            app_id_at: domains.len(),
            own: (domains + &app_id[1..app_id.len() - 1]).into(),
            subdomains: account.covers_subdomains(),
            template: templates.share(Template::new(&blank)),
        }
    }

    /// Returns [`Account::allows_page`].
    fn allows(&self, host: &str, path: &str) -> bool {
        let mut start = 0;
        memchr_iter(b'\n', &self.own.as_bytes()[..self.app_id_at]).any(|end| {
            let domain = &self.own[start..end];
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
        let app_id = &self.own.as_bytes()[self.app_id_at..];
        // A URL is visible ASCII, of which JSON escapes two characters. Counting without an early exit lets
        // the compiler vectorise the loop.
        let is_escaped = |byte: &u8| (*byte == b'"') | (*byte == b'\\');
        let escapes: usize = url.bytes().map(|byte| usize::from(is_escaped(&byte))).sum();
        let values = [app_id, seconds, &nonce, &signature];
        let length: usize = values.iter().map(|value| value.len()).sum();
        let Template { text, at } = &*self.template;
        let text = text.as_bytes();
        let mut json = Vec::with_capacity(text.len() + length + url.len() + escapes);
        let mut written = 0;
        for (at, value) in at.iter().zip(values) {
            json.extend_from_slice(&text[written..*at]);
            json.extend_from_slice(value);
            written = *at;
        }
        let [.., url_at] = *at;
        json.extend_from_slice(&text[written..url_at]);
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
        json.extend_from_slice(&text[url_at..]);
        json
    }
}
