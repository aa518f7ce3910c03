//! What a built-in event handler is to the runner.

use recoverd::model::Event;
use std::pin::Pin;

/// A boxed future, so that traits with asynchronous methods stay usable as `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How a handler ended, in the terms of a script: whether it failed, and what it printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handled {
    /// As an exit status other than 0.
    pub failed: bool,
    /// What a script would have printed; lines without a final newline.
    pub output: String,
}

impl Handled {
    /// Success with nothing to say.
    pub const OK: Self = Self { failed: false, output: String::new() };

    /// A failure with its reason.
    #[must_use]
    pub fn failed(output: impl Into<String>) -> Self {
        Self { failed: true, output: output.into() }
    }
}

/// A built-in handler: runs in the daemon, in the place an executable of the same name would have, without a fork.
///
/// The future is dropped when the event's time is over or a `monitor` is cancelled; dropping must be safe at any await.
pub trait Handler: Send + Sync {
    /// Name with its two-digit prefix, as `ctdb event status` shows it: `10.interface`.
    fn name(&self) -> &str;

    /// Handles an event; one that it does not know is a success with no output.
    fn handle<'a>(&'a self, event: &'a Event) -> BoxFuture<'a, Handled>;
}
