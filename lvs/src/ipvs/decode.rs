//! From the kernel's answers to the model. Pure; malformed input is an error, never a panic.
//!
//! What the model has no word for (a protocol or a tunnel that a newer kernel invented) is told apart from what is malformed: it is
//! somebody else's, is left alone, and is shown by name.

use super::numbers::{
    AF_INET, AF_INET6, SCTP, TCP, UDP, cmd_attr, dest, fwd, stats as st, svc, svc_flag, tun,
};
use super::wire::{Attributes, Malformed, be16, find, number, number32, text};
use super::{DestCounters, Stats};
use crate::model::{
    Checksum, DestId, DestSettings, Family, Forward, Granularity, Persistence, Protocol, SchedFlags,
    Scheduler, ServiceId, ServiceSettings, Tunnel,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What became of one entry of a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry<T> {
    /// Understood.
    Known(T),
    /// Well formed, but nothing that the model can express; in words.
    Foreign(String),
}

/// One service of a dump.
pub(crate) type ServiceEntry = (ServiceId, ServiceSettings, Stats);
/// One destination of a dump.
pub(crate) type DestEntry = (DestId, DestSettings, DestCounters);

/// The attributes of one entry, by kind: the last one of a kind counts.
struct Fields<'a>([Option<&'a [u8]>; 16]);

impl<'a> Fields<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut fields = [None; 16];
        for attribute in Attributes::new(bytes) {
            let (kind, value) = attribute?;
            if let Some(slot) = fields.get_mut(usize::from(kind)) {
                *slot = Some(value);
            }
        }
        Ok(Self(fields))
    }

    fn get(&self, kind: u16) -> Option<&'a [u8]> {
        self.0.get(usize::from(kind)).copied().flatten()
    }

    fn need(&self, kind: u16, what: &str) -> Result<&'a [u8], Malformed> {
        self.get(kind).ok_or_else(|| Malformed::new(format!("no {what}")))
    }

    /// A number, or 0 when the kernel is too old to have it.
    fn number32(&self, kind: u16) -> Result<u32, Malformed> {
        self.get(kind).map_or(Ok(0), number32)
    }
}

/// An entry nested in the body of a generic netlink message.
fn nested<'a>(body: &'a [u8], kind: u16, what: &str) -> Result<Fields<'a>, Malformed> {
    let attrs = body.get(4..).ok_or_else(|| Malformed::new("no generic netlink header"))?;
    let value = find(attrs, kind)?.ok_or_else(|| Malformed::new(format!("no {what}")))?;
    Fields::of(value)
}

fn family(af: u32) -> Option<Family> {
    match u16::try_from(af) {
        Ok(AF_INET) => Some(Family::Inet),
        Ok(AF_INET6) => Some(Family::Inet6),
        _ => None,
    }
}

fn address(value: &[u8], family: Family) -> Result<IpAddr, Malformed> {
    let short = || Malformed::new(format!("an address of {} bytes", value.len()));
    match family {
        Family::Inet => value.first_chunk::<4>().map(|a| Ipv4Addr::from(*a).into()).ok_or_else(short),
        Family::Inet6 => value.first_chunk::<16>().map(|a| Ipv6Addr::from(*a).into()).ok_or_else(short),
    }
}

/// A service of a dump.
pub(crate) fn service(body: &[u8]) -> Result<Entry<ServiceEntry>, Malformed> {
    let f = nested(body, cmd_attr::SERVICE, "service")?;
    let af = number32(f.need(svc::AF, "address family")?)?;
    let Some(family) = family(af) else {
        return Ok(Entry::Foreign(format!("a service of address family {af}")));
    };
    let id = match f.number32(svc::FWMARK)? {
        0 => {
            let addr = address(f.need(svc::ADDR, "service address")?, family)?;
            let port = be16(f.need(svc::PORT, "service port")?)?;
            let protocol = number32(f.need(svc::PROTOCOL, "protocol")?)?;
            let protocol = match u16::try_from(protocol) {
                Ok(TCP) => Protocol::Tcp,
                Ok(UDP) => Protocol::Udp,
                Ok(SCTP) => Protocol::Sctp,
                _ => {
                    return Ok(Entry::Foreign(format!(
                        "a service {addr} port {port} of protocol {protocol}"
                    )));
                }
            };
            ServiceId::Addr { addr, port, protocol }
        }
        mark => ServiceId::Fwmark { mark, family },
    };
    let name = f.get(svc::SCHED_NAME).map(text).unwrap_or_default();
    let Ok(scheduler) = Scheduler::new(&name) else {
        return Ok(Entry::Foreign(format!("service {id} with scheduler \"{name}\"")));
    };
    // Flags come with a mask that says nothing in answers.
    let flags = f.need(svc::FLAGS, "flags")?;
    let flags =
        flags.first_chunk().map(|b| u32::from_ne_bytes(*b)).ok_or_else(|| Malformed::new("short flags"))?;
    let on = |bit: u32| flags & bit != 0;
    let persistence = if on(svc_flag::PERSISTENT) { Some(persistence(&f, family)?) } else { None };
    let settings = ServiceSettings {
        scheduler,
        sched_flags: SchedFlags {
            flag1: on(svc_flag::SCHED1),
            flag2: on(svc_flag::SCHED2),
            flag3: on(svc_flag::SCHED3),
        },
        one_packet: on(svc_flag::ONE_PACKET),
        persistence,
    };
    Ok(Entry::Known((id, settings, stats(&f, svc::STATS64, svc::STATS)?)))
}

fn persistence(f: &Fields<'_>, family: Family) -> Result<Persistence, Malformed> {
    let mask = f.need(svc::NETMASK, "netmask")?;
    let granularity = match family {
        Family::Inet => match address(mask, Family::Inet)? {
            IpAddr::V4(mask) => Granularity::V4(mask),
            IpAddr::V6(_) => return Err(Malformed::new("an IPv6 netmask of an IPv4 service")),
        },
        Family::Inet6 => {
            let bits = number32(mask)?;
            Granularity::V6(
                u8::try_from(bits).map_err(|_| Malformed::new(format!("a prefix of {bits} bits")))?,
            )
        }
    };
    let engine = f.get(svc::PE_NAME).map(text).filter(|name| !name.is_empty());
    Ok(Persistence { timeout: f.number32(svc::TIMEOUT)?, granularity, engine })
}

/// A destination of a dump of a service's destinations.
pub(crate) fn destination(body: &[u8], service: &ServiceId) -> Result<Entry<DestEntry>, Malformed> {
    let f = nested(body, cmd_attr::DEST, "destination")?;
    // Kernels before 3.18 do not say it: both families are the same there.
    let af = f.get(dest::AF).map(number32).transpose()?;
    let Some(family) = af.map_or(Some(service.family()), family) else {
        return Ok(Entry::Foreign(format!(
            "a destination of {service} of address family {}",
            af.unwrap_or(0)
        )));
    };
    let addr = address(f.need(dest::ADDR, "destination address")?, family)?;
    let id = DestId::new(addr, be16(f.need(dest::PORT, "destination port")?)?);
    let method = f.need(dest::FWD_METHOD, "forwarding method").and_then(number32)? & fwd::MASK;
    let forward = match method {
        fwd::NAT => Forward::Nat,
        fwd::DR => Forward::Dr,
        fwd::LOCAL => Forward::Local,
        fwd::BYPASS => Forward::Bypass,
        fwd::TUN => match tunnel(&f)? {
            Some(tunnel) => Forward::Tun(tunnel),
            None => return Ok(Entry::Foreign(format!("{id} of {service} behind an unknown tunnel"))),
        },
        _ => return Ok(Entry::Foreign(format!("{id} of {service} with forwarding method {method}"))),
    };
    let settings = DestSettings {
        weight: f.need(dest::WEIGHT, "weight").and_then(number32)?,
        forward,
        upper: f.number32(dest::UPPER)?,
        lower: f.number32(dest::LOWER)?,
    };
    let counters = DestCounters {
        active: f.number32(dest::ACTIVE)?,
        inactive: f.number32(dest::INACTIVE)?,
        persistent: f.number32(dest::PERSISTENT)?,
        stats: stats(&f, dest::STATS64, dest::STATS)?,
    };
    Ok(Entry::Known((id, settings, counters)))
}

/// The tunnel of a destination; none when it is of a kind or with flags that we do not know.
fn tunnel(f: &Fields<'_>) -> Result<Option<Tunnel>, Malformed> {
    let csum = match f.number32(dest::TUN_FLAGS)?.try_into() {
        Ok(0u16) => Checksum::Nocsum,
        Ok(tun::CSUM) => Checksum::Csum,
        Ok(tun::REMCSUM) => Checksum::Remcsum,
        _ => return Ok(None),
    };
    let port = f.get(dest::TUN_PORT).map_or(Ok(0), be16)?;
    Ok(match f.number32(dest::TUN_TYPE)?.try_into() {
        Ok(tun::IPIP) => Some(Tunnel::Ipip),
        Ok(tun::GUE) => Some(Tunnel::Gue { port, csum }),
        Ok(tun::GRE) => Some(Tunnel::Gre { csum }),
        _ => None,
    })
}

/// Counters of 64 bits, or of 32 bits from kernels before 4.1; none at all count as 0.
fn stats(f: &Fields<'_>, wide: u16, narrow: u16) -> Result<Stats, Malformed> {
    let Some(value) = f.get(wide).or_else(|| f.get(narrow)) else { return Ok(Stats::default()) };
    let f = Fields::of(value)?;
    let get = |kind: u16| f.get(kind).map_or(Ok(0), number);
    Ok(Stats {
        connections: get(st::CONNECTIONS)?,
        packets_in: get(st::PACKETS_IN)?,
        packets_out: get(st::PACKETS_OUT)?,
        bytes_in: get(st::BYTES_IN)?,
        bytes_out: get(st::BYTES_OUT)?,
        connections_per_second: get(st::CPS)?,
        packets_in_per_second: get(st::PPS_IN)?,
        packets_out_per_second: get(st::PPS_OUT)?,
        bytes_in_per_second: get(st::BPS_IN)?,
        bytes_out_per_second: get(st::BPS_OUT)?,
    })
}
