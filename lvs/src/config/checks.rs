//! The checkers: TCP, ping, HTTP and HTTPS, UDP, SMTP, DNS, programs.

use super::check_types::{Check, CheckKind, DnsType, HttpCheck, Target, Tls, UdpCheck, UdpReply};
use super::inherit::{self, Inherited};
use super::tree::Statement;
use super::types::{RealServer, Script, TlsFiles};
use super::value::Reader;
use super::{tls, words};
use crate::model::Protocol;
use std::time::Duration;

/// Keywords of every check beside those of every level, for "did you mean".
const COMMON: [&str; 7] =
    ["connect_ip", "connect_port", "bindto", "bind_if", "bind_port", "fwmark", "log_all_failures"];

/// What is gathered while a block is read; each kind of check uses its part.
#[derive(Debug, Default)]
struct Block {
    http: Option<HttpCheck>,
    udp: UdpCheck,
    helo: Option<String>,
    dns: (DnsType, Option<String>),
    argv: Option<Vec<String>>,
    misc_timeout: Option<Duration>,
    dynamic: bool,
    user: (Option<String>, Option<String>),
    reply_limits: (u16, u16),
}

/// Keywords that one kind of check has beside [`COMMON`].
fn own_keywords(kind: &str) -> &'static [&'static str] {
    match kind {
        "HTTP_GET" => &["url", "http_protocol", "fast_recovery"],
        "SSL_GET" => &["url", "http_protocol", "fast_recovery", "enable_sni", "sni_name", "ca"],
        "SMTP_CHECK" => &["helo_name"],
        "DNS_CHECK" => &["type", "name"],
        "MISC_CHECK" => &["misc_path", "misc_timeout", "misc_dynamic", "user"],
        "UDP_CHECK" => &["payload", "require_reply", "min_reply_length", "max_reply_length"],
        _ => &[],
    }
}

impl Reader<'_> {
    /// One checker of a real server.
    pub(super) fn check(
        &mut self,
        s: &Statement,
        server: &RealServer,
        protocol: Protocol,
        above: &Inherited,
        tls: &TlsFiles,
    ) -> Option<Check> {
        let mut inherited = above.clone();
        let mut target = Target {
            addr: server.addr,
            port: server.port.unwrap_or(0),
            bind_ip: None,
            bind_port: None,
            bind_if: None,
            fwmark: None,
        };
        let mut log_all_failures = false;
        let mut block = Block { reply_limits: (0, 255), ..Block::default() };
        let own = own_keywords(s.name());
        if matches!(s.name(), "HTTP_GET" | "SSL_GET") {
            let ca = || tls.ca.clone();
            block.http = Some(HttpCheck {
                tls: (s.name() == "SSL_GET").then(|| Tls { ca: ca(), ..Tls::default() }),
                version: Default::default(),
                urls: Vec::new(),
                fast_recovery: false,
            });
        }
        for statement in s.block.iter().flatten() {
            // Older files have virtualhost beside the URLs.
            if statement.name() == "virtualhost" && block.http.is_some() {
                inherited.virtualhost = self.one(statement, "a host name").map(|w| w.text.clone());
            }
        }
        for statement in s.block.iter().flatten() {
            let value = |reader: &mut Self, what| reader.one(statement, what).cloned();
            match statement.name() {
                "connect_ip" => {
                    target.addr = value(self, "an address").and_then(|w| self.addr(&w)).unwrap_or(server.addr)
                }
                "connect_port" => {
                    target.port =
                        value(self, "a port").and_then(|w| self.port(&w, protocol)).unwrap_or(target.port);
                }
                "bindto" => target.bind_ip = value(self, "an address").and_then(|w| self.addr(&w)),
                "bind_port" => target.bind_port = value(self, "a port").and_then(|w| self.port(&w, protocol)),
                "bind_if" => target.bind_if = value(self, "an interface").map(|w| w.text),
                "fwmark" => target.fwmark = self.number(statement, 1..=u32::MAX),
                "log_all_failures" => log_all_failures = self.flag(statement),
                "virtualhost" if block.http.is_some() => {}
                name if own.contains(&name) => self.own(statement, &mut block, &inherited),
                _ => {
                    if !inherited.take(statement, self) {
                        words::unknown(statement, s.name(), &[&COMMON, &inherit::KEYS, own], self.report);
                    }
                }
            }
        }
        let kind = self.kind(s, block)?;
        let timing = inherited.timing(&kind);
        Some(Check { at: s.at().clone(), kind, timing, target, alpha: inherited.alpha, log_all_failures })
    }

    /// A keyword of one kind of check.
    fn own(&mut self, s: &Statement, block: &mut Block, inherited: &Inherited) {
        match s.name() {
            "misc_path" if s.args.len() > 1 => {
                let said = format!(
                    "misc_path with arguments must be quoted: write misc_path \"{}\"",
                    s.texts().join(" ")
                );
                self.report.error(s.at(), said);
            }
            "misc_path" => block.argv = self.one(s, "a program").cloned().and_then(|w| self.program(&w)),
            "misc_timeout" => block.misc_timeout = self.timer_above_zero(s),
            "misc_dynamic" => block.dynamic = self.flag(s),
            "user" => match s.texts().as_slice() {
                [user] => block.user = (Some((*user).to_owned()), None),
                [user, group] => block.user = (Some((*user).to_owned()), Some((*group).to_owned())),
                _ => {
                    self.report.error(s.at(), "user takes a user and, when it is not the user's own, a group")
                }
            },
            "helo_name" => block.helo = self.one(s, "a host name").map(|w| w.text.clone()),
            "type" => block.dns.0 = self.dns_type(s).unwrap_or_default(),
            "name" => block.dns.1 = self.one(s, "a domain name").map(|w| w.text.clone()),
            "payload" => {
                block.udp.payload = self.hex(s, false).map(|p| p.into_iter().map(|(v, _)| v).collect())
            }
            "require_reply" => {
                let pattern = if s.args.is_empty() { Some(Vec::new()) } else { self.hex(s, true) };
                block.udp.reply = pattern.map(|pattern| UdpReply { pattern, min: 0, max: 255 });
            }
            "min_reply_length" => block.reply_limits.0 = self.number(s, 0..=65507).unwrap_or(0),
            "max_reply_length" => block.reply_limits.1 = self.number(s, 0..=65507).unwrap_or(255),
            _ => {
                if let Some(http) = &mut block.http {
                    self.http_setting(s, http, inherited);
                }
            }
        }
    }

    fn kind(&mut self, s: &Statement, block: Block) -> Option<CheckKind> {
        Some(match s.name() {
            "TCP_CHECK" => CheckKind::Tcp,
            "PING_CHECK" => CheckKind::Ping,
            "SMTP_CHECK" => CheckKind::Smtp { helo: block.helo },
            "DNS_CHECK" => {
                CheckKind::Dns { query: block.dns.0, name: block.dns.1.unwrap_or_else(|| ".".to_owned()) }
            }
            "UDP_CHECK" => {
                let (min, max) = block.reply_limits;
                if min > max {
                    self.report
                        .error(s.at(), format!("min_reply_length {min} is more than max_reply_length {max}"));
                }
                let reply = block.udp.reply.map(|r| UdpReply { min, max, ..r });
                CheckKind::Udp(UdpCheck { reply, ..block.udp })
            }
            "MISC_CHECK" => {
                let Some(argv) = block.argv else {
                    if !s.block.iter().flatten().any(|s| s.name() == "misc_path") {
                        self.report.error(s.at(), "MISC_CHECK has no misc_path");
                    }
                    return None;
                };
                let (user, group) = block.user;
                self.account(s.at(), user.as_deref(), group.as_deref());
                let script = Script { argv, user, group };
                CheckKind::Misc { script, timeout: block.misc_timeout, dynamic: block.dynamic }
            }
            _ => {
                let http = block.http?;
                if http.urls.is_empty() {
                    if !s.block.iter().flatten().any(|s| s.name() == "url") {
                        self.report.error(s.at(), format!("{} has no url {{ path … }}", s.name()));
                    }
                    return None;
                }
                let named =
                    http.tls.iter().flat_map(|tls| http.urls.iter().map(|url| tls::server_name(tls, url)));
                for why in named.filter_map(Result::err) {
                    self.report.error(s.at(), why);
                }
                CheckKind::Http(http)
            }
        })
    }

    fn dns_type(&mut self, s: &Statement) -> Option<DnsType> {
        let word = self.one(s, "A, NS, CNAME, SOA, MX, TXT or AAAA")?;
        let kind = match word.text.to_ascii_uppercase().as_str() {
            "A" => DnsType::A,
            "NS" => DnsType::Ns,
            "CNAME" => DnsType::Cname,
            "SOA" => DnsType::Soa,
            "MX" => DnsType::Mx,
            "TXT" => DnsType::Txt,
            "AAAA" => DnsType::Aaaa,
            other => {
                self.report
                    .error(s.at(), format!("type takes A, NS, CNAME, SOA, MX, TXT or AAAA, not \"{other}\""));
                return None;
            }
        };
        Some(kind)
    }

    /// `<HEX_STR>`: words of hexadecimal digits, each read in pairs from its left; a single last digit is a byte of its own.
    /// `x` stands for four bits that do not matter.
    fn hex(&mut self, s: &Statement, wild: bool) -> Option<Vec<(u8, u8)>> {
        let mut bytes = Vec::new();
        for word in &s.args {
            let digit = |c: char| match c.to_digit(16) {
                Some(d) => Some((d as u8, 0xf)),
                None => (wild && c.eq_ignore_ascii_case(&'x')).then_some((0, 0)),
            };
            let Some(nibbles) = word.text.chars().map(digit).collect::<Option<Vec<_>>>() else {
                let and_x = if wild { " and x" } else { "" };
                self.report.error(
                    s.at(),
                    format!("{} takes hexadecimal digits{and_x}, not \"{}\"", s.name(), word.text),
                );
                return None;
            };
            bytes.extend(nibbles.chunks(2).map(|pair| match pair {
                [(hi, hi_mask), (lo, lo_mask)] => (hi << 4 | lo, hi_mask << 4 | lo_mask),
                [(lo, lo_mask)] => (*lo, 0xf0 | lo_mask),
                _ => (0, 0),
            }));
        }
        if bytes.is_empty() {
            self.report.error(s.at(), format!("{} takes hexadecimal digits", s.name()));
            return None;
        }
        Some(bytes)
    }
}
