//! What every parser of this crate returns: what could be read, and all that could not.

use crate::place::Place;

/// What stands in a file, and every wrong line of it. A wrong line is left out of the value, so that the rest can still be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed<T, F> {
    /// What could be read.
    pub value: T,
    /// All that is wrong, in the order of the file.
    pub faults: Vec<(Place, F)>,
}

impl<T, F> Parsed<T, F> {
    /// The value, if all of the file is good.
    ///
    /// # Errors
    /// Every wrong line.
    pub fn good(self) -> Result<T, Vec<(Place, F)>> {
        if self.faults.is_empty() { Ok(self.value) } else { Err(self.faults) }
    }
}

/// The value or one line a fault, for tests of parsers.
#[cfg(test)]
pub(crate) fn told<T, F: std::fmt::Display>(parsed: Parsed<T, F>) -> Result<T, String> {
    parsed.good().map_err(|faults| {
        faults.iter().map(|(place, fault)| format!("{place}: {fault}")).collect::<Vec<_>>().join("\n")
    })
}
