//! What can go wrong between us and the kernel, in words for an operator.

use nix::errno::Errno;
use std::io;

/// A request about links or addresses failed.
#[derive(Debug, thiserror::Error)]
pub enum NetifError {
    /// No netlink socket.
    #[error("cannot open a netlink socket: {0}; ctdbd needs Linux and permission to use rtnetlink")]
    Open(#[source] io::Error),
    /// The kernel refused.
    #[error("cannot {request} on {object}: {errno:?} ({}){}", errno.desc(), hint(*errno))]
    Refused {
        /// What was asked: `add address 10.0.0.1/24`.
        request: String,
        /// Of what: an interface, or `this node`.
        object: String,
        /// Why the kernel said no.
        errno: Errno,
    },
    /// The kernel did not answer, or the socket is gone.
    #[error("cannot {request}: no answer from the kernel within 5 s; it is retried with a new observation")]
    NoAnswer {
        /// What was asked.
        request: String,
    },
    /// Links and addresses changed faster than they could be read.
    #[error("cannot {request}: the kernel's list changed under every one of {tries} attempts")]
    Unsettled {
        /// What was asked.
        request: String,
        /// How often it was tried.
        tries: u32,
    },
    /// A file below `/proc/sys` could not be written.
    #[error("cannot write {value} to {path}: {source}; ctdbd needs to run as root with /proc/sys writable")]
    Sysctl {
        /// The file.
        path: String,
        /// What was to be written.
        value: &'static str,
        /// The system's word.
        source: io::Error,
    },
    /// A name that cannot be an interface's.
    #[error(
        "{name:?} cannot be the name of an interface: 1 to 15 characters without '/' and blanks; correct public_addresses"
    )]
    BadName {
        /// What was given.
        name: String,
    },
}

impl NetifError {
    pub(super) fn refused(request: String, object: &str, errno: i32) -> Self {
        Self::Refused { request, object: object.to_owned(), errno: Errno::from_raw(errno.abs()) }
    }
}

/// The probable cause and what to do next.
fn hint(errno: Errno) -> &'static str {
    match errno {
        Errno::EPERM => "; ctdbd needs CAP_NET_ADMIN: run it as root",
        Errno::ENODEV | Errno::ENXIO => {
            "; there is no such interface now: compare public_addresses with `ip link`"
        }
        Errno::EACCES => {
            "; IPv6 is probably switched off on the interface: see sysctl net.ipv6.conf.IFACE.disable_ipv6"
        }
        Errno::EINVAL => "; check the address and its mask bits in public_addresses",
        Errno::ENOBUFS | Errno::ENOMEM => "; the kernel is short of memory: see `free` and net.core.rmem_max",
        _ => "",
    }
}
