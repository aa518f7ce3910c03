//! What the tests of ctdb-ip share: the lab of network namespaces, clusters in it, the demo, the conformance vectors, and tests in a virtual machine.

pub mod bench;
pub mod cluster;
pub mod demo;
pub mod lab;
pub mod sim;
pub mod vectors;
pub mod vm;
