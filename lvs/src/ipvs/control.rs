//! What is not a service: time-outs, connection sync daemons, the kernel's own data. Requests and answers, pure.

use super::encode::{Request, address};
use super::numbers::{Cmd, cmd_attr, daemon, info};
use super::wire::{Attributes, Malformed, Writer, find, number, number32, text};
use crate::config::{SyncDaemon, Timeouts};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Time-outs of connections in seconds (`ipvsadm --set`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelTimeouts {
    /// Established TCP connections; the kernel begins with 900.
    pub tcp: u32,
    /// TCP connections after a FIN; the kernel begins with 120.
    pub tcpfin: u32,
    /// UDP; the kernel begins with 300.
    pub udp: u32,
}

impl KernelTimeouts {
    /// Whether everything that is wanted is so already: then there is nothing to send.
    #[must_use]
    pub fn satisfy(&self, wanted: &Timeouts) -> bool {
        let same = |wanted: Option<u32>, have: u32| wanted.is_none_or(|w| w == have);
        same(wanted.tcp, self.tcp) && same(wanted.tcpfin, self.tcpfin) && same(wanted.udp, self.udp)
    }
}

/// The kernel's answer to `GET_INFO`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// Version as a number: 0x010201 is 1.2.1.
    pub version: u32,
    /// Buckets of the connection table (`conn_tab_bits`): a power of two, 4096 by default.
    pub table_size: u32,
}

impl Info {
    /// The version as people write it.
    #[must_use]
    pub fn version_text(&self) -> String {
        format!("{}.{}.{}", self.version >> 16 & 0xff, self.version >> 8 & 0xff, self.version & 0xff)
    }
}

/// What a connection sync daemon does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sends what it knows of connections.
    Master,
    /// Takes what masters send.
    Backup,
}

impl Role {
    fn state(self) -> u32 {
        match self {
            Self::Master => daemon::MASTER,
            Self::Backup => daemon::BACKUP,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Master => "master",
            Self::Backup => "backup",
        })
    }
}

/// A sync daemon that runs. One kernel may run one of each role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningSync {
    /// Its role.
    pub role: Role,
    /// With what it runs; all of it is filled in as the kernel has it.
    pub with: SyncDaemon,
}

impl RunningSync {
    /// Whether it runs with what is wanted; what is not set does not matter.
    #[must_use]
    pub fn satisfies(&self, role: Role, wanted: &SyncDaemon) -> bool {
        fn same<T: PartialEq>(wanted: &Option<T>, have: &Option<T>) -> bool {
            wanted.is_none() || have.is_none() || wanted == have
        }
        let have = &self.with;
        self.role == role
            && have.iface == wanted.iface
            && have.id == wanted.id
            && same(&wanted.maxlen, &have.maxlen)
            && same(&wanted.port, &have.port)
            && same(&wanted.ttl, &have.ttl)
            && same(&wanted.group, &have.group)
    }
}

pub(super) fn get_timeouts() -> Request {
    Request::new(Cmd::GetConfig, |_| ())
}

/// What is not set is left out, which the kernel takes for "as it is".
pub(super) fn set_timeouts(wanted: &Timeouts) -> Request {
    Request::new(Cmd::SetConfig, |w| {
        let all = [
            (cmd_attr::TIMEOUT_TCP, wanted.tcp),
            (cmd_attr::TIMEOUT_TCP_FIN, wanted.tcpfin),
            (cmd_attr::TIMEOUT_UDP, wanted.udp),
        ];
        for (kind, seconds) in all {
            if let Some(seconds) = seconds {
                w.u32(kind, seconds);
            }
        }
    })
}

pub(super) fn get_info() -> Request {
    Request::new(Cmd::GetInfo, |_| ())
}

pub(super) fn start_daemon(role: Role, with: &SyncDaemon) -> Request {
    Request::new(Cmd::NewDaemon, |w| {
        w.nest(cmd_attr::DAEMON, |w| {
            w.u32(daemon::STATE, role.state());
            w.text(daemon::IFACE, &with.iface);
            w.u32(daemon::SYNC_ID, with.id.into());
            options(w, with);
        });
    })
}

fn options(w: &mut Writer, with: &SyncDaemon) {
    if let Some(maxlen) = with.maxlen {
        w.u16(daemon::MAXLEN, maxlen);
    }
    match with.group {
        Some(group @ IpAddr::V4(_)) => w.put(daemon::GROUP, &address(group)[..4]),
        Some(group @ IpAddr::V6(_)) => w.put(daemon::GROUP6, &address(group)),
        None => {}
    }
    if let Some(port) = with.port {
        w.u16(daemon::PORT, port);
    }
    if let Some(ttl) = with.ttl {
        w.u8(daemon::TTL, ttl);
    }
}

pub(super) fn stop_daemon(role: Role) -> Request {
    Request::new(Cmd::DelDaemon, |w| {
        w.nest(cmd_attr::DAEMON, |w| w.u32(daemon::STATE, role.state()));
    })
}

pub(super) fn timeouts(body: &[u8]) -> Result<KernelTimeouts, Malformed> {
    let mut all = KernelTimeouts::default();
    for attribute in Attributes::of_generic(body)? {
        let (kind, value) = attribute?;
        match kind {
            cmd_attr::TIMEOUT_TCP => all.tcp = number32(value)?,
            cmd_attr::TIMEOUT_TCP_FIN => all.tcpfin = number32(value)?,
            cmd_attr::TIMEOUT_UDP => all.udp = number32(value)?,
            _ => {}
        }
    }
    Ok(all)
}

pub(super) fn info(body: &[u8]) -> Result<Info, Malformed> {
    let mut all = Info::default();
    for attribute in Attributes::of_generic(body)? {
        let (kind, value) = attribute?;
        match kind {
            info::VERSION => all.version = number32(value)?,
            info::TABLE_SIZE => all.table_size = number32(value)?,
            _ => {}
        }
    }
    Ok(all)
}

/// One daemon of a dump; none when it is in a state that has no name.
pub(super) fn daemon(body: &[u8]) -> Result<Option<RunningSync>, Malformed> {
    let attrs = body.get(4..).ok_or_else(|| Malformed::new("no generic netlink header"))?;
    let inner = find(attrs, cmd_attr::DAEMON)?.ok_or_else(|| Malformed::new("no sync daemon"))?;
    let mut role = None;
    let mut with =
        SyncDaemon { iface: String::new(), id: 0, maxlen: None, port: None, ttl: None, group: None };
    for attribute in Attributes::new(inner) {
        let (kind, value) = attribute?;
        match kind {
            daemon::STATE => {
                role = match number32(value)? {
                    daemon::MASTER => Some(Role::Master),
                    daemon::BACKUP => Some(Role::Backup),
                    _ => None,
                }
            }
            daemon::IFACE => with.iface = text(value),
            daemon::SYNC_ID => with.id = narrow(value)?,
            daemon::MAXLEN => with.maxlen = Some(narrow(value)?),
            daemon::PORT => with.port = Some(narrow(value)?),
            daemon::TTL => with.ttl = Some(narrow(value)?),
            daemon::GROUP => with.group = value.first_chunk::<4>().map(|a| Ipv4Addr::from(*a).into()),
            daemon::GROUP6 => with.group = value.first_chunk::<16>().map(|a| Ipv6Addr::from(*a).into()),
            _ => {}
        }
    }
    Ok(role.map(|role| RunningSync { role, with }))
}

fn narrow<T: TryFrom<u64>>(value: &[u8]) -> Result<T, Malformed> {
    let n = number(value)?;
    T::try_from(n).map_err(|_| Malformed::new(format!("the number {n} where a smaller one belongs")))
}
