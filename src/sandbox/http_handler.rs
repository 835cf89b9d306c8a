//! WeChat's endpoints over HTTP: counts a call, waits at its gate, reads its body, applies a fault, processes it.
//!
//! One listener serves the paths of `api.weixin.qq.com` and `qyapi.weixin.qq.com`. For paths that both have,
//! the token decides which system is called (`Simulator::system`). A path without a simulation of its own is
//! answered with an echo of the request, or with the shape that its query asks for.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::http::header::{
    CONTENT_DISPOSITION, CONTENT_ENCODING, HeaderName, HeaderValue, SERVER,
};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::echo_shape::{PICTURE, Shape};
use super::fault::{self, FaultKind};
use super::going_live_check::SEND_MESSAGE;
use super::received::{Body, ReceivedRequest};
use super::reply::{Refusal, json_with_ok};
use super::shared_state::Shared;
use super::simulated_endpoints::{Call, Endpoint, System};
use super::streamed_body::MadeBody;

/// Answers every path outside `/sandbox/…`. Below an unknown first segment it is an empty 404.
pub(super) async fn answer(
    shared: Data<Shared>,
    request: HttpRequest,
    payload: Payload,
) -> HttpResponse {
    let Some(endpoint) = Endpoint::of(request.path()) else {
        return HttpResponse::NotFound().finish();
    };
    shared.count(request.path());
    shared.pass_gates(request.path()).await;
    let is_read = !endpoint.is_echo() || request.path() == SEND_MESSAGE;
    let keep = if is_read { LONGEST_READ } else { 0 };
    let body = Body::read(payload, keep).await;
    let received = Arc::new(ReceivedRequest::of(&request, &body));
    shared.inside().received.push(received.clone());
    if received.body_sha256.is_none() {
        return fault::hang_up();
    }
    if !endpoint.is_echo() && body.length > LONGEST_READ as u64 {
        return fault::page(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let call = Call {
        endpoint,
        path: request.path(),
        is_post: request.method() == Method::POST,
        query: serde_urlencoded::from_str(request.query_string()).unwrap_or_default(),
        body: &body.kept,
        peer: shared.seen_from(request.peer_addr()),
    };
    let shape = match endpoint.is_echo().then(|| Shape::of(&call)).transpose() {
        Ok(shape) => shape.unwrap_or_default(),
        // An answer that WeChat would not give, so that a misspelt parameter is noticed.
        Err(error) => return HttpResponse::BadRequest().json(json!({ "error": error })),
    };
    let (system, content_type) = {
        let inside = shared.inside();
        let system = inside.simulator.system(&call, shared.clock.now());
        (system, inside.content_type(system, endpoint))
    };
    let under_way = UnderWay {
        shared: &shared,
        call: &call,
        received: &received,
        shape,
        system,
        content_type,
    };
    under_way.respond().await
}

/// A call that has passed the gates, and the system it is for.
struct UnderWay<'a> {
    shared: &'a Shared,
    call: &'a Call<'a>,
    received: &'a ReceivedRequest,
    shape: Shape<'a>,
    system: System,
    content_type: String,
}

/// An answer. It is always a 200, whatever its errcode.
struct Answer {
    body: MadeBody,
    content_type: String,
    /// Set for a file.
    file_name: Option<&'static str>,
    gzip: bool,
    /// WeCom repeats the errcode and the errmsg in response headers.
    repeated: Option<(i64, String)>,
}

impl UnderWay<'_> {
    /// Processes the call, unless a fault prevents it.
    async fn respond(&self) -> HttpResponse {
        let fault = self.shared.inside().faults.take(self.call.path);
        match fault {
            None => self.carry_out(),
            Some(FaultKind::Errcode(code)) => {
                self.refused(&Refusal::by(self.system, self.call.endpoint, code))
            }
            Some(FaultKind::ErrcodeWith(code, text)) => self.refused(&Refusal::worded(code, text)),
            Some(FaultKind::Status(status)) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
                return fault::page(status);
            }
            Some(FaultKind::Hang) => std::future::pending().await,
            Some(FaultKind::CutBody) => self.carry_out().cut(),
            Some(FaultKind::NotJson) => return fault::page(StatusCode::OK),
            Some(FaultKind::HugeBody) => self.answer(fault::huge(), None),
            Some(FaultKind::Body(body)) => self.answer(MadeBody::of(body), None),
            Some(FaultKind::LostReply) => {
                self.carry_out();
                return fault::hang_up();
            }
            Some(FaultKind::Slow(by)) => {
                let answer = self.carry_out();
                tokio::time::sleep(by).await;
                answer
            }
        }
        .into_response()
    }

    /// Processes the call.
    fn carry_out(&self) -> Answer {
        if self.call.endpoint.is_echo() {
            return self.echo();
        }
        let done = self
            .shared
            .simulate(|it, now| it.call(self.system, self.call, now));
        match done {
            Ok(body) => self.succeeded(MadeBody::of(body)),
            Err(refusal) => self.refused(&refusal),
        }
    }

    /// Checks the token, then answers with the request, or with what the query asks for.
    fn echo(&self) -> Answer {
        let checked = self.shared.simulate(|it, now| {
            let checked = it.check_token(self.system, self.call, now);
            if checked.is_ok() && self.call.path == SEND_MESSAGE {
                it.sent_messages.keep(self.call);
            }
            checked
        });
        // A check of a platform may wait for the message.
        self.shared.counted.send_replace(());
        if let Err(refusal) = checked {
            return self.refused(&refusal);
        }
        let answer = match self.shape.errcode {
            Some(code) => self.refused(&Refusal::by(self.system, self.call.endpoint, code)),
            None => self.succeeded(self.shape.body().unwrap_or_else(|| echo(self.received))),
        };
        answer.shaped(&self.shape)
    }

    fn succeeded(&self, body: MadeBody) -> Answer {
        self.count_errcode(0);
        self.answer(body, Some((0, "ok".to_owned())))
    }

    fn refused(&self, refusal: &Refusal) -> Answer {
        self.count_errcode(refusal.code);
        let wall = self.shared.clock.wall();
        if self.system == System::Weixin {
            return self.answer(MadeBody::of(refusal.body(self.call.endpoint, wall)), None);
        }
        let from = self
            .shared
            .simulate(|it, now| it.seen_by_work(self.call, now));
        let errmsg = refusal.work_errmsg(wall, from);
        let body = refusal.work_body(self.call.endpoint, &errmsg);
        self.answer(MadeBody::of(body), Some((refusal.code, errmsg)))
    }

    fn count_errcode(&self, code: i64) {
        self.shared.inside().count_errcode(self.call.path, code);
    }

    fn answer(&self, body: MadeBody, outcome: Option<(i64, String)>) -> Answer {
        Answer {
            body,
            content_type: self.content_type.clone(),
            file_name: None,
            gzip: false,
            repeated: outcome.filter(|_| self.system == System::Qyapi),
        }
    }
}

impl Answer {
    fn shaped(mut self, shape: &Shape<'_>) -> Self {
        self.body = shape.sent(self.body);
        self.gzip = shape.gzip;
        if shape.is_binary() {
            self.file_name = Some(shape.file_name());
            self.content_type = PICTURE.to_owned();
        }
        if let Some(content_type) = shape.content_type {
            self.content_type = content_type.to_owned();
        }
        self
    }

    /// Sends the first half and closes the connection.
    fn cut(mut self) -> Self {
        let half = self.body.len() / 2;
        self.body = self.body.cut_after(half);
        self
    }

    fn into_response(self) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        response.content_type(self.content_type);
        if let Some(name) = self.file_name {
            let disposition = format!("attachment; filename=\"{name}\"");
            response.insert_header((CONTENT_DISPOSITION, disposition));
        }
        if self.gzip {
            response.insert_header((CONTENT_ENCODING, "gzip"));
        }
        if let Some((errcode, errmsg)) = self.repeated {
            response
                .insert_header((SERVER, "nginx"))
                .insert_header((ERROR_CODE, errcode.to_string()));
            // Only a fault can bring a text that a header cannot hold; it is then in the body alone.
            if let Ok(errmsg) = HeaderValue::from_bytes(errmsg.as_bytes()) {
                response.insert_header((ERROR_MSG, errmsg));
            }
        }
        self.body.respond(&mut response)
    }
}

/// Returns the request as the body of a success.
fn echo(received: &ReceivedRequest) -> MadeBody {
    MadeBody::of(json_with_ok(&BTreeMap::from([("echo", received)])))
}

/// Longest body of a call with a simulation of its own. In bytes.
const LONGEST_READ: usize = 256 * 1_024;

const ERROR_CODE: HeaderName = HeaderName::from_static("error-code");
const ERROR_MSG: HeaderName = HeaderName::from_static("error-msg");
