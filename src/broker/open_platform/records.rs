//! The records of an open platform in the store, changed by compare-and-set.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use super::reconcile::{CHANGES_AT_ONCE, is_list_due};
use super::{Known, PlatformState, Todo, record_groups};
use crate::broker::{AccountEntry, Broker};
use crate::clock::{UnixTime, per_page};
use crate::credential::Secret;
use crate::platform::authorizer::State;
use crate::platform::{Authorizer, PlatformTicket};
use crate::store::{Document, StoreError, at_most};

impl Broker {
    /// Stores a pushed ticket. Returns whether that is news to this process.
    pub(super) async fn change_ticket(
        &self,
        platform: &AccountEntry,
        value: &Secret,
        create_time: UnixTime,
    ) -> Result<bool, StoreError> {
        let (store, name) = (&self.inner.store, document_name(platform, TICKET));
        loop {
            let now = self.inner.clock.now();
            let stored = store.load_document(&name, now).await?;
            let found = stored.as_ref().and_then(read_ticket);
            let lost = self.know(platform, |known| known.lost_ticket(found.as_ref()).cloned());
            let is_lost = lost.is_some();
            let before = lost.or_else(|| found.as_ref().map(|(found, _)| found.clone()));
            let Some(new) = PlatformTicket::pushed(before.as_ref(), value, create_time, now) else {
                return Ok(self.know(platform, |known| known.note_ticket(found)));
            };
            let document = Document::after(stored.as_ref(), new.write());
            if let Some(version) = store.save_document(&name, &document, now).await? {
                return Ok(self.know(platform, |known| {
                    // WeChat may accept now what it refused before.
                    known.refused_tickets.retain(|refused| refused != value);
                    if is_lost {
                        known.ticket_version = 0;
                    }
                    known.note_ticket(Some((new, version)))
                }));
            }
        }
    }

    /// Changes the record of an account, again if another node changes it at the same time. Returns the record
    /// as it is stored now, and what the change asks for. An account that is unknown after the change has no record,
    /// and nothing to do.
    pub(super) async fn change_authorizer(
        &self,
        platform: &Arc<AccountEntry>,
        app_id: &str,
        change: impl Fn(&mut Authorizer) -> Todo,
    ) -> Result<(Option<Authorizer>, Todo), StoreError> {
        let (store, name) = (&self.inner.store, authorizer_document(platform, app_id));
        loop {
            let now = self.inner.clock.now();
            let stored = store.load_document(&name, now).await?;
            let found = stored.as_ref().and_then(read_authorizer);
            // No record is ever removed: the store has lost one that is known, or its newest version.
            let lost = self.know(platform, |known| {
                known.lost_authorizer(app_id, found.as_ref()).cloned()
            });
            let is_lost = lost.is_some();
            let before = lost.or_else(|| found.as_ref().map(|(found, _)| found.clone()));
            let unknown = || Authorizer::unknown(app_id);
            let mut record = before.clone().unwrap_or_else(unknown);
            let todo = change(&mut record);
            if before.is_none() && record.state == State::Missing {
                return Ok((None, Todo::Nothing));
            }
            let version = match is_lost || before.as_ref() != Some(&record) {
                false => Some(found.map_or(0, |(_, version)| version)),
                true => {
                    let document = Document::after(stored.as_ref(), record.write());
                    store.save_document(&name, &document, now).await?
                }
            };
            if let Some(version) = version {
                if is_lost {
                    self.know(platform, |known| {
                        known.versions.remove(app_id);
                    });
                }
                self.note_authorizers(platform, vec![(record.clone(), version)]);
                return Ok((Some(record), todo));
            }
        }
    }

    /// Returns the record of an account as it is stored now.
    pub(super) async fn authorizer(
        &self,
        platform: &Arc<AccountEntry>,
        app_id: &str,
    ) -> Result<Option<Authorizer>, StoreError> {
        let unchanged = |_: &mut Authorizer| Todo::Nothing;
        let found = self.change_authorizer(platform, app_id, unchanged).await?;
        Ok(found.0)
    }

    /// Returns the record of an account as it was when it was last read or changed.
    pub(super) fn known_authorizer(
        &self,
        platform: &AccountEntry,
        app_id: &str,
    ) -> Option<Authorizer> {
        self.know(platform, |known| known.authorizers.get(app_id).cloned())
    }

    /// Reads the platform's records: once, and again every few seconds if other nodes may change them. Writes
    /// known ones again that the store has lost, such as a Redis without persistence that restarted, or one that
    /// failed over to an older copy.
    pub(super) async fn look_into_store(
        &self,
        platform: &Arc<AccountEntry>,
        state: &PlatformState,
    ) -> Result<(), StoreError> {
        let (store, now) = (&self.inner.store, self.inner.clock.now());
        let uptime = self.inner.clock.uptime();
        {
            let mut known = state.known.lock();
            let may_differ = store.is_shared() || !known.is_loaded;
            let every = per_page(LOOK_EVERY, known.authorizers.len());
            if !may_differ || !known.look.take(uptime, every) {
                return Ok(());
            }
        }
        let [own, authorizers] = record_groups(platform);
        let mut own = HashMap::<_, _>::from_iter(store.load_documents(&own, now).await?);
        let ticket = own.remove(&document_name(platform, TICKET));
        let listed = own.remove(&document_name(platform, LISTED));
        let records = store.load_documents(&authorizers, now).await?;
        let (is_new, lost) = {
            let mut known = state.known.lock();
            let lost = known.missing_in(platform, ticket.as_ref(), &records);
            let stored = ticket.flatten().as_ref().and_then(read_ticket);
            let is_new = known.note_ticket(stored);
            // Not from memory: if the store has lost this, the list is due, and restores what no node knows.
            known.listed_at = listed.flatten().as_ref().and_then(read_time);
            known.is_loaded = true;
            (is_new, lost)
        };
        let records = records.iter();
        let records = records.filter_map(|(_, document)| read_authorizer(document.as_ref()?));
        self.note_authorizers(platform, records.collect());
        if is_new {
            self.end_waits_for_token(&platform.account.app_key());
        }
        self.write_again(platform, lost).await
    }

    /// Stores documents that the store has lost, unless another node was faster.
    async fn write_again(
        &self,
        platform: &Arc<AccountEntry>,
        lost: Vec<(String, Document)>,
    ) -> Result<(), StoreError> {
        let saves = lost.into_iter().map(|(name, document)| {
            let (broker, platform) = (self.clone(), platform.clone());
            async move {
                let (store, now) = (&broker.inner.store, broker.inner.clock.now());
                let saved = store.save_document(&name, &document, now).await?;
                broker.know(&platform, |known| known.note_version(&document.text, saved));
                Ok(saved)
            }
        });
        let saved = at_most(CHANGES_AT_ONCE, &self.inner.runtime, saves).await;
        let restored = saved.iter().filter(|saved| matches!(saved, Ok(Some(_))));
        let restored = restored.count();
        if restored > 0 {
            warn!(
                platform = platform.name,
                restored, "platform records written again from memory: the store had lost them"
            );
        }
        saved.into_iter().try_for_each(|saved| saved.map(drop))
    }

    /// Claims the reading of WeChat's list for this node, for some minutes. Returns whether it is due and this
    /// node may read it now.
    pub(super) async fn claim_list(&self, platform: &AccountEntry) -> Result<bool, StoreError> {
        let (store, now) = (&self.inner.store, self.inner.clock.now());
        let listed = document_name(platform, LISTED);
        let stored = store.load_document(&listed, now).await?;
        let last = stored.as_ref().and_then(read_time);
        if !is_list_due(last, now) {
            self.know(platform, |known| known.listed_at = last);
            return Ok(false);
        }
        self.claim_for(platform, "listing", LIST_CLAIMED).await
    }

    /// Notes when the list was read, once all of it is in the records.
    pub(super) async fn note_listed(
        &self,
        platform: &AccountEntry,
        at: UnixTime,
    ) -> Result<(), StoreError> {
        let (store, name) = (&self.inner.store, document_name(platform, LISTED));
        let now = self.inner.clock.now();
        self.know(platform, |known| known.listed_at = Some(at));
        let stored = store.load_document(&name, now).await?;
        let document = Document::after(stored.as_ref(), at.0.to_string());
        // If another node was faster, its note is as good.
        store.save_document(&name, &document, now).await.map(drop)
    }

    /// Claims a code among all nodes: the push and the browser bring the same one. Returns `None` if this node
    /// may redeem it, otherwise what the other one has stored: the AppID, once it is known, or that WeChat refused
    /// the code ([`refusal_in`]).
    pub(super) async fn claim_code(
        &self,
        platform: &AccountEntry,
        code_id: &str,
    ) -> Result<Option<String>, StoreError> {
        let (store, name) = (&self.inner.store, code_name(platform, code_id));
        let now = self.inner.clock.now();
        let claim = Document::new("").until(now.plus(CODE_KEPT));
        loop {
            if let Some(stored) = store.load_document(&name, now).await? {
                return Ok(Some(stored.text.expose().to_owned()));
            }
            if store.save_document(&name, &claim, now).await?.is_some() {
                return Ok(None);
            }
        }
    }

    /// Replaces the text of a claim and keeps it for this long, if it is still there and no other node is faster. A
    /// document that has ended counts as absent.
    pub(super) async fn replace_claim(
        &self,
        name: &str,
        text: &str,
        keep: Duration,
    ) -> Result<(), StoreError> {
        let (store, now) = (&self.inner.store, self.inner.clock.now());
        let Some(stored) = store.load_document(name, now).await? else {
            return Ok(());
        };
        let document = Document::after(Some(&stored), text).until(now.plus(keep));
        store.save_document(name, &document, now).await.map(drop)
    }

    /// Reads or changes what is known of a platform.
    pub(super) fn know<T: Default>(
        &self,
        platform: &AccountEntry,
        change: impl FnOnce(&mut Known) -> T,
    ) -> T {
        let state = platform.open_platform.as_ref();
        state.map_or_else(T::default, |state| change(&mut state.known.lock()))
    }
}

/// Returns the errcode with which WeChat refused a code, if its claim says so.
pub(super) fn refusal_in(claim: &str) -> Option<i64> {
    claim.strip_prefix(REFUSED)?.parse().ok()
}

impl Known {
    /// Returns the known ticket if the store has lost it, or has gone back to an older one, or was read before it was
    /// stored.
    fn lost_ticket(&self, found: Option<&(PlatformTicket, u64)>) -> Option<&PlatformTicket> {
        self.ticket.as_ref().filter(|known| {
            // A store that has lost everything counts from 1 again: a later ticket is newer despite its number.
            found.is_none_or(|(found, version)| {
                *version < self.ticket_version
                    && found != *known
                    && found.create_time <= known.create_time
            })
        })
    }

    /// Returns the known record of an account if the store has lost it, or has gone back to an older version.
    fn lost_authorizer(
        &self,
        app_id: &str,
        found: Option<&(Authorizer, u64)>,
    ) -> Option<&Authorizer> {
        let is_lost = found.is_none_or(|(found, version)| self.is_older(found, *version));
        self.authorizers.get(app_id).filter(|_| is_lost)
    }

    /// Notes the stored ticket, unless a newer one is known. Returns whether it was not known.
    fn note_ticket(&mut self, found: Option<(PlatformTicket, u64)>) -> bool {
        if self.lost_ticket(found.as_ref()).is_some() {
            return false;
        }
        let Some((ticket, version)) = found else {
            return false;
        };
        self.ticket_version = version;
        self.ticket.replace(ticket) != self.ticket
    }

    /// Whether a stored record is older than the known one: its store has gone back to an earlier state, or it was
    /// read before the known one was stored.
    pub(super) fn is_older(&self, stored: &Authorizer, version: u64) -> bool {
        let Some(known) = self.authorizers.get(&stored.app_id) else {
            return false;
        };
        let known_version = self.versions.get(&stored.app_id).copied();
        // A store that has lost everything counts from 1 again: a later event is newer despite its number.
        known_version.is_some_and(|known| version < known)
            && stored != known
            && stored.newest.at <= known.newest.at
    }

    /// Notes the version with which the store has a known record again.
    fn note_version(&mut self, text: &Secret, version: Option<u64>) {
        if let Some(record) = Authorizer::read(text)
            && let Some(version) = version
            && self.authorizers.get(&record.app_id) == Some(&record)
        {
            self.versions.insert(record.app_id, version);
        }
    }

    /// Returns what is known and not in the store, or in an older version there: the names of the documents and
    /// what to store.
    fn missing_in(
        &self,
        platform: &AccountEntry,
        ticket: Option<&Option<Document>>,
        stored: &[(String, Option<Document>)],
    ) -> Vec<(String, Document)> {
        let stored: HashMap<_, _> = stored.iter().map(|(name, it)| (name, it)).collect();
        let records = self.authorizers.values().filter_map(|record| {
            let name = authorizer_document(platform, &record.app_id);
            let before = match stored.get(&name) {
                None => None,
                Some(before) => {
                    // One that cannot be read here is not lost.
                    let before = before.as_ref()?;
                    let (found, version) = read_authorizer(before)?;
                    if !self.is_older(&found, version) {
                        return None;
                    }
                    Some(before)
                }
            };
            Some((name, Document::after(before, record.write())))
        });
        let is_readable = !matches!(ticket, Some(None));
        let ticket = ticket.and_then(Option::as_ref);
        let found = ticket.and_then(read_ticket);
        let lost_ticket = self.lost_ticket(found.as_ref()).filter(|_| is_readable);
        let name = document_name(platform, TICKET);
        let lost_ticket = lost_ticket.map(|known| (name, Document::after(ticket, known.write())));
        records.chain(lost_ticket).collect()
    }
}

/// Returns the ticket in a document, and its version.
fn read_ticket(document: &Document) -> Option<(PlatformTicket, u64)> {
    Some((PlatformTicket::read(&document.text)?, document.version))
}

/// Returns the record in a document, and its version.
fn read_authorizer(document: &Document) -> Option<(Authorizer, u64)> {
    Some((Authorizer::read(&document.text)?, document.version))
}

fn read_time(document: &Document) -> Option<UnixTime> {
    document.text.expose().parse().ok().map(UnixTime)
}

/// Returns the name of one of the platform's own documents.
pub(super) fn document_name(platform: &AccountEntry, last: &str) -> String {
    format!("{}:{last}", record_groups(platform)[0])
}

fn authorizer_document(platform: &AccountEntry, app_id: &str) -> String {
    format!("{}:{app_id}", record_groups(platform)[1])
}

/// Returns the name of the claim of a code. Its text is empty until it is known what became of the code: the AppID of
/// the account, or [`REFUSED`] with the errcode.
pub(super) fn code_name(platform: &AccountEntry, code_id: &str) -> String {
    document_name(platform, &format!("code:{code_id}"))
}

/// The document with the newest ticket.
const TICKET: &str = "ticket";

/// The document that says when WeChat's list was last read.
const LISTED: &str = "listed";

/// Interval between two looks into a shared store, per page of records.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long a node may take to read the list and to apply it; less than the time after which it tries again.
const LIST_CLAIMED: Duration = Duration::from_secs(240);

/// A code lives for an hour at most.
pub(super) const CODE_KEPT: Duration = Duration::from_secs(86_400);

/// The start of the claim of a refused code. No AppID has a colon.
pub(super) const REFUSED: &str = "refused:";

/// Only repetitions by the same visitor have to be caught: WeChat refuses the code later too.
pub(super) const REFUSAL_KEPT: Duration = Duration::from_secs(600);
