//! Dry run of a start: checks certificates and the store. `check` runs it before a service exists, a
//! reload before a restart.
//!
//! Reads the certificate files; opens no store and makes no connection. Port conflicts between processes
//! are not detected.

use std::path::Path;

use super::config::{
    Problem, Problems, Settings, StoreKind, StoreSettings, TlsSettings, name_variables,
};
use super::startup_error::UNUSABLE_STORE;
use super::tls::{Certificate, tls_settings};
use crate::clock::Clock;
use crate::store::StoreError;

/// Checks that everything can be opened, and that clients accept the certificates. Reports each problem
/// under its setting, and returns warnings about certificates that expire soon.
///
/// # Errors
/// [`Problems`] names every problem.
pub fn check_start(settings: &Settings) -> Result<Vec<Problem>, Problems> {
    let (mut problems, mut warnings) = (Problems::default(), Problems::default());
    for (setting, files) in tls_settings(&settings.server) {
        let certificate = try_certificate(setting, files, &mut problems);
        if let Some(error) = certificate.as_ref().and_then(Certificate::not_now) {
            problems.add(setting, error.to_string(), error.zh());
        } else if let Some(certificate) = certificate.filter(|it| it.expires_soon().is_some()) {
            let until = certificate.expires_at().utc();
            warnings.add(
                setting,
                format!("the certificate expires soon, at {until}: renew it"),
                format!("证书即将到期（{until}）：请更新"),
            );
        }
    }
    try_store(&settings.store, &mut problems);
    name_variables(&mut problems);
    problems.into_result(Some(warnings.0))
}

/// Checks that everything can be opened that differs from `running`, the settings at the start. The running
/// service checks its own certificates itself: a pair that is being replaced must not block a new account.
///
/// # Errors
/// [`Problems`] names every problem.
pub fn check_restart(settings: &Settings, running: &Settings) -> Result<(), Problems> {
    let mut problems = Problems::default();
    let own = tls_settings(&settings.server).into_iter();
    let pairs = own.zip(tls_settings(&running.server));
    for ((setting, files), _) in pairs.filter(|(own, running)| own != running) {
        try_certificate(setting, files, &mut problems);
    }
    if settings.store != running.store {
        try_store(&settings.store, &mut problems);
    }
    name_variables(&mut problems);
    problems.into_result(Some(()))
}

fn try_certificate(
    setting: &'static str,
    files: Option<&TlsSettings>,
    problems: &mut Problems,
) -> Option<Certificate> {
    let loaded = Certificate::load(setting, files?, Clock::system());
    loaded
        .map_err(|error| problems.add(setting, error.to_string(), error.zh()))
        .ok()
}

fn try_store(store: &StoreSettings, problems: &mut Problems) {
    match &store.kind {
        StoreKind::File(path) => try_path("store.path", path, problems),
        // A shared store only parses its address, and connects when it is first used.
        kind => match kind.open() {
            Ok(_) => {
                if let Some(file) = kind.sqlite_file() {
                    try_path("store.url", Path::new(&file), problems);
                }
            }
            Err(error) => {
                let (en, zh) = match error {
                    StoreError::Address { problem } => (problem.en.into(), problem.zh.into()),
                    other => (other.to_string(), UNUSABLE_STORE.into()),
                };
                problems.add("store.url", en, zh);
            }
        },
    }
}

/// Checks the path of the file of `setting`. The start creates the file but not its directory.
fn try_path(setting: &str, path: &Path, problems: &mut Problems) {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let (shown, file) = (directory.display(), path.display());
    let (en, zh) = match directory.metadata() {
        Err(error) => (
            format!("directory \"{shown}\": {error}; create it, or choose another directory"),
            format!("目录“{shown}”：{error}；请创建该目录，或改用其他目录"),
        ),
        Ok(found) if !found.is_dir() => (
            format!("\"{shown}\" is not a directory: choose a file in a directory"),
            format!("“{shown}”不是目录：请填写某个目录下的文件"),
        ),
        Ok(_) if path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/") => (
            format!("\"{file}\" names a directory: choose a file in it"),
            format!("“{file}”是目录：请填写其中的文件名"),
        ),
        Ok(_) if path.exists() && !path.is_file() => (
            format!("\"{file}\" is not a regular file: choose another path"),
            format!("“{file}”不是普通文件：请改用其他路径"),
        ),
        Ok(_) => return,
    };
    problems.add(setting, en, zh);
}
