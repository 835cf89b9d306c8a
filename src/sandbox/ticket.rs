//! Tickets of the simulated apps: `/cgi-bin/ticket/getticket`, and the tickets of WeCom.

use std::time::Duration;

use crate::clock::UnixTime;

use super::app_settings::ExpiresIn;
use super::issued_values::{Issued, IssuedValues};
use super::reply::{IssuedReply, Refusal, json_with_ok};
use super::simulator::{Running, Simulator};
use super::token_values::new_ticket;

impl Simulator {
    /// Returns an app's tickets of this type. The `jsapi` ticket of a WeCom app is its corp's.
    pub(super) fn tickets_of<'a>(
        &'a self,
        running: &'a Running,
        kind: &str,
    ) -> Option<&'a IssuedValues> {
        match running.app.is_work() && kind == "jsapi" {
            true => self.corps.get(&running.app.app_id).map(|corp| &corp.jsapi),
            false => running.tickets.get(kind),
        }
    }

    /// Returns the tickets of this type that are accepted now.
    pub(super) fn accepted_tickets<'a>(
        &'a self,
        running: &'a Running,
        kind: &'static str,
        now: UnixTime,
    ) -> impl Iterator<Item = &'a str> {
        self.tickets_of(running, kind)
            .into_iter()
            .flat_map(move |values| values.accepted(now))
    }

    /// The same as [`Self::tickets_of`] by name. The corp's own ticket needs no agent id.
    pub(super) fn tickets(&self, name: &str, kind: &str) -> Result<Option<&IssuedValues>, String> {
        let of_corp = || self.apps_of(name).next().filter(|_| kind == "jsapi");
        let running = match self.known_app(name) {
            Ok(running) => running,
            Err(problem) => of_corp().ok_or(problem)?,
        };
        Ok(self.tickets_of(running, kind))
    }
}

impl Running {
    /// Returns the ticket of a type: the same for every token until it nears its end.
    pub(super) fn ticket(&mut self, kind: Option<&str>, now: UnixTime) -> Result<String, Refusal> {
        let kind = TICKET_TYPES
            .into_iter()
            .find(|known| Some(*known) == kind)
            .ok_or_else(|| Refusal::new(40097))?;
        Ok(self.own_ticket(kind, now))
    }

    pub(super) fn own_ticket(&mut self, kind: &'static str, now: UnixTime) -> String {
        let ttl = self.ticket_ttl();
        let mut values = self.tickets.remove(kind).unwrap_or_default();
        let reply = self.ticket_reply(values.refreshed(now, ttl, new_ticket), now);
        self.tickets.insert(kind, values);
        reply
    }

    /// Returns the answer for a ticket, the app's or the corp's.
    pub(super) fn ticket_reply(&self, issued: &Issued, now: UnixTime) -> String {
        let expires_in = match self.app.switches.ticket_expires_in {
            ExpiresIn::Remaining => issued.remaining(now),
            ExpiresIn::Full => self.ticket_ttl(),
        };
        json_with_ok(&IssuedReply::new("ticket", &issued.value, expires_in))
    }

    pub(super) fn ticket_ttl(&self) -> Duration {
        Duration::from_secs(self.app.ticket_ttl)
    }
}

/// Ticket types of an official account.
const TICKET_TYPES: [&str; 2] = ["jsapi", "wx_card"];
