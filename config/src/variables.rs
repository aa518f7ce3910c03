//! The variables of `script.options` that event scripts read (reference/ctdb.md 1.6), and what their values may be.
//!
//! Pure. A variable of the services' scripts whose value nobody checks is only known by its name, so that a misspelt one is found.

use crate::place::{nearest, quote};
use crate::public_addresses::{is_iface_name, parse_line};
use crate::routing::Network;
use std::net::IpAddr;

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Anything.
    Any,
    /// `yes` or `no`.
    YesNo,
    /// `yes`, `no` or `try`.
    YesNoTry,
    /// An absolute path.
    Path,
    /// An absolute path or this word.
    PathOr(&'static str),
    /// An IP address.
    Address,
    /// An address of a host with the mask of its network.
    AddressMask,
    /// A network.
    Network,
    /// Networks with `@GATEWAY` or without, separated by blanks.
    Routes,
    /// An interface.
    Interface,
    /// TCP ports, separated by blanks.
    Ports,
    /// A number in this range.
    Number(u32, u32),
    /// `WARN[:ERR]`.
    Threshold,
    /// `FILESYSTEM:WARN[:ERR]`, separated by blanks.
    Filesystems,
    /// `CHECK:HOST[,TIMEOUT][:WARN[:ERR]]`, separated by blanks.
    Hosts,
}

/// Highest number of a routing table.
const MOST: u32 = u32::MAX - 1;

const KNOWN: &[(&str, Kind)] = &[
    ("CTDB_KILLTCP_USE_SS_KILL", Kind::YesNoTry),
    ("CTDB_PARTIALLY_ONLINE_INTERFACES", Kind::YesNo),
    ("CTDB_NATGW_NODES", Kind::Path),
    ("CTDB_NATGW_PUBLIC_IP", Kind::AddressMask),
    ("CTDB_NATGW_PUBLIC_IFACE", Kind::Interface),
    ("CTDB_NATGW_DEFAULT_GATEWAY", Kind::Address),
    ("CTDB_NATGW_PRIVATE_NETWORK", Kind::Network),
    ("CTDB_NATGW_STATIC_ROUTES", Kind::Routes),
    ("CTDB_PER_IP_ROUTING_CONF", Kind::PathOr("__auto_link_local__")),
    ("CTDB_PER_IP_ROUTING_RULE_PREF", Kind::Number(1, 32765)),
    ("CTDB_PER_IP_ROUTING_TABLE_ID_LOW", Kind::Number(256, MOST)),
    ("CTDB_PER_IP_ROUTING_TABLE_ID_HIGH", Kind::Number(256, MOST)),
    ("CTDB_LVS_NODES", Kind::Path),
    ("CTDB_LVS_PUBLIC_IP", Kind::Address),
    ("CTDB_LVS_PUBLIC_IFACE", Kind::Interface),
    ("CTDB_MONITOR_FILESYSTEM_USAGE", Kind::Filesystems),
    ("CTDB_MONITOR_MEMORY_USAGE", Kind::Threshold),
    ("CTDB_MONITOR_HOSTS", Kind::Hosts),
    ("CTDB_MONITOR_MPDEVICES", Kind::Any),
    ("CTDB_SAMBA_CHECK_PORTS", Kind::Ports),
    ("CTDB_SAMBA_SKIP_SHARE_CHECK", Kind::YesNo),
    ("CTDB_SAMBA_INTERFACES_FILE", Kind::Path),
    ("CTDB_SAMBA_INTERFACES_EXTRA", Kind::Any),
    ("CTDB_SERVICE_SMB", Kind::Any),
    ("CTDB_SERVICE_NMB", Kind::Any),
    ("CTDB_SERVICE_WINBIND", Kind::Any),
    ("CTDB_NFS_CALLOUT", Kind::Any),
    ("CTDB_NFS_CHECKS_DIR", Kind::Path),
    ("CTDB_NFS_EXPORTS_FILE", Kind::Path),
    ("CTDB_NFS_SHARED_STATE_DIR", Kind::Path),
    ("CTDB_NFS_SKIP_SHARE_CHECK", Kind::YesNo),
    ("CTDB_STATD_CALLOUT_SHARED_STORAGE", Kind::Any),
    ("CTDB_RPCINFO_LOCALHOST", Kind::Any),
    ("CTDB_RPCINFO_LOCALHOST6", Kind::Any),
    ("CTDB_VSFTPD_MONITOR_THRESHOLDS", Kind::Threshold),
    ("CTDB_START_ISCSI_SCRIPTS", Kind::Path),
    ("CTDB_CLAMD_SOCKET", Kind::Path),
    ("CTDB_DEBUG_HUNG_SCRIPT_STACKPAT", Kind::Any),
];

/// What a variable's value may be; `None` when no script reads it.
pub(crate) fn kind(name: &str) -> Option<Kind> {
    KNOWN.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
}

/// The known variable that an unknown one was perhaps meant to be.
pub(crate) fn meant(name: &str) -> Option<&'static str> {
    nearest(name, KNOWN.iter().map(|(known, _)| *known))
}

/// What is wrong with a value and what to write; `None` when nothing is. An empty value is as good as none.
pub(crate) fn fault(kind: Kind, value: &str) -> Option<String> {
    if value.is_empty() {
        return None;
    }
    let wrong = |write: &str| Some(format!("cannot be {}; write {write}", quote(value)));
    let every = |good: &dyn Fn(&str) -> bool, write: &str| {
        let bad = value.split_whitespace().find(|word| !good(word))?;
        Some(format!("has {} in it; write {write}", quote(bad)))
    };
    match kind {
        Kind::Any => None,
        Kind::YesNo if ["yes", "no"].contains(&value) => None,
        Kind::YesNo => wrong("yes or no"),
        Kind::YesNoTry if ["yes", "no", "try"].contains(&value) => None,
        Kind::YesNoTry => wrong("yes, no or try"),
        Kind::Path if value.starts_with('/') => None,
        Kind::Path => wrong("an absolute path"),
        Kind::PathOr(word) if value == word || value.starts_with('/') => None,
        Kind::PathOr(word) => wrong(&format!("an absolute path or {word}")),
        Kind::Address if value.parse::<IpAddr>().is_ok() => None,
        Kind::Address => wrong("an IP address without a mask"),
        // The same rules as for a public address.
        Kind::AddressMask => parse_line(value, Some("lo")).err().map(|fault| {
            let fault = fault.to_string();
            let what = fault.split("; write").next().unwrap_or_default();
            format!("is wrong: {what}; write IP/MASKBITS, for example 10.0.0.31/24")
        }),
        Kind::Network => value.parse::<Network>().err().map(|fault| format!("is wrong: {fault}")),
        Kind::Routes => every(&is_route, "NETWORK/MASKBITS or NETWORK/MASKBITS@GATEWAY, separated by blanks"),
        Kind::Interface if is_iface_name(value) => None,
        Kind::Interface => wrong("the name of one interface"),
        Kind::Ports => every(
            &|w| w.parse::<u16>().is_ok_and(|p| p != 0),
            "port numbers from 1 to 65535, separated by blanks",
        ),
        Kind::Number(least, most) => match value.parse::<u32>() {
            Ok(number) if (least..=most).contains(&number) => None,
            _ => wrong(&format!("a number from {least} to {most}")),
        },
        Kind::Threshold if is_threshold(value) => None,
        Kind::Threshold => wrong("WARN or WARN:ERR, two numbers of which the first is not the greater"),
        Kind::Filesystems => every(
            &|word| {
                word.split_once(':').is_some_and(|(fs, limit)| fs.starts_with('/') && is_threshold(limit))
            },
            "/FILESYSTEM:WARN or /FILESYSTEM:WARN:ERR, separated by blanks",
        ),
        Kind::Hosts => {
            every(&is_host_check, "dns, ns or ping, then :HOST[,TIMEOUT][:WARN[:ERR]], separated by blanks")
        }
    }
}

fn is_threshold(text: &str) -> bool {
    let number = |text: &str| text.trim_end_matches('%').parse::<u32>().ok();
    match text.split_once(':') {
        // An empty WARN means no warnings.
        Some(("", error)) => number(error).is_some(),
        Some((warn, error)) => matches!((number(warn), number(error)), (Some(w), Some(e)) if w <= e),
        None => number(text).is_some(),
    }
}

fn is_route(word: &str) -> bool {
    let (network, gateway) = word.split_once('@').map_or((word, None), |(n, g)| (n, Some(g)));
    network.parse::<Network>().is_ok() && gateway.is_none_or(|g| g.parse::<IpAddr>().is_ok())
}

fn is_host_check(word: &str) -> bool {
    let Some((check, rest)) = word.split_once(':') else { return false };
    if !["dns", "ns", "ping"].contains(&check) || rest.is_empty() {
        return false;
    }
    // The host may be an IPv6 address, so a threshold can only follow the time-out, or a host without colons.
    let (host, after) = rest.split_once(',').map_or((rest, None), |(host, after)| (host, Some(after)));
    match after {
        Some(after) => {
            let (timeout, limit) = after.split_once(':').map_or((after, None), |(t, l)| (t, Some(l)));
            !host.is_empty() && timeout.parse::<u32>().is_ok() && limit.is_none_or(is_threshold)
        }
        None if host.parse::<IpAddr>().is_ok() => true,
        None => host.split_once(':').is_none_or(|(host, limit)| !host.is_empty() && is_threshold(limit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_values() {
        for (name, values) in [
            ("CTDB_KILLTCP_USE_SS_KILL", &["yes", "no", "try", ""][..]),
            ("CTDB_NATGW_PUBLIC_IP", &["10.0.0.227/24", "fd00::5/64"]),
            ("CTDB_NATGW_PRIVATE_NETWORK", &["192.168.1.0/24"]),
            ("CTDB_NATGW_STATIC_ROUTES", &["10.1.0.0/16 10.2.0.0/16@10.0.0.1"]),
            ("CTDB_PER_IP_ROUTING_CONF", &["/etc/ctdb/policy_routing", "__auto_link_local__"]),
            ("CTDB_PER_IP_ROUTING_TABLE_ID_LOW", &["1000"]),
            ("CTDB_MONITOR_FILESYSTEM_USAGE", &["/:90 /export:80:95"]),
            ("CTDB_MONITOR_MEMORY_USAGE", &["80", "80:95", "80%:95%"]),
            (
                "CTDB_MONITOR_HOSTS",
                &["ping:10.0.0.1", "dns:h,5:1:3 ns:h:2", "ping:fd00::1", "ping:fd00::1,2:1:2"],
            ),
            ("CTDB_SAMBA_CHECK_PORTS", &["445 139"]),
            ("CTDB_VSFTPD_MONITOR_THRESHOLDS", &["1:2"]),
        ] {
            for value in values {
                assert_eq!(fault(kind(name).unwrap(), value), None, "{name}={value}");
            }
        }
    }

    #[test]
    fn bad_values() {
        for (name, value, expected) in [
            ("CTDB_KILLTCP_USE_SS_KILL", "1", "cannot be \"1\"; write yes, no or try"),
            ("CTDB_PARTIALLY_ONLINE_INTERFACES", "true", "cannot be \"true\"; write yes or no"),
            ("CTDB_NATGW_NODES", "natgw_nodes", "cannot be \"natgw_nodes\"; write an absolute path"),
            ("CTDB_NATGW_PUBLIC_IP", "10.0.0.5", "is wrong: \"10.0.0.5\" has no mask; write IP/MASKBITS"),
            (
                "CTDB_NATGW_PRIVATE_NETWORK",
                "10.0.0.5/24",
                "is wrong: \"10.0.0.5/24\" has bits behind its mask",
            ),
            ("CTDB_NATGW_STATIC_ROUTES", "10.1.0.0/16@gw", "has \"10.1.0.0/16@gw\" in it; write NETWORK"),
            ("CTDB_LVS_PUBLIC_IP", "10.0.0.5/32", "cannot be \"10.0.0.5/32\"; write an IP address without"),
            ("CTDB_LVS_PUBLIC_IFACE", "eth0 eth1", "cannot be \"eth0 eth1\"; write the name of one"),
            ("CTDB_PER_IP_ROUTING_TABLE_ID_LOW", "254", "cannot be \"254\"; write a number from 256"),
            ("CTDB_MONITOR_MEMORY_USAGE", "95:80", "cannot be \"95:80\"; write WARN"),
            ("CTDB_MONITOR_FILESYSTEM_USAGE", "/:90 export:80", "has \"export:80\" in it; write /FILE"),
            ("CTDB_MONITOR_HOSTS", "ping:h http:h", "has \"http:h\" in it; write dns, ns or ping"),
            ("CTDB_SAMBA_CHECK_PORTS", "445,139", "has \"445,139\" in it; write port numbers"),
        ] {
            let found = fault(kind(name).unwrap(), value).unwrap_or_else(|| panic!("{name}={value}"));
            assert!(found.starts_with(expected), "{name}={value}: {found}");
        }
    }

    #[test]
    fn misspelt_names() {
        assert_eq!(meant("CTDB_NATGW_PUBLIC_IFCE"), Some("CTDB_NATGW_PUBLIC_IFACE"));
        assert_eq!(meant("CTDB_OF_OUR_OWN"), None);
        assert_eq!(kind("CTDB_OF_OUR_OWN"), None);
    }
}
