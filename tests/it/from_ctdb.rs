//! `docs/from-ctdb.md` names a test for every row of CTDB's lists: each of them exists, so that the document cannot rot.
//!
//! A cell of its tables is read thus: `cli`, `it` or the name of a crate says where the tests behind it are; a name in backticks is a test
//! (`story::link::cable…`: the end of its path, `…` for the rest of its name), or a module (`story::link`) for all tests in it, and so is `cargo test -p CRATE`. What has a blank or a slash in it is
//! no test. A row without a test says why by one of [`REASONS`].

use std::collections::BTreeSet;
use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};

/// Why a row may have no test.
const REASONS: [&str; 5] =
    ["accepted, no effect", "missing", "gone in CTDB too", "no test of its own", "not part of ctdb-ip"];

/// A test: `ctdbd::lock::helper::tests::name`; those of `tests/it` begin with `it`, those of `ctl/tests/cli` and of ctl with `cli`.
pub(crate) type Test = Vec<String>;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The module of a file below `base`, in a crate of this name.
fn module(name: &str, base: &Path, file: &Path) -> Test {
    let inside = file.strip_prefix(base).unwrap().with_extension("");
    let parts = inside.iter().map(|p| p.to_string_lossy().into_owned());
    let parts = parts.filter(|p| !["mod", "lib", "main"].contains(&p.as_str()));
    std::iter::once(name.to_owned()).chain(parts).collect()
}

/// The tests of a text, with the modules that stand in it.
fn tests_of(text: &str, module: &Test) -> Vec<Test> {
    let (mut found, mut inner, mut marked) = (Vec::new(), None, false);
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("mod ").and_then(|l| l.strip_suffix(" {")) {
            inner = Some(name.to_owned());
        } else if line == "}" {
            inner = None;
        }
        let line = line.trim_start();
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            marked = true;
        } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| marked && !line.starts_with('/')) {
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.push(module.iter().cloned().chain(inner.clone()).chain([name]).collect());
            marked = false;
        }
    }
    found
}

/// The tests of all files below a directory, as those of a crate of this name.
pub(crate) fn tests_below(crate_name: &str, base: &Path) -> Vec<Test> {
    let mut files = Vec::new();
    rust_files(base, &mut files);
    let of = |file: &PathBuf| tests_of(&read_to_string(file).unwrap(), &module(crate_name, base, file));
    files.iter().flat_map(of).collect()
}

/// All tests of the workspace but those of `lvs/tests/kernel`.
pub(crate) fn all_tests() -> Vec<Test> {
    let mut all = Vec::new();
    for entry in read_dir(root()).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let places = match name.as_str() {
            "target" => vec![],
            "ctl" => vec![("cli", entry.path().join("src")), ("cli", entry.path().join("tests/cli"))],
            "tests" => vec![("it", entry.path().join("it")), ("tests", entry.path().join("src"))],
            _ => vec![(name.as_str(), entry.path().join("src"))],
        };
        for (crate_name, base) in places {
            all.extend(tests_below(crate_name, &base));
        }
    }
    // A macro makes these, one for each snapshot.
    for entry in read_dir(root().join("ctl/tests/cli/snapshots")).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(name) = name.strip_prefix("cli__golden__").and_then(|n| n.strip_suffix(".snap")) {
            all.push(["cli", "golden", name].map(str::to_owned).to_vec());
        }
    }
    all
}

/// Whether a name of the document means this test.
pub(crate) fn means(named: &str, test: &Test) -> bool {
    let names: Vec<&str> = named.split("::").collect();
    let (last, modules) = names.split_last().unwrap();
    let own = test.last().unwrap();
    let path: Vec<&str> = test[..test.len() - 1].iter().map(String::as_str).collect();
    let last_is_right = match last.strip_suffix('…') {
        Some(begin) => own.starts_with(begin),
        None => own == last,
    };
    let module = if last.is_empty() { modules } else { &names[..] };
    (last_is_right && path.ends_with(modules))
        || (!module.is_empty() && path.windows(module.len()).any(|w| w == module))
}

/// The tests that a cell names, with the crate that it says they are in.
fn named(cell: &str, crates: &BTreeSet<String>) -> Vec<(Option<String>, String)> {
    let (mut found, mut of) = (Vec::new(), None);
    for (i, part) in cell.split('`').enumerate() {
        if i % 2 == 0 {
            let words = part.split(|c: char| !c.is_alphanumeric());
            of = words.rev().find(|w| crates.contains(*w)).map(str::to_owned).or(of);
        } else if let Some(name) = part.strip_prefix("cargo test -p ") {
            of = Some(name.to_owned());
            found.push((of.clone(), name.to_owned()));
        } else if !part.contains([' ', '/', '.', '-', '=']) {
            found.push((of.clone(), part.to_owned()));
        }
    }
    found
}

/// The rows of the tables below the heading: line number and second cell.
fn rows(text: &str) -> Vec<(usize, &str)> {
    let begin = text.find("## Every row").unwrap();
    let skipped = text[..begin].lines().count();
    let lines =
        text[begin..].lines().enumerate().filter(|(_, l)| l.starts_with("| ") && !l.starts_with("| --- "));
    let cells = lines.map(|(n, l)| (n + skipped + 1, l.trim_end_matches(" |").rsplit_once(" | ").unwrap().1));
    cells.filter(|(_, cell)| *cell != "here").collect()
}

#[test]
fn every_test_that_the_document_names_exists() {
    let tests = all_tests();
    let crates: BTreeSet<String> = tests.iter().map(|t| t[0].clone()).collect();
    let text = read_to_string(root().join("docs/from-ctdb.md")).unwrap();
    let mut faults = Vec::new();
    for (line, cell) in rows(&text) {
        let names = named(cell, &crates);
        for (of, name) in &names {
            let mut all = tests.iter().filter(|t| of.as_ref().is_none_or(|of| t[0] == *of));
            if !all.any(|t| means(name, t)) {
                faults.push(format!(
                    "docs/from-ctdb.md:{line}: no test {name} in {}",
                    of.as_deref().unwrap_or("any crate")
                ));
            }
        }
        if names.is_empty() && !REASONS.iter().any(|r| cell.contains(r)) {
            faults.push(format!("docs/from-ctdb.md:{line}: names neither a test nor a reason: {cell}"));
        }
    }
    assert!(rows(&text).len() > 80, "the tables are read");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn names_are_read_as_the_document_says() {
    let test: Test = ["it", "story", "link", "cable_pulled"].map(str::to_owned).to_vec();
    for name in [
        "cable_pulled",
        "link::cable_pulled",
        "story::link::cable…",
        "story::",
        "story::link",
        "it",
        "cable_…",
    ] {
        assert!(means(name, &test), "{name}");
    }
    for name in ["cable", "story::cable_pulled", "links::", "link::pulled…", "pulled"] {
        assert!(!means(name, &test), "{name}");
    }
    let text = "#[test]\nfn one() {\n}\nmod inner {\n    #[tokio::test]\n    async fn two() {\n    }\n    fn three() {}\n}\n";
    let found: Vec<String> = tests_of(text, &vec!["x".to_owned()]).iter().map(|t| t.join("::")).collect();
    assert_eq!(found, ["x::one", "x::inner::two"]);
    let crates = BTreeSet::from(["cli".to_owned(), "it".to_owned()]);
    let names = named("cli `a`, `b/c`; it `d…` (`-n`)", &crates);
    let say = |of: &str, name: &str| (Some(of.to_owned()), name.to_owned());
    assert_eq!(names, [say("cli", "a"), say("it", "d…")]);
}
