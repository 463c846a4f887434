//! The memory model: what the promises of the traits mean, over plain maps under one lock. Tests of the services run
//! on it; nothing of it outlives the process.

mod audit;
mod commit;
mod credential;
mod directory;
mod federation;
mod import;
mod session;
mod token;

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::Sequence;

/// Everything that a cluster keeps, in memory.
#[derive(Debug)]
pub struct MemoryStore {
    state: Mutex<State>,
    latest: watch::Sender<Sequence>,
}

#[derive(Debug, Default)]
struct State {
    sessions: session::Sessions,
    audit: audit::Audit,
    directory: directory::Directory,
    imports: import::Imports,
    credentials: credential::Credentials,
    tokens: token::Tokens,
    federation: federation::Federation,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self { state: Mutex::default(), latest: watch::Sender::new(0) }
    }

    /// One that holds nothing and must be begun, as a Redis that is new or has lost everything.
    pub fn lost() -> Self {
        let store = Self::new();
        store.state().sessions.is_lost = true;
        store
    }

    /// No step below can end halfway, so a state whose lock is poisoned is still whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}
