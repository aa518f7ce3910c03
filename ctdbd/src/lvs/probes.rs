//! Probes that are under way: a task for each, so that what happens to one happens to no other.

use futures_util::future::BoxFuture;
use lvs::checker::ProbeResult;
use lvs::config::check_types::Check;
use lvs::config::types::TlsFiles;
use lvs::director::{CheckerId, Fact};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

/// Probes once; a test may put another in its place.
pub(super) type Prober = Arc<dyn Fn(Check, TlsFiles) -> BoxFuture<'static, ProbeResult> + Send + Sync>;

/// Probes on the wire.
pub(super) fn real() -> Prober {
    Arc::new(|check, files| Box::pin(async move { lvs::probe::probe(&check, &files).await }))
}

/// See the module.
pub(super) struct Probes {
    prober: Prober,
    tasks: JoinSet<ProbeResult>,
    whose: HashMap<Id, (CheckerId, u64)>,
    running: HashMap<(CheckerId, u64), AbortHandle>,
}

impl Probes {
    pub(super) fn new(prober: Prober) -> Self {
        Self { prober, tasks: JoinSet::new(), whose: HashMap::new(), running: HashMap::new() }
    }

    pub(super) fn start(&mut self, checker: CheckerId, probe: u64, check: Check, files: &TlsFiles) {
        let (prober, files) = (Arc::clone(&self.prober), files.clone());
        // Made within the task, so that a panic of the prober itself is the task's, too.
        let handle = self.tasks.spawn(async move { prober(check, files).await });
        self.whose.insert(handle.id(), (checker, probe));
        self.running.insert((checker, probe), handle);
    }

    pub(super) fn abort(&mut self, checker: CheckerId, probe: u64) {
        if let Some(handle) = self.running.remove(&(checker, probe)) {
            handle.abort();
        }
    }

    /// The next probe that ends; never, while there is none.
    pub(super) async fn next(&mut self) -> Fact {
        loop {
            let Some(ended) = self.tasks.join_next_with_id().await else {
                return std::future::pending().await;
            };
            let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
            let Some((checker, probe)) = self.whose.remove(&id) else { continue };
            self.running.remove(&(checker, probe));
            match ended {
                Ok((_, result)) => return Fact::Result { checker, probe, result },
                // Aborted by us: nobody waits for it.
                Err(e) if e.is_cancelled() => {}
                Err(e) => return Fact::Died { checker, probe, why: why(e) },
            }
        }
    }
}

fn why(e: JoinError) -> String {
    let Ok(panic) = e.try_into_panic() else { return "its task has ended".to_owned() };
    let text =
        panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("its task panicked: {}", text.unwrap_or("without a word"))
}
