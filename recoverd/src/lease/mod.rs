//! The lease protocol: at no moment do two nodes answer for one public address.
//!
//! A pure machine below the node machine: `handle(input, clocks) -> actions`, and [`Lease::due_in`]. In the daemon it runs on a
//! real-time thread with its own socket and drives the kernel gate. It decides until when this node may serve, who is
//! recmaster, and on the recmaster when an address may be given. It does not decide *which* node gets an address
//! (`crate::takeover`) and never touches addresses: it says "drop", "take", "release". CTDB has nothing like it.
//!
//! `docs/leases.md` explains the rules; their ids (D5, d17 …) stand here where they act.
//!
//! | module | concern |
//! | --- | --- |
//! | `hold` | until when may I serve: D and c, beats, lapse |
//! | `round` | asking all nodes for grants |
//! | `grant` | granting and promising to others |
//! | `join` | moving to a new epoch, from both sides |
//! | `lock` | getting, proving and losing the cluster lock |
//! | `minority` | when a recmaster offers the lock to others |
//! | `lead` | epochs, leading and its end |
//! | `evict` | when is a silent node out |
//! | `give` | who may hold an address; numbered takes and releases |
//! | `quorum` | lock `quorum`: who tries to become recmaster |

mod clock;
mod config;
mod evict;
mod give;
mod grant;
mod hold;
mod io;
mod join;
mod lead;
mod lock;
mod minority;
mod msg;
mod nodes;
mod quorum;
mod round;
mod rules;
#[cfg(test)]
mod tests;
mod view;

pub use clock::{Clocks, Micros};
pub use config::{LeaseConfig, LockKind};
pub use give::WaitReason;
pub use io::{Command, HoldRule, LeaseAction, LeaseInput, LockOrder, LockRecord, OutHow};
pub use msg::LeaseMsg;
pub use rules::Rules;

use crate::model::{Epoch, Pnn, Session};
use config::Times;
use nodes::Lists;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The lease machine of one node.
#[derive(Debug)]
pub struct Lease {
    me: Pnn,
    lock_kind: LockKind,
    times: Times,
    rules: Rules,
    lists: Lists,
    /// A nodes list that takes force with the next epoch.
    coming: Option<(u64, Vec<Pnn>)>,
    running: bool,
    capable: bool,
    started: Clocks,
    next_beat: Clocks,
    /// The epoch this node is in; it moves only upwards.
    epoch: Epoch,
    /// This daemon began an epoch already.
    began_before: bool,
    /// The highest epoch it knows to exist.
    heard: Epoch,
    hold: hold::Hold,
    member: join::Member,
    rounds: round::Rounds,
    grantor: grant::Grantor,
    lock: lock::Lock,
    minority: minority::Minority,
    lead: Option<lead::Lead>,
    canvass: quorum::Canvass,
    /// The last session of each node that is known to have ended, and how.
    ended: BTreeMap<Pnn, (Session, OutHow)>,
    out: Vec<LeaseAction>,
}

impl Lease {
    /// A machine that waits for [`LeaseInput::Start`].
    #[must_use]
    pub fn new(config: &LeaseConfig) -> Self {
        Self::with_rules(config, Rules::full())
    }

    /// The same with rules left out: for the mutation check of the simulation, never for a daemon.
    #[doc(hidden)]
    #[must_use]
    pub fn with_rules(config: &LeaseConfig, rules: Rules) -> Self {
        Self {
            me: config.me,
            lock_kind: config.lock,
            times: Times::new(config, &rules),
            rules,
            lists: Lists::new(config.list, &config.nodes),
            coming: None,
            running: false,
            capable: true,
            started: Clocks::default(),
            next_beat: Clocks::default(),
            epoch: Epoch::NONE,
            began_before: false,
            heard: Epoch::NONE,
            hold: hold::Hold::default(),
            member: join::Member::default(),
            rounds: round::Rounds::default(),
            grantor: grant::Grantor::default(),
            lock: lock::Lock::default(),
            minority: minority::Minority::default(),
            lead: None,
            canvass: quorum::Canvass::default(),
            ended: BTreeMap::new(),
            out: Vec::new(),
        }
    }

    /// One step: what must be done, in order.
    pub fn handle(&mut self, input: LeaseInput, now: Clocks) -> Vec<LeaseAction> {
        if let LeaseInput::Start { stored, before } = input {
            self.start(stored, before, now);
            return std::mem::take(&mut self.out);
        }
        if !self.running {
            return Vec::new();
        }
        // Time first: a lease or a leadership that ran out while this thread was frozen must not see the next word (D7, D8).
        self.lapse_if_due(now);
        self.lead_ends_if_due(now);
        self.take_in(input, now);
        self.lock_step(now);
        self.canvass_step(now);
        self.evict_step(now);
        self.whole_step(now);
        self.beat_if_due(now);
        self.report(now);
        std::mem::take(&mut self.out)
    }

    /// How long the driver may sleep before the next [`LeaseInput::Tick`], if nothing else comes.
    #[must_use]
    pub fn due_in(&self, now: Clocks) -> Micros {
        if !self.running {
            return self.times.beat;
        }
        let mut due = now.until_up(self.next_beat);
        if let Some(d) = self.hold.deadline {
            due = due.min(now.until_up(d));
        }
        due = due.min(self.evict_due(now)).min(self.canvass_due(now));
        due.max(1)
    }

    fn start(&mut self, stored: Epoch, before: Option<(u64, Vec<Pnn>)>, now: Clocks) {
        self.running = true;
        self.started = now;
        self.next_beat = now;
        self.heard = stored;
        if let Some((hash, nodes)) = before {
            self.lists.also(hash, nodes.into_iter().collect());
        }
        // The former life may have left addresses on the kernel (D8).
        self.out.push(LeaseAction::Lapsed { session: None });
        self.canvass_start(now);
        self.queue_for_lock(now);
    }

    fn take_in(&mut self, input: LeaseInput, now: Clocks) {
        match input {
            LeaseInput::Start { .. } | LeaseInput::Tick => {}
            LeaseInput::Msg { from, msg } => self.take_in_msg(from, msg, now),
            LeaseInput::Dropped { session } => self.session_begins(session, now),
            LeaseInput::LockAcquired { previous } => self.lock_acquired(previous, now),
            LeaseInput::LockRecorded { epoch } => self.lock_recorded(epoch, now),
            LeaseInput::LockProved { asked_at } => self.lock_proved(asked_at, now),
            LeaseInput::LockLost => self.lock_lost(now),
            LeaseInput::GuardReport { pnn, session } => self.guard_report(pnn, session, now),
            LeaseInput::Leaving => self.leave(),
            LeaseInput::Capable { yes } => self.set_capable(yes, now),
            LeaseInput::NodesList { nodes, list } => self.new_list(nodes, list, now),
            LeaseInput::Give { addr, to } => self.give(addr, to, now),
            LeaseInput::Reclaim { addr, from } => self.reclaim(addr, from, now),
            LeaseInput::Released { from, command } => self.released(from, &command),
            LeaseInput::Command(command) => self.commanded(command, now),
            LeaseInput::LetGo { addr } => {
                self.hold.held.remove(&addr);
            }
        }
    }

    fn take_in_msg(&mut self, from: Pnn, msg: LeaseMsg, now: Clocks) {
        if !self.lists.everyone().contains(&from) || from == self.me {
            return;
        }
        self.heard_from(from, now);
        match msg {
            LeaseMsg::Announce { epoch } | LeaseMsg::Hint { epoch } => self.hear(epoch, now),
            LeaseMsg::Knock { session, heard, .. } => self.on_knock(from, session, heard, now),
            LeaseMsg::Challenge { epoch, nonce, list } => self.on_challenge(from, epoch, nonce, list, now),
            LeaseMsg::Join { epoch, session, nonce, addrs, grants, uptime, supported } => {
                self.on_join(
                    from,
                    epoch,
                    session,
                    nonce,
                    addrs,
                    &join::Past { grants, uptime, supported },
                    now,
                );
            }
            LeaseMsg::Welcome { epoch, session, settled } => {
                self.on_welcome(from, epoch, session, settled, now);
            }
            LeaseMsg::Beat { epoch, session, seq, answered } => {
                self.on_beat(from, epoch, session, seq, answered, now);
            }
            LeaseMsg::Ack { epoch, session, seq, age, settled } => {
                self.on_ack(from, epoch, session, seq, age, settled, now);
            }
            LeaseMsg::Refused { epoch, session } => self.on_refused(from, epoch, session),
            LeaseMsg::Ask { epoch, session, round, welcomed } => {
                self.on_ask(from, epoch, session, round, welcomed, now);
            }
            LeaseMsg::Grant { epoch, session, round, hushed } => {
                self.on_grant(from, epoch, session, round, hushed, now);
            }
            LeaseMsg::Forbid { epoch, id, pnn, session } => {
                self.on_forbid(from, epoch, id, pnn, session, now)
            }
            LeaseMsg::Promise { epoch, id, pnn, session, age } => {
                self.on_promise(from, epoch, id, pnn, session, age, now);
            }
            LeaseMsg::Bye { epoch, session } => self.on_bye(from, epoch, session),
            LeaseMsg::Canvass { id, list } => self.on_canvass(from, id, list, now),
            LeaseMsg::Would { id, hushed, heard } => self.on_would(from, id, hushed, heard, now),
        }
    }

    fn send(&mut self, to: Pnn, msg: LeaseMsg) {
        self.out.push(LeaseAction::Send { to, msg });
    }

    fn send_all(&mut self, msg: &LeaseMsg) {
        for &to in self.lists.everyone() {
            if to != self.me {
                self.out.push(LeaseAction::Send { to, msg: msg.clone() });
            }
        }
    }

    fn journal(&mut self, text: String) {
        self.out.push(LeaseAction::Journal { text });
    }

    fn new_list(&mut self, nodes: Vec<Pnn>, list: u64, now: Clocks) {
        if list == self.lists.hash {
            self.coming = None;
            return;
        }
        // d22: a list takes force with a new epoch only.
        self.coming = Some((list, nodes));
        let held = matches!(self.lock, lock::Lock::Held { .. } | lock::Lock::Idle);
        if self.leading(now) && held {
            self.begin_epoch(now, now);
        }
    }

    fn leave(&mut self) {
        if let (Some(session), true) = (self.hold.session, self.epoch.pnn != self.me) {
            self.send(self.epoch.pnn, LeaseMsg::Bye { epoch: self.epoch, session });
        }
        self.hold = hold::Hold::default();
        self.running = false;
        self.lead_over();
        self.out.push(LeaseAction::Lock(LockOrder::Leave));
    }

    /// Whether this node may serve its addresses now.
    #[must_use]
    pub fn may_serve(&self, now: Clocks) -> bool {
        self.hold.session.is_some() && self.hold.deadline.is_some_and(|d| !now.is_up(d))
    }

    /// D, and the rule that last extended it.
    #[must_use]
    pub fn deadline(&self) -> Option<(Clocks, HoldRule)> {
        self.hold.deadline.map(|d| (d, self.hold.rule))
    }

    /// Hash of the nodes list in force, once no older one counts beside it.
    #[must_use]
    pub fn list_in_force(&self) -> Option<u64> {
        (self.lists.recorded() == self.lists.hash).then_some(self.lists.hash)
    }

    /// The present session; `None` between a lapse and [`LeaseInput::Dropped`].
    #[must_use]
    pub fn session(&self) -> Option<Session> {
        self.hold.session
    }

    /// The epoch this node is in.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The recmaster of that epoch, if there ever was one.
    #[must_use]
    pub fn leader(&self) -> Option<Pnn> {
        self.epoch.is_some().then_some(self.epoch.pnn)
    }

    /// The addresses that this session was given and has not let go.
    pub fn held(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.hold.held.iter().copied()
    }
}
