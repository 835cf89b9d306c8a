//! Answers WeChat's test of a platform that goes live (全网发布) through the API.

use std::sync::Arc;

use tracing::{info, warn};

use super::code_claim::CodeClaim;
use super::redeem::Sent;
use super::{Broker, authorizer_name};
use crate::account::Account;
use crate::broker::AccountEntry;
use crate::credential::{Kind, Secret};
use crate::error::Error;
use crate::platform::authorizer::code_id;

impl Broker {
    /// Redeems a code that WeChat's test sent as a message, and sends `CODE_from_api` to the user with the token
    /// that it brought; in a task of its own, because the message is to be answered first.
    pub(crate) fn answer_code_later(&self, component_app_id: &str, code: Secret, openid: String) {
        let accounts = self.accounts();
        let Some(platform) = accounts.platform(component_app_id).cloned() else {
            return;
        };
        let broker = self.clone();
        self.inner.runtime.spawn(async move {
            let platform_name = platform.name.as_str();
            match broker.answer_code(&platform, &code, &openid).await {
                Ok(app_id) => info!(
                    platform = platform_name,
                    app_id, "test of going live: message sent through the API"
                ),
                Err(error) => warn!(
                    platform = platform_name, %error,
                    "test of going live: message could not be sent through the API"
                ),
            }
        });
    }

    /// Returns the AppID of the account that the code was for.
    async fn answer_code(
        &self,
        platform: &Arc<AccountEntry>,
        code: &Secret,
        openid: &str,
    ) -> Result<String, Error> {
        let app_id = match self.claim_or_wait(platform, code).await? {
            CodeClaim::Claimed(_sending) => {
                return self.redeem_and_answer(platform, code, openid).await;
            }
            CodeClaim::Redeemed(app_id) => app_id,
        };
        // The account's token comes from the redemption of this code.
        let name = authorizer_name(platform, &app_id);
        let token = self.credential(&name, Kind::AccessToken).await?;
        self.send_code(platform, &app_id, &token.value, code, openid)
            .await?;
        Ok(app_id)
    }

    async fn redeem_and_answer(
        &self,
        platform: &Arc<AccountEntry>,
        code: &Secret,
        openid: &str,
    ) -> Result<String, Error> {
        let Sent {
            authorized,
            answer,
            sent_at,
        } = self.send_claimed(platform, code, None).await?;
        let app_id = authorized.app_id.clone();
        let send = async {
            match &authorized.issued {
                Some(issued) => {
                    self.send_code(platform, &app_id, &issued.value, code, openid)
                        .await
                }
                None => Err(Error::Interrupted {
                    account: authorizer_name(platform, &app_id),
                    kind: Kind::AccessToken,
                }),
            }
        };
        let keep = self.keep_redeemed(platform, &authorized, &answer);
        let (sent, todo) = tokio::join!(send, keep);
        let id = code_id(code);
        let noted = self.note_code(platform, &id, Some(&app_id)).await;
        self.ok_or_log(platform, noted);
        if let Some(issued) = authorized.issued {
            self.adopt(platform, &app_id, issued, sent_at).await;
        }
        self.act_later(platform, &app_id, todo);
        sent.map(|()| app_id)
    }

    async fn send_code(
        &self,
        platform: &Arc<AccountEntry>,
        app_id: &str,
        token: &Secret,
        code: &Secret,
        openid: &str,
    ) -> Result<(), Error> {
        let account = Account::authorizer(&platform.account, app_id, false);
        let text = Secret::new(format!("{}_from_api", code.expose()));
        let sent = self
            .inner
            .upstream
            .send_text(&account, token, openid, &text);
        sent.await.map_err(|error| self.failed(platform, error))
    }
}
