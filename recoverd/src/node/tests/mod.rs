//! Tests of the node machine: whole clusters in memory. `stories` has one story each, on a kind cluster (`world`); `histories` has
//! random ones on an unkind cluster (`cluster`, `steps`, `services`, `faults`), with `rules` that hold always;
//! `orders` has what they found, on one machine (`bench`); `silence` has who is missed, and what that costs; `leases` has the machine on top of the lease layer.

mod bench;
mod changes;
mod cluster;
mod faults;
mod groups;
mod histories;
mod leases;
mod orders;
mod rng;
mod rules;
mod services;
mod silence;
mod states;
mod steps;
mod stories;
mod world;
