//! What the header of a file says its columns are, and what a row makes of them.

use std::collections::HashMap;

use clap::ValueEnum;
use prost_reflect::DynamicMessage;
use roamline_proto::profile::ImportAction;

use super::bat;
use super::columns::{self, CellProblem, Column, Kind};
use super::reader::Record;
use crate::wrong_words::quoted;

/// What rows ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Action {
    /// Create; a resource that is there already is refused
    Add,
    /// Change the fields of the columns that are there; an empty cell clears, a column of a list replaces the list
    Update,
    /// Create or replace; what has no column gets its default
    Put,
    /// Delete; only the column that names the resource is looked at
    Delete,
}

impl Action {
    /// As the contract has it.
    pub(super) fn wire(self) -> ImportAction {
        match self {
            Self::Add => ImportAction::Add,
            Self::Update => ImportAction::Update,
            Self::Put => ImportAction::Put,
            Self::Delete => ImportAction::Delete,
        }
    }

    /// As it is typed.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Update => "update",
            Self::Put => "put",
            Self::Delete => "delete",
        }
    }
}

/// A header that is understood.
#[derive(Debug)]
pub(super) struct Layout {
    kind: Kind,
    action: Action,
    width: usize,
    columns: Vec<Column>,
    /// For files of the Bulk Administration Tool.
    bat: Option<bat::Layout>,
}

impl Layout {
    /// Reads a header.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(super) fn read(kind: &Kind, action: Action, header: &[String]) -> Result<Self, Vec<String>> {
        let word = kind.word();
        let theirs = bat::recognise(header);
        if let Some(other) = theirs.filter(|theirs| *theirs != word) {
            return Err(vec![format!(
                "the header is that of a BAT file of kind {other}: say `import csv {other}`"
            )]);
        }
        let width = header.len();
        let layout = if theirs.is_some() {
            let bat = bat::layout(kind, header)?;
            Self { kind: kind.clone(), action, width, columns: bat.columns.clone(), bat: Some(bat) }
        } else {
            Self { kind: kind.clone(), action, width, columns: own(kind, header)?, bat: None }
        };
        layout.complete()
    }

    /// A header must name what its rows need.
    fn complete(self) -> Result<Self, Vec<String>> {
        let has = |name: &str| self.columns.iter().any(|column| column.name == name);
        let creates = matches!(self.action, Action::Add | Action::Put);
        let needed = [Some(self.kind.key()), (creates && self.kind.word() == "phone").then_some("model")];
        let missing = needed.into_iter().flatten().filter(|name| !has(name));
        let mut problems: Vec<String> =
            missing.map(|name| format!("the column `{name}` is missing")).collect();
        if self.action == Action::Update && self.mask().is_empty() {
            problems.push(format!("an update needs a column besides `{}`", self.kind.key()));
        }
        if problems.is_empty() { Ok(self) } else { Err(problems) }
    }

    /// The paths of the fields that an update gives.
    pub(super) fn mask(&self) -> Vec<String> {
        columns::mask(&self.kind, &self.columns)
    }

    /// Headers that mean nothing here.
    pub(super) fn ignored(&self) -> &[String] {
        self.bat.as_ref().map_or(&[], |bat| &bat.ignored)
    }

    /// Whether the row has a PIN or a password, which is not imported.
    pub(super) fn has_secret(&self, record: &Record) -> bool {
        self.bat.as_ref().is_some_and(|bat| bat.has_secret(&record.cells))
    }

    /// What a row says.
    ///
    /// # Errors
    /// Every cell that is wrong; the column is empty where it is about the row.
    pub(super) fn message(&self, record: &Record) -> Result<DynamicMessage, Vec<CellProblem>> {
        let count = record.cells.len();
        if count != self.width {
            let text = format!("has {count} columns, where the header has {}", self.width);
            return Err(vec![(String::new(), text)]);
        }
        let cells: Vec<String> = match &self.bat {
            None => record.cells.clone(),
            Some(bat) => {
                let mut made = bat.translate(&record.cells)?;
                self.columns.iter().map(|column| made.remove(&column.name).unwrap_or_default()).collect()
            }
        };
        let cells = self.columns.iter().zip(cells.iter().map(String::as_str));
        let key = self.kind.key();
        if cells.clone().any(|(column, text)| column.name == key && text.is_empty()) {
            return Err(vec![(key.to_owned(), "is empty".to_owned())]);
        }
        if self.action == Action::Delete {
            return columns::message(&self.kind, cells.filter(|(column, _)| column.name == key));
        }
        columns::message(&self.kind, cells)
    }
}

/// Our own columns.
fn own(kind: &Kind, header: &[String]) -> Result<Vec<Column>, Vec<String>> {
    let mut columns = Vec::new();
    let mut problems = Vec::new();
    let mut seen = HashMap::new();
    for (place, name) in header.iter().enumerate() {
        let name = name.trim();
        if let Some(first) = seen.insert(name, place + 1) {
            problems.push(format!(
                "column {}, {}, stands in column {first} already",
                place + 1,
                quoted(name)
            ));
            continue;
        }
        match kind.column(name) {
            Ok(column) => columns.push(column),
            Err(told) => problems.push(format!("{kind} has no column {told}")),
        }
    }
    if problems.is_empty() {
        return Ok(columns);
    }
    if header.len() == 1 && header.iter().any(|name| name.contains([';', '\t'])) {
        problems.push("columns are separated by commas, nothing else".to_owned());
    }
    Err(problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(kind: &str, action: Action, header: &[&str]) -> Vec<String> {
        let header: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
        Layout::read(&kind.parse().unwrap(), action, &header).unwrap_err()
    }

    #[test]
    fn dp_19_a_wrong_header_is_told_with_everything_that_is_wrong() {
        let problems = refused(
            "phone",
            Action::Add,
            &["nam", "settings.user_local", "line1.kin", "line101", "etag", "nam"],
        );
        let told = [
            "phone has no column `nam`; did you mean `name`?",
            "phone has no column `settings.user_local`; did you mean `settings.user_locale`?",
            "phone has no column `line1.kin`; did you mean `line1.kind`?",
        ];
        assert_eq!(problems[..3], told);
        assert!(problems[3].starts_with("phone has no column `line101`"), "{}", problems[3]);
        assert!(problems[4].starts_with("phone has no column `etag`"), "{}", problems[4]);
        assert_eq!(problems[5], "column 6, `nam`, stands in column 1 already");
    }

    #[test]
    fn dp_19_a_missing_column_is_named() {
        assert_eq!(
            refused("phone", Action::Put, &["description"]),
            ["the column `name` is missing", "the column `model` is missing"]
        );
        assert_eq!(
            refused("user", Action::Update, &["user_id"]),
            ["an update needs a column besides `user_id`"]
        );
        let other = refused("user", Action::Add, &["Device Profile Name", "Description"]);
        assert!(other[0].contains("import csv user-device-profile"));
        let semicolons = refused("line", Action::Add, &["name;description"]);
        assert_eq!(semicolons.last().unwrap(), "columns are separated by commas, nothing else");
    }
}
