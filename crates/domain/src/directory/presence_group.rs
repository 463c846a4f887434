//! Presence groups.

use serde::{Deserialize, Serialize};

use crate::name::RecordName;

/// Who may see whose state in a busy lamp (DP-12).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceGroup {
    /// Which.
    pub name: RecordName,
    /// For people.
    pub description: String,
    /// Groups it may see besides itself.
    pub sees: Vec<RecordName>,
}

impl PresenceGroup {
    /// The group of whatever names none. It needs no record.
    pub const STANDARD: &'static str = "standard";
}
