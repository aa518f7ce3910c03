//! The commands `ipalloc-vectors` and `takeover-vectors`: objects on stdin, one line of JSON out for each.
//!
//! Objects may stand one per line, one after the other, or pretty-printed. What cannot be answered is named on stderr with its line,
//! everything else is answered, and the exit status is 1.

use super::stream::Objects;
use serde::Serialize;
use serde_json::Value;
use std::io::{self, Write};
use std::process::ExitCode;

/// Answers everything on stdin. `looks_like` tells an object of the right kind, `answer` answers one or says what is wrong with it.
pub fn run<T: Serialize>(
    name: &str,
    looks_like: fn(&Value) -> bool,
    answer: impl Fn(Value) -> Result<T, String>,
) -> ExitCode {
    let out = io::BufWriter::new(io::stdout().lock());
    match answer_all(out, name, looks_like, answer) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // The reader has seen enough.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(e) => {
            drop(writeln!(io::stderr(), "{name}: cannot read stdin or write stdout: {e}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether everything could be answered.
fn answer_all<T: Serialize>(
    mut out: impl Write,
    name: &str,
    looks_like: fn(&Value) -> bool,
    answer: impl Fn(Value) -> Result<T, String>,
) -> io::Result<bool> {
    let mut all = true;
    let mut objects = Objects::new(io::stdin().lock(), looks_like);
    while let Some(item) = objects.next_item()? {
        let id = item.value.as_ref().ok().and_then(|v| v.get("id")?.as_str().map(str::to_owned));
        match item.value.and_then(&answer) {
            Ok(line) => {
                serde_json::to_writer(&mut out, &line)?;
                out.write_all(b"\n")?;
            }
            Err(what) => {
                all = false;
                let id = id.map(|id| format!(" (id {id})")).unwrap_or_default();
                // Answers so far first, so that both streams read in order; a closed stderr must not cost answers.
                out.flush()?;
                drop(writeln!(io::stderr(), "{name}: stdin line {}{id}: {what}", item.line));
            }
        }
    }
    out.flush()?;
    Ok(all)
}
