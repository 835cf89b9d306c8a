//! Control API of open platforms: `/sandbox/platforms`, `push`, `authorize`, `cancel-authorization` and
//! `going-live-check`.

use actix_web::web::{self, Bytes, Data, Json, ServiceConfig};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::control_api::{Problem, read};
use super::open_platform::OpenPlatform;
use super::push::Push;
use super::shared_state::Shared;

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .route("/platforms", web::post().to(add_platform))
        .route("/push", web::post().to(push))
        .route("/authorize", web::post().to(authorize))
        .route("/cancel-authorization", web::post().to(cancel))
        .route("/going-live-check", web::post().to(check_going_live));
}

/// Answers with the push token and the key, which are made up unless they are given.
async fn add_platform(shared: Data<Shared>, body: Bytes) -> Result<Json<Value>, Problem> {
    let platform = read::<OpenPlatform>(&body, PLATFORM)?;
    if let Some(problem) = platform.problem() {
        return Err(format!("{problem}; expected JSON like {PLATFORM}").into());
    }
    let answer = json!({
        "ok": true,
        "push_token": platform.push_token,
        "encoding_aes_key": platform.encoding_aes_key,
    });
    shared.simulate(|it, now| it.add_platform(platform, now));
    Ok(Json(answer))
}

/// Answers with the platform's answer.
async fn push(shared: Data<Shared>, body: Bytes) -> Result<Json<Value>, Problem> {
    let mut order = read::<Map<String, Value>>(&body, PUSH)?;
    let component = match order.remove("component_appid") {
        None => None,
        Some(Value::String(app_id)) => Some(app_id),
        Some(_) => {
            let problem = format!("\"component_appid\" must be a text; expected {PUSH}");
            return Err(problem.into());
        }
    };
    let component = shared.platform_or_only(component)?;
    let push = serde_json::from_value::<Push>(Value::Object(order))
        .map_err(|error| format!("{error}; expected JSON like {PUSH}"))?;
    let answer = shared.push(&component, &push).await?;
    Ok(Json(json!(answer)))
}

/// Answers with the code after the push.
async fn authorize(shared: Data<Shared>, body: Bytes) -> Result<Json<Value>, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        component_appid: Option<String>,
        app_id: String,
        #[serde(default)]
        changed: bool,
    }
    let order = read::<Order>(&body, AUTHORIZE)?;
    let component = shared.platform_or_only(order.component_appid)?;
    let authorized = shared.authorize(&component, &order.app_id, order.changed);
    let (granted, push) = authorized.await?;
    Ok(Json(json!({
        "auth_code": granted.code,
        "expires_in": granted.expires_in,
        "push": push,
    })))
}

async fn cancel(shared: Data<Shared>, body: Bytes) -> Result<Json<Value>, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        component_appid: Option<String>,
        app_id: String,
    }
    let order = read::<Order>(&body, CANCEL)?;
    let component = shared.platform_or_only(order.component_appid)?;
    let message =
        shared.simulate(|it, now| it.cancel_authorization(&component, &order.app_id, now))?;
    let push = shared.push_event(&component, &message).await?;
    Ok(Json(json!({ "push": push })))
}

/// Answers with what is not as expected, if anything is not.
async fn check_going_live(shared: Data<Shared>, body: Bytes) -> Result<Json<Value>, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        component_appid: Option<String>,
    }
    let order = read::<Order>(&body, CHECK)?;
    let component = shared.platform_or_only(order.component_appid)?;
    shared.inside().simulator.component(&component)?;
    Ok(Json(match shared.check_going_live(&component).await {
        Ok(()) => json!({ "passed": true }),
        Err(problem) => json!({ "passed": false, "problem": problem }),
    }))
}

impl Shared {
    /// Returns the component_appid that was given, or that of the one platform.
    fn platform_or_only(&self, given: Option<String>) -> Result<String, String> {
        if let Some(app_id) = given {
            return Ok(app_id);
        }
        match self.inside().simulator.components.as_slice() {
            [only] => Ok(only.settings.app_id.clone()),
            [] => Err("the sandbox has no open platform".to_owned()),
            _ => Err(
                "\"component_appid\" is required, because there are several platforms".to_owned(),
            ),
        }
    }
}

const PLATFORM: &str = r#"{"component_appid": "wx…", "secret": "…", "push_url": "http://127.0.0.1:8080/…"}, perhaps with "message_url", "push_token", "encoding_aes_key", "safe_domains", "page_host", "redirect_hosts", "authorized_by", "allow_ips" and "pre_auth_code_ttl""#;
const PUSH: &str = r#"{"component_appid": "wx…", "what": "ticket"}, where "what" is ticket, event (with "info_type", perhaps "fields"), message (with "app_id", "from_user" and "fields": {"MsgType": "text", "Content": "…"}) or replay, perhaps with "created_at", and true for "wrong_signature", "wrong_receiver", "previous_keys", "truncated" or "twice""#;
const AUTHORIZE: &str = r#"{"component_appid": "wx…", "app_id": "wx…"}, where "component_appid" may be absent if there is one platform, perhaps with "changed": true"#;
const CANCEL: &str = r#"{"component_appid": "wx…", "app_id": "wx…"}, where "component_appid" may be absent if there is one platform"#;
const CHECK: &str = r#"{"component_appid": "wx…"}, or {} if there is one platform"#;
