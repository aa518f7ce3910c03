//! From changes to the kernel's requests. Pure.
//!
//! A destination is named by address and port as the caller gives them, for every request alike: whatever port is added is the port that
//! is deleted. (`ipvsadm` replaces the port for direct routing when it adds, not when it deletes: field report R0.)

use super::numbers::{AF_INET, AF_INET6, Cmd, SCTP, TCP, UDP, cmd_attr, dest, fwd, svc, svc_flag, tun};
use super::wire::Writer;
use crate::diff::Change;
use crate::model::{
    Checksum, DestId, DestSettings, Family, Forward, Granularity, Protocol, ServiceId, ServiceSettings,
    Tunnel,
};
use std::net::IpAddr;

/// A request: a command with its attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) cmd: Cmd,
    /// Whether it asks for a list.
    pub(crate) dump: bool,
    pub(crate) attrs: Vec<u8>,
}

impl Request {
    pub(crate) fn new(cmd: Cmd, fill: impl FnOnce(&mut Writer)) -> Self {
        let mut attrs = Writer::default();
        fill(&mut attrs);
        Self { cmd, dump: false, attrs: attrs.into_bytes() }
    }

    fn dump(self) -> Self {
        Self { dump: true, ..self }
    }
}

/// The request for a change.
pub(crate) fn change(change: &Change) -> Request {
    let cmd = match change {
        Change::AddService { .. } => Cmd::NewService,
        Change::EditService { .. } => Cmd::SetService,
        Change::DelService { .. } => Cmd::DelService,
        Change::AddDest { .. } => Cmd::NewDest,
        Change::EditDest { .. } => Cmd::SetDest,
        Change::DelDest { .. } => Cmd::DelDest,
    };
    Request::new(cmd, |w| match change {
        Change::AddService { service, settings } | Change::EditService { service, settings } => {
            w.nest(cmd_attr::SERVICE, |w| {
                service_id(w, service);
                service_settings(w, service.family(), settings);
            });
        }
        Change::DelService { service } => w.nest(cmd_attr::SERVICE, |w| service_id(w, service)),
        Change::AddDest { service, dest, settings } | Change::EditDest { service, dest, settings } => {
            w.nest(cmd_attr::SERVICE, |w| service_id(w, service));
            w.nest(cmd_attr::DEST, |w| {
                dest_id(w, dest);
                dest_settings(w, settings);
            });
        }
        Change::DelDest { service, dest } => {
            w.nest(cmd_attr::SERVICE, |w| service_id(w, service));
            w.nest(cmd_attr::DEST, |w| dest_id(w, dest));
        }
    })
}

/// Every service.
pub(crate) fn services() -> Request {
    Request::new(Cmd::GetService, |_| ()).dump()
}

/// Every destination of a service.
pub(crate) fn dests(service: &ServiceId) -> Request {
    Request::new(Cmd::GetDest, |w| w.nest(cmd_attr::SERVICE, |w| service_id(w, service))).dump()
}

/// The sync daemons that run.
pub(crate) fn daemons() -> Request {
    Request::new(Cmd::GetDaemon, |_| ()).dump()
}

/// An address in the kernel's field of 16 bytes.
pub(crate) fn address(addr: IpAddr) -> [u8; 16] {
    match addr {
        IpAddr::V4(a) => {
            let mut field = [0; 16];
            field[..4].copy_from_slice(&a.octets());
            field
        }
        IpAddr::V6(a) => a.octets(),
    }
}

fn af(family: Family) -> u16 {
    match family {
        Family::Inet => AF_INET,
        Family::Inet6 => AF_INET6,
    }
}

fn service_id(w: &mut Writer, id: &ServiceId) {
    w.u16(svc::AF, af(id.family()));
    match id {
        ServiceId::Addr { addr, port, protocol } => {
            let protocol = match protocol {
                Protocol::Tcp => TCP,
                Protocol::Udp => UDP,
                Protocol::Sctp => SCTP,
            };
            w.u16(svc::PROTOCOL, protocol);
            w.put(svc::ADDR, &address(*addr));
            w.be16(svc::PORT, *port);
        }
        ServiceId::Fwmark { mark, .. } => w.u32(svc::FWMARK, *mark),
    }
}

fn service_settings(w: &mut Writer, family: Family, s: &ServiceSettings) {
    w.text(svc::SCHED_NAME, s.scheduler.as_str());
    let bit = |on: bool, bit: u32| if on { bit } else { 0 };
    let flags = bit(s.persistence.is_some(), svc_flag::PERSISTENT)
        | bit(s.one_packet, svc_flag::ONE_PACKET)
        | bit(s.sched_flags.flag1, svc_flag::SCHED1)
        | bit(s.sched_flags.flag2, svc_flag::SCHED2)
        | bit(s.sched_flags.flag3, svc_flag::SCHED3);
    let mut value = [0; 8];
    value[..4].copy_from_slice(&flags.to_ne_bytes());
    // The bits that this request speaks of: the others are the kernel's.
    value[4..].copy_from_slice(&svc_flag::ALL.to_ne_bytes());
    w.put(svc::FLAGS, &value);
    let persistence = s.persistence.as_ref();
    w.u32(svc::TIMEOUT, persistence.map_or(0, |p| p.timeout));
    match persistence.map_or(Granularity::host(family), |p| p.granularity) {
        Granularity::V4(mask) => w.put(svc::NETMASK, &mask.octets()),
        Granularity::V6(bits) => w.u32(svc::NETMASK, bits.into()),
    }
    if let Some(engine) = persistence.and_then(|p| p.engine.as_deref()) {
        w.text(svc::PE_NAME, engine);
    }
}

fn dest_id(w: &mut Writer, id: &DestId) {
    w.u16(dest::AF, af(Family::of(id.addr)));
    w.put(dest::ADDR, &address(id.addr));
    w.be16(dest::PORT, id.port);
}

fn dest_settings(w: &mut Writer, s: &DestSettings) {
    let method = match s.forward {
        Forward::Nat => fwd::NAT,
        Forward::Dr => fwd::DR,
        Forward::Tun(_) => fwd::TUN,
        Forward::Local => fwd::LOCAL,
        Forward::Bypass => fwd::BYPASS,
    };
    w.u32(dest::FWD_METHOD, method);
    w.u32(dest::WEIGHT, s.weight);
    w.u32(dest::UPPER, s.upper);
    w.u32(dest::LOWER, s.lower);
    // Left out for plain IP in IP, which is what the kernel takes then: kernels before 5.2 know no other.
    let (kind, port, csum) = match s.forward {
        Forward::Tun(Tunnel::Gue { port, csum }) => (tun::GUE, port, csum),
        Forward::Tun(Tunnel::Gre { csum }) => (tun::GRE, 0, csum),
        _ => return,
    };
    w.u8(dest::TUN_TYPE, kind);
    w.be16(dest::TUN_PORT, port);
    let flags = match csum {
        Checksum::Nocsum => 0,
        Checksum::Csum => tun::CSUM,
        Checksum::Remcsum => tun::REMCSUM,
    };
    w.u16(dest::TUN_FLAGS, flags);
}
