//! Announcing an address several times, until it is released.

use super::Announcer;
use super::pace::Pace;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, sleep, sleep_until};

/// How an address is announced: the tunables `GratuitousArpCount`, `GratuitousArpIntervalMs` (CTDB: 3 and 1.1 s, hard-coded) and
/// `GratuitousArpRate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Series {
    /// How often in all.
    pub count: u32,
    /// The pause between two announcements, at least.
    pub every: Duration,
    /// So many announcements a second, those of all addresses together, after the first of each; 0: any number.
    pub rate: u32,
}

/// The announcements under way: at most one series for each address. Dropping it ends them all.
#[derive(Debug)]
pub struct Announcements {
    announcer: Arc<Announcer>,
    pace: Arc<Pace>,
    running: Mutex<HashMap<IpAddr, AbortHandle>>,
}

impl Announcements {
    /// Nothing is announced yet.
    #[must_use]
    pub fn new(announcer: Arc<Announcer>) -> Self {
        Self { announcer, pace: Arc::default(), running: Mutex::default() }
    }

    /// Announces `addr` on `iface` now and again as `how` says, and calls `then` after each time; replaces a series under way. A failure
    /// is logged and does not end the series. Must be called inside a tokio runtime.
    pub fn start(&self, iface: &str, addr: IpAddr, how: Series, then: impl Fn() + Send + 'static) {
        let (announcer, pace) = (Arc::clone(&self.announcer), Arc::clone(&self.pace));
        let Series { count, every, rate } = how;
        let iface = iface.to_owned();
        let series: JoinHandle<()> = tokio::spawn(async move {
            for nth in 0..count {
                // The first at once: clients wait for it, and a timer of no time at all takes a millisecond.
                if nth > 0 {
                    sleep(every).await;
                    sleep_until(pace.slot(rate, Instant::now())).await;
                }
                if let Err(e) = announcer.announce(&iface, addr).await {
                    tracing::warn!("{e}");
                }
                then();
            }
        });
        let mut running = self.running();
        // Series end by themselves: sweep them out before the table would have to grow.
        if running.len() == running.capacity() {
            running.retain(|_, task| !task.is_finished());
        }
        if let Some(former) = running.insert(addr, series.abort_handle()) {
            former.abort();
        }
    }

    /// Ends the series of `addr`: to be called before it is released. A frame that is being sent at this moment may still leave.
    pub fn stop(&self, addr: IpAddr) {
        if let Some(series) = self.running().remove(&addr) {
            series.abort();
        }
    }

    /// Ends all series.
    pub fn stop_all(&self) {
        self.running().drain().for_each(|(_, series)| series.abort());
    }

    fn running(&self) -> MutexGuard<'_, HashMap<IpAddr, AbortHandle>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Announcements {
    fn drop(&mut self) {
        self.stop_all();
    }
}
