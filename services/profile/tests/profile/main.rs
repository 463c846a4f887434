//! The profile service as its clients see it: over gRPC on loopback, on the memory store.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "all of this is tests")]
#![allow(clippy::indexing_slicing, clippy::needless_pass_by_value, reason = "all of this is tests")]

mod apply;
mod associated;
mod creating;
mod credentials;
mod deleting;
mod fake_sessions;
mod filtering;
mod guards;
mod imports;
mod kinds;
mod lint;
mod listing;
mod lookups;
mod parameters;
mod personal;
mod races;
mod refusals;
mod rendering;
mod restoring;
mod site;
mod skipping;
mod snapshots;
mod subscribing;
mod updating;
