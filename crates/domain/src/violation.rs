//! What a resource breaks: where, which rule, and why. All of them are gathered before anything is refused.

use std::fmt;

/// One thing that is wrong with a resource or a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field: `settings.lines[2].max_calls`.
    pub field: String,
    /// The rule's id: `CC-4`; empty where it is only about form.
    pub rule: &'static str,
    /// What is wrong, in a sentence.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)?;
        if !self.rule.is_empty() {
            write!(f, " ({})", self.rule)?;
        }
        Ok(())
    }
}

/// Everything that is wrong, in the order it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// Nothing wrong so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes one.
    pub fn add(&mut self, field: impl Into<String>, rule: &'static str, message: impl Into<String>) {
        self.0.push(Violation { field: field.into(), rule, message: message.into() });
    }

    /// Takes over those of a part, with `prefix` and a dot before their fields.
    pub fn extend_under(&mut self, prefix: &str, part: Violations) {
        for mut violation in part.0 {
            violation.field = match violation.field.as_str() {
                "" => prefix.to_owned(),
                field => format!("{prefix}.{field}"),
            };
            self.0.push(violation);
        }
    }

    /// The parsed value, or a note of what was wrong with it.
    pub fn take<T, E: fmt::Display>(&mut self, field: impl Into<String>, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|error| self.add(field, "", error.to_string())).ok()
    }

    /// Nothing wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Violation> {
        self.0.iter()
    }

    /// `value` if nothing is wrong.
    ///
    /// # Errors
    /// All violations.
    pub fn none_or<T>(self, value: T) -> Result<T, Violations> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl IntoIterator for Violations {
    type Item = Violation;
    type IntoIter = std::vec::IntoIter<Violation>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            violation.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Violations {}
