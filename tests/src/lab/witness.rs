//! A test's hand on the witnesses: one asks every node for every address, one the segment for one address by ARP.

use super::process::{HostCommand, Process};
use super::{Lab, LabError, WitnessReport, daemon};
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A running witness; made by [`Lab::witness`]. It ends when dropped.
#[derive(Debug)]
pub struct Witness {
    process: Process,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Witness {
    /// All that it has heard.
    ///
    /// # Errors
    /// When it is gone.
    pub fn report(&self) -> Result<WitnessReport, LabError> {
        let failed = |error| LabError::io("ask the witness", error);
        let mut pipes = self.pipes.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(pipes.0, "report").map_err(failed)?;
        let mut line = String::new();
        pipes.1.read_line(&mut line).map_err(failed)?;
        serde_json::from_str(&line).map_err(|e| failed(e.into()))
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        // It may have ended with its lab already.
        self.process.kill9().ok();
    }
}

impl Lab {
    /// Starts asking every node for each of these addresses, each millisecond, over the public interface `iface` of the nodes.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn witness(&self, iface: &str, addresses: &[IpAddr]) -> Result<Witness, LabError> {
        let mut command = self.client().command(daemon::agent()?).args(["witness", "--iface", "eth0"]);
        for address in addresses {
            command = command.arg("--addr").arg(address.to_string());
        }
        self.start_witness(command, iface)
    }

    /// Starts asking the segment of the nodes' public interface `iface` for an address by ARP, at this interval (less than 20 ms,
    /// or it proves nothing).
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn arp_witness(&self, iface: &str, address: Ipv4Addr, every: Duration) -> Result<Witness, LabError> {
        let command = self.client().command(daemon::agent()?);
        let (address, every) = (address.to_string(), every.as_micros().to_string());
        let args = ["arp-witness", "--iface", "eth0", "--addr", &address, "--interval-us", &every];
        self.start_witness(command.args(args), iface)
    }

    fn start_witness(&self, command: HostCommand, iface: &str) -> Result<Witness, LabError> {
        let mut command = command;
        for node in 0..self.nodes() {
            let mac = self.node(node).link_state(iface)?.mac.map(|b| format!("{b:02x}")).join(":");
            command = command.arg("--mac").arg(mac);
        }
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(stdin), Some(stdout)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(LabError::Refused("the witness has no pipes".to_owned()));
        };
        Ok(Witness { process, pipes: Mutex::new((stdin, BufReader::new(stdout))) })
    }
}
