//! The lab's own helper program (`lab-agent`): the init of a lab, the answer service of a node, the probe and the witnesses of the client.
//!
//! `lab-agent init` makes the namespaces and is process 1 of the lab's pid namespace. When it ends, for whatever reason, the
//! kernel kills every process of the lab and drops its interfaces: that is the whole clean-up. It ends when the test's end of
//! its socket is closed, which also happens when the test panics or is killed.

mod arp_witness;
mod download;
mod echo;
mod prober;
mod requests;
mod tcp;
mod topology;
mod witness;

use crate::lab::protocol::{Hello, InitConfig};
use crate::lab::sys;
use anyhow::{Context, bail};
use clap::Parser;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, getegid, geteuid, setsid};
use std::fs;
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// The helper program of the test lab; tests start it, nobody else needs to.
#[derive(Debug, Parser)]
#[command(name = "lab-agent")]
enum Cli {
    /// Make the namespaces of a lab and be its process 1.
    Init {
        /// What to make, as JSON.
        config: String,
    },
    /// Answer every datagram with the number of this node.
    Echo {
        /// The number to answer with.
        #[arg(long)]
        node: u16,
    },
    /// Ask addresses again and again and remember who answered when.
    Probe {
        /// An address to ask (may be repeated).
        #[arg(long = "addr", required = true)]
        addresses: Vec<IpAddr>,
        /// Time between two rounds in microseconds.
        #[arg(long, default_value_t = 1000)]
        interval_us: u64,
    },
    /// Greet whoever connects with the number of this node, and keep the connection.
    TcpServe {
        /// The number to greet with.
        #[arg(long)]
        node: u16,
    },
    /// Stay connected to an address, and tell when the connection is lost.
    TcpClient {
        /// The address.
        #[arg(long)]
        addr: IpAddr,
        /// The client's own address; the kernel's choice if none.
        #[arg(long)]
        from: Option<IpAddr>,
        /// Longest wait for a connection in milliseconds; five times as long for the greeting.
        #[arg(long, default_value_t = 200)]
        try_ms: u64,
    },
    /// Send whoever connects numbers without end, at an even pace, until the other side has closed its half of the connection.
    DownloadServe {
        /// The TCP port.
        #[arg(long)]
        port: u16,
    },
    /// Take such numbers until standard input ends; check every one of them.
    Download {
        /// Where from.
        #[arg(long)]
        from: SocketAddr,
    },
    /// Ask the segment for an address by ARP, and hear every node that answers.
    ArpWitness {
        /// The interface of the nodes' network.
        #[arg(long)]
        iface: String,
        /// The address to ask for.
        #[arg(long)]
        addr: Ipv4Addr,
        /// Hardware address of a node (may be repeated).
        #[arg(long = "mac", required = true)]
        macs: Vec<String>,
        /// Time between two requests in microseconds.
        #[arg(long, default_value_t = 2000)]
        interval_us: u64,
    },
    /// Ask every node for every address, whatever ARP says.
    Witness {
        /// The interface of the nodes' network.
        #[arg(long)]
        iface: String,
        /// An address to ask for (may be repeated).
        #[arg(long = "addr", required = true)]
        addresses: Vec<IpAddr>,
        /// Hardware address of a node (may be repeated).
        #[arg(long = "mac", required = true)]
        macs: Vec<String>,
        /// Time between two rounds in microseconds.
        #[arg(long, default_value_t = 1000)]
        interval_us: u64,
    },
}

/// UDP port of the answer service.
pub(crate) const ECHO_PORT: u16 = 7007;

/// TCP port of the service that keeps connections.
pub const TCP_PORT: u16 = 7008;

/// The `main` of `lab-agent`.
///
/// # Errors
/// Whatever stops it, with its context.
pub fn main() -> anyhow::Result<()> {
    match Cli::parse() {
        Cli::Init { config } => init(&serde_json::from_str(&config).context("config")?),
        Cli::Echo { node } => echo::run(node),
        Cli::TcpServe { node } => tcp::serve(node),
        Cli::TcpClient { addr, from, try_ms } => tcp::client(addr, from, Duration::from_millis(try_ms)),
        Cli::Probe { addresses, interval_us } => prober::run(&addresses, interval_us),
        Cli::DownloadServe { port } => download::serve(port),
        Cli::Download { from } => download::client(from),
        Cli::ArpWitness { iface, addr, macs, interval_us } => {
            arp_witness::run(&iface, addr, &macs, interval_us)
        }
        Cli::Witness { iface, addresses, macs, interval_us } => {
            witness::run(&iface, &addresses, &macs, interval_us)
        }
    }
}

fn init(config: &InitConfig) -> anyhow::Result<()> {
    let control = io::stdin().as_fd().try_clone_to_owned().context("control socket")?;
    // Ctrl-C goes to the foreground's process group: the test decides when the lab ends, not the terminal.
    setsid().ok();
    match make_namespaces() {
        Err(error) => say(&control, &Hello::NoNamespaces(format!("{error:#}")), &[])?,
        Ok(user_namespace) => match sys::fork_single_threaded().context("fork")? {
            ForkResult::Parent { child } => wait_for_the_end(&control, child),
            ForkResult::Child => {
                sys::die_with_parent().context("set the parent death signal")?;
                return process_one(&control, config, user_namespace);
            }
        },
    }
    if let Some(dir) = &config.remove_dir {
        fs::remove_dir_all(dir).ok();
    }
    Ok(())
}

/// Returns when all of the lab is gone, or one second after the test is. The lab's processes are dead by then, but if the test
/// was killed, somebody else inherits them and must wait for them before process 1 can go; some machines are slow at that.
fn wait_for_the_end(control: &OwnedFd, process_one: Pid) {
    let gone = || !matches!(waitpid(process_one, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::StillAlive));
    let hung_up = || {
        let mut end = [PollFd::new(control.as_fd(), PollFlags::empty())];
        poll(&mut end, 100_u8).is_ok_and(|ready| ready > 0)
    };
    while !hung_up() {
        if gone() {
            return;
        }
    }
    for _ in 0..500 {
        if gone() {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Mount, network and pid namespace; first a user namespace unless root may do without. True: there is a user namespace.
fn make_namespaces() -> anyhow::Result<bool> {
    let inner = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID;
    if geteuid().is_root() && unshare(inner).is_ok() {
        return Ok(false);
    }
    let (uid, gid) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER).context("make a user namespace")?;
    // A change of credentials hides /proc/self from ourselves until we say otherwise.
    prctl::set_dumpable(true).context("set dumpable")?;
    fs::write("/proc/self/setgroups", "deny").context("/proc/self/setgroups")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1")).context("/proc/self/uid_map")?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1")).context("/proc/self/gid_map")?;
    unshare(inner).context("make a mount and a pid namespace in the user namespace")?;
    Ok(true)
}

fn process_one(control: &OwnedFd, config: &InitConfig, user_namespace: bool) -> anyhow::Result<()> {
    // Orphans are handed to process 1. With SIGCHLD ignored the kernel reaps them; process 1 itself starts nothing.
    sys::ignore(Signal::SIGCHLD).context("ignore SIGCHLD")?;
    let private = MsFlags::MS_PRIVATE | MsFlags::MS_REC;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).context("make mounts private")?;
    // Without a fresh /proc (a container that masks it) the old one still works: /proc/self is found by the outer pid.
    let hidden = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), hidden, None::<&str>).ok();

    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    runtime.block_on(async {
        let hosts = match topology::build(config).await {
            Ok(hosts) => hosts,
            Err(error) => return say(control, &Hello::Failed(format!("{error:#}")), &[]),
        };
        let own = |name: &str| fs::File::open(format!("/proc/self/ns/{name}")).map(OwnedFd::from);
        let pid = own("pid").context("own pid namespace")?;
        let user = if user_namespace { Some(own("user").context("own user namespace")?) } else { None };
        let mut fds: Vec<RawFd> = vec![pid.as_raw_fd()];
        for host in &hosts {
            fds.extend([host.mount.as_raw_fd(), host.net.as_raw_fd()]);
        }
        fds.extend(user.iter().map(AsRawFd::as_raw_fd));
        say(control, &Hello::Ready { hosts: hosts.len(), user_namespace }, &fds)?;
        requests::serve(control.try_clone()?, hosts).await
    })
}

fn say(control: &OwnedFd, hello: &Hello, fds: &[RawFd]) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(hello)?;
    line.push(b'\n');
    let rights = [ControlMessage::ScmRights(fds)];
    let rights = if fds.is_empty() { &[][..] } else { &rights[..] };
    let sent =
        sendmsg::<UnixAddr>(control.as_raw_fd(), &[IoSlice::new(&line)], rights, MsgFlags::empty(), None)?;
    if sent != line.len() {
        bail!("the first line to the test was cut");
    }
    Ok(())
}
