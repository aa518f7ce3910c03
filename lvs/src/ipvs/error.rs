//! What can keep us from the kernel's table, each with its remedy; and errno as name and text.

use super::wire::Malformed;
use crate::reconcile::KernelError;
use nix::errno::Errno;
use thiserror::Error;

/// Why the table cannot be read, or a setting not made. Refusals of single requests are [`KernelError`].
#[derive(Debug, Error)]
pub enum IpvsError {
    /// The module cannot be loaded: there is none for the running kernel, but there are others' (R3-4).
    #[error("no ip_vs: the running kernel is {running}, but there are modules {}", of(installed))]
    OtherModules {
        /// Release of the running kernel.
        running: String,
        /// Releases whose modules are installed.
        installed: Vec<String>,
    },
    /// There are modules for the running kernel, and ip_vs is not one of them.
    #[error(
        "no ip_vs: the modules of kernel {running} ({tree}) do not have it; install the package with the kernel's further modules \
         (linux-modules-extra, kernel-modules-extra), or a kernel with CONFIG_IP_VS"
    )]
    NoModule {
        /// Release of the running kernel.
        running: String,
        /// Directory of its modules.
        tree: String,
    },
    /// The module is there but was not loaded.
    #[error("no ip_vs: the module {file} of kernel {running} is there but not loaded: {reason}")]
    NotLoaded {
        /// Release of the running kernel.
        running: String,
        /// The module's file.
        file: String,
        /// What `modprobe` says, or what forbids it.
        reason: String,
    },
    /// It is loaded, and the kernel does not offer its interface.
    #[error(
        "ip_vs is loaded in kernel {running} but offers no generic netlink family IPVS; look for its message in the kernel's log"
    )]
    NoFamily {
        /// Release of the running kernel.
        running: String,
    },
    /// The kernel does not let us.
    #[error("{request}: EPERM: {reason}")]
    NoRight {
        /// What was asked.
        request: String,
        /// Why not, and the remedy.
        reason: String,
    },
    /// The kernel refused.
    #[error("{request}: {error}")]
    Refused {
        /// What was asked.
        request: String,
        /// Its answer.
        error: KernelError,
    },
    /// The kernel's answer makes no sense to us.
    #[error("{request}: {source}")]
    Malformed {
        /// What was asked.
        request: String,
        /// What is wrong with the answer.
        source: Malformed,
    },
}

fn of(installed: &[String]) -> String {
    if installed.is_empty() {
        return "of no kernel here; load ip_vs on the host when this is a container, else install the kernel's modules".to_owned();
    }
    let all = installed.join(", ");
    format!("of {all} only; boot an installed kernel, or install the modules of the running one")
}

/// An errno with its name and the system's text, and the kernel's own words when it gave some (R0-6).
pub(crate) fn kernel_error(errno: i32, words: Option<&str>) -> KernelError {
    let known = Errno::from_raw(errno);
    let name = match known {
        Errno::UnknownErrno => format!("E{errno}"),
        known => format!("{known:?}"),
    };
    let text = match words {
        Some(words) => format!("{}: {words}", known.desc()),
        None => known.desc().to_owned(),
    };
    KernelError { errno, name, text }
}
