//! `virtual_server_group`: many addresses, ranges and marks under one name.

use super::report::Place;
use super::tree::Statement;
use super::value::Reader;
use super::words;
use crate::model::{Family, Protocol};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// More addresses than this in one range are a mistake rather than a wish.
const MOST: u128 = 4096;

/// One entry of a group, or what a `virtual_server` names itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// Addresses with one port (none: every port).
    Addrs(Vec<IpAddr>, Option<u16>),
    /// A mark, and its family when it is said.
    Mark(u32, Option<Family>),
}

/// A group by name.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// Its name.
    pub(super) name: String,
    /// Where.
    pub(super) at: Place,
    /// What it has; ports are resolved when the protocol is known, so the statements are kept.
    pub(super) entries: Vec<Statement>,
}

impl Reader<'_> {
    /// The block itself; its entries are read by [`Reader::entry`] for each virtual server that names it.
    pub(super) fn group(&mut self, s: &Statement) -> Option<Group> {
        let name = self.one(s, "a name")?.text.clone();
        let entries = s.block.clone().unwrap_or_default();
        if entries.is_empty() {
            self.report
                .error(s.at(), format!("virtual_server_group {name} has no addresses: write them in braces"));
            return None;
        }
        Some(Group { name, at: s.at().clone(), entries })
    }

    /// One line of a group: `ADDR|RANGE [PORT]` or `fwmark N [inet|inet6]`.
    pub(super) fn entry(&mut self, s: &Statement, protocol: Protocol) -> Option<Entry> {
        if let Some(block) = &s.block {
            let inner = block.first().map_or("", Statement::name);
            self.report
                .error(s.at(), format!("a line of a virtual_server_group has no block ({{ {inner} … }})"));
            return None;
        }
        if s.name() == "fwmark" {
            let family = match s.texts().as_slice() {
                [_] => Ok(None),
                [_, "inet"] => Ok(Some(Family::Inet)),
                [_, "inet6"] => Ok(Some(Family::Inet6)),
                _ => Err(()),
            };
            let mark = s.args.first().and_then(|m| m.text.parse().ok()).filter(|m| *m > 0);
            return match (mark, family) {
                (Some(mark), Ok(family)) => Some(Entry::Mark(mark, family)),
                _ => {
                    let said = format!("fwmark takes a mark from 1 to {} and inet or inet6", u32::MAX);
                    self.report.error(s.at(), said);
                    None
                }
            };
        }
        let addrs = match range(s.name()) {
            Ok(addrs) => Some(addrs),
            Err(why) => {
                let near = words::nearest(s.name(), &["fwmark"])
                    .map_or(String::new(), |w| format!("; did you mean {w}?"));
                self.report.error(s.at(), format!("{why}{near}"));
                None
            }
        };
        let port = match s.args.as_slice() {
            [] => None,
            [port] if port.text == "0" => None,
            [port] => Some(self.port(port, protocol)?),
            _ => {
                self.report.error(s.at(), "an address takes one port".to_owned());
                return None;
            }
        };
        Some(Entry::Addrs(addrs?, port))
    }
}

/// `a.b.c.d`, `a.b.c.1-10`, `a.b.c.d-e.f.g.h`, `a.b.c.8/29`, and the same for IPv6.
///
/// # Errors
/// What is wrong with it.
pub(super) fn range(text: &str) -> Result<Vec<IpAddr>, String> {
    let bad = || format!("\"{text}\" is no address or range: write 192.0.2.1, 192.0.2.1-10 or 192.0.2.8/29");
    let addr = |t: &str| t.parse::<IpAddr>().map_err(|_| bad());
    let (first, last) = if let Some((a, b)) = text.split_once('-') {
        let first = addr(a)?;
        (first, b.parse().or_else(|_| last_part(first, b).ok_or_else(bad))?)
    } else if let Some((a, bits)) = text.split_once('/') {
        let first = addr(a)?;
        let width = if first.is_ipv4() { 32u32 } else { 128 };
        let bits: u32 = bits.parse().ok().filter(|b| *b <= width).ok_or_else(bad)?;
        let size = 1u128.checked_shl(width - bits).unwrap_or(0);
        let hosts = size.wrapping_sub(1);
        if number(first) & hosts != 0 {
            return Err(format!("{text}: {a} is not the first address of a /{bits}"));
        }
        (first, back(number(first) | hosts, first))
    } else {
        let one = addr(text)?;
        (one, one)
    };
    if first.is_ipv4() != last.is_ipv4() || number(last) < number(first) {
        return Err(format!("{text}: the end of the range is before its begin"));
    }
    if number(last) - number(first) >= MOST {
        return Err(format!("{text} is more than {MOST} addresses: use a fwmark service for so many"));
    }
    Ok((number(first)..=number(last)).map(|n| back(n, first)).collect())
}

/// The last part of an address replaced: decimal for IPv4, hexadecimal for IPv6.
fn last_part(first: IpAddr, part: &str) -> Option<IpAddr> {
    match first {
        IpAddr::V4(a) => {
            let mut octets = a.octets();
            octets[3] = part.parse().ok()?;
            Some(octets.into())
        }
        IpAddr::V6(a) => {
            let mut segments = a.segments();
            segments[7] = u16::from_str_radix(part, 16).ok()?;
            Some(segments.into())
        }
    }
}

fn number(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(a) => u32::from(a).into(),
        IpAddr::V6(a) => a.into(),
    }
}

/// The address of a number, in the family of another.
fn back(n: u128, like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::from(n as u32).into(),
        IpAddr::V6(_) => Ipv6Addr::from(n).into(),
    }
}
