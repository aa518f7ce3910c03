//! The daemon's log: where `ctdb.conf` says, at a level that `ctdb setdebug` changes.
//!
//! Lines are written by the thread that logs; a file is opened for appending and every line is one write, so that log rotation by
//! copying works.

use crate::config::{LogLevel, LogLocation, LogTarget, Syslog};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::reload;

/// The log cannot be written where the configuration says.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the log {}: {source}; see `location` in [logging] of ctdb.conf", path.display())]
pub struct LogError {
    path: PathBuf,
    source: io::Error,
}

/// Changes the level while the daemon runs.
#[derive(Clone)]
pub struct LevelHandle {
    inner: reload::Handle<LevelFilter, tracing_subscriber::Registry>,
    level: Arc<Mutex<LogLevel>>,
}

impl std::fmt::Debug for LevelHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LevelHandle").field("level", &self.get()).finish()
    }
}

impl LevelHandle {
    /// The present level.
    #[must_use]
    pub fn get(&self) -> LogLevel {
        *self.level.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Another level from now on.
    pub fn set(&self, level: LogLevel) {
        // The subscriber lives as long as the process.
        let _ = self.inner.reload(LevelFilter::from_level(level.tracing()));
        *self.level.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = level;
    }
}

/// Starts logging for the whole process.
///
/// # Errors
/// [`LogError`]
pub fn start(target: &LogTarget, level: LogLevel) -> Result<LevelHandle, LogError> {
    let sink = match target {
        LogTarget::Stderr => Sink::Stderr,
        LogTarget::Location(LogLocation::File(path)) => {
            let open = || {
                if let Some(dir) = path.parent() {
                    std::fs::create_dir_all(dir)?;
                }
                OpenOptions::new().create(true).append(true).open(path)
            };
            Sink::File(Arc::new(open().map_err(|source| LogError { path: path.clone(), source })?))
        }
        LogTarget::Location(LogLocation::Syslog(method)) => {
            let failed = |source| LogError { path: PathBuf::from("syslog"), source };
            Sink::Syslog(Arc::new(SyslogSink::open(*method).map_err(failed)?))
        }
    };
    let plain = matches!(sink, Sink::Syslog(_));
    let (filter, inner) = reload::Layer::new(LevelFilter::from_level(level.tracing()));
    let format = tracing_subscriber::fmt::layer().with_ansi(false).with_target(false).with_writer(sink);
    let registry = tracing_subscriber::registry().with(filter);
    // A second subscriber is refused; the first one then stays, which only tests could bring about.
    let _ = if plain {
        registry.with(format.without_time()).try_init()
    } else {
        registry.with(format).try_init()
    };
    Ok(LevelHandle { inner, level: Arc::new(Mutex::new(level)) })
}

#[derive(Clone)]
enum Sink {
    Stderr,
    File(Arc<File>),
    Syslog(Arc<SyslogSink>),
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Box<dyn Write + 'a>;

    fn make_writer(&'a self) -> Self::Writer {
        match self {
            Self::Stderr => Box::new(io::stderr()),
            Self::File(file) => Box::new(&**file),
            Self::Syslog(sink) => Box::new(&**sink),
        }
    }
}

/// One datagram for a line, facility daemon.
enum SyslogSink {
    Local(UnixDatagram),
    Udp { socket: UdpSocket, rfc5424: bool },
}

const DEV_LOG: &str = "/dev/log";
/// Facility daemon (3), severity notice (5).
const PRIORITY: u8 = 3 * 8 + 5;

impl SyslogSink {
    fn open(method: Syslog) -> io::Result<Self> {
        match method {
            Syslog::Local | Syslog::NonBlocking => {
                let socket = UnixDatagram::unbound()?;
                socket.set_nonblocking(method == Syslog::NonBlocking)?;
                // syslogd may start after us; a line that cannot be sent is lost, as with syslog(3).
                let _ = socket.connect(DEV_LOG);
                Ok(Self::Local(socket))
            }
            Syslog::Udp | Syslog::UdpRfc5424 => {
                let socket = UdpSocket::bind(("127.0.0.1", 0))?;
                socket.connect(("127.0.0.1", 514))?;
                Ok(Self::Udp { socket, rfc5424: method == Syslog::UdpRfc5424 })
            }
        }
    }
}

impl Write for &SyslogSink {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(buf);
        let (text, pid) = (text.trim_end(), std::process::id());
        match self {
            SyslogSink::Local(socket) => {
                let line = format!("<{PRIORITY}>ctdbd[{pid}]: {text}");
                if socket.send(line.as_bytes()).is_err() {
                    let _ = socket.send_to(line.as_bytes(), DEV_LOG);
                }
            }
            SyslogSink::Udp { socket, rfc5424: true } => {
                let now = jiff::Timestamp::now();
                let _ = socket.send(format!("<{PRIORITY}>1 {now} - ctdbd {pid} - - {text}").as_bytes());
            }
            SyslogSink::Udp { socket, rfc5424: false } => {
                let _ = socket.send(format!("<{PRIORITY}>ctdbd[{pid}]: {text}").as_bytes());
            }
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
