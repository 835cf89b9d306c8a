//! Control API of open platforms: `/sandbox/platforms`, `push`, `authorize`, `cancel-authorization` and
//! `going-live-check`.

use actix_web::HttpResponse;
use actix_web::web::{self, Bytes, Data, ServiceConfig};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::control_api::{read, reply};
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
async fn add_platform(shared: Data<Shared>, body: Bytes) -> HttpResponse {
    reply(read::<OpenPlatform>(&body, PLATFORM).and_then(|platform| {
        if let Some(problem) = platform.problem() {
            return Err(problem.to_owned());
        }
        let answer = json!({
            "ok": true,
            "push_token": platform.push_token,
            "encoding_aes_key": platform.encoding_aes_key,
        });
        shared.add_platform(platform);
        Ok(answer)
    }))
}

async fn push(shared: Data<Shared>, body: Bytes) -> HttpResponse {
    reply(push_now(&shared, &body).await)
}

/// Answers with the platform's answer.
async fn push_now(shared: &Shared, body: &[u8]) -> Result<Value, String> {
    let mut order = read::<Map<String, Value>>(body, PUSH)?;
    let component = match order.remove("component_appid") {
        None => shared.only_platform()?,
        Some(Value::String(app_id)) => app_id,
        Some(_) => {
            return Err(format!(
                "\"component_appid\" must be a text; expected {PUSH}"
            ));
        }
    };
    let push = serde_json::from_value::<Push>(Value::Object(order))
        .map_err(|error| format!("{error}; expected JSON like {PUSH}"))?;
    let answer = shared.push(&component, &push).await?;
    Ok(json!(answer))
}

/// Body of `authorize` and `cancel-authorization`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decision {
    #[serde(default)]
    component_appid: Option<String>,
    app_id: String,
}

impl Decision {
    fn read(shared: &Shared, body: &[u8]) -> Result<(String, String), String> {
        let order = read::<Self>(body, DECISION)?;
        let component = match order.component_appid {
            Some(app_id) => app_id,
            None => shared.only_platform()?,
        };
        Ok((component, order.app_id))
    }
}

async fn authorize(shared: Data<Shared>, body: Bytes) -> HttpResponse {
    reply(authorize_now(&shared, &body).await)
}

/// Answers with the code after the push.
async fn authorize_now(shared: &Shared, body: &[u8]) -> Result<Value, String> {
    let (component, app_id) = Decision::read(shared, body)?;
    let granted = shared.authorize(&component, &app_id, None)?;
    let push = shared.push_event(&component, &granted.message).await?;
    Ok(json!({
        "auth_code": granted.code,
        "expires_in": granted.expires_in,
        "push": push,
    }))
}

async fn cancel(shared: Data<Shared>, body: Bytes) -> HttpResponse {
    reply(cancel_now(&shared, &body).await)
}

async fn cancel_now(shared: &Shared, body: &[u8]) -> Result<Value, String> {
    let (component, app_id) = Decision::read(shared, body)?;
    let message = shared.cancel_authorization(&component, &app_id)?;
    let push = shared.push_event(&component, &message).await?;
    Ok(json!({ "push": push }))
}

async fn check_going_live(shared: Data<Shared>, body: Bytes) -> HttpResponse {
    reply(check_now(&shared, &body).await)
}

/// Answers with what is not as expected, if anything is not.
async fn check_now(shared: &Shared, body: &[u8]) -> Result<Value, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        #[serde(default)]
        component_appid: Option<String>,
    }
    let component = match read::<Order>(body, CHECK)?.component_appid {
        Some(app_id) => app_id,
        None => shared.only_platform()?,
    };
    shared.inside().simulator.platform(&component)?;
    Ok(match shared.check_going_live(&component).await {
        Ok(()) => json!({ "passed": true }),
        Err(problem) => json!({ "passed": false, "problem": problem }),
    })
}

impl Shared {
    /// Returns the component_appid of the one platform.
    fn only_platform(&self) -> Result<String, String> {
        match self.inside().simulator.platforms.as_slice() {
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
const DECISION: &str = r#"{"component_appid": "wx…", "app_id": "wx…"}, where "component_appid" may be absent if there is one platform"#;
const CHECK: &str = r#"{"component_appid": "wx…"}, or {} if there is one platform"#;
