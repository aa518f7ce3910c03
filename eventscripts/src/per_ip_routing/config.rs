//! The configuration of `13.per_ip_routing`: which routes are for which address.

use crate::options::{Setting, Settings};
use crate::routing::Net;
use recoverd::model::PublicAddress;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// Where the routes stand.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// `__auto_link_local__`: each address has the network of its own mask.
    LinkLocal,
    /// A file of lines `IP DEST/MASK [GATEWAY]`.
    File(PathBuf),
}

/// What is configured.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Config {
    pub(super) source: Source,
    /// Priority of the rules.
    pub(super) pref: u32,
    /// The routing tables that are ours.
    pub(super) tables: RangeInclusive<u32>,
}

/// A line for an address: where to, and through whom.
pub(super) type Line = (Net, Option<IpAddr>);

impl Config {
    /// `None` when `CTDB_PER_IP_ROUTING_CONF` is not set; else what is set, or what is wrong with it and where.
    pub(super) fn read(settings: &Settings) -> Result<Option<Self>, String> {
        let Some(conf) = settings.get("CTDB_PER_IP_ROUTING_CONF") else { return Ok(None) };
        let source = match conf.value.as_str() {
            "__auto_link_local__" => Source::LinkLocal,
            file => Source::File(file.into()),
        };
        let pref = number(settings, conf, "CTDB_PER_IP_ROUTING_RULE_PREF", 1..=32765, "100 is usual")?;
        let low =
            number(settings, conf, "CTDB_PER_IP_ROUTING_TABLE_ID_LOW", 256..=u32::MAX, "1000 is usual")?;
        let high =
            number(settings, conf, "CTDB_PER_IP_ROUTING_TABLE_ID_HIGH", low..=u32::MAX, "9000 is usual")?;
        Ok(Some(Self { source, pref, tables: low..=high }))
    }

    /// All lines, as they are now.
    pub(super) fn lines(&self, public: &[PublicAddress]) -> Result<Lines, String> {
        match &self.source {
            Source::LinkLocal => {
                let net = |p: &PublicAddress| Net { addr: p.addr, prefix: p.prefix }.network();
                Ok(Lines(public.iter().map(|p| (Some(p.addr), Ok((net(p), None)))).collect()))
            }
            Source::File(file) => parse(file),
        }
    }
}

/// Address and line, or what is wrong with the line. A line whose address cannot be read is nobody's.
pub(super) struct Lines(Vec<(Option<IpAddr>, Result<Line, String>)>);

impl Lines {
    /// The lines of an address in their order, unless one of them is wrong.
    pub(super) fn of(&self, addr: IpAddr) -> Result<Vec<Line>, String> {
        self.0.iter().filter(|(whose, _)| *whose == Some(addr)).map(|(_, line)| line.clone()).collect()
    }

    /// Everything that is wrong, a line each.
    pub(super) fn check(&self) -> Result<(), String> {
        let faults: Vec<&str> =
            self.0.iter().filter_map(|(_, line)| line.as_ref().err()).map(String::as_str).collect();
        if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
    }
}

/// The value of a variable that must be a number, and must be set once `conf` is.
fn number(
    settings: &Settings,
    conf: &Setting,
    name: &str,
    range: RangeInclusive<u32>,
    usual: &str,
) -> Result<u32, String> {
    let Some(Setting { value, place }) = settings.get(name) else {
        return Err(format!(
            "{}: CTDB_PER_IP_ROUTING_CONF is set, but {name} is not; set it ({usual})",
            conf.place
        ));
    };
    value.parse().ok().filter(|n| range.contains(n)).ok_or_else(|| {
        let (low, high) = (range.start(), range.end());
        format!("{place}: {name}={value} is no number from {low} to {high}; {usual}")
    })
}

fn parse(file: &Path) -> Result<Lines, String> {
    let text = std::fs::read_to_string(file).map_err(|e| {
        format!("CTDB_PER_IP_ROUTING_CONF={}: {e}; make the file or unset it", file.display())
    })?;
    let lines = text.lines().enumerate().map(|(n, text)| (n + 1, text.trim()));
    let lines = lines.filter(|(_, text)| !text.is_empty() && !text.starts_with('#'));
    let parsed = lines.map(|(n, text)| {
        let wrong = |what: String| format!("{}:{n}: {what}; write IP DEST/MASK [GATEWAY]", file.display());
        let words: Vec<&str> = text.split_whitespace().collect();
        let whose = words.first().and_then(|a| a.parse().ok());
        (whose, line(&words).map_err(wrong))
    });
    Ok(Lines(parsed.collect()))
}

fn line(words: &[&str]) -> Result<Line, String> {
    let (addr, dest, gateway) = match words {
        [addr, dest] => (addr, dest, None),
        [addr, dest, gateway] => (addr, dest, Some(gateway)),
        _ => return Err("not two or three words".to_owned()),
    };
    addr.parse::<IpAddr>().map_err(|_| format!("{addr} is no address"))?;
    let dest = Net::parse(dest).ok_or_else(|| format!("{dest} is no network"))?;
    let gateway = gateway.map(|g| g.parse().map_err(|_| format!("{g} is no address"))).transpose()?;
    Ok((dest.network(), gateway))
}
