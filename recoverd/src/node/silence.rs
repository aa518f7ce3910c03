//! Signs of life: whom this node asks for one and when, and who is DISCONNECTED because none came.
//!
//! In CTDB each node tells each other that it lives, every KeepaliveInterval, which is the square of the number of nodes. Here nobody
//! tells unasked, and any word counts. The recmaster asks every node that it has not heard of for KeepaliveInterval; a node asks the recmaster if
//! that is late; without a recmaster each asks each. Whom the recmaster does not reach, or has long waited for, it names in what it says
//! about itself; others that are connected to such a node ask it themselves, so that a dead one is DISCONNECTED everywhere, and one
//! that is only cut off from the recmaster is not. Besides, each node asks one other in turn, which finds links between two followers that
//! look well and are dead. Silence counts from a question only: who was not asked is not missed.
//!
//! As with CTDB, a dead node is DISCONNECTED on all others KeepaliveInterval × KeepaliveLimit after its last word at the latest, if all of
//! them reach the recmaster; when the recmaster changes, that time begins anew for those who were not asked yet.
//!
//! Versions that know no questions ([`NodeState::asks`]) are told every KeepaliveInterval and expected to tell.

use super::peers::Peer;
use super::{Cx, Node};
use crate::action::Action;
use crate::model::{Mono, Pnn};
use crate::msg::{NodeState, PeerMsg};
use std::collections::BTreeSet;
use std::time::Duration;

/// What is known of a peer's life.
#[derive(Debug, Default)]
pub(super) struct Signs {
    last_heard: Mono,
    /// The first question since then.
    asked: Option<Mono>,
    /// Since when it is watched, if it is.
    since: Option<Mono>,
}

impl Signs {
    pub(super) fn new(now: Mono) -> Self {
        Self { last_heard: now, asked: None, since: None }
    }

    pub(super) fn heard(&mut self, now: Mono) {
        self.last_heard = now;
        self.asked = None;
    }
}

/// What this node remembers of its own words.
#[derive(Debug)]
pub(super) struct Silence {
    /// When somebody was last asked in turn.
    turned: Mono,
    /// What was last announced to all.
    told: Option<NodeState>,
}

impl Silence {
    pub(super) fn new(now: Mono) -> Self {
        Self { turned: now, told: None }
    }

    pub(super) fn announced(&mut self, state: &NodeState) {
        self.told = Some(state.clone());
    }

    /// Whether the last announcement says something else than this, apart from what always changes.
    fn differs(&self, state: &NodeState) -> bool {
        self.told.as_ref().is_none_or(|told| {
            let now = NodeState { seq: told.seq, uptime_ms: told.uptime_ms, ..state.clone() };
            now != *told
        })
    }
}

/// Why a peer is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watch {
    /// It is for this node to ask.
    First,
    /// The peer asks; this node does when that is late.
    Second,
    /// The recmaster does not hear it.
    Doubted,
    /// Only now and then.
    InTurn,
}

/// Who watches whom, at one moment.
struct Watcher<'a> {
    me: Pnn,
    recmaster: Option<Pnn>,
    /// Whom the recmaster does not hear.
    silent: Option<&'a BTreeSet<Pnn>>,
    interval: Duration,
    dead: Duration,
}

impl Watcher<'_> {
    fn watch(&self, pnn: Pnn, peer: &Peer) -> Watch {
        let tells_unasked = peer.state.as_ref().is_some_and(|s| !s.asks);
        match self.recmaster {
            _ if tells_unasked => Watch::Second,
            Some(r) if r == self.me => Watch::First,
            Some(r) if r == pnn => Watch::Second,
            Some(_) if self.silent.is_some_and(|s| s.contains(&pnn)) => Watch::Doubted,
            Some(_) => Watch::InTurn,
            // Of two one asks, lest both do at once.
            None if self.me < pnn => Watch::First,
            None => Watch::Second,
        }
    }

    /// How long a question may stand without an answer. With a limit of 1 there is nothing left after the interval: then half of one.
    fn patience(&self, watch: Watch) -> Duration {
        let rest = self.dead.saturating_sub(self.interval);
        let patience = match watch {
            Watch::First | Watch::InTurn => rest,
            Watch::Second => self.dead.saturating_sub(self.interval * 3 / 2),
            // The recmaster has waited for the other half.
            Watch::Doubted => rest / 2,
        };
        patience.max(self.interval / 2)
    }

    /// When a peer is asked, or, if it was, given up.
    fn due(&self, watch: Watch, signs: &Signs) -> Option<Mono> {
        let heard = signs.last_heard;
        // Who begins to watch gives others the time to speak: it does not ask all the world at once.
        let begun = heard.max(signs.since.unwrap_or(heard));
        match (signs.asked, watch) {
            (Some(asked), _) => Some(asked + self.patience(watch)),
            (None, Watch::First) => Some(begun + self.interval),
            (None, Watch::Second) => Some(begun + self.interval * 3 / 2),
            (None, Watch::Doubted) => Some(heard + self.interval),
            (None, Watch::InTurn) => None,
        }
    }

    /// From when on the recmaster names a peer as silent.
    fn doubted(&self, signs: &Signs) -> Option<Mono> {
        Some(signs.asked? + self.patience(Watch::First) / 2)
    }
}

impl Node {
    fn watcher(&self) -> Watcher<'_> {
        let recmaster = self.leader.pnn();
        let state = recmaster.and_then(|r| self.peers.get(r)).and_then(|p| p.state.as_ref());
        Watcher {
            me: self.cfg.me,
            recmaster,
            silent: state.map(|s| &s.silent),
            interval: self.tunables.keepalive_interval(),
            dead: self.tunables.keepalive_dead_time(),
        }
    }

    /// On the recmaster: the peers that it does not reach, or has long waited for.
    pub(super) fn silent_peers(&self, now: Mono) -> BTreeSet<Pnn> {
        if !self.leader.leading() {
            return BTreeSet::new();
        }
        let w = self.watcher();
        let silent = |p: &Peer| !p.connected() || w.doubted(&p.signs).is_some_and(|at| at <= now);
        self.peers.iter().filter(|(_, p)| silent(p)).map(|(pnn, _)| pnn).collect()
    }

    pub(super) fn due_silence(&mut self, cx: &mut Cx) {
        self.note_watched(cx.now);
        let (mut dead, mut ask) = (Vec::new(), Vec::new());
        let w = self.watcher();
        for (pnn, peer) in self.peers.connected() {
            if w.due(w.watch(pnn, peer), &peer.signs).is_some_and(|at| at <= cx.now) {
                match peer.signs.asked {
                    Some(asked) => dead.push((pnn, cx.now.since(asked))),
                    None => ask.push(pnn),
                }
            }
        }
        let turn = self.silence.turned + w.interval <= cx.now;
        for (pnn, waited) in dead {
            let why = format!("no sign of life in the {} s since it was asked for one", waited.as_secs());
            self.on_peer_down(pnn, &why, cx);
            cx.actions.push(Action::DropPeer { pnn });
        }
        self.ask(&ask, cx);
        if turn {
            self.silence.turned = cx.now;
            self.turn(cx);
        }
        self.tell_of_silent(cx);
    }

    /// Who is watched from now on, and who no more.
    fn note_watched(&mut self, now: Mono) {
        let w = self.watcher();
        let changed =
            |(pnn, p): &(Pnn, &Peer)| (w.watch(*pnn, p) != Watch::InTurn) != p.signs.since.is_some();
        let changed: Vec<Pnn> = self.peers.connected().filter(changed).map(|(pnn, _)| pnn).collect();
        for pnn in changed {
            if let Some(peer) = self.peers.get_mut(pnn) {
                peer.signs.since = peer.signs.since.is_none().then_some(now);
            }
        }
    }

    fn ask(&mut self, peers: &[Pnn], cx: &mut Cx) {
        if peers.is_empty() {
            return;
        }
        let state = NodeState { answer_wanted: true, ..self.own_state(cx.now) };
        for pnn in peers {
            if let Some(peer) = self.peers.get_mut(*pnn) {
                peer.signs.asked = Some(cx.now);
                cx.send(*pnn, PeerMsg::State(state.clone()));
            }
        }
    }

    /// Every KeepaliveInterval: the one that was not heard of for longest is asked, after this node itself in the order of numbers.
    fn turn(&mut self, cx: &mut Cx) {
        let state = self.own_state(cx.now);
        if self.silence.differs(&state) {
            // Every change is announced when it is made, except of what only `ctdb status` shows.
            self.announce_state(cx);
        } else {
            let unasked = self.peers.connected().filter(|(_, p)| p.state.as_ref().is_some_and(|s| !s.asks));
            for (pnn, _) in unasked {
                cx.send(pnn, PeerMsg::State(state.clone()));
            }
        }
        let w = self.watcher();
        let next = self
            .peers
            .connected()
            .filter(|(pnn, p)| w.watch(*pnn, p) == Watch::InTurn && p.signs.asked.is_none())
            .filter(|(_, p)| p.signs.last_heard + w.interval <= cx.now)
            .min_by_key(|(pnn, p)| (p.signs.last_heard, *pnn < w.me, *pnn));
        if let Some(pnn) = next.map(|(pnn, _)| pnn) {
            self.ask(&[pnn], cx);
        }
    }

    /// Recmaster: whoever is silent from now on is named to all at once. That one is back is heard with the next question.
    fn tell_of_silent(&mut self, cx: &mut Cx) {
        if !self.leader.leading() {
            return;
        }
        let silent = self.silent_peers(cx.now);
        let Some(told) = &mut self.silence.told else { return };
        if silent.is_subset(&told.silent) {
            told.silent = silent;
        } else {
            self.announce_state(cx);
        }
    }

    pub(super) fn silence_deadline(&self) -> Option<Mono> {
        let w = self.watcher();
        let leading = self.leader.leading();
        self.peers
            .connected()
            .flat_map(|(pnn, p)| {
                let doubted = w.doubted(&p.signs).filter(|_| leading);
                [w.due(w.watch(pnn, p), &p.signs), doubted]
            })
            .flatten()
            .chain([self.silence.turned + w.interval])
            // What was looked at already does not hide what comes.
            .filter(|at| *at > self.handled)
            .min()
    }
}
