//! Finishes the answers of the application and of the gateway: counts, logs, request id, and a problem document
//! for errors without a body.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::body::EitherBody;
use actix_web::dev::{Response, ServiceResponse};
use actix_web::http::header::{ALLOW, CONTENT_TYPE};
use actix_web::http::{Method, StatusCode};

use super::Body;
use crate::actix::access_log::{AccessLog, Entry};
use crate::actix::credentials::account_in_path;
use crate::actix::gateway::Passed;
use crate::actix::request_stats::{ListenerName, WorkerStats};
use crate::broker::Broker;
use crate::endpoint::{Problem, SIGNING, account_of};
use crate::error::Text;

/// Finishes the answers of one worker: counts and logs each, and adds the request id.
pub(crate) struct Finisher {
    pub(super) broker: Broker,
    pub(super) listener: ListenerName,
    pub(super) scope: Option<&'static str>,
    pub(super) stats: WorkerStats,
    pub(super) access_log: AccessLog,
}

impl Finisher {
    /// Counts and logs an answer of the application, and adds the request id.
    pub(super) fn finish(
        &self,
        answer: ServiceResponse,
        begun: Duration,
        entry: &Entry,
    ) -> Response<Body> {
        let (request, response) = answer.into_parts();
        let response = self.with_problem(response);
        let (status, pattern) = (response.status(), request.match_pattern());
        let took = self.stats.count(pattern.as_deref(), status.as_u16(), begun);
        let account = match (self.listener, &pattern) {
            (ListenerName::Public, Some(pattern)) if self.signs(pattern) => {
                let account = account_of(request.query_string());
                // A preflight names the account of the request that follows, and that request is counted.
                if request.method() != Method::OPTIONS {
                    self.stats.count_account(&account, status.as_u16());
                }
                Some(account)
            }
            (ListenerName::Admin, _) => account_in_path(&request),
            _ => None,
        };
        // An unknown account name is arbitrary text from the request.
        let accounts = self.broker.accounts();
        let account = account.and_then(|account| Some(accounts.get(&account).ok()?.0));
        let is_unknown = pattern.is_none() && self.listener == ListenerName::Public;
        let path = is_unknown.then(|| request.path());
        self.note(entry, (pattern.as_deref(), path), account, took, response)
    }

    /// Counts and logs an answer of the gateway, and adds the request id.
    pub(super) fn finish_passed(
        &self,
        passed: Passed,
        begun: Duration,
        entry: &Entry,
    ) -> Response<Body> {
        let Passed { response, named } = passed;
        let status = response.status().as_u16();
        let took = self.stats.count(Some(GATEWAY_ROUTE), status, begun);
        let (route, account) = match &named {
            Some((group, account)) => (group.as_str(), Some(account.as_str())),
            None => (GATEWAY_ROUTE, None),
        };
        self.note(entry, (Some(route), None), account, took, response)
    }

    /// Logs an answer, and adds the request id.
    fn note(
        &self,
        entry: &Entry,
        route: (Option<&str>, Option<&str>),
        account: Option<&str>,
        took: Duration,
        mut response: HttpResponse,
    ) -> Response<Body> {
        let status = response.status();
        let failure = response.extensions().get().copied().unwrap_or_default();
        self.access_log
            .note(entry, route, status.as_u16(), failure, account, took);
        self.access_log.label(entry, status, response.headers_mut());
        Response::from(response).map_body(|_, body| EitherBody::right(body))
    }

    /// Replaces a 404 or 405 without a body, the framework's own or that of an unknown path, by a problem
    /// document.
    fn with_problem(&self, response: HttpResponse) -> HttpResponse {
        let headers = response.headers();
        if headers.contains_key(CONTENT_TYPE) {
            return response;
        }
        let allow = headers.get(ALLOW);
        let problem = match (response.status(), self.listener) {
            (StatusCode::NOT_FOUND, ListenerName::Public) => Problem::not_found(),
            (StatusCode::NOT_FOUND, ListenerName::Admin) => Problem {
                hint: ADMIN_PATHS,
                ..Problem::not_found()
            },
            (StatusCode::METHOD_NOT_ALLOWED, _) => {
                let allow = allow.and_then(|allow| allow.to_str().ok());
                Problem::method_not_allowed(allow.unwrap_or("GET, HEAD"))
            }
            _ => return response,
        };
        let mut answer = problem.into_response();
        if let Some(allow) = allow {
            answer.headers_mut().insert(ALLOW, allow.clone());
        }
        answer
    }

    fn signs(&self, pattern: &str) -> bool {
        let below = self.scope.and_then(|scope| pattern.strip_prefix(scope));
        below.is_some_and(|route| SIGNING.contains(&route))
    }
}

/// The route label of calls that were passed on.
const GATEWAY_ROUTE: &str = "/{wechat}";

/// For clients that call the wrong listener, or call this one for an endpoint that only WeChat has.
const ADMIN_PATHS: Text = Text::new(
    "The admin listener serves /credentials/{account}/{kind}, WeChat's token and ticket paths, /status, /metrics and more, see /docs. \
     It passes WeChat's other calls on, see docs/GATEWAY.md. Pages are signed by the public listener.",
    "管理端口提供 /credentials/{account}/{kind}、微信原有的 token 与 ticket 路径、/status、/metrics 等，完整列表见 /docs。\
     微信的其他接口由网关转发，见 docs/zh/GATEWAY.md；页面签名请访问公开端口。",
);
