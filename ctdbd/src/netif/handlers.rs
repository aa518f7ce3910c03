//! [`Netif`] in the shape in which the built-in event handlers ask for it.

use super::change::Verb;
use super::{Netif, NetifError, OnIface};
use eventscripts::{BoxFuture, NetIf, NetIfError};
use nix::errno::Errno;
use recoverd::model::KernelState;
use std::net::IpAddr;

impl NetIf for Netif {
    fn observe(&self) -> BoxFuture<'_, Result<KernelState, NetIfError>> {
        Box::pin(async { Self::observe(self).await.map_err(NetIfError::from) })
    }

    fn add_address<'a>(
        &'a self,
        iface: &'a str,
        addr: IpAddr,
        prefix: u8,
    ) -> BoxFuture<'a, Result<(), NetIfError>> {
        Box::pin(async move {
            let what = OnIface { iface: iface.to_owned(), addr, prefix };
            self.change_together(Verb::Add(self.lifetime.get()), what).await?;
            Ok(())
        })
    }

    fn del_address<'a>(
        &'a self,
        iface: &'a str,
        addr: IpAddr,
        prefix: u8,
    ) -> BoxFuture<'a, Result<bool, NetIfError>> {
        Box::pin(async move {
            let what = OnIface { iface: iface.to_owned(), addr, prefix };
            Ok(self.change_together(Verb::Del, what).await?)
        })
    }

    fn promote_secondaries<'a>(&'a self, iface: &'a str) -> BoxFuture<'a, Result<(), NetIfError>> {
        Box::pin(async move {
            Self::promote_secondaries(self, iface).map_err(|e| match e {
                // The kernel has this file for every interface: one that is missing says that the interface is.
                NetifError::Sysctl { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                    let request = "set promote_secondaries".to_owned();
                    NetIfError::NoInterface { request, iface: iface.to_owned() }
                }
                e => e.into(),
            })
        })
    }
}

impl From<NetifError> for NetIfError {
    fn from(error: NetifError) -> Self {
        match error {
            NetifError::Refused { request, object, errno: Errno::ENODEV | Errno::ENXIO } => {
                Self::NoInterface { request, iface: object }
            }
            NetifError::Refused { request, object, errno } => Self::Refused { request, object, errno },
            NetifError::Sysctl { path, value, source } => match source.raw_os_error() {
                Some(errno) => Self::Refused {
                    request: format!("write {value}"),
                    object: path,
                    errno: Errno::from_raw(errno),
                },
                None => Self::Unreachable { request: format!("write {path}"), reason: source.to_string() },
            },
            other => Self::Unreachable {
                request: "ask the kernel about interfaces".to_owned(),
                reason: other.to_string(),
            },
        }
    }
}
