//! Gives a token to an API key, and checks a token that a client asks for again too soon.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::broker::{AccountEntry, Broker};
use crate::credential::{Credential, KeyId, Kind};
use crate::error::Error;

/// A check of a token, and how often clients have asked for it again since.
pub(super) struct Check {
    /// When it was made, in uptime.
    at: Duration,
    asked: u32,
    /// That many requests make the next check due before its time.
    calls_until_check: u32,
}

impl Check {
    /// Returns whether a check is due, and counts it as made: a minute after the last one, or sooner for
    /// clients that ask without end, as SDKs do that repeat a call until its token is accepted. Each check
    /// before its time doubles the requests that the next one takes.
    fn is_due(last: &mut Option<Self>, now: Duration) -> bool {
        let calls_until_check = match last {
            Some(check) if now.saturating_sub(check.at) < ASKED_AGAIN => {
                check.asked += 1;
                if check.asked < check.calls_until_check {
                    return false;
                }
                check.calls_until_check.saturating_mul(2)
            }
            _ => CALLS_UNTIL_CHECK,
        };
        *last = Some(Self {
            at: now,
            asked: 0,
            calls_until_check,
        });
        true
    }
}

#[cfg_attr(not(feature = "server"), allow(dead_code))] // only the web layer hands out tokens
impl Broker {
    /// Returns the access token for a client that presents this API key, and records that it was given.
    /// `key` is the name for the log.
    ///
    /// A client that asks again within a minute, although its token is valid for five minutes more, was
    /// probably refused by WeChat: SDKs then drop their token and ask for another. So the token is checked
    /// once, as a rule at most once a minute, and refreshed if WeChat refuses it.
    ///
    /// # Errors
    /// As [`Broker::credential`].
    pub(crate) async fn token_for_key(
        &self,
        account: &str,
        key: &str,
        key_id: KeyId,
        from: Option<IpAddr>,
    ) -> Result<Arc<Credential>, Error> {
        let entry = self.entry_or_stored(account).await?;
        let mut token = self.credential(account, Kind::AccessToken).await?;
        let clock = &self.inner.clock;
        let fingerprint = self.inner.handed.fingerprint(token.value.expose());
        let recipients = &entry.token_slot().details.recipients;
        if token.remaining(clock.now()) > STILL_LONG
            && recipients.has_just_been_given(fingerprint, key_id, clock.uptime())
        {
            let broker = self.clone();
            let key = key.to_owned();
            // A task, so that a client that leaves does not end a check that counts as made.
            let checking = async move { broker.checked_token(&entry, &key).await };
            if let Ok(checked) = self.inner.runtime.spawn(checking).await {
                token = checked?;
            }
        }
        self.note_recipient(account, &token.value, key_id, from);
        Ok(token)
    }

    /// Returns the account's token, after it was checked if that is due.
    async fn checked_token(
        &self,
        entry: &Arc<AccountEntry>,
        key: &str,
    ) -> Result<Arc<Credential>, Error> {
        let slot = entry.token_slot();
        let mut checked = slot.details.recipients.checked.lock().await;
        // Another caller may have checked and refreshed it while this one waited.
        let token = self.credential(&entry.name, Kind::AccessToken).await?;
        let upstream = &self.inner.upstream;
        if !Check::is_due(&mut checked, self.inner.clock.uptime())
            || !upstream.refuses_token(&entry.account, &token.value).await
        {
            return Ok(token);
        }
        tracing::info!(
            account = entry.name,
            key,
            "client asked again for a token that WeChat refuses"
        );
        // A limited or failed refresh leaves the client with what there is.
        let refreshed = self.refresh_if_current(entry, slot, &token.value).await;
        Ok(refreshed.unwrap_or(token))
    }
}

/// More workers than usually start at once with one key, and fewer calls than an SDK's recursion allows.
const CALLS_UNTIL_CHECK: u32 = 60;

/// A client that asks for a token twice in this time is probably refused with it. Also the time between two
/// checks.
pub(super) const ASKED_AGAIN: Duration = Duration::from_secs(60);

/// Clients ask again without being refused when their token nears its end.
const STILL_LONG: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;
    use std::task::{Context, Waker};

    use super::*;
    use crate::account::{Account, TokenMode};
    use crate::upstream::UpstreamOptions;

    /// Answers as WeChat would: each token call returns another token, and the check refuses every token.
    fn wechat() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let mut tokens = 0;
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let head: Vec<_> = lines
                    .map_while(Result::ok)
                    .take_while(|line| !line.is_empty())
                    .collect();
                let body = if head[0].starts_with("GET /cgi-bin/token?") {
                    tokens += 1;
                    format!(r#"{{"access_token":"token-{tokens}","expires_in":7200}}"#)
                } else {
                    r#"{"errcode":40001,"errmsg":"invalid credential"}"#.to_owned()
                };
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        url
    }

    // On one thread, so that the check cannot end before the client leaves.
    #[tokio::test]
    async fn a_client_that_leaves_does_not_end_the_check_of_its_token() {
        let account = Account::mini("wx1", "secret").token_mode(TokenMode::Classic);
        let broker = Broker::builder()
            .account("mini", account)
            .upstream(UpstreamOptions::at(wechat()))
            .build()
            .unwrap();
        let ask = || broker.token_for_key("mini", "crm", [0; 32], None);
        assert_eq!(ask().await.unwrap().value.expose(), "token-1");
        {
            let mut leaving = std::pin::pin!(ask());
            let mut context = Context::from_waker(Waker::noop());
            assert!(leaving.as_mut().poll(&mut context).is_pending());
        }
        assert_eq!(ask().await.unwrap().value.expose(), "token-2");
    }
}
