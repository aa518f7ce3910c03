//! What cannot be a value of the model.

use thiserror::Error;

/// A text or a number that the kernel's interface cannot carry.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ModelError {
    /// A scheduler (or persistence engine) name that the kernel would truncate or refuse.
    #[error("\"{0}\" is no scheduler name: 1 to 15 lower case letters, digits, _ or - (such as wlc, rr, mh)")]
    Scheduler(String),
    /// Text that is no service identity.
    #[error(
        "\"{0}\" is no service: write \"tcp 192.0.2.1:80\", \"udp [2001:db8::1]:53\" or \"fwmark 5 inet\""
    )]
    Service(String),
    /// Text that is no destination identity.
    #[error("\"{0}\" is no destination: write \"192.0.2.1:80\" or \"[2001:db8::1]:80\"")]
    Dest(String),
    /// A netmask that is not contiguous or a prefix that is too long.
    #[error(
        "\"{0}\" is no persistence mask: write a netmask such as 255.255.255.0, or 1 to 128 bits for IPv6"
    )]
    Granularity(String),
}
