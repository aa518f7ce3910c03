//! Checks of a real server, typed and complete with defaults.

use super::report::Place;
use super::types::Script;
use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// One checker of one real server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Where.
    pub at: Place,
    /// What is done.
    pub kind: CheckKind,
    /// When it is done.
    pub timing: Timing,
    /// Where to.
    pub target: Target,
    /// `alpha`: down until the first success.
    pub alpha: bool,
    /// Log every failure, also those before the server counts as down.
    pub log_all_failures: bool,
}

/// When a check runs and what its results mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// `delay_loop`: from the end of one check to the begin of the next. Default 60 s.
    pub delay_loop: Duration,
    /// `connect_timeout`: also for the answer. Default 5 s.
    pub connect_timeout: Duration,
    /// `retry`: further tries before a server that was up is down. Default 1; DNS 3; MISC 0.
    pub retry: u32,
    /// `delay_before_retry`: between them. Default 1 s; HTTP and SSL 3 s; DNS as `delay_loop`.
    pub delay_before_retry: Duration,
    /// `warmup`: the first check starts after a random time up to this. Default `delay_loop`.
    pub warmup: Duration,
    /// `rise` (ours): successes in a row before a server that was down is up. Default 1.
    pub rise: u32,
}

/// Where a check connects to and from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// `connect_ip`, or the real server's address.
    pub addr: IpAddr,
    /// `connect_port`, or the real server's port, or the service's; 0 for checks that need none.
    pub port: u16,
    /// `bindto`.
    pub bind_ip: Option<IpAddr>,
    /// `bind_port`.
    pub bind_port: Option<u16>,
    /// `bind_if`.
    pub bind_if: Option<String>,
    /// `fwmark` of the check's own packets.
    pub fwmark: Option<u32>,
}

/// What a check does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    /// `TCP_CHECK`: a connection is accepted.
    Tcp,
    /// `PING_CHECK`: an echo is answered.
    Ping,
    /// `HTTP_GET`, `SSL_GET`: every URL answers as it should.
    Http(HttpCheck),
    /// `UDP_CHECK`.
    Udp(UdpCheck),
    /// `SMTP_CHECK`: greeting, HELO and QUIT are answered.
    Smtp {
        /// `helo_name`; none for the host's name.
        helo: Option<String>,
    },
    /// `DNS_CHECK`: a query is answered without error.
    Dns {
        /// `type`, default SOA.
        query: DnsType,
        /// `name`, default the root.
        name: String,
    },
    /// `MISC_CHECK`: a program ends with 0 (or a weight).
    Misc {
        /// Program, arguments, user.
        script: Script,
        /// `misc_timeout`; none for `delay_loop`.
        timeout: Option<Duration>,
        /// `misc_dynamic`: exit status 2 to 255 sets the weight to 0 to 253.
        dynamic: bool,
    },
}

impl CheckKind {
    /// keepalived's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Tcp => "TCP_CHECK",
            Self::Ping => "PING_CHECK",
            Self::Http(HttpCheck { tls: None, .. }) => "HTTP_GET",
            Self::Http(HttpCheck { tls: Some(_), .. }) => "SSL_GET",
            Self::Udp(_) => "UDP_CHECK",
            Self::Smtp { .. } => "SMTP_CHECK",
            Self::Dns { .. } => "DNS_CHECK",
            Self::Misc { .. } => "MISC_CHECK",
        }
    }

    /// Whether it connects to a port.
    #[must_use]
    pub fn needs_port(&self) -> bool {
        !matches!(self, Self::Ping | Self::Misc { .. })
    }
}

/// `HTTP_GET` and `SSL_GET`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpCheck {
    /// TLS; none for `HTTP_GET`.
    pub tls: Option<Tls>,
    /// `http_protocol`.
    pub version: HttpVersion,
    /// URLs in order; never empty.
    pub urls: Vec<Url>,
    /// `fast_recovery`: no pause between the URLs when it comes up.
    pub fast_recovery: bool,
}

/// TLS of an `SSL_GET`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// `enable_sni`: the server's name is sent.
    pub enable_sni: bool,
    /// `sni_name`; none for the URL's virtual host.
    pub sni_name: Option<String>,
    /// `ca` (ours), or that of the `SSL` block: certificates are verified against this file. None: not verified, as keepalived.
    pub ca: Option<String>,
}

/// `http_protocol`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum HttpVersion {
    /// HTTP/1.0.
    #[default]
    #[serde(rename = "1.0")]
    V1_0,
    /// HTTP/1.0 with `Connection: close`.
    #[serde(rename = "1.0C")]
    V1_0Close,
    /// HTTP/1.1, also with `Connection: close`.
    #[serde(rename = "1.1")]
    V1_1,
}

/// `url`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Url {
    /// Path and query.
    pub path: String,
    /// Status codes that pass, as ranges; default 200 to 299.
    pub status: Vec<(u16, u16)>,
    /// Host header: the URL's, the real server's or the virtual server's `virtualhost`.
    pub virtualhost: Option<String>,
    /// MD5 of the body, 32 lower-case hexadecimal digits.
    pub digest: Option<String>,
    /// Expression for the body.
    pub regex: Option<UrlRegex>,
}

/// `regex` with its options.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrlRegex {
    /// The expression.
    pub pattern: String,
    /// `regex_no_match`: a match fails.
    pub no_match: bool,
    /// `regex_options`: of `caseless`, `dotall`, `multiline`, `extended`, `ungreedy`.
    pub options: Vec<String>,
    /// `regex_min_offset` in bytes.
    pub min_offset: usize,
    /// `regex_max_offset` in bytes: a match begins before it.
    pub max_offset: Option<usize>,
}

impl UrlRegex {
    /// The expression, to be used.
    ///
    /// # Errors
    /// Why it is none of ours: PCRE has more than `regex` can do in bounded time.
    pub fn compile(&self) -> Result<Regex, String> {
        let has = |option: &str| self.options.iter().any(|o| o == option);
        RegexBuilder::new(&self.pattern)
            .case_insensitive(has("caseless"))
            .dot_matches_new_line(has("dotall"))
            .multi_line(has("multiline"))
            .ignore_whitespace(has("extended"))
            .swap_greed(has("ungreedy"))
            .build()
            .map_err(|e| {
                let why = e.to_string();
                let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ");
                format!(
                    "regex \"{}\": {why}; look-around and back-references are not part of ctdb-ip: write it without them (regex_no_match \
                     asks for the contrary), or use a MISC_CHECK",
                    self.pattern
                )
            })
    }
}

/// `UDP_CHECK`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UdpCheck {
    /// What is sent; none for random bytes.
    pub payload: Option<Vec<u8>>,
    /// A reply is required and looks like this; none: silence passes, an ICMP error fails.
    pub reply: Option<UdpReply>,
}

/// `require_reply`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UdpReply {
    /// Value and mask of each byte from the first; may be empty.
    pub pattern: Vec<(u8, u8)>,
    /// Shortest reply in bytes.
    pub min: u16,
    /// Longest reply in bytes.
    pub max: u16,
}

impl UdpReply {
    /// Whether a reply is as required. Only as many bytes as both have are compared (keepalived.conf(5)).
    #[must_use]
    pub fn accepts(&self, reply: &[u8]) -> bool {
        (usize::from(self.min)..=usize::from(self.max)).contains(&reply.len())
            && self.pattern.iter().zip(reply).all(|((value, mask), byte)| byte & mask == value & mask)
    }
}

/// `type` of a `DNS_CHECK`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "the names of DNS")]
pub enum DnsType {
    A,
    Ns,
    Cname,
    #[default]
    Soa,
    Mx,
    Txt,
    Aaaa,
}
