//! The answers of the signing endpoints. Tickets never leave the process here.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Serialize;

use super::Problem;
use super::query::{CardQuery, ConfigQuery};
use crate::broker::{Broker, StatusCounts};
use crate::clock::Moment;
use crate::sign::{AgentConfig, CardExt, ChooseCard, JsConfig};

/// A signed answer.
#[derive(Debug)]
pub struct Answer<'q> {
    /// The argument of `wx.config`, as JSON.
    pub json: Vec<u8>,
    /// The account as the query names it.
    pub account: Cow<'q, str>,
    /// The counter of the account's answers.
    #[cfg_attr(not(feature = "server"), expect(dead_code))]
    pub(crate) answers: Arc<StatusCounts>,
}

/// Why a page is not signed at once.
#[derive(Debug)]
pub enum Refused<'q> {
    /// The request is refused.
    Problem(Problem),
    /// The account has no current ticket, or is not known to this node yet: wait for
    /// [`ConfigQuery::sign_refreshed`].
    NeedsRefresh(Box<ConfigQuery<'q>>),
}

/// Signs the page that a query of `GET …/config` names: the entire work of almost every request. `at`: when the
/// request came.
///
/// # Errors
/// [`Refused`].
pub fn sign<'q>(broker: &Broker, query: &'q str, at: &Moment) -> Result<Answer<'q>, Refused<'q>> {
    let query = ConfigQuery::parse(query).map_err(Refused::Problem)?;
    let ConfigQuery {
        url,
        account,
        options,
    } = &query;
    match broker.config_text(account, url, options, at) {
        Ok(Some((json, answers))) => Ok(Answer {
            json,
            account: query.account,
            answers,
        }),
        Ok(None) => Err(Refused::NeedsRefresh(Box::new(query))),
        Err(error) => Err(Refused::Problem(error.into())),
    }
}

impl ConfigQuery<'_> {
    /// Looks for an unknown account, refreshes the account's ticket, then signs the page.
    ///
    /// # Errors
    /// The [`Problem`] to answer.
    pub async fn sign_refreshed(&self, broker: &Broker) -> Result<Vec<u8>, Problem> {
        let Self {
            url,
            account,
            options,
        } = self;
        Ok(broker.refreshed_config_text(account, url, options).await?)
    }
}

/// The paths of the endpoints that sign, below the path of the scope.
pub const SIGNING: [&str; 5] = [
    "/config",
    "/agent-config",
    "/work-config",
    "/card-ext",
    "/choose-card",
];

/// Answers `GET` of a path of [`SIGNING`] as JSON.
///
/// # Errors
/// The [`Problem`] to answer.
pub async fn answer(broker: &Broker, path: &str, query: &str) -> Result<Vec<u8>, Problem> {
    match path {
        "/config" => match sign(broker, query, &broker.clock().moment()) {
            Ok(signed) => Ok(signed.json),
            Err(Refused::NeedsRefresh(query)) => query.sign_refreshed(broker).await,
            Err(Refused::Problem(problem)) => Err(problem),
        },
        "/agent-config" => Ok(json(agent(broker, &ConfigQuery::parse(query)?).await?)),
        "/work-config" => Ok(json(work_config(broker, query).await?)),
        "/card-ext" => Ok(json(card_ext(broker, query).await?)),
        "/choose-card" => Ok(json(choose_card(broker, query).await?)),
        _ => Err(Problem::not_found()),
    }
}

fn json(answer: impl Serialize) -> Vec<u8> {
    serde_json::to_vec(&answer).expect("texts and numbers always serialise")
}

/// Both configs of a WeCom page.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WorkConfig {
    config: JsConfig,
    agent_config: AgentConfig,
}

/// Answers `GET …/work-config`.
async fn work_config(broker: &Broker, query: &str) -> Result<WorkConfig, Problem> {
    let query = ConfigQuery::parse(query)?;
    // The app's own ticket first: an account without one gets an error, not half an answer.
    let agent_config = agent(broker, &query).await?;
    let mut config = broker.js_config(&query.account, &query.url).await?;
    query.options.apply(&mut config);
    Ok(WorkConfig {
        config,
        agent_config,
    })
}

/// One entry of `wx.addCard`'s `cardList`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AddCard {
    /// The card's id.
    card_id: String,
    /// A JSON *text*, signed: `{"timestamp","nonce_str","signature",…}`.
    card_ext: String,
}

/// Answers `GET …/card-ext`.
async fn card_ext(broker: &Broker, query: &str) -> Result<AddCard, Problem> {
    let query = CardQuery::parse(query)?;
    if query.card_id.is_empty() {
        return Err(Problem::missing_card_id());
    }
    let card = CardExt {
        card_id: query.card_id.clone(),
        code: query.code,
        openid: query.openid,
        outer_str: query.outer_str,
        fixed_begintimestamp: query.fixed_begintimestamp,
        ..CardExt::default()
    };
    let card_ext = broker.card_ext(&query.account, card).await?;
    Ok(AddCard {
        card_id: query.card_id,
        card_ext,
    })
}

/// Answers `GET …/choose-card`.
async fn choose_card(broker: &Broker, query: &str) -> Result<ChooseCard, Problem> {
    let query = CardQuery::parse(query)?;
    let filter = [query.shop_id.as_str(), &query.card_id, &query.card_type];
    Ok(broker.choose_card(&query.account, filter).await?)
}

/// Answers `GET …/agent-config`.
async fn agent(broker: &Broker, query: &ConfigQuery<'_>) -> Result<AgentConfig, Problem> {
    let mut config = broker.agent_config(&query.account, &query.url).await?;
    if let Some(names) = &query.options.js_api_list {
        config.js_api_list.clone_from(names);
    }
    Ok(config)
}
