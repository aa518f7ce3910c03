//! Tests of the node machine: whole clusters in memory, one story each.

mod stories;
mod world;
