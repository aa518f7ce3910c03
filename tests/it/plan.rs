//! `ctdb plan` and `ctdb why` on a real cluster: they say what would happen, and it happens so.

use serde_json::Value;
use tests::cluster::{Cluster, ClusterConfig};

fn json(c: &Cluster, node: usize, args: &[&str]) -> (i32, Value) {
    let (code, out, err) = c.try_ctdb(node, &[&["--json"], args].concat());
    (code, serde_json::from_str(&out).unwrap_or_else(|e| panic!("{args:?}: {e}\n{out}{err}")))
}

#[test]
fn a_plan_says_what_would_happen_and_changes_nothing() {
    let Some(c) =
        Cluster::for_test("a_plan_says_what_would_happen_and_changes_nothing", &ClusterConfig::default())
    else {
        return;
    };
    let before = c.holders();
    // Nothing to do, asked on a node that is not the recmaster as well.
    for node in 0..3 {
        let (code, out, _) = c.try_ctdb(node, &["plan"]);
        assert_eq!(code, 0, "{out}");
    }
    let (code, plan) = json(&c, 0, &["plan", "--down", "1"]);
    assert_eq!(code, 2, "{plan}");
    let (code, _) = json(&c, 0, &["plan", "--down", "0,1,2"]);
    assert_eq!(code, 3);
    let (code, out, _) = c.try_ctdb(2, &["plan", "--without", "bond0@2"]);
    assert_eq!(code, 2, "{out}");
    let (code, out, _) = c.try_ctdb(2, &["plan", "--add", "10.0.0.40/24"]);
    assert_eq!(code, 2, "{out}");
    assert_eq!(c.holders(), before, "a plan moves nothing");

    // What was planned is what is done.
    let moves: Vec<(String, u64)> = plan["changes"]
        .as_array()
        .unwrap_or_else(|| panic!("no changes in {plan}"))
        .iter()
        .map(|m| (m["address"].as_str().unwrap().to_owned(), m["to"].as_u64().unwrap()))
        .collect();
    assert_eq!(moves.len(), 2, "{plan}");
    let _ = c.ctdb(1, &["disable"]);
    for (addr, to) in moves {
        assert_eq!(c.holder(addr.parse().unwrap()) as u64, to, "{addr}\n{plan}");
    }
    let (code, _) = json(&c, 0, &["plan", "--up", "1"]);
    assert_eq!(code, 2);
}

#[test]
fn why_answers_in_one_sentence_with_the_run_that_decided() {
    let Some(c) =
        Cluster::for_test("why_answers_in_one_sentence_with_the_run_that_decided", &ClusterConfig::default())
    else {
        return;
    };
    let addr = c.addresses[0];
    let owner = c.holder(addr);
    let other = (owner + 1) % 3;
    for node in 0..3 {
        let out = c.ctdb(node, &["why", &addr.to_string()]);
        assert!(out.starts_with(&format!("{addr} is on node {owner}: ")), "{out}");
        assert!(out.contains("Decided by run "), "{out}");
    }
    let _ = c.ctdb(other, &["disable"]);
    let out = c.ctdb(owner, &["why", &addr.to_string()]);
    let line = out.lines().find(|l| l.contains(&format!("node {other} "))).unwrap_or_else(|| panic!("{out}"));
    assert!(line.contains("DISABLED"), "{out}");
    let (_, why) = json(&c, other, &["why", &addr.to_string()]);
    assert_eq!(why["node"].as_u64(), Some(owner as u64), "{why}");

    let (code, _, err) = c.try_ctdb(0, &["why", "10.99.0.1"]);
    assert_eq!(code, 1);
    assert!(err.contains("no connected node knows 10.99.0.1"), "{err}");
}
