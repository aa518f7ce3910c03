//! `MISC_CHECK` and notifiers: a program of the operator, without a shell, as its own process group.
//!
//! What does not end in time is killed with everything that it has started; so is what is not waited for any more. Its output goes nowhere.

use super::{Passed, Verdict, words};
use crate::config::Script;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Group, Pid, User};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// A process group that is killed unless it has ended.
struct Running {
    child: Child,
    group: Option<Pid>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Not reaped yet, so the number is still its own.
        if let Some(group) = self.group {
            // Gone already is as good.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

pub(super) async fn probe(script: &Script, limit: Duration, dynamic: bool) -> Verdict {
    let program = script.argv.first().map_or("", String::as_str);
    let status = run(script, limit).await?;
    let Some(code) = status.code().and_then(|c| u8::try_from(c).ok()) else {
        return Err(format!("{program} ended by a signal ({status})"));
    };
    match code {
        0 => Ok(Passed::new(format!("{program}: exit status 0"))),
        2.. if dynamic => Ok(Passed {
            reason: format!("{program}: exit status {code}, weight {}", code - 2),
            status: Some(code),
        }),
        _ => Err(format!("{program}: exit status {code}")),
    }
}

/// Runs a program to its end, or for `limit`; then it and all that it started are killed.
///
/// # Errors
/// It cannot be started, or did not end in time: which, and why.
pub async fn run(script: &Script, limit: Duration) -> Result<ExitStatus, String> {
    let (program, args) = script.argv.split_first().ok_or("no program is named")?;
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    command.kill_on_drop(true);
    as_user(&mut command, script)?;
    let child = command.spawn().map_err(|e| format!("{program} cannot be started: {}", words(&e)))?;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let mut running = Running { child, group };
    match timeout(limit, running.child.wait()).await {
        Ok(Ok(status)) => {
            running.group = None;
            Ok(status)
        }
        Ok(Err(e)) => Err(format!("{program} cannot be waited for: {}", words(&e))),
        Err(_) => Err(format!("{program} had not ended after {} s and was killed", limit.as_secs_f64())),
    }
}

/// `user` and `group`; the system drops our further groups with that.
fn as_user(command: &mut Command, script: &Script) -> Result<(), String> {
    let unknown = |what: &str, name: &str| format!("there is no {what} \"{name}\" on this host");
    if let Some(name) = &script.user {
        let user = User::from_name(name).ok().flatten().ok_or_else(|| unknown("user", name))?;
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    if let Some(name) = &script.group {
        let group = Group::from_name(name).ok().flatten().ok_or_else(|| unknown("group", name))?;
        command.gid(group.gid.as_raw());
    }
    Ok(())
}
