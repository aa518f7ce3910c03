//! The second layer behind the gate: public addresses that the kernel removes by itself when nobody refreshes them.
//!
//! Addresses are added with a lifetime; the keeper refreshes those that this node serves every third of it, while the lease holds. When
//! daemon and guard are both gone, and the gate's tables with them, the addresses go away in seconds. Until then they are never
//! *deprecated*. CTDB leaves the addresses of a dead node up for ever.
//!
//! A refresh of an address that is being deleted would put it back (the kernel adds what is not there). So a release says
//! [`Keeper::forget`] first, which waits for a refresh under way; and only what a look at the kernel found is refreshed, where it was
//! found, scripts' additions included. What is kept, and when, is the driver's word; this decides only how long addresses live.

use super::{Netif, OnIface};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// Addresses refreshed in one go; a release waits no longer than for these (4 ms with 100 IPv6 addresses, 50 ms with 2000).
const BATCH: usize = 50;

/// For how long addresses are added and refreshed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LifetimePolicy {
    /// There is a gate, which shuts within LeaseTime; without one lifetimes are all there is.
    pub gate: bool,
    /// LeaseTime: no lifetime is shorter than three of it.
    pub lease_time: Duration,
}

impl LifetimePolicy {
    /// The lifetime where `all` addresses are kept, of which `ipv6`. Each costs a notification per refresh, to every program that
    /// listens; and a refresh of IPv6 addresses costs the square of their number (`reference/gate.md`): 500 in 100 ms.
    #[must_use]
    pub fn lifetime(self, all: usize, ipv6: usize) -> Duration {
        let seconds = match (self.gate, all, ipv6) {
            (true, _, 500..) => 300,
            (true, _, 100..) => 120,
            (true, 100.., _) => 60,
            (true, ..) => 15,
            (false, _, 500..) => 60,
            (false, _, 100..) => 15,
            (false, ..) => 5,
        };
        // The kernel counts whole seconds.
        let three_leases =
            u64::try_from((self.lease_time * 3).as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
        Duration::from_secs(three_leases.max(seconds))
    }
}

/// What clones of a [`Netif`] share about lifetimes.
#[derive(Debug, Clone, Default)]
pub(super) struct Lifetime {
    /// In seconds; 0: addresses are added for ever.
    seconds: Arc<AtomicU32>,
}

impl Lifetime {
    /// With what lifetime addresses are added; `None`: for ever.
    pub(super) fn get(&self) -> Option<Duration> {
        let seconds = self.seconds.load(Ordering::Relaxed);
        (seconds > 0).then(|| Duration::from_secs(seconds.into()))
    }

    fn set(&self, lifetime: Duration) {
        self.seconds.store(u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX), Ordering::Relaxed);
    }
}

/// A handle; clones keep the same addresses. The task that refreshes them ends with the last one.
#[derive(Debug, Clone)]
pub struct Keeper {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    netif: Netif,
    policy: LifetimePolicy,
    kept: Mutex<BTreeSet<IpAddr>>,
    /// Held while a batch is refreshed.
    turn: tokio::sync::Mutex<()>,
}

impl Keeper {
    /// From now on this `netif` (with its clones) adds addresses for events with a lifetime, and those that are kept are refreshed in
    /// time, as long as `may` says so at each turn: whether this node may serve. Must be called inside a tokio runtime.
    pub fn start(netif: &Netif, policy: LifetimePolicy, may: impl Fn() -> bool + Send + 'static) -> Self {
        netif.lifetime.set(policy.lifetime(0, 0));
        let shared = Arc::new(Shared {
            netif: netif.clone(),
            policy,
            kept: Mutex::default(),
            turn: Default::default(),
        });
        tokio::spawn(run(Arc::downgrade(&shared), may));
        Self { shared }
    }

    /// This address was taken: refresh it. One that was there before it was taken keeps the lifetime that it had until the next turn.
    pub fn keep(&self, addr: IpAddr) {
        self.shared.kept().insert(addr);
    }

    /// This address is about to be released, or moved to another interface: it is not refreshed any more once this returns.
    pub async fn forget(&self, addr: IpAddr) {
        if self.shared.kept().remove(&addr) {
            drop(self.shared.turn.lock().await);
        }
    }
}

async fn run(shared: Weak<Shared>, may: impl Fn() -> bool) {
    loop {
        let Some(lifetime) = shared.upgrade().map(|s| s.lifetime()) else { return };
        tokio::time::sleep(lifetime / 3).await;
        let Some(shared) = shared.upgrade() else { return };
        if may() {
            shared.refresh().await;
        }
    }
}

impl Shared {
    fn kept(&self) -> MutexGuard<'_, BTreeSet<IpAddr>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lifetime(&self) -> Duration {
        let kept = self.kept();
        self.policy.lifetime(kept.len(), kept.iter().filter(|a| a.is_ipv6()).count())
    }

    async fn refresh(&self) {
        let lifetime = self.lifetime();
        self.netif.lifetime.set(lifetime);
        if self.kept().is_empty() {
            return;
        }
        let state = match self.netif.observe().await {
            Ok(state) => state,
            Err(e) => return tracing::error!("the lifetimes of addresses are not refreshed: {e}"),
        };
        let places = |addr: &IpAddr| {
            let addr = *addr;
            let place = move |p: &recoverd::model::KernelAddr| OnIface {
                iface: p.iface.clone(),
                addr,
                prefix: p.prefix,
            };
            state.places(addr).iter().map(place).collect::<Vec<_>>()
        };
        let found: Vec<OnIface> = self.kept().iter().flat_map(places).collect();
        for batch in found.chunks(BATCH) {
            let _turn = self.turn.lock().await;
            let still: Vec<OnIface> = {
                let kept = self.kept();
                batch.iter().filter(|one| kept.contains(&one.addr)).cloned().collect()
            };
            for result in self.netif.refresh_lifetimes(&still, lifetime).await {
                if let Err(e) = result {
                    tracing::error!("{e}");
                }
            }
        }
    }
}
