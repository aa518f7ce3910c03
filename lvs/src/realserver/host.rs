//! Looks at this host and changes it: addresses by rtnetlink, settings below `/proc/sys/net/ipv4/conf`.

use super::plan::{Plan, down, up_with};
use super::store::{Store, peek};
use super::{GROUP_SETTINGS, LOOPBACK, RealServerError, SETTINGS, Seen, State, Step};
use crate::ipvs::rtnetlink::{Socket, ask};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope,
};
use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nametoindex;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::{fs, io};

const CONF: &str = "/proc/sys/net/ipv4/conf";
/// RTM_NEWADDR.
const NEW_ADDRESS: u16 = 20;
/// RTM_DELADDR.
const DEL_ADDRESS: u16 = 21;

/// Puts addresses up; the state is kept below `dir` (CTDB_VARDIR).
///
/// # Errors
/// Why not, or not all of it.
pub fn put_up(dir: &Path, vips: &[IpAddr]) -> Result<Plan, RealServerError> {
    put_up_with(&SETTINGS, dir, vips)
}

/// The same for the address of a group: nobody hears of it until [`set_heard`].
///
/// # Errors
/// As [`put_up`].
pub fn put_up_group(dir: &Path, vip: Ipv4Addr) -> Result<Plan, RealServerError> {
    let plan = put_up_with(&GROUP_SETTINGS, dir, &[vip.into()])?;
    // An earlier life may have left it as a leader has it.
    set_heard(vip, false)?;
    Ok(plan)
}

/// Whether this host answers for an address that is on `lo`: scope `global` or `host`. The kernel cannot change a scope, so the address goes
/// and comes back at once.
///
/// # Errors
/// What the kernel refused; the address may be gone then.
pub fn set_heard(vip: Ipv4Addr, heard: bool) -> Result<(), RealServerError> {
    let addr = IpAddr::V4(vip);
    let failed = |step: Step| move |source| RealServerError::Step { step, source };
    change(DEL_ADDRESS, addr, AddressScope::Host, nix::libc::EADDRNOTAVAIL)
        .map_err(failed(Step::Remove(addr)))?;
    let scope = if heard { AddressScope::Universe } else { AddressScope::Host };
    change(NEW_ADDRESS, addr, scope, nix::libc::EEXIST).map_err(failed(Step::Add(addr)))
}

fn put_up_with(least: &[(&str, u32)], dir: &Path, vips: &[IpAddr]) -> Result<Plan, RealServerError> {
    let store = Store::open(dir)?;
    let plan = up_with(least, &store.load(&boot()?)?, &look()?, vips)?;
    store.save(&plan.state)?;
    plan.steps.iter().try_for_each(perform)?;
    Ok(plan)
}

/// Takes addresses down, all of them when none is named.
///
/// # Errors
/// Why not, or not all of it; what is left is still remembered.
pub fn take_down(dir: &Path, vips: &[IpAddr]) -> Result<Plan, RealServerError> {
    let store = Store::open(dir)?;
    let state = store.load(&boot()?)?;
    let all: Vec<IpAddr> = state.vips.keys().copied().collect();
    let plan = down(&state, &look()?, if vips.is_empty() { &all } else { vips });
    plan.steps.iter().try_for_each(perform)?;
    store.save(&plan.state)?;
    Ok(plan)
}

/// What is remembered, and what is seen.
///
/// # Errors
/// When either cannot be read.
pub fn show(dir: &Path) -> Result<(State, Seen), RealServerError> {
    Ok((peek(dir, &boot()?)?, look()?))
}

fn boot() -> Result<String, RealServerError> {
    let file = "/proc/sys/kernel/random/boot_id";
    let id = fs::read_to_string(file).map_err(|source| unreadable(file, source))?;
    Ok(id.trim().to_owned())
}

fn unreadable(what: &str, source: io::Error) -> RealServerError {
    RealServerError::Look { what: what.to_owned(), source }
}

/// Looks.
///
/// # Errors
/// When addresses or settings cannot be read.
pub fn look() -> Result<Seen, RealServerError> {
    let all = getifaddrs().map_err(|e| unreadable("the addresses of this host", e.into()))?;
    let addresses = all.filter_map(|a| {
        let storage = a.address?;
        let v4 = storage.as_sockaddr_in().map(|s| IpAddr::V4(s.ip()));
        let addr = v4.or_else(|| storage.as_sockaddr_in6().map(|s| IpAddr::V6(s.ip())))?;
        // An alias such as lo:0 belongs to its interface.
        let iface = a.interface_name.split(':').next().unwrap_or_default().to_owned();
        Some((iface, addr))
    });
    Ok(Seen { addresses: addresses.collect(), settings: settings()? })
}

fn settings() -> Result<BTreeMap<String, u32>, RealServerError> {
    let mut found = BTreeMap::new();
    let mut names: Vec<String> = SETTINGS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let dirs = fs::read_dir(CONF).map_err(|e| unreadable(CONF, e))?;
    for dir in dirs.flatten() {
        names.push(format!("{}/arp_ignore", dir.file_name().to_string_lossy()));
    }
    for name in names {
        let file = format!("{CONF}/{name}");
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            // An interface that went away since the directory was read.
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(unreadable(&file, e)),
        };
        let value = text
            .trim()
            .parse()
            .map_err(|_| unreadable(&file, io::Error::other(format!("{:?} is no number", text.trim()))))?;
        found.insert(name, value);
    }
    Ok(found)
}

fn perform(step: &Step) -> Result<(), RealServerError> {
    let done = match step {
        Step::Set { name, value } => fs::write(format!("{CONF}/{name}"), value.to_string()),
        Step::Add(addr) => change(NEW_ADDRESS, *addr, AddressScope::Host, nix::libc::EEXIST),
        Step::Remove(addr) => change(DEL_ADDRESS, *addr, AddressScope::Host, nix::libc::EADDRNOTAVAIL),
    };
    done.map_err(|source| RealServerError::Step { step: step.clone(), source })
}

/// Adds or removes an address of the loopback (the scope is that of IPv4; a removal looks at the address only); the errno `fine` says that it is so already.
fn change(kind: u16, addr: IpAddr, scope: AddressScope, fine: i32) -> io::Result<()> {
    let mut message = AddressMessage::default();
    message.header.index = if_nametoindex(LOOPBACK)?;
    message.attributes = vec![AddressAttribute::Local(addr), AddressAttribute::Address(addr)];
    match addr {
        IpAddr::V4(_) => {
            message.header.family = AddressFamily::Inet;
            message.header.prefix_len = 32;
            message.header.scope = scope;
        }
        IpAddr::V6(_) => {
            message.header.family = AddressFamily::Inet6;
            message.header.prefix_len = 128;
            message.header.flags = AddressHeaderFlags::Nodad;
            let flags = AddressFlags::Nodad | AddressFlags::Noprefixroute;
            message.attributes.push(AddressAttribute::Flags(flags));
        }
    }
    match ask(&mut Socket::open()?, kind, &message) {
        Err(e) if e.raw_os_error() == Some(fine) => Ok(()),
        done => done.map(drop),
    }
}
