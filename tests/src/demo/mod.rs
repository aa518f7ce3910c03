//! The demo: three daemons in the lab, one client that asks every address each millisecond, and the things that happen to a cluster.
//!
//! [`story`] plays and measures, [`watch`] evaluates what the kernels said, [`screen`] prints, [`prompt`] is `--stay`. Nothing here
//! decides about addresses, and every figure is measured in the run that prints it, except those named as CTDB's.

mod prompt;
mod screen;
mod story;
mod watch;

use crate::cluster::{Cluster, ClusterConfig};
use crate::lab::{Lab, LabConfig, LabError, binaries};
use anyhow::Context;
use clap::Parser;
use screen::Screen;
use story::Story;

/// What `cargo demo` accepts.
#[derive(Debug, Parser)]
#[command(
    name = "cargo demo",
    about = "A ctdb-ip cluster of three nodes and six addresses on this machine, in network namespaces: it loses and restores addresses, and a client measures.",
    after_help = "Needs root or user namespaces. Nothing outside of the demo's own namespaces is touched; all of it is gone at the end."
)]
pub struct Options {
    /// Leave the cluster up and take commands until the end of input or Ctrl-C.
    #[arg(long)]
    pub stay: bool,
    /// With --stay: do not play the story first.
    #[arg(long, requires = "stay")]
    pub quick: bool,
}

/// Plays the demo.
///
/// # Errors
/// No lab can be had, the programs cannot be built, or something does not happen that should.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let screen = Screen::new();
    screen.title("ctdb-ip: three nodes, six public addresses");
    screen.note("building the daemon and the command line (only the first time takes long)");
    binaries().context("cannot build ctdbd and ctdb")?;
    screen.note("making the network: three nodes, a client, a switch, each a namespace of this machine");
    let config = ClusterConfig::default();
    let lab_config = LabConfig { nodes: config.nodes, public_ifaces: config.ifaces.clone() };
    let lab = Lab::new(&lab_config).map_err(explain)?;
    let cluster = Cluster::prepare(lab, &config)?;
    let mut story = Story::begin(cluster, screen)?;
    if !options.quick {
        story.play()?;
        story.summary()?;
    }
    if options.stay {
        prompt::run(story.into_cluster(), screen)?;
    } else {
        screen.line("");
        screen.line("To play with the cluster yourself: cargo demo -- --stay");
    }
    Ok(())
}

fn explain(error: LabError) -> anyhow::Error {
    match error {
        LabError::NoNamespaces(why) => anyhow::anyhow!(
            "this needs root, or user namespaces for ordinary users, and this machine allows neither ({why}); run it as root, or allow \
             them: `sysctl user.max_user_namespaces=10000`, on Debian also `sysctl kernel.unprivileged_userns_clone=1`, on Ubuntu \
             `sysctl kernel.apparmor_restrict_unprivileged_userns=0`, in a container `--privileged`"
        ),
        other => other.into(),
    }
}
