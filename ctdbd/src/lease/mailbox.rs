//! Words between the lease thread and the others, without the lease thread ever waiting for one of them.
//!
//! A real-time thread that waits for a lock waits for its owner, which any busy program may keep from running; and channels that call
//! themselves free of locks spin until a writer that was interrupted goes on, which a real-time thread on the same core prevents. So the
//! lease thread only *tries* the lock: what it cannot put or take now it puts or takes a moment later.

use std::sync::{Mutex, PoisonError, TryLockError};

/// Words in their order.
#[derive(Debug)]
pub(super) struct Mailbox<T>(Mutex<Vec<T>>);

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Mailbox<T> {
    /// Puts a word in. May wait: not for the lease thread. Wake the lease thread *after* it.
    pub(super) fn put(&self, word: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(word);
    }

    /// Takes all words. May wait: not for the lease thread.
    pub(super) fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes all words, or none if somebody is just putting one in: that one wakes the lease thread when it is done.
    pub(super) fn try_take(&self) -> Vec<T> {
        self.try_with(std::mem::take).unwrap_or_default()
    }

    /// Puts these words in; false if somebody has the lock, and they are all still there.
    pub(super) fn try_put(&self, words: &mut Vec<T>) -> bool {
        self.try_with(|all| all.append(words)).is_some()
    }

    fn try_with<R>(&self, act: impl FnOnce(&mut Vec<T>) -> R) -> Option<R> {
        match self.0.try_lock() {
            Ok(mut words) => Some(act(&mut words)),
            Err(TryLockError::Poisoned(words)) => Some(act(&mut words.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lease_thread_never_waits_and_loses_nothing() {
        let mailbox = Mailbox::default();
        mailbox.put(1);
        let mut more = vec![2, 3];
        {
            let _held_by_a_thread_that_does_not_run = mailbox.0.lock().unwrap();
            assert!(!mailbox.try_put(&mut more));
            assert_eq!(mailbox.try_take(), [0; 0]);
        }
        assert!(mailbox.try_put(&mut more));
        assert_eq!((more, mailbox.try_take()), (vec![], vec![1, 2, 3]));
        mailbox.put(4);
        assert_eq!(mailbox.take(), [4]);
    }
}
