//! Checks of the kernel: is there an IPVS, does it forward, are its tables large enough.

use super::Finding;
use super::facts::Recycle;
use crate::ipvs::selftest::{SelfTest, Tried};
use crate::ipvs::{Info, IpvsError};

/// Connections for each place of the table from which on look-ups take noticeably longer.
const CHAIN: u64 = 2;
/// `conn_tab_bits` that every kernel takes.
const MOST_BITS: u32 = 20;

/// R3-4: the kernel has ip_vs and lets us use it. Each cause has its own words, and they name the remedy.
pub(super) fn module(ipvs: &Result<Info, IpvsError>) -> Finding {
    let check = "ip_vs";
    let error = match ipvs {
        Ok(info) => return Finding::ok(check, format!("IPVS {}", info.version_text())),
        Err(error) => error,
    };
    let remedy = match error {
        IpvsError::OtherModules { .. } => {
            "boot the kernel whose modules are installed (a reboot after a kernel update), or install the running kernel's modules"
        }
        IpvsError::NoModule { .. } => "install the package with the further modules of this kernel",
        IpvsError::NotLoaded { .. } => "modprobe ip_vs, and repair what it complains about",
        IpvsError::NoFamily { .. } => "boot another build of the kernel",
        IpvsError::NoRight { .. } => {
            "run `ctdb lvs doctor` and ctdbd as root on the host; a container needs CAP_NET_ADMIN"
        }
        IpvsError::Refused { .. } | IpvsError::Malformed { .. } => "look for ip_vs in the kernel's log",
    };
    Finding::failure(check, error.to_string(), remedy)
}

/// R3-1: a connection really gets through, by every method that was tried.
pub(super) fn forwarding(test: &Result<SelfTest, String>) -> Vec<Finding> {
    let check = "forwarding";
    let test = match test {
        Ok(test) => test,
        Err(why) => return vec![Finding::skipped(check, why.clone())],
    };
    let one = |(method, tried): &(_, Tried)| match tried {
        Tried::Forwards(seen) => Finding::ok(check, format!("{method}: {seen}")),
        Tried::NotTried(why) => Finding::skipped(check, format!("{method}: {why}")),
        Tried::DoesNotForward(_) => {
            let alone = SelfTest { methods: vec![(*method, tried.clone())], host: test.host.clone() };
            let remedy = "boot another build of the kernel; nothing in the configuration can repair this";
            Finding::failure(check, alone.to_string(), remedy)
        }
    };
    test.methods.iter().map(one).collect()
}

/// R2-7: the hash table of connections is not much smaller than their number.
pub(super) fn connection_table(size: Option<u32>, connections: Option<u64>) -> Finding {
    let check = "conn_tab_bits";
    let (Some(size), Some(connections)) = (size.map(u64::from).filter(|s| *s > 0), connections) else {
        return Finding::skipped(check, "IPVS could not be asked");
    };
    let evidence = format!("{connections} connections in a table of {size}");
    if connections <= size * CHAIN {
        return Finding::ok(check, evidence);
    }
    let bits = (u64::BITS - connections.leading_zeros()).clamp(8, MOST_BITS);
    Finding::warning(
        check,
        format!("{evidence}: every packet is looked for in chains of {}", connections / size),
        format!(
            "write \"options ip_vs conn_tab_bits={bits}\" into /etc/modprobe.d/ip_vs.conf and load the module anew (a reboot)"
        ),
    )
}

/// Connection tracking drops packets when its table is full.
pub(super) fn conntrack(counted: Option<(u64, u64)>) -> Finding {
    let check = "conntrack";
    let Some((count, max)) = counted else { return Finding::ok(check, "connections are not tracked") };
    let evidence = format!("{count} of {max} tracked connections");
    let remedy = "raise net.netfilter.nf_conntrack_max, or exempt the services with a notrack rule; IPVS itself needs no conntrack \
                  (net.ipv4.vs.conntrack = 0)";
    match count.saturating_mul(100) / max.max(1) {
        95.. => {
            Finding::failure(check, format!("{evidence}: new ones are dropped, or will be at once"), remedy)
        }
        80.. => Finding::warning(check, evidence, remedy),
        _ => Finding::ok(check, evidence),
    }
}

/// R2-7: `tcp_tw_recycle` breaks clients behind NAT, and is gone since Linux 4.12.
pub(super) fn tcp_tw_recycle(seen: &Recycle) -> Vec<Finding> {
    let check = "tcp_tw_recycle";
    let mut found = Vec::new();
    match seen.value {
        Some(value) if value > 0 => found.push(Finding::failure(
            check,
            format!("net.ipv4.tcp_tw_recycle is {value}: connections of clients behind one NAT address are dropped at random"),
            "set it to 0 on directors and real servers",
        )),
        Some(_) => found.push(Finding::ok(check, "0")),
        None if seen.files.is_empty() => found.push(Finding::ok(check, "this kernel has none (removed in Linux 4.12)")),
        None => {}
    }
    found.extend(seen.files.iter().map(|place| {
        Finding::warning(
            check,
            format!("{place} sets net.ipv4.tcp_tw_recycle, which Linux 4.12 removed and which breaks clients behind NAT before"),
            "remove the line",
        )
    }));
    found
}
