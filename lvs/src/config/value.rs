//! Values of statements: numbers in their range, times, booleans, addresses, ports, programs. Each says what it wants when it gets else.

use super::Surroundings;
use super::report::{Place, Report};
use super::token::Word;
use super::tree::Statement;
use super::types::Script;
use crate::model::{Checksum, Forward, Protocol, Tunnel};
use std::fmt::Display;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// What reading needs: where findings go, and what is asked about the host.
pub(super) struct Reader<'a> {
    /// Findings.
    pub(super) report: &'a mut Report,
    /// The host.
    pub(super) around: &'a dyn Surroundings,
}

impl Reader<'_> {
    /// The one argument of a statement.
    pub(super) fn one<'s>(&mut self, s: &'s Statement, what: &str) -> Option<&'s Word> {
        if let [word] = s.args.as_slice() {
            return Some(word);
        }
        let extra = s.args.get(1).map_or(String::new(), |w| format!(", but \"{}\" follows", w.text));
        self.report.error(s.at(), format!("{} takes {what}{extra}", s.name()));
        None
    }

    /// A statement that is a flag: no argument, or keepalived's later `<BOOL>`.
    pub(super) fn flag(&mut self, s: &Statement) -> bool {
        match s.texts().as_slice() {
            [] | ["on" | "true" | "yes"] => true,
            ["off" | "false" | "no"] => false,
            other => {
                let said = format!("{} takes on, off or nothing, not \"{}\"", s.name(), other.join(" "));
                self.report.error(s.at(), said);
                false
            }
        }
    }

    /// A number in a range.
    pub(super) fn number<T: FromStr + PartialOrd + Display>(
        &mut self,
        s: &Statement,
        range: RangeInclusive<T>,
    ) -> Option<T> {
        let what = format!("a number from {} to {}", range.start(), range.end());
        let word = self.one(s, &what)?;
        let n = word.text.parse().ok().filter(|n| range.contains(n));
        if n.is_none() {
            self.report.error(s.at(), format!("{} takes {what}, not \"{}\"", s.name(), word.text));
        }
        n
    }

    /// `<TIMER>`: seconds with a fraction, up to a day.
    pub(super) fn timer(&mut self, s: &Statement) -> Option<Duration> {
        let what = "seconds, such as 3 or 0.5";
        let word = self.one(s, what)?;
        let plain = word.text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let secs = word.text.parse::<f64>().ok().filter(|t| plain && (0.0..=86400.0).contains(t));
        if secs.is_none() {
            self.report.error(s.at(), format!("{} takes {what}, not \"{}\"", s.name(), word.text));
        }
        // Microseconds are keepalived's resolution.
        secs.map(|t| Duration::from_micros((t * 1e6).round() as u64))
    }

    /// As [`Reader::timer`], but never zero.
    pub(super) fn timer_above_zero(&mut self, s: &Statement) -> Option<Duration> {
        let t = self.timer(s)?;
        if t.is_zero() {
            self.report.error(s.at(), format!("{} must be more than 0 seconds", s.name()));
        }
        Some(t).filter(|t| !t.is_zero())
    }

    /// An address, not a name: names would have to be resolved while services are down.
    pub(super) fn addr(&mut self, word: &Word) -> Option<IpAddr> {
        let addr = word.text.parse::<IpAddr>().ok();
        if addr.is_none() {
            self.report
                .error(&word.at, format!("\"{}\" is no address: write 192.0.2.1 or 2001:db8::1", word.text));
        }
        addr
    }

    /// A port by number or by its name in the host's table of services. Never 0: a name that is not known is an error
    /// (keepalived made port 0 of it, its issue 391).
    pub(super) fn port(&mut self, word: &Word, protocol: Protocol) -> Option<u16> {
        let text = &word.text;
        let said = match text.parse::<u32>() {
            Ok(n) => match u16::try_from(n) {
                Ok(port) if port > 0 => return Some(port),
                _ => format!("port {text} is not in 1 to 65535"),
            },
            Err(_) => match self.around.service_port(text, protocol).filter(|p| *p > 0) {
                Some(port) => return Some(port),
                None => format!(
                    "\"{text}\" is no port: this host knows no {protocol} service of that name; write the number"
                ),
            },
        };
        self.report.error(&word.at, said);
        None
    }

    /// `ADDR [PORT]` of a real or sorry server. Port 0 and no port both mean the service's.
    pub(super) fn addr_port(
        &mut self,
        s: &Statement,
        words: &[Word],
        protocol: Protocol,
    ) -> Option<(IpAddr, Option<u16>)> {
        match words {
            [addr] => Some((self.addr(addr)?, None)),
            [addr, port] if port.text == "0" => Some((self.addr(addr)?, None)),
            [addr, port] => {
                let (addr, port) = (self.addr(addr), self.port(port, protocol));
                Some((addr?, Some(port?)))
            }
            _ => {
                self.report.error(s.at(), format!("{} takes an address and a port", s.name()));
                None
            }
        }
    }

    /// `PROGRAM [USER [GROUP]]`, where a program with arguments is one quoted string.
    pub(super) fn script(&mut self, s: &Statement) -> Option<Script> {
        let [program, rest @ ..] = s.args.as_slice() else {
            self.report.error(s.at(), format!("{} takes a program", s.name()));
            return None;
        };
        let (user, group) = match rest {
            [] => (None, None),
            [user] => (Some(user), None),
            [user, group] => (Some(user), Some(group)),
            _ => {
                self.report.error(s.at(), unquoted(s));
                return None;
            }
        };
        if let Some(user) = rest.iter().find(|w| w.text.starts_with(['-', '/'])) {
            self.report.error(&user.at, unquoted(s));
            return None;
        }
        let argv = self.program(program)?;
        self.account(s.at(), user.map(|w| w.text.as_str()), group.map(|w| w.text.as_str()));
        Some(Script { argv, user: user.map(|w| w.text.clone()), group: group.map(|w| w.text.clone()) })
    }

    /// Whom a program is to be run as must be there, or it never runs.
    pub(super) fn account(&mut self, at: &Place, user: Option<&str>, group: Option<&str>) {
        if let Err(why) = self.around.account(user, group) {
            self.report.error(at, format!("{why}: add it, or name another"));
        }
    }

    /// Splits a program's string into arguments and asks the host whether it can be run.
    pub(super) fn program(&mut self, word: &Word) -> Option<Vec<String>> {
        let argv = match split(&word.text) {
            Ok(argv) => argv,
            Err(why) => {
                self.report.error(&word.at, why);
                return None;
            }
        };
        let program = &argv[0];
        if !program.starts_with('/') {
            self.report.error(&word.at, format!("\"{program}\" is no absolute path: write /path/to/program"));
            return None;
        }
        if let Err(why) = self.around.executable(program) {
            let whole = &word.text;
            let hint = if argv.len() > 1 && self.around.executable(whole).is_ok() {
                format!("; the path has blanks: write \"'{whole}'\"")
            } else {
                String::new()
            };
            self.report.error(&word.at, format!("{program} cannot be run: {why}{hint}"));
            return None;
        }
        Some(argv)
    }

    /// `NAT`, `DR` or `TUN [type ipip|gue port N|gre] [nocsum|csum|remcsum]`, in either case.
    pub(super) fn forward(&mut self, s: &Statement) -> Option<Forward> {
        let words: Vec<String> = s.args.iter().map(|w| w.text.to_ascii_lowercase()).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let csum = |c: &str| match c {
            "nocsum" => Some(Checksum::Nocsum),
            "csum" => Some(Checksum::Csum),
            "remcsum" => Some(Checksum::Remcsum),
            _ => None,
        };
        let forward = match words.as_slice() {
            ["nat"] => Some(Forward::Nat),
            ["dr"] => Some(Forward::Dr),
            ["tun"] | ["tun", "type", "ipip"] => Some(Forward::Tun(Tunnel::Ipip)),
            ["tun", "type", "gue", "port", port, rest @ ..] if rest.len() < 2 => {
                let port = port.parse().ok().filter(|p| *p > 0);
                let csum = rest.first().map_or(Some(Checksum::Nocsum), |c| csum(c));
                port.zip(csum).map(|(port, csum)| Forward::Tun(Tunnel::Gue { port, csum }))
            }
            ["tun", "type", "gre", rest @ ..] if rest.len() < 2 => {
                let csum = rest.first().map_or(Some(Checksum::Nocsum), |c| csum(c));
                csum.filter(|c| *c != Checksum::Remcsum).map(|csum| Forward::Tun(Tunnel::Gre { csum }))
            }
            _ => None,
        };
        if forward.is_none() {
            let said = format!(
                "{} takes NAT, DR, TUN, TUN type ipip, TUN type gue port N [nocsum|csum|remcsum] or TUN type gre [nocsum|csum], \
                 not \"{}\"",
                s.name(),
                s.texts().join(" ")
            );
            self.report.error(s.at(), said);
        }
        forward
    }
}

fn unquoted(s: &Statement) -> String {
    format!("a program with arguments must be quoted: write {} \"{}\"", s.name(), s.texts().join(" "))
}

/// Splits a program's string as keepalived.conf(5) says: blanks separate, single quotes (and, within those of the file, double ones)
/// keep blanks together. No shell: no variables, no patterns.
///
/// # Errors
/// What is wrong, when there is no word or a quote does not end.
pub fn split(text: &str) -> Result<Vec<String>, String> {
    let mut argv = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.peek().is_none() {
            break;
        }
        let mut arg = String::new();
        while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
            match c {
                '\'' | '"' => loop {
                    match chars.next() {
                        Some(q) if q == c => break,
                        Some(other) => arg.push(other),
                        None => return Err(format!("a quoted argument has no closing {c} in: {text}")),
                    }
                },
                '\\' => arg.push(chars.next().unwrap_or('\\')),
                c => arg.push(c),
            }
        }
        argv.push(arg);
    }
    if argv.first().is_none_or(String::is_empty) {
        return Err("no program is named".to_owned());
    }
    Ok(argv)
}
