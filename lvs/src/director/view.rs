//! What `ctdb lvs status` shows of health; the kernel's counters are added by who reads them.

use super::{CheckerId, Director};
use crate::checker::State;
use crate::model::{DestId, ServiceId};
use serde::{Deserialize, Serialize};

/// One virtual server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceView {
    /// As it is declared.
    pub name: String,
    /// Kernel services.
    pub services: Vec<ServiceId>,
    /// Whether the quorum is there.
    pub quorum: bool,
    /// Whether the sorry server serves.
    pub sorry: bool,
    /// Real servers in the order of the file.
    pub servers: Vec<ServerView>,
}

/// One real server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerView {
    /// Its name in the configuration.
    pub name: String,
    /// As the kernel knows it in each service, in the order of [`ServiceView::services`].
    pub dests: Vec<DestId>,
    /// What its checks say.
    pub state: State,
    /// Whether it counts as up; differs from `state` when that is unknown.
    pub up: bool,
    /// Last reason.
    pub reason: String,
    /// Configured weight.
    pub configured_weight: u32,
    /// Weight after `misc_dynamic`.
    pub weight: u32,
    /// Its checks.
    pub checks: Vec<CheckView>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckView {
    /// Number of the checker.
    pub id: CheckerId,
    /// keepalived's name.
    pub kind: String,
    /// What it thinks.
    pub state: State,
    /// Last reason.
    pub reason: String,
}

impl Director {
    /// Every virtual server with the health of its real servers.
    #[must_use]
    pub fn view(&self) -> Vec<ServiceView> {
        let all = self.config.virtual_servers.iter().enumerate().zip(&self.states);
        all.map(|((n, vs), state)| {
            let health = self.health(n, vs);
            let services: Vec<ServiceId> = vs.services.keys().copied().collect();
            let servers = vs.real_servers.iter().zip(&health).zip(&state.up).enumerate();
            let servers = servers
                .map(|(m, ((real, health), up))| ServerView {
                    name: real.name(),
                    dests: services.iter().map(|id| real.dest(id)).collect(),
                    state: health.state,
                    up: *up,
                    reason: health.reason.clone(),
                    configured_weight: real.weight,
                    weight: health.weight,
                    checks: self.checks(n, m),
                })
                .collect();
            let sorry = vs.sorry.is_some() && !state.quorum;
            ServiceView { name: vs.name.clone(), services, quorum: state.quorum, sorry, servers }
        })
        .collect()
    }

    fn checks(&self, vs: usize, real: usize) -> Vec<CheckView> {
        let view = |id: &CheckerId| {
            let s = self.slots.get(id)?;
            let (kind, reason) = (s.check.kind.name().to_owned(), s.checker.reason().to_owned());
            Some(CheckView { id: *id, kind, state: s.checker.state(), reason })
        };
        self.layout[vs][real].iter().filter_map(view).collect()
    }
}
