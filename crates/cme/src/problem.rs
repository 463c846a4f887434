//! What is wrong with a file, by line. Problems are gathered; nothing stops at the first one.

use std::fmt;

/// More than this many are not gathered: the file is something else than it was taken for.
const MOST: usize = 200;

/// Something that is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The rule it breaks: "DP-16"; empty where it is only about form.
    pub rule: &'static str,
    /// What is wrong, in a sentence without a secret in it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.message)?;
        if !self.rule.is_empty() {
            write!(f, " ({})", self.rule)?;
        }
        Ok(())
    }
}

/// Everything that is wrong with a file, in the order of its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.line);
        Self(problems)
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "line {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// What is gathered while a file is read.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) problems: Vec<Problem>,
    pub(crate) not_understood: Vec<(usize, String)>,
}

impl Found {
    pub(crate) fn problem(&mut self, line: usize, rule: &'static str, message: impl Into<String>) {
        if self.problems.len() < MOST {
            self.problems.push(Problem { line, rule, message: message.into() });
        }
    }

    /// Notes a line that is passed over, without what may be a secret in it.
    pub(crate) fn pass_over(&mut self, line: usize, text: &str) {
        self.not_understood.push((line, without_secrets(text)));
    }
}

/// A word after which a configuration line may carry a secret.
fn announces_secret(word: &str) -> bool {
    const PARTS: [&str; 9] =
        ["pass", "secret", "key", "credential", "authentication", "community", "phrase", "psk", "md5"];
    let word = word.to_ascii_lowercase();
    word == "pin" || PARTS.iter().any(|part| word.contains(part))
}

fn without_secrets(text: &str) -> String {
    let mut shown = String::new();
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        if !shown.is_empty() {
            shown.push(' ');
        }
        if shown.len() + word.len() > 100 {
            return shown + "...";
        }
        shown.push_str(word);
        if announces_secret(word) && words.peek().is_some() {
            return shown + " ...";
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_passed_over_shows_no_secret() {
        assert_eq!(without_secrets("hostname site-a"), "hostname site-a");
        assert_eq!(without_secrets("enable secret 5 $1$abc"), "enable secret ...");
        assert_eq!(without_secrets("url authentication http://x y z"), "url authentication ...");
        assert_eq!(without_secrets("username ops password password"), "username ops password ...");
    }
}
