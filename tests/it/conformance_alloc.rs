//! Allocation against the recorded answers of the reference (`ipalloc-vector/1`), and the command that prints ours.

use recoverd::alloc::{allocate, can_host_anything};
use recoverd::model::Pnn;
use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tests::vectors::ipalloc::{Vector, VectorStep};

fn own(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name)
}

fn pnn(owner: i64) -> Option<Pnn> {
    u32::try_from(owner).ok().map(Pnn)
}

fn check(id: &str, step: &VectorStep) {
    let problem = step.problem().unwrap_or_else(|e| panic!("{id}: {e}"));
    for ip in &step.ips {
        let addr: IpAddr = ip.addr.parse().unwrap();
        let merged = problem.addrs.iter().find(|a| a.addr == addr.to_canonical());
        assert_eq!(merged.map(|a| a.owner), Some(pnn(ip.owner)), "{id}: merged owner of {addr}");
    }
    let answer = allocate(&problem);
    let ours: Vec<_> = answer.owners.iter().map(|a| (a.addr, a.to)).collect();
    let theirs: Vec<_> = step
        .expect
        .iter()
        .map(|e| (e.addr.parse::<IpAddr>().unwrap().to_canonical(), pnn(e.owner)))
        .collect();
    assert_eq!(ours, theirs, "{id}: owners, in the reference's order");
    let unserved: Vec<_> = theirs.iter().filter(|t| t.1.is_none()).map(|t| t.0).collect();
    assert_eq!(answer.unallocatable, unserved, "{id}: unallocatable");
    if let Some(expected) = step.expect_can_host {
        assert_eq!(can_host_anything(&problem.addrs), expected, "{id}: can anything be hosted");
    }
    if let Some(trace) = &step.trace {
        assert_eq!(&answer.trace, trace, "{id}: what LCP2 did, in order");
    }
}

fn check_text(origin: &Path, text: &str) -> usize {
    let value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{}: {e}", origin.display()));
    let vector = Vector::from_json(value).unwrap_or_else(|e| panic!("{}: {e}", origin.display()));
    vector
        .steps
        .iter()
        .enumerate()
        .for_each(|(i, step)| check(&format!("{} step {}", vector.id, i + 1), step));
    vector.steps.len()
}

fn check_lines(name: &str) {
    let path = own(name);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().map(|line| check_text(&path, line)).sum::<usize>(), 100);
}

#[test]
fn random_vectors() {
    check_lines("ipalloc_random.jsonl");
}

#[test]
fn extended_vectors() {
    check_lines("ipalloc_extended.jsonl");
}

#[test]
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn the_references_own_cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance/ipalloc");
    let Ok(entries) = fs::read_dir(&folder) else {
        println!("skipped: conformance ipalloc: needs ../shared/conformance");
        return;
    };
    let steps: usize = entries
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "json"))
        .map(|p| check_text(&p, &fs::read_to_string(&p).unwrap()))
        .sum();
    assert!(steps > 0, "no vectors in {}", folder.display());
}

fn command(input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ipalloc-vectors"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap().unwrap();
    output
}

const SMALL: &str = r#"{"id":"a","steps":[{"algorithm":"lcp2","num_nodes":2,"ips":[
  {"addr":"fd00::1","owner":-1,"known":[0,1],"available":[1]},
  {"addr":"10.0.0.1","owner":0,"known":[0,1],"available":[]}]}]}"#;

#[test]
fn command_answers_each_line() {
    let text = fs::read_to_string(own("ipalloc_random.jsonl")).unwrap();
    let output = command(text.as_bytes());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answers = String::from_utf8(output.stdout).unwrap();
    assert_eq!(answers.lines().count(), 100);
    for (line, answer) in text.lines().zip(answers.lines()) {
        let asked: serde_json::Value = serde_json::from_str(line).unwrap();
        let answer: serde_json::Value = serde_json::from_str(answer).unwrap();
        let expected: Vec<_> = asked["steps"][0]["expect"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| serde_json::json!([e["addr"], e["owner"]]))
            .collect();
        assert_eq!(answer["id"], asked["id"]);
        assert_eq!(answer["result"], serde_json::Value::Array(expected), "{}", asked["id"]);
    }
}

#[test]
fn command_answers_pretty_printed_and_several_steps() {
    let one = r#"[["fd00::1",1],["10.0.0.1",-1]]"#;
    let output = command(SMALL.as_bytes());
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{{\"id\":\"a\",\"result\":{one}}}\n"));
    assert!(output.status.success());
    let mut value: serde_json::Value = serde_json::from_str(SMALL).unwrap();
    let step = value["steps"][0].clone();
    value["steps"].as_array_mut().unwrap().push(step);
    let output = command(value.to_string().as_bytes());
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        format!("{{\"id\":\"a\",\"result\":[{one},{one}]}}\n")
    );
}

#[test]
fn command_names_bad_input_and_loses_nothing_else() {
    let good = SMALL.replace('\n', " ");
    let bad = [
        "this is no JSON".to_owned(),
        good[..60].to_owned(),
        good.replace("lcp2", "lcp9"),
        good.replace("fd00::1", "fd00::zz"),
        good.replace("\"available\":[1]", "\"available\":[2]"),
        good.replace("\"ips\"", "\"addresses\""),
        good.replace("\"id\"", "\"schema\":\"takeover-run-vector/1\",\"id\""),
        good.replace("\"num_nodes\":2", "\"num_nodes\":4000000000"),
        "[1,2]".to_owned(),
    ];
    let told = [
        "not JSON",
        "not complete",
        "lcp9",
        "fd00::zz",
        "node 2",
        "ips",
        "takeover-run-vector/1",
        "4000000000",
        "not an ipalloc-vector/1",
    ];
    let mut input: Vec<u8> =
        bad.iter().flat_map(|b| [good.as_str(), "\n", b, "\n"]).collect::<String>().into();
    input.extend(b"\xff\xfe\n");
    input.extend(good.as_bytes());
    let output = command(&input);
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), bad.len() + 1, "{errors}");
    assert_eq!(errors.lines().count(), bad.len() + 1, "{errors}");
    for (i, (what, line)) in told.iter().zip(errors.lines()).enumerate() {
        assert!(
            line.contains(&format!("line {}", 2 * i + 2)) && line.contains(what),
            "wanted {what}: {line}"
        );
    }
    assert!(errors.lines().last().unwrap().contains("line 19: not UTF-8"), "{errors}");
}

#[test]
fn command_ends_well_when_nobody_reads() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ipalloc-vectors"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    // The command may end before all is written.
    drop(stdin.write_all(&fs::read(own("ipalloc_random.jsonl")).unwrap()));
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}
