//! Answers `takeover-run-vector/1` objects: read from stdin, one line of JSON out for each.
//!
//!     cat FILE... | cargo run -q --release -p tests --bin takeover-vectors
//!
//! Runs recoverd's takeover machine against fake nodes (faults included) in virtual time and prints `id` and what happened, in the
//! shape of the vector's `expect`. Where we differ from the reference on purpose, this is ours: docs/takeover-run.md has the rule
//! that maps the reference's record to it. Objects may stand one per line, one after the other, or pretty-printed. What cannot be
//! answered is named on stderr with its line, everything else is answered, and the exit status is 1.

use std::process::ExitCode;
use tests::vectors::command;
use tests::vectors::takeover::Vector;

fn main() -> ExitCode {
    let answer = |object| Vector::from_json(object).and_then(|v| v.answer()).map_err(|e| e.to_string());
    command::run("takeover-vectors", Vector::looks_like, answer)
}
