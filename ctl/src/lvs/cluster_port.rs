//! The node service's port: that of the daemon which runs here, else that which one would have (`CTDB_PORT`, or the default).

use clap::Parser;
use config::Paths;
use config::cli::{Cli, DEFAULT_PORT};
use std::fs;
use std::path::Path;

/// TCP and UDP port of the nodes.
pub(super) fn cluster_port() -> u16 {
    let running = running(&Paths::from_env().rundir, Path::new("/proc"));
    running.or_else(|| Cli::try_parse_from(["ctdbd"]).ok().map(|cli| cli.port)).unwrap_or(DEFAULT_PORT)
}

/// By the command line and the environment of the process in the pid file; none when it is no ctdbd, or may not be looked at.
fn running(rundir: &Path, proc: &Path) -> Option<u16> {
    let pid: u32 = fs::read_to_string(rundir.join("ctdbd.pid")).ok()?.trim().parse().ok()?;
    let words = |name: &str| -> Option<Vec<String>> {
        let text = String::from_utf8(fs::read(proc.join(pid.to_string()).join(name)).ok()?).ok()?;
        Some(text.split_terminator('\0').map(str::to_owned).collect())
    };
    let args = words("cmdline")?;
    let program = Path::new(args.first()?).file_name()?;
    if program != "ctdbd" {
        return None;
    }
    let said = |arg: &String| arg == "--port" || arg.starts_with("--port=");
    if args.iter().any(said) {
        return Some(Cli::try_parse_from(&args).ok()?.port);
    }
    let environment = words("environ")?;
    let variable = environment.iter().find_map(|v| v.strip_prefix("CTDB_PORT="));
    variable.map_or(Some(DEFAULT_PORT), |port| port.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_daemon_knows_best() {
        let dir = tempfile::tempdir().unwrap();
        let seen = |cmdline: &str, environ: &str| {
            let process = dir.path().join("7");
            fs::create_dir_all(&process).unwrap();
            fs::write(dir.path().join("ctdbd.pid"), "7\n").unwrap();
            fs::write(process.join("cmdline"), cmdline).unwrap();
            fs::write(process.join("environ"), environ).unwrap();
            running(dir.path(), dir.path())
        };
        assert_eq!(running(dir.path(), dir.path()), None, "no pid file");
        assert_eq!(seen("/usr/sbin/ctdbd\0--port=43790\0", "CTDB_PORT=5\0"), Some(43790));
        assert_eq!(seen("ctdbd\0-i\0--port\x0043791\0", ""), Some(43791));
        assert_eq!(seen("ctdbd\0-i\0", "A=1\0CTDB_PORT=43792\0"), Some(43792));
        assert_eq!(seen("ctdbd\0-i\0", "A=1\0"), Some(DEFAULT_PORT));
        assert_eq!(seen("sh\0ctdbd\0--port=9\0", ""), None, "another process has the number now");
    }
}
