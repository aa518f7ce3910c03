//! The self-test of the kernel at the start of a director: does ip_vs forward at all (field report R3, acceptance line R3-1)?
//!
//! `lvs::ipvs::selftest` makes namespaces and waits, so that it runs in a thread of its own, once for each method that is configured, when
//! the kernel's table was read for the first time. Nothing waits for it: services are served meanwhile, and a failure flags them.

use lvs::ipvs::selftest::{self, Method, SelfTest, Tried};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Tries methods; a test may put another in its place.
pub(super) type Tester = Arc<dyn Fn(&[Method]) -> Result<SelfTest, String> + Send + Sync>;

/// The self-test in throw-away namespaces.
pub(super) fn real() -> Tester {
    Arc::new(|methods| selftest::run(methods, &mut |_| ()).map_err(|e| e.to_string()))
}

type Outcome = Result<SelfTest, String>;

/// See the module.
pub(super) struct Forwards {
    /// None: switched off.
    tester: Option<Tester>,
    /// Methods that were tried or are being tried: each once.
    asked: BTreeSet<Method>,
    running: Option<oneshot::Receiver<Outcome>>,
    found: BTreeMap<Method, (Tried, String)>,
}

impl Forwards {
    pub(super) fn new(tester: Option<Tester>) -> Self {
        Self { tester, asked: BTreeSet::new(), running: None, found: BTreeMap::new() }
    }

    /// These methods are used: tries those that were not tried, unless a test is under way.
    pub(super) fn want(&mut self, used: BTreeSet<Method>) {
        let methods: Vec<Method> = used.difference(&self.asked).copied().collect();
        let Some(tester) = self.tester.clone().filter(|_| self.running.is_none() && !methods.is_empty())
        else {
            return;
        };
        self.asked.extend(&methods);
        let (done, running) = oneshot::channel();
        let thread = std::thread::Builder::new().name("lvs-selftest".into()).spawn(move || {
            // Nobody waits any more only when the director has ended.
            let _ = done.send(tester(&methods));
        });
        match thread {
            Ok(_) => self.running = Some(running),
            Err(e) => tracing::warn!("lvs: no thread for the self-test: {e}"),
        }
    }

    /// The next outcome; never, while no test is under way.
    pub(super) async fn next(&mut self) -> Outcome {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        let outcome = running.await.unwrap_or_else(|_| Err("its thread has died".to_owned()));
        self.running = None;
        outcome
    }

    /// Takes an outcome; lines for the log, and whether each is a failure.
    pub(super) fn take(&mut self, outcome: Outcome) -> Vec<(bool, String)> {
        let test = match outcome {
            Ok(test) => test,
            Err(why) => return vec![(false, format!("the self-test was not done: {why}"))],
        };
        let mut lines = Vec::new();
        for (method, tried, line) in test.lines() {
            lines.push((matches!(tried, Tried::DoesNotForward(_)), line.clone()));
            self.found.insert(method, (tried, line));
        }
        lines
    }

    /// Whether one of these methods is known not to forward.
    pub(super) fn broken(&self, methods: &BTreeSet<Method>) -> bool {
        let fails = |m| matches!(self.found.get(m), Some((Tried::DoesNotForward(_), _)));
        methods.iter().any(fails)
    }

    /// Method, whether it forwards (none: it could not be tried), and the line about it.
    pub(super) fn found(&self) -> impl Iterator<Item = (Method, Option<bool>, &str)> {
        self.found.iter().map(|(method, (tried, line))| {
            let works = match tried {
                Tried::Forwards(_) => Some(true),
                Tried::DoesNotForward(_) => Some(false),
                Tried::NotTried(_) => None,
            };
            (*method, works, line.as_str())
        })
    }
}
