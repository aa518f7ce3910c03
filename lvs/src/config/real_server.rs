//! `real_server` and the checks within.

use super::inherit::{self, Inherited};
use super::tree::Statement;
use super::types::{RealServer, TlsFiles};
use super::value::Reader;
use super::words;
use crate::model::{Forward, Protocol};

/// Keywords of the block beside those of every level, for "did you mean".
const KEYWORDS: [&str; 20] = [
    "weight",
    "lvs_method",
    "lb_kind",
    "notify_up",
    "notify_down",
    "uthreshold",
    "lthreshold",
    "inhibit_on_failure",
    "virtualhost",
    "snmp_name",
    "smtp_alert",
    "TCP_CHECK",
    "HTTP_GET",
    "SSL_GET",
    "SMTP_CHECK",
    "DNS_CHECK",
    "MISC_CHECK",
    "UDP_CHECK",
    "PING_CHECK",
    "BFD_CHECK",
];

impl Reader<'_> {
    /// The whole block with what it inherits.
    pub(super) fn real_server(
        &mut self,
        s: &Statement,
        protocol: Protocol,
        forward: Forward,
        inhibit: bool,
        above: &Inherited,
        tls: &TlsFiles,
    ) -> Option<RealServer> {
        let (addr, port) = self.addr_port(s, &s.args, protocol)?;
        let mut server = RealServer {
            at: s.at().clone(),
            addr,
            port,
            weight: 1,
            forward,
            upper: 0,
            lower: 0,
            inhibit_on_failure: inhibit,
            notify_up: None,
            notify_down: None,
            checks: Vec::new(),
        };
        let mut inherited = above.clone();
        let mut checks = Vec::new();
        for statement in s.block.iter().flatten() {
            match statement.name() {
                "weight" => server.weight = self.number(statement, 0..=65535).unwrap_or(1),
                "lvs_method" | "lb_kind" => server.forward = self.forward(statement).unwrap_or(forward),
                "notify_up" => server.notify_up = self.script(statement),
                "notify_down" => server.notify_down = self.script(statement),
                "uthreshold" => server.upper = self.number(statement, 0..=i32::MAX as u32).unwrap_or(0),
                "lthreshold" => server.lower = self.number(statement, 0..=i32::MAX as u32).unwrap_or(0),
                "inhibit_on_failure" => server.inhibit_on_failure = self.flag(statement),
                "virtualhost" => {
                    inherited.virtualhost = self.one(statement, "a host name").map(|w| w.text.clone());
                }
                "TCP_CHECK" | "HTTP_GET" | "SSL_GET" | "SMTP_CHECK" | "DNS_CHECK" | "MISC_CHECK"
                | "UDP_CHECK" | "PING_CHECK" => checks.push(statement),
                _ => {
                    if !inherited.take(statement, self) {
                        words::unknown(statement, "real_server", &[&KEYWORDS, &inherit::KEYS], self.report);
                    }
                }
            }
        }
        let read = checks.into_iter().filter_map(|c| self.check(c, &server, protocol, &inherited, tls));
        server.checks = read.collect();
        Some(server)
    }
}
