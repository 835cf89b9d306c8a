//! Signatures with living tickets: what the endpoints answer.

use std::sync::Arc;

use super::slot::Reason;
use super::{AccountEntry, Broker};
use crate::account::{Account, Platform};
use crate::clock::UnixTime;
use crate::credential::Kind;
use crate::error::Error;
use crate::sign::{AgentConfig, CardExt, ChooseCard, JsConfig, PageUrl, Signer, nonce};

impl Broker {
    /// Everything `wx.config` takes, for one page, signed now: a fresh nonce, the wall clock's second, the account's default lists.
    ///
    /// # Errors
    /// [`Error::PageNotAllowed`] for a page outside the account's JS safe domains; else as [`Broker::credential`].
    pub async fn js_config(&self, account: &str, page: &PageUrl) -> Result<JsConfig, Error> {
        let member = self.member(account)?;
        self.signed(&member, Kind::JsapiTicket, page).await
    }

    /// Everything `wx.agentConfig` takes. Signed with the app's own ticket, not with the corp's: mixing them up is the classic
    /// failure.
    ///
    /// # Errors
    /// [`Error::UnsupportedCredential`] for an account that is no WeCom app; else as [`Broker::js_config`].
    pub async fn agent_config(&self, account: &str, page: &PageUrl) -> Result<AgentConfig, Error> {
        let member = self.member(account)?;
        let config = self.signed(&member, Kind::AgentTicket, page).await?;
        match member.account.platform() {
            Platform::Work { agent_id } => Ok(AgentConfig::new(config, agent_id)),
            platform => Err(Error::UnsupportedCredential {
                account: member.name.clone(),
                platform: platform.as_str(),
                kind: Kind::AgentTicket,
            }),
        }
    }

    /// The `cardExt` text of one coupon for `wx.addCard`; `card`'s time and nonce are set here, fresh.
    ///
    /// # Errors
    /// [`Error::UnsupportedCredential`] for an account without card ticket; else as [`Broker::credential`].
    pub async fn card_ext(&self, account: &str, card: CardExt) -> Result<String, Error> {
        let ticket = self.credential(account, Kind::CardTicket).await?;
        let card = CardExt {
            timestamp: self.inner.clock.wall(),
            nonce_str: nonce(),
            ..card
        };
        Ok(card.sign(&ticket.value))
    }

    /// Everything `wx.chooseCard` takes. `filter`: shop id, card id and card type, each may be empty.
    ///
    /// # Errors
    /// As [`Broker::card_ext`].
    pub async fn choose_card(&self, account: &str, filter: [&str; 3]) -> Result<ChooseCard, Error> {
        let app_id = self.account(account)?;
        let ticket = self.credential(account, Kind::CardTicket).await?;
        Ok(ChooseCard::sign(
            &ticket.value,
            app_id.app_id(),
            filter,
            &nonce(),
            self.inner.clock.wall(),
        ))
    }

    async fn signed(
        &self,
        member: &Arc<AccountEntry>,
        kind: Kind,
        page: &PageUrl,
    ) -> Result<JsConfig, Error> {
        let slot = member.slot(kind)?;
        if !member.account.allows_page(page.host(), page.path()) {
            return Err(Error::PageNotAllowed {
                account: member.name.clone(),
                host: page.host().to_owned(),
            });
        }
        let (account, at) = (&member.account, self.inner.clock.moment());
        let config =
            |signer: &Signer, time| default_config(account, signer, page.as_str(), &nonce(), time);
        if let Some(living) = self.living_at(slot, &at).as_ref() {
            return Ok(config(&living.signer, at.wall));
        }
        let ticket = self.refresh(member, slot, Reason::Missing).await?;
        Ok(config(
            &Signer::new(account.app_id(), ticket.value.clone()),
            self.inner.clock.wall(),
        ))
    }
}

/// The answer to a request that asks for nothing of its own.
pub(super) fn default_config(
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
