//! Counting, resetting, and the history.

use super::*;
use recoverd::model::{Epoch, Pnn, Session};

const fn at(wall_us: i64) -> Now {
    Now { wall_us, recovering: false }
}

fn value(view: &StatisticsView, group: &str, name: &str) -> u64 {
    view.counters.iter().find(|c| c.group == group && c.name == name).unwrap().value
}

#[test]
fn rows_stand_in_the_order_of_the_counts() {
    for (i, (count, _, name)) in ROWS.iter().enumerate() {
        assert_eq!(*count as usize, i, "{name}");
    }
}

#[test]
fn messages_are_counted_by_what_they_are() {
    let s = Statistics::new(5);
    let answer = PeerMsg::Ban { epoch: Epoch { number: 1, pnn: Pnn(0) }, seconds: 1, reason: String::new() };
    let done = PeerMsg::IpAnswer { req: 1, addr: [10, 0, 0, 1].into(), result: Ok(()) };
    s.sent(&answer);
    s.received(&answer);
    s.received(&done);
    s.client_came();
    let view = s.view(at(9));
    assert_eq!((view.since_us, view.now_us), (5, 9));
    assert_eq!(value(&view, "", "node_packets_sent"), 1);
    assert_eq!(value(&view, "", "node_packets_recv"), 2);
    assert_eq!(value(&view, "node", "req_message"), 1);
    assert_eq!(value(&view, "node", "reply_control"), 1);
    assert_eq!(value(&view, "", "keepalive_packets_recv"), 0);
    assert_eq!(value(&view, "", "num_clients"), 1);
}

#[test]
fn latencies_keep_the_shortest_the_longest_and_the_sum() {
    let s = Statistics::new(0);
    for ms in [3, 1, 8] {
        s.took("event_monitor", Duration::from_millis(ms));
    }
    let row =
        LatencyRow { name: "event_monitor".into(), count: 3, min_us: 1000, max_us: 8000, total_us: 12_000 };
    assert_eq!(s.view(at(1)).latencies, [row]);
}

#[test]
fn an_interval_has_what_is_new_in_it() {
    let s = Statistics::new(0);
    s.count(Count::Dumps);
    s.took("event_monitor", Duration::from_millis(1));
    s.end_interval(at(10));
    s.count(Count::Dumps);
    s.count(Count::Dumps);
    s.end_interval(at(20));
    let history = s.history(9);
    let dumps: Vec<_> =
        history.iter().map(|v| (v.since_us, v.now_us, value(v, "netlink", "dumps"))).collect();
    assert_eq!(dumps, [(10, 20, 2), (0, 10, 1)]);
    assert_eq!([history[0].latencies.len(), history[1].latencies.len()], [0, 1]);
    assert_eq!(s.history(1).len(), 1);
    assert_eq!(value(&s.view(at(21)), "netlink", "dumps"), 3, "the sum goes on");
}

#[test]
fn the_history_is_bounded() {
    let s = Statistics::new(0);
    (1..150).for_each(|t| s.end_interval(at(t)));
    let history = s.history(u32::MAX);
    assert_eq!((history.len(), history[0].now_us), (HISTORY, 149));
}

#[test]
fn a_reset_forgets_everything_but_who_is_connected() {
    let s = Statistics::new(0);
    s.client_came();
    s.count(Count::Runs);
    s.took("takeover_run", Duration::from_millis(1));
    s.end_interval(at(5));
    s.restart(7);
    let view = s.view(at(8));
    assert_eq!((view.since_us, value(&view, "takeover", "runs"), view.latencies.len()), (7, 0, 0));
    assert_eq!((s.clients(), s.history(9).len()), (1, 0));
    s.count(Count::Runs);
    s.end_interval(at(9));
    assert_eq!(value(&s.history(1)[0], "takeover", "runs"), 1);
}

#[test]
fn signs_of_life_are_told_apart() {
    let s = Statistics::new(0);
    let state = recoverd::msg::NodeState {
        seq: 1,
        session: Session(1),
        flags: recoverd::model::NodeFlags::NONE,
        runstate: recoverd::model::RunState::Running,
        epoch: Epoch { number: 1, pnn: Pnn(0) },
        leads: false,
        leader_capable: true,
        uptime_ms: 1,
        partially_online: false,
        availability: 0,
        asks: true,
        answer_wanted: false,
        silent: Default::default(),
    };
    s.sent(&PeerMsg::State(state.clone()));
    s.received(&PeerMsg::State(state));
    let view = s.view(at(1));
    for name in ["keepalive_packets_sent", "keepalive_packets_recv", "node_packets_sent", "node_packets_recv"]
    {
        assert_eq!(value(&view, "", name), 1, "{name}");
    }
}
