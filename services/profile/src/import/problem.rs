//! What is wrong with rows, in words, and no more of them than an answer can carry.

use roamline_domain::Violations;
use roamline_domain::directory::Key;
use roamline_proto::profile::ImportProblem;
use roamline_store::{Change, DirectoryError, RowError, Staged};

use super::LAST_ROW;
use crate::refusal::{name, read};

/// Bytes of problems after which each further row is told of its first alone.
const MOST_BYTES: usize = 1 << 20;
/// Characters of a message.
const LONGEST: usize = 300;
/// What a problem takes beside its texts.
const OVERHEAD: usize = 16;

/// Problems of a chunk.
#[derive(Default)]
pub(super) struct Problems {
    list: Vec<ImportProblem>,
    bytes: usize,
}

impl Problems {
    /// Notes one about a row.
    pub(super) fn add(&mut self, row: u64, field: &str, rule: &str, message: &str) {
        self.push(problem(row, field, rule, message));
    }

    /// Notes all that is wrong with a row; once there are very many, the first and the number of the others.
    pub(super) fn add_all(&mut self, row: u64, found: Violations) {
        let others = found.iter().count().saturating_sub(1);
        let short = self.bytes > MOST_BYTES && others > 0;
        for violation in found {
            let mut next = problem(row, &violation.field, violation.rule, &violation.message);
            if short {
                next.message = format!("{}; and {others} more", next.message);
            }
            self.push(next);
            if short {
                return;
            }
        }
    }

    /// All of them, in the order of rows.
    pub(super) fn finish(mut self) -> Vec<ImportProblem> {
        self.list.sort_by_key(|problem| problem.row);
        self.list
    }

    fn push(&mut self, next: ImportProblem) {
        self.bytes += next.field.len() + next.rule.len() + next.message.len() + OVERHEAD;
        self.list.push(next);
    }
}

/// A problem; one with a row of the service's own is about no row of the file.
pub(super) fn problem(row: u64, field: &str, rule: &str, message: &str) -> ImportProblem {
    let row = if row > LAST_ROW { 0 } else { row };
    ImportProblem { row, field: field.to_owned(), rule: rule.to_owned(), message: shortened(message) }
}

/// That a resource is not as it was when the change was checked; `there` says whether it is there at all.
pub(super) fn version_moved(change: &Change, there: bool) -> String {
    let what = match (change.expected(), there) {
        (_, false) => "deleted",
        (None, true) => "created",
        (Some(_), true) => "changed",
    };
    format!("{} was {what} by others after the row was checked", read(&change.key()))
}

/// What stands in the way of a row, which has staged these changes.
pub(super) fn refused(error: &RowError, staged: &[Staged]) -> ImportProblem {
    let row = error.row;
    match &error.error {
        DirectoryError::Moved { key, version } => {
            let of = staged.iter().map(|staged| &staged.change).find(|change| change.key() == *key);
            let message = match of {
                Some(change) => version_moved(change, version.is_some()),
                None => format!("{} was changed by others after the row was checked", read(key)),
            };
            problem(row, "", "DP-20", &message)
        }
        DirectoryError::Taken { claim, by } => {
            let (field, rule) = claimed(claim.space);
            problem(row, field, rule, &format!("the name {:?} is taken by {}", claim.name, read(by)))
        }
        DirectoryError::Missing { from, to } => {
            problem(row, "", rule(staged, from, to), &format!("there is no {} {:?}", to.kind, name(to)))
        }
        DirectoryError::InUse { key, by } => {
            problem(row, "", "DP-9", &format!("{} is used by {}", read(key), read(by)))
        }
        DirectoryError::Store(error) => problem(row, "", "", &error.to_string()),
    }
}

/// The field and the rule of a name in that space.
pub(super) fn claimed(space: &str) -> (&'static str, &'static str) {
    if space == "device" { ("name", "DP-1") } else { ("self_service_id", "") }
}

/// The rule that demands what a resource refers to.
fn rule(staged: &[Staged], from: &Key, to: &Key) -> &'static str {
    let puts = staged.iter().filter_map(|staged| match &staged.change {
        Change::Put { resource, .. } if resource.key() == *from => Some(resource),
        _ => None,
    });
    puts.filter_map(|resource| resource.references().remove(to)).next().unwrap_or_default()
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    #[test]
    fn dp_19_a_thousand_rows_of_a_thousand_faults_each_stay_below_what_clients_take() {
        let mut problems = Problems::default();
        for row in 1..=1_000 {
            let mut found = Violations::new();
            for index in 0..1_000 {
                found.add(
                    format!("settings.lines[{index}].lines[0]"),
                    "LL-8",
                    "ü".repeat(100_000 / (index + 1)),
                );
            }
            problems.add_all(row, found);
        }
        let list = problems.finish();
        assert!(list.iter().map(Message::encoded_len).sum::<usize>() < 3 << 20);
        assert_eq!(list.last().map(|problem| problem.row), Some(1_000));
        assert!(list.last().is_some_and(|problem| problem.message.ends_with("; and 999 more")));
    }
}
