//! Bulk work on a site of real size (DP-19): how long it takes, what it leaves when something is killed in the middle,
//! and that a large directory is as quick as a small one. With `ROAMLINE_TEST_FULL` the sites have 60,000 phones.

mod faults;
mod files;
mod scale;

/// Whether the long runs are asked for.
fn full() -> bool {
    std::env::var_os("ROAMLINE_TEST_FULL").is_some()
}
