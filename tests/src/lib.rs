//! What the tests of ctdb-ip share: the lab of network namespaces, clusters in it, the demo, and the conformance vectors.

pub mod bench;
pub mod cluster;
pub mod demo;
pub mod lab;
pub mod sim;
pub mod vectors;
