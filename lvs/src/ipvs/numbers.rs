//! Numbers of the kernel's interface, from its public header `linux/ip_vs.h` and `linux/netlink.h`. Nothing here decides anything.

/// Commands of the family `IPVS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Cmd {
    NewService = 1,
    SetService = 2,
    DelService = 3,
    GetService = 4,
    NewDest = 5,
    SetDest = 6,
    DelDest = 7,
    GetDest = 8,
    NewDaemon = 9,
    DelDaemon = 10,
    GetDaemon = 11,
    SetConfig = 12,
    GetConfig = 13,
    GetInfo = 15,
}

impl Cmd {
    /// Whether it changes nothing.
    pub(crate) fn only_asks(self) -> bool {
        matches!(self, Self::GetService | Self::GetDest | Self::GetDaemon | Self::GetConfig | Self::GetInfo)
    }
}

/// The family's name, for the controller.
pub(crate) const FAMILY_NAME: &str = "IPVS";
/// Version of the interface (`IPVS_GENL_VERSION`).
pub(crate) const VERSION: u8 = 1;

/// Attributes of every command.
pub(crate) mod cmd_attr {
    pub(crate) const SERVICE: u16 = 1;
    pub(crate) const DEST: u16 = 2;
    pub(crate) const DAEMON: u16 = 3;
    pub(crate) const TIMEOUT_TCP: u16 = 4;
    pub(crate) const TIMEOUT_TCP_FIN: u16 = 5;
    pub(crate) const TIMEOUT_UDP: u16 = 6;
}

/// Within `SERVICE`.
pub(crate) mod svc {
    pub(crate) const AF: u16 = 1;
    pub(crate) const PROTOCOL: u16 = 2;
    pub(crate) const ADDR: u16 = 3;
    pub(crate) const PORT: u16 = 4;
    pub(crate) const FWMARK: u16 = 5;
    pub(crate) const SCHED_NAME: u16 = 6;
    pub(crate) const FLAGS: u16 = 7;
    pub(crate) const TIMEOUT: u16 = 8;
    pub(crate) const NETMASK: u16 = 9;
    pub(crate) const STATS: u16 = 10;
    pub(crate) const PE_NAME: u16 = 11;
    pub(crate) const STATS64: u16 = 12;
}

/// Bits of `svc::FLAGS`. The kernel has one more of its own, which is never sent.
pub(crate) mod svc_flag {
    pub(crate) const PERSISTENT: u32 = 0x1;
    pub(crate) const ONE_PACKET: u32 = 0x4;
    pub(crate) const SCHED1: u32 = 0x8;
    pub(crate) const SCHED2: u32 = 0x10;
    pub(crate) const SCHED3: u32 = 0x20;
    pub(crate) const ALL: u32 = PERSISTENT | ONE_PACKET | SCHED1 | SCHED2 | SCHED3;
}

/// Within `DEST`.
pub(crate) mod dest {
    pub(crate) const ADDR: u16 = 1;
    pub(crate) const PORT: u16 = 2;
    pub(crate) const FWD_METHOD: u16 = 3;
    pub(crate) const WEIGHT: u16 = 4;
    pub(crate) const UPPER: u16 = 5;
    pub(crate) const LOWER: u16 = 6;
    pub(crate) const ACTIVE: u16 = 7;
    pub(crate) const INACTIVE: u16 = 8;
    pub(crate) const PERSISTENT: u16 = 9;
    pub(crate) const STATS: u16 = 10;
    pub(crate) const AF: u16 = 11;
    pub(crate) const STATS64: u16 = 12;
    pub(crate) const TUN_TYPE: u16 = 13;
    pub(crate) const TUN_PORT: u16 = 14;
    pub(crate) const TUN_FLAGS: u16 = 15;
}

/// Values of `dest::FWD_METHOD`, in its lowest three bits.
pub(crate) mod fwd {
    pub(crate) const MASK: u32 = 7;
    pub(crate) const NAT: u32 = 0;
    pub(crate) const LOCAL: u32 = 1;
    pub(crate) const TUN: u32 = 2;
    pub(crate) const DR: u32 = 3;
    pub(crate) const BYPASS: u32 = 4;
}

/// Values of `dest::TUN_TYPE`, and bits of `dest::TUN_FLAGS`.
pub(crate) mod tun {
    pub(crate) const IPIP: u8 = 0;
    pub(crate) const GUE: u8 = 1;
    pub(crate) const GRE: u8 = 2;
    pub(crate) const CSUM: u16 = 1;
    pub(crate) const REMCSUM: u16 = 2;
}

/// Within `DAEMON`.
pub(crate) mod daemon {
    pub(crate) const STATE: u16 = 1;
    pub(crate) const IFACE: u16 = 2;
    pub(crate) const SYNC_ID: u16 = 3;
    pub(crate) const MAXLEN: u16 = 4;
    pub(crate) const GROUP: u16 = 5;
    pub(crate) const GROUP6: u16 = 6;
    pub(crate) const PORT: u16 = 7;
    pub(crate) const TTL: u16 = 8;
    pub(crate) const MASTER: u32 = 1;
    pub(crate) const BACKUP: u32 = 2;
}

/// Within statistics.
pub(crate) mod stats {
    pub(crate) const CONNECTIONS: u16 = 1;
    pub(crate) const PACKETS_IN: u16 = 2;
    pub(crate) const PACKETS_OUT: u16 = 3;
    pub(crate) const BYTES_IN: u16 = 4;
    pub(crate) const BYTES_OUT: u16 = 5;
    pub(crate) const CPS: u16 = 6;
    pub(crate) const PPS_IN: u16 = 7;
    pub(crate) const PPS_OUT: u16 = 8;
    pub(crate) const BPS_IN: u16 = 9;
    pub(crate) const BPS_OUT: u16 = 10;
}

/// Answers to `GetInfo`.
pub(crate) mod info {
    pub(crate) const VERSION: u16 = 1;
    pub(crate) const TABLE_SIZE: u16 = 2;
}

/// The controller, which knows the families.
pub(crate) mod ctrl {
    pub(crate) const ID: u16 = 0x10;
    pub(crate) const GET_FAMILY: u8 = 3;
    pub(crate) const ATTR_ID: u16 = 1;
    pub(crate) const ATTR_NAME: u16 = 2;
}

/// Address families and protocols.
pub(crate) const AF_INET: u16 = 2;
pub(crate) const AF_INET6: u16 = 10;
pub(crate) const TCP: u16 = 6;
pub(crate) const UDP: u16 = 17;
pub(crate) const SCTP: u16 = 132;
