//! The first steps of a lab: its directory, and the namespaces that its init hands over.

use super::protocol::Hello;
use super::{LabError, sys};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, recvmsg};
use std::fs;
use std::io::{self, IoSliceMut};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(super) fn host_name(number: usize, nodes: usize) -> String {
    match number.checked_sub(nodes) {
        None => format!("n{number}"),
        Some(0) => "client".to_owned(),
        Some(_) => "switch".to_owned(),
    }
}

/// A fresh directory. Not below `/run`, which each host has for itself, and short enough for the path of a Unix socket.
pub(super) fn new_directory() -> Result<PathBuf, LabError> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let mut base = std::env::temp_dir();
    if base.starts_with("/run") || base.as_os_str().len() > 50 {
        base = PathBuf::from("/tmp");
    }
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = base.join(format!("ctdb-lab-{}-{count}", std::process::id()));
        match fs::create_dir(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(LabError::io(format!("make {}", dir.display()), error)),
        }
    }
}

pub(super) fn receive_hello(socket: &UnixStream) -> Result<Vec<sys::Namespaces>, LabError> {
    let failed = |error: io::Error| LabError::io("hear from the lab's init", error);
    let mut data = vec![0_u8; 65536];
    let mut control = nix::cmsg_space!([i32; 200]);
    let mut parts = [IoSliceMut::new(&mut data)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let (length, fds) = loop {
        match recvmsg::<UnixAddr>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags) {
            Ok(message) => {
                let mut fds = Vec::new();
                for part in message.cmsgs().map_err(|e| failed(e.into()))? {
                    if let ControlMessageOwned::ScmRights(received) = part {
                        fds.extend(sys::received_fds(&received));
                    }
                }
                break (message.bytes, fds);
            }
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(failed(error.into())),
        }
    };
    match serde_json::from_slice(&data[..length]).map_err(|e| failed(e.into()))? {
        Hello::NoNamespaces(reason) => Err(LabError::NoNamespaces(reason)),
        Hello::Failed(reason) => Err(LabError::Refused(reason)),
        Hello::Ready { hosts, user_namespace } => {
            let expected = 1 + 2 * hosts + usize::from(user_namespace);
            if fds.len() != expected {
                return Err(LabError::Refused(format!("{} descriptors, not {expected}", fds.len())));
            }
            let mut fds = fds.into_iter();
            let missing = || LabError::Refused("a descriptor is missing".to_owned());
            let pid = Arc::new(fds.next().ok_or_else(missing)?);
            let mut pairs = Vec::new();
            for _ in 0..hosts {
                pairs.push((fds.next().ok_or_else(missing)?, fds.next().ok_or_else(missing)?));
            }
            let user = fds.next().map(Arc::new);
            let host =
                |(mount, net)| sys::Namespaces { user: user.clone(), pid: Arc::clone(&pid), mount, net };
            Ok(pairs.into_iter().map(host).collect())
        }
    }
}
