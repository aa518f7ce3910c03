//! A simulated host: its clocks, its kernel (gate, set `held`, configured addresses), and the daemon that may be frozen or dead.

use super::giver::Giver;
use super::setup::{Rates, World};
use recoverd::lease::{Clocks, Command, Lease, LeaseAction, LeaseInput};
use recoverd::model::{Epoch, Mono, Pnn, Session};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};

/// Addresses of the cluster.
pub(super) const ADDRESSES: usize = 3;

pub(super) fn address(i: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, i as u8))
}

pub(super) fn index(a: IpAddr) -> usize {
    match a {
        IpAddr::V4(v) => usize::from(v.octets()[3]),
        IpAddr::V6(_) => 0,
    }
}

/// What the kernel keeps while daemons come and go.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Kernel {
    /// The gate is open until then, on the boot clock.
    pub(super) gate_until: u64,
    /// Bit per address: in the gate's set `held`.
    pub(super) held: u8,
    /// Bit per address: on an interface.
    pub(super) configured: u8,
}

/// What reaches a daemon.
#[derive(Debug, Clone)]
pub(super) enum Inbound {
    Lease(LeaseInput),
    Taken { from: Pnn, command: Command },
}

/// A host.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) rates: Rates,
    pub(super) origin: (u64, u64),
    pub(super) kernel: Kernel,
    /// Counts boots of the host: scripts of a former boot are gone.
    pub(super) boots: u32,
    /// Counts daemons: answers for a former one are void.
    pub(super) life: u32,
    pub(super) lease: Option<Lease>,
    pub(super) paused: bool,
    /// The next step of the daemon is frozen between deciding and acting, for so long.
    pub(super) park_next: Option<u64>,
    pub(super) parked: Option<(Clocks, Vec<LeaseAction>)>,
    pub(super) backlog: VecDeque<Inbound>,
    pub(super) wake_at: u64,
    /// Its nodes file: the first list or the second.
    pub(super) file: u64,
    /// Not there yet, or dead for good.
    pub(super) absent: bool,
    pub(super) stored: Epoch,
    /// What was stored before the last write.
    pub(super) stored_before: Epoch,
    pub(super) epoch_seen: Epoch,
    pub(super) giver: Giver,
    /// Session whose guard is still at work: no new daemon before it ends.
    pub(super) guarding: bool,
    pub(super) start_due: bool,
    pub(super) session: Option<Session>,
    /// The taking of the lock that the daemon waits for or believes in.
    pub(super) taking: Option<u64>,
}

impl Node {
    pub(super) fn clocks(&self, now: u64, world: World) -> Clocks {
        let boot = self.boot(now);
        let raw = if world.two_clocks { self.origin.1 + now * self.rates.raw / 1_000_000 } else { boot };
        Clocks { boot: Mono(boot), raw: Mono(raw) }
    }

    pub(super) fn boot(&self, now: u64) -> u64 {
        self.origin.0 + now * self.rates.boot / 1_000_000
    }

    /// Bit per address: answers for it now.
    pub(super) fn serving(&self, now: u64, world: World) -> u8 {
        if self.boot(now) >= self.kernel.gate_until {
            return 0;
        }
        self.kernel.configured & if world.held_set { self.kernel.held } else { u8::MAX }
    }
}
