//! Options that all commands have: CTDB's, and what they mean together.

use crate::nodes::Nodes;
use crate::out::{Failure, Style};
use clap::{ArgAction, Args, ValueEnum};

/// Options that all commands have.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Options {
    /// Ask these nodes instead of the one that runs here: a number, numbers and ranges (0,2-4), all, ok (healthy), con (connected)
    /// or any.
    #[arg(short = 'n', long, value_name = "NODES", global = true)]
    pub(crate) node: Option<Nodes>,
    /// Machine readable: columns between '|' (or the separator of -x).
    #[arg(short = 'Y', long = "machinereadable", global = true)]
    machine_readable: bool,
    /// Machine parsable: the same as -Y -x '|'.
    #[arg(short = 'X', long = "machineparsable", global = true)]
    machine_parsable: bool,
    /// Separator between columns, one character; implies -Y.
    #[arg(short = 'x', long, value_name = "CHAR", global = true)]
    separator: Option<String>,
    /// Print JSON.
    #[arg(short, long, global = true)]
    json: bool,
    /// Print more.
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Longest wait for one answer, in seconds. Commands that wait for a takeover run have the time of -T.
    #[arg(short = 't', long, value_name = "SEC", default_value_t = 10, global = true)]
    pub(crate) timelimit: u32,
    /// Longest time for the whole command, in seconds.
    #[arg(short = 'T', long, value_name = "SEC", default_value_t = MAX_RUNTIME, value_parser = seconds, env = "CTDB_TIMEOUT", global = true)]
    pub(crate) maxruntime: u32,
    /// What to tell on stderr; DEBUG names every question to the daemon.
    #[arg(short, long, value_name = "LEVEL", default_value = "ERROR", ignore_case = true, global = true)]
    pub(crate) debug: Level,
    /// Print help (on a command: ctdb help COMMAND).
    #[arg(short = '?', short_alias = 'h', long, action = ArgAction::HelpShort, global = true)]
    help: Option<bool>,
    /// Print the options in short.
    #[arg(long, global = true)]
    pub(crate) usage: bool,
    /// Print the version of this program.
    #[arg(short = 'V', long, action = ArgAction::Version)]
    version: Option<bool>,
}

/// Seconds for a whole command when nothing is said.
const MAX_RUNTIME: u32 = 120;

/// Seconds; an empty text, such as `CTDB_TIMEOUT=` in a script, says nothing.
fn seconds(text: &str) -> Result<u32, String> {
    if text.is_empty() {
        return Ok(MAX_RUNTIME);
    }
    text.parse().map_err(|_| "write whole seconds".to_owned())
}

/// CTDB's log levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
pub(crate) enum Level {
    Error,
    Warning,
    Notice,
    Info,
    Debug,
}

impl Level {
    /// CTDB's word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Warning => "WARNING",
            Self::Notice => "NOTICE",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
        }
    }
}

impl Options {
    /// The style that the options ask for.
    pub(crate) fn style(&self) -> Result<Style, Failure> {
        let table = self.machine_readable || self.machine_parsable || self.separator.is_some();
        if self.json && table {
            return Err(Failure::new("--json and -Y options are mutually exclusive"));
        }
        let sep = self.separator.as_deref().filter(|_| !self.machine_parsable).unwrap_or("|");
        let mut chars = sep.chars();
        let (Some(sep), None) = (chars.next(), chars.next()) else {
            return Err(Failure::new(format!("Invalid separator '{sep}' - must be a single character")));
        };
        Ok(if self.json {
            Style::Json
        } else if table {
            Style::Table(sep)
        } else {
            Style::Plain
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Cli;
    use super::*;
    use clap::Parser;

    fn style(args: &[&str]) -> Result<Style, String> {
        let args = ["ctdb"].iter().chain(args);
        Cli::try_parse_from(args).unwrap().options.style().map_err(|f| f.message)
    }

    #[test]
    fn options_choose_the_style_before_and_after_the_command() {
        assert_eq!(style(&["ip"]), Ok(Style::Plain));
        assert_eq!(style(&["-X", "ip"]), Ok(Style::Table('|')));
        assert_eq!(style(&["ip", "-Y"]), Ok(Style::Table('|')));
        assert_eq!(style(&["ip", "-x", ":"]), Ok(Style::Table(':')));
        assert_eq!(style(&["-Y", "-x", ",", "ip"]), Ok(Style::Table(',')));
        assert_eq!(style(&["-X", "-x", ",", "ip"]), Ok(Style::Table('|')));
        assert_eq!(style(&["ip", "--json"]), Ok(Style::Json));
        assert_eq!(style(&["-j", "-Y", "ip"]), Err("--json and -Y options are mutually exclusive".into()));
        assert_eq!(
            style(&["-x", "::", "ip"]),
            Err("Invalid separator '::' - must be a single character".into())
        );
    }
}
