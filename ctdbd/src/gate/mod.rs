//! The gate: nftables tables of our own that let packets of public addresses pass only while a lease lives in the kernel.
//!
//! When nobody refreshes the lease the kernel shuts the gate by itself: a frozen or dead daemon serves nothing. CTDB has nothing like
//! it. Facts, figures and alternatives: `reference/gate.md`. The gate decides nothing; the lease thread says until when it is open.
//!
//! Two sides that never wait for each other: ticks ([`Gate::open`], [`Gate::renew`], [`Gate::close`]: microseconds, no lock of the
//! kernel's rulesets, the same cost whatever the number of addresses), and changes of the tables ([`Gate::hold`],
//! [`Gate::reconfigure`]), which may wait a second for another program's transaction and do not belong on the lease thread.
//!
//! A tick is in two parts: *arm* makes the kernel take a refresh for 10 ms, then the clock is read, then the refresh is sent. Whatever
//! freezes a daemon between reading the clock and sending therefore stretches no lease by more than these 10 ms.

mod error;
mod expr;
pub(crate) mod natgw;
mod nfnl;
mod ruleset;
mod state;
mod tables;
mod tick;
mod watch;

#[cfg(test)]
mod tests;

pub use error::GateError;
pub use state::{GateConfig, GateState, Renewal};
pub use tick::Ticker;

use nfnl::{Family, NfSocket, Op};
use ruleset::{OPEN_MS, Ruleset, STEPS, TABLE};
use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tables::{Tables, Variant};
use tick::Mark;
use watch::Watch;

/// A tick that took longer is repeated with what is left by then.
const SLOW: Duration = Duration::from_millis(5);
/// How often a tick is repeated when it was slow, before the gate is closed instead.
const TRIES: usize = 3;
/// How long a table may take to see the first tick: on a busy machine ARP waits for a turn.
const PROOF: Duration = Duration::from_secs(1);
/// So many renewals in a row may miss the lease in a table before it is called deaf.
const MISSES: u32 = 5;

/// What both threads use.
struct Shared {
    tables: Mutex<Tables>,
    /// Why the tables are not as they should be.
    fault: Mutex<Option<String>>,
    repairs: AtomicU64,
    /// Until when the gate is open, in nanoseconds after the gate began; 0: shut.
    until: AtomicU64,
}

/// The gate of this network namespace. Dropping it leaves the tables, which shut by themselves; [`Gate::uninstall`] removes them.
pub struct Gate {
    ticker: Ticker,
    shared: Arc<Shared>,
    watch: Mutex<Option<Watch>>,
    /// Reads elements back, without any lock that transactions hold.
    probe: Mutex<NfSocket>,
    egress: bool,
    lease_ms: AtomicU64,
    began: Instant,
    /// How many renewals in a row found a table without its lease.
    misses: AtomicU32,
}

impl Gate {
    /// Makes the tables, shut, and proves that they see ticks. `repaired` is called by a thread of the gate's after another program
    /// changed the tables and they were put back: wake the lease thread, so that it opens the gate again. That thread inherits the
    /// scheduling of the caller.
    ///
    /// # Errors
    /// There is no gate, for the reason given; nothing is left behind. Say so ([`GateState::from`]) and rely on short lifetimes.
    pub fn install(config: &GateConfig, repaired: impl Fn() + Send + 'static) -> Result<Self, GateError> {
        Self::install_as(config, &tables::VARIANTS, Box::new(repaired))
    }

    fn install_as(
        config: &GateConfig,
        variants: &[Variant],
        repaired: Box<dyn Fn() + Send>,
    ) -> Result<Self, GateError> {
        check(config.lease_time)?;
        let ticker = Ticker::new(random_base()).map_err(GateError::Tick)?;
        let ruleset = Ruleset {
            public: config.public.iter().copied().collect(),
            quiet: config.quiet.iter().copied().collect(),
            held: BTreeSet::new(),
            interfaces: config.interfaces.iter().cloned().collect(),
            lease_time: config.lease_time,
            base: ticker.base(),
            owned: true,
            egress: true,
        };
        let tables = Tables::install(ruleset, variants)?;
        let egress = tables.ruleset().egress;
        let shared = Arc::new(Shared {
            tables: Mutex::new(tables),
            fault: Mutex::default(),
            repairs: AtomicU64::new(0),
            until: AtomicU64::new(0),
        });
        let gate = Self {
            ticker,
            shared: Arc::clone(&shared),
            watch: Mutex::default(),
            probe: Mutex::new(NfSocket::open().map_err(GateError::Socket)?),
            egress,
            lease_ms: AtomicU64::new(millis(config.lease_time)),
            began: Instant::now(),
            misses: AtomicU32::new(0),
        };
        let started = gate.prove().and_then(|()| Watch::start(shared, repaired).map_err(GateError::Thread));
        match started {
            Ok(watch) => *lock(&gate.watch) = Some(watch),
            Err(e) => {
                let _already_failing = gate.uninstall();
                return Err(e);
            }
        }
        Ok(gate)
    }

    /// Opens the gate for what is left of the lease. `left` reads the lease's clocks: what is left *now*; it is called several times.
    pub fn open(&self, left: &dyn Fn() -> Duration) -> Renewal {
        let at_least = self.steps(1).max(Duration::from_millis(OPEN_MS));
        for _ in 0..TRIES {
            match self.tick(left, |left| (left >= at_least).then_some(Mark::Open)) {
                Sent::Taken => return self.keep(left),
                Sent::Ignored => {}
                Sent::Slow => {
                    self.close();
                }
                Sent::Gone => return Renewal::TablesGone,
                Sent::TooLate => return Renewal::TooLate,
            }
        }
        Renewal::NoLease
    }

    /// Refreshes the lease for what is left, rounded down to a twentieth of LeaseTime. Does not open a gate that is shut. `left` as in
    /// [`Gate::open`].
    pub fn renew(&self, left: &dyn Fn() -> Duration) -> Renewal {
        match self.keep(left) {
            Renewal::Renewed(_) if !self.open_everywhere() => Renewal::NoLease,
            other => other,
        }
    }

    fn keep(&self, left: &dyn Fn() -> Duration) -> Renewal {
        for attempt in 0..TRIES {
            let mut n = 0;
            let from = Instant::now();
            let sent = self.tick(left, |left| {
                n = self.whole_steps(left);
                (n > 0).then_some(Mark::Keep(n))
            });
            match sent {
                Sent::Taken => {
                    let open_for = self.steps(n);
                    self.shared
                        .until
                        .store(nanos((from + open_for).duration_since(self.began)), Ordering::Relaxed);
                    return Renewal::Renewed(open_for);
                }
                // A tick that the kernel found too old looks the same: try again if it may have been that.
                Sent::Ignored if attempt == 0 || from.elapsed() >= SLOW => {}
                Sent::Ignored => {
                    self.shared.until.store(0, Ordering::Relaxed);
                    return Renewal::NoLease;
                }
                Sent::Slow => {}
                Sent::Gone => return Renewal::TablesGone,
                // A refresh sent before in this call may have been for longer than is left now.
                Sent::TooLate if attempt > 0 => break,
                Sent::TooLate => return Renewal::TooLate,
            }
        }
        self.close();
        Renewal::NoLease
    }

    /// Shuts the gate at once. Says whether there was one to shut.
    pub fn close(&self) -> bool {
        self.shared.until.store(0, Ordering::Relaxed);
        self.ticker.close().unwrap_or(false)
    }

    /// Changes which addresses pass while the gate is open, in one transaction. Repeating it is no error. May wait for other programs'
    /// transactions: not for the lease thread.
    ///
    /// # Errors
    /// The kernel refused; the tables were lost and cannot be put back.
    pub fn hold(&self, add: &[IpAddr], remove: &[IpAddr]) -> Result<(), GateError> {
        lock(&self.shared.tables).hold(add, remove)
    }

    /// The addresses that pass while the gate is open.
    pub fn held(&self) -> BTreeSet<IpAddr> {
        lock(&self.shared.tables).ruleset().held.clone()
    }

    /// Takes a new configuration (addresses, interfaces, lease time), or the same after an interface came. Other addresses alone leave
    /// the gate as it is; else it may be shut then: open it again. An address that is held is guarded until it is not, whether or not
    /// it is still configured.
    ///
    /// # Errors
    /// The kernel refused, and all is as before.
    pub fn reconfigure(&self, config: &GateConfig) -> Result<(), GateError> {
        check(config.lease_time)?;
        if lock(&self.shared.tables).reconfigure(config)? {
            self.lease_ms.store(millis(config.lease_time), Ordering::Relaxed);
            self.shared.until.store(0, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The gate's state, as far as ticks told.
    pub fn state(&self) -> GateState {
        if let Some(why) = lock(&self.shared.fault).clone() {
            return GateState::Degraded(why);
        }
        let until = Duration::from_nanos(self.shared.until.load(Ordering::Relaxed));
        match until.saturating_sub(self.began.elapsed()) {
            Duration::ZERO => GateState::Shut,
            left => GateState::Open(left),
        }
    }

    /// Whether it is shut, as far as ticks told. Waits for nobody: for the lease thread.
    pub fn is_shut(&self) -> bool {
        let until = Duration::from_nanos(self.shared.until.load(Ordering::Relaxed));
        until <= self.began.elapsed()
    }

    /// How often another program's change was undone.
    pub fn repairs(&self) -> u64 {
        self.shared.repairs.load(Ordering::Relaxed)
    }

    /// Whether frames of packet sockets are held back too (Linux 5.16).
    pub fn covers_packet_sockets(&self) -> bool {
        self.egress
    }

    /// The base of the ticks' marks, with which a [`Ticker`] in another process can close this gate.
    pub fn mark_base(&self) -> u32 {
        self.ticker.base()
    }

    /// Removes the tables: in a clean stop, when no public address is up any more. The gate is of no use afterwards.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn uninstall(&self) -> Result<(), GateError> {
        drop(lock(&self.watch).take());
        self.close();
        lock(&self.shared.tables).remove()
    }

    /// One tick: arm, read the clock, send, read the clock.
    fn tick(&self, left: &dyn Fn() -> Duration, choose: impl FnOnce(Duration) -> Option<Mark>) -> Sent {
        let sent = self.try_tick(left, choose);
        if matches!(sent, Sent::Gone) {
            self.shared.until.store(0, Ordering::Relaxed);
        }
        sent
    }

    fn try_tick(&self, left: &dyn Fn() -> Duration, choose: impl FnOnce(Duration) -> Option<Mark>) -> Sent {
        match self.ticker.send(Mark::Arm) {
            Ok(true) => {}
            // Arming works in any state: the table is gone, or `lo` is down.
            Ok(false) | Err(_) => return Sent::Gone,
        }
        let before = left();
        let Some(mark) = choose(before) else { return Sent::TooLate };
        match self.ticker.send(mark) {
            Ok(true) if before.saturating_sub(left()) > SLOW => Sent::Slow,
            Ok(true) => Sent::Taken,
            Ok(false) => Sent::Ignored,
            Err(_) => Sent::Gone,
        }
    }

    /// Proves that every table sees ticks, without opening the gate.
    fn prove(&self) -> Result<(), GateError> {
        if !self.ticker.send(Mark::Arm).map_err(GateError::Tick)? {
            return Err(GateError::Deaf { family: error::name(Family::Inet) });
        }
        for family in self.silent() {
            let from = Instant::now();
            while !self.see(*family, "arm") {
                if from.elapsed() > PROOF {
                    return Err(GateError::Deaf { family: error::name(*family) });
                }
                thread::sleep(Duration::from_millis(1));
                self.ticker.send(Mark::Arm).map_err(GateError::Tick)?;
            }
        }
        Ok(())
    }

    /// Tables whose ticks give no answer.
    fn silent(&self) -> &'static [Family] {
        if self.egress { &[Family::Arp, Family::Netdev] } else { &[Family::Arp] }
    }

    /// Whether the tables that give no answer have their lease. One that lost it (its ticks came late on a busy machine) gets it back
    /// by an opening tick only.
    fn open_everywhere(&self) -> bool {
        let shut = self.silent().iter().find(|family| !self.see(**family, "lease"));
        match shut {
            None => {
                if self.misses.swap(0, Ordering::Relaxed) >= MISSES {
                    *lock(&self.shared.fault) = None;
                }
            }
            Some(family) => {
                if self.misses.fetch_add(1, Ordering::Relaxed) + 1 == MISSES {
                    let deaf = GateError::Deaf { family: error::name(*family) };
                    *lock(&self.shared.fault) = Some(deaf.to_string());
                }
            }
        }
        shut.is_none()
    }

    /// Whether a set of the lease has its element.
    fn see(&self, family: Family, set: &str) -> bool {
        let there = lock(&self.probe).exists(Op::GetElements, family, |a| {
            a.text(1, TABLE);
            a.text(2, set);
            a.nest(3, |list| expr::put_element(list, &[0; 4], None));
        });
        there == Ok(true)
    }

    fn steps(&self, n: u8) -> Duration {
        ruleset::steps(Duration::from_millis(self.lease_ms.load(Ordering::Relaxed)), n)
    }

    /// How many whole steps are in what is left.
    fn whole_steps(&self, left: Duration) -> u8 {
        (1..=STEPS).rev().find(|n| self.steps(*n) <= left).unwrap_or(0)
    }
}

/// What came of one tick.
enum Sent {
    Taken,
    /// The tables stand, and did nothing.
    Ignored,
    /// Taken, but the clock went on too far meanwhile.
    Slow,
    Gone,
    TooLate,
}

fn check(lease_time: Duration) -> Result<(), GateError> {
    let possible = Duration::from_millis(100)..=Duration::from_secs(60);
    if possible.contains(&lease_time) { Ok(()) } else { Err(GateError::LeaseTime(lease_time)) }
}

/// A number that no other program's packet marks are likely to have, and that is not near zero, the mark of unmarked packets.
fn random_base() -> u32 {
    (RandomState::new().hash_one(Instant::now()) as u32 & 0x3fff_ffff) | 0x4000_0000
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
