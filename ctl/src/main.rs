//! `ctdb`: see the library of this crate.

use std::process::ExitCode;

fn main() -> ExitCode {
    ctl::main()
}
