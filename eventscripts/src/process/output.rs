//! The last bytes of what a script printed.

use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes kept of each script.
const KEPT: usize = 64 * 1024;
/// Read at most after the end of the child. Its own last words are at most what a pipe holds; more comes from what it left running.
const DRAINED: usize = 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct Tail {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    dropped: usize,
}

impl Kept {
    fn trim(&mut self) {
        let excess = self.bytes.len().saturating_sub(KEPT);
        self.bytes.drain(..excess);
        self.dropped += excess;
    }
}

impl Tail {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, bytes: &[u8]) {
        let mut kept = self.kept();
        kept.bytes.extend_from_slice(bytes);
        // Not at each chunk: moving is then paid once for each 64 KiB.
        if kept.bytes.len() >= 2 * KEPT {
            kept.trim();
        }
    }

    /// Reads what the pipe holds now, whoever may still have it open.
    pub(super) fn drain(&self, pipe: &impl AsFd) {
        let mut chunk = [0; 4096];
        let mut left = DRAINED;
        while left > 0 {
            match nix::unistd::read(pipe, &mut chunk) {
                Ok(n) if n > 0 => {
                    self.push(&chunk[..n]);
                    left = left.saturating_sub(n);
                }
                Err(nix::errno::Errno::EINTR) => {}
                _ => return,
            }
        }
    }

    /// As text, without the last line's end; says how much is missing at the front.
    pub(super) fn text(&self) -> String {
        let mut kept = self.kept();
        kept.trim();
        let text = String::from_utf8_lossy(&kept.bytes);
        let text = text.trim_end_matches('\n');
        if kept.dropped > 0 {
            format!("... {} bytes before this are not kept\n{text}", kept.dropped)
        } else {
            text.to_owned()
        }
    }
}
