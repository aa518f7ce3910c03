//! The rules as tables; and random histories that must keep them.

use super::*;
use crate::config::load;
use crate::testkit::Host;
use proptest::prelude::*;

const S: Duration = Duration::from_secs(1);

/// The one check of a real server, from its configuration.
fn check(kind: &str, lines: &str) -> Check {
    let text =
        format!("virtual_server 192.0.2.1 80 {{\nreal_server 10.0.0.1 80 {{\n{kind} {{\n{lines}\n}}\n}}\n}}");
    let (mut config, _) = load("vs.conf", &Host::of(&text)).unwrap_or_else(|e| panic!("{e:#?}"));
    config.virtual_servers.remove(0).real_servers.remove(0).checks.remove(0)
}

fn tcp(lines: &str) -> Check {
    check("TCP_CHECK", &format!("delay_loop 10\nwarmup 0\n{lines}"))
}

/// Ticks at its deadline and gives a result at once; what it said, and the time.
fn probe(c: &mut Checker, pass: bool) -> (Duration, Vec<Output>) {
    let now = c.next_deadline().unwrap();
    let [Output::Start { probe }] = c.handle(Input::Tick, now)[..] else {
        panic!("no probe at {now:?}: {c:?}")
    };
    let result = ProbeResult { pass, reason: if pass { "fine" } else { "refused" }.to_owned(), status: None };
    (now, c.handle(Input::Result { probe, result }, now))
}

fn set(state: State, reason: &str) -> Output {
    Output::Set { state, reason: reason.to_owned() }
}

#[test]
fn a_server_that_is_up_gets_its_retries() {
    let mut c = Checker::new(&tcp("retry 2\ndelay_before_retry 3\nlog_all_failures"), 0, S * 100);
    assert_eq!(c.state(), State::Up, "assumed");
    let failed = |times| vec![Output::Failed { reason: "refused".to_owned(), times }];
    assert_eq!(probe(&mut c, true), (S * 100, vec![]));
    assert_eq!(probe(&mut c, false), (S * 110, failed(1)));
    assert_eq!(probe(&mut c, true), (S * 113, vec![]), "one success and the count begins anew");
    assert_eq!(probe(&mut c, false), (S * 123, failed(1)));
    assert_eq!(probe(&mut c, false), (S * 126, failed(2)));
    assert_eq!(probe(&mut c, false), (S * 129, vec![set(State::Down, "refused")]));
    assert_eq!(probe(&mut c, false), (S * 139, vec![]), "no retries while it is down");
    assert_eq!(probe(&mut c, true), (S * 149, vec![set(State::Up, "fine")]));
}

#[test]
fn alpha_and_rise() {
    let mut c = Checker::new(&tcp("alpha\nrise 3"), 0, S);
    assert_eq!((c.state(), c.reason()), (State::Down, "not checked yet"));
    assert_eq!(probe(&mut c, true), (S, vec![]));
    assert_eq!(probe(&mut c, true).1, []);
    assert_eq!(probe(&mut c, false).1, [], "from the beginning");
    assert_eq!(probe(&mut c, true).1, []);
    assert_eq!(probe(&mut c, true).1, []);
    assert_eq!(probe(&mut c, true), (S * 51, vec![set(State::Up, "fine")]));
}

/// R0-4: the task dies, again and again: this check is unknown, comes back later and later, and the server stays what it was.
#[test]
fn a_dead_check_is_unknown_and_comes_back() {
    let mut c = Checker::new(&tcp(""), 0, S);
    probe(&mut c, true);
    let mut waits = Vec::new();
    for n in 0..8 {
        let now = c.next_deadline().unwrap();
        let [Output::Start { probe }] = c.handle(Input::Tick, now)[..] else { panic!("{c:?}") };
        let out = c.handle(Input::Died { probe, why: "killed by signal 9".to_owned() }, now);
        let first = set(State::Unknown, "error: the check does not run: killed by signal 9");
        assert_eq!(out, if n == 0 { vec![first] } else { vec![] });
        waits.push((c.next_deadline().unwrap() - now).as_secs());
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(probe(&mut c, false).1, [set(State::Up, "refused")], "it works again; up with one retry left");
    assert_eq!(probe(&mut c, false).1, [set(State::Down, "refused")]);
    let now = c.next_deadline().unwrap();
    c.handle(Input::Tick, now);
    c.handle(Input::Died { probe: 12, why: String::new() }, now);
    assert_eq!(c.state(), State::Unknown);
    assert_eq!(probe(&mut c, false).1, [set(State::Down, "refused")], "it was down and is");
}

/// R0-4: a probe that never ends is ended.
#[test]
fn a_hung_check_is_ended() {
    for (check, limit) in [
        (tcp("connect_timeout 2"), 9),
        (check("MISC_CHECK", "misc_path /opt/check\nmisc_timeout 3\nwarmup 0"), 8),
        (check("HTTP_GET", "url {\npath /\n}\nurl {\npath /b\n}\nconnect_timeout 2\nwarmup 0"), 13),
    ] {
        let mut c = Checker::new(&check, 0, Duration::ZERO);
        assert_eq!(c.handle(Input::Tick, Duration::ZERO), [Output::Start { probe: 1 }]);
        assert_eq!(c.next_deadline(), Some(S * limit));
        assert_eq!(c.handle(Input::Tick, S * (limit - 1)), []);
        let why = format!("error: the check does not run: no result within {limit} s");
        assert_eq!(c.handle(Input::Tick, S * limit), [Output::Abort { probe: 1 }, set(State::Unknown, &why)]);
        let late = ProbeResult { pass: false, reason: "late".to_owned(), status: None };
        assert_eq!(c.handle(Input::Result { probe: 1, result: late }, S * limit), []);
    }
}

#[test]
fn suspended_checks_rest() {
    let mut c = Checker::new(&tcp(""), 0, S);
    c.handle(Input::Tick, S);
    assert_eq!(c.handle(Input::Suspend(true), S * 2), [Output::Abort { probe: 1 }]);
    assert_eq!((c.next_deadline(), c.state()), (None, State::Up));
    assert_eq!(c.handle(Input::Tick, S * 99), []);
    assert_eq!(c.handle(Input::Suspend(false), S * 100), []);
    assert_eq!(c.next_deadline(), Some(S * 100));
}

#[test]
fn starts_are_scattered_over_the_warmup() {
    let check = tcp("warmup 60");
    let starts: Vec<Duration> =
        (0..200).filter_map(|seed| Checker::new(&check, seed, S).next_deadline()).collect();
    assert!(starts.iter().all(|t| (S..=S * 61).contains(t)));
    for quarter in 0..4 {
        let n = starts.iter().filter(|t| (t.as_secs() - 1) / 15 == quarter).count();
        assert!((30..=70).contains(&n), "quarter {quarter}: {n} of 200");
    }
    assert_eq!(starts[7], Checker::new(&check, 7, S).next_deadline().unwrap(), "a seed gives one time");
}

/// keepalived.conf(5): the weight is two less than the exit status of a single dynamic check; several move it each.
#[test]
fn programs_set_the_weight() {
    let dynamic = check("MISC_CHECK", "misc_path /opt/check\nmisc_dynamic\nwarmup 0");
    let run = |check: &Check, status| {
        let mut c = Checker::new(check, 0, S);
        c.handle(Input::Tick, S);
        let result = ProbeResult { pass: true, reason: "exit".to_owned(), status };
        let out = c.handle(Input::Result { probe: 1, result }, S);
        (c, out.len())
    };
    let (ten, told) = run(&dynamic, Some(10));
    assert_eq!((combine(3, [&ten]).weight, told), (8, 1));
    let (plain, told) = run(&dynamic, None);
    assert_eq!((combine(3, [&plain]).weight, told), (3, 0));
    let (full, _) = run(&dynamic, Some(255));
    assert_eq!(combine(3, [&full]).weight, 253);
    assert_eq!(combine(3, [&ten, &full, &plain]).weight, 3 + 5 + 250);
    let (least, _) = run(&dynamic, Some(2));
    assert_eq!(combine(3, [&least, &least]).weight, 0);
    let (fixed, _) = run(&check("MISC_CHECK", "misc_path /opt/check\nwarmup 0"), Some(10));
    assert_eq!(combine(3, [&fixed]).weight, 3, "without misc_dynamic");
}

#[test]
fn all_checks_must_pass() {
    let up = Checker::new(&tcp(""), 0, S);
    let down = Checker::new(&tcp("alpha"), 0, S);
    let mut dead = up.clone();
    dead.handle(Input::Tick, S);
    dead.handle(Input::Died { probe: 1, why: "gone".to_owned() }, S);
    for (checks, state) in [
        (vec![], State::Up),
        (vec![&up, &up], State::Up),
        (vec![&up, &down], State::Down),
        (vec![&up, &dead], State::Unknown),
        (vec![&dead, &down], State::Down),
    ] {
        assert_eq!(combine(1, checks).state, state);
    }
    assert_eq!(combine(1, [&up, &dead]).reason, "error: the check does not run: gone");
}

/// A step of a random history: wait so many tenths, then this happens.
fn step() -> impl Strategy<Value = (u32, u8)> {
    (0u32..200, 0u8..9)
}

proptest! {
    /// Whatever comes in whatever order: one probe at a time, no wait longer than allowed, down only after retry + 1 failures in a row,
    /// up only after `rise` successes, and nothing but a death makes it unknown.
    #[test]
    fn histories(steps in proptest::collection::vec(step(), 0..120), retry in 0u32..3, rise in 1u32..3, alpha: bool, seed: u64) {
        let mut lines = format!("retry {retry}\nrise {rise}\ndelay_before_retry 1");
        if alpha {
            lines.push_str("\nalpha");
        }
        let mut c = Checker::new(&tcp(&lines), seed, Duration::ZERO);
        let mut now = Duration::ZERO;
        let (mut running, mut fails, mut passes) = (None, 0, 0);
        for (tenths, what) in steps {
            now += Duration::from_millis(u64::from(tenths) * 100);
            let before = c.state();
            let probe = running.unwrap_or(7777);
            let result = |pass| ProbeResult { pass, reason: "r".to_owned(), status: None };
            let input = match what {
                0..=2 => Input::Tick,
                3 | 4 => Input::Result { probe, result: result(false) },
                5 | 6 => Input::Result { probe, result: result(true) },
                7 => Input::Died { probe, why: "w".to_owned() },
                _ => Input::Suspend(tenths % 2 == 0),
            };
            if let (Input::Result { result, .. }, true) = (&input, running.is_some()) {
                (fails, passes) = if result.pass { (0, passes + 1) } else { (fails + 1, 0) };
            }
            let ends = matches!(input, Input::Result { .. } | Input::Died { .. });
            let died = matches!(input, Input::Died { .. }) || matches!(input, Input::Tick);
            let out = c.handle(input, now);
            for o in &out {
                match o {
                    Output::Start { probe } => { prop_assert!(running.is_none()); running = Some(*probe); }
                    Output::Abort { probe } => { prop_assert_eq!(running.take(), Some(*probe)); }
                    Output::Set { state, .. } => prop_assert_eq!(*state, c.state()),
                    Output::Failed { .. } => {}
                }
            }
            if ends {
                running = None;
            }
            match (before, c.state()) {
                (State::Up, State::Down) => prop_assert!(fails > retry),
                (State::Down, State::Up) => prop_assert!(passes >= rise),
                (State::Up | State::Down, State::Unknown) => prop_assert!(died && running.is_none()),
                _ => {}
            }
            if let Some(at) = c.next_deadline() {
                prop_assert!(at <= now + LAST_RESTART);
            }
        }
    }
}
