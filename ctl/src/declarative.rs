//! The directory in files: `export` writes it, `apply` makes it what files say, `diff` tells what that would change.

mod apply;
mod bulk;
mod documents;
mod export;
mod files;
mod kinds;
mod plan;
mod prune;
mod shown;
mod typed;
mod yaml;

pub(crate) use apply::{Apply, Diff, diff, run as apply};
pub(crate) use export::{Export, run as export};

/// Questions that are asked of the server at a time.
const AT_A_TIME: usize = 16;
