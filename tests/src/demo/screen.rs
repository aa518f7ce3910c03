//! What the demo prints: plain lines, coloured on a terminal unless `NO_COLOR` is set.

use std::io::{IsTerminal, Write};
use std::time::Duration;

/// Standard output of the demo.
#[derive(Debug, Clone, Copy)]
pub(super) struct Screen {
    colour: bool,
}

const BOLD: &str = "1";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const CYAN: &str = "36";
const DIM: &str = "2";

impl Screen {
    pub(super) fn new() -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|v| !v.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        Self { colour: std::io::stdout().is_terminal() && !set("NO_COLOR") && !dumb }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// One line; a reader that has gone away is no fault of the demo.
    pub(super) fn line(self, text: &str) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{text}");
        let _ = out.flush();
    }

    /// Text without the end of a line, shown at once.
    pub(super) fn prompt(self, text: &str) {
        let mut out = std::io::stdout().lock();
        let _ = write!(out, "{}", self.paint(BOLD, text));
        let _ = out.flush();
    }

    /// A heading, after an empty line.
    pub(super) fn title(self, text: &str) {
        self.line("");
        self.line(&self.paint(BOLD, text));
    }

    /// What is done, as an operator would type it.
    pub(super) fn doing(self, host: &str, command: &str) {
        self.line(&format!("  {} {}", self.paint(DIM, &format!("{host}#")), self.paint(CYAN, command)));
    }

    /// What a command printed.
    pub(super) fn output(self, text: &str) {
        for line in text.trim_end().lines() {
            self.line(&format!("    {line}"));
        }
    }

    /// Something that happened so long after the beginning of the step.
    pub(super) fn event(self, after: Duration, text: &str) {
        let at = format!("{:>10}", format!("+{}", ms(after)));
        self.line(&format!("  {} {text}", self.paint(DIM, &at)));
    }

    /// What the client saw.
    pub(super) fn good(self, text: &str) {
        self.line(&format!("  {}", self.paint(GREEN, text)));
    }

    /// What is not as one would wish.
    pub(super) fn bad(self, text: &str) {
        self.line(&format!("  {}", self.paint(YELLOW, text)));
    }

    /// An explanation.
    pub(super) fn note(self, text: &str) {
        self.line(&format!("  {}", self.paint(DIM, text)));
    }
}

/// A duration for a person.
pub(super) fn ms(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1000.0;
    match ms {
        ..10.0 => format!("{ms:.1} ms"),
        ..10_000.0 => format!("{ms:.0} ms"),
        _ => format!("{:.1} s", ms / 1000.0),
    }
}

/// A silence: the probe lists those of 3 ms and more.
pub(super) fn silence(longest: Duration) -> String {
    if longest.is_zero() { "< 3 ms".to_owned() } else { ms(longest) }
}
