//! Tests of the node machine: whole clusters in memory. `stories` has one story each, on a kind cluster (`world`); `histories` has
//! random ones on an unkind cluster (`cluster`, `services`, `faults`), with `rules` that hold always.

mod bench;
mod cluster;
mod faults;
mod histories;
mod orders;
mod rng;
mod rules;
mod services;
mod stories;
mod world;
