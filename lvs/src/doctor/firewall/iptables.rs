//! `iptables-save` and `ip6tables-save`: chains of `filter`, `mangle` and `raw` (`nat` cannot drop).

use super::{Act, Chain, Field, Hook, Match, Rule, Ruleset, network, protocol};

/// Modules that match nothing by themselves, or only what their options say.
const HARMLESS: [&str; 9] =
    ["tcp", "udp", "sctp", "multiport", "state", "conntrack", "comment", "icmp", "icmp6"];
/// Options of targets and comments: of no importance for where a packet goes.
const IGNORED: [&str; 6] =
    ["--comment", "--reject-with", "--log-prefix", "--log-level", "--set-xmark", "--nflog-group"];

/// Reads the text of one family.
#[must_use]
pub fn read(text: &str, v6: bool) -> Ruleset {
    let mut set = Ruleset::default();
    let mut table = String::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('*') {
            name.clone_into(&mut table);
        } else if matches!(table.as_str(), "filter" | "mangle" | "raw") {
            if let Some(chain) = line.strip_prefix(':') {
                let mut words = chain.split_whitespace();
                let (Some(name), Some(policy)) = (words.next(), words.next()) else { continue };
                let priority =
                    ["raw", "mangle", "filter"].iter().position(|t| *t == table).unwrap_or_default();
                let hook = match name {
                    "PREROUTING" => Some(Hook::Prerouting),
                    "INPUT" => Some(Hook::Input),
                    "OUTPUT" => Some(Hook::Output),
                    _ => None,
                };
                let priority = i64::try_from(priority).unwrap_or_default();
                let base = (policy != "-").then_some((hook, priority, policy == "DROP"));
                set.chains.insert(key(v6, &table, name), Chain { base, v6: Some(v6), ..Chain::default() });
            } else if line.starts_with("-A ") {
                let words = words(line);
                let Some(chain) = words.get(1) else { continue };
                let rule = rule(line, words.get(2..).unwrap_or_default(), v6, &table);
                set.chains.entry(key(v6, &table, chain)).or_default().rules.push(rule);
            }
        }
    }
    set
}

fn key(v6: bool, table: &str, chain: &str) -> String {
    format!("{} {table} {chain}", if v6 { "ip6tables" } else { "iptables" })
}

/// Words, with those in double quotes as one.
fn words(line: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut word = String::new();
    let (mut quoted, mut begun) = (false, false);
    for c in line.chars() {
        match c {
            '"' => (quoted, begun) = (!quoted, true),
            c if c.is_whitespace() && !quoted => {
                if begun {
                    all.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            c => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        all.push(word);
    }
    all
}

fn rule(line: &str, words: &[String], v6: bool, table: &str) -> Rule {
    let mut rule = Rule {
        text: format!("{} (table {table}): {line}", if v6 { "ip6tables" } else { "iptables" }),
        matches: Vec::new(),
        act: Act::Nothing,
    };
    let mut words = words.iter().map(String::as_str).peekable();
    let mut not = false;
    while let Some(option) = words.next() {
        if option == "!" {
            not = true;
            continue;
        }
        // Everything up to the next option belongs to this one.
        let mut values = Vec::new();
        while let Some(value) = words.next_if(|w| !w.starts_with('-') && *w != "!") {
            values.push(value);
        }
        let value = values.first().copied().unwrap_or_default();
        match option {
            "-j" => rule.act = target(value, v6, table),
            "-g" => rule.act = Act::Goto(key(v6, table, value)),
            "-m" if HARMLESS.contains(&value) => {}
            "-m" => rule.matches.push(Match { field: Field::Unknown(format!("-m {value}")), not: false }),
            option if IGNORED.contains(&option) => {}
            _ => {
                let unknown = || Field::Unknown(format!("{option} {}", values.join(" ")).trim().to_owned());
                let field = field(option, value).unwrap_or_else(unknown);
                rule.matches.push(Match { field, not });
            }
        }
        not = false;
    }
    rule
}

fn target(name: &str, v6: bool, table: &str) -> Act {
    match name {
        "ACCEPT" => Act::Accept,
        "DROP" | "REJECT" => Act::Drop,
        "RETURN" => Act::Return,
        // Chains of people have small letters, or are declared; what is no chain does nothing to the way.
        other => Act::Jump(key(v6, table, other)),
    }
}

fn field(option: &str, value: &str) -> Option<Field> {
    Some(match option {
        "-s" | "--source" => Field::Source(networks(value)?),
        "-d" | "--destination" => Field::Dest(networks(value)?),
        "-i" | "--in-interface" => Field::InIface(vec![value.to_owned()]),
        "-o" | "--out-interface" => Field::OutIface(vec![value.to_owned()]),
        "-p" | "--protocol" => Field::Protocol(vec![protocol(value)?]),
        "--dport" | "--dports" | "--destination-port" | "--destination-ports" => {
            Field::DestPort(ports(value)?)
        }
        "--sport" | "--sports" | "--source-port" | "--source-ports" => Field::SourcePort(ports(value)?),
        "--state" | "--ctstate" => {
            let has = |state: &str| value.split(',').any(|s| s == state);
            Field::State { new: has("NEW"), established: has("ESTABLISHED"), invalid: has("INVALID") }
        }
        _ => return None,
    })
}

fn networks(value: &str) -> Option<Vec<(std::net::IpAddr, u8)>> {
    value.split(',').map(network).collect()
}

fn ports(value: &str) -> Option<Vec<(u16, u16)>> {
    let range = |text: &str| -> Option<(u16, u16)> {
        match text.split_once(':') {
            None => text.parse().ok().map(|p| (p, p)),
            Some((a, b)) => {
                let end = |t: &str, open: u16| if t.is_empty() { Some(open) } else { t.parse().ok() };
                Some((end(a, 0)?, end(b, u16::MAX)?))
            }
        }
    };
    value.split(',').map(range).collect()
}
