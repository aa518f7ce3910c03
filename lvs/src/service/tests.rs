//! Quorum, sorry server and inhibited servers as tables; properties over random healths.

use super::*;
use crate::config::load;
use crate::testkit::Host;
use proptest::prelude::*;

/// Three real servers of weights 1, 2, 3 behind 192.0.2.1:80.
fn vs(lines: &str) -> VirtualServer {
    let servers: String = (1..=3)
        .map(|n| format!("real_server 10.0.0.{n} 80 {{\nweight {n}\nnotify_down /opt/check\n}}\n"))
        .collect();
    let text = format!("virtual_server 192.0.2.1 80 {{\n{lines}\n{servers}}}");
    let (mut config, _) = load("vs.conf", &Host::of(&text)).unwrap_or_else(|e| panic!("{e:#?}"));
    config.virtual_servers.remove(0)
}

/// `u` up, `d` down, `?` unknown.
fn health(states: &str) -> Vec<RealState> {
    let one = |(n, c)| RealState {
        state: match c {
            'u' => State::Up,
            'd' => State::Down,
            _ => State::Unknown,
        },
        reason: format!("reason {n}"),
        weight: n,
    };
    (1..).zip(states.chars()).map(one).collect()
}

/// `LAST OCTET:WEIGHT` of each destination.
fn table(s: &ServiceState, vs: &VirtualServer, h: &[RealState]) -> String {
    let services = s.desired(vs, h);
    let service = services.values().next().unwrap();
    let dests: Vec<String> = service
        .dests
        .iter()
        .map(|(d, s)| format!("{}:{}", d.addr.to_string().rsplit('.').next().unwrap(), s.weight))
        .collect();
    dests.join(" ")
}

#[test]
fn who_serves() {
    let sorry = "sorry_server 10.0.0.99 80";
    let inhibit = "inhibit_on_failure";
    let both = format!("{sorry}\nsorry_server_inhibit\n{inhibit}");
    for (lines, states, want) in [
        ("", "uuu", "1:1 2:2 3:3"),
        ("", "udu", "1:1 3:3"),
        ("", "ddd", ""),
        (inhibit, "udu", "1:1 2:0 3:3"),
        (inhibit, "ddd", "1:0 2:0 3:0"),
        (sorry, "uuu", "1:1 2:2 3:3"),
        (sorry, "ddd", "99:1"),
        ("sorry_server 10.0.0.99 80\nquorum 4", "uud", "99:1"),
        ("quorum 4", "uud", "1:1 2:2"),
        (&both, "uud", "1:1 2:2 3:0 99:0"),
        (&both, "ddd", "1:0 2:0 3:0 99:1"),
        ("sorry_server 10.0.0.1 80", "ddd", "1:1"),
        ("sorry_server 10.0.0.1 80\nsorry_server_inhibit", "uuu", "1:1 2:2 3:3"),
    ] {
        let vs = vs(lines);
        let (state, _) = ServiceState::start(&vs, &health(states));
        assert_eq!(table(&state, &vs, &health(states)), want, "{lines:?} {states}");
    }
}

/// keepalived.conf(5): gained at quorum + hysteresis, lost below quorum - hysteresis.
#[test]
fn hysteresis_dampens() {
    let vs = vs("quorum 4\nhysteresis 1\nquorum_up /opt/check\nquorum_down /opt/check");
    let (mut s, events) = ServiceState::start(&vs, &health("uuu"));
    assert_eq!((s.quorum, events.len()), (true, 1));
    let mut seen = Vec::new();
    for (states, weight, quorum) in [
        ("udu", 4, true),
        ("uud", 3, true),
        ("dud", 2, false),
        ("uud", 3, false),
        ("udu", 4, false),
        ("duu", 5, true),
    ] {
        let events = s.update(&vs, &health(states));
        assert_eq!(s.quorum, quorum, "{states} weighs {weight}");
        seen.extend(
            events.into_iter().filter(|e| e.server.is_none()).map(|e| (e.up, e.run.is_some(), e.reason)),
        );
    }
    let reason = |w: u32| format!("live servers weigh {w}, the quorum is 4 with hysteresis 1");
    assert_eq!(seen, [(false, true, reason(2)), (true, true, reason(5))]);
}

/// R0: a check that does not work changes nothing, in either direction.
#[test]
fn unknown_stays_as_it_was() {
    let vs = vs("");
    let (mut s, _) = ServiceState::start(&vs, &health("udu"));
    assert_eq!(s.update(&vs, &health("???")), []);
    assert_eq!(table(&s, &vs, &health("???")), "1:1 3:3");
    let events = s.update(&vs, &health("?ud"));
    let said: Vec<_> = events
        .iter()
        .map(|e| (e.server.as_deref().unwrap(), e.up, e.run.is_some(), e.reason.as_str()))
        .collect();
    assert_eq!(said, [("10.0.0.2:80", true, false, "reason 2"), ("10.0.0.3:80", false, true, "reason 3")]);
}

#[test]
fn omega_takes_leave() {
    let quiet = vs("");
    let (s, _) = ServiceState::start(&quiet, &health("uud"));
    assert_eq!(s.stop(&quiet), []);
    let vs = vs("omega\nquorum_down /opt/check");
    let names: Vec<_> = s.stop(&vs).into_iter().map(|e| (e.server, e.up, e.run.is_some())).collect();
    let server = |n: u8| (Some(format!("10.0.0.{n}:80")), false, true);
    assert_eq!(names, [server(1), server(2), (None, false, true)]);
}

proptest! {
    /// Over any history: a server that is down never has weight unless it is the sorry server, one that is up has its weight while the
    /// quorum is there, and the same health twice says nothing twice.
    #[test]
    fn histories(steps in proptest::collection::vec("[ud?]{3}", 1..20), quorum in 1u32..8, hyst in 0u32..3, sorry: bool) {
        prop_assume!(hyst < quorum);
        let sorry_line = if sorry { "sorry_server 10.0.0.99 80" } else { "" };
        let vs = vs(&format!("quorum {quorum}\nhysteresis {hyst}\n{sorry_line}"));
        let (mut s, _) = ServiceState::start(&vs, &health(&steps[0]));
        let mut last = s.up.clone();
        for step in &steps {
            let h = health(step);
            let before = s.quorum;
            s.update(&vs, &h);
            prop_assert_eq!(s.update(&vs, &h), vec![]);
            for (n, c) in step.chars().enumerate() {
                let want = match c { 'u' => true, 'd' => false, _ => last[n] };
                prop_assert_eq!(s.up[n], want);
            }
            last = s.up.clone();
            let weight: u32 = (1..).zip(&s.up).filter(|(_, up)| **up).map(|(w, _)| w).sum();
            prop_assert_eq!(s.quorum, if before { weight + hyst >= quorum } else { weight >= quorum + hyst });
            let services = s.desired(&vs, &h);
            let dests = &services.values().next().unwrap().dests;
            let alone = sorry && !s.quorum;
            for (real, up) in vs.real_servers.iter().zip(&s.up) {
                let have = dests.get(&real.dest(vs.services.keys().next().unwrap())).map(|d| d.weight);
                prop_assert_eq!(have, (*up && !alone).then_some(real.weight));
            }
            let live = s.up.iter().filter(|u| **u).count();
            prop_assert_eq!(dests.len(), if alone { 1 } else { live });
        }
    }
}
