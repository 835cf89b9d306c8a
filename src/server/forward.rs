//! Sends messages of the users of authorised accounts on to the company's own server.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::Client;
use reqwest::header::CONTENT_TYPE;

use crate::account::Egress;
use crate::actix::FORWARDED;
use crate::endpoint::push::{Forward, ForwardFuture, ForwardMessages, MessageAnswer};
use crate::upstream::{describe, new_client, read_up_to, tls_config};

/// The HTTP client for forwarded messages, created when it is first needed. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct MessageClient(Arc<OnceLock<Result<Client, String>>>);

/// Forwards the messages of one open platform.
#[derive(Debug)]
struct Forwarder {
    client: Result<Client, String>,
    /// With [`PLACEHOLDER`] in the place of the account's AppID.
    url: String,
}

impl MessageClient {
    /// Returns the forwarder to a URL of the configuration.
    pub(super) fn to(&self, url: &str) -> Arc<dyn ForwardMessages> {
        let create = || {
            let tls = tls_config().map_err(|error| error.to_string())?;
            // The company's own server is not behind the proxy to WeChat. Workers have runtimes of their own,
            // which could not share connections.
            new_client(tls, &Egress::Direct, CONNECT_TIMEOUT, TIMEOUT)
        };
        Arc::new(Forwarder {
            // Certificates take a while to read: not while WeChat waits.
            client: self.0.get_or_init(create).clone(),
            url: url.to_owned(),
        })
    }
}

impl Forwarder {
    async fn send(&self, message: &Forward<'_>) -> Result<MessageAnswer, String> {
        let mut url = self.url.replace(PLACEHOLDER, message.app_id);
        if !message.query.is_empty() {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(message.query);
        }
        let request = self.client.clone()?.post(url).header(FORWARDED, "1");
        let request = match message.content_type {
            Some(content_type) => request.header(CONTENT_TYPE, content_type),
            None => request,
        };
        // The URL may contain what only the company's servers should know.
        let failed = |error: reqwest::Error| describe(&error.without_url());
        let sent = request.body(message.body.to_vec()).send().await;
        let response = sent.map_err(failed)?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(format!("HTTP {status}"));
        }
        let content_type = response.headers().get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok());
        let content_type = content_type.map(str::to_owned);
        let body = read_up_to(response, LONGEST_ANSWER).await.map_err(failed)?;
        match body.len() > LONGEST_ANSWER {
            true => Err(format!("an answer of more than {LONGEST_ANSWER} bytes")),
            false => Ok(MessageAnswer { content_type, body }),
        }
    }
}

impl ForwardMessages for Forwarder {
    fn forward<'a>(&'a self, message: &'a Forward<'a>) -> ForwardFuture<'a> {
        Box::pin(self.send(message))
    }
}

/// Stands for the account's AppID in `messages_url`.
pub(super) const PLACEHOLDER: &str = "{appid}";

/// WeChat waits five seconds.
const TIMEOUT: Duration = Duration::from_millis(4_500);
const _: () = assert!(TIMEOUT.as_millis() <= 4_500);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest answer that is passed back, in bytes.
const LONGEST_ANSWER: usize = 64 * 1_024;
