//! WeChat's endpoints over HTTP: counts a call, waits at its gate, applies a fault, processes it.
//!
//! One listener serves the paths of `api.weixin.qq.com` and `qyapi.weixin.qq.com`. For `get_api_domain_ip`,
//! which both have, the token decides which system is called (`Simulator::system`).

use std::net::{IpAddr, Ipv4Addr};

use actix_web::http::header::{HeaderName, HeaderValue, SERVER};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};

use super::call::Call;
use super::endpoint::{Endpoint, System};
use super::fault::{self, FaultKind};
use super::reply::Refusal;
use super::shared::Shared;

/// Answers every path outside `/sandbox/…`. An unknown path gets an empty 404.
pub(super) async fn answer(
    shared: Data<Shared>,
    request: HttpRequest,
    body: Bytes,
) -> HttpResponse {
    let Some(endpoint) = Endpoint::at(request.path()) else {
        return HttpResponse::NotFound().finish();
    };
    shared.count(endpoint);
    shared.pass_gates(endpoint).await;
    let call = call_of(endpoint, &request, &body);
    let under_way = UnderWay::new(&shared, &call);
    let content_type = || under_way.content_type.clone();
    match shared.take_fault(endpoint) {
        None => under_way.carry_out().into_response(content_type()),
        Some(FaultKind::Errcode(code)) => under_way
            .refused(&Refusal::by(under_way.system, code))
            .into_response(content_type()),
        Some(FaultKind::ErrcodeWith(code, text)) => under_way
            .refused(&Refusal::worded(code, text))
            .into_response(content_type()),
        Some(FaultKind::Status(status)) => {
            fault::page(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY))
        }
        Some(FaultKind::Hang) => std::future::pending().await,
        Some(FaultKind::CutBody) => fault::cut(content_type(), &under_way.carry_out().body),
        Some(FaultKind::NotJson) => fault::page(StatusCode::OK),
        Some(FaultKind::HugeBody) => fault::huge(content_type()),
        Some(FaultKind::Body(body)) => HttpResponse::Ok().content_type(content_type()).body(body),
        Some(FaultKind::LostReply) => {
            under_way.carry_out();
            fault::hang_up()
        }
        Some(FaultKind::Slow(by)) => {
            let answer = under_way.carry_out();
            tokio::time::sleep(by).await;
            answer.into_response(content_type())
        }
    }
}

fn call_of<'a>(endpoint: Endpoint, request: &HttpRequest, body: &'a [u8]) -> Call<'a> {
    Call {
        endpoint,
        is_post: request.method() == Method::POST,
        query: serde_urlencoded::from_str(request.query_string()).unwrap_or_default(),
        body,
        peer: request
            .peer_addr()
            .map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.ip()),
    }
}

/// A call that has passed the gates, and the system it is for.
struct UnderWay<'a> {
    shared: &'a Shared,
    call: &'a Call<'a>,
    system: System,
    content_type: String,
}

/// An answer. It is always a 200, whatever its errcode.
struct Answer {
    body: String,
    /// WeCom repeats the errcode and the errmsg in response headers.
    repeated: Option<(i64, String)>,
}

impl<'a> UnderWay<'a> {
    fn new(shared: &'a Shared, call: &'a Call<'a>) -> Self {
        let inside = shared.inside();
        let system = inside.simulator.system(call, shared.clock.now());
        Self {
            shared,
            call,
            system,
            content_type: inside.content_type(system),
        }
    }

    /// Processes the call.
    fn carry_out(&self) -> Answer {
        let done =
            self.shared
                .inside()
                .simulator
                .call(self.system, self.call, self.shared.clock.now());
        match done {
            Ok(body) => Answer {
                body,
                repeated: self.repeated(0, "ok".to_owned()),
            },
            Err(refusal) => self.refused(&refusal),
        }
    }

    fn refused(&self, refusal: &Refusal) -> Answer {
        let clock = &self.shared.clock;
        if self.system == System::Weixin {
            return Answer {
                body: refusal.body(clock.wall()),
                repeated: None,
            };
        }
        let from = self
            .shared
            .inside()
            .simulator
            .seen_by_work(self.call, clock.now());
        let errmsg = refusal.work_errmsg(clock.wall(), from);
        Answer {
            body: refusal.work_body(self.call.endpoint, &errmsg),
            repeated: self.repeated(refusal.code, errmsg),
        }
    }

    fn repeated(&self, errcode: i64, errmsg: String) -> Option<(i64, String)> {
        (self.system == System::Qyapi).then_some((errcode, errmsg))
    }
}

impl Answer {
    fn into_response(self, content_type: String) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        response.content_type(content_type);
        if let Some((errcode, errmsg)) = self.repeated {
            response
                .insert_header((SERVER, "nginx"))
                .insert_header((ERROR_CODE, errcode.to_string()));
            // Only a fault can bring a text that a header cannot hold; it is then in the body alone.
            if let Ok(errmsg) = HeaderValue::from_bytes(errmsg.as_bytes()) {
                response.insert_header((ERROR_MSG, errmsg));
            }
        }
        response.body(self.body)
    }
}

const ERROR_CODE: HeaderName = HeaderName::from_static("error-code");
const ERROR_MSG: HeaderName = HeaderName::from_static("error-msg");
