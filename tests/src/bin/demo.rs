//! `cargo demo`: a cluster of three nodes on this machine that loses and restores public addresses, with figures.

use clap::Parser;
use std::io::Write;
use std::process::ExitCode;
use tests::demo::{self, Options};

fn main() -> ExitCode {
    // `cargo demo --stay` and `cargo demo -- --stay` mean the same.
    let args = std::env::args_os().enumerate().filter(|(n, a)| *n != 1 || a != "--").map(|(_, a)| a);
    match demo::run(&Options::parse_from(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            // Nothing can be done about a standard error that is gone.
            let _ = writeln!(std::io::stderr(), "demo: {e:#}");
            ExitCode::FAILURE
        }
    }
}
