//! `ctdb.tunables` and `tunables.d/*.tunables`: values for the tunables of `recoverd::model`.
//!
//! Pure. One line is `NAME=VALUE`, the value a non-negative whole number; blank lines and lines that start with `#` are skipped. Unlike
//! an unknown key of `ctdb.conf` an unknown name is refused, as in CTDB.

use super::parsed::Parsed;
use super::place::{Place, nearest, quote};
use recoverd::model::Tunables;
use recoverd::model::tunables::{ALL, Info, Kind};
use std::fmt;
use std::path::Path;

/// What can be wrong with a line of a tunables file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TunableFault {
    /// Not `NAME=VALUE`.
    #[error("{0} is not a tunable; write NAME=VALUE, for example KeepaliveInterval=5")]
    NoEquals(String),
    /// No tunable has this name.
    #[error("no tunable is called {name}; {hint}")]
    Unknown {
        /// The name, quoted.
        name: String,
        /// The nearest name, or where to find all.
        hint: Hint,
    },
    /// Not a number.
    #[error("{name} cannot be {value}; write a whole number from 0 to 4294967295{}", if *.comment { ", and comments on lines of their own" } else { "" })]
    Value {
        /// The tunable.
        name: &'static str,
        /// The value, quoted.
        value: String,
        /// A comment stands behind the value.
        comment: bool,
    },
}

/// What to write instead of an unknown name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hint(pub Option<&'static str>);

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => write!(f, "write {name} if that was meant"),
            None => f.write_str("`ctdb listvars` names all"),
        }
    }
}

/// A tunable that was set and has no effect here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inert {
    /// Its name.
    pub name: &'static str,
    /// Its line, from 1.
    pub line: usize,
    /// Why.
    pub kind: Kind,
}

/// Reads the text of a tunables file into `tunables`, over what is set there already. Gives those that have no effect here. Good lines
/// are applied though others are wrong, so use a copy.
pub fn apply(tunables: &mut Tunables, text: &str, file: &Path) -> Parsed<Vec<Inert>, TunableFault> {
    let mut parsed = Parsed { value: Vec::new(), faults: Vec::new() };
    for (index, raw) in text.lines().enumerate() {
        let (line, text) = (index + 1, raw.trim());
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        match setting(text) {
            Ok((info, number)) => {
                let known = tunables.set(info.name, number).is_ok();
                if known && matches!(info.kind, Kind::Obsolete | Kind::Database) {
                    parsed.value.push(Inert { name: info.name, line, kind: info.kind });
                }
            }
            Err(fault) => parsed.faults.push((Place::line(file, line), fault)),
        }
    }
    parsed
}

/// Reads one `NAME=VALUE`.
fn setting(text: &str) -> Result<(&'static Info, u32), TunableFault> {
    let Some((name, value)) = text.split_once('=') else {
        return Err(TunableFault::NoEquals(quote(text)));
    };
    let (name, value) = (name.trim(), value.trim());
    let Some(info) = ALL.iter().find(|info| info.name.eq_ignore_ascii_case(name)) else {
        let hint = Hint(nearest(name, ALL.iter().map(|info| info.name)));
        return Err(TunableFault::Unknown { name: quote(name), hint });
    };
    match value.parse::<u32>().ok().filter(|_| value.bytes().all(|b| b.is_ascii_digit())) {
        Some(number) => Ok((info, number)),
        None => {
            let (name, comment) = (info.name, value.contains(['#', ';']));
            Err(TunableFault::Value { name, value: quote(value), comment })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parsed::told;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<(Tunables, Vec<Inert>), String> {
        let mut tunables = Tunables::default();
        let parsed = apply(&mut tunables, text, Path::new("t"));
        told(parsed).map(|inert| (tunables, inert))
    }

    #[test]
    fn good_lines() {
        for (text, name, value) in [
            ("KeepaliveInterval=3", "KeepaliveInterval", 3),
            ("  KeepaliveInterval = 3  \r\n", "KeepaliveInterval", 3),
            ("keepaliveinterval=0", "KeepaliveInterval", 0),
            ("# c\n\n#x\nRecoverInterval=007", "RecoverInterval", 7),
            ("NoIPFailback=1\nNoIPFailback=0", "NoIPFailback", 0),
            ("RecoverInterval=4294967295", "RecoverInterval", u32::MAX),
        ] {
            assert_eq!(read(text).unwrap().0.get(name), Ok(value), "{text:?}");
        }
    }

    #[test]
    fn bad_lines_name_the_line_and_what_to_write() {
        for (text, expected) in [
            ("KeepaliveInterval", "t:1: \"KeepaliveInterval\" is not a tunable; write NAME=VALUE"),
            (
                "\nKeepAliveIntervall=3",
                "t:2: no tunable is called \"KeepAliveIntervall\"; write KeepaliveInterval if",
            ),
            ("Banana=3", "t:1: no tunable is called \"Banana\"; `ctdb listvars` names all"),
            ("=3", "t:1: no tunable is called \"\""),
            ("RecoverInterval=-1", "t:1: RecoverInterval cannot be \"-1\"; write a whole number"),
            ("RecoverInterval=", "t:1: RecoverInterval cannot be \"\""),
            ("RecoverInterval=+1", "t:1: RecoverInterval cannot be \"+1\""),
            ("RecoverInterval=1s", "t:1: RecoverInterval cannot be \"1s\""),
            ("RecoverInterval=4294967296", "t:1: RecoverInterval cannot be \"4294967296\""),
            (
                "recoverinterval=1 # fast",
                "t:1: RecoverInterval cannot be \"1 # fast\"; write a whole number from 0 to 4294967295, and comments on",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(expected), "{text:?}: {error}");
        }
    }

    #[test]
    fn obsolete_and_database_ones_are_noted() {
        let (tunables, inert) = read("DeterministicIPs=1\nVacuumInterval=20\nRecdFailCount=3\n").unwrap();
        let names: Vec<_> = inert.iter().map(|i| (i.name, i.line, i.kind)).collect();
        assert_eq!(names, [("DeterministicIPs", 1, Kind::Obsolete), ("VacuumInterval", 2, Kind::Database)]);
        assert_eq!(tunables.get("VacuumInterval"), Ok(20));
    }

    proptest! {
        #[test]
        fn any_text_gives_one_line_a_fault(text in "\\PC*|[a-zA-Z=0-9# \n\t-]*") {
            if let Err(error) = read(&text) {
                prop_assert!(error.lines().all(|line| line.starts_with("t:")), "{}", error);
            }
        }
    }
}
