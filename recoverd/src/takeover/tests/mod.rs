//! Tests of the takeover run against a fake cluster.

mod faults;
mod properties;
mod runs;
mod what_if;
pub(crate) mod world;
