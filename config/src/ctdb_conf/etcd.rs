//! The text `etcd:HOST:PORT[,HOST:PORT…]/KEY[?OPTION=VALUE[&…]]`: which key in which etcd cluster, and how to get there.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The lease of the key unless `ttl=` says otherwise.
const TTL: u64 = 5;

/// What etcd itself grants at least with its default timing (1.5 election time-outs, rounded up), and what is sensible at most.
const TTL_RANGE: std::ops::RangeInclusive<u64> = 2..=60;

/// A key in an etcd cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdLock {
    /// `host:port` of the members, tried in turn; at least one.
    pub endpoints: Vec<String>,
    /// The key, not empty.
    pub key: String,
    /// The lease; 2 to 60 s.
    pub ttl: Duration,
    /// `None`: in the clear.
    pub tls: Option<EtcdTls>,
}

/// Files in PEM format. They are read for each new connection, so that they can be renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtcdTls {
    /// Who may sign the members' certificates.
    pub ca: PathBuf,
    /// Our own certificate and its key, if the members ask for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl FromStr for EtcdLock {
    type Err = String;

    /// What is wrong, in words that follow "cannot be …:".
    fn from_str(text: &str) -> Result<Self, String> {
        let (secure, rest) = match (text.strip_prefix("etcd:"), text.strip_prefix("etcd+tls:")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err("it begins neither with etcd: nor with etcd+tls:".to_owned()),
        };
        let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
        let Some((endpoints, key)) = place.split_once('/').filter(|(_, key)| !key.is_empty()) else {
            return Err("there is no /KEY after the endpoints".to_owned());
        };
        let endpoints: Vec<String> = endpoints.split(',').map(|e| e.trim().to_owned()).collect();
        if let Some(bad) = endpoints.iter().find(|e| !is_endpoint(e)) {
            return Err(format!("endpoint {bad:?} is not HOST:PORT"));
        }
        let mut lock = Self { endpoints, key: key.to_owned(), ttl: Duration::from_secs(TTL), tls: None };
        let (mut ca, mut cert, mut cert_key) = (None, None, None);
        for option in options.split('&').filter(|o| !o.is_empty()) {
            let path = |value: &str| match value.strip_prefix('/') {
                Some(_) => Ok(Some(PathBuf::from(value))),
                None => Err(format!("option {option:?} needs an absolute path")),
            };
            match option.split_once('=') {
                Some(("ttl", value)) => match value.parse() {
                    Ok(seconds) if TTL_RANGE.contains(&seconds) => lock.ttl = Duration::from_secs(seconds),
                    _ => return Err(format!("ttl is {value:?}, not a number of seconds from 2 to 60")),
                },
                Some(("ca", value)) if secure => ca = path(value)?,
                Some(("cert", value)) if secure => cert = path(value)?,
                Some(("key", value)) if secure => cert_key = path(value)?,
                Some(("ca" | "cert" | "key", _)) => {
                    return Err(format!("option {option:?} needs etcd+tls: in place of etcd:"));
                }
                _ => return Err(format!("option {option:?} is not one of ttl=, ca=, cert=, key=")),
            }
        }
        if secure {
            let identity = match (cert, cert_key) {
                (Some(cert), Some(key)) => Some((cert, key)),
                (None, None) => None,
                _ => return Err("cert= and key= go together".to_owned()),
            };
            let ca = ca.ok_or("etcd+tls: needs ca=/path/to/ca.pem")?;
            lock.tls = Some(EtcdTls { ca, identity });
        }
        Ok(lock)
    }
}

/// A host name, an IPv4 address or an IPv6 address in brackets, and a port.
fn is_endpoint(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let host_is_good = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)),
    };
    host_is_good && port.parse::<u16>().is_ok_and(|p| p != 0)
}

/// As it is written in `ctdb.conf`, with the default lease left out.
impl fmt::Display for EtcdLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "etcd+tls" } else { "etcd" };
        write!(f, "{scheme}:{}/{}", self.endpoints.join(","), self.key)?;
        let mut options = Vec::new();
        if let Some(tls) = &self.tls {
            options.push(format!("ca={}", tls.ca.display()));
            if let Some((cert, key)) = &tls.identity {
                options.push(format!("cert={}&key={}", cert.display(), key.display()));
            }
        }
        if self.ttl.as_secs() != TTL {
            options.push(format!("ttl={}", self.ttl.as_secs()));
        }
        if !options.is_empty() {
            write!(f, "?{}", options.join("&"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let good: EtcdLock = "etcd:h1:2379, 10.0.0.1:1,[fd00::1]:65535/a/b".parse().unwrap();
        assert_eq!((good.endpoints.len(), good.key.as_str(), good.ttl.as_secs()), (3, "a/b", 5));
        for text in ["etcd:h:1/k", "etcd:h:1/k?ttl=60", "etcd+tls:h:1/k?ca=/a&cert=/b&key=/c&ttl=2"] {
            assert_eq!(text.parse::<EtcdLock>().unwrap().to_string(), text);
        }
        for (text, expected) in [
            ("etcd:", "there is no /KEY after the endpoints"),
            ("etcd:h:1/", "there is no /KEY after the endpoints"),
            ("etcd:h/k", "endpoint \"h\" is not HOST:PORT"),
            ("etcd:h:0/k", "endpoint \"h:0\" is not HOST:PORT"),
            ("etcd:h:1,,i:2/k", "endpoint \"\" is not HOST:PORT"),
            ("etcd:[fd00::g]:1/k", "endpoint \"[fd00::g]:1\" is not HOST:PORT"),
            ("etcd:http://h:1/k", "endpoint \"http:\" is not HOST:PORT"),
            ("etcd:h:1/k?ttl=1", "ttl is \"1\", not a number of seconds from 2 to 60"),
            ("etcd:h:1/k?tll=5", "option \"tll=5\" is not one of ttl=, ca=, cert=, key="),
            ("etcd:h:1/k?ca=/x", "option \"ca=/x\" needs etcd+tls: in place of etcd:"),
            ("etcd+tls:h:1/k", "etcd+tls: needs ca=/path/to/ca.pem"),
            ("etcd+tls:h:1/k?ca=x", "option \"ca=x\" needs an absolute path"),
            ("etcd+tls:h:1/k?ca=/x&cert=/y", "cert= and key= go together"),
        ] {
            assert_eq!(text.parse::<EtcdLock>().unwrap_err(), expected, "{text}");
        }
    }
}
