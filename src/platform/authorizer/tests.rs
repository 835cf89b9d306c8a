use proptest::prelude::*;

use super::*;

fn code(name: &str) -> AuthorizationCode {
    AuthorizationCode {
        authorizer: "wx1".to_owned(),
        code: Secret::new(name),
        expires_at: None,
    }
}

fn token(name: &str) -> Secret {
    Secret::new(name)
}

fn redemption(code: &str, at: u64, refresh_token: &str) -> Redeemed {
    Redeemed {
        code: Secret::new(code),
        at: UnixTime(at),
        from_browser: false,
        refresh_token: Some(token(refresh_token)),
        permission_sets: vec![1],
    }
}

fn listed(refresh_token: Option<&str>, auth_time: u64) -> Listed {
    Listed {
        refresh_token: refresh_token.map(token),
        auth_time: UnixTime(auth_time),
    }
}

/// An account whose first event, at 100, brought this code.
fn authorized(name: &str) -> Authorizer {
    let mut account = Authorizer::unknown("wx1");
    assert_eq!(account.authorized(&code(name), UnixTime(100)), Todo::Redeem);
    account
}

/// An account whose first code, `c`, was brought by a browser; its refresh token is `t`.
fn authorized_in_browser() -> Authorizer {
    let mut account = Authorizer::unknown("wx1");
    let answer = by_browser("c", 5_000, "t");
    assert_eq!(account.redeemed(&answer), Todo::Nothing);
    account
}

fn by_browser(code: &str, at: u64, refresh_token: &str) -> Redeemed {
    Redeemed {
        from_browser: true,
        ..redemption(code, at, refresh_token)
    }
}

/// An account that authorised at 100 with code `c`; its refresh token is `t`.
fn active() -> Authorizer {
    let mut account = authorized("c");
    assert_eq!(account.state, State::Pending);
    assert_eq!(account.claim_code(), Some(token("c")));
    assert_eq!(account.redeemed(&redemption("c", 100, "t")), Todo::Nothing);
    assert!(account.is_usable() && account.code.is_none());
    account
}

#[test]
fn a_redemption_without_a_refresh_token_keeps_the_one_before() {
    let mut account = active();
    let _ = account.authorized(&code("d"), UnixTime(200));
    let answer = Redeemed {
        refresh_token: None,
        ..redemption("d", 200, "")
    };
    assert_eq!(account.redeemed(&answer), Todo::Nothing);
    assert_eq!(account.refresh_token, Some(token("t")));
    assert!(account.is_usable());
}

#[test]
fn an_account_without_permission_stays_one_until_it_authorises_again() {
    let mut account = active();
    account.refresh_token = None;
    let todo = account.listed(Some(&listed(None, 100)), None);
    assert_eq!(todo, Todo::Nothing);
    assert!(account.state == State::Active && account.must_authorize_again());
    let _ = account.authorized(&code("d"), UnixTime(200));
    assert!(account.state == State::Pending && !account.must_authorize_again());
}

#[test]
fn a_replayed_unauthorized_does_not_remove_a_later_authorisation() {
    let mut account = active();
    for at in [1, 99] {
        assert_eq!(account.unauthorized(UnixTime(at)), Todo::Nothing);
        assert!(account.is_usable());
    }
    assert_eq!(
        account.unauthorized(UnixTime(100)),
        Todo::Stop,
        "the same second"
    );
    assert_eq!(account.refresh_token, None);
    assert_eq!(
        account.unauthorized(UnixTime(100)),
        Todo::Nothing,
        "a replay"
    );
}

#[test]
fn a_replayed_authorisation_does_not_revive_a_withdrawn_account() {
    let mut account = active();
    assert_eq!(account.unauthorized(UnixTime(200)), Todo::Stop);
    let tombstone = account.clone();
    assert_eq!(account.authorized(&code("c"), UnixTime(100)), Todo::Nothing);
    assert_eq!(account.redeemed(&redemption("c", 100, "t")), Todo::Nothing);
    assert_eq!(
        account.listed(Some(&listed(Some("t"), 100)), None),
        Todo::Nothing
    );
    account.refreshed(&token("t"), Some(&token("t")));
    assert_eq!(account, tombstone);
    assert_eq!(account.authorized(&code("d"), UnixTime(201)), Todo::Redeem);
    assert_eq!(account.redeemed(&redemption("d", 201, "u")), Todo::Nothing);
    assert_eq!(account.refresh_token, Some(token("u")));
}

#[test]
fn updateauthorized_redeems_and_the_new_refresh_token_replaces_the_old() {
    let mut account = active();
    assert_eq!(account.authorized(&code("d"), UnixTime(200)), Todo::Redeem);
    assert!(account.is_usable(), "with the old refresh token meanwhile");
    assert_eq!(account.redeemed(&redemption("d", 200, "u")), Todo::Nothing);
    assert_eq!(account.refresh_token, Some(token("u")));
    assert_eq!(account.redeemed(&redemption("c", 100, "t")), Todo::Nothing);
    assert_eq!(account.refresh_token, Some(token("u")), "a late answer");
}

#[test]
fn a_code_delivered_by_push_and_redirect_is_redeemed_once() {
    let mut account = authorized("c");
    assert_eq!(account.authorized(&code("c"), UnixTime(100)), Todo::Nothing);
    assert!(account.claim_code().is_some());
    assert_eq!(account.claim_code(), None);

    let mut account = authorized_in_browser();
    assert!(account.is_usable() && account.newest.is_provisional);
    assert_eq!(account.authorized(&code("c"), UnixTime(100)), Todo::Nothing);
    assert_eq!(account.newest.at, UnixTime(100), "by WeChat's clock");
    assert_eq!(account.unauthorized(UnixTime(101)), Todo::Stop);
}

#[test]
fn a_withdrawal_before_a_time_of_this_clock_is_verified_with_wechat() {
    let mut account = authorized_in_browser();
    assert_eq!(account.unauthorized(UnixTime(200)), Todo::Refresh);
    assert!(account.is_usable());
    let refusal = RefreshRefusal::NotAuthorized;
    assert_eq!(account.refresh_refused(&token("t"), refusal), Todo::Stop);
}

#[test]
fn a_code_that_wechat_accepted_counts_whatever_this_clock_says() {
    // This machine's clock is behind: the withdrawal seems to be the newer one.
    let mut account = active();
    assert_eq!(account.unauthorized(UnixTime(200)), Todo::Stop);
    let todo = account.redeemed(&by_browser("d", 170, "u"));
    assert_eq!(todo, Todo::Refresh, "WeChat decides");
    assert_eq!(account.refresh_token, Some(token("u")));
    assert_eq!(
        account.unauthorized(UnixTime(200)),
        Todo::Refresh,
        "a replay is verified"
    );
    assert_eq!(account.authorized(&code("d"), UnixTime(230)), Todo::Nothing);
    assert_eq!(account.unauthorized(UnixTime(200)), Todo::Nothing);
    assert!(account.is_usable());

    // It is ahead: an event after the browser's code seems to be older.
    let mut account = authorized_in_browser();
    assert_eq!(account.authorized(&code("d"), UnixTime(300)), Todo::Redeem);
    assert!(account.claim_code().is_some() && account.is_usable());
    assert_eq!(account.redeemed(&redemption("d", 300, "u")), Todo::Nothing);
    assert_eq!(account.refresh_token, Some(token("u")));
    assert_eq!(account.newest.at, UnixTime(300));
    assert_eq!(account.unauthorized(UnixTime(301)), Todo::Stop);

    // A later event's code may be redeemed already: the list knows the refresh token.
    let mut account = active();
    assert_eq!(account.authorized(&code("d"), UnixTime(200)), Todo::Redeem);
    let todo = account.redeemed(&by_browser("b", 170, "old"));
    assert_eq!(
        (todo, account.refresh_token),
        (Todo::AskList, Some(token("t")))
    );
    assert_eq!(account.code.map(|code| code.value), Some(token("d")));
}

#[test]
fn a_missed_withdrawal_is_found_by_the_refresh_and_undone_by_the_list() {
    let mut account = active();
    let refusal = RefreshRefusal::NotAuthorized;
    assert_eq!(account.refresh_refused(&token("t"), refusal), Todo::Stop);
    assert_eq!(
        (account.state, &account.refresh_token),
        (State::Missing, &None)
    );
    assert_eq!(
        account.authorized(&code("c"), UnixTime(100)),
        Todo::Nothing,
        "a replay"
    );
    assert_eq!(account.listed(None, None), Todo::Nothing);
    assert_eq!(
        account.listed(Some(&listed(Some("t"), 90)), None),
        Todo::Refresh
    );
    assert!(account.is_usable());
}

#[test]
fn a_refused_refresh_token_that_another_node_replaced_is_not_asked_about() {
    let mut account = active();
    for refusal in [RefreshRefusal::NotAuthorized, RefreshRefusal::InvalidToken] {
        assert_eq!(
            account.refresh_refused(&token("old"), refusal),
            Todo::Refresh
        );
        assert!(account.is_usable());
    }
    account.refreshed(&token("old"), Some(&token("older")));
    assert_eq!(account.refresh_token, Some(token("t")));
    account.refreshed(&token("t"), Some(&token("u")));
    assert_eq!(account.refresh_token, Some(token("u")));
    account.refreshed(&token("u"), None);
    assert_eq!(account.refresh_token, Some(token("u")));
}

#[test]
fn a_refused_refresh_token_alerts_only_after_the_list_was_asked() {
    let refused = token("t");
    for answer in [Some(listed(Some("t"), 100)), Some(listed(None, 100)), None] {
        let mut account = active();
        let todo = account.refresh_refused(&refused, RefreshRefusal::InvalidToken);
        assert_eq!(todo, Todo::AskList);
        assert!(account.is_usable());
        let todo = account.listed(answer.as_ref(), Some(&refused));
        assert_eq!(
            (todo, account.state),
            (Todo::Alert, State::NeedsAuthorization)
        );
        assert_eq!(account.refresh_token, None);
    }
}

#[test]
fn a_lost_refresh_token_comes_back_from_the_list() {
    let mut account = active();
    let refused = token("t");
    let _ = account.refresh_refused(&refused, RefreshRefusal::InvalidToken);
    let todo = account.listed(Some(&listed(Some("u"), 100)), Some(&refused));
    assert_eq!(
        (todo, &account.refresh_token),
        (Todo::Refresh, &Some(token("u")))
    );

    let mut restored = Authorizer::unknown("wx1");
    let todo = restored.listed(Some(&listed(Some("t"), 100)), None);
    assert_eq!((todo, restored.is_usable()), (Todo::Refresh, true));
    let mut never_redeemed = Authorizer::unknown("wx1");
    let todo = never_redeemed.listed(Some(&listed(None, 100)), None);
    assert_eq!(todo, Todo::Alert);
    assert_eq!(never_redeemed.state, State::NeedsAuthorization);
}

#[test]
fn a_code_whose_process_died_is_redeemed_only_if_the_list_has_no_token() {
    let mut account = authorized("c");
    assert!(account.claim_code().is_some());
    let mut redeemed = account.clone();
    assert_eq!(
        redeemed.listed(Some(&listed(Some("t"), 100)), None),
        Todo::Refresh
    );
    assert!(redeemed.is_usable() && redeemed.code.is_none());
    assert_eq!(account.listed(Some(&listed(None, 100)), None), Todo::Redeem);
    assert_eq!(account.claim_code(), Some(token("c")));
}

#[test]
fn a_claimed_code_of_an_active_account_is_settled_by_one_list_call() {
    for (answer, todo) in [
        (Some(listed(Some("t"), 100)), Todo::Nothing),
        (Some(listed(Some("t"), 200)), Todo::Nothing),
        (Some(listed(None, 200)), Todo::Redeem),
        (None, Todo::Redeem),
    ] {
        let mut account = active();
        let _ = account.authorized(&code("d"), UnixTime(200));
        assert!(account.claim_code().is_some());
        assert_eq!(account.listed(answer.as_ref(), None), todo, "{answer:?}");
        assert!(account.is_usable());
        let expected = (todo == Todo::Redeem).then(|| token("d"));
        assert_eq!(account.claim_code(), expected, "{answer:?}");
    }
}

#[test]
fn a_code_that_another_node_redeemed_is_removed_from_the_record() {
    let mut account = active();
    let _ = account.authorized(&code("d"), UnixTime(200));
    assert_eq!(account.code_redeemed_elsewhere(&token("d")), Todo::Nothing);
    assert!(account.is_usable() && account.code.is_none());

    let mut first = authorized("c");
    assert_eq!(first.code_redeemed_elsewhere(&token("c")), Todo::AskList);
    assert_eq!(first.code, None);
}

#[test]
fn a_refused_code_asks_the_list_and_keeps_a_working_refresh_token() {
    let mut account = active();
    let _ = account.authorized(&code("d"), UnixTime(200));
    assert_eq!(
        account.code_refused(&token("c")),
        Todo::Nothing,
        "another code"
    );
    assert_eq!(account.code_refused(&token("d")), Todo::AskList);
    assert_eq!(
        account.listed(Some(&listed(Some("t"), 200)), None),
        Todo::Nothing
    );
    assert!(account.is_usable());

    let mut first = authorized("c");
    assert_eq!(first.code_refused(&token("c")), Todo::AskList);
    assert_eq!(first.listed(None, None), Todo::Alert);
    assert_eq!(first.state, State::NeedsAuthorization);
}

#[test]
fn the_daily_list_changes_no_account_that_is_newer_or_not_listed_yet() {
    let before = active();
    for answer in [
        None,
        Some(listed(Some("old"), 99)),
        Some(listed(Some("t"), 100)),
    ] {
        let mut account = before.clone();
        assert_eq!(account.listed(answer.as_ref(), None), Todo::Nothing);
        assert_eq!(account, before);
    }
    let mut account = before;
    assert_eq!(
        account.listed(Some(&listed(Some("u"), 300)), None),
        Todo::Refresh
    );
    assert_eq!(account.newest.at, UnixTime(300));
    assert_eq!(account.unauthorized(UnixTime(299)), Todo::Nothing);
}

/// An event: when, and of an authorisation which of several in that second.
#[derive(Clone, Debug)]
struct Event {
    at: u64,
    authorization: Option<u8>,
}

impl Event {
    fn code(&self) -> Option<String> {
        self.authorization.map(|n| format!("code-{}-{n}", self.at))
    }

    fn apply(&self, account: &mut Authorizer) -> Todo {
        let at = UnixTime(self.at);
        match self.code() {
            Some(name) => account.authorized(&code(&name), at),
            None => account.unauthorized(at),
        }
    }
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = (1..8_u64, prop::option::of(0..2_u8))
        .prop_map(|(at, authorization)| Event { at, authorization });
    prop::collection::vec(event, 1..12)
}

/// The events in another order, some of them again.
fn disordered() -> impl Strategy<Value = (Vec<Event>, Vec<Event>)> {
    events().prop_flat_map(|events| {
        let again = prop::sample::subsequence(events.clone(), 0..=events.len());
        let all = events.clone();
        let disordered = again.prop_map(move |again| [all.clone(), again].concat());
        (Just(events), disordered.prop_shuffle())
    })
}

fn apply(events: &[Event]) -> Authorizer {
    let mut account = Authorizer::unknown("wx1");
    for event in events {
        let _ = event.apply(&mut account);
    }
    account
}

fn newest(events: &[Event]) -> &Event {
    let rank = |event: &&Event| {
        let code = event.code().map(|name| code_id(&token(&name)));
        (event.at, event.authorization.is_none(), code)
    };
    events.iter().max_by_key(rank).unwrap()
}

proptest! {
    #[test]
    fn events_in_any_order_and_number_end_as_the_newest_alone((events, disordered) in disordered()) {
        let end = apply(&disordered);
        prop_assert_eq!(&end, &apply(&events));
        prop_assert_eq!(end, apply(std::slice::from_ref(newest(&events))));
    }

    #[test]
    fn with_redemptions_the_refresh_token_is_that_of_the_newest((events, disordered) in disordered()) {
        let mut account = Authorizer::unknown("wx1");
        for event in &disordered {
            if event.apply(&mut account) == Todo::Redeem {
                let code = account.claim_code().unwrap();
                let _ = account.redeemed(&redemption(code.expose(), event.at, code.expose()));
            }
        }
        let newest = newest(&events);
        prop_assert_eq!(account.refresh_token, newest.code().map(Secret::new));
        prop_assert_eq!(account.state, if newest.authorization.is_some() { State::Active } else { State::Withdrawn });
    }

    #[test]
    fn late_redemptions_end_as_the_newest((events, _) in disordered(), order in any::<prop::sample::Index>()) {
        let mut account = apply(&events);
        let mut answers: Vec<_> = events.iter().filter_map(|event| Some((event.at, event.code()?))).collect();
        let codes = answers.len();
        answers.rotate_left(order.index(events.len()) % codes.max(1));
        for (at, code) in &answers {
            let _ = account.redeemed(&redemption(code, *at, code));
        }
        let newest = newest(&events);
        prop_assert_eq!(account.refresh_token, newest.code().map(Secret::new));
    }
}
