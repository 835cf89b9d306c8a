//! Sends a call upstream, and repeats it once if WeChat refuses the token.

use std::pin::Pin;
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::dev::Payload;
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use hyper::Request;
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep};
use tracing::{debug, info, warn};

use super::super::dropin::reply::Refusal;
use super::super::dropin::system_of;
use super::super::keys::API_KEY_PREFIX;
use super::answer::Answer;
use super::caller::Caller;
use super::connections::Connections;
use super::outgoing_request::{self, contains_key, key_found};
use super::request_body::{self, Body, Cut, Progress};
use super::stats::{CallOutcome, InProgress};
use super::{Incoming, Shared, unavailable};
use crate::account::Platform;
use crate::actix::WechatPath;
use crate::credential::{Credential, Kind};
use crate::error::{CallAuth, Class, Error, explain};
use crate::upstream::Broken;

/// An authorised call.
pub(super) struct Call<'a> {
    pub(super) shared: &'a Shared,
    pub(super) incoming: &'a Incoming<'a>,
    pub(super) path: WechatPath<'a>,
    pub(super) caller: &'a Caller,
    pub(super) connections: &'a Connections,
}

impl Call<'_> {
    /// Makes the call. `secret_body` is the body if it was read already.
    pub(super) async fn make(
        &self,
        payload: Payload,
        secret_body: Option<Bytes>,
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
        let mut headers = outgoing_request::headers(
            self.incoming.headers(),
            &self.shared.via,
            self.shared.lockout.client_ip_header(),
        );
        self.check(&headers)?;
        self.check_app_id(secret_body.as_deref())?;
        headers.extend(self.key_for_upstream());
        let mut token = self.token().await?;
        let mut deadline = Box::pin(sleep(options.timeout));
        let (mut query, mut body, _reserved) = match secret_body {
            Some(body) => {
                let (query, body) = self.with_secret_in_body(&body)?;
                (query, Body::Whole(body), None)
            }
            None => {
                let (body, reserved) = tokio::select! {
                    biased;
                    read = request_body::read(self.incoming, payload, options, budget) => read?,
                    () = &mut deadline => return Err(Cut::Late.refusal(options)),
                };
                (self.query(token.as_deref()), body, reserved)
            }
        };
        if matches!(&body, Body::Whole(bytes) if bytes.is_empty()) && self.has_body() {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let begun = broker.clock().uptime();
        loop {
            let again = match &body {
                Body::Whole(bytes) => Some(bytes.clone()),
                Body::Streaming(_) => None,
            };
            call.outcome = CallOutcome::Failed;
            let answered = self.send(&query, &headers, body, deadline, &mut call);
            let answered = answered.await;
            call.took = Some(broker.clock().uptime().saturating_sub(begun));
            let mut answer = answered?;
            self.refuse_redirect(&answer)?;
            let is_token_error = answer.errcode.is_some_and(|code| self.is_token_error(code));
            if let Some(refused) = token.as_ref().filter(|_| is_token_error && !call.replayed)
                && let Ok(new) = broker
                    .reject(&self.caller.name, Kind::AccessToken, &refused.value)
                    .await
                && new.value != refused.value
                && let Some(bytes) = again
            {
                let (account, path) = (&self.caller.name, self.path.group());
                info!(account, path, "call repeated with a new access token");
                query = self.query(Some(&new));
                token = Some(new);
                body = Body::Whole(bytes);
                call.replayed = true;
                deadline = Box::pin(sleep(options.timeout));
                continue;
            }
            call.healed = call.replayed && !is_token_error;
            call.outcome = match answer.errcode {
                None => CallOutcome::Ok,
                Some(_) => CallOutcome::Errcode,
            };
            self.finish(&mut answer, token.as_deref())?;
            return Ok(answer.into_response(call));
        }
    }

    /// Returns the account's token, unless the call carries the AppSecret or a user's token.
    async fn token(&self) -> Result<Option<Arc<Credential>>, Refusal> {
        if self.path.token_parameters().is_empty() {
            return Ok(None);
        }
        let broker = &self.shared.broker;
        let token = broker.credential(&self.caller.name, Kind::AccessToken);
        Ok(Some(token.await.map_err(no_token)?))
    }

    pub(super) fn query(&self, token: Option<&Credential>) -> String {
        let query = self.incoming.query();
        match (token, self.path.secret_parameter()) {
            (Some(token), _) => query.with(self.path.token_parameters(), token.value.expose()),
            (None, Some(parameter)) => {
                query.with(&[parameter], self.caller.account.secret().expose())
            }
            (None, None) => query.0.to_owned(),
        }
    }

    /// Returns the header with the account's secret for a call with a user's token, if the secret is an API key: then
    /// the upstream is a wx-jssdk, which after a restart does not know the login of the user.
    fn key_for_upstream(&self) -> Option<(HeaderName, HeaderValue)> {
        let secret = self.caller.account.secret().expose();
        let has_users_token =
            self.path.token_parameters().is_empty() && self.path.secret_parameter().is_none();
        if !has_users_token || !secret.starts_with(API_KEY_PREFIX) {
            return None;
        }
        let mut key = HeaderValue::try_from(format!("Bearer {secret}")).ok()?;
        key.set_sensitive(true);
        Some((AUTHORIZATION, key))
    }

    /// Refuses what must not go upstream: an API key in the path, the query or a header that is passed on.
    fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let secret = self.path.secret_parameter();
        // Their values do not go upstream.
        let replaced = match &secret {
            Some(_) => secret.as_slice(),
            None => self.path.token_parameters(),
        };
        let in_header = headers.values().any(|value| contains_key(value.as_bytes()));
        let in_query = self.incoming.query().contains_key_beside(replaced);
        match in_header || in_query || contains_key(self.path.as_str().as_bytes()) {
            true => Err(key_found()),
            false => Ok(()),
        }
    }

    /// Sends the call to the first host that can be reached. `deadline`: of the first host.
    async fn send(
        &self,
        query: &str,
        headers: &HeaderMap,
        body: Body,
        deadline: Pin<Box<Sleep>>,
        call: &mut InProgress,
    ) -> Result<Answer, Refusal> {
        let upstream = self.shared.broker.upstream();
        let account = &self.caller.account;
        let progress = match &body {
            Body::Whole(bytes) => {
                call.bytes_sent += bytes.len() as u64;
                None
            }
            Body::Streaming(streaming) => Some(streaming.progress()),
        };
        let target = match query {
            "" => self.path.as_str().to_owned(),
            query => format!("{}?{query}", self.path.as_str()),
        };
        let mut attempt = Attempt {
            target,
            headers,
            body: Some(body),
            progress: progress.clone(),
        };
        let mut unreached = String::new();
        let options = &self.shared.options;
        let mut first_deadline = Some(deadline);
        for base in upstream.bases(account, system_of(account)) {
            let is_first = first_deadline.is_some();
            let mut deadline = first_deadline
                .take()
                .unwrap_or_else(|| Box::pin(sleep(options.timeout)));
            let answered = self.attempt(base, &mut attempt, &mut deadline).await;
            if let Some(progress) = &progress {
                let state = progress.state();
                call.bytes_sent = state.bytes;
                if let Some(cut) = state.cut {
                    return Err(cut.refusal(options));
                }
            }
            let broken = match answered {
                Ok(answer) => {
                    if answer.status == 407
                        && let Some(failure) = upstream.refused_by_proxy(account, base)
                    {
                        return Err(unsent(&failure.said()));
                    }
                    upstream.host_answered(account, base);
                    return Ok(answer.until(deadline));
                }
                Err(broken) => broken,
            };
            let awaits_client = |progress: &Progress| progress.state().awaits_client;
            if broken.is_timeout && progress.as_ref().is_some_and(awaits_client) {
                return Err(Cut::Late.refusal(options));
            }
            let is_unsent = broken.is_unsent;
            // Only a body that arrived late leaves less time than a connection may take.
            let is_late = options.timeout > options.connect_timeout && deadline.is_elapsed();
            if is_first && is_unsent && is_late {
                return Err(Cut::Late.refusal(options));
            }
            let failure = upstream.failure(account, base, broken).await;
            let said = failure.said().into_owned();
            if !is_unsent {
                return Err(unavailable(
                    StatusCode::GATEWAY_TIMEOUT,
                    format!(
                        "system error: no complete answer of WeChat, which may have processed the call: {said}"
                    ),
                ));
            }
            unreached = said;
            // Another host is behind the same proxy.
            if !failure.is_about_the_host() {
                break;
            }
            upstream.host_failed(account, base);
        }
        Err(unsent(&unreached))
    }

    /// Sends the call to one host, on a kept connection if there is one.
    async fn attempt(
        &self,
        base: &str,
        attempt: &mut Attempt<'_>,
        deadline: &mut Pin<Box<Sleep>>,
    ) -> Result<Answer, Broken> {
        let timeout = self.shared.options.timeout;
        tokio::select! {
            biased;
            answered = self.exchange(base, attempt) => answered,
            () = deadline => {
                let error = format!("no answer within {} s", timeout.as_secs_f32());
                Err(Broken::timed_out(error, attempt.body.is_some()))
            }
        }
    }

    async fn exchange(&self, base: &str, attempt: &mut Attempt<'_>) -> Result<Answer, Broken> {
        let (upstream, account) = (self.shared.broker.upstream(), &self.caller.account);
        let method = self.incoming.request.method();
        let is_head = method == Method::HEAD;
        let is_redacted = self.path.returns_secrets();
        let method = hyper::Method::from_bytes(method.as_str().as_bytes())
            .map_err(|error| Broken::new(error, true))?;
        loop {
            let mut lent = self
                .connections
                .get(upstream, account, base, self.shared.options.connect_timeout)
                .await?;
            lent.progress.clone_from(&attempt.progress);
            let body = attempt.body.take().expect("it comes back unsent");
            let headers = attempt.headers.clone();
            let request = lent
                .request(base, &attempt.target, method.clone(), headers, body)
                .map_err(|error| Broken::new(error, true))?;
            let mut error = match lent.sender().try_send_request(request).await {
                Ok(response) => {
                    let answer = Answer::peek(response, lent, is_head, is_redacted).await;
                    return answer.map_err(|error| Broken::new(error, false));
                }
                Err(error) => error,
            };
            attempt.body = error.take_message().map(Request::into_body);
            // WeChat had closed the connection.
            let is_unsent = attempt.body.is_some();
            if !(lent.is_reused && is_unsent) {
                return Err(Broken::new(error.into_error(), is_unsent));
            }
        }
    }

    /// Whether the client declared a body.
    fn has_body(&self) -> bool {
        let headers = self.incoming.headers();
        headers.contains_key("content-length") || headers.contains_key("transfer-encoding")
    }

    /// Whether WeChat refused the token, so that a refresh may help.
    fn is_token_error(&self, errcode: i64) -> bool {
        let auth = match self.caller.account.platform() {
            Platform::Component => CallAuth::WithComponentToken,
            _ => CallAuth::WithToken,
        };
        let advice = explain(system_of(&self.caller.account), auth, errcode);
        advice.class == Class::StaleToken
    }

    /// Refuses an answer that leads elsewhere: no API of WeChat redirects, and the target may quote the token or the
    /// AppSecret.
    fn refuse_redirect(&self, answer: &Answer) -> Result<(), Refusal> {
        let status = answer.status;
        if !matches!(status, 101 | 300..=303 | 305..=399) {
            return Ok(());
        }
        let (account, path) = (&self.caller.name, self.path.group());
        let to = answer.redirect_origin();
        warn!(
            account,
            path,
            status,
            to = to.as_deref(),
            "answer of WeChat not passed on"
        );
        let what = match (status, to) {
            (101, _) => "answered with status 101, which no API of WeChat has".to_owned(),
            (_, Some(to)) => format!("redirects the call to {to} (status {status})"),
            (_, None) => format!("redirects the call (status {status})"),
        };
        Err(unavailable(
            StatusCode::BAD_GATEWAY,
            format!(
                "system error: WeChat {what}: check upstream.weixin, upstream.qyapi and the proxy"
            ),
        ))
    }

    /// Removes secrets from the answer, the token that was sent among them, and remembers users' tokens that it
    /// returns.
    fn finish(&self, answer: &mut Answer, sent: Option<&Credential>) -> Result<(), Refusal> {
        let app_secret = self.caller.account.secret().expose();
        let token = sent.map_or("", |token| token.value.expose());
        let secrets = [app_secret, token];
        if self.path.returns_secrets() && !(answer.is_whole() && answer.redact(&secrets)) {
            return Err(unavailable(
                StatusCode::BAD_GATEWAY,
                "system error: the answer may contain secrets, and is compressed, not text or too long to be redacted"
                    .into(),
            ));
        }
        if self.path.is_user_api()
            && let Some(json) = answer.json()
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
}

/// Returns the refusal of a call of which nothing was sent.
fn unsent(said: &str) -> Refusal {
    unavailable(
        StatusCode::BAD_GATEWAY,
        format!("system error: WeChat was not reached and nothing was sent: {said}"),
    )
}

/// Returns the refusal of a call for which this service has no token. WeChat's error is about the account's own
/// AppSecret, never about the caller's key.
fn no_token(error: Error) -> Refusal {
    match error.upstream() {
        Some(upstream) => unavailable(
            StatusCode::BAD_GATEWAY,
            format!(
                "system error: wx-jssdk could not get the account's token, and nothing was sent: {upstream}"
            ),
        ),
        None => error.into(),
    }
}

/// What is sent to one host after the other until one can be reached.
struct Attempt<'a> {
    /// Path and query.
    target: String,
    headers: &'a HeaderMap,
    /// `None`: it is on its way, and WeChat may have received some of it.
    body: Option<Body>,
    progress: Option<Progress>,
}
