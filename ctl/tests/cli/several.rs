//! `-n` with several nodes.

use super::fake::Fake;
use super::{ctdb, told};
use serde_json::{Value, json};

fn run(args: &[&str]) -> (i32, String, String) {
    let fake = Fake::start();
    told(ctdb(&fake.socket, args).output().unwrap())
}

const CUT_OFF: &str = "node 2 (192.168.20.43): Node 2 has status DISCONNECTED|INACTIVE\n";

#[test]
fn answers_stand_below_their_nodes_and_a_node_that_is_cut_off_fails() {
    assert_eq!(
        run(&["-n", "all", "pnn"]),
        (
            1,
            "\n>> NODE: 192.168.20.41 <<\n0\n\n>> NODE: 192.168.20.42 <<\n1\n\n>> NODE: 192.168.20.43 <<\n"
                .into(),
            CUT_OFF.into()
        )
    );
    let both = "\n>> NODE: 192.168.20.42 <<\n1\n\n>> NODE: 192.168.20.41 <<\n0\n";
    assert_eq!(run(&["-n", "1,0", "pnn"]), (0, both.into(), String::new()));
    assert_eq!(run(&["pnn", "-n", "con"]).0, 0);
    assert_eq!(run(&["-n", "0-2", "pnn"]).0, 1);
}

#[test]
fn one_node_that_is_meant_by_a_word_has_no_heading() {
    assert_eq!(run(&["-n", "ok", "pnn"]), (0, "0\n".into(), String::new()));
    assert_eq!(run(&["-n", "any", "pnn"]), (0, "0\n".into(), String::new()));
}

#[test]
fn tables_have_the_number_first() {
    assert_eq!(
        run(&["-X", "-n", "con", "ifaces"]).1,
        "|0|Name|LinkStatus|References|\n|0|eth1|1|1|\n|1|Name|LinkStatus|References|\n|1|eth1|1|2|\n"
    );
    assert_eq!(run(&["-X", "-n", "ok", "pnn"]).1, "|0|0|\n");
}

#[test]
fn json_is_an_object_by_number() {
    let (code, out, err) = run(&["--json", "-n", "all", "pnn"]);
    let value: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, err.as_str()), (1, ""));
    assert_eq!(value["1"], json!({ "status": 0, "result": { "pnn": 1 }, "messages": [] }));
    assert_eq!(value["2"]["messages"], json!(["Node 2 has status DISCONNECTED|INACTIVE"]));
    let (_, out, _) = run(&["--json", "-n", "ok", "pnn"]);
    assert!(out.starts_with("{\n  \"0\": {"), "one node now, the same shape: {out}");
}

#[test]
fn notes_name_their_node_and_a_refusal_of_one_fails_the_whole() {
    let (code, out, err) = run(&["-n", "con", "enable"]);
    assert_eq!(code, 0, "{out}{err}");
    assert_eq!(
        err,
        "node 0 (192.168.20.41): Node 0 is not disabled\nnode 1 (192.168.20.42): Node 1 is not disabled\n"
    );
    assert_eq!(run(&["-n", "con", "nodestatus"]).0, 2, "the flags of node 1");
    assert_eq!(run(&["-n", "all", "nodestatus"]).0, 255);
}

#[test]
fn everything_can_be_shut_down_at_once() {
    assert_eq!(run(&["-n", "con", "shutdown"]).0, 0);
}

#[test]
fn numbers_that_no_node_has_are_refused_before_anything_is_done() {
    assert_eq!(run(&["-n", "0,7", "disable"]), (1, String::new(), "Node 7 does not exist\n".into()));
}
