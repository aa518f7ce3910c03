//! `nft -j list ruleset` (libnftables-json(5)).

use super::{Act, Chain, Field, Hook, Match, Rule, Ruleset, network, protocol};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Our own tables: the gate drops what this node may not serve, by design.
const OURS: [&str; 2] = ["ctdb_gate", "ctdb_natgw"];

/// Reads the ruleset.
///
/// # Errors
/// What is no JSON, or not of nft.
pub fn read(text: &str) -> Result<Ruleset, String> {
    let all: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let objects = all.get("nftables").and_then(Value::as_array).ok_or("no list \"nftables\"")?;
    let mut set = Ruleset::default();
    let of = |kind: &'static str| objects.iter().filter_map(move |o| o.get(kind)?.as_object()).filter(wanted);
    let mut sets = BTreeMap::new();
    for s in of("set") {
        sets.insert(place(s, "name"), s.get("elem").cloned().unwrap_or(Value::Array(Vec::new())));
    }
    for c in of("chain") {
        let hook = match text_of(c, "hook") {
            "prerouting" => Some(Hook::Prerouting),
            "input" => Some(Hook::Input),
            "output" => Some(Hook::Output),
            _ => None,
        };
        let base = c.contains_key("hook").then(|| {
            (hook, c.get("prio").and_then(Value::as_i64).unwrap_or_default(), text_of(c, "policy") == "drop")
        });
        let v6 = match text_of(c, "family") {
            "ip" => Some(false),
            "ip6" => Some(true),
            _ => None,
        };
        set.chains.insert(place(c, "name"), Chain { base, v6, ..Chain::default() });
    }
    for r in of("rule") {
        let chain = place(r, "chain");
        let rules = Reader { rule: r, chain: &chain, sets: &sets }.rules();
        set.chains.entry(chain).or_default().rules.extend(rules);
    }
    Ok(set)
}

/// Only families that see IP, and tables of others. Base chains of `nat` decide nothing about passing.
fn wanted(object: &&Map<String, Value>) -> bool {
    matches!(text_of(object, "family"), "ip" | "ip6" | "inet")
        && !OURS.contains(&text_of(object, "table"))
        && text_of(object, "type") != "nat"
}

fn text_of<'a>(object: &'a Map<String, Value>, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// `nft inet filter input`: a chain or set with its table.
fn place(object: &Map<String, Value>, name: &str) -> String {
    format!("nft {} {} {}", text_of(object, "family"), text_of(object, "table"), text_of(object, name))
}

struct Reader<'a> {
    rule: &'a Map<String, Value>,
    chain: &'a str,
    sets: &'a BTreeMap<String, Value>,
}

impl Reader<'_> {
    /// The rule; several when it has a verdict map.
    fn rules(&self) -> Vec<Rule> {
        let mut matches = Vec::new();
        let mut rules = Vec::new();
        let mut act = Act::Nothing;
        for statement in self.rule.get("expr").and_then(Value::as_array).into_iter().flatten() {
            let Some((kind, value)) = statement.as_object().and_then(|o| o.iter().next()) else { continue };
            match kind.as_str() {
                "match" => matches.extend(self.matches(value)),
                "accept" | "drop" | "reject" | "return" | "jump" | "goto" => act = self.act(kind, value),
                "vmap" => rules.extend(self.verdict_map(value, &matches)),
                "counter" | "log" | "mangle" | "notrack" | "comment" | "ct helper" => {}
                other => matches.push(Match { field: Field::Unknown(other.to_owned()), not: false }),
            }
        }
        rules.push(self.rule(matches, act));
        rules
    }

    fn rule(&self, matches: Vec<Match>, act: Act) -> Rule {
        let words: Vec<String> = matches.iter().map(ToString::to_string).collect();
        let verdict = match &act {
            Act::Accept => "accept",
            Act::Drop => "drop",
            Act::Return => "return",
            Act::Jump(_) => "jump",
            Act::Goto(_) => "goto",
            Act::Nothing => "",
        };
        let handle = self.rule.get("handle").and_then(Value::as_u64).unwrap_or_default();
        let text = format!("{} handle {handle}: {} {verdict}", self.chain, words.join(" "));
        Rule { text: text.trim().to_owned(), matches, act }
    }

    fn act(&self, kind: &str, value: &Value) -> Act {
        let target = || {
            let name = value.get("target").and_then(Value::as_str).unwrap_or_default();
            format!("nft {} {} {name}", text_of(self.rule, "family"), text_of(self.rule, "table"))
        };
        match kind {
            "accept" => Act::Accept,
            "drop" | "reject" => Act::Drop,
            "return" => Act::Return,
            "jump" => Act::Jump(target()),
            "goto" => Act::Goto(target()),
            _ => Act::Nothing,
        }
    }

    /// `KEY vmap { VALUE : VERDICT, … }` is a rule for each of its pairs.
    fn verdict_map(&self, map: &Value, before: &[Match]) -> Vec<Rule> {
        let pairs = map.pointer("/data/set").and_then(Value::as_array);
        let key = map.get("key").unwrap_or(&Value::Null);
        let one = |pair: &Value| {
            let verdict = pair.get(1)?.as_object()?.iter().next()?;
            let mut matches = before.to_vec();
            matches.extend(self.field(key, pair.get(0)?, false));
            Some(self.rule(matches, self.act(verdict.0, verdict.1)))
        };
        pairs.into_iter().flatten().filter_map(one).collect()
    }

    fn matches(&self, value: &Value) -> Vec<Match> {
        let not = match value.get("op").and_then(Value::as_str) {
            Some("==" | "in") => false,
            Some("!=") => true,
            // Comparisons; nobody filters ports with them.
            _ => return vec![Match { field: Field::Unknown(value.to_string()), not: false }],
        };
        let null = Value::Null;
        self.field(value.get("left").unwrap_or(&null), value.get("right").unwrap_or(&null), not)
    }

    /// What `left` looks at, with the values of `right`. What is of a transport protocol (a port, a type of ICMP) is in its packets only.
    fn field(&self, left: &Value, right: &Value, not: bool) -> Vec<Match> {
        let right = match right.as_str().and_then(|name| name.strip_prefix('@')) {
            Some(name) => {
                let place =
                    format!("nft {} {} {name}", text_of(self.rule, "family"), text_of(self.rule, "table"));
                self.sets.get(&place).cloned().unwrap_or(Value::Null)
            }
            None => right.clone(),
        };
        let unknown = || Field::Unknown(format!("{left} {right}"));
        let values = values(&right);
        let mut found = Vec::new();
        let get = |path: &str| left.pointer(path).and_then(Value::as_str);
        let field = if let (Some(of), Some(what)) = (get("/payload/protocol"), get("/payload/field")) {
            if let Some(number) = protocol(of) {
                found.push(Match { field: Field::Protocol(vec![number]), not: false });
            }
            match what {
                "dport" => all(&values, ports).map(Field::DestPort),
                "sport" => all(&values, ports).map(Field::SourcePort),
                "saddr" => all(&values, nets).map(Field::Source),
                "daddr" => all(&values, nets).map(Field::Dest),
                "protocol" | "nexthdr" => all(&values, protocol_of).map(Field::Protocol),
                _ => None,
            }
        } else if let Some(key) = get("/meta/key") {
            let names = |v: &Value| v.as_str().map(str::to_owned);
            match key {
                "iifname" | "iif" => all(&values, names).map(Field::InIface),
                "oifname" | "oif" => all(&values, names).map(Field::OutIface),
                "l4proto" => all(&values, protocol_of).map(Field::Protocol),
                _ => None,
            }
        } else if get("/ct/key") == Some("state") {
            let has = |state: &str| values.iter().any(|v| v.as_str() == Some(state));
            Some(Field::State { new: has("new"), established: has("established"), invalid: has("invalid") })
        } else {
            None
        };
        found.push(Match { field: field.unwrap_or_else(unknown), not });
        found
    }
}

/// The values of a right side: one, a list, a set.
fn values(right: &Value) -> Vec<Value> {
    match right {
        Value::Array(list) => list.iter().flat_map(values).collect(),
        Value::Object(o) => match (o.get("set"), o.get("elem")) {
            (Some(set), _) => values(set),
            (_, Some(elem)) => values(elem.get("val").unwrap_or(elem)),
            _ => vec![right.clone()],
        },
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    }
}

/// All values of one kind, or none at all: a half-understood set would match too little.
fn all<T>(values: &[Value], one: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    values.iter().map(one).collect()
}

fn ports(value: &Value) -> Option<(u16, u16)> {
    let number = |v: &Value| v.as_u64().and_then(|n| u16::try_from(n).ok());
    match value.get("range").and_then(Value::as_array) {
        Some(range) => Some((number(range.first()?)?, number(range.get(1)?)?)),
        None => number(value).map(|p| (p, p)),
    }
}

fn nets(value: &Value) -> Option<(IpAddr, u8)> {
    if let Some(prefix) = value.get("prefix") {
        let bits = u8::try_from(prefix.get("len")?.as_u64()?).ok()?;
        return Some((prefix.get("addr")?.as_str()?.parse().ok()?, bits));
    }
    network(value.as_str()?)
}

fn protocol_of(value: &Value) -> Option<u8> {
    match value.as_str() {
        Some(name) => protocol(name),
        None => u8::try_from(value.as_u64()?).ok(),
    }
}
