//! The peers: who is connected, and what each last said about itself.
//!
//! As in CTDB a peer is DISCONNECTED when its link breaks or when it is silent for too long (`silence`). Its other flags are its own
//! word, told to all at every change. Who hosts what is not decided here.

use super::silence::Signs;
use super::{Cx, Node, NodeConfig};
use crate::action::{Kind, Level};
use crate::host::HostSeen;
use crate::model::{Mono, NodeFlags, Pnn, RunState, Session};
use crate::msg::{NodeState, PeerMsg};
use crate::view::Seat;
use std::collections::BTreeMap;

/// What is known of one peer.
#[derive(Debug, Default)]
pub(super) struct Peer {
    /// Link up, with the session that came with it.
    pub(super) session: Option<Session>,
    /// What it last said in this session, and when that was heard.
    pub(super) state: Option<NodeState>,
    pub(super) told: Mono,
    /// It was connected before in our life.
    pub(super) known_before: bool,
    /// What was last seen of its host while it is not connected.
    pub(super) host: Option<HostSeen>,
    pub(super) signs: Signs,
}

impl Peer {
    /// Flags as we see them.
    pub(super) fn flags(&self) -> NodeFlags {
        match (&self.session, &self.state) {
            (None, _) => NodeFlags::DISCONNECTED,
            (Some(_), None) => NodeFlags::UNHEALTHY,
            (Some(_), Some(s)) => s.flags,
        }
    }

    pub(super) fn runstate(&self) -> RunState {
        match (&self.session, &self.state) {
            (Some(_), Some(s)) => s.runstate,
            _ => RunState::Unknown,
        }
    }

    pub(super) fn connected(&self) -> bool {
        self.session.is_some()
    }

    /// For how long it has run by its own word, in milliseconds; zero if it has not spoken.
    pub(super) fn uptime_ms(&self, now: Mono) -> u128 {
        let said = self.state.as_ref().map_or(0, |s| u128::from(s.uptime_ms));
        said + now.since(self.told).as_millis()
    }
}

/// All peers that are not deleted, without this node.
#[derive(Debug)]
pub(super) struct Peers {
    map: BTreeMap<Pnn, Peer>,
}

impl Peers {
    pub(super) fn new(nodes: &[NodeConfig], me: Pnn) -> Self {
        let map = (0u32..)
            .zip(nodes)
            .filter(|(pnn, n)| !n.deleted && Pnn(*pnn) != me)
            .map(|(pnn, _)| (Pnn(pnn), Peer::default()))
            .collect();
        Self { map }
    }

    /// The nodes file has changed: new peers, and numbers that are none any more.
    pub(super) fn replace(&mut self, nodes: &[NodeConfig], me: Pnn) {
        let mut known = std::mem::take(&mut self.map);
        *self = Self::new(nodes, me);
        for (pnn, peer) in &mut self.map {
            if let Some(old) = known.remove(pnn) {
                *peer = old;
            }
        }
    }

    pub(super) fn get(&self, pnn: Pnn) -> Option<&Peer> {
        self.map.get(&pnn)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Pnn, &Peer)> {
        self.map.iter().map(|(pnn, p)| (*pnn, p))
    }

    pub(super) fn connected(&self) -> impl Iterator<Item = (Pnn, &Peer)> {
        self.iter().filter(|(_, p)| p.connected())
    }

    /// Any word of a connected peer is a sign of life. False if it is not connected.
    pub(super) fn heard(&mut self, pnn: Pnn, now: Mono) -> bool {
        let Some(p) = self.map.get_mut(&pnn).filter(|p| p.connected()) else { return false };
        p.signs.heard(now);
        true
    }

    pub(super) fn get_mut(&mut self, pnn: Pnn) -> Option<&mut Peer> {
        self.map.get_mut(&pnn)
    }
}

impl Node {
    pub(super) fn on_peer_up(&mut self, pnn: Pnn, session: Session, cx: &mut Cx) {
        let Some(peer) = self.peers.map.get_mut(&pnn) else { return };
        if peer.session == Some(session) {
            // Told twice: what is known of it stays.
            let state = self.own_state(cx.now);
            cx.send(pnn, PeerMsg::State(state));
            return;
        }
        if peer.connected() {
            // The old link was not seen to break: whatever was asked of that life will not be answered.
            self.on_peer_down(pnn, "it came back as a new session", cx);
        }
        let Some(peer) = self.peers.map.get_mut(&pnn) else { return };
        *peer = Peer {
            session: Some(session),
            state: None,
            told: cx.now,
            known_before: true,
            host: None,
            signs: Signs::new(cx.now),
        };
        cx.journal(Kind::Peer, None, format!("node {pnn} is connected"));
        cx.log(Level::Notice, format!("connected to node {pnn}"));
        let state = self.own_state(cx.now);
        cx.send(pnn, PeerMsg::State(state));
    }

    pub(super) fn on_peer_down(&mut self, pnn: Pnn, why: &str, cx: &mut Cx) {
        let Some(peer) = self.peers.map.get_mut(&pnn).filter(|p| p.connected()) else { return };
        peer.session = None;
        peer.state = None;
        cx.journal(Kind::Peer, None, format!("node {pnn} is disconnected: {why}"));
        cx.log(Level::Warning, format!("node {pnn} is dead: {why}"));
        self.runs_lost_peer(pnn, cx);
        self.controls.forget_peer(pnn);
        self.ips.forget_waiters(pnn);
        self.leader_peer_lost(pnn, cx);
        if self.leader.leading() {
            self.request_run_here(format!("node {pnn} disconnected: {why}"));
        }
    }

    /// For people only: what is wrong with a peer that is not connected. Said once for each finding.
    pub(super) fn on_host(&mut self, pnn: Pnn, seen: HostSeen, evidence: &str, cx: &mut Cx) {
        let Some(peer) = self.peers.map.get_mut(&pnn).filter(|p| !p.connected()) else { return };
        if peer.host.replace(seen) == Some(seen) {
            return;
        }
        let text = format!("node {pnn}: {}: {evidence}", seen.words());
        let level = if seen == HostSeen::Filtered { Level::Error } else { Level::Notice };
        cx.journal(Kind::Peer, None, text.clone());
        cx.log(level, text);
    }

    pub(super) fn on_state(&mut self, from: Pnn, state: NodeState, cx: &mut Cx) {
        let Some(peer) = self.peers.map.get_mut(&from) else { return };
        if peer.session != Some(state.session) || peer.state.as_ref().is_some_and(|s| s.seq >= state.seq) {
            return;
        }
        let old = peer.state.replace(state.clone());
        peer.told = cx.now;
        self.on_peer_epoch(from, state.epoch, state.leads, cx);
        let hosting = |s: &NodeState| (s.flags, s.runstate, s.availability);
        if self.leader.leading() && old.as_ref().map(hosting) != Some(hosting(&state)) {
            let cause = match &old {
                Some(o) if o.flags != state.flags => format!("node {from}: {} -> {}", o.flags, state.flags),
                Some(o) if o.runstate != state.runstate => format!("node {from} is {}", state.runstate),
                Some(_) => format!("node {from} can host other addresses than before"),
                None => format!("node {from} joined"),
            };
            self.request_run_here(cause);
        }
        if state.answer_wanted {
            let mine = self.own_state(cx.now);
            cx.send(from, PeerMsg::State(mine));
        }
    }

    /// What this node says about itself.
    pub(super) fn own_state(&mut self, now: Mono) -> NodeState {
        self.state_seq += 1;
        NodeState {
            seq: self.state_seq,
            session: self.cfg.session,
            flags: self.flags,
            runstate: self.runstate,
            epoch: self.leader.epoch,
            leads: self.leader.leading(),
            leader_capable: self.cfg.leader_capable,
            uptime_ms: u64::try_from(now.since(self.started).as_millis()).unwrap_or(u64::MAX),
            partially_online: self.ips.partially_online(),
            availability: self.ips.availability(),
            asks: true,
            answer_wanted: false,
            silent: self.silent_peers(now),
        }
    }

    /// Tells everybody, ourselves included, how this node is.
    pub(super) fn announce_state(&mut self, cx: &mut Cx) {
        // The recmaster hears it with the request, if one comes right behind.
        let told_otherwise = self.leader.pnn().filter(|_| self.requests.coming);
        let to: Vec<Pnn> =
            self.peers.connected().map(|(pnn, _)| pnn).filter(|p| Some(*p) != told_otherwise).collect();
        if to.is_empty() {
            return;
        }
        let state = self.own_state(cx.now);
        self.silence.announced(&state);
        for pnn in to {
            cx.send(pnn, PeerMsg::State(state.clone()));
        }
    }

    /// The flags of any node as this one sees them.
    pub(super) fn flags_of(&self, pnn: Pnn) -> NodeFlags {
        if pnn == self.cfg.me {
            return self.flags;
        }
        let flags = self.peers.get(pnn).map_or(NodeFlags::DELETED, Peer::flags);
        // A node that is out by the lease protocol holds nothing and takes nothing, whatever its link says.
        if self.leader.leading() && matches!(self.membership.seat(pnn), Some(Seat::Out(_))) {
            return flags | NodeFlags::DISCONNECTED;
        }
        flags
    }
}
