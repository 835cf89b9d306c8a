//! Applies another configuration to the running service: accounts and keys change at once; bound ports
//! and opened stores stay.
//!
//! Reads no file: the caller passes settings that are already validated as a whole.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::config::{AccountDefaults, Problem, Problems, ProxySettings, ServerSettings, Settings};
use super::platform_routes::PlatformRoutes;
use super::ready::Readiness;
use super::reload_record::ReloadRecord;
use super::tls::Certificate;
use crate::actix::ApiKeys;
use crate::broker::{AccountSource, Broker, BuildError};
use crate::error::Text;
use crate::upstream::UpstreamOptions;

/// A handle on the running service. Clones share it.
#[derive(Clone)]
pub struct Reloader {
    pub(super) broker: Broker,
    pub(super) keys: Arc<ArcSwap<ApiKeys>>,
    pub(super) routes: PlatformRoutes,
    pub(super) readiness: Readiness,
    pub(super) reload_record: ReloadRecord,
    /// `[account_defaults]` of the configuration in use.
    pub(super) account_defaults: Arc<ArcSwap<AccountDefaults>>,
    pub(super) certificates: Vec<Certificate>,
    /// The settings at the start, without the accounts.
    started_with: Arc<Settings>,
    /// To the task that reads the configuration, once there is one.
    requests: Arc<OnceLock<mpsc::Sender<ReloadRequest>>>,
}

/// A reload that an operator requested over HTTP, instead of SIGHUP.
#[derive(Debug)]
pub struct ReloadRequest(oneshot::Sender<Answer>);

/// The results for the configuration and for the certificates.
type Answer = (Result<Reloaded, Problems>, ReloadedCertificates);

/// What a reload changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// The number of accounts of the configuration now, platforms included.
    pub accounts: usize,
    /// The new names in the configuration, sorted.
    pub added: Vec<String>,
    /// The names that the configuration does not have any more, sorted.
    pub removed: Vec<String>,
    /// Settings that differ from those at the start, and need a restart.
    pub needs_restart: Vec<&'static str>,
}

/// What a reload did with the certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReloadedCertificates {
    /// The settings whose new certificate is in use.
    pub applied: Vec<&'static str>,
    /// Why new certificates were refused, by their settings; the previous ones stay in use.
    pub refused: Vec<Problem>,
}

impl Reloader {
    pub(super) fn new(
        settings: &Settings,
        broker: Broker,
        routes: PlatformRoutes,
        certificates: Vec<Certificate>,
    ) -> Self {
        let keys = Arc::new(ArcSwap::from_pointee(settings.server.api_keys.clone()));
        Self {
            readiness: Readiness::new(broker.clone(), keys.clone(), settings.server.readiness),
            reload_record: ReloadRecord::new(broker.clock().now()),
            broker,
            keys,
            routes,
            account_defaults: Arc::new(ArcSwap::from_pointee(settings.account_defaults.clone())),
            certificates,
            started_with: Arc::new(without_accounts(settings)),
            requests: Arc::default(),
        }
    }

    /// Returns the requests for a reload, the first time it is called. The caller reads the configuration
    /// and answers each with [`ReloadRequest::answer`].
    pub fn requests(&self) -> Option<mpsc::Receiver<ReloadRequest>> {
        let (sender, receiver) = mpsc::channel(1);
        self.requests.set(sender).is_ok().then_some(receiver)
    }

    /// Returns the settings at the start, without the accounts.
    pub fn started_with(&self) -> Arc<Settings> {
        self.started_with.clone()
    }

    /// Requests a reload and waits for its result. `None` if nothing reads configurations in this process.
    pub(super) async fn request(&self) -> Option<Answer> {
        let requests = self.requests.get()?;
        let (answer, result) = oneshot::channel();
        requests.send(ReloadRequest(answer)).await.ok()?;
        result.await.ok()
    }

    /// Applies the accounts, platforms and API keys of `settings` from the next request on. No request is dropped
    /// and no current credential is lost: the credentials of apps that stay are kept.
    ///
    /// # Errors
    /// [`Problems`], which are logged; then nothing has changed.
    pub fn reload(&self, settings: Settings) -> Result<Reloaded, Problems> {
        let needs_restart = fixed_differences(&self.started_with, &settings);
        let before = self.names();
        let had_default = self.broker.accounts().get("").is_ok();
        let loses_default = had_default && !settings.signing_without_default().is_empty();
        let platforms = settings.platforms.iter();
        let platforms = platforms.map(|platform| (platform.name.clone(), platform.account.clone()));
        let accounts = settings.accounts.iter().cloned().chain(platforms).collect();
        self.broker
            .reload(accounts, settings.server.default_account.clone())
            .map_err(|error| problems_of(&error))
            .inspect_err(|problems| self.refuse(problems))?;
        self.routes.replace(&settings);
        self.account_defaults
            .store(Arc::new(settings.account_defaults));
        self.keys.store(Arc::new(settings.server.api_keys));
        let after = self.names();
        let reloaded = Reloaded {
            accounts: after.len(),
            added: after.difference(&before).cloned().collect(),
            removed: before.difference(&after).cloned().collect(),
            needs_restart,
        };
        self.reload_record
            .applied(self.broker.clock().now(), &reloaded.needs_restart);
        let (added, removed) = (reloaded.added.len(), reloaded.removed.len());
        let accounts = reloaded.accounts;
        tracing::info!(accounts, added, removed, "new configuration applied");
        for setting in &reloaded.needs_restart {
            tracing::warn!(setting, "changed setting needs a restart");
        }
        if loses_default {
            tracing::warn!("default account removed: requests without an account are refused");
        }
        Ok(reloaded)
    }

    /// Logs why a configuration is refused, problem by problem.
    pub fn refuse(&self, problems: &Problems) {
        for problem in &problems.0 {
            let (path, error) = (&problem.path, &problem.what.en);
            tracing::error!(path, %error, "configuration problem");
        }
        let now = self.broker.clock().now();
        self.reload_record.refused(now, &problems.0);
        let problems = problems.0.len();
        tracing::error!(
            problems,
            "new configuration refused: the previous one stays in use"
        );
    }

    /// Reads the certificate files again, independent of the configuration.
    pub async fn reload_certificates(&self) -> ReloadedCertificates {
        let certificates = self.certificates.iter().cloned();
        let reloads: JoinSet<_> = certificates
            .map(|certificate| async move { (certificate.setting(), certificate.reload().await) })
            .collect();
        let mut done = reloads.join_all().await;
        done.sort_by_key(|(setting, _)| *setting);
        let mut results = ReloadedCertificates::default();
        for (setting, result) in done {
            match result {
                Ok(true) => results.applied.push(setting),
                Ok(false) => {}
                Err(error) => results.refused.push(Problem {
                    path: setting.to_owned(),
                    what: error.into_text(),
                }),
            }
        }
        results
    }

    /// Returns the names of the accounts and platforms of the configuration in use.
    pub(super) fn names(&self) -> BTreeSet<String> {
        self.broker
            .accounts()
            .sources()
            .filter(|(_, _, source)| *source == AccountSource::Configuration)
            .map(|(name, ..)| name.to_owned())
            .collect()
    }
}

impl ReloadRequest {
    /// Reports the results to the client that requested the reload.
    pub fn answer(self, result: Result<Reloaded, Problems>, certificates: ReloadedCertificates) {
        // The client may have left: the reload was done all the same.
        let _ = self.0.send((result, certificates));
    }
}

/// Reports a configuration that is valid by itself, but not as a change of the one in use.
fn problems_of(error: &BuildError) -> Problems {
    let en = error.to_string();
    let (path, en, zh) = match error {
        BuildError::DefaultLost(name) => (
            "server.default_account",
            format!("{en}: write server.default_account = \"{name}\""),
            format!(
                "将有多个账号可以签名，目前未指定账号也能签名的请求会被拒绝：请写 server.default_account = \"{name}\""
            ),
        ),
        _ => {
            let zh = format!("账号配置有误：{en}");
            ("accounts", en, zh)
        }
    };
    Problems::one(path, Text::owned(en, zh))
}

/// Returns the settings to compare later ones with. The accounts are in the broker; ten thousand of them
/// need not be kept twice.
fn without_accounts(settings: &Settings) -> Settings {
    Settings {
        account_defaults: AccountDefaults::default(),
        accounts: Vec::new(),
        platforms: Vec::new(),
        exposed: Vec::new(),
        ..settings.clone()
    }
}

/// Returns the settings that differ and cannot change while the service runs. It names every setting, so
/// that a new one has to be placed here; `_` marks those that a reload applies.
fn fixed_differences(before: &Settings, after: &Settings) -> Vec<&'static str> {
    let Settings {
        server,
        log,
        store,
        upstream,
        gateway,
        limits,
        notify,
        account_defaults: _,
        accounts: _,
        platforms: _,
        exposed: _,
    } = before;
    let ServerSettings {
        listen,
        admin_listen,
        admin_hosts,
        api_keys: _,
        workers,
        shutdown,
        default_account: _,
        demo,
        readiness,
        proxies: ProxySettings { trusted, header },
        reuse_port,
        tls,
        admin_tls,
    } = server;
    let UpstreamOptions {
        weixin,
        qyapi,
        fallback,
        egress,
        connect_timeout,
        timeout,
    } = upstream;
    let (now, upstream_now) = (&after.server, &after.upstream);
    let same_upstream = *weixin == upstream_now.weixin
        && *qyapi == upstream_now.qyapi
        && *connect_timeout == upstream_now.connect_timeout
        && *timeout == upstream_now.timeout;
    let compared = [
        ("server.listen", *listen == now.listen),
        ("server.admin_listen", *admin_listen == now.admin_listen),
        ("server.admin_hosts", *admin_hosts == now.admin_hosts),
        ("server.workers", *workers == now.workers),
        ("server.shutdown_seconds", *shutdown == now.shutdown),
        ("server.demo", *demo == now.demo),
        ("server.readiness", *readiness == now.readiness),
        ("server.trusted_proxies", *trusted == now.proxies.trusted),
        ("server.client_ip_header", *header == now.proxies.header),
        ("server.reuse_port", *reuse_port == now.reuse_port),
        ("server.tls", *tls == now.tls),
        ("server.admin_tls", *admin_tls == now.admin_tls),
        ("gateway", *gateway == after.gateway),
        ("limits", *limits == after.limits),
        ("notify", *notify == after.notify),
        ("log", *log == after.log),
        ("store", *store == after.store),
        ("upstream", same_upstream),
        ("upstream.fallback", *fallback == upstream_now.fallback),
        ("upstream.proxy", *egress == upstream_now.egress),
    ];
    compared
        .into_iter()
        .filter(|(_, same)| !same)
        .map(|(setting, _)| setting)
        .collect()
}
