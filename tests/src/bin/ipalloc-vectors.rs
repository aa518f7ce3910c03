//! Answers `ipalloc-vector/1` objects: read from stdin, one line of JSON out for each.
//!
//!     cargo run -q --release -p tests --bin ipalloc-vectors < FILE
//!
//! Prints `{"id":…, "result":[[addr, owner]…]}`, owner -1 for nobody; a vector with several steps has an array of such results,
//! each computed from the inputs that the step itself gives. Objects may stand one per line, one after the other, or
//! pretty-printed. What cannot be answered is named on stderr with its line, everything else is answered, and the exit status is 1.

use std::process::ExitCode;
use tests::vectors::command;
use tests::vectors::ipalloc::Vector;

fn main() -> ExitCode {
    let answer = |object| Vector::from_json(object).and_then(|v| v.answer()).map_err(|e| e.to_string());
    command::run("ipalloc-vectors", Vector::looks_like, answer)
}
