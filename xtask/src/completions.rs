//! Completions of `ctdb` and `ctdbd` for the shells.

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::{Shell, generate_to};
use std::path::Path;

/// The shells.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// Writes all files into `dir` and says how many.
pub(crate) fn write(dir: &Path) -> Result<usize> {
    super::fresh(dir)?;
    for shell in SHELLS {
        for (mut command, name) in [(ctl::cli::command(), "ctdb"), (config::cli::Cli::command(), "ctdbd")] {
            generate_to(shell, &mut command, name, dir).with_context(|| {
                format!("cannot write the completions of {name} for {shell} in {}", dir.display())
            })?;
        }
    }
    super::count(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shell_has_a_file_for_each_program() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(write(dir.path()).unwrap(), 2 * SHELLS.len());
        for name in ["ctdb.bash", "_ctdb", "ctdb.fish"] {
            let text = std::fs::read_to_string(dir.path().join(name)).unwrap();
            for word in ["ipreallocate", "natgw", "machineparsable"] {
                assert!(text.contains(word), "{name} lacks {word}");
            }
        }
        assert!(dir.path().join("ctdbd.bash").exists());
    }

    #[test]
    fn bash_can_read_its_file() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path()).unwrap();
        let Ok(checked) =
            std::process::Command::new("bash").arg("-n").arg(dir.path().join("ctdb.bash")).status()
        else {
            let _shown = super::super::tell("skipped: bash_can_read_its_file: needs bash");
            return;
        };
        assert!(checked.success());
    }
}
