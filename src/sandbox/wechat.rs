//! WeChat's endpoints over HTTP: count the call, wait at the gate, meet the fault, carry it out.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::http::{Method, StatusCode};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};

use super::endpoint::Endpoint;
use super::fault::{self, FaultKind};
use super::reply::Refusal;
use super::shared::Shared;
use super::world::Call;

/// Every path that is not `/sandbox/…`. One that is not played answers 404 with nothing in it.
pub(super) async fn answer(shared: Data<Shared>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let Some(endpoint) = Endpoint::at(request.path()) else {
        return HttpResponse::NotFound().finish();
    };
    shared.count(endpoint);
    shared.pass_gates(endpoint).await;
    let carry_out = || carry_out(&shared, endpoint, &request, &body);
    let content_type = shared.inside().content_type.clone();
    let ok = |body: String| HttpResponse::Ok().content_type(content_type.clone()).body(body);
    let refusal = |refusal: Refusal| ok(refusal.body(shared.clock.wall()));
    match shared.take_fault(endpoint) {
        None => ok(carry_out()),
        Some(FaultKind::Errcode(code)) => refusal(Refusal::new(code)),
        Some(FaultKind::ErrcodeWith(code, text)) => refusal(Refusal::worded(code, text)),
        Some(FaultKind::Status(status)) => fault::page(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY)),
        Some(FaultKind::Hang) => std::future::pending().await,
        Some(FaultKind::CutBody) => fault::cut(content_type, &carry_out()),
        Some(FaultKind::NotJson) => fault::page(StatusCode::OK),
        Some(FaultKind::HugeBody) => fault::huge(content_type),
        Some(FaultKind::Body(body)) => ok(body),
        Some(FaultKind::LostReply) => {
            carry_out();
            fault::hang_up()
        }
        Some(FaultKind::Slow(by)) => {
            let body = carry_out();
            tokio::time::sleep(by).await;
            ok(body)
        }
    }
}

/// Does what the call asks for and gives the answer's body. Every answer is a 200, whatever the errcode.
fn carry_out(shared: &Shared, endpoint: Endpoint, request: &HttpRequest, body: &[u8]) -> String {
    let call = Call {
        endpoint,
        is_post: request.method() == Method::POST,
        query: serde_urlencoded::from_str(request.query_string()).unwrap_or_default(),
        body,
        peer: request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.ip()),
    };
    let answer = shared.inside().world.call(&call, shared.clock.now());
    answer.unwrap_or_else(|refusal| refusal.body(shared.clock.wall()))
}
