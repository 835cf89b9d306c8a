//! Answers WeChat's test of a platform that goes live (全网发布) through the API.

use std::sync::Arc;

use tracing::{info, warn};

use super::{Broker, authorizer_name};
use crate::account::Account;
use crate::broker::AccountEntry;
use crate::credential::{Kind, Secret};
use crate::error::Error;

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
        let app_id = self.redeem_or_wait(platform, code).await?;
        // The account's token comes from the redemption of this code.
        let name = authorizer_name(platform, &app_id);
        let token = self.credential(&name, Kind::AccessToken).await?;
        let account = Account::authorizer(&platform.account, &app_id, false);
        let text = Secret::new(format!("{}_from_api", code.expose()));
        let upstream = &self.inner.upstream;
        let sent = upstream.send_text(&account, &token.value, openid, &text);
        let sent = sent.await.map_err(|error| self.failed(platform, error));
        sent.map(|()| app_id)
    }
}
