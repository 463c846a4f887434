//! The report of an import: one row for each problem and each warning. It is written before what it is about is staged,
//! and an import that is resumed drops from it what it is going to tell again: so it is whole, whatever was interrupted.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use ::csv::Writer;

use super::reader::{Reader, Record};
use crate::exit::Failure;
use crate::whole::Place;

const HEADER: [&str; 6] = ["row", "line", "status", "field", "rule", "message"];
/// Problems that are told without a report.
const MOST_TOLD: usize = 20;

/// How grave an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Refused,
    Warning,
}

/// Something about a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) row: u64,
    pub(super) line: u64,
    pub(super) status: Status,
    pub(super) field: String,
    pub(super) rule: String,
    pub(super) message: String,
}

impl Entry {
    pub(super) fn refused(row: u64, line: u64, field: impl Into<String>, message: impl Into<String>) -> Self {
        let (field, message) = (field.into(), message.into());
        Self { row, line, status: Status::Refused, field, rule: String::new(), message }
    }

    /// As one reads it, after the name of the file.
    pub(super) fn shown(&self, file: &str) -> String {
        // What is about the whole has no line.
        let mut text = if self.line > 0 { format!("{file}:{}: ", self.line) } else { format!("{file}: ") };
        if self.row > 0 {
            text.push_str(&format!("row {}: ", self.row));
        }
        if !self.field.is_empty() {
            text.push_str(&format!("{}: ", self.field));
        }
        text.push_str(&self.message);
        if !self.rule.is_empty() && !self.message.contains(&self.rule) {
            text.push_str(&format!(" ({})", self.rule));
        }
        text
    }
}

/// What is told of an import.
pub(super) struct Report {
    path: Option<PathBuf>,
    writer: Option<Writer<File>>,
    /// The first entries, for those who have no report.
    pub(super) first: Vec<Entry>,
    pub(super) refused: u64,
    pub(super) warnings: u64,
    last_refused: u64,
}

impl Report {
    /// Begins it; what an earlier run has told of rows before `from_row` stays.
    pub(super) fn open(path: Option<&Path>, from_row: u64) -> Result<Self, Failure> {
        let mut report = Self {
            path: path.map(Path::to_owned),
            writer: None,
            first: Vec::new(),
            refused: 0,
            warnings: 0,
            last_refused: 0,
        };
        if let Some(path) = path {
            let file = report.reopen(path, from_row).map_err(|error| report.failed(&error))?;
            report.writer = Some(Writer::from_writer(file));
            if report.refused + report.warnings == 0 {
                report.write(HEADER.map(ToOwned::to_owned))?;
            }
        }
        Ok(report)
    }

    /// Opens the file, empty or with what stays.
    fn reopen(&mut self, path: &Path, from_row: u64) -> io::Result<File> {
        let kept = if from_row > 1 { kept(path, from_row) } else { Vec::new() };
        let mut file = OpenOptions::new().create(true).write(true).truncate(kept.is_empty()).open(path)?;
        if kept.is_empty() {
            return Ok(file);
        }
        // The file is written anew beside itself, so that no crash leaves half of it.
        let place = Place::new(path)?;
        let mut writer = Writer::from_writer(place.begin()?);
        writer.write_record(HEADER)?;
        for record in &kept {
            writer.write_record(&record.cells)?;
            match record.cells.get(2).map(String::as_str) {
                Some("refused") => self
                    .count_refused(record.cells.first().and_then(|row| row.parse().ok()).unwrap_or_default()),
                _ => self.warnings += 1,
            }
        }
        place.put(writer.into_inner().map_err(|error| io::Error::other(error.to_string()))?)?;
        file = OpenOptions::new().write(true).open(path)?;
        file.seek(SeekFrom::End(0))?;
        Ok(file)
    }

    fn count_refused(&mut self, row: u64) {
        // A row may have several problems, one after the other.
        if row != self.last_refused {
            self.last_refused = row;
            self.refused += 1;
        }
    }

    /// Adds entries, and writes them out before it returns.
    pub(super) fn add(&mut self, entries: impl IntoIterator<Item = Entry>) -> Result<(), Failure> {
        for entry in entries {
            let status = match entry.status {
                Status::Refused => "refused",
                Status::Warning => "warning",
            };
            match entry.status {
                Status::Refused => self.count_refused(entry.row),
                Status::Warning => self.warnings += 1,
            }
            self.write([
                entry.row.to_string(),
                entry.line.to_string(),
                status.to_owned(),
                entry.field.clone(),
                entry.rule.clone(),
                entry.message.clone(),
            ])?;
            if self.first.len() < MOST_TOLD {
                self.first.push(entry);
            }
        }
        let flushed = self.writer.as_mut().map_or(Ok(()), |writer| writer.flush());
        flushed.map_err(|error| self.failed(&error))
    }

    fn write(&mut self, cells: [String; 6]) -> Result<(), Failure> {
        let written = self.writer.as_mut().map_or(Ok(()), |writer| writer.write_record(cells));
        written.map_err(|error| self.failed(&io::Error::from(error)))
    }

    fn failed(&self, error: &io::Error) -> Failure {
        let name = self.path.as_deref().unwrap_or(Path::new("")).display();
        Failure::usage(format!("cannot write {name}: {error}"))
    }
}

/// The file, behind its header; `None` where it is no report.
fn earlier(path: &Path) -> Option<Reader<BufReader<File>>> {
    // A pipe or a terminal would be waited for.
    let file = File::open(path).ok().filter(|_| path.is_file())?;
    let mut reader = Reader::new(BufReader::new(file));
    matches!(reader.next(), Ok(Some(header)) if header.cells == HEADER).then_some(reader)
}

/// Whether an earlier run has left a report there.
pub(super) fn is_report(path: &Path) -> bool {
    earlier(path).is_some()
}

/// The entries of an earlier run about rows before this one; none where the file is not such a report.
fn kept(path: &Path, from_row: u64) -> Vec<Record> {
    let Some(mut reader) = earlier(path) else { return Vec::new() };
    let mut kept = Vec::new();
    // What follows a half-written record was half-written as well.
    while let Ok(Some(record)) = reader.next() {
        let row = record.cells.first().and_then(|row| row.parse::<u64>().ok());
        if record.cells.len() != HEADER.len() {
            break;
        }
        if row.is_some_and(|row| row < from_row) {
            kept.push(record);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dp_19_a_resumed_report_keeps_what_it_will_not_hear_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.csv");
        let entry = |row| Entry::refused(row, row + 1, "model", "is \"unknown\"");
        let mut report = Report::open(Some(&path), 1).unwrap();
        report.add([entry(2), entry(2), entry(7)]).unwrap();
        drop(report);
        std::fs::write(&path, std::fs::read_to_string(&path).unwrap() + "8,9,refu").unwrap();
        let mut report = Report::open(Some(&path), 5).unwrap();
        assert_eq!((report.refused, report.first.len()), (1, 0));
        report.add([entry(7)]).unwrap();
        drop(report);
        let text = std::fs::read_to_string(&path).unwrap();
        let line = |row| format!("{row},{},refused,model,,\"is \"\"unknown\"\"\"\n", row + 1);
        assert_eq!(text, HEADER.join(",") + "\n" + &line(2) + &line(2) + &line(7));
        Report::open(Some(&path), 1).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), HEADER.join(",") + "\n");
    }

    #[test]
    fn an_entry_is_told_with_its_place() {
        let entry = Entry { rule: "DP-1".into(), ..Entry::refused(3, 5, "name", "is taken") };
        assert_eq!(entry.shown("a.csv"), "a.csv:5: row 3: name: is taken (DP-1)");
    }
}
