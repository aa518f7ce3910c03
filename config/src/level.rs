//! Log levels and the place of the log, in CTDB's words.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// CTDB's log levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum LogLevel {
    /// `ERROR`, 0.
    Error,
    /// `WARNING`, 1 and 2.
    Warning,
    /// `NOTICE`, 3 and 4; the default.
    #[default]
    Notice,
    /// `INFO`, 5 to 9.
    Info,
    /// `DEBUG`, 10.
    Debug,
}

/// Not a log level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no log level; write ERROR, WARNING, NOTICE, INFO, DEBUG or a number from 0 to 10")]
pub struct BadLevel(pub String);

impl FromStr for LogLevel {
    type Err = BadLevel;

    fn from_str(text: &str) -> Result<Self, BadLevel> {
        let text = text.trim();
        let bad = || BadLevel(text.chars().take(40).collect());
        if let Ok(number) = text.parse::<u8>() {
            return match number {
                0 => Ok(Self::Error),
                1 | 2 => Ok(Self::Warning),
                3 | 4 => Ok(Self::Notice),
                5..=9 => Ok(Self::Info),
                10 => Ok(Self::Debug),
                _ => Err(bad()),
            };
        }
        match text.to_ascii_uppercase().as_str() {
            "ERROR" | "ERR" => Ok(Self::Error),
            "WARNING" => Ok(Self::Warning),
            "NOTICE" => Ok(Self::Notice),
            "INFO" => Ok(Self::Info),
            "DEBUG" => Ok(Self::Debug),
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "ERROR",
            Self::Warning => "WARNING",
            Self::Notice => "NOTICE",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
        })
    }
}

impl LogLevel {
    /// The level of `tracing` that prints what this level prints: NOTICE is its INFO, INFO its DEBUG, DEBUG its TRACE.
    #[must_use]
    pub fn tracing(self) -> tracing::Level {
        match self {
            Self::Error => tracing::Level::ERROR,
            Self::Warning => tracing::Level::WARN,
            Self::Notice => tracing::Level::INFO,
            Self::Info => tracing::Level::DEBUG,
            Self::Debug => tracing::Level::TRACE,
        }
    }
}

/// How syslog is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syslog {
    /// `syslog`: the local socket.
    Local,
    /// `syslog:nonblocking`: the local socket; lines are dropped rather than waited for.
    NonBlocking,
    /// `syslog:udp`: port 514 of this host, RFC 3164.
    Udp,
    /// `syslog:udp-rfc5424`: port 514 of this host, RFC 5424.
    UdpRfc5424,
}

/// Where the log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogLocation {
    /// `file:PATH`.
    File(PathBuf),
    /// `syslog[:METHOD]`.
    Syslog(Syslog),
}

impl Default for LogLocation {
    fn default() -> Self {
        Self::File(PathBuf::from("/var/log/ctdb/log.ctdb"))
    }
}

/// Not a place for a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no log location; write file:/PATH, syslog, syslog:nonblocking, syslog:udp or syslog:udp-rfc5424"
)]
pub struct BadLocation(pub String);

impl FromStr for LogLocation {
    type Err = BadLocation;

    fn from_str(text: &str) -> Result<Self, BadLocation> {
        match text {
            "syslog" => Ok(Self::Syslog(Syslog::Local)),
            "syslog:nonblocking" => Ok(Self::Syslog(Syslog::NonBlocking)),
            "syslog:udp" => Ok(Self::Syslog(Syslog::Udp)),
            "syslog:udp-rfc5424" => Ok(Self::Syslog(Syslog::UdpRfc5424)),
            _ => match text.strip_prefix("file:") {
                Some(path) if path.starts_with('/') => Ok(Self::File(PathBuf::from(path))),
                _ => Err(BadLocation(text.chars().take(60).collect())),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels() {
        for (text, level) in [
            ("ERROR", LogLevel::Error),
            ("err", LogLevel::Error),
            ("Warning", LogLevel::Warning),
            ("NOTICE", LogLevel::Notice),
            ("info", LogLevel::Info),
            ("DEBUG", LogLevel::Debug),
            ("0", LogLevel::Error),
            ("2", LogLevel::Warning),
            ("3", LogLevel::Notice),
            ("9", LogLevel::Info),
            ("10", LogLevel::Debug),
        ] {
            assert_eq!(text.parse(), Ok(level), "{text}");
        }
        for text in ["", "11", "-1", "LOUD", "3x"] {
            assert!(text.parse::<LogLevel>().is_err(), "{text}");
        }
    }

    #[test]
    fn locations() {
        assert_eq!("file:/x/y".parse(), Ok(LogLocation::File("/x/y".into())));
        assert_eq!("syslog".parse(), Ok(LogLocation::Syslog(Syslog::Local)));
        assert_eq!("syslog:udp-rfc5424".parse(), Ok(LogLocation::Syslog(Syslog::UdpRfc5424)));
        for text in ["", "file:", "file:relative", "/var/log/x", "syslog:tcp", "SYSLOG "] {
            assert!(text.parse::<LogLocation>().is_err(), "{text}");
        }
    }
}
