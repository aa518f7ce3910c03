//! Takeover runs against the recorded runs of the reference (`takeover-run-vector/1`), and the command that prints ours.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use tests::vectors::takeover::Vector;
use tests::vectors::takeover_outcome::Outcome;
use tests::vectors::takeover_rule::expected;

fn read(path: &Path) -> Vector {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    Vector::from_json(value).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Checks all vectors of a folder and returns their names.
fn check_folder(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut paths: Vec<_> =
        entries.map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|x| x == "json")).collect();
    paths.sort();
    let check = |path: &std::path::PathBuf| {
        let vector = read(path);
        let ours = vector.outcome().unwrap_or_else(|e| panic!("{}: {e}", vector.id));
        let rule = expected(&vector).unwrap_or_else(|e| panic!("{}: {e}", vector.id));
        assert_eq!(ours, rule, "{}: ours, and the record by the rule of docs/takeover-run.md", vector.id);
        vector.id
    };
    paths.iter().map(check).collect()
}

fn own() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/takeover")
}

#[test]
fn recorded_runs() {
    assert_eq!(check_folder(&own()).len(), 13);
}

#[test]
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn the_references_own_runs() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance/takeover_run");
    if !folder.is_dir() {
        println!("skipped: conformance takeover: needs ../shared/conformance");
        return;
    }
    assert!(check_folder(&folder).len() >= 41);
}

/// The rule must not explain away what it is not about: where the reference failed before it released anything, where nothing
/// can be hosted, and in what was seen and decided, the record stands as it is.
#[test]
fn the_rule_changes_nothing_else() {
    for (name, whole) in
        [("x01", true), ("x02", true), ("x10", true), ("x13", true), ("x08", false), ("x11", false)]
    {
        let vector = read(&own().join(format!("{name}.json")));
        let (record, rule) = (vector.expect.clone().unwrap(), expected(&vector).unwrap());
        if whole {
            assert_eq!(rule, record, "{name}");
        } else {
            let rest = |o: &Outcome| {
                (o.result.clone(), o.owners_after.clone(), o.unallocatable.clone(), o.stages[..5].to_vec())
            };
            assert_eq!(rest(&rule), rest(&record), "{name}");
        }
    }
}

#[test]
fn the_command_answers_each_object_and_names_bad_ones() {
    let pretty = fs::read_to_string(own().join("x04.json")).unwrap();
    let line = serde_json::from_str::<serde_json::Value>(&pretty).unwrap().to_string();
    let mut child = Command::new(env!("CARGO_BIN_EXE_takeover-vectors"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let input = format!("{pretty}{line}\n{{\"run_on\": 0}}\n{line}\n");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    let answers: Vec<&str> = stdout.lines().collect();
    assert_eq!(answers.len(), 3, "{stdout}{stderr}");
    assert!(answers.iter().all(|a| *a == answers[0]), "{stdout}");
    let answer: serde_json::Value = serde_json::from_str(answers[0]).unwrap();
    assert_eq!(answer["id"], "takeover_run.x04");
    assert_eq!(answer["ban_credits_to"], 1);
    assert_eq!(answer["failed_controls"][1]["addr"], "10.0.0.31");
    assert!(stderr.contains("not a takeover-run-vector/1"), "{stderr}");
    assert!(!out.status.success());
}
