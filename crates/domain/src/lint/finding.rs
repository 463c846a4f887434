//! What a lint finds.

use std::fmt;

use crate::directory::Key;

/// How grave a finding is, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LintSeverity {
    /// Nothing goes wrong; something could be tidier.
    Advice,
    /// Somebody will be refused, or a recommendation is not followed.
    Warning,
    /// A rule is broken: the resource would be refused if it were stored now, or is refused where it is worn.
    Error,
}

/// A value that a field has or should have. It prints as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldValue {
    /// A number.
    Number(u32),
    /// True or false.
    Flag(bool),
}

impl fmt::Display for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
        }
    }
}

/// A change of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// Path of the field: `settings.lines[2].max_calls`.
    pub field: String,
    /// What it is.
    pub from: FieldValue,
    /// What it should be.
    pub to: FieldValue,
}

/// Something that is wrong with what is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LintFinding {
    /// The rule's id: "CC-7"; empty where it is only about form.
    pub rule: &'static str,
    /// The resource; for a default device profile that is missing, its key to be.
    pub resource: Key,
    /// Path of its field; empty where it is about the whole resource.
    pub field: String,
    /// What is wrong, in a sentence.
    pub message: String,
    /// What would mend it.
    pub remedy: String,
    /// How grave it is.
    pub severity: LintSeverity,
    /// The changes that mend it without taking anything from anybody; empty where somebody has to decide.
    pub fix: Vec<FieldChange>,
}
