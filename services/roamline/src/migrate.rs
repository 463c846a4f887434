//! `roamline migrate`: brings the tables of the store up to date, or says what that would do.

use std::io::Write;
use std::path::Path;

use anyhow::Context;

use crate::data_dir::DataDir;
use crate::store::Store;

/// What came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The tables are up to date.
    UpToDate,
    /// They are not, and nothing was to be changed.
    Pending,
}

/// Applies what is pending, or with `check` only names it. Any number may do so at once: one applies, the others find it
/// done.
///
/// # Errors
/// When the database cannot be reached, is newer than this program, or belongs to a server that runs on it.
pub(crate) async fn run(store: &Store, data: &Path, check: bool) -> anyhow::Result<Outcome> {
    let database = store.database();
    let pending = database.pending().await.context("the store cannot be looked at")?;
    if pending.is_empty() {
        say(&format!("{database} is up to date\n"));
        return Ok(Outcome::UpToDate);
    }
    if check {
        say(&pending.iter().map(|name| format!("pending: {name}\n")).collect::<String>());
        return Ok(Outcome::Pending);
    }
    // A server of another version may be at work on the file; one that waits for us shares it.
    let _shared = store.is_embedded().then(|| DataDir::share(data)).transpose()?;
    let applied = database.migrate().await.context("the store cannot be migrated")?;
    let mut text: String = applied.iter().map(|name| format!("applied: {name}\n")).collect();
    text.push_str(&format!("{database} is up to date\n"));
    say(&text);
    Ok(Outcome::UpToDate)
}

/// That nobody listens is no error.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
