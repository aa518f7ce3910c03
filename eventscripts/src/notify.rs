//! `notify.sh`: an operator's program that is told what becomes of this node.
//!
//! As CTDB: `CTDB_BASE/notify.sh`, if it is executable, is called with one word. What it does with it is its own business (the shipped
//! one runs `events/notification/*.script`); a failure is logged and changes nothing. One call at a time, in the order in which things
//! happened; a script that hangs is ended after [`LIMIT`], so that it delays news but never the daemon.

use crate::process::{self, Spec};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// For one call.
const LIMIT: Duration = Duration::from_secs(30);

/// News that wait while a call is under way. More than a flapping node has in [`LIMIT`].
const WAITING: usize = 256;

/// What can become of a node; the words are CTDB's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The event `init` succeeded.
    Init,
    /// The event `setup` succeeded.
    Setup,
    /// The event `startup` succeeded.
    Startup,
    /// The node is UNHEALTHY no more. Every node begins as UNHEALTHY.
    Healthy,
    /// The node became UNHEALTHY.
    Unhealthy,
}

impl Notice {
    /// The script's argument.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Setup => "setup",
            Self::Startup => "startup",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// Tells `notify.sh`. Clones tell the same one, in one order.
#[derive(Debug, Clone)]
pub struct Notifier {
    notices: mpsc::Sender<Notice>,
}

impl Notifier {
    /// A notifier with a task of its own, which ends with the last clone. `env` is all of the script's environment.
    #[must_use]
    pub fn spawn(script: PathBuf, env: Vec<(String, String)>) -> Self {
        let (notices, mut waiting) = mpsc::channel(WAITING);
        let env: Arc<[(String, String)]> = env.into();
        tokio::spawn(async move {
            while let Some(notice) = waiting.recv().await {
                call(&script, notice, Arc::clone(&env)).await;
            }
        });
        Self { notices }
    }

    /// Tells it; never waits.
    pub fn tell(&self, notice: Notice) {
        if self.notices.try_send(notice).is_err() {
            tracing::warn!(
                "notify.sh was not told \"{}\": {WAITING} notices are waiting for it",
                notice.word()
            );
        }
    }
}

/// Calls the script, if there is one that can be run.
async fn call(script: &Path, notice: Notice, env: Arc<[(String, String)]>) {
    let runs = |m: std::fs::Metadata| m.is_file() && m.permissions().mode() & 0o111 != 0;
    if !std::fs::metadata(script).is_ok_and(runs) {
        return;
    }
    let (name, word) = (script.display(), notice.word());
    let mut running = match process::start(&Spec { path: script, args: &[word], env }, None, ()).await {
        Ok(running) => running,
        Err(e) => return tracing::warn!("running {name} {word}: {e}"),
    };
    let ended = timeout(LIMIT, running.finish()).await;
    for line in running.output().lines() {
        tracing::info!("{name} {word}: {line}");
    }
    match ended {
        Ok(Ok(status)) if status.success() => {}
        Ok(Ok(status)) => tracing::warn!("{name} {word}: {status}"),
        Ok(Err(e)) => tracing::warn!("running {name} {word}: {e}"),
        Err(_) => tracing::warn!("{name} {word} did not end in {LIMIT:?} and was ended"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::test_script;

    const SCRIPT: &str = "echo \"$1 $X\" >>\"$0.told\"; [ \"$1\" != setup ]";

    #[tokio::test]
    async fn words_come_in_order_and_a_failure_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        test_script(dir.path(), "notify.sh", SCRIPT);
        let script = dir.path().join("notify.sh");
        let notifier = Notifier::spawn(script, vec![("X".to_owned(), "y".to_owned())]);
        let all = [Notice::Init, Notice::Setup, Notice::Startup, Notice::Healthy, Notice::Unhealthy];
        all.into_iter().for_each(|n| notifier.tell(n));
        let want = "init y\nsetup y\nstartup y\nhealthy y\nunhealthy y\n";
        let told = dir.path().join("notify.sh.told");
        let all_told = async {
            while std::fs::read_to_string(&told).unwrap_or_default() != want {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(20), all_told).await.unwrap_or_else(|_| {
            panic!("told: {:?}", std::fs::read_to_string(&told));
        });
    }

    #[tokio::test]
    async fn without_a_script_nothing_is_called() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("notify.sh");
        call(&script, Notice::Init, Arc::from([])).await;
        test_script(dir.path(), "notify.sh", SCRIPT);
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o644)).unwrap();
        call(&script, Notice::Init, Arc::from([])).await;
        assert!(!dir.path().join("notify.sh.told").exists());
    }
}
