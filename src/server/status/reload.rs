//! `POST /status/reload`: reads the configuration again, as SIGHUP does, and says what came of it.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::csrf::check_own_script;
use super::{STATUS, StatusState, answer};
use crate::actix::admit_unlimited;
use crate::endpoint::Problem;
use crate::server::config::{self, Problems};
use crate::server::reload::ReloadedCertificates;
use crate::server::reload_record::SHOWN;

/// Result of the reload.
#[derive(Default, Serialize)]
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
    STATUS.guard(answer(reload_now(&request, &status).await))
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
    let report = ReloadReport {
        certificates_applied: certificates.applied,
        certificates_refused: certificates.refused,
        ..ReloadReport::default()
    };
    Ok(match result {
        Ok(reloaded) => ReloadReport {
            outcome: "applied",
            accounts: reloaded.accounts,
            added: reloaded.added.len(),
            removed: reloaded.removed.len(),
            needs_restart: reloaded.needs_restart,
            ..report
        },
        Err(Problems(problems)) => ReloadReport {
            outcome: "refused",
            accounts: status.reloader.names().len(),
            count: problems.len(),
            problems: problems.into_iter().take(SHOWN).collect(),
            ..report
        },
    })
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
