//! placeholder

pub mod lock;
pub mod netif;
pub mod packet;
mod sys;
#[cfg(test)]
mod testns;
pub mod admin_state;
pub mod cli;
pub mod config;
pub mod daemonize;
pub mod journal;
