//! The only `unsafe` of this crate: what the kernel wants and no library offers safely. Each block carries its argument.

use nix::libc;
use socket2::{SockAddr, Socket};
use std::io;
use std::mem::size_of;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The destination of a frame that is sent through a packet socket: an interface and a protocol.
///
/// # Errors
/// Never in practice; the storage of a [`SockAddr`] has room for every kind of address.
pub(crate) fn packet_address(iface_index: u32, ethertype: u16) -> io::Result<SockAddr> {
    let index = i32::try_from(iface_index).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut link = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: ethertype.to_be(),
        sll_ifindex: index,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 6,
        sll_addr: [0; 8],
    };
    // The hardware address is not looked at on a raw socket, whose frames bring their own; the length must be plausible.
    link.sll_addr[..6].fill(0xff);
    // SAFETY: `try_init` hands out a zeroed `sockaddr_storage`, which is larger than and aligned for every socket address, so a
    // `sockaddr_ll` may be written to it; all its bytes are initialised (it has no padding), and the length set is its size.
    let ((), address) = unsafe {
        SockAddr::try_init(|storage, len| {
            storage.cast::<libc::sockaddr_ll>().write(link);
            *len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
            Ok(())
        })
    }?;
    Ok(address)
}

/// Registers a non-blocking socket with the runtime, to wait until it can be written to.
///
/// # Errors
/// The runtime's poller refuses it.
pub(crate) fn writable(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    // SAFETY: the descriptor must stay open and the same while it is registered. A `Socket` owns its descriptor, never changes it,
    // and is moved into the `AsyncFd`, which gives out shared references only to code of this crate that does not close it.
    unsafe { AsyncFd::register_with_interest(socket, Interest::WRITABLE) }.map_err(io::Error::from)
}

/// Makes `command` run in a network namespace of its own: as root directly, otherwise through a user namespace.
#[cfg(test)]
pub(crate) fn in_new_network(command: &mut std::process::Command) {
    use nix::fcntl::{OFlag, open};
    use nix::sched::{CloneFlags, unshare};
    use nix::sys::stat::Mode;
    use nix::unistd::{getegid, geteuid, write};
    use std::os::unix::process::CommandExt;

    let (uid, gid) = (geteuid(), getegid());
    let maps = [
        (c"/proc/self/setgroups", "deny".to_owned()),
        (c"/proc/self/uid_map", format!("0 {uid} 1")),
        (c"/proc/self/gid_map", format!("0 {gid} 1")),
    ];
    let enter = move || {
        if uid.is_root() {
            return unshare(CloneFlags::CLONE_NEWNET).map_err(io::Error::from);
        }
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)?;
        for (path, text) in &maps {
            write(open(*path, OFlag::O_WRONLY, Mode::empty())?, text.as_bytes())?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe things may happen: the closure makes the system calls unshare, open,
    // write and close on text prepared before the fork; it allocates nothing and takes no lock (an errno converts without either).
    unsafe { command.pre_exec(enter) };
}

/// Gives the calling thread this real-time priority (SCHED_FIFO, from 1): above everything that is not real-time.
///
/// # Errors
/// The right is missing (CAP_SYS_NICE, or RLIMIT_RTPRIO).
pub(crate) fn real_time(priority: i32) -> io::Result<()> {
    let param = libc::sched_param { sched_priority: priority };
    // SAFETY: the pointer is to a live, initialised `sched_param` that the call only reads; 0 names the calling thread.
    let result = unsafe {
        libc::sched_setscheduler(0, libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, &raw const param)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Keeps every page of this process in memory from when it is first used.
///
/// # Errors
/// The right is missing (CAP_IPC_LOCK, or RLIMIT_MEMLOCK).
pub(crate) fn lock_memory() -> io::Result<()> {
    // SAFETY: changes nothing that the program can see, but when its pages may be taken away.
    let result = unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
