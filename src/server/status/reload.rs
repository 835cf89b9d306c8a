//! `POST /status/reload`: reads the configuration again, as SIGHUP does, and says what came of it.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::csrf::check_own_script;
use super::{StatusState, guarded};
use crate::actix::admit_unlimited;
use crate::endpoint::Problem;
use crate::server::config::{self, Problems};
use crate::server::reload::{Reloaded, ReloadedCertificates};
use crate::server::reload_record::SHOWN;

/// Result of the reload.
#[derive(Serialize)]
struct ReloadReport {
    /// `applied`, or `refused`: the previous configuration stays in use.
    outcome: &'static str,
    /// Number of accounts of the configuration now, platforms included.
    accounts: usize,
    /// Number of new accounts.
    added: usize,
    /// Number of removed accounts.
    removed: usize,
    /// Settings that differ from those at the start, and need a restart.
    needs_restart: Vec<&'static str>,
    /// Number of problems.
    count: usize,
    /// The first of the problems.
    problems: Vec<config::Problem>,
    /// Settings whose new certificate is in use, also if the configuration was refused.
    certificates_applied: Vec<&'static str>,
    /// Why new certificates were refused: the previous ones stay in use.
    certificates_refused: Vec<config::Problem>,
}

pub(super) async fn reload(request: HttpRequest, status: web::Data<StatusState>) -> HttpResponse {
    guarded(match reload_now(&request, &status).await {
        Ok(report) => HttpResponse::Ok()
            .insert_header((CACHE_CONTROL, "no-store"))
            .json(report),
        Err(problem) => problem.into_response(),
    })
}

async fn reload_now(request: &HttpRequest, status: &StatusState) -> Result<ReloadReport, Problem> {
    check_own_script(request)?;
    let key = admit_unlimited(request, &status.reloader.keys)?;
    tracing::info!(key, "reload requested");
    let answer = status.reloader.request().await;
    let (result, certificates) = answer.unwrap_or_else(|| {
        (
            Err(without_configuration()),
            ReloadedCertificates::default(),
        )
    });
    let report = match result {
        Ok(reloaded) => applied(reloaded),
        Err(problems) => refused(problems, status.reloader.names().len()),
    };
    Ok(ReloadReport {
        certificates_applied: certificates.applied,
        certificates_refused: certificates.refused,
        ..report
    })
}

fn applied(reloaded: Reloaded) -> ReloadReport {
    ReloadReport {
        outcome: "applied",
        accounts: reloaded.accounts,
        added: reloaded.added.len(),
        removed: reloaded.removed.len(),
        needs_restart: reloaded.needs_restart,
        count: 0,
        problems: Vec::new(),
        certificates_applied: Vec::new(),
        certificates_refused: Vec::new(),
    }
}

fn refused(Problems(problems): Problems, accounts: usize) -> ReloadReport {
    ReloadReport {
        outcome: "refused",
        accounts,
        added: 0,
        removed: 0,
        needs_restart: Vec::new(),
        count: problems.len(),
        problems: problems.into_iter().take(SHOWN).collect(),
        certificates_applied: Vec::new(),
        certificates_refused: Vec::new(),
    }
}

/// The sandbox has no configuration to read again, and neither has an embedding program.
fn without_configuration() -> Problems {
    let mut problems = Problems::default();
    problems.add(
        "serve --sandbox",
        "has no configuration to read again".into(),
        "没有可以重新加载的配置".into(),
    );
    problems
}
