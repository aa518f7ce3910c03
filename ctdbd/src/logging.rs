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
use tracing::{Level, Metadata};
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
            Self::Syslog(sink) => Box::new(SyslogLine { sink, severity: severity(Level::INFO) }),
        }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Self::Writer {
        match self {
            Self::Syslog(sink) => Box::new(SyslogLine { sink, severity: severity(*meta.level()) }),
            _ => self.make_writer(),
        }
    }
}

/// One datagram for a line, facility daemon.
enum SyslogSink {
    Local(UnixDatagram),
    Udp { socket: UdpSocket, rfc5424: bool },
}

const DEV_LOG: &str = "/dev/log";
/// Facility daemon.
const FACILITY: u8 = 3;

/// syslog's number for what CTDB calls a line of this level ([`LogLevel::tracing`]): ERROR 3, WARNING 4, NOTICE 5, INFO 6, DEBUG 7.
fn severity(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 5,
        Level::DEBUG => 6,
        Level::TRACE => 7,
    }
}

/// A line for syslog: RFC 5424 with the time, else RFC 3164 without time and host, which the receiver fills in (as syslog(3) does).
fn syslog_line(severity: u8, pid: u32, now: Option<jiff::Timestamp>, text: &str) -> String {
    let priority = FACILITY * 8 + severity;
    match now {
        Some(now) => format!("<{priority}>1 {now} - ctdbd {pid} - - {text}"),
        None => format!("<{priority}>ctdbd[{pid}]: {text}"),
    }
}

/// One line on its way to syslog.
struct SyslogLine<'a> {
    sink: &'a SyslogSink,
    severity: u8,
}

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

impl Write for SyslogLine<'_> {
    /// A line that cannot be sent is lost, as with syslog(3): a daemon must not wait for its log.
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(buf);
        let line = |now| syslog_line(self.severity, std::process::id(), now, text.trim_end());
        match self.sink {
            SyslogSink::Local(socket) => {
                let line = line(None);
                if socket.send(line.as_bytes()).is_err() {
                    let _lost = socket.send_to(line.as_bytes(), DEV_LOG);
                }
            }
            SyslogSink::Udp { socket, rfc5424 } => {
                let now = rfc5424.then(jiff::Timestamp::now);
                let _lost = socket.send(line(now).as_bytes());
            }
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_for_syslog_have_the_severity_of_their_level() {
        for (level, priority) in [
            (LogLevel::Error, 27),
            (LogLevel::Warning, 28),
            (LogLevel::Notice, 29),
            (LogLevel::Info, 30),
            (LogLevel::Debug, 31),
        ] {
            let line = syslog_line(severity(level.tracing()), 7, None, "text");
            assert_eq!(line, format!("<{priority}>ctdbd[7]: text"));
        }
        let now = jiff::Timestamp::UNIX_EPOCH;
        assert_eq!(syslog_line(5, 7, Some(now), "text"), "<29>1 1970-01-01T00:00:00Z - ctdbd 7 - - text");
    }

    #[test]
    fn a_line_goes_out_as_one_datagram() {
        let receiver = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        receiver.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        socket.connect(receiver.local_addr().unwrap()).unwrap();
        let sink = Sink::Syslog(Arc::new(SyslogSink::Udp { socket, rfc5424: false }));
        sink.make_writer().write_all(b"one line\n").unwrap();
        let mut buf = [0; 100];
        let n = receiver.recv(&mut buf).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&buf[..n]),
            format!("<29>ctdbd[{}]: one line", std::process::id())
        );
    }
}
