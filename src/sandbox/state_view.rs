//! The sandbox laid open: the answer of `GET /sandbox/state`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;

use super::issued::Lineage;
use super::shared::Inside;
use super::simulator::{Running, World};
use super::work::AGENT_CONFIG;

/// Everything that a test or a newcomer may want to see, secrets included: they open nothing but this sandbox.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The sandbox's time.
    pub now: UnixTime,
    /// The apps, in the order they were added.
    pub apps: Vec<AppState>,
    /// Calls by endpoint.
    pub calls: BTreeMap<String, u64>,
}

/// One app.
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
    /// The tokens of every mode.
    pub tokens: Tokens,
    /// The living tickets by type: `jsapi`, `wx_card`, `agent_config`. A WeCom app's `jsapi` is its corp's.
    pub tickets: BTreeMap<String, TicketState>,
    /// The JS safe domains.
    pub safe_domains: Vec<String>,
}

/// The tokens of one app.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Those of `/cgi-bin/stable_token`.
    pub stable: TokenState,
    /// Those of `/cgi-bin/token`.
    pub classic: TokenState,
    /// Those of `/cgi-bin/gettoken`: a WeCom app's only ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<TokenState>,
}

/// The living tokens of one mode.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenState {
    /// The newest, if it lives.
    pub current: Option<String>,
    /// The one before it, while it is still accepted.
    pub previous: Option<String>,
    /// The end of the current one.
    pub expires_at: Option<UnixTime>,
}

/// A living ticket.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketState {
    /// The ticket.
    pub value: String,
    /// Its end.
    pub expires_at: UnixTime,
}

impl State {
    pub(super) fn of(inside: &Inside, now: UnixTime) -> Self {
        let apps = inside
            .world
            .apps
            .iter()
            .map(|running| AppState::of(&inside.world, running, now))
            .collect();
        Self {
            now,
            apps,
            calls: inside.all_calls(),
        }
    }
}

impl AppState {
    fn of(world: &World, running: &Running, now: UnixTime) -> Self {
        let app = &running.app;
        let ticket = |kind: &str| {
            let issued = world.tickets_of(running, kind)?.current(now)?;
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
    fn of(lineage: &Lineage, now: UnixTime) -> Self {
        let current = lineage.current(now);
        Self {
            current: current.map(|issued| issued.value.clone()),
            previous: lineage.previous(now).map(|issued| issued.value.clone()),
            expires_at: current.map(|issued| issued.expires_at),
        }
    }
}
