//! `GET /metrics` on the admin listener, for Prometheus.
//!
//! Every part of the service is read at each scrape. Like `/readyz`, it needs no API key: labels are configured account names, kinds, classes and codes, never a secret.

mod broker;
mod gateway;
mod guards;
mod notify;
mod platforms;
mod process;
mod requests;
mod text;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, web};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::backpressure::UnsentBudget;
use super::guard_stats::GuardStats;
use super::notify::DeliveryCounts;
use super::pages::accepts;
use super::reload::Reloader;
use crate::actix::{Gateway, RequestStats, own_thread};
use crate::broker::Distribution;
use crate::clock::UnixTime;

/// The parts of the service that have metrics.
pub(super) struct Sources {
    pub(super) reloader: Reloader,
    pub(super) requests: RequestStats,
    pub(super) gateway: Gateway,
    pub(super) guards: GuardStats,
    pub(super) notifications: Vec<Arc<DeliveryCounts>>,
    pub(super) started: UnixTime,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sources")
    }
}

impl Collector for Sources {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let page = &mut Page(encoder);
        let reloader = &self.reloader;
        let broker = &reloader.broker;
        broker::write(page, broker, &reloader.readiness)?;
        requests::write(page, broker, &self.requests)?;
        gateway::write(page, &self.gateway)?;
        guards::write(page, &self.guards, &reloader.certificates)?;
        notify::write(page, &self.notifications)?;
        platforms::write(page, broker, &reloader.routes.pushes)?;
        let to_wall = broker.clock().to_wall();
        let record = reloader.reload_record.state().printed(to_wall);
        process::write(page, to_wall(self.started), &record)
    }
}

/// The registry, and the length of the last text.
#[derive(Default)]
pub(super) struct Metrics {
    registry: Registry,
    last_length: AtomicUsize,
    /// Encodes one text at a time: a thousand concurrent scrapes would otherwise use a thread and a text
    /// each.
    turn: tokio::sync::Mutex<()>,
}

impl Metrics {
    pub(super) fn of(sources: Sources) -> Self {
        let mut metrics = Self::default();
        metrics.registry.register_collector(Box::new(sources));
        metrics
    }

    /// Encodes all metrics in the OpenMetrics text format, or in Prometheus' older one.
    fn text(&self, open: bool) -> Result<String, fmt::Error> {
        let length = self.last_length.load(Ordering::Relaxed);
        let mut text = String::with_capacity(length + SPARE_BYTES);
        encode(&mut text, &self.registry)?;
        self.last_length.store(text.len(), Ordering::Relaxed);
        Ok(if open { text } else { text::plain(&text) })
    }
}

/// `GET /metrics`: OpenMetrics if the client accepts it, as Prometheus does, else Prometheus' older text
/// format.
pub(super) async fn metrics(
    request: HttpRequest,
    metrics: web::Data<Metrics>,
    unsent: web::Data<UnsentBudget>,
) -> HttpResponse {
    let all = metrics.clone();
    let _turn = all.turn.lock().await;
    if let Some(refusal) = unsent.refusal(&request) {
        return refusal;
    }
    let open = accepts(&request, "application/openmetrics-text");
    let encode = move || metrics.text(open);
    // The text of ten thousand accounts is megabytes: encode it on this thread, which serves other requests too,
    // only if the system refuses another one. Metrics are needed then.
    let encoded = match own_thread::start("wechat-metrics", encode.clone()) {
        Ok(encoded) => encoded.await.unwrap_or(Err(fmt::Error)),
        Err(_) => encode(),
    };
    let Ok(text) = encoded else {
        return HttpResponse::InternalServerError().finish();
    };
    let content_type = if open { OPEN_METRICS } else { text::PLAIN };
    let answer = HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, content_type))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(text);
    unsent.limit(&request, answer)
}

/// The encoder of the collector. Writes a family's description even if it has no sample now.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    /// Writes gauges. Each sample has the values of the `labels`.
    fn gauges<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        labels: [&'static str; N],
        samples: impl IntoIterator<Item = ([&'a str; N], f64)>,
    ) -> fmt::Result {
        let kind = MetricType::Gauge;
        self.family(kind, name, help, labels, samples, |one, value| {
            one.encode_gauge(&value)
        })
    }

    fn gauge(&mut self, name: &str, help: &str, value: Option<f64>) -> fmt::Result {
        self.gauges(name, help, [], value.map(|value| ([], value)))
    }

    /// Writes counters. `name` is without `_total`, which the encoder appends.
    fn counters<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        labels: [&'static str; N],
        samples: impl IntoIterator<Item = ([&'a str; N], u64)>,
    ) -> fmt::Result {
        let kind = MetricType::Counter;
        self.family(kind, name, help, labels, samples, |one, count| {
            one.encode_counter::<NoLabelSet, _, f64>(&count, None)
        })
    }

    fn histograms<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        labels: [&'static str; N],
        samples: impl IntoIterator<Item = ([&'a str; N], &'a Distribution)>,
    ) -> fmt::Result {
        let kind = MetricType::Histogram;
        self.family(kind, name, help, labels, samples, |one, distribution| {
            let Distribution { buckets, sum } = distribution;
            let count = buckets.iter().map(|(_, count)| count).sum();
            one.encode_histogram::<NoLabelSet>(*sum, count, buckets, None)
        })
    }

    fn family<'a, const N: usize, V>(
        &mut self,
        kind: MetricType,
        name: &str,
        help: &str,
        labels: [&'static str; N],
        samples: impl IntoIterator<Item = ([&'a str; N], V)>,
        write: impl Fn(&mut MetricEncoder<'_>, V) -> fmt::Result,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, kind)?;
        for (values, value) in samples {
            if N == 0 {
                // Without braces.
                write(&mut family, value)?;
            } else {
                let labels: [_; N] = std::array::from_fn(|at| (labels[at], values[at]));
                write(&mut family.encode_family(&labels)?, value)?;
            }
        }
        Ok(())
    }

    /// Writes an info metric. `name` is without `_info`, which the encoder appends.
    fn info(&mut self, name: &str, help: &str, labels: [(&'static str, &str); 2]) -> fmt::Result {
        self.0
            .encode_descriptor(name, help, None, MetricType::Info)?
            .encode_info(&labels)
    }
}

#[allow(clippy::cast_precision_loss)] // counts and times are far below 2^53
fn float(number: u64) -> f64 {
    number as f64
}

/// The content type that <https://prometheus.io/docs/specs/om/open_metrics_spec/> requires.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The next text may be a little longer than the last.
const SPARE_BYTES: usize = 16 * 1_024;

#[cfg(test)]
mod tests {
    use actix_web::App;
    use actix_web::test::{TestRequest, call_service, init_service};

    use super::*;

    #[tokio::test]
    async fn a_scrape_is_answered_while_the_system_refuses_a_thread() {
        let app = App::new()
            .app_data(web::Data::new(Metrics::default()))
            .app_data(web::Data::new(UnsentBudget::default()))
            .route("/metrics", web::get().to(metrics));
        let app = init_service(app).await;
        own_thread::REFUSED.set(true);
        let scrape = TestRequest::get().uri("/metrics").to_request();
        let answer = call_service(&app, scrape).await;
        own_thread::REFUSED.set(false);
        assert!(answer.status().is_success(), "{}", answer.status());
    }
}
