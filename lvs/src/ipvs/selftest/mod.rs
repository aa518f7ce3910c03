//! Does this kernel's IPVS really forward? A throw-away service in throw-away network namespaces, one connection through it (R3-1).
//!
//! Field report R3: ip_vs was loaded, its table was right, and it forwarded nothing, because the module of one kernel build was broken.
//! Nothing on the host shows that, so it is tried: a client, a director and a real server, each in a network namespace of its own, joined
//! by veth pairs ([`net`]); the client connects to the virtual address. For tunnels the wrapped packet is caught where it arrives, so
//! that no tunnel driver is needed, and the outer source is compared with the route's (R1).
//!
//! The namespaces belong to three threads ([`place`]) and are gone with them; nothing outside of them is touched, no other thread of the
//! process changes its namespace. Takes well under a second when all is well, some seconds when packets get lost. Needs root
//! (CAP_SYS_ADMIN for the namespaces).

mod net;
mod place;
mod traffic;

use super::{HostFacts, IpvsError};
use crate::config::{Config, VirtualServer};
use crate::model::Forward;
use net::Net;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// A forwarding method that can be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Network address translation.
    Nat,
    /// Direct routing.
    Dr,
    /// IP in IP.
    Tun,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Nat, Self::Dr, Self::Tun];

    /// Those that a virtual server uses.
    #[must_use]
    pub fn of(server: &VirtualServer) -> BTreeSet<Self> {
        let method = |forward| match forward {
            Forward::Nat => Some(Self::Nat),
            Forward::Dr => Some(Self::Dr),
            Forward::Tun(_) => Some(Self::Tun),
            // Nothing is forwarded.
            Forward::Local | Forward::Bypass => None,
        };
        server.real_servers.iter().filter_map(|real| method(real.forward)).collect()
    }

    /// Those that a configuration uses.
    #[must_use]
    pub fn used(config: &Config) -> BTreeSet<Self> {
        config.virtual_servers.iter().flat_map(Self::of).collect()
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nat => "NAT",
            Self::Dr => "DR",
            Self::Tun => "TUN",
        })
    }
}

/// What came of trying one method.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "result", content = "detail")]
pub enum Tried {
    /// The connection went through; what was seen.
    Forwards(String),
    /// It did not; what was seen.
    DoesNotForward(String),
    /// It could not be tried, which says nothing about ip_vs; why, and the remedy.
    NotTried(String),
}

/// What came of the self-test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfTest {
    /// Each method that was asked for.
    pub methods: Vec<(Method, Tried)>,
    /// The kernel and its module, for the message.
    pub host: HostFacts,
}

impl SelfTest {
    /// Whether a method was tried and failed: then the director must not serve, or must be flagged.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.methods.iter().any(|(_, tried)| matches!(tried, Tried::DoesNotForward(_)))
    }
}

impl SelfTest {
    /// Each method with its line alone.
    #[must_use]
    pub fn lines(&self) -> Vec<(Method, Tried, String)> {
        let one = |(method, tried): &(Method, Tried)| {
            let alone = Self { methods: vec![(*method, tried.clone())], host: self.host.clone() };
            (*method, tried.clone(), alone.to_string())
        };
        self.methods.iter().map(one).collect()
    }
}

/// A line for each method.
impl fmt::Display for SelfTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (method, tried)) in self.methods.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            match tried {
                Tried::Forwards(seen) => write!(f, "{method}: ip_vs forwards: {seen}")?,
                Tried::NotTried(why) => write!(f, "{method}: not tried: {why}")?,
                Tried::DoesNotForward(seen) => {
                    let module = self.host.module.clone().unwrap_or_default();
                    write!(
                        f,
                        "{method}: ip_vs is loaded but does not forward: {seen}; module {}, vermagic {}, running kernel {}; boot \
                         another build of the kernel",
                        if module.file.is_empty() { "(file not found)" } else { &module.file },
                        module.vermagic.as_deref().unwrap_or("(unknown)"),
                        self.host.running
                    )?;
                }
            }
        }
        Ok(())
    }
}

/// Tries methods; `before` is told each one before it is tried, since one that fails takes some seconds. Blocks.
///
/// # Errors
/// When there is no IPVS to try: the same errors as those of [`super::Kernel::open`].
pub fn run(methods: &[Method], before: &mut dyn FnMut(Method)) -> Result<SelfTest, IpvsError> {
    // First of all here, where the error names what is missing; it loads the module, too.
    super::Kernel::open()?;
    let net = Net::new();
    let attempt = |method: &Method| {
        before(*method);
        let tried = match &net {
            Ok(net) => traffic::attempt(net, *method),
            Err(why) => Tried::NotTried(why.clone()),
        };
        (*method, tried)
    };
    Ok(SelfTest { methods: methods.iter().map(attempt).collect(), host: HostFacts::gather() })
}

#[cfg(test)]
mod tests {
    use super::super::Module;
    use super::*;

    #[test]
    fn the_failure_names_module_and_kernel() {
        let module = Module {
            file: "/lib/modules/5.10.0-60.139/ip_vs.ko".to_owned(),
            vermagic: Some("5.10.0-60.139 SMP".to_owned()),
        };
        let host =
            HostFacts { running: "5.10.0-60.139".to_owned(), module: Some(module), ..HostFacts::default() };
        let broken = Tried::DoesNotForward("no answer to the client's SYN in 3 s".to_owned());
        let test = SelfTest { methods: vec![(Method::Dr, broken)], host };
        assert!(test.failed());
        let line = test.to_string();
        for part in [
            "DR: ip_vs is loaded but does not forward",
            "/ip_vs.ko",
            "vermagic 5.10.0-60.139 SMP",
            "running kernel 5.10.0-60.139",
        ] {
            assert!(line.contains(part), "{line}");
        }
    }

    #[test]
    fn what_could_not_be_tried_is_no_failure() {
        let methods = vec![(Method::Nat, Tried::NotTried("no right to make namespaces".to_owned()))];
        assert!(!SelfTest { methods, host: HostFacts::default() }.failed());
    }
}
