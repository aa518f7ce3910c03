//! The program `ctdb` itself: messages, streams and exit statuses, without a daemon and with a scripted one on a real socket.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, which clippy.toml's allow-unwrap-in-tests does not see"
)]

mod config_check;
mod fake;
mod golden;
mod lvs;
mod several;
mod with_daemon;
mod without_daemon;

use std::path::Path;
use std::process::{Command, Output};

/// `ctdb` with an environment of its own.
fn ctdb(socket: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ctdb"));
    command.args(args).env_clear().env("CTDB_SOCKET", socket).env("TZ", "UTC");
    command
}

/// Its exit status, stdout, stderr.
fn told(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}
