//! Shapes and exit statuses of `plan` and `why`.

use super::*;
use recoverd::alloc::{Reason, Vacancy};
use recoverd::explain::{Explanation, WhyNot};
use recoverd::model::{Epoch, RunId};
use recoverd::plan::{Move, MoveReason, Plan};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn run_id() -> RunId {
    RunId { epoch: Epoch { number: 3, pnn: Pnn(0) }, count: 7 }
}

/// Nothing to do: two nodes, an address each.
pub(crate) fn report() -> RunReport {
    let owners = vec![(ip("10.0.0.32"), Some(Pnn(1))), (ip("10.0.0.31"), Some(Pnn(0)))];
    let balance = BTreeMap::from([(Pnn(0), 1), (Pnn(1), 1)]);
    RunReport {
        id: run_id(),
        causes: vec!["plan".to_owned()],
        dry_run: true,
        failover_disabled: false,
        result: RunResult::Ok,
        credits: BTreeMap::new(),
        ban_credits_to: None,
        failed_controls: Vec::new(),
        no_host_shortcut: false,
        unallocatable: Vec::new(),
        plan: Some(Plan {
            id: run_id(),
            releases: BTreeMap::new(),
            takeovers: BTreeMap::new(),
            moves: Vec::new(),
            owners: owners.clone(),
            unallocatable: Vec::new(),
        }),
        owners,
        phases: Vec::new(),
        balance_before: balance.clone(),
        balance_after: balance,
        nodes: Vec::new(),
    }
}

/// Node 1 is gone: one of its addresses moves, the other has no place.
fn moving() -> RunReport {
    let mut report = report();
    let vacancy = Vacancy::OwnerCannotHost(Pnn(1));
    let plan = report.plan.as_mut().unwrap();
    plan.takeovers.insert(Pnn(0), vec![ip("10.0.0.32")]);
    plan.moves.push(Move {
        addr: ip("10.0.0.32"),
        from: Some(Pnn(1)),
        to: Some(Pnn(0)),
        reason: MoveReason::Allocated(Reason::LeastAlike { vacancy, cost: 900 }),
    });
    report.owners[0].1 = Some(Pnn(0));
    report.balance_after = BTreeMap::from([(Pnn(0), 2), (Pnn(1), 0)]);
    report
}

fn with_unserved() -> RunReport {
    let mut report = moving();
    let vacancy = Vacancy::OwnerCannotHost(Pnn(1));
    let reason = MoveReason::Allocated(Reason::NobodyCanHost { vacancy });
    let lost = Move { addr: ip("10.0.0.4"), from: Some(Pnn(1)), to: None, reason };
    report.plan.as_mut().unwrap().moves.push(lost);
    report.unallocatable.push(ip("10.0.0.4"));
    report.owners.push((ip("10.0.0.4"), None));
    report
}

#[test]
fn nothing_would_change() {
    let output = plan_output(&report(), Style::Plain).unwrap();
    assert_eq!(
        output.text,
        "A takeover run would change nothing.\nAddresses per node: node 0: 1 -> 1, node 1: 1 -> 1\n"
    );
    assert_eq!(output.code, 0);
}

#[test]
fn moves_are_told_with_reasons() {
    let output = plan_output(&moving(), Style::Plain).unwrap();
    assert_eq!(
        output.text,
        "\
10.0.0.32: node 1 -> node 0: its owner, node 1, cannot host it now, and it is least like the addresses on this node (cost 900)
Addresses per node: node 0: 1 -> 2, node 1: 1 -> 0
"
    );
    assert_eq!(output.code, 2);
}

#[test]
fn what_would_be_unserved_is_told_and_is_exit_status_3() {
    let output = plan_output(&with_unserved(), Style::Plain).unwrap();
    assert!(output.text.starts_with("10.0.0.4: node 1 -> nobody: "), "{}", output.text);
    assert!(output.text.ends_with("Unserved: 10.0.0.4 (ctdb why IP tells the reasons)\n"), "{}", output.text);
    assert_eq!(output.code, 3);
}

#[test]
fn a_take_without_a_move_is_a_change() {
    let mut report = report();
    report.plan.as_mut().unwrap().takeovers.insert(Pnn(1), vec![ip("10.0.0.32")]);
    report.plan.as_mut().unwrap().releases.insert(Pnn(0), vec![(ip("10.0.0.32"), Some(Pnn(1)))]);
    let output = plan_output(&report, Style::Table('|')).unwrap();
    assert_eq!(
        output.text,
        "\
|Public IP|From|To|Reason|
|10.0.0.32|1|1|it is not on an interface of its owner, which takes it again|
|10.0.0.32|0|1|node 0 claims or holds it and is not its owner, so it lets go|
"
    );
    assert_eq!(output.code, 2);
}

#[test]
fn a_run_that_could_not_plan_is_a_failure() {
    let mut report = report();
    report.result = RunResult::Timeout;
    let failure = plan_output(&report, Style::Plain).unwrap_err();
    assert!(failure.message.contains("the dry run timed out"), "{}", failure.message);
    assert_eq!(failure.code, 1);
}

#[test]
fn json_has_changes_and_the_whole_report() {
    let json = plan_json(&with_unserved());
    assert_eq!(json["changes"][0]["address"], "10.0.0.4");
    assert_eq!(json["changes"][0]["to"], Value::Null);
    assert_eq!(json["changes"][1]["to"], 0);
    assert_eq!(json["unserved"], json!(["10.0.0.4"]));
    assert_eq!(json["balance_after"]["0"], 2);
    assert_eq!(json["report"]["id"]["count"], 7);
}

#[test]
fn switches_are_told() {
    let mut report = report();
    report.plan = None;
    report.failover_disabled = true;
    assert!(plan_plain(&report).starts_with("Failover is disabled"));
    report.failover_disabled = false;
    report.no_host_shortcut = true;
    assert!(plan_plain(&report).starts_with("No node can host any address now"));
}

#[test]
fn questions_are_parsed() {
    assert_eq!(parse_added("10.0.0.9/24"), Ok(ip("10.0.0.9")));
    assert_eq!(parse_added("fd00::9"), Ok(ip("fd00::9")));
    assert_eq!(parse_added("10.0.0/24"), Err("Invalid IP address 10.0.0".to_owned()));
    for text in ["10.0.0.9/33", "10.0.0.9/0", "10.0.0.9/x", "10.0.0.9/"] {
        assert!(parse_added(text).unwrap_err().ends_with("from 1 to 32"), "{text}");
    }
    assert_eq!(parse_iface("eth1@2"), Ok(("eth1".to_owned(), Pnn(2))));
    assert_eq!(parse_iface("a@b@2"), Ok(("a@b".to_owned(), Pnn(2))));
    for text in ["eth1", "@2", "eth1@", "eth1@x"] {
        assert!(parse_iface(text).is_err(), "{text}");
    }
}

fn why_reply() -> WhyReply {
    WhyReply {
        explanation: Explanation {
            addr: ip("10.0.0.31"),
            owner: Some(Pnn(0)),
            before: Some(Pnn(0)),
            why: Some(MoveReason::Asked),
            others: vec![(Pnn(1), WhyNot::NotConfigured), (Pnn(2), WhyNot::Disconnected)],
        },
        decided_by: Some(run_id()),
    }
}

#[test]
fn why_names_owner_others_and_run() {
    assert_eq!(
        why_output(&why_reply(), Style::Plain).unwrap().text,
        "\
10.0.0.31 is on node 0: an operator moved it here (ctdb moveip).
  node 1 does not have it in its public addresses
  node 2 is not connected
Decided by run 3.0/7.
"
    );
    assert_eq!(
        why_output(&why_reply(), Style::Table('|')).unwrap().text,
        "\
|Public IP|Node|Owner|Reason|
|10.0.0.31|0|Y|an operator moved it here (ctdb moveip)|
|10.0.0.31|1|N|does not have it in its public addresses|
|10.0.0.31|2|N|is not connected|
"
    );
    let json = why_json(&why_reply());
    assert_eq!((&json["node"], &json["decided_by"]), (&json!(0), &json!("3.0/7")));
    assert_eq!(json["others"][1]["node"], 2);
}

#[test]
fn an_address_that_nobody_knows_is_a_failure() {
    let mut reply = why_reply();
    reply.explanation.owner = None;
    reply.explanation.why = None;
    let failure = why_output(&reply, Style::Json).unwrap_err();
    assert_eq!(failure.message, "10.0.0.31 is not a public address of any connected node.");
}
