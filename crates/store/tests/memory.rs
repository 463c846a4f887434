//! The memory model keeps what the traits promise, and the suite runs every case there is.

use std::collections::BTreeSet;
use std::sync::Arc;

use roamline_store::memory::MemoryStore;
use roamline_store::{conformance_suite, session_begin_suite};

conformance_suite!(memory, async { (Arc::new(MemoryStore::new()), ()) });

session_begin_suite!(a_memory_that_is_lost, async { (Arc::new(MemoryStore::lost()), ()) });

#[test]
fn every_case_is_in_the_suite() {
    let groups = [
        include_str!("../src/conformance/session.rs"),
        include_str!("../src/conformance/session_begin.rs"),
        include_str!("../src/conformance/session_commit.rs"),
        include_str!("../src/conformance/session_event.rs"),
        include_str!("../src/conformance/directory.rs"),
        include_str!("../src/conformance/credential.rs"),
        include_str!("../src/conformance/audit.rs"),
    ];
    let lines = groups.iter().flat_map(|group| group.lines());
    let written: BTreeSet<_> = lines
        .filter_map(|line| line.strip_prefix("pub async fn "))
        .filter_map(|rest| rest.split('(').next())
        .collect();
    let suite = include_str!("../src/conformance.rs");
    let listed: BTreeSet<_> = suite.lines().filter_map(|line| line.trim().strip_suffix(',')).collect();
    let missing: Vec<_> = written.difference(&listed).collect();
    assert!(!written.is_empty() && missing.is_empty(), "{missing:?}");
}
