//! Asking the daemon: connection, addressee, time limits, and the messages when it does not work.

use crate::cli::{Level, Options};
use crate::out::{Failure, complain};
use proto::client::{CallError, LocalClient};
use recoverd::command::{AnyCommand, AnyReply, Command, DaemonCommand, DaemonReply, Reply};
use recoverd::model::Pnn;
use recoverd::view::StatusView;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The socket of the daemon on this host, by the same variables that the daemon reads.
pub(crate) fn socket_path() -> PathBuf {
    let var = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    var("CTDB_SOCKET").unwrap_or_else(|| {
        var("CTDB_RUNDIR").unwrap_or_else(|| PathBuf::from("/run/ctdb")).join("ctdbd.socket")
    })
}

/// How long an answer may take.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Patience {
    /// `-t`: questions.
    Question,
    /// `-T`: commands that answer when a takeover run has ended.
    Run,
}

/// A connection with an addressee.
#[derive(Clone)]
pub(crate) struct Asker {
    client: LocalClient,
    /// The node that answers; `None`: the daemon of this host.
    node: Option<Pnn>,
    timelimit: Duration,
    maxruntime: Duration,
    trace: bool,
}

impl Asker {
    /// Connects; the daemon of this host is the addressee.
    pub(crate) async fn connect(options: &Options) -> Result<Self, Failure> {
        let client = LocalClient::connect(socket_path()).await.map_err(connect_failure)?;
        Ok(Self {
            client,
            node: None,
            timelimit: Duration::from_secs(options.timelimit.max(1).into()),
            maxruntime: Duration::from_secs(options.maxruntime.max(1).into()),
            trace: options.debug == Level::Debug,
        })
    }

    /// The same connection with another addressee; `this_node` is the daemon of this host.
    pub(crate) fn at(&self, pnn: Pnn, this_node: Pnn) -> Self {
        Self { node: Some(pnn).filter(|p| *p != this_node), ..self.clone() }
    }

    async fn call(
        &mut self,
        to: Option<Pnn>,
        command: AnyCommand,
        patience: Patience,
    ) -> Result<AnyReply, CallError> {
        if self.trace {
            let whom = to.map_or_else(|| "this node".to_owned(), |p| format!("node {p}"));
            complain(&format!("asking {whom}: {command:?}"));
        }
        let limit = match patience {
            Patience::Question => self.timelimit,
            Patience::Run => self.maxruntime,
        };
        self.client.call(to, command, limit).await
    }

    /// Asks the machine of a certain node.
    pub(crate) async fn ask_at(
        &mut self,
        to: Option<Pnn>,
        command: Command,
        patience: Patience,
    ) -> Result<Reply, Failure> {
        let what = name_of(&command);
        let ending = command == Command::Shutdown;
        match self.call(to, AnyCommand::Node(command), patience).await {
            Ok(AnyReply::Node(Reply::Error(text))) => Err(Failure::new(text)),
            Ok(AnyReply::Node(reply)) => Ok(reply),
            Ok(AnyReply::Daemon(DaemonReply::Error(text))) => Err(Failure::new(text)),
            Ok(other) => Err(unexpected(&what, &other)),
            // The daemon was asked to end, and has.
            Err(CallError::Closed { .. }) if ending => Ok(Reply::Ok),
            Err(e) => Err(call_failure(&what, to, &e)),
        }
    }

    /// Asks the machine of the addressee.
    pub(crate) async fn node(&mut self, command: Command) -> Result<Reply, Failure> {
        self.ask_at(self.node, command, Patience::Question).await
    }

    /// Asks the daemon around it.
    pub(crate) async fn daemon(
        &mut self,
        command: DaemonCommand,
        patience: Patience,
    ) -> Result<DaemonReply, Failure> {
        self.daemon_at(self.node, command, patience).await
    }

    /// Asks the daemon of a certain node.
    pub(crate) async fn daemon_at(
        &mut self,
        to: Option<Pnn>,
        command: DaemonCommand,
        patience: Patience,
    ) -> Result<DaemonReply, Failure> {
        let what = name_of(&command);
        match self.call(to, AnyCommand::Daemon(command), patience).await {
            Ok(AnyReply::Daemon(DaemonReply::Error(text)) | AnyReply::Node(Reply::Error(text))) => {
                Err(Failure::new(text))
            }
            Ok(AnyReply::Daemon(reply)) => Ok(reply),
            Ok(other) => Err(unexpected(&what, &other)),
            Err(e) => Err(call_failure(&what, to, &e)),
        }
    }

    /// The addressee of all questions but those with one of their own.
    pub(crate) fn addressee(&self) -> Option<Pnn> {
        self.node
    }

    /// The addressee's view of the nodes.
    pub(crate) async fn status(&mut self) -> Result<StatusView, Failure> {
        match self.node(Command::Status).await? {
            Reply::Status(status) => Ok(status),
            other => Err(unexpected("status", &other)),
        }
    }

    /// The number of the addressee.
    pub(crate) async fn pnn(&mut self) -> Result<Pnn, Failure> {
        match self.node {
            Some(pnn) => Ok(pnn),
            None => Ok(self.status().await?.this_node),
        }
    }
}

/// The command's word for a message.
fn name_of(command: &impl std::fmt::Debug) -> String {
    let text = format!("{command:?}");
    text.split([' ', '{', '(']).next().unwrap_or_default().to_lowercase()
}

/// A reply that does not belong to the question.
pub(crate) fn unexpected(what: &str, reply: &impl std::fmt::Debug) -> Failure {
    Failure::new(format!(
        "the daemon answered '{what}' with something else ({}); is it of another version? compare `ctdb version` with `ctdbd --version`",
        name_of(reply)
    ))
}

fn connect_failure(error: CallError) -> Failure {
    let CallError::Connect { path, source } = &error else { return Failure::new(error.to_string()) };
    Failure::new(connect_message(path, source))
}

fn connect_message(path: &Path, source: &std::io::Error) -> String {
    let advice = match source.kind() {
        ErrorKind::PermissionDenied => "run ctdb as root",
        ErrorKind::ConnectionRefused => "the daemon has died and left its socket; start ctdbd again",
        _ => "start ctdbd, or name its socket in CTDB_SOCKET",
    };
    format!(
        "Failed to connect to CTDB daemon ({})\nIs this node part of CTDB cluster? {source}: {advice}",
        path.display()
    )
}

fn call_failure(what: &str, to: Option<Pnn>, error: &CallError) -> Failure {
    let whom = to.map_or_else(|| "the daemon".to_owned(), |p| format!("node {p}"));
    Failure::new(match error {
        CallError::TimedOut { limit } => format!(
            "{whom} did not answer '{what}' within {} s; it may be busy or cut off: see `ctdb status`, or allow more time with -t",
            limit.as_secs()
        ),
        CallError::Closed { message } => format!(
            "the daemon closed the connection during '{what}' ({message}); see its log, and `ctdb status`"
        ),
        CallError::Refused { message, .. } => message.clone(),
        CallError::Connect { .. } | CallError::Malformed(_) => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn no_daemon_names_socket_cause_and_next_step() {
        let message = |kind: i32| connect_message(Path::new("/s"), &io::Error::from_raw_os_error(kind));
        assert_eq!(
            message(2),
            "Failed to connect to CTDB daemon (/s)\nIs this node part of CTDB cluster? \
             No such file or directory (os error 2): start ctdbd, or name its socket in CTDB_SOCKET"
        );
        assert!(message(13).ends_with("run ctdb as root"));
        assert!(message(111).ends_with("start ctdbd again"));
    }

    #[test]
    fn failures_say_whom_and_what() {
        let limit = Duration::from_secs(10);
        let text = call_failure("status", Some(Pnn(2)), &CallError::TimedOut { limit }).message;
        assert!(text.starts_with("node 2 did not answer 'status' within 10 s"), "{text}");
        let text = unexpected("status", &Reply::Ifaces(Vec::new())).message;
        assert!(text.contains("something else (ifaces)"), "{text}");
    }
}
