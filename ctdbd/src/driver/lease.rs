//! The driver's side of the lease layer: the cluster lock for it, the set `held` of the gate, and its words for the machine.

use super::Driver;
use super::held::Held;
use crate::gate::{Gate, GateConfig, GateState};
use crate::guard::Guard;
use crate::lease::{self, LeaseHandle, LeaseNews, Proofs};
use crate::lock::{LockEvent, LockRecord};
use crate::netif::{Keeper, LifetimePolicy, Netif};
use crate::nodes_state::{NodesList, NodesState};
use eventscripts::{LvsAddress, RunResult};
use recoverd::action::LeaseWish;
use recoverd::input::Input;
use recoverd::lease::{LeaseInput, LockOrder};
use recoverd::model::{Event, EventOutcome, KernelState, Pnn, PublicAddress, Session};
use recoverd::view::{LeaseReport, LeaseView};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// See the module.
pub(super) struct LeaseLink {
    pub(super) handle: LeaseHandle,
    /// The kernel's gate; none where it has none.
    pub(super) gate: Option<Arc<Gate>>,
    held: Option<Held>,
    /// Refreshes the lifetimes of the addresses that this node serves.
    keeper: Keeper,
    /// Why there is no gate.
    degraded: Option<String>,
    /// What the gate guards, or would.
    guarded: GateConfig,
    /// The interface of the LVS group's address.
    lvs_iface: Option<String>,
    /// The public interfaces that there were when the gate last looked, with their indices.
    interfaces: BTreeMap<String, u32>,
    view: Option<LeaseView>,
    /// Proofs of the lock that were asked for.
    proofs: Proofs,
    /// The lease layer's present wish for the lock: news of the lock name it.
    wish: u64,
    /// The lock is held for the present ticket, and what was found in it.
    acquired: Option<Option<recoverd::lease::LockRecord>>,
    session: Option<Session>,
    nodes_state: NodesState,
}

impl LeaseLink {
    /// `guarded` is what the gate was made with.
    pub(super) fn new(
        handle: LeaseHandle,
        gate: Result<Arc<Gate>, String>,
        guarded: GateConfig,
        lvs_iface: Option<String>,
        netif: &Netif,
        nodes_state: NodesState,
    ) -> Self {
        let (gate, degraded) = match gate {
            Ok(gate) => (Some(gate), None),
            Err(why) => (None, Some(why)),
        };
        let policy = LifetimePolicy { gate: gate.is_some(), lease_time: guarded.lease_time };
        let keeper = Keeper::start(netif, policy, {
            let handle = handle.clone();
            move || handle.left().0.is_some()
        });
        Self {
            held: gate.clone().map(|gate| Held::new(gate, handle.clone())),
            handle,
            gate,
            keeper,
            degraded,
            guarded,
            lvs_iface,
            interfaces: BTreeMap::new(),
            view: None,
            proofs: Proofs::default(),
            wish: 0,
            acquired: None,
            session: None,
            nodes_state,
        }
    }

    /// The set of what passes, for the address of the LVS group; none without a gate.
    pub(super) fn held(&self) -> Option<Held> {
        self.held.clone()
    }

    /// What an event about an address must pass, in the present session.
    pub(super) fn passage(&self) -> Passage {
        let held = self.held.clone().map(|held| (held.life(), held));
        Passage { held, keeper: self.keeper.clone() }
    }

    /// The public addresses of the configuration are these from now on, also to the guard. Returns at once; the gate follows, and goes
    /// on guarding an address that is still held until it is released.
    pub(super) fn set_addresses(&mut self, public: &[PublicAddress], guard: &Guard) {
        self.guarded.public = public.iter().map(|p| p.addr).collect();
        self.guarded.interfaces =
            public.iter().flat_map(|p| p.ifaces.clone()).chain(self.lvs_iface.clone()).collect();
        guard.public(self.guarded.public.iter().chain(&self.guarded.quiet).copied().collect());
        self.reconfigure();
    }

    /// The address of the LVS group is this one from now on, beside these public ones.
    pub(super) fn set_group(&mut self, address: Option<LvsAddress>, public: &[PublicAddress], guard: &Guard) {
        let quiet = address.iter().map(|a| IpAddr::V4(a.vip)).collect();
        let iface = address.map(|a| a.iface);
        if self.guarded.quiet != quiet || self.lvs_iface != iface {
            (self.guarded.quiet, self.lvs_iface) = (quiet, iface);
            self.set_addresses(public, guard);
        }
    }

    /// The gate on packet sockets has to be told of an interface that came, or came back as another.
    pub(super) fn interfaces_seen(&mut self, state: &KernelState) {
        let index = |name: &String| Some((name.clone(), state.links.get(name)?.index));
        let now: BTreeMap<String, u32> = self.guarded.interfaces.iter().filter_map(index).collect();
        let came = now.iter().any(|(name, index)| self.interfaces.get(name) != Some(index));
        self.interfaces = now;
        if came {
            self.reconfigure();
        }
    }

    fn reconfigure(&self) {
        if let Some(held) = &self.held {
            held.clone().reconfigure(self.guarded.clone());
        }
    }

    /// `ctdb lease`; nothing before the lease layer has said its first word.
    pub(super) fn report(&self) -> Option<LeaseReport> {
        let (left, rule) = self.handle.left();
        let gate = match (&self.gate, &self.degraded) {
            (Some(gate), _) => gate.state(),
            (None, why) => GateState::Degraded(why.clone().unwrap_or_default()),
        };
        let micros = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        Some(LeaseReport {
            lease_time_us: micros(self.guarded.lease_time),
            left_us: left.map(micros),
            rule: rule.to_owned(),
            gate: gate.to_string(),
            scheduling: self.handle.scheduling(),
            late_max_us: micros(self.handle.late_max()),
            view: self.view.clone()?,
        })
    }
}

/// A number never used before.
pub(super) fn random_session() -> Session {
    Session(std::hash::RandomState::new().build_hasher().finish())
}

impl Driver {
    pub(super) fn on_lease(&mut self, news: LeaseNews) {
        match news {
            LeaseNews::View(view) => {
                if let Some(lease) = &mut self.lease {
                    lease.view = Some(view.clone());
                    if lease.session != view.session {
                        lease.session = view.session;
                        self.guard.session(view.session);
                    }
                }
                self.feed(Input::Lease(view));
            }
            LeaseNews::Lock { order, wish } => self.lock_order(order, wish),
            LeaseNews::ListInForce(hash) => self.list_in_force(hash),
            LeaseNews::Journal(text) => {
                tracing::info!("lease: {text}");
                self.journal.record("lease", text, serde_json::Value::Null);
            }
        }
    }

    /// The next life must know this nodes list, should the file be another one then.
    fn list_in_force(&self, hash: u64) {
        let id = &self.reload.id;
        let Some(lease) = self.lease.as_ref().filter(|_| id.nodes_hash() == hash) else { return };
        let nodes = (0u32..).map(Pnn).zip(id.nodes()).filter_map(|(pnn, addr)| addr.map(|_| pnn)).collect();
        let (state, list) = (lease.nodes_state.clone(), NodesList { hash, nodes });
        tokio::task::spawn_blocking(move || state.save(&list));
    }

    fn lock_order(&mut self, order: LockOrder, wish: u64) {
        let (Some(lock), Some(lease)) = (&mut self.lock, &mut self.lease) else { return };
        match order {
            LockOrder::Queue => {
                lease.wish = wish;
                lease.proofs.forget_record();
                let before = lock.ticket.replace(lock.handle.acquire());
                if before != lock.ticket {
                    lease.acquired = None;
                } else if let Some(previous) = lease.acquired {
                    // It came back to us before this wish did.
                    lease.handle.feed_lock(wish, LeaseInput::LockAcquired { previous });
                }
            }
            LockOrder::Leave => {
                lease.wish = wish;
                lease.acquired = None;
                lock.handle.release();
                lock.ticket = None;
            }
            LockOrder::Record(record) => {
                let number = lease.proofs.record(lease::now(), record.epoch);
                let host = self.host.clone();
                lock.handle.record(LockRecord {
                    epoch: record.epoch,
                    list: record.list,
                    session: self.session,
                    lease: record.session,
                    host,
                });
                lock.handle.prove(number);
            }
            LockOrder::Prove { at } => lock.handle.prove(lease.proofs.prove(at)),
        }
    }

    /// News of the lock for the lease layer.
    pub(super) fn lock_news(&mut self, event: LockEvent) {
        let (Some(lock), Some(lease)) = (&mut self.lock, &mut self.lease) else { return };
        match event {
            LockEvent::Acquired { ticket, record, latency, .. } if lock.ticket == Some(ticket) => {
                tracing::info!("cluster lock taken ({} ms)", latency.as_millis());
                lease.proofs.forget_proofs();
                let previous = record.map(|r| recoverd::lease::LockRecord {
                    epoch: r.epoch,
                    list: r.list,
                    session: r.lease,
                });
                lease.acquired = Some(previous);
                lease.handle.feed_lock(lease.wish, LeaseInput::LockAcquired { previous });
            }
            LockEvent::Lost { ticket, reason } if lock.ticket == Some(ticket) => {
                tracing::error!("cluster lock lost: {reason}");
                self.journal.record(
                    "leader",
                    format!("cluster lock lost: {reason}"),
                    serde_json::Value::Null,
                );
                lease.acquired = None;
                lease.handle.feed_lock(lease.wish, LeaseInput::LockLost);
            }
            LockEvent::Proved { ticket, asked_at } if lock.ticket == Some(ticket) => {
                let (epoch, asked) = lease.proofs.proved(asked_at);
                if let Some(epoch) = epoch {
                    tracing::debug!("epoch {epoch} recorded in the cluster lock");
                    lease.handle.feed_lock(lease.wish, LeaseInput::LockRecorded { epoch });
                }
                if let Some(asked_at) = asked {
                    lease.handle.feed_lock(lease.wish, LeaseInput::LockProved { asked_at });
                }
            }
            LockEvent::Error { text } => tracing::error!("cluster lock: {text}"),
            // News of a request that was taken back.
            LockEvent::Acquired { .. } | LockEvent::Lost { .. } | LockEvent::Proved { .. } => {}
        }
    }

    pub(super) fn lease_wish(&self, wish: LeaseWish) {
        let Some(lease) = &self.lease else { return };
        match wish {
            LeaseWish::Dropped => {
                let (held, handle) = (lease.held.clone(), lease.handle.clone());
                tokio::task::spawn_blocking(move || {
                    if let Some(held) = held {
                        held.clear();
                    }
                    handle.feed(LeaseInput::Dropped { session: random_session() });
                });
            }
            LeaseWish::Capable { yes } => lease.handle.feed(LeaseInput::Capable { yes }),
            LeaseWish::Leaving => lease.handle.feed(LeaseInput::Leaving),
        }
    }
}

/// What happens around an event about an address. Only what this session was given passes the gate, from before it is on an interface
/// until it is off; and it lives on in the kernel from when it was taken until its release begins.
pub(super) struct Passage {
    held: Option<(u64, Held)>,
    keeper: Keeper,
}

impl Passage {
    /// Before the scripts run. What must not run is answered.
    pub(super) async fn before(&self, event: &Event) -> Option<RunResult> {
        if let Event::ReleaseIp { addr, .. } | Event::UpdateIp { addr, .. } = event {
            self.keeper.forget(*addr).await;
        }
        if let (Some((life, held)), Event::TakeIp { addr, .. } | Event::UpdateIp { addr, .. }) =
            (&self.held, event)
            && !held.change(*life, *addr, true).await
        {
            return Some(RunResult::Done(EventOutcome::Failed {
                script: "gate".to_owned(),
                message: format!("the gate cannot guard {addr}; the log says why"),
            }));
        }
        None
    }

    /// After they ran, in whatever way.
    pub(super) async fn after(self, event: &Event, result: &RunResult) {
        if let (Some((life, held)), Event::ReleaseIp { addr, .. }) = (self.held, event) {
            held.change(life, *addr, false).await;
        }
        if let (
            RunResult::Done(EventOutcome::Ok),
            Event::TakeIp { addr, .. } | Event::UpdateIp { addr, .. },
        ) = (result, event)
        {
            self.keeper.keep(*addr);
        }
    }
}
