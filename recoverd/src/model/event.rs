//! Events: what scripts and built-in handlers are called with.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// An event with its arguments (reference/ctdb.md 1.5). Names and argument order are CTDB's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// Daemon start, before the sockets. Failure ends the daemon.
    Init,
    /// After `init`. Failure ends the daemon.
    Setup,
    /// After the first recovery; retried until it succeeds.
    Startup,
    /// The daemon stops.
    Shutdown,
    /// Health check.
    Monitor,
    /// A recovery begins.
    StartRecovery,
    /// A recovery has ended.
    Recovered,
    /// On all nodes before a run releases anything.
    StartIpreallocate,
    /// On all nodes at the end of every run.
    Ipreallocated,
    /// Put an address on an interface: `IFACE IP MASKBITS`.
    TakeIp {
        /// Interface that shall carry it.
        iface: String,
        /// The address.
        addr: IpAddr,
        /// Mask bits.
        prefix: u8,
    },
    /// Take an address off: `IFACE IP MASKBITS`.
    ReleaseIp {
        /// Interface that carries it; `__none__` when none is known.
        iface: String,
        /// The address.
        addr: IpAddr,
        /// Mask bits.
        prefix: u8,
    },
    /// Move a held address to another interface of this node: `OLDIFACE NEWIFACE IP MASKBITS`.
    UpdateIp {
        /// Interface that carries it, `__none__` when none does.
        old: String,
        /// Interface that shall carry it.
        new: String,
        /// The address.
        addr: IpAddr,
        /// Mask bits.
        prefix: u8,
    },
}

impl Event {
    /// The names of all events, as `ctdb event run` accepts them.
    pub const NAMES: [&'static str; 12] = [
        "init",
        "setup",
        "startup",
        "shutdown",
        "monitor",
        "startrecovery",
        "recovered",
        "startipreallocate",
        "ipreallocated",
        "takeip",
        "releaseip",
        "updateip",
    ];

    /// The event's name, the first argument of a script.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Setup => "setup",
            Self::Startup => "startup",
            Self::Shutdown => "shutdown",
            Self::Monitor => "monitor",
            Self::StartRecovery => "startrecovery",
            Self::Recovered => "recovered",
            Self::StartIpreallocate => "startipreallocate",
            Self::Ipreallocated => "ipreallocated",
            Self::TakeIp { .. } => "takeip",
            Self::ReleaseIp { .. } => "releaseip",
            Self::UpdateIp { .. } => "updateip",
        }
    }

    /// The arguments after the name.
    #[must_use]
    pub fn args(&self) -> Vec<String> {
        match self {
            Self::TakeIp { iface, addr, prefix } | Self::ReleaseIp { iface, addr, prefix } => {
                vec![iface.clone(), addr.to_string(), prefix.to_string()]
            }
            Self::UpdateIp { old, new, addr, prefix } => {
                vec![old.clone(), new.clone(), addr.to_string(), prefix.to_string()]
            }
            _ => Vec::new(),
        }
    }

    /// The address the event is about. Events of one address run in order, those of different addresses in parallel.
    #[must_use]
    pub fn addr(&self) -> Option<IpAddr> {
        match self {
            Self::TakeIp { addr, .. } | Self::ReleaseIp { addr, .. } | Self::UpdateIp { addr, .. } => {
                Some(*addr)
            }
            _ => None,
        }
    }

    /// Builds an event from a name and arguments, as `ctdb event run` is given them.
    ///
    /// # Errors
    /// A sentence for the operator when the name is unknown or the arguments do not fit.
    pub fn parse(name: &str, args: &[String]) -> Result<Self, String> {
        let want = |usage: &str| format!("event {name} takes {usage}, got {} argument(s)", args.len());
        let addr = |s: &str| s.parse::<IpAddr>().map_err(|_| format!("invalid IP address {s}"));
        let prefix = |s: &str| s.parse::<u8>().map_err(|_| format!("invalid mask bits {s}"));
        let simple = match name {
            "init" => Self::Init,
            "setup" => Self::Setup,
            "startup" => Self::Startup,
            "shutdown" => Self::Shutdown,
            "monitor" => Self::Monitor,
            "startrecovery" => Self::StartRecovery,
            "recovered" => Self::Recovered,
            "startipreallocate" => Self::StartIpreallocate,
            "ipreallocated" => Self::Ipreallocated,
            "takeip" | "releaseip" => {
                let [iface, ip, bits] = args else { return Err(want("IFACE IP MASKBITS")) };
                let (iface, addr, prefix) = (iface.clone(), addr(ip)?, prefix(bits)?);
                return Ok(if name == "takeip" {
                    Self::TakeIp { iface, addr, prefix }
                } else {
                    Self::ReleaseIp { iface, addr, prefix }
                });
            }
            "updateip" => {
                let [old, new, ip, bits] = args else { return Err(want("OLDIFACE NEWIFACE IP MASKBITS")) };
                return Ok(Self::UpdateIp {
                    old: old.clone(),
                    new: new.clone(),
                    addr: addr(ip)?,
                    prefix: prefix(bits)?,
                });
            }
            _ => return Err(format!("unknown event {name}; known: {}", Self::NAMES.join(" "))),
        };
        if args.is_empty() { Ok(simple) } else { Err(want("no arguments")) }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        self.args().iter().try_for_each(|a| write!(f, " {a}"))
    }
}

/// How an event ended: the summary over all its scripts, the first failure decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "lowercase")]
pub enum EventOutcome {
    /// All scripts succeeded, or there were none.
    Ok,
    /// A script failed; those behind it did not run.
    Failed {
        /// Name of the script, as `ctdb event status` shows it.
        script: String,
        /// Its last words, for a person.
        message: String,
    },
    /// A script did not end in time and was killed with its process group.
    TimedOut {
        /// Name of the script.
        script: String,
    },
}

impl EventOutcome {
    /// Whether everything went well.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Ok)
    }
}

impl fmt::Display for EventOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("ok"),
            Self::Failed { script, message } => write!(f, "{script} failed: {message}"),
            Self::TimedOut { script } => write!(f, "{script} timed out"),
        }
    }
}
