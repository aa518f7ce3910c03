//! `ctdbd`: the daemon's entry. Reads the command line and the configuration, then runs the driver.

use clap::Parser;
use ctdbd::cli::Cli;
use ctdbd::config::{Config, ConfigErrors, LogTarget, Paths};
use ctdbd::{daemonize, driver, guard, logging};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|a| a == guard::ARGUMENT) {
        return match guard::run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => {
                let _ = writeln!(std::io::stderr(), "ctdbd guard: {e}");
                ExitCode::from(1)
            }
        };
    }
    let cli = Cli::parse();
    match start(&cli) {
        Ok(code) => ExitCode::from(code),
        Err(e) => {
            // One line, and the last one: the parent of a daemon in the background shows it.
            let _ = writeln!(std::io::stderr(), "ctdbd: {e:#}");
            ExitCode::from(1)
        }
    }
}

fn start(cli: &Cli) -> anyhow::Result<u8> {
    let mut paths = Paths::from_env();
    if let Some(socket) = &cli.socket {
        paths.socket.clone_from(socket);
    }
    if !cli.interactive && !cli.detached {
        return in_background(&paths);
    }
    if cli.detached {
        daemonize::leave_session()?;
    }
    let config = Config::load(&paths, cli).map_err(tell)?;
    let level = logging::start(&config.log, config.conf.log_level)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let stderr_too = config.log != LogTarget::Stderr;
    let ended = runtime.block_on(driver::run(config, cli.clone(), level));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match ended {
        Ok((0, why)) => {
            tracing::info!("ctdbd ends: {why}");
            Ok(0)
        }
        Ok((code, why)) => {
            tracing::error!("ctdbd ends: {why}");
            if stderr_too {
                let _ = writeln!(std::io::stderr(), "ctdbd: {why}");
            }
            Ok(code)
        }
        Err(e) => {
            if stderr_too {
                tracing::error!("{e}");
            }
            Err(e.into())
        }
    }
}

/// One fault is the daemon's last word. Of several each gets its line, and the last word says how many there are: the parent of a
/// daemon in the background shows only that.
fn tell(errors: ConfigErrors) -> anyhow::Error {
    let count = errors.0.len();
    let Some(first) = errors.0.first().filter(|_| count > 1) else { return errors.into() };
    for error in &errors.0 {
        let _ = writeln!(std::io::stderr(), "ctdbd: {error}");
    }
    anyhow::anyhow!("{count} faults in the configuration (`ctdb config check` shows all), the first: {first}")
}

fn in_background(paths: &Paths) -> anyhow::Result<u8> {
    let program = std::env::current_exe()?;
    let stderr = paths.rundir.join("ctdbd.stderr");
    let args = std::env::args_os().skip(1);
    match daemonize::start(&program, args, &paths.socket, &stderr, daemonize::START_LIMIT) {
        Ok(_) => Ok(0),
        Err(e) => {
            let _ = writeln!(std::io::stderr(), "ctdbd: {e}");
            Ok(e.exit_code())
        }
    }
}
