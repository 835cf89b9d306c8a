//! Quotas of an app or an open platform: per day, per minute, and how often its counts may be cleared per month.
//!
//! A call is charged once its secret or token identifies the app, even if it is rejected afterwards: a caller
//! that keeps getting 40164 uses up its daily quota. A call rejected for its quota is not charged.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;

use super::app_settings::Switches;
use super::reply::{Refusal, require};
use super::simulated_endpoints::Endpoint;

/// Quotas of an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    /// `/cgi-bin/token` per day.
    pub token_daily: u64,
    /// `/cgi-bin/stable_token` per day, forced or not.
    pub stable_daily: u64,
    /// `/cgi-bin/stable_token` per minute.
    pub stable_per_minute: u64,
    /// Refreshes by `force_refresh` per day.
    pub force_daily: u64,
    /// `/cgi-bin/ticket/getticket` per day, all types together.
    pub ticket_daily: u64,
    /// `/cgi-bin/get_api_domain_ip` and `/cgi-bin/menu/get`, each per day.
    pub data_daily: u64,
    /// `/cgi-bin/clear_quota` per calendar month.
    pub clear_monthly: u64,
    /// `api_component_token` of an open platform per day.
    pub component_token_daily: u64,
    /// Tickets of one kind that a WeCom app may fetch per hour; one more blocks it for an hour.
    pub work_ticket_hourly_app: u64,
    /// The same for all apps of the corp together; one more blocks them all for an hour.
    pub work_ticket_hourly_corp: u64,
}

impl Quotas {
    pub(super) fn daily(&self, endpoint: Endpoint) -> u64 {
        match endpoint {
            Endpoint::Token => self.token_daily,
            Endpoint::StableToken => self.stable_daily,
            Endpoint::GetTicket => self.ticket_daily,
            Endpoint::ApiDomainIp | Endpoint::MenuGet => self.data_daily,
            Endpoint::ComponentToken => self.component_token_daily,
            // WeCom counts per hour, in `work`; the quotas of the others are not known.
            _ => LARGE,
        }
    }
}

impl Default for Quotas {
    /// Quotas of a normal, verified account. The ticket quota is not published: WeChat's staff refer to
    /// `openapi/quota/get`.
    fn default() -> Self {
        Self {
            token_daily: 2_000,
            stable_daily: 500_000,
            stable_per_minute: 10_000,
            force_daily: 20,
            ticket_daily: 10_000,
            data_daily: 10_000,
            clear_monthly: 10,
            component_token_daily: 2_000,
            work_ticket_hourly_app: 100,
            work_ticket_hourly_corp: 400,
        }
    }
}

/// Usage of one app, with the number of the day, minute and month that are being counted.
#[derive(Default)]
pub(super) struct QuotaUsage {
    day: u64,
    used: [u64; Endpoint::SIMULATED.len()],
    forced: u64,
    minute: u64,
    stable_in_minute: u64,
    /// `2026-11`.
    month: String,
    cleared: u64,
}

impl QuotaUsage {
    /// Resets the counts when a new day, minute or month begins.
    pub(super) fn roll(&mut self, now: UnixTime, switches: &Switches) {
        let east = now.plus(SHANGHAI);
        let day = east
            .0
            .saturating_sub(switches.quota_day_starts_hour * 3_600)
            / DAY;
        if moved(&mut self.day, day) {
            self.clear_day();
        }
        if moved(&mut self.minute, now.0 / 60) {
            self.stable_in_minute = 0;
        }
        if moved(&mut self.month, east.utc()[..7].to_owned()) {
            self.cleared = 0;
        }
    }

    /// Charges one call. An echo is free: the quotas of the many endpoints it stands for are not known.
    pub(super) fn spend(&mut self, endpoint: Endpoint, quotas: &Quotas) -> Result<(), Refusal> {
        if endpoint.is_echo() {
            return Ok(());
        }
        require(self.used(endpoint) < quotas.daily(endpoint), 45009)?;
        if endpoint == Endpoint::StableToken {
            require(self.stable_in_minute < quotas.stable_per_minute, 45011)?;
            self.stable_in_minute += 1;
        }
        self.used[endpoint as usize] += 1;
        Ok(())
    }

    /// Charges one forced refresh. Returns false if the daily quota is used up.
    pub(super) fn spend_force(&mut self, quotas: &Quotas) -> bool {
        let allowed = self.forced < quotas.force_daily;
        self.forced += u64::from(allowed);
        allowed
    }

    /// Clears the daily counts, if the monthly quota allows it.
    pub(super) fn clear(&mut self, quotas: &Quotas) -> Result<(), Refusal> {
        require(self.cleared < quotas.clear_monthly, 48006)?;
        self.cleared += 1;
        self.clear_day();
        Ok(())
    }

    /// Returns the calls charged today.
    pub(super) fn used(&self, endpoint: Endpoint) -> u64 {
        // An echo is not counted.
        self.used.get(endpoint as usize).copied().unwrap_or(0)
    }

    fn clear_day(&mut self) {
        self.used = Default::default();
        self.forced = 0;
    }
}

/// Sets the number of the day, minute or month that is counted. Returns whether it is another one.
fn moved<T: PartialEq>(counted: &mut T, now: T) -> bool {
    let moved = *counted != now;
    *counted = now;
    moved
}

/// A quota that no test uses up, and a number as WeChat would answer it.
const LARGE: u64 = 10_000_000;

const DAY: u64 = 86_400;

/// WeChat counts days in Shanghai time: UTC+8, no summer time.
const SHANGHAI: Duration = Duration::from_secs(8 * 3_600);
