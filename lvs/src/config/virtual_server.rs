//! `virtual_server`.

use super::group::{Entry, Group};
use super::inherit::{self, Inherited};
use super::report::Place;
use super::tree::Statement;
use super::types::{PROTOCOLS, RealServer, SorryServer, TlsFiles, VirtualServer};
use super::value::Reader;
use super::words;
use crate::model::{
    Family, Forward, Granularity, Persistence, Protocol, SchedFlags, Scheduler, ServiceId, ServiceSettings,
};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// Keywords of the block beside those of every level, for "did you mean".
const KEYWORDS: [&str; 33] = [
    "lvs_sched",
    "lb_algo",
    "flag-1",
    "flag-2",
    "flag-3",
    "sh-port",
    "sh-fallback",
    "mh-port",
    "mh-fallback",
    "ops",
    "lvs_method",
    "lb_kind",
    "persistence_engine",
    "persistence_timeout",
    "persistence_granularity",
    "protocol",
    "ip_family",
    "ha_suspend",
    "omega",
    "quorum",
    "hysteresis",
    "quorum_up",
    "quorum_down",
    "sorry_server",
    "sorry_server_inhibit",
    "sorry_server_lvs_method",
    "inhibit_on_failure",
    "virtualhost",
    "real_server",
    "drain_timeout",
    "snmp_name",
    "smtp_alert",
    "nat_mask",
];

/// Seconds of persistence when `persistence_timeout` names none.
const PERSISTENCE: u32 = 360;

/// What is gathered while the block is read.
#[derive(Debug, Default)]
struct Block<'s> {
    scheduler: Scheduler,
    flags: SchedFlags,
    one_packet: bool,
    forward: Forward,
    timeout: Option<u32>,
    granularity: Option<&'s Statement>,
    engine: Option<&'s Statement>,
    protocol: Protocol,
    ip_family: Option<Family>,
    sorry: Option<&'s Statement>,
    sorry_forward: Option<Forward>,
    sorry_inhibit: bool,
    inhibit: bool,
    real_servers: Vec<&'s Statement>,
    inherited: Inherited,
}

impl Reader<'_> {
    /// The whole block. None when so much is wrong that nothing can be made of it; errors are in the report then.
    pub(super) fn virtual_server(
        &mut self,
        s: &Statement,
        groups: &[Group],
        tls: &TlsFiles,
    ) -> Option<VirtualServer> {
        let Some(statements) = &s.block else {
            self.report.error(s.at(), "virtual_server has no block: write { … } behind it");
            return None;
        };
        let mut block = Block { protocol: self.protocol(statements), ..Block::default() };
        let mut vs = VirtualServer {
            name: s.texts().join(" "),
            at: s.at().clone(),
            services: BTreeMap::new(),
            ha_suspend: false,
            omega: false,
            quorum: 1,
            hysteresis: 0,
            quorum_up: None,
            quorum_down: None,
            sorry: None,
            drain_timeout: Duration::ZERO,
            real_servers: Vec::new(),
        };
        for statement in statements {
            self.setting(statement, &mut block, &mut vs);
        }
        vs.sorry = block.sorry.and_then(|s| self.sorry_server(s, &block));
        for statement in &block.real_servers {
            let read = self.real_server(
                statement,
                block.protocol,
                block.forward,
                block.inhibit,
                &block.inherited,
                tls,
            );
            if let Some(server) = read {
                self.add_server(&mut vs, server);
            }
        }
        let family = block.ip_family.or_else(|| tunnelled_family(&vs));
        for (id, at) in self.services(s, groups, block.protocol, family) {
            let settings = self.settings(&block, &id);
            if vs.services.insert(id, settings).is_some() {
                self.report.error(&at, format!("{id} is named twice in virtual_server {}", vs.name));
            }
        }
        (!vs.services.is_empty()).then_some(vs)
    }

    /// The protocol stands anywhere in the block but is needed for the ports before it.
    fn protocol(&mut self, statements: &[Statement]) -> Protocol {
        let Some(s) = statements.iter().rev().find(|s| s.name() == "protocol") else { return Protocol::Tcp };
        let Some(word) = self.one(s, "TCP or UDP") else { return Protocol::Tcp };
        if let Some((_, protocol)) = PROTOCOLS.iter().find(|(name, _)| word.text.eq_ignore_ascii_case(name)) {
            return *protocol;
        }
        let said = if word.text.eq_ignore_ascii_case("SCTP") {
            "SCTP: not part of ctdb-ip; protocol takes TCP or UDP".to_owned()
        } else {
            format!("protocol takes TCP or UDP, not \"{}\"", word.text)
        };
        self.report.error(s.at(), said);
        Protocol::Tcp
    }

    fn setting<'s>(&mut self, s: &'s Statement, block: &mut Block<'s>, vs: &mut VirtualServer) {
        if s.block.is_some() && s.name() != "real_server" && KEYWORDS.contains(&s.name()) {
            self.report.error(s.at(), format!("{} takes no block", s.name()));
        }
        match s.name() {
            "lvs_sched" | "lb_algo" => block.scheduler = self.scheduler(s).unwrap_or_default(),
            "flag-1" | "sh-fallback" | "mh-fallback" => block.flags.flag1 = self.flag(s),
            "flag-2" | "sh-port" | "mh-port" => block.flags.flag2 = self.flag(s),
            "flag-3" => block.flags.flag3 = self.flag(s),
            "ops" => block.one_packet = self.flag(s),
            "lvs_method" | "lb_kind" => block.forward = self.forward(s).unwrap_or_default(),
            "persistence_engine" => block.engine = Some(s),
            "persistence_timeout" if s.args.is_empty() => block.timeout = Some(PERSISTENCE),
            "persistence_timeout" => {
                block.timeout = self.number(s, 1..=i32::MAX as u32).or(Some(PERSISTENCE))
            }
            "persistence_granularity" => block.granularity = Some(s),
            "protocol" => {}
            "ip_family" => block.ip_family = self.family(s),
            "ha_suspend" => vs.ha_suspend = self.flag(s),
            "omega" => vs.omega = self.flag(s),
            "quorum" => vs.quorum = self.number(s, 1..=i32::MAX as u32).unwrap_or(1),
            "hysteresis" => vs.hysteresis = self.number(s, 0..=i32::MAX as u32).unwrap_or(0),
            "quorum_up" => vs.quorum_up = self.script(s),
            "quorum_down" => vs.quorum_down = self.script(s),
            "sorry_server" => block.sorry = Some(s),
            "sorry_server_inhibit" => block.sorry_inhibit = self.flag(s),
            "sorry_server_lvs_method" => block.sorry_forward = self.forward(s),
            "inhibit_on_failure" => block.inhibit = self.flag(s),
            "virtualhost" => block.inherited.virtualhost = self.one(s, "a host name").map(|w| w.text.clone()),
            "drain_timeout" => vs.drain_timeout = self.timer(s).unwrap_or_default(),
            "real_server" => block.real_servers.push(s),
            _ => {
                if !block.inherited.take(s, self) {
                    words::unknown(s, "virtual_server", &[&KEYWORDS, &inherit::KEYS], self.report);
                }
            }
        }
    }

    fn scheduler(&mut self, s: &Statement) -> Option<Scheduler> {
        let word = self.one(s, "the name of a scheduler")?;
        match Scheduler::new(&word.text) {
            Ok(scheduler) => {
                if !scheduler.is_known() {
                    let near = words::nearest(&word.text, &Scheduler::KNOWN);
                    let near = near.map_or(String::new(), |w| format!("; did you mean {w}?"));
                    self.report.warn(
                        s.at(),
                        format!("no scheduler of Linux is called {scheduler}: the kernel decides{near}"),
                    );
                }
                Some(scheduler)
            }
            Err(e) => {
                self.report.error(s.at(), e.to_string());
                None
            }
        }
    }

    fn family(&mut self, s: &Statement) -> Option<Family> {
        match self.one(s, "inet or inet6")?.text.as_str() {
            "inet" => Some(Family::Inet),
            "inet6" => Some(Family::Inet6),
            other => {
                self.report.error(s.at(), format!("ip_family takes inet or inet6, not \"{other}\""));
                None
            }
        }
    }

    fn sorry_server(&mut self, s: &Statement, block: &Block<'_>) -> Option<SorryServer> {
        let (addr, port) = self.addr_port(s, &s.args, block.protocol)?;
        let forward = block.sorry_forward.unwrap_or(block.forward);
        Some(SorryServer { at: s.at().clone(), addr, port, forward, inhibit: block.sorry_inhibit })
    }

    fn add_server(&mut self, vs: &mut VirtualServer, server: RealServer) {
        if let Some(twin) = vs.real_servers.iter().find(|r| (r.addr, r.port) == (server.addr, server.port)) {
            let said = format!(
                "real_server {} is named twice in virtual_server {} (first at {})",
                server.name(),
                vs.name,
                twin.at
            );
            self.report.error(&server.at, said);
            return;
        }
        vs.real_servers.push(server);
    }

    /// The kernel services that a declaration stands for.
    fn services(
        &mut self,
        s: &Statement,
        groups: &[Group],
        protocol: Protocol,
        family: Option<Family>,
    ) -> Vec<(ServiceId, Place)> {
        let mut all = Vec::new();
        let mut add = |entry: Entry, at: &Place| match entry {
            Entry::Addrs(addrs, port) => {
                all.extend(
                    addrs.into_iter().map(|a| (ServiceId::addr(a, port.unwrap_or(0), protocol), at.clone())),
                );
            }
            Entry::Mark(mark, said) => {
                all.push((
                    ServiceId::Fwmark { mark, family: said.or(family).unwrap_or_default() },
                    at.clone(),
                ));
            }
        };
        match s.args.as_slice() {
            [kind, name] if kind.text == "group" => {
                let Some(group) = groups.iter().find(|g| g.name == name.text) else {
                    let names: Vec<&str> = groups.iter().map(|g| g.name.as_str()).collect();
                    let near = words::nearest(&name.text, &names)
                        .map_or(String::new(), |w| format!("; did you mean {w}?"));
                    self.report
                        .error(s.at(), format!("there is no virtual_server_group {}{near}", name.text));
                    return Vec::new();
                };
                for line in &group.entries {
                    if let Some(entry) = self.entry(line, protocol) {
                        add(entry, line.at());
                    }
                }
            }
            [first, rest @ ..] if !rest.is_empty() || first.text.parse::<IpAddr>().is_ok() => {
                let line = Statement { keyword: first.clone(), args: rest.to_vec(), block: None };
                if let Some(entry) = self.entry(&line, protocol) {
                    add(entry, s.at());
                }
            }
            _ => self.report.error(s.at(), "virtual_server takes ADDRESS [PORT], fwmark N or group NAME"),
        }
        all
    }

    fn settings(&mut self, block: &Block<'_>, id: &ServiceId) -> ServiceSettings {
        let mut granularity = Granularity::host(id.family());
        if let Some(s) = block.granularity
            && let Some(word) = self.one(s, "a netmask")
        {
            match Granularity::parse(&word.text, id.family()) {
                Ok(parsed) => granularity = parsed,
                Err(e) => self.report.error(s.at(), format!("{e} ({id})")),
            }
        }
        let engine = block.engine.and_then(|s| Some((s, self.one(s, "sip")?)));
        if let Some((s, word)) = engine.filter(|(_, w)| w.text != "sip") {
            self.report.error(s.at(), format!("persistence_engine takes sip, not \"{}\"", word.text));
        }
        if block.timeout.is_none() {
            for s in block.granularity.iter().chain(&block.engine) {
                self.report.error(s.at(), format!("{} means nothing without persistence_timeout", s.name()));
            }
        }
        let persistence = block.timeout.map(|timeout| Persistence {
            timeout,
            granularity,
            engine: engine.map(|(_, w)| w.text.clone()),
        });
        ServiceSettings {
            scheduler: block.scheduler.clone(),
            sched_flags: block.flags,
            one_packet: block.one_packet,
            persistence,
        }
    }
}

/// The family of a fwmark service that does not say it: that of its servers when all have one, else IPv4 (keepalived.conf(5)).
fn tunnelled_family(vs: &VirtualServer) -> Option<Family> {
    let mut families =
        vs.real_servers.iter().map(|r| Family::of(r.addr)).chain(vs.sorry.iter().map(|s| Family::of(s.addr)));
    let first = families.next()?;
    families.all(|f| f == first).then_some(first)
}
