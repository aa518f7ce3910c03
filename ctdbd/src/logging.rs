//! The daemon's log: where `ctdb.conf` says, at a level that `ctdb setdebug` changes.
//!
//! Lines are written by the thread that logs; a file is opened for appending and every line is one write, so that log rotation by
//! copying works. For rotation by renaming the file is opened again on SIGHUP, as in CTDB ([`LogHandle::reopen`]).

use crate::config::{LogLevel, LogLocation, LogTarget, Syslog};
use crate::trace;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt, filter_fn};
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

/// Changes the level, and opens the file again, while the daemon runs.
#[derive(Clone)]
pub struct LogHandle {
    inner: reload::Handle<LevelFilter, tracing_subscriber::Registry>,
    level: Arc<Mutex<LogLevel>>,
    file: Option<Arc<LogFile>>,
}

impl std::fmt::Debug for LogHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogHandle").field("level", &self.level()).finish()
    }
}

impl LogHandle {
    /// The present level.
    #[must_use]
    pub fn level(&self) -> LogLevel {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another level from now on.
    pub fn set_level(&self, level: LogLevel) {
        // The subscriber lives as long as the process.
        let _ = self.inner.reload(LevelFilter::from_level(level.tracing()));
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = level;
    }

    /// Opens the log file by its name again, which may be another file by now; its path. `None` where the log is no file: standard error
    /// and syslog are never opened again.
    ///
    /// # Errors
    /// [`LogError`]; lines go on into the old file.
    pub fn reopen(&self) -> Result<Option<&Path>, LogError> {
        let Some(log) = &self.file else { return Ok(None) };
        log.reopen()?;
        Ok(Some(&log.path))
    }
}

/// The log file: whoever writes a line takes the file that is open at that time.
struct LogFile {
    path: PathBuf,
    file: Mutex<Arc<File>>,
}

impl LogFile {
    fn new(path: &Path) -> Result<Self, LogError> {
        Ok(Self { path: path.to_owned(), file: Mutex::new(open(path)?) })
    }

    fn reopen(&self) -> Result<(), LogError> {
        let new = open(&self.path)?;
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    fn file(&self) -> Arc<File> {
        Arc::clone(&self.file.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn open(path: &Path) -> Result<Arc<File>, LogError> {
    let open = || {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        OpenOptions::new().create(true).append(true).open(path)
    };
    open().map(Arc::new).map_err(|source| LogError { path: path.to_owned(), source })
}

/// Starts logging for the whole process.
///
/// # Errors
/// [`LogError`]
pub fn start(target: &LogTarget, level: LogLevel) -> Result<LogHandle, LogError> {
    let sink = match target {
        LogTarget::Stderr => Sink::Stderr,
        LogTarget::Location(LogLocation::File(path)) => Sink::File(Arc::new(LogFile::new(path)?)),
        LogTarget::Location(LogLocation::Syslog(method)) => {
            let failed = |source| LogError { path: PathBuf::from("syslog"), source };
            Sink::Syslog(Arc::new(SyslogSink::open(*method).map_err(failed)?))
        }
    };
    let plain = matches!(sink, Sink::Syslog(_));
    let file = if let Sink::File(file) = &sink { Some(Arc::clone(file)) } else { None };
    let (filter, inner) = reload::Layer::new(LevelFilter::from_level(level.tracing()));
    let format = tracing_subscriber::fmt::layer().with_ansi(false).with_target(false).with_writer(sink);
    // What is traced is no text for the log.
    let filter = filter.and(filter_fn(|metadata| metadata.target() != trace::TARGET));
    let registry = tracing_subscriber::registry();
    // A second subscriber is refused; the first one then stays, which only tests could bring about.
    let _ = if plain {
        registry.with(format.without_time().with_filter(filter)).with(trace::layer("node")).try_init()
    } else {
        registry.with(format.with_filter(filter)).with(trace::layer("node")).try_init()
    };
    Ok(LogHandle { inner, level: Arc::new(Mutex::new(level)), file })
}

#[derive(Clone)]
enum Sink {
    Stderr,
    File(Arc<LogFile>),
    Syslog(Arc<SyslogSink>),
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Box<dyn Write + 'a>;

    fn make_writer(&'a self) -> Self::Writer {
        match self {
            Self::Stderr => Box::new(io::stderr()),
            Self::File(log) => Box::new(log.file()),
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
    fn a_log_that_was_renamed_goes_on_under_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let (path, rotated) = (dir.path().join("log"), dir.path().join("log.1"));
        let log = Arc::new(LogFile::new(&path).unwrap());
        let sink = Sink::File(Arc::clone(&log));
        let say = |text: &str| sink.make_writer().write_all(text.as_bytes()).unwrap();
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        say("one\n");
        std::fs::rename(&path, &rotated).unwrap();
        say("two\n");
        log.reopen().unwrap();
        say("three\n");
        assert_eq!((read(&rotated).as_str(), read(&path).as_str()), ("one\ntwo\n", "three\n"));
        // Where it cannot be opened the old one is better than none.
        std::fs::rename(&path, &rotated).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(log.reopen().unwrap_err().to_string().contains("cannot open the log"));
        say("four\n");
        assert_eq!(read(&rotated), "three\nfour\n");
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
