//! Where the time of a fail-over goes: what the ways that clients wait for spend on each step, written down while it happens.
//!
//! Off unless the environment names a file (`CTDB_TRACE`); then every span and every event of the target [`TARGET`] becomes a line of JSON in it
//! ([`Line`]), in the order in which they end. The daemon's guard writes to the same file. Times are of the host's clock, so that `bench path` (crate
//! `tests`) can put the lines of several daemons beside the kernel's address events and the client's answers. A tool for developers; CTDB
//! has no counterpart. Costs one check of a flag for each step when it is off, and one small write when it is on.

use crate::clock;
use serde::Serialize;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

/// The target of all that is traced.
pub const TARGET: &str = "path";
/// Names the file.
pub const VARIABLE: &str = "CTDB_TRACE";

/// One step, as it is written.
#[derive(Debug, Serialize)]
pub struct Line<'a> {
    /// Whose: `node` (the daemon) or `guard`.
    pub of: &'a str,
    /// When it began, microseconds of CLOCK_MONOTONIC.
    pub at_us: u64,
    /// How long it took, microseconds; nothing for a moment.
    pub took_us: Option<u64>,
    /// What was done.
    pub what: &'a str,
    /// To what, with what: the fields, separated by blanks.
    pub with: &'a str,
}

/// The layer of a daemon or guard; none when it is off or the file cannot be opened (which is told on standard error: the log is not there yet).
pub(crate) fn layer<S>(of: &'static str) -> Option<impl Layer<S>>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let path = std::env::var_os(VARIABLE)?;
    match OpenOptions::new().create(true).append(true).open(&path) {
        Ok(file) => {
            Some(Steps { of, file }.with_filter(Targets::new().with_target(TARGET, LevelFilter::TRACE)))
        }
        Err(e) => {
            // Standard error may be closed: then nobody wants to read it.
            let _ = writeln!(io::stderr(), "ctdbd: cannot write {} ({VARIABLE}): {e}", path.display());
            None
        }
    }
}

/// For a process without a log (the guard).
pub(crate) fn start_alone() {
    // A second subscriber is refused; the first one then stays.
    let _ = Registry::default().with(layer("guard")).try_init();
}

struct Steps {
    of: &'static str,
    file: File,
}

/// What a span carries.
struct Begun {
    at_us: u64,
    with: Words,
}

/// The values of fields, in order.
#[derive(Default)]
struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, _field: &Field, value: &dyn std::fmt::Debug) {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        // Writing to a String cannot fail.
        let _ = write!(self.0, "{value:?}");
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

impl Steps {
    fn write(&self, line: &Line<'_>) {
        let Ok(mut text) = serde_json::to_vec(line) else { return };
        text.push(b'\n');
        // One write, so that lines of several processes do not mix. A line that cannot be written is lost.
        let _ = (&self.file).write_all(&text);
    }
}

impl<S> Layer<S> for Steps
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut begun = Begun { at_us: clock::mono().0, with: Words::default() };
        attributes.record(&mut begun.with);
        span.extensions_mut().insert(begun);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(begun) = span.extensions_mut().get_mut::<Begun>() {
            values.record(&mut begun.with);
        }
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut with = Words::default();
        event.record(&mut with);
        let (what, with) = with.0.split_once(' ').unwrap_or((&with.0, ""));
        self.write(&Line { of: self.of, at_us: clock::mono().0, took_us: None, what, with });
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let extensions = span.extensions();
        let Some(begun) = extensions.get::<Begun>() else { return };
        self.write(&Line {
            of: self.of,
            at_us: begun.at_us,
            took_us: Some(clock::mono().0.saturating_sub(begun.at_us)),
            what: span.name(),
            with: &begun.with.0,
        });
    }
}

/// The name of an enum's variant: what its debug text begins with.
pub(crate) fn variant(value: &impl std::fmt::Debug) -> String {
    /// Takes the text up to the first character that is not of a name, and then fails, which ends the formatting.
    struct Name(String);
    impl std::fmt::Write for Name {
        fn write_str(&mut self, s: &str) -> std::fmt::Result {
            let end = s.find(|c: char| !c.is_alphanumeric()).unwrap_or(s.len());
            self.0.push_str(&s[..end]);
            if end < s.len() { Err(std::fmt::Error) } else { Ok(()) }
        }
    }
    let mut name = Name(String::new());
    // It fails on purpose.
    let _ = write!(name, "{value:?}");
    name.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_is_named_without_what_is_in_it() {
        #[derive(Debug)]
        enum Some3 {
            Unit,
            Tuple(#[expect(dead_code, reason = "only shown")] u8),
            Struct {
                #[expect(dead_code, reason = "only shown")]
                a: u8,
            },
        }
        let names = [Some3::Unit, Some3::Tuple(1), Some3::Struct { a: 1 }].map(|v| variant(&v));
        assert_eq!(names, ["Unit", "Tuple", "Struct"]);
    }

    #[test]
    fn spans_and_events_of_the_target_become_lines() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let steps = Steps { of: "node", file: file.reopen().unwrap() };
        let only = Targets::new().with_target(TARGET, LevelFilter::TRACE);
        let subscriber = Registry::default().with(steps.with_filter(only));
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::trace_span!(target: TARGET, "gate", n = 2, late = tracing::field::Empty);
            span.record("late", "x");
            drop(span);
            tracing::trace!(target: TARGET, "sent {}", "State");
            tracing::error!("of another target");
        });
        let text = std::fs::read_to_string(file.path()).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let told: Vec<_> =
            lines.iter().map(|l| (l["what"].as_str(), l["with"].as_str(), l["took_us"].is_u64())).collect();
        assert_eq!(told, [(Some("gate"), Some("2 x"), true), (Some("sent"), Some("State"), false)]);
    }
}
