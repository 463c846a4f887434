//! Readiness as a value: whoever is not ready holds a [`Hold`] and drops it when he is.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// Ready when nobody holds it back. Clones share it.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    holds: Mutex<Holds>,
    ready: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Holds {
    next: u64,
    reasons: BTreeMap<u64, Cow<'static, str>>,
}

/// Keeps a process from being ready until it is dropped.
#[derive(Debug)]
#[must_use = "readiness is held only while this lives"]
pub struct Hold {
    readiness: Readiness,
    number: u64,
}

impl Default for Readiness {
    fn default() -> Self {
        Self(Arc::new(Inner { holds: Mutex::default(), ready: watch::Sender::new(true) }))
    }
}

impl Readiness {
    /// Ready, as long as nobody holds it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Not ready until the hold is dropped; `reason` stands in `/readyz` meanwhile.
    pub fn hold(&self, reason: impl Into<Cow<'static, str>>) -> Hold {
        let mut holds = self.holds();
        holds.next += 1;
        let number = holds.next;
        holds.reasons.insert(number, reason.into());
        self.0.ready.send_replace(false);
        drop(holds);
        Hold { readiness: self.clone(), number }
    }

    /// Whether nobody holds it.
    pub fn is_ready(&self) -> bool {
        *self.0.ready.borrow()
    }

    /// Why it is not ready, the oldest reason first; empty when it is.
    pub fn reasons(&self) -> Vec<Cow<'static, str>> {
        self.holds().reasons.values().cloned().collect()
    }

    /// Changes between ready and not ready.
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.0.ready.subscribe()
    }

    fn holds(&self) -> MutexGuard<'_, Holds> {
        self.0.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hold {
    /// Another reason takes the place of the one that it was taken with.
    pub fn because(&self, reason: impl Into<Cow<'static, str>>) {
        self.readiness.holds().reasons.insert(self.number, reason.into());
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut holds = self.readiness.holds();
        holds.reasons.remove(&self.number);
        if holds.reasons.is_empty() {
            self.readiness.0.ready.send_replace(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_when_the_last_hold_is_dropped() {
        let readiness = Readiness::new();
        assert!(readiness.is_ready());
        let store = readiness.hold("the store is opening");
        let keys = readiness.hold("no keys yet");
        assert_eq!(readiness.reasons(), ["the store is opening", "no keys yet"]);
        keys.because("the keys cannot be read");
        drop(store);
        assert!(!readiness.is_ready());
        assert_eq!(readiness.reasons(), ["the keys cannot be read"]);
        drop(keys);
        assert!(readiness.is_ready());
        assert!(readiness.reasons().is_empty());
    }
}
