//! What files and other programs tell: `/proc`, sysctl files, the rules of packet filters.

use super::super::facts::Recycle;
use super::super::firewall::{Ruleset, iptables, nft};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::process::Command;

/// A file's text; none when it cannot be read.
pub(super) fn text(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// Its first line.
pub(super) fn line(path: &str) -> Option<String> {
    Some(text(path)?.trim().to_owned())
}

/// A number.
pub(super) fn number(path: &str) -> Option<u64> {
    line(path)?.parse().ok()
}

/// Tracked connections and the most that there can be.
pub(super) fn conntrack() -> Option<(u64, u64)> {
    let of = |name: &str| number(&format!("/proc/sys/net/netfilter/nf_conntrack_{name}"));
    Some((of("count")?, of("max")?))
}

/// `tcp_tw_recycle`, in the kernel and in sysctl's files.
pub(super) fn recycle() -> Recycle {
    let value = number("/proc/sys/net/ipv4/tcp_tw_recycle").and_then(|v| u32::try_from(v).ok());
    let mut names = vec!["/etc/sysctl.conf".to_owned()];
    let dir = fs::read_dir("/etc/sysctl.d").into_iter().flatten().flatten();
    names.extend(dir.map(|e| e.path().display().to_string()).filter(|p| p.ends_with(".conf")));
    names.sort();
    let files = names.iter().flat_map(|name| recycle_lines(name, &text(name).unwrap_or_default())).collect();
    Recycle { value, files }
}

fn recycle_lines(name: &str, text: &str) -> Vec<String> {
    let sets = |line: &str| {
        let (key, value) = line.split_once('=')?;
        let key = key.trim().trim_start_matches('-').replace('/', ".");
        (key == "net.ipv4.tcp_tw_recycle" && value.trim() != "0").then_some(())
    };
    let lines = text.lines().enumerate();
    lines.filter(|(_, l)| sets(l.trim()).is_some()).map(|(n, _)| format!("{name}:{}", n + 1)).collect()
}

/// `/proc/net/arp`: whose hardware address it is.
pub(super) fn neighbours() -> BTreeMap<String, IpAddr> {
    neighbours_in(&text("/proc/net/arp").unwrap_or_default())
}

fn neighbours_in(text: &str) -> BTreeMap<String, IpAddr> {
    let one = |line: &str| {
        let mut words = line.split_whitespace();
        let addr = words.next()?.parse().ok()?;
        let mac = words.nth(2)?;
        (mac != "00:00:00:00:00:00").then(|| (mac.to_owned(), addr))
    };
    text.lines().skip(1).filter_map(one).collect()
}

/// Interfaces of IPv4 default routes (`/proc/net/route`).
pub(super) fn default_routes() -> Vec<String> {
    default_routes_in(&text("/proc/net/route").unwrap_or_default())
}

fn default_routes_in(text: &str) -> Vec<String> {
    let one = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let any = words.get(1) == Some(&"00000000") && words.get(7) == Some(&"00000000");
        any.then(|| words.first().map(|w| (*w).to_owned())).flatten()
    };
    text.lines().skip(1).filter_map(one).collect()
}

/// The packet filters of this host, and why some could not be read. A program that is not there has no rules.
pub(super) fn rulesets() -> (Vec<Ruleset>, Vec<String>) {
    let (mut all, mut unread) = (Vec::new(), Vec::new());
    for (argv, v6) in [
        (vec!["iptables-save"], false),
        (vec!["iptables-legacy-save"], false),
        (vec!["ip6tables-save"], true),
        (vec!["nft", "-j", "list", "ruleset"], false),
    ] {
        let read = match run(&argv) {
            Ok(None) => continue,
            Ok(Some(text)) if argv.first() == Some(&"nft") => nft::read(&text),
            Ok(Some(text)) => Ok(iptables::read(&text, v6)),
            Err(why) => Err(why),
        };
        match read {
            Ok(set) => all.push(set),
            Err(why) => unread.push(format!("rules cannot be read by {}: {why}", argv.join(" "))),
        }
    }
    (all, unread)
}

/// What a program prints; none when it is not installed.
fn run(argv: &[&str]) -> Result<Option<String>, String> {
    let Some((program, args)) = argv.split_first() else { return Ok(None) };
    let path = std::env::var("PATH").unwrap_or_default();
    // Administrators' programs are not in everybody's path.
    let output = Command::new(program).args(args).env("PATH", format!("{path}:/usr/sbin:/sbin")).output();
    match output {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e.to_string()),
        Ok(o) if o.status.success() => Ok(Some(String::from_utf8_lossy(&o.stdout).into_owned())),
        Ok(o) => {
            let said = String::from_utf8_lossy(&o.stderr);
            Err(format!("{}: {}", o.status, said.lines().next().unwrap_or_default()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sysctl_files() {
        let text = "# net.ipv4.tcp_tw_recycle = 1\nnet.ipv4.ip_forward=1\nnet.ipv4.tcp_tw_recycle = 1\nnet/ipv4/tcp_tw_recycle=0\n";
        assert_eq!(recycle_lines("f", text), ["f:3"]);
    }

    #[test]
    fn neighbours_and_default_routes() {
        let arp = "IP address       HW type     Flags       HW address            Mask     Device\n\
                   10.0.0.5         0x1         0x2         02:00:00:00:00:05     *        eth0\n\
                   10.0.0.6         0x1         0x0         00:00:00:00:00:00     *        eth0\n";
        assert_eq!(
            neighbours_in(arp),
            [("02:00:00:00:00:05".to_owned(), "10.0.0.5".parse().unwrap())].into()
        );
        let routes = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                      eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                      eth1\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        assert_eq!(default_routes_in(routes), ["eth0"]);
    }
}
