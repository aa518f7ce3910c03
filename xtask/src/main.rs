//! Chores of this workspace, as `cargo xtask CHORE`: man pages and shell completions, made of the grammars of `ctdb` and `ctdbd`.

mod completions;
mod man;

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let target = target();
    let (made, dir) = match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["man"] => {
            let dir = target.join("man");
            (man::write(&dir)?, dir)
        }
        ["completions"] => {
            let dir = target.join("completions");
            (completions::write(&dir)?, dir)
        }
        _ => bail!("usage: cargo xtask man|completions"),
    };
    tell(&format!("{made} files in {}", dir.display()))
}

/// The target directory of the workspace.
fn target() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from)
}

/// Makes `dir` anew: no page of a command that is gone may stay.
fn fresh(dir: &Path) -> Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
        _ => std::fs::create_dir_all(dir),
    }
    .with_context(|| format!("cannot make {} anew", dir.display()))
}

/// How many files there are.
fn count(dir: &Path) -> Result<usize> {
    Ok(std::fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?.count())
}

fn tell(line: &str) -> Result<()> {
    use std::io::Write;
    writeln!(std::io::stdout(), "{line}").context("cannot write to stdout")
}
