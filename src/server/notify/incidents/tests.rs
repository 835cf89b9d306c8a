use super::*;

const MINUTE: Timing = Timing {
    settle: Duration::from_secs(60),
    repeat: Duration::from_secs(3_600),
};

fn finding(subject: &str, cause: Cause, severity: Severity) -> Finding {
    Finding {
        subject: subject.to_owned(),
        cause,
        severity,
        signs_pages: false,
        served_for: None,
        detail: Detail::default(),
    }
}

fn down(subjects: impl IntoIterator<Item = usize>) -> World {
    let findings = subjects.into_iter();
    let findings = findings.map(|n| finding(&format!("a{n:03}"), Cause::Passing, Severity::Down));
    World {
        findings: findings.collect(),
        ..World::default()
    }
}

/// The messages of a step: what and how many.
fn step(incidents: &mut Incidents, seconds: u64, world: World) -> Vec<(Event, usize)> {
    let uptime = Duration::from_secs(seconds);
    let notices = incidents.step(world, uptime, UnixTime(seconds), |name| name != "removed");
    notices.iter().map(|it| (it.event, it.count)).collect()
}

const DOWN: Event = Event::Problem(Severity::Down);
const FAILING: Event = Event::Problem(Severity::Failing);

const IP: Cause = Cause::Ip(Console::Weixin);
const QUOTA: Cause = Cause::Quota(Console::Weixin);

#[test]
fn an_outage_of_200_accounts_is_one_message_and_its_end_another() {
    let mut incidents = Incidents::new(MINUTE);
    assert_eq!(step(&mut incidents, 0, down(0..120)), []);
    assert_eq!(step(&mut incidents, 59, down(0..180)), []);
    assert_eq!(step(&mut incidents, 60, down(0..200)), [(DOWN, 200)]);
    for seconds in 61..3_000 {
        assert_eq!(step(&mut incidents, seconds, down(0..200)), []);
    }
    assert_eq!(step(&mut incidents, 3_000, down(0..3)), []);
    assert_eq!(step(&mut incidents, 3_010, down([])), []);
    assert_eq!(step(&mut incidents, 3_069, down([])), []);
    let over = step(&mut incidents, 3_070, down([]));
    assert_eq!(over, [(Event::Recovered, 200)]);
    assert_eq!(step(&mut incidents, 9_000, down([])), []);
}

#[test]
fn a_flap_of_seconds_sends_no_message() {
    let mut incidents = Incidents::new(MINUTE);
    for seconds in 0..600 {
        let flapping = down((seconds % 30 < 10).then_some(1));
        assert_eq!(step(&mut incidents, seconds, flapping), [], "{seconds}");
    }
    for seconds in 600..660 {
        step(&mut incidents, seconds, down([1]));
    }
    for seconds in 660..720 {
        let flapping = down((seconds % 30 < 10).then_some(1));
        let said = step(&mut incidents, seconds, flapping);
        assert!(said.is_empty() || said == [(DOWN, 1)], "{said:?}");
    }
}

#[test]
fn an_outage_that_grows_is_reported_again_after_the_time_set_for_it() {
    let mut incidents = Incidents::new(MINUTE);
    step(&mut incidents, 0, down(0..1));
    assert_eq!(step(&mut incidents, 60, down(0..1)), [(DOWN, 1)]);
    assert_eq!(step(&mut incidents, 3_600, down(0..9)), []);
    assert_eq!(step(&mut incidents, 3_659, down(0..9)), []);
    assert_eq!(step(&mut incidents, 3_660, down(0..9)), [(DOWN, 9)]);
    assert_eq!(step(&mut incidents, 99_999, down(0..9)), [], "not larger");
}

#[test]
fn an_account_that_fails_while_an_old_one_still_does_is_reported() {
    let mut incidents = Incidents::new(MINUTE);
    step(&mut incidents, 0, down(0..200));
    assert_eq!(step(&mut incidents, 60, down(0..200)), [(DOWN, 200)]);
    assert_eq!(step(&mut incidents, 600, down([0])), []);
    assert_eq!(step(&mut incidents, 9_000, down([0, 7])), []);
    assert_eq!(step(&mut incidents, 9_060, down([0, 7])), [(DOWN, 2)]);
    for seconds in 9_061..20_000 {
        // One that fails for seconds again and again is not.
        let flapping = [0, 7].into_iter().chain((seconds % 30 < 10).then_some(8));
        assert_eq!(step(&mut incidents, seconds, down(flapping)), []);
    }
}

#[test]
fn a_failure_is_reported_once_and_again_each_time_it_gets_worse() {
    let mut incidents = Incidents::new(MINUTE);
    let of = |severity| World {
        findings: vec![finding("shop", IP, severity)],
        ..World::default()
    };
    step(&mut incidents, 0, of(Severity::Failing));
    let said = step(&mut incidents, 60, of(Severity::Failing));
    assert_eq!(said, [(FAILING, 1)]);
    assert_eq!(step(&mut incidents, 2_000, of(Severity::PartlyDown)), []);
    let said = step(&mut incidents, 2_060, of(Severity::PartlyDown));
    assert_eq!(said, [(Event::Problem(Severity::PartlyDown), 1)]);
    assert_eq!(step(&mut incidents, 4_000, of(Severity::Down)), []);
    assert_eq!(step(&mut incidents, 4_060, of(Severity::Down)), [(DOWN, 1)]);
    assert_eq!(step(&mut incidents, 4_100, of(Severity::Failing)), []);
    assert_eq!(step(&mut incidents, 5_000, World::default()), []);
    let over = step(&mut incidents, 5_060, World::default());
    assert_eq!(over, [(Event::Recovered, 1)]);
}

#[test]
fn a_new_cause_of_one_account_is_reported_and_is_no_recovery() {
    let mut incidents = Incidents::new(MINUTE);
    let of = |cause| World {
        findings: vec![finding("shop", cause, Severity::Down)],
        ..World::default()
    };
    step(&mut incidents, 0, of(Cause::Passing));
    assert_eq!(step(&mut incidents, 60, of(Cause::Passing)), [(DOWN, 1)]);
    assert_eq!(step(&mut incidents, 70, of(QUOTA)), []);
    assert_eq!(step(&mut incidents, 130, of(QUOTA)), [(DOWN, 1)]);
    assert_eq!(step(&mut incidents, 200, of(QUOTA)), []);
}

#[test]
fn an_account_that_was_removed_or_is_starting_has_not_recovered() {
    let mut incidents = Incidents::new(MINUTE);
    let of = |subject| World {
        findings: vec![finding(subject, Cause::Passing, Severity::Down)],
        ..World::default()
    };
    step(&mut incidents, 0, of("removed"));
    assert_eq!(step(&mut incidents, 60, of("removed")), [(DOWN, 1)]);
    step(&mut incidents, 61, World::default());
    assert_eq!(step(&mut incidents, 999, World::default()), []);
    step(&mut incidents, 1_000, of("shop"));
    assert_eq!(step(&mut incidents, 1_060, of("shop")), [(DOWN, 1)]);
    let starting = || World {
        unclear: BTreeSet::from(["shop".to_owned()]),
        ..World::default()
    };
    step(&mut incidents, 1_070, starting());
    assert_eq!(step(&mut incidents, 1_999, starting()), []);
}

#[test]
fn a_refused_configuration_is_reported_at_once_and_once_for_the_same_mistakes() {
    let mut incidents = Incidents::new(MINUTE);
    let of = |hash, paths: &[&str]| World {
        findings: paths
            .iter()
            .map(|path| finding(path, Cause::Reload(hash), Severity::Failing))
            .collect(),
        ..World::default()
    };
    let both = ["accounts.a.secret", "accounts.b.app_id"];
    assert_eq!(step(&mut incidents, 0, of(1, &both)), [(FAILING, 2)]);
    assert_eq!(step(&mut incidents, 60, of(1, &both)), []);
    let one_less = step(&mut incidents, 61, of(2, &both[1..]));
    assert_eq!(one_less, [(FAILING, 1)], "nothing was applied");
    let applied = step(&mut incidents, 62, World::default());
    assert_eq!(applied, [(Event::Recovered, 1)]);
}

#[test]
fn an_account_that_fails_for_a_passing_reason_stays_in_its_incident() {
    let mut incidents = Incidents::new(MINUTE);
    let quota = || World {
        findings: vec![finding("shop", QUOTA, Severity::Failing)],
        ..World::default()
    };
    let retried = || World {
        retried: BTreeSet::from(["shop".to_owned()]),
        ..World::default()
    };
    assert_eq!(step(&mut incidents, 0, retried()), []);
    assert_eq!(step(&mut incidents, 600, retried()), [], "no incident");
    step(&mut incidents, 610, quota());
    assert_eq!(step(&mut incidents, 620, retried()), []);
    assert_eq!(step(&mut incidents, 670, retried()), [], "not reported");
    step(&mut incidents, 700, quota());
    assert_eq!(step(&mut incidents, 760, quota()), [(FAILING, 1)]);
    assert_eq!(step(&mut incidents, 800, retried()), []);
    assert_eq!(step(&mut incidents, 2_000, retried()), []);
    assert_eq!(step(&mut incidents, 2_100, World::default()), []);
    let over = step(&mut incidents, 2_160, World::default());
    assert_eq!(over, [(Event::Recovered, 1)]);
    // Served again but not healthy, it is news when it is down again.
    let down = || World {
        findings: vec![finding("shop", Cause::Passing, Severity::Down)],
        ..World::default()
    };
    step(&mut incidents, 3_000, down());
    assert_eq!(step(&mut incidents, 3_060, down()), [(DOWN, 1)]);
    assert_eq!(step(&mut incidents, 3_100, retried()), []);
    assert_eq!(step(&mut incidents, 6_000, retried()), []);
    step(&mut incidents, 6_600, down());
    assert_eq!(step(&mut incidents, 6_660, down()), [(DOWN, 1)]);
}

#[test]
fn accounts_that_fail_are_reported_while_another_one_is_down() {
    let mut incidents = Incidents::new(MINUTE);
    let of = |down: &[&str], failing: &[&str]| {
        let down = down.iter().map(|name| (name, Severity::Down));
        let all = down.chain(failing.iter().map(|name| (name, Severity::Failing)));
        World {
            findings: all
                .map(|(name, severity)| finding(name, IP, severity))
                .collect(),
            ..World::default()
        }
    };
    step(&mut incidents, 0, of(&["old"], &[]));
    assert_eq!(step(&mut incidents, 60, of(&["old"], &[])), [(DOWN, 1)]);
    step(&mut incidents, 9_000, of(&["old"], &["a", "b"]));
    let said = step(&mut incidents, 9_060, of(&["old"], &["a", "b"]));
    assert_eq!(said, [(FAILING, 2)], "only those that are still served");
    assert_eq!(step(&mut incidents, 9_100, of(&["old"], &["a", "b"])), []);
    // Served again, and refused as before: known.
    assert_eq!(
        step(&mut incidents, 20_000, of(&[], &["a", "b", "old"])),
        []
    );
    assert_eq!(step(&mut incidents, 20_100, of(&["old"], &["a", "b"])), []);
    let again = step(&mut incidents, 20_160, of(&["old"], &["a", "b"]));
    assert_eq!(again, [(DOWN, 1)]);
}

#[test]
fn a_message_about_served_accounts_does_not_count_those_that_are_down() {
    let mut incidents = Incidents::new(MINUTE);
    let of = |severity| World {
        findings: vec![
            finding("a", IP, Severity::Failing),
            finding("b", IP, severity),
        ],
        ..World::default()
    };
    step(&mut incidents, 0, of(Severity::Failing));
    step(&mut incidents, 59, of(Severity::Down));
    let said = step(&mut incidents, 60, of(Severity::Down));
    assert_eq!(said, [(FAILING, 1)]);
    let said = step(&mut incidents, 119, of(Severity::Down));
    assert_eq!(said, [(DOWN, 1)]);
}

#[test]
fn an_account_that_gets_worse_than_it_was_reported_is_soon_reported() {
    let mut incidents = Incidents::new(MINUTE);
    let of = |shop, mini| World {
        findings: vec![
            finding("mini-program", QUOTA, mini),
            finding("shop", QUOTA, shop),
        ],
        ..World::default()
    };
    let part = Severity::PartlyDown;
    let failing = || of(Severity::Failing, Severity::Failing);
    step(&mut incidents, 0, failing());
    assert_eq!(step(&mut incidents, 60, failing()), [(FAILING, 2)]);
    step(&mut incidents, 1_000, of(part, Severity::Down));
    let said = step(&mut incidents, 1_060, of(part, Severity::Down));
    assert_eq!(said, [(DOWN, 1), (Event::Problem(part), 1)]);
    let both = || of(Severity::Down, Severity::Down);
    assert_eq!(step(&mut incidents, 1_100, both()), []);
    assert_eq!(step(&mut incidents, 1_659, both()), [], "not one by one");
    assert_eq!(step(&mut incidents, 1_660, both()), [(DOWN, 2)]);
    // What was reported as down before is limited as usual.
    step(&mut incidents, 1_700, of(part, Severity::Down));
    step(&mut incidents, 2_400, both());
    assert_eq!(step(&mut incidents, 2_460, both()), []);
}

#[test]
fn the_first_pages_that_go_down_are_reported_whatever_was_before() {
    let mut incidents = Incidents::new(MINUTE);
    let of = |pages: &[&str]| {
        let mut world = down([1]);
        let pages = pages.iter().map(|name| Finding {
            signs_pages: true,
            ..finding(name, Cause::Passing, Severity::Down)
        });
        world.findings.extend(pages);
        world
    };
    step(&mut incidents, 0, of(&[]));
    assert_eq!(step(&mut incidents, 60, of(&[])), [(DOWN, 1)]);
    step(&mut incidents, 100, of(&["shop"]));
    assert_eq!(step(&mut incidents, 160, of(&["shop"])), [(DOWN, 2)]);
    step(&mut incidents, 200, of(&["shop", "shop2"]));
    let second = step(&mut incidents, 260, of(&["shop", "shop2"]));
    assert_eq!(second, [], "once in an incident");
}

#[test]
fn an_outage_whose_cause_alternates_is_one_recovery_of_its_whole_length() {
    let mut incidents = Incidents::new(MINUTE);
    let of = |cause: &Cause| World {
        findings: vec![
            finding("mini", IP, Severity::Down),
            finding("shop", cause.clone(), Severity::Down),
        ],
        ..World::default()
    };
    let mut said = Vec::new();
    for seconds in 0..3_600 {
        let cause = match seconds / 400 % 2 {
            0 => IP,
            _ => Cause::Passing,
        };
        said.extend(step(&mut incidents, seconds, of(&cause)));
    }
    assert_eq!(said, [(DOWN, 2), (DOWN, 1)], "once for each cause");
    let mut over = Vec::new();
    for seconds in 3_600..3_700 {
        let uptime = Duration::from_secs(seconds);
        let notices = incidents.step(World::default(), uptime, UnixTime(seconds), |_| true);
        over.extend(notices);
    }
    let names: Vec<_> = over.iter().flat_map(|it| &it.names).collect();
    assert_eq!(names.len(), 2, "each account once: {over:?}");
    let lasted = over.iter().map(|it| it.lasted.as_secs());
    assert_eq!(lasted.max(), Some(3_660));
}

#[test]
fn a_subject_that_recovers_under_an_unreported_cause_has_recovered() {
    let mut incidents = Incidents::new(MINUTE);
    let of = |cause| World {
        findings: vec![finding("shop", cause, Severity::Down)],
        ..World::default()
    };
    step(&mut incidents, 0, of(IP));
    assert_eq!(step(&mut incidents, 60, of(IP)), [(DOWN, 1)]);
    step(&mut incidents, 9_000, of(Cause::Passing));
    step(&mut incidents, 9_059, of(Cause::Passing));
    assert_eq!(step(&mut incidents, 9_070, World::default()), []);
    let over = step(&mut incidents, 9_130, World::default());
    assert_eq!(over, [(Event::Recovered, 1)]);
}

#[test]
fn an_outage_whose_cause_changes_within_the_settle_time_is_reported() {
    let mut incidents = Incidents::new(MINUTE);
    let mut said = Vec::new();
    for seconds in 0..600 {
        let cause = match seconds / 20 % 2 {
            0 => IP,
            _ => Cause::Passing,
        };
        let world = World {
            findings: vec![finding("shop", cause, Severity::Down)],
            ..World::default()
        };
        let notices = step(&mut incidents, seconds, world);
        said.extend(notices.into_iter().map(|notice| (seconds, notice)));
    }
    assert_eq!(said, [(60, (DOWN, 1))]);
}
