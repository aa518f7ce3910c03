//! Benchmarks of fail-over in the lab: the scenarios of `shared/BASELINE.md`, ours beside CTDB and keepalived from Debian's packages,
//! in one run on one machine.
//!
//! Measures and prints; nothing passes or fails. A product is whatever moves addresses (`product`), a scenario breaks something and says
//! what counts (`scenario`), `run` plays one against the other, `table` and `plot` show the result. Sizes (`scale`, `many_nodes`) and idle
//! cost (`idle`) are ours alone.

mod bed;
mod ctdb;
mod decide;
mod idle;
mod keepalived;
mod many_nodes;
mod ours;
mod path;
mod plot;
mod product;
mod run;
mod scale;
mod scenario;
mod stats;
mod table;

pub use decide::{Cluster, decide};
pub use idle::idle;
pub use many_nodes::many_nodes;
pub use path::{PATHS, path, timeline};
pub use plot::plot;
pub use product::Peer;
pub use run::{Plan, Sample, play};
pub use scale::scale;
pub use scenario::{ALL, Scenario};
pub use stats::Spread;
pub use table::{Machine, markdown};
