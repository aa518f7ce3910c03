//! `ctdb checktcpport`: whether a TCP port of this host is free. Event scripts ask before a service is started.

use crate::out::{Failure, Outcome, Output};
use std::net::{Ipv4Addr, TcpListener};

/// The exit status of a port that cannot be had is the system's error, as in CTDB: 98 (EADDRINUSE) when somebody listens.
pub(crate) fn check(port: u16) -> Outcome {
    match TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)) {
        Ok(_) => Ok(Output::silent()),
        Err(e) => {
            let code = e.raw_os_error().and_then(|e| u8::try_from(e).ok()).unwrap_or(1);
            Err(Failure { message: format!("Failed to bind to TCP port {port}"), code })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_free_until_somebody_listens() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let taken = Failure { message: format!("Failed to bind to TCP port {port}"), code: 98 };
        assert_eq!(check(port), Err(taken));
        drop(listener);
        assert_eq!(check(port), Ok(Output::silent()));
    }
}
