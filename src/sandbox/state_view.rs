//! Snapshot of the sandbox: the answer of `GET /sandbox/state`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;

use super::issued::IssuedValues;
use super::shared::Inside;
use super::simulator::{Running, Simulator};
use super::work::AGENT_CONFIG;

/// State of the sandbox. It includes the secrets, which are valid for this sandbox only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Time of the sandbox.
    pub now: UnixTime,
    /// Apps in the order they were added.
    pub apps: Vec<AppState>,
    /// Calls by path: of every simulated endpoint, and of other paths that were called.
    pub calls: BTreeMap<String, u64>,
    /// Answers by path and errcode; 0 is a success.
    #[serde(default)]
    pub errcodes: BTreeMap<String, BTreeMap<i64, u64>>,
}

/// State of one app.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppState {
    /// The AppID, or the CorpID.
    pub app_id: String,
    /// The AgentId of a WeCom app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<u64>,
    /// The AppSecret.
    pub secret: String,
    /// `official`, `mini` or `work`.
    pub platform: String,
    /// Tokens of every mode.
    pub tokens: Tokens,
    /// Current tickets by type: `jsapi`, `wx_card`, `agent_config`. A WeCom app's `jsapi` ticket is its
    /// corp's.
    pub tickets: BTreeMap<String, TicketState>,
    /// JS safe domains.
    pub safe_domains: Vec<String>,
}

/// Tokens of one app.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Tokens of `/cgi-bin/stable_token`.
    pub stable: TokenState,
    /// Tokens of `/cgi-bin/token`.
    pub classic: TokenState,
    /// Tokens of `/cgi-bin/gettoken`, the only ones of a WeCom app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<TokenState>,
}

/// Accepted tokens of one mode.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenState {
    /// Current token.
    pub current: Option<String>,
    /// Previous token, while it is still accepted.
    pub previous: Option<String>,
    /// Expiry of the current token.
    pub expires_at: Option<UnixTime>,
}

/// A current ticket.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketState {
    /// Value of the ticket.
    pub value: String,
    /// Expiry of the ticket.
    pub expires_at: UnixTime,
}

impl State {
    pub(super) fn of(inside: &Inside, now: UnixTime) -> Self {
        let apps = inside
            .simulator
            .apps
            .iter()
            .map(|running| AppState::of(&inside.simulator, running, now))
            .collect();
        Self {
            now,
            apps,
            calls: inside.all_calls(),
            errcodes: inside.all_errcodes(),
        }
    }
}

impl AppState {
    fn of(simulator: &Simulator, running: &Running, now: UnixTime) -> Self {
        let app = &running.app;
        let ticket = |kind: &str| {
            let issued = simulator.tickets_of(running, kind)?.current(now)?;
            Some((
                kind.to_owned(),
                TicketState {
                    value: issued.value.clone(),
                    expires_at: issued.expires_at,
                },
            ))
        };
        Self {
            app_id: app.app_id.clone(),
            agent_id: app.agent_id,
            secret: app.secret.clone(),
            platform: app.platform.as_str().to_owned(),
            tokens: Tokens {
                stable: TokenState::of(&running.stable, now),
                classic: TokenState::of(&running.classic, now),
                work: app.is_work().then(|| TokenState::of(&running.work, now)),
            },
            tickets: ["jsapi", "wx_card", AGENT_CONFIG]
                .into_iter()
                .filter_map(ticket)
                .collect(),
            safe_domains: app.safe_domains.clone(),
        }
    }
}

impl TokenState {
    fn of(values: &IssuedValues, now: UnixTime) -> Self {
        let current = values.current(now);
        Self {
            current: current.map(|issued| issued.value.clone()),
            previous: values.previous(now).map(|issued| issued.value.clone()),
            expires_at: current.map(|issued| issued.expires_at),
        }
    }
}
