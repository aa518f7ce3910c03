//! Words that we do not take: keywords that are left out on purpose, and those that are mistyped.

use super::report::Report;
use super::tree::Statement;

/// Keywords that are no error but have no effect here: (keyword, what to say).
const NO_EFFECT: [(&str, &str); 6] = [
    ("snmp_name", "SNMP: not part of ctdb-ip"),
    ("smtp_alert", "mail: not part of ctdb-ip; use notify_up, notify_down, quorum_up, quorum_down"),
    ("nat_mask", "obsolete since Linux 2.2"),
    ("regex_stack", "not needed: our expressions need no stack of their own"),
    ("checker_log_all_failures", "write log_all_failures in the check"),
    ("hoststr", "obsolete; virtualhost does it"),
];

/// Keywords that would change what is served, and that we do not have: (keyword, what to say).
const LEFT_OUT: [(&str, &str); 6] = [
    ("BFD_CHECK", "BFD checks: not part of ctdb-ip; use PING_CHECK or a MISC_CHECK"),
    ("FILE_CHECK", "file checks: not part of ctdb-ip; a MISC_CHECK with misc_dynamic can read the file"),
    (
        "nftables_ipvs",
        "nftables_ipvs: not part of ctdb-ip; a virtual_server_group makes one service for each address",
    ),
    ("lvs_flush", "lvs_flush: not part of ctdb-ip, which never touches services that it did not make"),
    ("lvs_flush_on_stop", "lvs_flush_on_stop: not needed; ctdb-ip takes its own services away when it stops"),
    (
        "lvs_notify_fifo",
        "notify FIFOs: not part of ctdb-ip; use notify_up, notify_down, quorum_up, quorum_down",
    ),
];

/// Blocks of a keepalived.conf that have no place in a file of virtual servers.
const ELSEWHERE: [&str; 15] = [
    "global_defs",
    "vrrp_instance",
    "vrrp_sync_group",
    "vrrp_script",
    "vrrp_track_process",
    "static_ipaddress",
    "static_routes",
    "static_rules",
    "track_file",
    "vrrp_track_file",
    "garp_group",
    "bfd_instance",
    "track_group",
    "net_namespace",
    "linkbeat_interfaces",
];

/// The known word that was probably meant, when one is near enough.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let near = known.iter().map(|k| (strsim::damerau_levenshtein(&lower, &k.to_lowercase()), *k)).min()?;
    (near.0 <= 1 + word.chars().count() / 4).then_some(near.1)
}

/// Says what is wrong with a keyword that is not among `known` in a block called `within`.
pub(super) fn unknown(s: &Statement, within: &str, known: &[&[&str]], report: &mut Report) {
    let known = &known.concat();
    let name = s.name();
    if let Some((_, why)) = NO_EFFECT.iter().find(|(k, _)| *k == name) {
        report.warn(s.at(), format!("{name} has no effect: {why}"));
        return;
    }
    if let Some((_, why)) = LEFT_OUT.iter().find(|(k, _)| *k == name) {
        report.error(s.at(), *why);
        return;
    }
    let said = if ELSEWHERE.contains(&name) {
        format!(
            "{name} does not belong into a file of virtual servers: `ctdb lvs import FILE` turns a whole keepalived.conf into \
             virtual servers, public addresses and a list of the rest"
        )
    } else if name.starts_with('@') {
        format!("conditional lines ({name}): not part of ctdb-ip; each node has its own file, or the same")
    } else if name.starts_with('$') || name.starts_with('~') {
        format!("parameters and sequences ({name}): not part of ctdb-ip; write the values")
    } else if let Some(near) = nearest(name, known) {
        format!("unknown keyword \"{name}\" in {within}: did you mean {near}?")
    } else {
        format!("unknown keyword \"{name}\" in {within}: known are {}", known.join(", "))
    };
    report.error(s.at(), said);
}
