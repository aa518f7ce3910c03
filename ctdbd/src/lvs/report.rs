//! What `ctdb lvs services` shows: health from the director, counters from the kernel.

use super::running::{Running, word};
use lvs::ipvs::Stats;
use lvs::ipvs::selftest::Method;
use lvs::model::{DestId, ServiceId};
use recoverd::view::lvs::{
    LvsCounters, LvsDest, LvsForwarding, LvsKernelService, LvsReport, LvsServer, LvsService,
};

impl Running {
    /// Everything; file and refusals are added by who reads files.
    pub(super) fn report(&self) -> LvsReport {
        let services = self.director.view().into_iter().map(|view| LvsService {
            does_not_forward: self.broken(&view.name),
            quorum: view.quorum,
            sorry: view.sorry,
            kernel: view.services.iter().map(|id| self.kernel_service(id)).collect(),
            servers: view
                .servers
                .into_iter()
                .map(|s| LvsServer {
                    name: s.name,
                    state: state(s.state),
                    up: s.up,
                    reason: s.reason,
                    configured_weight: s.configured_weight,
                    weight: s.weight,
                    checks: s.checks.into_iter().map(|c| (c.kind, state(c.state), c.reason)).collect(),
                })
                .collect(),
            name: view.name,
        });
        let ours = self.director.owned();
        let others =
            self.reading.table.services.keys().filter(|id| !ours.contains(id)).map(ToString::to_string);
        LvsReport {
            state: self.state.clone(),
            warnings: self.warnings.clone(),
            sync: self.sync.clone(),
            troubles: self.troubles.clone(),
            forwarding: self.forwards.found().map(forwarding).collect(),
            services: services.collect(),
            failures: self.failures.clone(),
            foreign: others.chain(self.reading.foreign.iter().cloned()).collect(),
            ..LvsReport::default()
        }
    }

    /// Whether a virtual server uses a method that is known not to forward.
    fn broken(&self, name: &str) -> bool {
        let servers = &self.director.config().virtual_servers;
        servers.iter().filter(|vs| vs.name == name).any(|vs| self.forwards.broken(&Method::of(vs)))
    }

    fn kernel_service(&self, id: &ServiceId) -> LvsKernelService {
        let kernel = self.reading.table.services.get(id);
        LvsKernelService {
            service: id.to_string(),
            place: self.places.get(id).map_or("", |p| word(*p)).to_owned(),
            present: kernel.is_some(),
            scheduler: kernel.map(|s| s.settings.scheduler.to_string()).unwrap_or_default(),
            counters: self.reading.services.get(id).map(counters).unwrap_or_default(),
            dests: kernel.iter().flat_map(|s| s.dests.keys()).map(|d| self.dest(id, d)).collect(),
        }
    }

    fn dest(&self, id: &ServiceId, dest: &DestId) -> LvsDest {
        let key = (*id, *dest);
        let settings = self.reading.table.dest(id, dest).copied().unwrap_or_default();
        let counted = self.reading.dests.get(&key).copied().unwrap_or_default();
        let drain = self.director.drains().all().get(&key);
        LvsDest {
            dest: dest.to_string(),
            forward: settings.forward.to_string(),
            weight: settings.weight,
            active: counted.active,
            inactive: counted.inactive,
            counters: counters(&counted.stats),
            drain_s: drain.map(|d| d.deadline.saturating_sub(self.now()).as_secs()),
            black_hole: self.black.is_black(&key),
        }
    }
}

fn forwarding((method, works, text): (Method, Option<bool>, &str)) -> LvsForwarding {
    LvsForwarding { method: method.to_string(), works, text: text.to_owned() }
}

fn state(state: lvs::checker::State) -> String {
    format!("{state:?}").to_lowercase()
}

fn counters(s: &Stats) -> LvsCounters {
    LvsCounters {
        connections: s.connections,
        packets_in: s.packets_in,
        bytes_in: s.bytes_in,
        packets_out: s.packets_out,
        bytes_out: s.bytes_out,
        connections_rate: s.connections_per_second,
        bytes_in_rate: s.bytes_in_per_second,
        bytes_out_rate: s.bytes_out_per_second,
    }
}
