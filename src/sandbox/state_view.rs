//! Snapshot of the sandbox: the answer of `GET /sandbox/state`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;

use super::component::Component;
use super::issued_values::IssuedValues;
use super::push::PushReply;
use super::shared_state::Inside;
use super::simulator::{Running, Simulator};
use super::work::AGENT_CONFIG;

/// State of the sandbox. It includes the secrets, which are valid for this sandbox only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Time of the sandbox.
    pub now: UnixTime,
    /// Apps in the order they were added.
    pub apps: Vec<AppState>,
    /// Open platforms in the order they were added.
    #[serde(default)]
    pub platforms: Vec<PlatformState>,
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

/// State of one open platform. It does not show the push token, the EncodingAESKey and refresh tokens.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformState {
    /// The component_appid.
    pub component_appid: String,
    /// The AppSecret.
    pub secret: String,
    /// Where pushes go.
    pub push_url: Option<String>,
    /// Where messages of users go, with `$APPID$`.
    pub message_url: Option<String>,
    /// When the next ticket is pushed, once the pushes were started.
    pub next_ticket_at: Option<UnixTime>,
    /// The newest component_verify_ticket.
    pub ticket: Option<TicketState>,
    /// The platform's own tokens.
    pub token: TokenState,
    /// JS safe domains of every account that authorised it.
    pub safe_domains: Vec<String>,
    /// Accounts that authorised it at least once.
    pub authorizers: Vec<AuthorizerState>,
    /// The newest answers to pushes, the newest last.
    pub pushes: Vec<PushReply>,
}

/// State of an account that authorised an open platform.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizerState {
    /// The account's AppID.
    pub app_id: String,
    /// False after a cancellation.
    pub authorized: bool,
    /// When it authorised the platform last.
    pub auth_time: UnixTime,
    /// Whether a code was redeemed, so that there is a refresh token.
    pub redeemed: bool,
    /// The platform's tokens for the account.
    pub token: TokenState,
}

impl State {
    pub(super) fn of(inside: &Inside, now: UnixTime) -> Self {
        let apps = inside
            .simulator
            .apps
            .iter()
            .map(|running| AppState::of(&inside.simulator, running, now))
            .collect();
        let platforms = inside.simulator.components.iter();
        Self {
            now,
            apps,
            platforms: platforms
                .map(|platform| PlatformState::of(platform, now))
                .collect(),
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
            let state = TicketState {
                value: issued.value.clone(),
                expires_at: issued.expires_at,
            };
            Some((kind.to_owned(), state))
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

impl PlatformState {
    fn of(platform: &Component, now: UnixTime) -> Self {
        let settings = &platform.settings;
        Self {
            component_appid: settings.app_id.clone(),
            secret: settings.secret.clone(),
            push_url: settings.push_url.clone(),
            message_url: settings.message_url.clone(),
            next_ticket_at: platform.pushes.next_ticket,
            ticket: platform.ticket().cloned(),
            token: TokenState::of(&platform.token, now),
            safe_domains: settings.safe_domains.clone(),
            authorizers: platform
                .authorizers
                .iter()
                .map(|it| AuthorizerState {
                    app_id: it.app_id.clone(),
                    authorized: it.authorized,
                    auth_time: it.auth_time,
                    redeemed: it.refresh_token.is_some(),
                    token: TokenState::of(&it.tokens, now),
                })
                .collect(),
            pushes: platform.pushes.replies.iter().cloned().collect(),
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
