//! From the health of real servers to the services that the kernel should have: quorum, hysteresis, sorry server, inhibited servers.
//!
//! Rules of keepalived.conf(5): `quorum` is compared with the summed weight of live servers; it is gained at quorum + hysteresis and lost
//! below quorum - hysteresis. While it is lost and there is a sorry server, that one alone serves; without one the live servers go on.
//! A server that is down is removed, or stays with weight 0 (`inhibit_on_failure`). One whose check does not work stays as it was.

use crate::checker::{RealState, State};
use crate::config::{Script, VirtualServer};
use crate::model::{DestSettings, Service, ServiceId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[cfg(test)]
mod tests;

/// Something that happened, with the program that the operator wants run then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Name of the virtual server.
    pub service: String,
    /// Name of the real server; none for the quorum.
    pub server: Option<String>,
    /// Up or gained (true), down or lost.
    pub up: bool,
    /// Why, for people.
    pub reason: String,
    /// `notify_up`, `notify_down`, `quorum_up`, `quorum_down`.
    pub run: Option<Script>,
}

/// What a virtual server must remember.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceState {
    /// Whether the quorum is there.
    pub quorum: bool,
    /// Which real servers count as up, in the order of the configuration.
    pub up: Vec<bool>,
}

impl ServiceState {
    /// The beginning: nothing is announced of the servers (they are what they are assumed to be), but a quorum that is there is, because
    /// `quorum_up` may be what makes the address reachable.
    #[must_use]
    pub fn start(vs: &VirtualServer, servers: &[RealState]) -> (Self, Vec<Event>) {
        let up: Vec<bool> = servers.iter().map(|s| s.state == State::Up).collect();
        let weight = weight(&up, servers);
        let quorum = weight >= u64::from(vs.quorum);
        let events = if quorum { vec![quorum_event(vs, true, weight)] } else { Vec::new() };
        (Self { quorum, up }, events)
    }

    /// Takes the present health of the real servers (one for each, in order) and says what happened.
    pub fn update(&mut self, vs: &VirtualServer, servers: &[RealState]) -> Vec<Event> {
        let mut events = Vec::new();
        self.up.resize(servers.len(), false);
        for ((real, server), up) in vs.real_servers.iter().zip(servers).zip(&mut self.up) {
            let now = match server.state {
                State::Up => true,
                State::Down => false,
                State::Unknown => *up,
            };
            if now != *up {
                *up = now;
                let run = if now { &real.notify_up } else { &real.notify_down };
                events.push(Event {
                    service: vs.name.clone(),
                    server: Some(real.name()),
                    up: now,
                    reason: server.reason.clone(),
                    run: run.clone(),
                });
            }
        }
        let weight = weight(&self.up, servers);
        let (quorum, hysteresis) = (u64::from(vs.quorum), u64::from(vs.hysteresis));
        let now = if self.quorum {
            weight >= quorum.saturating_sub(hysteresis)
        } else {
            weight >= quorum + hysteresis
        };
        if now != self.quorum {
            self.quorum = now;
            events.push(quorum_event(vs, now, weight));
        }
        events
    }

    /// The kernel services that are wanted now.
    #[must_use]
    pub fn desired(&self, vs: &VirtualServer, servers: &[RealState]) -> BTreeMap<ServiceId, Service> {
        vs.services
            .iter()
            .map(|(id, settings)| (*id, self.service(vs, servers, id, settings.clone())))
            .collect()
    }

    fn service(
        &self,
        vs: &VirtualServer,
        servers: &[RealState],
        id: &ServiceId,
        settings: crate::model::ServiceSettings,
    ) -> Service {
        let mut service = Service { settings, dests: BTreeMap::new() };
        let instead = vs.sorry.as_ref().filter(|_| !self.quorum);
        for ((real, server), up) in vs.real_servers.iter().zip(servers).zip(&self.up) {
            let serves = *up && instead.is_none();
            if serves || real.inhibit_on_failure {
                let weight = if serves { server.weight } else { 0 };
                let settings =
                    DestSettings { weight, forward: real.forward, upper: real.upper, lower: real.lower };
                service.dests.insert(real.dest(id), settings);
            }
        }
        if let Some(sorry) = &vs.sorry {
            let settings = DestSettings { weight: 1, forward: sorry.forward, upper: 0, lower: 0 };
            if instead.is_some() {
                service.dests.insert(sorry.dest(id), settings);
            } else if sorry.inhibit {
                // It may be one of the real servers, too.
                service.dests.entry(sorry.dest(id)).or_insert(DestSettings { weight: 0, ..settings });
            }
        }
        service
    }

    /// `omega`: what is to be run when the director stops.
    #[must_use]
    pub fn stop(&self, vs: &VirtualServer) -> Vec<Event> {
        if !vs.omega {
            return Vec::new();
        }
        let reason = "the director stops";
        let down = vs.real_servers.iter().zip(&self.up).filter(|(_, up)| **up).map(|(real, _)| Event {
            service: vs.name.clone(),
            server: Some(real.name()),
            up: false,
            reason: reason.to_owned(),
            run: real.notify_down.clone(),
        });
        let mut events: Vec<Event> = down.collect();
        if self.quorum {
            events.push(Event { reason: reason.to_owned(), ..quorum_event(vs, false, 0) });
        }
        events
    }
}

/// Summed weight of the servers that are up.
fn weight(up: &[bool], servers: &[RealState]) -> u64 {
    up.iter().zip(servers).filter(|(up, _)| **up).map(|(_, s)| u64::from(s.weight)).sum()
}

fn quorum_event(vs: &VirtualServer, up: bool, weight: u64) -> Event {
    let run = if up { &vs.quorum_up } else { &vs.quorum_down };
    let reason =
        format!("live servers weigh {weight}, the quorum is {} with hysteresis {}", vs.quorum, vs.hysteresis);
    Event { service: vs.name.clone(), server: None, up, reason, run: run.clone() }
}
