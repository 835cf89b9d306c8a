//! Dry run of a start: checks certificates and the store. `check` runs it before a service exists, a
//! reload before a restart.
//!
//! Reads the certificate files; opens no store and makes no connection. Port conflicts between processes
//! are not detected.

use std::path::Path;

use super::config::{Problems, Settings, StoreKind, StoreSettings, TlsSettings};
use super::tls::Certificate;
use crate::clock::Clock;
use crate::store::StoreError;

/// The settings that name something to open.
#[derive(Clone, Debug)]
pub struct Preflight {
    certificates: [(&'static str, Option<TlsSettings>); 2],
    store: StoreSettings,
}

impl Preflight {
    /// Collects them from these settings.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let server = &settings.server;
        let certificates = [
            ("server.tls", server.tls.clone()),
            ("server.admin_tls", server.admin_tls.clone()),
        ];
        Self {
            certificates,
            store: settings.store.clone(),
        }
    }

    /// Checks that everything can be opened, and reports each problem under its setting.
    ///
    /// # Errors
    /// [`Problems`] names every problem.
    pub fn run(&self) -> Result<(), Problems> {
        let mut problems = Problems::default();
        for (setting, files) in &self.certificates {
            try_certificate(setting, files.as_ref(), &mut problems);
        }
        try_store(&self.store, &mut problems);
        problems.into_result(Some(()))
    }

    /// Checks as [`Preflight::run`] does, except the certificates that `running` has too. The running
    /// service checks those itself: a pair that is being replaced must not block a new account.
    ///
    /// # Errors
    /// [`Problems`] names every problem.
    pub fn run_beside(&self, running: &Self) -> Result<(), Problems> {
        let mut problems = Problems::default();
        let pairs = self.certificates.iter().zip(&running.certificates);
        for ((setting, files), _) in pairs.filter(|(own, running)| own != running) {
            try_certificate(setting, files.as_ref(), &mut problems);
        }
        problems.into_result(Some(()))
    }
}

fn try_certificate(setting: &'static str, files: Option<&TlsSettings>, problems: &mut Problems) {
    if let Some(Err(error)) = files.map(|files| Certificate::load(setting, files, Clock::system()))
    {
        problems.add(setting, error.to_string(), error.zh());
    }
}

fn try_store(store: &StoreSettings, problems: &mut Problems) {
    match &store.kind {
        StoreKind::File(path) => try_path(path, problems),
        // A shared store only parses its address, and connects when it is first used.
        kind => {
            if let Err(error) = kind.open() {
                let en = match error {
                    StoreError::Address { problem } => {
                        format!("must be a URL such as {}: {problem}", kind.url_example())
                    }
                    other => other.to_string(),
                };
                let zh = format!("应为 {} 这样的地址", kind.url_example());
                problems.add("store.url", en, zh);
            }
        }
    }
}

/// Checks the path. The start creates the file but not its directory.
fn try_path(path: &Path, problems: &mut Problems) {
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
        Ok(_) if path.is_dir() => (
            format!("\"{file}\" is a directory: choose a file in it"),
            format!("“{file}”是目录：请填写其中的文件名"),
        ),
        Ok(_) => return,
    };
    problems.add("store.path", en, zh);
}
