//! Which links are up, and what that means: a peer is connected while what we dialled and what it dialled are up with one session.
//!
//! Knows nothing of sockets. Messages that arrive before our own direction is up are kept and delivered then, so that the first
//! word of a peer is not lost.

use super::{CloseHandle, LinkEvent, PeerClient};
use recoverd::input::Input;
use recoverd::model::{Pnn, Session};
use recoverd::msg::PeerMsg;
use std::collections::BTreeMap;
use tokio::sync::mpsc;

/// Early messages kept for a peer; a peer says one thing before it hears us, the rest is slack.
const EARLY: usize = 64;

#[derive(Debug)]
struct Out {
    link: u64,
    session: Session,
    outbox: mpsc::Sender<PeerMsg>,
    client: PeerClient,
}

#[derive(Debug)]
struct In {
    link: u64,
    session: Session,
    _close: CloseHandle,
    early: Vec<PeerMsg>,
}

#[derive(Debug, Default)]
struct Peer {
    out: Option<Out>,
    inn: Option<In>,
    /// The session with which the machine was told that the peer is up.
    up: Option<Session>,
}

impl Peer {
    fn both(&self) -> Option<Session> {
        match (&self.out, &self.inn) {
            (Some(o), Some(i)) if o.session == i.session => Some(o.session),
            _ => None,
        }
    }
}

/// What a link event means for others than the machine.
#[derive(Debug, PartialEq, Eq)]
pub enum Up {
    /// The peer has dialled us: it is there, dial it now.
    DialNow(Pnn),
    /// Nothing.
    Nothing,
}

/// See the module.
#[derive(Debug, Default)]
pub struct LinkTable {
    peers: BTreeMap<Pnn, Peer>,
}

impl LinkTable {
    /// Takes note of an event and says what the machine must hear, in order.
    pub fn on_event(&mut self, event: LinkEvent) -> (Vec<Input>, Up) {
        let mut hint = Up::Nothing;
        match event {
            LinkEvent::OutUp { pnn, session, link, outbox, client } => {
                let peer = self.peers.entry(pnn).or_default();
                peer.out = Some(Out { link, session, outbox, client });
                return (Self::settle(pnn, peer, "it was restarted"), hint);
            }
            LinkEvent::InUp { pnn, session, link, close } => {
                let peer = self.peers.entry(pnn).or_default();
                if peer.out.as_ref().is_none_or(|o| o.session != session) {
                    hint = Up::DialNow(pnn);
                }
                peer.inn = Some(In { link, session, _close: close, early: Vec::new() });
                return (Self::settle(pnn, peer, "it was restarted"), hint);
            }
            LinkEvent::OutDown { pnn, link, why } => {
                if let Some(peer) =
                    self.peers.get_mut(&pnn).filter(|p| p.out.as_ref().is_some_and(|o| o.link == link))
                {
                    peer.out = None;
                    return (Self::settle(pnn, peer, &why), hint);
                }
            }
            LinkEvent::InDown { pnn, link, why } => {
                if let Some(peer) =
                    self.peers.get_mut(&pnn).filter(|p| p.inn.as_ref().is_some_and(|i| i.link == link))
                {
                    peer.inn = None;
                    return (Self::settle(pnn, peer, &why), hint);
                }
            }
            LinkEvent::Host { pnn, seen, evidence } => {
                return (vec![Input::Host { pnn, seen, evidence }], hint);
            }
            LinkEvent::Message { pnn, link, msg } => {
                let Some(peer) = self.peers.get_mut(&pnn) else { return (Vec::new(), hint) };
                let up = peer.up;
                if let Some(inn) = peer.inn.as_mut().filter(|i| i.link == link) {
                    if up == Some(inn.session) {
                        return (vec![Input::Peer { from: pnn, msg }], hint);
                    }
                    if inn.early.len() < EARLY {
                        inn.early.push(msg);
                    }
                }
            }
        }
        (Vec::new(), hint)
    }

    fn settle(pnn: Pnn, peer: &mut Peer, why: &str) -> Vec<Input> {
        let now = peer.both();
        let mut inputs = Vec::new();
        if peer.up.is_some() && peer.up != now {
            inputs.push(Input::PeerDown { pnn, why: why.to_owned() });
        }
        if let Some(session) = now.filter(|s| peer.up != Some(*s)) {
            inputs.push(Input::PeerUp { pnn, session });
            let early = peer.inn.as_mut().map(|i| std::mem::take(&mut i.early)).unwrap_or_default();
            inputs.extend(early.into_iter().map(|msg| Input::Peer { from: pnn, msg }));
        }
        peer.up = now;
        inputs
    }

    /// Sends to a connected peer. A peer whose queue is full is as good as gone: its link is given up.
    pub fn send(&mut self, pnn: Pnn, msg: PeerMsg) -> Vec<Input> {
        let Some(peer) = self.peers.get_mut(&pnn) else { return Vec::new() };
        let Some(out) = &peer.out else { return Vec::new() };
        if out.outbox.try_send(msg).is_ok() {
            return Vec::new();
        }
        peer.out = None;
        Self::settle(pnn, peer, "it does not take our messages")
    }

    /// Closes both directions; they are dialled anew.
    pub fn drop_peer(&mut self, pnn: Pnn) {
        self.peers.remove(&pnn);
    }

    /// A client for forwarded calls, while the peer is connected.
    #[must_use]
    pub fn client(&self, pnn: Pnn) -> Option<PeerClient> {
        self.peers.get(&pnn).filter(|p| p.up.is_some())?.out.as_ref().map(|o| o.client.clone())
    }
}
