//! Phone services, and what they take.

use serde::{Deserialize, Serialize};

use crate::name::RecordName;

/// A parameter of a phone service (DP-11).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhoneServiceParameter {
    /// Its name, unique in the definition.
    pub name: String,
    /// For people.
    pub description: String,
    /// What a subscription has that says nothing.
    pub default_value: String,
    /// Whether a subscription must have a value.
    pub required: bool,
}

/// A phone service that profiles and phones may subscribe to (DP-11).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhoneServiceDefinition {
    /// Which; at most 32 characters.
    pub name: RecordName,
    /// For people.
    pub description: String,
    /// Where it is; `#DEVICENAME#` stands for the phone's name.
    pub url: String,
    /// What it takes.
    pub parameters: Vec<PhoneServiceParameter>,
}
