//! Answers `takeover-run-vector/1` objects: read from stdin, one line of JSON out for each.
//!
//!     cat FILE... | cargo run -q --release -p tests --bin takeover-vectors
//!
//! Runs recoverd's takeover machine against fake nodes (faults included) in virtual time and prints `id` and what happened, in the
//! shape of the vector's `expect`. Where we differ from the reference on purpose, this is ours: docs/takeover-run.md has the rule
//! that maps the reference's record to it. Objects may stand one per line, one after the other, or pretty-printed. What cannot be
//! answered is named on stderr with its line, everything else is answered, and the exit status is 1.

use std::io::{self, Write};
use std::process::ExitCode;
use tests::vectors::stream::Objects;
use tests::vectors::takeover::Vector;

fn main() -> ExitCode {
    let out = io::BufWriter::new(io::stdout().lock());
    match answer_all(out) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // The reader has seen enough.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(e) => {
            drop(writeln!(io::stderr(), "takeover-vectors: cannot read stdin or write stdout: {e}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether everything could be answered.
fn answer_all(mut out: impl Write) -> io::Result<bool> {
    let mut all = true;
    let mut objects = Objects::new(io::stdin().lock(), Vector::looks_like);
    while let Some(item) = objects.next_item()? {
        let id = item.value.as_ref().ok().and_then(|v| v.get("id")?.as_str().map(str::to_owned));
        let answer =
            item.value.and_then(|v| Vector::from_json(v).and_then(|v| v.answer()).map_err(|e| e.to_string()));
        match answer {
            Ok(line) => {
                serde_json::to_writer(&mut out, &line)?;
                out.write_all(b"\n")?;
            }
            Err(what) => {
                all = false;
                let id = id.map(|id| format!(" (id {id})")).unwrap_or_default();
                // Answers so far first, so that both streams read in order; a closed stderr must not cost answers.
                out.flush()?;
                drop(writeln!(io::stderr(), "takeover-vectors: stdin line {}{id}: {what}", item.line));
            }
        }
    }
    out.flush()?;
    Ok(all)
}
