//! Lines, and how they appear.

use serde::{Deserialize, Serialize};

use crate::name::{LineName, PhoneName, RecordName};

/// How many calls a line holds at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LineCapacity {
    /// One.
    Single,
    /// Two.
    #[default]
    Dual,
    /// Eight, shared (DP-15).
    Octo,
}

/// A directory number: the original, of which every entry of a profile is a clone. What stands here can be changed
/// here only, and reaches all profiles at once (LL-7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Which.
    pub name: LineName,
    /// For people.
    pub description: String,
    /// How many calls it holds.
    pub capacity: LineCapacity,
    /// Who calls, as others see it; the text beside the button where nothing else gives one.
    #[serde(default)]
    pub display_name: String,
    /// The presence group that decides who may see its state (DP-12); `None` for `standard`.
    #[serde(default)]
    pub presence_group: Option<RecordName>,
    /// Set for an intercom line: the only phone it is worn on (LL-9).
    #[serde(default)]
    pub intercom_phone: Option<PhoneName>,
    /// Search space of calls from it at phones of other clusters (XC-7).
    #[serde(default)]
    pub calling_search_space: Option<String>,
}

impl Line {
    /// A line of which nothing else is said.
    pub fn new(name: LineName) -> Self {
        Self {
            name,
            description: String::new(),
            capacity: LineCapacity::default(),
            display_name: String::new(),
            presence_group: None,
            intercom_phone: None,
            calling_search_space: None,
        }
    }
}

/// How lines appear on a device, for many lines at once (DP-21).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineTemplate {
    /// Which.
    pub name: RecordName,
    /// For people.
    pub description: String,
    /// The text beside the button.
    pub label: Option<String>,
    /// Calls at most at once.
    pub max_calls: Option<u32>,
    /// Calls from which on the line is busy.
    pub busy_trigger: Option<u32>,
}
