//! `docs/lvs.md` names a test for every acceptance line of the field reports: each of them exists, so that the document cannot rot.
//!
//! A name in backticks with `::` in it is a test or a module of tests; `a::{b, c}` are two.

use crate::from_ctdb::{Test, all_tests, means, root, tests_below};
use std::fs::read_to_string;

/// The lines of the reports that the table must have.
const LINES: [(&str, usize); 4] = [("R0", 6), ("R1", 4), ("R2", 8), ("R3", 4)];

/// `a::{b, c}` written out.
fn spread(name: &str) -> Vec<String> {
    let Some((before, rest)) = name.split_once('{') else { return vec![name.to_owned()] };
    let (inner, after) = rest.split_once('}').unwrap_or((rest, ""));
    inner.split(',').map(|one| format!("{before}{}{after}", one.trim())).collect()
}

/// The table's rows: number of the line, what they are about, and the tests that they name.
fn rows(text: &str) -> Vec<(usize, &str, Vec<String>)> {
    let begin = text.find("## Field reports and their tests").expect("the heading");
    let skipped = text[..begin].lines().count();
    let lines = text[begin..].lines().enumerate().filter(|(_, l)| l.starts_with("| R"));
    lines
        .map(|(n, line)| {
            let cells: Vec<&str> = line.trim_matches(['|', ' ']).splitn(2, " | ").collect();
            let quoted = cells[1].split('`').skip(1).step_by(2).filter(|part| part.contains("::"));
            (skipped + n + 1, cells[0].trim(), quoted.flat_map(spread).collect())
        })
        .collect()
}

#[test]
fn every_test_that_the_document_names_exists() {
    let mut tests: Vec<Test> = all_tests();
    tests.extend(tests_below("kernel", &root().join("lvs/tests/kernel")));
    let text = read_to_string(root().join("docs/lvs.md")).unwrap();
    let rows = rows(&text);
    let mut faults = Vec::new();
    for (line, about, names) in &rows {
        for name in names.iter().filter(|name| !tests.iter().any(|test| means(name, test))) {
            faults.push(format!("docs/lvs.md:{line}: {about}: no test {name}"));
        }
        if names.is_empty() {
            faults.push(format!("docs/lvs.md:{line}: {about}: names no test"));
        }
    }
    let wanted = LINES.iter().flat_map(|(report, n)| (1..=*n).map(move |i| format!("{report}-{i}")));
    let missing: Vec<String> = wanted.filter(|w| !rows.iter().any(|(_, about, _)| about == w)).collect();
    assert!(missing.is_empty(), "docs/lvs.md has no row for {missing:?}");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn names_are_read_as_the_document_says() {
    assert_eq!(spread("a::b"), ["a::b"]);
    assert_eq!(spread("a::{b, c::d}"), ["a::b", "a::c::d"]);
    let text =
        "## Field reports and their tests\n\n| line | test |\n| R9-1 | `a::b`, `x y`; c: `d::{e, f}` |\n";
    assert_eq!(rows(text), [(4, "R9-1", ["a::b", "d::e", "d::f"].map(str::to_owned).to_vec())]);
}
