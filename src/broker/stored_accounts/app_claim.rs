//! One stored account per app, among all nodes: a document for each app names the account that has it.
//!
//! An account is added in two steps, and each one writes before it reads:
//! 1. It writes its name into the claim, then reads the account that the claim named before.
//! 2. It writes the account, then reads the claim.
//!
//! So of two accounts that are added at the same time, at least one sees the other.

use std::collections::BTreeSet;

use super::change::{ChangeRefused, same_app};
use super::{document_name, is_present, record};
use crate::account::Account;
use crate::broker::Broker;
use crate::store::{Document, StoreError};

impl Broker {
    /// Claims the app of an account for this name, unless a stored account with another name has it. The claim of
    /// an account that was removed, or has another app now, does not count.
    pub(super) async fn claim_app(
        &self,
        name: &str,
        account: &Account,
    ) -> Result<(), ChangeRefused> {
        let (store, now) = (&self.inner.store, self.inner.clock.now());
        let document = claim_name(account);
        loop {
            let Some(before) = store.load_document(&document, now).await? else {
                let new = Document::new(name);
                if store.save_document(&document, &new, now).await?.is_some() {
                    return Ok(());
                }
                continue;
            };
            let owner = before.text.expose();
            if owner == name {
                return Ok(());
            }
            if self.has_app(owner, account).await? {
                return Err(same_app(account, owner));
            }
            let new = Document::after(Some(&before), name);
            let Some(version) = store.save_document(&document, &new, now).await? else {
                continue;
            };
            if self.has_app(owner, account).await? {
                let back = Document {
                    version,
                    ..Document::new(owner)
                };
                store.save_document(&document, &back, now).await?;
                return Err(same_app(account, owner));
            }
            return Ok(());
        }
    }

    /// Whether another account has claimed the app of an account since this name did.
    pub(super) async fn lost_claim(
        &self,
        name: &str,
        account: &Account,
    ) -> Result<bool, StoreError> {
        let (store, now) = (&self.inner.store, self.inner.clock.now());
        let claim = store.load_document(&claim_name(account), now).await?;
        Ok(claim.is_some_and(|claim| claim.text.expose() != name))
    }

    /// Reads the claims of the accounts in these documents, and those of removed accounts beside them: after a
    /// change of the store's key, that writes them again with the current one.
    pub(super) async fn load_claims(
        &self,
        accounts: &[(String, Option<Document>)],
    ) -> Result<(), StoreError> {
        let (store, now) = (&self.inner.store, self.inner.clock.now());
        let mut groups = BTreeSet::from([WEIXIN_CLAIMS.to_owned()]);
        let readable = accounts.iter().filter_map(|(_, stored)| stored.as_ref());
        for account in readable.filter_map(|stored| record::read(&stored.text)) {
            let name = claim_name(&account);
            groups.extend(name.rsplit_once(':').map(|(group, _)| group.to_owned()));
        }
        for group in groups {
            store.load_documents(&group, now).await?;
        }
        Ok(())
    }

    /// Claims the app of an account that is stored again. A claim of an unknown key is not lost.
    pub(super) async fn restore_claim(
        &self,
        name: &str,
        account: &Account,
    ) -> Result<(), StoreError> {
        let (store, now) = (&self.inner.store, self.inner.clock.now());
        let document = claim_name(account);
        let claim = Document::new(name);
        match store.save_document(&document, &claim, now).await {
            Err(StoreError::OtherKey { .. }) => Ok(()),
            saved => saved.map(drop),
        }
    }

    /// Whether the stored account with this name is this app. One that this version cannot read may be.
    async fn has_app(&self, name: &str, account: &Account) -> Result<bool, StoreError> {
        let (store, now) = (&self.inner.store, self.inner.clock.now());
        let stored = store.load_document(&document_name(name), now).await?;
        let identity = account.app_identity();
        Ok(stored.filter(is_present).is_some_and(|stored| {
            let stored = record::read(&stored.text);
            stored.is_none_or(|stored| stored.app_identity() == identity)
        }))
    }
}

/// The group of the claims of official accounts and mini programs. WeCom's are in one group for each corp.
const WEIXIN_CLAIMS: &str = "app:weixin";

fn claim_name(account: &Account) -> String {
    format!("app:{}", account.app_identity())
}
