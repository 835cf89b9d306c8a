//! The part of [`Sandbox`] that is about open platforms.
//!
//! Its methods panic if the sandbox does not know the platform or the app.

use super::authorizer::Granted;
use super::issued_values::IssuedValues;
use super::open_platform::OpenPlatform;
use super::push::{Push, PushReply};
use super::shared_state::{Inside, Shared};
use super::simulator::Simulator;
use super::{Sandbox, known};

impl Sandbox {
    /// Adds an open platform, or replaces the settings of an existing one. Its state is kept.
    ///
    /// # Panics
    /// If the settings are not valid, for example an EncodingAESKey of another length.
    pub fn add_platform(&self, platform: OpenPlatform) {
        if let Some(problem) = platform.problem() {
            panic!("{problem}");
        }
        self.shared
            .simulate(|it, now| it.add_platform(platform, now));
    }

    /// Authorises a platform for an official account or a mini program, as its owner does. Pushes `authorized`,
    /// unless the account had authorised it already; the access token then ends. Returns the authorisation code
    /// after the platform answered.
    pub async fn authorize(&self, component_app_id: &str, app: &str) -> String {
        let authorized = self.shared.authorize(component_app_id, app, false);
        known(authorized.await).0.code
    }

    /// Does the same with other permission sets than before: pushes `updateauthorized` if the account had authorised
    /// the platform already.
    pub async fn change_authorization(&self, component_app_id: &str, app: &str) -> String {
        let authorized = self.shared.authorize(component_app_id, app, true);
        known(authorized.await).0.code
    }

    /// Withdraws an account's authorisation, as its owner does: its tokens and its refresh token end. Pushes
    /// `unauthorized`, and returns after the platform answered.
    pub async fn cancel_authorization(&self, component_app_id: &str, app: &str) -> PushReply {
        let cancelled = self
            .shared
            .simulate(|it, now| it.cancel_authorization(component_app_id, app, now));
        let message = known(cancelled);
        known(self.shared.push_event(component_app_id, &message).await)
    }

    /// Pushes a new component_verify_ticket now, and returns the platform's answer. Works before the platform
    /// has started the pushes, as the check in WeChat's console does.
    pub async fn push_ticket(&self, component_app_id: &str) -> PushReply {
        self.push(component_app_id, Push::ticket()).await
    }

    /// Makes a push now, and returns the platform's answer. A failed one is not repeated.
    pub async fn push(&self, component_app_id: &str, push: Push) -> PushReply {
        known(self.shared.push(component_app_id, &push).await)
    }

    /// Sends a text to an account as a user does, and returns the platform's answer with the text of its reply. A
    /// failed one is not repeated.
    pub async fn send_message(
        &self,
        component_app_id: &str,
        app: &str,
        from_user: &str,
        text: &str,
    ) -> PushReply {
        self.push(component_app_id, Push::message(app, from_user, text))
            .await
    }

    /// Tests a platform as WeChat does before it goes live (全网发布): pushes a ticket, lets two test accounts
    /// authorise the platform, and sends their messages. The accounts are added to the sandbox.
    ///
    /// # Errors
    /// Says which answer was not the expected one.
    pub async fn check_going_live(&self, component_app_id: &str) -> Result<(), String> {
        self.shared.check_going_live(component_app_id).await
    }

    /// Returns the newest answers of a platform to pushes, the newest last; 64 are kept.
    pub fn push_replies(&self, component_app_id: &str) -> Vec<PushReply> {
        let inside = self.shared.inside();
        let component = known(inside.simulator.component(component_app_id));
        component.pushes.replies.iter().cloned().collect()
    }

    /// Waits until `at_least` pushes to a platform were answered or have failed, repeated ones included.
    pub async fn wait_for_pushes(&self, component_app_id: &str, at_least: u64) {
        let sent = |inside: &Inside| {
            let component = known(inside.simulator.component(component_app_id));
            component.pushes.sent
        };
        self.shared
            .wait_until(|inside| sent(inside) >= at_least)
            .await;
    }

    /// Returns the newest component_verify_ticket.
    pub fn component_ticket(&self, component_app_id: &str) -> Option<String> {
        let inside = self.shared.inside();
        let component = known(inside.simulator.component(component_app_id));
        component.ticket().map(|ticket| ticket.value.clone())
    }

    /// Returns the platform's current token.
    pub fn component_token(&self, component_app_id: &str) -> Option<String> {
        self.shared
            .simulate(|it, now| component_tokens(it, component_app_id).current_text(now))
    }

    /// Returns the platform's current token for an account.
    pub fn authorizer_token(&self, component_app_id: &str, app: &str) -> Option<String> {
        self.shared
            .simulate(|it, now| authorizer_tokens(it, component_app_id, app).current_text(now))
    }

    /// Returns the refresh token that a platform has for an account; `None` before the account's code was
    /// redeemed, and after a cancellation.
    pub fn authorizer_refresh_token(&self, component_app_id: &str, app: &str) -> Option<String> {
        let inside = self.shared.inside();
        let component = known(inside.simulator.component(component_app_id));
        known(inside.simulator.known_app(app));
        let authorizer = component.authorizer(app).ok()?;
        authorizer.refresh_token.clone()
    }

    /// Ends a platform's tokens at once.
    pub fn revoke_component_token(&self, component_app_id: &str) {
        self.shared
            .simulate(|it, now| component_tokens(it, component_app_id).revoke(now));
    }

    /// Ends a platform's tokens for an account at once. Its refresh token is kept.
    pub fn revoke_authorizer_token(&self, component_app_id: &str, app: &str) {
        self.shared
            .simulate(|it, now| authorizer_tokens(it, component_app_id, app).revoke(now));
    }
}

impl Shared {
    /// Returns the platform's answer too, if something was pushed.
    pub(super) async fn authorize(
        &self,
        component: &str,
        app: &str,
        changed: bool,
    ) -> Result<(Granted, Option<PushReply>), String> {
        let granted = self.simulate(|it, now| it.authorize(component, app, None, changed, now))?;
        let pushed = match &granted.message {
            Some(message) => Some(self.push_event(component, message).await?),
            None => None,
        };
        Ok((granted, pushed))
    }
}

fn component_tokens<'a>(simulator: &'a mut Simulator, component: &str) -> &'a mut IssuedValues {
    &mut known(simulator.component_mut(component)).token
}

fn authorizer_tokens<'a>(
    simulator: &'a mut Simulator,
    component: &str,
    app: &str,
) -> &'a mut IssuedValues {
    let component = known(simulator.component_mut(component));
    let authorizer = component.authorizers.iter_mut().find(|it| it.app_id == app);
    let known = authorizer.unwrap_or_else(|| panic!("\"{app}\" never authorised the platform"));
    &mut known.tokens
}
