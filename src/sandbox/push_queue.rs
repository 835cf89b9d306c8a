//! When pushes are sent: tickets every ten minutes, events at once, and failed ones again.
//!
//! The times are the sandbox's. A thread looks once a second, and whenever the clock is advanced or the API is
//! called.

use std::collections::VecDeque;
use std::error::Error;
use std::io;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::runtime;
use tokio::sync::watch;

use crate::clock::{Clock, UnixTime};

use super::bounded_queue::push_back;
use super::component::Component;
use super::open_platform::{APP_ID, OpenPlatform};
use super::passive_reply::Answered;
use super::push::{Message, Push, PushReply, Sealed, What};
use super::shared_state::Shared;

/// The pushes of one platform.
#[derive(Default)]
pub(super) struct PushQueue {
    /// When the next ticket is due, once the pushes were started.
    pub(super) next_ticket: Option<UnixTime>,
    waiting: Vec<Waiting>,
    last: Option<Sealed>,
    /// The newest last.
    pub(super) replies: VecDeque<PushReply>,
    /// Pushes that were answered or have failed.
    pub(super) sent: u64,
}

struct Waiting {
    sealed: Sealed,
    due: UnixTime,
    tries: u32,
}

/// A push on its way.
pub(super) struct Delivery {
    settings: OpenPlatform,
    sealed: Sealed,
    /// Earlier deliveries, or `None` if a failed one is not repeated.
    tries: Option<u32>,
}

impl PushQueue {
    /// Restores the initial state; started pushes go on with a new period.
    pub(super) fn reset(&mut self, now: UnixTime) {
        *self = Self {
            next_ticket: self.next_ticket.map(|_| now.plus(PERIOD)),
            ..Self::default()
        };
    }

    /// Starts the pushes of tickets. Returns false if they were started before.
    pub(super) fn start(&mut self, now: UnixTime) -> bool {
        let starts = self.next_ticket.is_none();
        self.next_ticket.get_or_insert(now.plus(PERIOD));
        starts
    }

    /// Removes a push that is due.
    fn take(&mut self, now: UnixTime) -> Option<Waiting> {
        let at = self.waiting.iter().position(|it| it.due <= now)?;
        Some(self.waiting.remove(at))
    }
}

impl Component {
    /// Makes the ticket that is due. After a jump of the clock there is one, not one for each period.
    fn tick(&mut self, now: UnixTime, wall: UnixTime) -> Result<(), String> {
        if self.pushes.next_ticket.is_some_and(|due| due <= now) {
            self.pushes.next_ticket = Some(now.plus(PERIOD));
            let sealed = self.seal(&Push::ticket(), now, wall)?;
            self.enqueue(sealed, now, 0);
        }
        Ok(())
    }

    fn enqueue(&mut self, sealed: Sealed, due: UnixTime, tries: u32) {
        self.pushes.waiting.push(Waiting { sealed, due, tries });
    }

    /// Makes what is pushed now.
    fn seal(&mut self, push: &Push, now: UnixTime, wall: UnixTime) -> Result<Sealed, String> {
        let message = match push.what {
            What::Replay => {
                let last = self.pushes.last.clone();
                return last.ok_or_else(|| "nothing has been pushed yet".to_owned());
            }
            What::Ticket => Message::new("component_verify_ticket")
                .field("ComponentVerifyTicket", self.new_ticket(now)),
            What::Event if push.info_type.is_empty() => {
                return Err("an event requires \"info_type\"".to_owned());
            }
            What::Message
                if push.app_id.is_empty()
                    || push.from_user.is_empty()
                    || !push.fields.contains_key("MsgType") =>
            {
                let problem =
                    "a message requires \"app_id\", \"from_user\", and \"MsgType\" in \"fields\"";
                return Err(problem.to_owned());
            }
            What::Message if self.authorizer(&push.app_id).is_err() => {
                return Err(self.not_authorised(&push.app_id));
            }
            What::Event | What::Message => Message::of(push),
        };
        let sealed = Sealed::new(&self.settings, &message, push, wall)?;
        self.pushes.last = Some(sealed.clone());
        Ok(sealed)
    }

    fn delivery(&self, sealed: Sealed, tries: Option<u32>) -> Delivery {
        Delivery {
            settings: self.settings.clone(),
            sealed,
            tries,
        }
    }
}

impl Shared {
    /// Makes a push and returns what the platform answered; the second answer if it was sent twice. A failed one
    /// is not repeated.
    pub(super) async fn push(&self, component: &str, push: &Push) -> Result<PushReply, String> {
        let wall = self.clock.wall();
        let delivery = self.simulate(|it, now| {
            let component = it.component_mut(component)?;
            let sealed = component.seal(push, now, wall)?;
            Ok::<_, String>(component.delivery(sealed, None))
        })?;
        if push.twice {
            self.deliver(&delivery).await;
        }
        Ok(self.deliver(&delivery).await)
    }

    /// Pushes an event, and returns after the first answer. A failed one is repeated later.
    pub(super) async fn push_event(
        &self,
        component: &str,
        message: &Message,
    ) -> Result<PushReply, String> {
        let delivery = self.sealed_event(component, message)?;
        Ok(self.deliver(&delivery).await)
    }

    /// Pushes an event without waiting for the answer.
    pub(super) fn push_event_later(
        &self,
        component: &str,
        message: &Message,
    ) -> Result<(), String> {
        let delivery = self.sealed_event(component, message)?;
        self.simulate(|it, now| {
            let component = it.component_mut(component)?;
            component.enqueue(delivery.sealed, now, 0);
            Ok::<_, String>(())
        })?;
        self.pushes_due.notify_one();
        Ok(())
    }

    fn sealed_event(&self, component: &str, message: &Message) -> Result<Delivery, String> {
        let wall = self.clock.wall();
        let mut inside = self.inside();
        let component = inside.simulator.component_mut(component)?;
        let created_at = message.authorizer();
        let created_at = created_at.map(|app_id| component.event_time(app_id, wall));
        let how = Push {
            created_at,
            ..Push::default()
        };
        let sealed = Sealed::new(&component.settings, message, &how, wall)?;
        component.pushes.last = Some(sealed.clone());
        Ok(component.delivery(sealed, Some(0)))
    }

    /// Removes a push that is due from its queue.
    fn due_push(&self) -> Option<Delivery> {
        let wall = self.clock.wall();
        self.simulate(|simulator, now| {
            simulator.components.iter_mut().find_map(|it| {
                // It fails only if the keys are not valid, which is checked when the platform is added.
                let _ = it.tick(now, wall);
                let due = it.pushes.take(now)?;
                Some(it.delivery(due.sealed, Some(due.tries)))
            })
        })
    }

    /// Sends a push, keeps the answer, and queues a failed one again.
    async fn deliver(&self, delivery: &Delivery) -> PushReply {
        let at = self.clock.now();
        let stopwatch = Clock::system();
        let sent = delivery.send().await;
        let took = stopwatch.uptime();
        let (status, mut body) = match sent {
            Ok((status, body)) => (Some(status), body),
            Err(error) => (None, error),
        };
        let answered = delivery.sealed.answered.as_ref();
        let answered = answered.filter(|_| status == Some(200));
        let read = answered.map_or(Ok(None), |answered| answered.read(&body));
        body.truncate(body.floor_char_boundary(LONGEST_KEPT));
        let reply = PushReply {
            info_type: delivery.sealed.info_type.clone(),
            at,
            status,
            body,
            took,
            reply: read.clone().unwrap_or_default(),
            reply_problem: read.err(),
        };
        let now = self.clock.now();
        let mut inside = self.inside();
        if let Ok(component) = inside.simulator.component_mut(&delivery.settings.app_id) {
            push_back(&mut component.pushes.replies, reply.clone(), REPLIES);
            let again = delivery.tries.filter(|tries| *tries < RETRIES);
            if let Some(tries) = again.filter(|_| !reply.is_success()) {
                component.enqueue(delivery.sealed.clone(), now.plus(RETRY_AFTER), tries + 1);
            }
            component.pushes.sent += 1;
        }
        drop(inside);
        self.counted.send_replace(());
        reply
    }
}

impl Delivery {
    /// Returns the status and the body of the answer, or why no answer came.
    async fn send(&self) -> Result<(u16, String), String> {
        let settings = &self.settings;
        let url = match &self.sealed.answered {
            None => settings
                .push_url
                .clone()
                .ok_or("the platform has no push URL")?,
            Some(Answered { app_id, .. }) => {
                let url = settings.message_url.as_ref();
                let url = url.ok_or("the platform has no message URL")?;
                url.replace(APP_ID, app_id)
            }
        };
        let joint = if url.contains('?') { '&' } else { '?' };
        let request = client(settings.trusts_any_certificate)?
            .post(format!("{url}{joint}{}", self.sealed.query))
            .header("content-type", "text/xml")
            .timeout(Duration::from_millis(settings.push_timeout_ms))
            .body(self.sealed.body.clone());
        let read = async {
            let mut answer = request.send().await?;
            let mut body = Vec::new();
            while let Some(chunk) = answer.chunk().await? {
                body.extend_from_slice(&chunk);
                if body.len() > LONGEST_ANSWER {
                    body.truncate(LONGEST_ANSWER);
                    break;
                }
            }
            Ok::<_, reqwest::Error>((answer.status().as_u16(), body))
        };
        let (status, body) = read.await.map_err(reason)?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}

/// Returns the error with its causes, and without the URL.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

/// Sends what is due on a thread of its own, so that no host has to be reachable, until the sender is used or
/// dropped.
pub(super) fn start(shared: Arc<Shared>) -> io::Result<watch::Sender<()>> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (stop, mut stopped) = watch::channel(());
    thread::Builder::new()
        .name("wechat-pushes".into())
        .spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = send_due(shared) => {}
                    _ = stopped.changed() => {}
                }
            });
        })?;
    Ok(stop)
}

async fn send_due(shared: Arc<Shared>) {
    loop {
        while let Some(delivery) = shared.due_push() {
            shared.deliver(&delivery).await;
        }
        let _ = tokio::time::timeout(LOOKS_EVERY, shared.pushes_due.notified()).await;
    }
}

/// Returns the client for all pushes of this trust. It keeps no connections, because each is used on its caller's runtime.
fn client(trusts_any_certificate: bool) -> Result<&'static reqwest::Client, String> {
    static CLIENTS: [OnceLock<Option<reqwest::Client>>; 2] = [const { OnceLock::new() }; 2];
    let client = CLIENTS[usize::from(trusts_any_certificate)].get_or_init(|| {
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls(trusts_any_certificate)?)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(0)
            .build()
            .ok()
    });
    client
        .as_ref()
        .ok_or_else(|| "the HTTP client cannot be built".to_owned())
}

/// Returns the settings of TLS without a default provider of cryptography, which is up to the application.
fn tls(trusts_any_certificate: bool) -> Option<ClientConfig> {
    let default = CryptoProvider::get_default().cloned();
    let provider = default.unwrap_or_else(|| Arc::new(ring::default_provider()));
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .ok()?;
    let config = match trusts_any_certificate {
        true => config
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider))),
        false => config.with_platform_verifier().ok()?,
    };
    Some(config.with_no_client_auth())
}

/// Trusts every certificate.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// "Pushed every ten minutes."
const PERIOD: Duration = Duration::from_secs(600);

/// Repetitions of a push that was not answered with `success`.
const RETRIES: u32 = 3;

const RETRY_AFTER: Duration = Duration::from_secs(5);

/// In real time.
const LOOKS_EVERY: Duration = Duration::from_secs(1);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of an answer that are read.
const LONGEST_ANSWER: usize = 64 * 1_024;

/// Bytes of an answer that are kept.
const LONGEST_KEPT: usize = 4 * 1_024;

/// Answers that are kept for each platform.
const REPLIES: usize = 64;
