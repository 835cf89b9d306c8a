//! Tells people of outages, by webhooks: WeCom, DingTalk and Feishu robots, or a program.
//!
//! Looks at the same snapshot as `/readyz` and the metrics, once a second; the broker does not know it.
//! `incidents` decides what is worth a message, `delivery` sends it.

mod delivery;
mod incidents;
mod message;
mod service_format;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{self, Sender};

use super::config::{NotifySettings, Settings};
use super::reload_record::ReloadRecord;
use super::tls::Certificate;
use crate::account::Egress;
use crate::broker::{AccountSnapshot, Broker, Find, Health};
use crate::clock::{Clock, UnixTime};
use crate::error::{CallAuth, Class, System, UpstreamError};
use delivery::{Courier, Link};
use incidents::{
    Cause, Console, Detail, Event, Finding, Incidents, Notice, Severity, Timing, World,
};

pub(super) use delivery::DeliveryCounts;
pub use delivery::{NotifyError, Undelivered};

/// Watches the service and tells the webhooks.
pub(super) struct Notifier {
    broker: Broker,
    reload_record: ReloadRecord,
    certificates: Vec<Certificate>,
    timing: Timing,
    couriers: Vec<Courier>,
}

impl Notifier {
    pub(super) fn new(
        settings: &NotifySettings,
        egress: &Egress,
        broker: Broker,
        reload_record: ReloadRecord,
        certificates: Vec<Certificate>,
    ) -> Result<Self, NotifyError> {
        let node = broker.snapshot(&Find::default()).cluster.node.name;
        let mut couriers = Vec::new();
        // No HTTP client either.
        if !settings.webhooks.is_empty() {
            let link = Link::new(egress, broker.clock().clone())?;
            couriers.extend(settings.webhooks.iter().map(|webhook| {
                let (webhook, link, node) = (webhook.clone(), link.clone(), node.clone());
                Courier::new(webhook, link, settings.language, node)
            }));
        }
        Ok(Self {
            broker,
            reload_record,
            certificates,
            timing: Timing {
                settle: settings.settle,
                repeat: settings.repeat,
            },
            couriers,
        })
    }

    /// Returns the counters of each webhook.
    pub(super) fn counts(&self) -> Vec<Arc<DeliveryCounts>> {
        let counts = self.couriers.iter().map(|courier| courier.counts.clone());
        counts.collect()
    }

    /// Runs as long as the service; ends at once if there is no webhook.
    pub(super) async fn run(mut self) {
        // Dropped with this future, and all deliveries with it.
        let mut tasks = tokio::task::JoinSet::new();
        let mut queues = Vec::new();
        for courier in std::mem::take(&mut self.couriers) {
            let (queue, notices) = mpsc::channel(MOST_WAITING);
            tasks.spawn(courier.deliver(notices));
            queues.push(queue);
        }
        if !queues.is_empty() {
            self.watch(&queues).await;
        }
    }

    async fn watch(self, queues: &[Sender<Arc<Notice>>]) {
        let mut incidents = Incidents::new(self.timing);
        loop {
            tokio::time::sleep(TICK).await;
            let clock = self.broker.clock();
            let is_in_use = |name: &str| self.broker.is_in_use(name);
            let notices = incidents.step(self.look(), clock.uptime(), clock.wall(), is_in_use);
            for notice in notices.into_iter().map(Arc::new) {
                let (event, count) = (notice.event_name(), notice.count);
                tracing::info!(event, count, "notification queued");
                for queue in queues {
                    // A full queue belongs to a webhook that has refused for long, which is logged there.
                    let _ = queue.try_send(notice.clone());
                }
            }
        }
    }

    /// Collects what is wrong now.
    fn look(&self) -> World {
        let mut world = World::default();
        let troubled = Find {
            health: vec![Health::Starting, Health::Degraded, Health::Down],
            ..Find::all()
        };
        for account in self.broker.snapshot(&troubled).accounts {
            match of_account(&account) {
                Some(finding) => world.findings.push(finding),
                None if account.health == Health::Degraded => {
                    _ = world.retried.insert(account.name)
                }
                None => _ = world.unclear.insert(account.name),
            }
        }
        for certificate in &self.certificates {
            world.findings.extend(of_certificate(certificate));
        }
        if let Some(refused) = self.reload_record.state().refused {
            let mut hasher = DefaultHasher::new();
            let texts = refused.problems.iter().map(|it| (&it.path, &it.what));
            texts.for_each(|text| text.hash(&mut hasher));
            refused.count.hash(&mut hasher);
            let cause = Cause::Reload(hasher.finish());
            let unlisted = refused.count - refused.problems.len();
            // The paths only: values of a configuration do not belong in a group chat.
            let problems = refused.problems.into_iter().map(|problem| problem.path);
            let finding = |path| Finding {
                subject: path,
                cause: cause.clone(),
                severity: Severity::Failing,
                signs_pages: false,
                served_for: None,
                detail: Detail {
                    unlisted,
                    ..Detail::default()
                },
            };
            world.findings.extend(problems.map(finding));
        }
        world
    }
}

/// Returns what is wrong with an account, if a person should know: something is not served, or it fails for a
/// reason that does not pass by itself.
fn of_account(account: &AccountSnapshot) -> Option<Finding> {
    let down_kinds: Vec<_> = account.down_kinds().collect();
    let severity = match account.health {
        Health::Down => Severity::Down,
        _ if !down_kinds.is_empty() => Severity::PartlyDown,
        _ => Severity::Failing,
    };
    let error = account.last_error().map(|last| &last.error);
    let cause = error.map_or(Cause::Passing, |error| match error.class() {
        Class::Setup if !error.ips_to_allow().is_empty() => Cause::Ip(console(error)),
        Class::Setup => Cause::Setup(console(error), error.failure.code()),
        Class::Quota => Cause::Quota(console(error)),
        Class::Transient | Class::StaleToken => Cause::Passing,
    });
    if severity == Severity::Failing && cause == Cause::Passing {
        return None;
    }
    let detail = Detail {
        errcode: error.and_then(|error| error.errcode()),
        advice: error.map(|error| (error.cause(), error.fix())),
        ips: error.map(|error| error.ips_to_allow()).unwrap_or_default(),
        down_kinds,
        unlisted: 0,
    };
    let failing = account.credentials.iter();
    let failing = failing.filter(|it| it.health == Health::Degraded);
    let served = failing.map(|it| it.served_for).min();
    Some(Finding {
        subject: account.name.clone(),
        cause,
        severity,
        signs_pages: account.account.signs_pages(),
        served_for: served.filter(|_| severity != Severity::Down),
        detail,
    })
}

/// Returns where the cause of a refused call is put right.
fn console(error: &UpstreamError) -> Console {
    match (error.auth, error.system) {
        (CallAuth::WithPushedTicket | CallAuth::WithComponentToken, _) => Console::OpenPlatform,
        (_, System::Weixin) => Console::Weixin,
        (_, System::Qyapi) => Console::Work,
    }
}

fn of_certificate(certificate: &Certificate) -> Option<Finding> {
    let left = certificate.expires_soon()?;
    Some(Finding {
        subject: certificate.setting().to_owned(),
        cause: Cause::Certificate,
        severity: if left.is_zero() {
            Severity::Down
        } else {
            Severity::Failing
        },
        signs_pages: false,
        served_for: Some(left).filter(|left| !left.is_zero()),
        detail: Detail::default(),
    })
}

/// Sends a test message to each webhook of the configuration, or to the one of this name. Returns each name
/// with the result.
///
/// # Errors
/// [`NotifyError`] if the HTTP client cannot be created.
pub async fn send_test(
    settings: &Settings,
    only: Option<&str>,
) -> Result<Vec<(String, Result<(), Undelivered>)>, NotifyError> {
    let clock = Clock::system();
    let link = Link::new(&settings.upstream.egress, clock.clone())?;
    let notice = test_notice(clock.wall());
    let mut results = Vec::new();
    let webhooks = settings.notify.webhooks.iter();
    for webhook in webhooks.filter(|webhook| only.is_none_or(|name| name == webhook.name)) {
        let language = settings.notify.language;
        let courier = Courier::new(
            webhook.clone(),
            link.clone(),
            language,
            "wx-jssdk notify test".into(),
        );
        let sent = courier.send(std::slice::from_ref(&notice)).await;
        results.push((webhook.name.clone(), sent.map(|_| ())));
    }
    Ok(results)
}

fn test_notice(at: UnixTime) -> Arc<Notice> {
    Arc::new(Notice {
        event: Event::Test,
        cause: Cause::Passing,
        count: 0,
        names: Vec::new(),
        served_for: None,
        detail: Detail::default(),
        lasted: Duration::ZERO,
        at,
    })
}

/// How often the snapshot is looked at. It has only the accounts with problems.
const TICK: Duration = Duration::from_secs(1);

/// Notices that wait for one webhook. They are sent together.
const MOST_WAITING: usize = 64;
