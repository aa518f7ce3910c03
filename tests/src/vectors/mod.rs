//! Conformance vectors (`../shared/conformance/README.md`): reading them, and turning them into questions for `recoverd`.
//!
//! Nothing here decides or compares; the commands in `src/bin` print what `recoverd` answers, the tests in `it` compare.

pub mod command;
pub mod ipalloc;
pub mod stream;
pub mod takeover;
pub mod takeover_nodes;
pub mod takeover_outcome;
pub mod takeover_rule;
