//! Sends a call upstream, and repeats it once if WeChat refuses the token.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::dev::Payload;
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use reqwest::Client;
use reqwest::header::{CONTENT_LENGTH, HeaderMap};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tracing::{debug, info};
use url::Url;

use super::super::dropin::reply::Refusal;
use super::super::keys::CallPath;
use super::answer::Answer;
use super::body::{self, Body, Progress};
use super::caller::Caller;
use super::request::{self, Query};
use super::stats::{CallOutcome, InProgress};
use super::{Incoming, Shared, unavailable};
use crate::account::{Egress, Platform};
use crate::credential::{Credential, Kind};
use crate::error::{Class, Paid, System, explain};
use crate::upstream::Upstream;

/// The HTTP clients of one worker, by the way on which calls leave. Their connections stay on the worker's thread.
#[derive(Default)]
pub(crate) struct Clients {
    clients: RefCell<HashMap<Egress, Client>>,
    /// The base URLs, parsed.
    bases: RefCell<HashMap<String, Url>>,
}

/// An authorised call.
pub(super) struct Call<'a> {
    pub(super) shared: &'a Shared,
    pub(super) incoming: &'a Incoming<'a>,
    pub(super) path: CallPath<'a>,
    pub(super) caller: &'a Caller,
    pub(super) clients: &'a Clients,
}

/// Why there is no answer.
enum Failed {
    /// Nothing was sent.
    Unsent(String),
    /// WeChat may have processed the call.
    Unknown(String),
    /// The caller's body cannot be passed on.
    Body(body::Cut),
}

impl Call<'_> {
    /// Makes the call. `login_body` is the body if it was read already.
    pub(super) async fn make(
        &self,
        payload: Payload,
        login_body: Option<Bytes>,
        permit: OwnedSemaphorePermit,
    ) -> Result<HttpResponse, Refusal> {
        let Shared {
            broker,
            options,
            budget,
            stats,
            ..
        } = self.shared;
        let mut call = InProgress::new(stats, &self.caller.name, self.path.group(), permit);
        let headers = request::headers(self.incoming.headers(), &self.shared.via);
        self.check(&headers)?;
        let mut token = self.token().await?;
        let (mut query, mut body) = match login_body {
            Some(body) => self.with_secret_in_body(&body)?,
            None => {
                let body = body::read(self.incoming, payload, options, budget).await?;
                (self.query(token.as_deref()), body)
            }
        };
        let begun = broker.clock().uptime();
        loop {
            let (again, sending) = match body {
                Body::Whole(bytes, reserved) => {
                    (Some((bytes.clone(), reserved)), Sending::Whole(bytes))
                }
                Body::Streaming(streaming) => {
                    let length = streaming.length;
                    let (stream, progress) = streaming.start();
                    (None, Sending::Stream(stream, length, progress))
                }
            };
            let answered = self.send(&query, &headers, sending, &mut call).await;
            call.took = broker.clock().uptime().saturating_sub(begun);
            let mut answer = answered.map_err(|failed| self.refusal(failed))?;
            let is_token_error = answer.errcode.is_some_and(|code| self.is_token_error(code));
            if let Some(refused) = token.take().filter(|_| is_token_error && !call.replayed)
                && let Ok(new) = broker
                    .reject(&self.caller.name, Kind::AccessToken, &refused.value)
                    .await
                && new.value != refused.value
                && let Some((bytes, reserved)) = again
            {
                let (account, path) = (&self.caller.name, self.path.group());
                info!(account, path, "call repeated with a new access token");
                query = self.query(Some(&new));
                body = Body::Whole(bytes, reserved);
                call.replayed = true;
                continue;
            }
            call.healed = call.replayed && !is_token_error;
            call.outcome = match answer.errcode {
                None => CallOutcome::Ok,
                Some(_) => CallOutcome::Errcode,
            };
            self.finish(&mut answer)?;
            return Ok(answer.into_response(call));
        }
    }

    /// Returns the account's token, unless the call carries the AppSecret or a user's token.
    async fn token(&self) -> Result<Option<Arc<Credential>>, Refusal> {
        if self.path.is_user_api() || self.path.secret_parameter().is_some() {
            return Ok(None);
        }
        let broker = &self.shared.broker;
        let token = broker.credential(&self.caller.name, Kind::AccessToken);
        Ok(Some(token.await?))
    }

    fn query(&self, token: Option<&Credential>) -> String {
        let query = Query(self.incoming.query());
        match (token, self.path.secret_parameter()) {
            (Some(token), _) => query.with("access_token", token.value.expose()),
            (None, Some(parameter)) => query.with(parameter, self.caller.account.secret().expose()),
            (None, None) => query.0.to_owned(),
        }
    }

    /// Returns query and body with the AppSecret: in the body if that has the key, else in the query.
    fn with_secret_in_body(&self, body: &[u8]) -> Result<(String, Body), Refusal> {
        let parameter = self.path.secret_parameter().unwrap_or_default();
        let mut members = match serde_json::from_slice(body) {
            Ok(Value::Object(members)) => members,
            _ => serde_json::Map::new(),
        };
        let has_key = members.remove(parameter).is_some();
        let rest = Value::Object(members.clone()).to_string();
        if request::contains_key(rest.as_bytes()) || (!has_key && request::contains_key(body)) {
            return Err(request::key_found());
        }
        if !has_key {
            let body = Bytes::copy_from_slice(body);
            return Ok((self.query(None), Body::Whole(body, None)));
        }
        let secret = self.caller.account.secret().expose();
        members.insert(parameter.to_owned(), secret.into());
        let body = Value::Object(members).to_string();
        let query = self.incoming.query().to_owned();
        Ok((query, Body::Whole(body.into(), None)))
    }

    fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let replaced = match self.path.secret_parameter() {
            Some(parameter) => parameter,
            None if self.path.is_user_api() => "",
            None => "access_token",
        };
        let query = Query(self.incoming.query());
        request::check(self.path.as_str(), query, replaced, headers)
    }

    async fn send(
        &self,
        query: &str,
        headers: &HeaderMap,
        sending: Sending,
        call: &mut InProgress,
    ) -> Result<Answer, Failed> {
        let upstream = self.shared.broker.upstream();
        let client = self.clients.get(upstream, self).map_err(Failed::Unsent)?;
        let (whole, mut streamed, progress) = match sending {
            Sending::Whole(bytes) => (Some(bytes), None, None),
            Sending::Stream(body, length, progress) => (None, Some((body, length)), Some(progress)),
        };
        let method = reqwest::Method::from_bytes(self.incoming.method().as_str().as_bytes())
            .map_err(|_| Failed::Unsent("the method is not HTTP".into()))?;
        let is_head = self.incoming.method() == Method::HEAD;
        let mut unsent = String::new();
        for base in upstream.bases(self.system()) {
            let target = self.clients.target(base, self.path.as_str(), query);
            let mut request = client
                .request(method.clone(), target)
                .headers(headers.clone())
                .timeout(self.shared.options.timeout);
            if let Some(bytes) = &whole {
                call.bytes_sent += bytes.len() as u64;
                // A GET without a body gets no `Content-Length: 0`.
                if !bytes.is_empty() || self.has_body() {
                    request = request.body(bytes.clone());
                }
            } else if let Some((body, length)) = streamed.take() {
                if let Some(length) = length {
                    request = request.header(CONTENT_LENGTH, length);
                }
                request = request.body(body);
            }
            let answered = match request.send().await {
                Ok(response) => {
                    if response.status().as_u16() == 407
                        && let Some(failure) = upstream.refused_by_proxy(&self.caller.account, base)
                    {
                        return Err(Failed::Unsent(failure.said().into_owned()));
                    }
                    Answer::peek(response, is_head).await
                }
                Err(error) => Err(error),
            };
            if let Some(progress) = &progress {
                call.bytes_sent = progress.bytes();
                if let Some(cut) = progress.cut() {
                    return Err(Failed::Body(cut));
                }
            }
            match answered {
                Ok(answer) => {
                    upstream.host_answered(base);
                    return Ok(answer);
                }
                Err(error) => {
                    let is_unsent = error.is_connect();
                    let failure = upstream.failure(&self.caller.account, base, error).await;
                    let said = failure.said().into_owned();
                    if !is_unsent {
                        return Err(Failed::Unknown(said));
                    }
                    unsent = said;
                    // Another host is behind the same proxy; a streaming body may have been read already.
                    if failure.is_about_the_host() {
                        upstream.host_failed(base);
                    }
                    if whole.is_none() || !failure.is_about_the_host() {
                        break;
                    }
                }
            }
        }
        Err(Failed::Unsent(unsent))
    }

    /// Whether the client declared a body.
    fn has_body(&self) -> bool {
        let headers = self.incoming.headers();
        headers.contains_key("content-length") || headers.contains_key("transfer-encoding")
    }

    fn system(&self) -> System {
        match self.caller.account.platform() {
            Platform::Work { .. } => System::Qyapi,
            _ => System::Weixin,
        }
    }

    /// Whether WeChat refused the token, so that a refresh may help.
    fn is_token_error(&self, errcode: i64) -> bool {
        let advice = explain(self.system(), Paid::WithToken, errcode);
        advice.class == Class::StaleToken
    }

    /// Removes tokens that the answer quotes, and remembers users' tokens that it returns.
    fn finish(&self, answer: &mut Answer) -> Result<(), Refusal> {
        if self.path.quotes_requests() {
            if !answer.is_whole() {
                return Err(unavailable(
                    StatusCode::BAD_GATEWAY,
                    "system error: the answer quotes an access token in a form that cannot be redacted".into(),
                ));
            }
            answer.redact();
        }
        if self.path.is_user_api()
            && answer.is_whole()
            && let Ok(json) = serde_json::from_slice::<Value>(&answer.first)
        {
            self.shared.user_tokens.note(self.caller, &json);
        }
        debug!(
            key = self.caller.key.name,
            account = self.caller.name,
            path = self.path.group(),
            errcode = answer.errcode,
            "call passed on"
        );
        Ok(())
    }

    fn refusal(&self, failed: Failed) -> Refusal {
        match failed {
            Failed::Body(cut) => cut.refusal(&self.shared.options),
            Failed::Unsent(said) => unavailable(
                StatusCode::BAD_GATEWAY,
                format!("system error: WeChat was not reached and nothing was sent: {said}"),
            ),
            Failed::Unknown(said) => unavailable(
                StatusCode::GATEWAY_TIMEOUT,
                format!(
                    "system error: no complete answer of WeChat, which may have processed the call: {said}"
                ),
            ),
        }
    }
}

/// A body on its way.
enum Sending {
    Whole(Bytes),
    Stream(reqwest::Body, Option<u64>, Progress),
}

impl Clients {
    /// Returns the URL of a call. The path needs no escaping, and a base is parsed once.
    fn target(&self, base: &str, path: &str, query: &str) -> Url {
        let known = self.bases.borrow().get(base).cloned();
        let mut url = known.unwrap_or_else(|| {
            let url = Url::parse(base).expect("checked when the client was built");
            self.bases.borrow_mut().insert(base.to_owned(), url.clone());
            url
        });
        match url.path() {
            "/" => url.set_path(path),
            below => {
                let path = format!("{}{path}", below.trim_end_matches('/'));
                url.set_path(&path);
            }
        }
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        url
    }

    fn get(&self, upstream: &Upstream, call: &Call<'_>) -> Result<Client, String> {
        let account = &call.caller.account;
        let egress = upstream.egress_of(account);
        if let Some(client) = self.clients.borrow().get(egress) {
            return Ok(client.clone());
        }
        let client = upstream
            .client_builder(account)
            .connect_timeout(call.shared.options.connect_timeout)
            .pool_idle_timeout(IDLE)
            .build()
            .map_err(|error| error.without_url().to_string())?;
        self.clients
            .borrow_mut()
            .insert(egress.clone(), client.clone());
        Ok(client)
    }
}

/// Shorter than servers keep idle connections: on one that is just being closed, a call's outcome would be
/// unknown.
const IDLE: Duration = Duration::from_secs(10);
