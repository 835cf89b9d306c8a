//! What a page may call: signatures, and nothing that signs by itself. Tickets never leave by here.

use actix_web::http::Method;
use actix_web::http::header::{ALLOW, CACHE_CONTROL, HeaderValue, ORIGIN};
use actix_web::{HttpRequest, HttpResponse, Resource, Scope, web};
use serde::Serialize;

use super::problem::Problem;
use super::query::{self, CardQuery, ConfigQuery};
use super::{client, cors, limit};
use crate::broker::Broker;
use crate::sign::{AgentConfig, CardExt, ChooseCard, JsConfig};

/// The endpoints below `path` (`/jssdk` in the documents), all `GET`:
///
/// | route | answer |
/// |---|---|
/// | `config?url=&account=&jsApiList=&openTagList=&debug=` | for `wx.config`, as it is |
/// | `agent-config?url=&account=&jsApiList=` | for WeCom's `wx.agentConfig` |
/// | `work-config?url=&account=` | `{"config", "agentConfig"}`: both in one reply |
/// | `card-ext?cardId=&code=&openid=&outer_str=&fixed_begintimestamp=&account=` | one entry of `wx.addCard`'s `cardList` |
/// | `choose-card?shopId=&cardId=&cardType=&account=` | for `wx.chooseCard` |
/// | `wx-jssdk.js`, `wx-jssdk.d.ts` | the client script, which finds this scope by its own address, and its types |
///
/// Signed answers carry `Cache-Control: no-store`, errors are `application/problem+json`, and pages on the accounts' safe domains may
/// call across origins. The page's URL is taken from the `url` parameter and never from Host, scheme or Referer, so that a
/// proxy in front changes nothing.
#[must_use]
pub fn public_scope(path: &str, broker: Broker) -> Scope {
    web::scope(path)
        .app_data(web::Data::new(broker))
        .service(signing("/config").route(web::get().to(config)).route(web::head().to(config)))
        .service(signing("/agent-config").route(web::get().to(agent_config)).route(web::head().to(agent_config)))
        .service(signing("/work-config").route(web::get().to(work_config)).route(web::head().to(work_config)))
        .service(signing("/card-ext").route(web::get().to(card_ext)).route(web::head().to(card_ext)))
        .service(signing("/choose-card").route(web::get().to(choose_card)).route(web::head().to(choose_card)))
        .service(client::script())
        .service(client::types())
        .default_service(web::to(unknown_path))
}

/// A resource that other origins may ask about, and that answers nothing but reads.
fn signing(path: &str) -> Resource {
    web::resource(path).route(web::route().method(Method::OPTIONS).to(cors::preflight)).default_service(web::to(only_get))
}

async fn config(request: HttpRequest, broker: web::Data<Broker>) -> HttpResponse {
    let answer = match limit::admit(&request).and_then(|()| ConfigQuery::parse(request.query_string())) {
        Ok(query) => js_config(&broker, &query).await,
        Err(problem) => Err(problem),
    };
    respond(&request, &broker, answer)
}

async fn agent_config(request: HttpRequest, broker: web::Data<Broker>) -> HttpResponse {
    let answer = match limit::admit(&request).and_then(|()| ConfigQuery::parse(request.query_string())) {
        Ok(query) => agent(&broker, &query).await,
        Err(problem) => Err(problem),
    };
    respond(&request, &broker, answer)
}

/// Both configs of a WeCom page.
#[derive(Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct WorkConfig {
    config: JsConfig,
    agent_config: AgentConfig,
}

async fn work_config(request: HttpRequest, broker: web::Data<Broker>) -> HttpResponse {
    let answer = match limit::admit(&request).and_then(|()| ConfigQuery::parse(request.query_string())) {
        // The app's own ticket first: an account that has none is told so, and not by half an answer.
        Ok(query) => match agent(&broker, &query).await {
            Ok(agent_config) => js_config(&broker, &query).await.map(|config| WorkConfig { config, agent_config }),
            Err(problem) => Err(problem),
        },
        Err(problem) => Err(problem),
    };
    respond(&request, &broker, answer)
}

/// One entry of `wx.addCard`'s `cardList`.
#[derive(Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct AddCard {
    /// The card's id.
    card_id: String,
    /// A JSON *text*, signed: `{"timestamp","nonce_str","signature",…}`.
    card_ext: String,
}

async fn card_ext(request: HttpRequest, broker: web::Data<Broker>) -> HttpResponse {
    let answer = match limit::admit(&request).and_then(|()| CardQuery::parse(request.query_string())) {
        Ok(query) => add_card(&broker, query).await,
        Err(problem) => Err(problem),
    };
    respond(&request, &broker, answer)
}

async fn add_card(broker: &Broker, query: CardQuery) -> Result<AddCard, Problem> {
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
    Ok(AddCard { card_id: query.card_id, card_ext })
}

async fn choose_card(request: HttpRequest, broker: web::Data<Broker>) -> HttpResponse {
    let answer: Result<ChooseCard, Problem> =
        match limit::admit(&request).and_then(|()| CardQuery::parse(request.query_string())) {
            Ok(query) => {
                let filter = [query.shop_id.as_str(), &query.card_id, &query.card_type];
                broker.choose_card(&query.account, filter).await.map_err(Problem::from)
            }
            Err(problem) => Err(problem),
        };
    respond(&request, &broker, answer)
}

async fn js_config(broker: &Broker, query: &ConfigQuery) -> Result<JsConfig, Problem> {
    let mut config = broker.js_config(&query.account, &query.url).await?;
    if let Some(names) = &query.js_api_list {
        config.js_api_list.clone_from(names);
    }
    if let Some(names) = &query.open_tag_list {
        config.open_tag_list.clone_from(names);
    }
    config.debug = query.debug;
    Ok(config)
}

async fn agent(broker: &Broker, query: &ConfigQuery) -> Result<AgentConfig, Problem> {
    let mut config = broker.agent_config(&query.account, &query.url).await?;
    if let Some(names) = &query.js_api_list {
        config.js_api_list.clone_from(names);
    }
    Ok(config)
}

fn respond(request: &HttpRequest, broker: &Broker, answer: Result<impl Serialize, Problem>) -> HttpResponse {
    let response = match answer {
        Ok(answer) => HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(answer),
        Err(problem) => problem.into_response(),
    };
    readable(request, broker, response)
}

/// Lets the pages of the account that the request names read the answer, errors included.
fn readable(request: &HttpRequest, broker: &Broker, mut response: HttpResponse) -> HttpResponse {
    let origin = request.headers().get(ORIGIN);
    // Most requests are same-origin and carry none: then the query need not be read again.
    let account = origin.map(|_| query::account_of(request.query_string())).unwrap_or_default();
    cors::allow(broker, &account, origin, response.headers_mut());
    response
}

pub(super) async fn only_get(request: HttpRequest, broker: web::Data<Broker>) -> HttpResponse {
    let mut response = Problem::method_not_allowed().into_response();
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
    readable(&request, &broker, response)
}

/// The answer of every path that leads nowhere.
pub(crate) async fn unknown_path() -> HttpResponse {
    Problem::not_found().into_response()
}
