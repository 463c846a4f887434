//! The first reading of a file, before anything is sent: is it whole, and is every row of it sound as far as can be seen
//! from here? It also gives the file the name under which an interrupted import is found again.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::columns::Kind;
use super::layout::{Action, Layout};
use super::reader::{Fault, Reader, Record};
use super::report::Entry;
use crate::exit::Failure;

/// A file that was read to its end.
pub(super) struct Survey {
    pub(super) layout: Layout,
    /// Rows, the header not counted.
    pub(super) rows: u64,
    /// SHA-256 of the file.
    pub(super) digest: String,
    /// Whether a row has a PIN or a password.
    pub(super) has_secret: bool,
    /// Rows that cannot be sent.
    pub(super) bad_rows: u64,
}

/// A file that cannot be imported at all.
pub(super) enum Unfit {
    /// Told with its place.
    Entry(Entry),
    /// It cannot be opened or read.
    Failure(Failure),
}

/// Reads the file; `tell` hears what is wrong with rows.
///
/// # Errors
/// What makes the whole file unfit.
pub(super) fn survey(
    path: &Path,
    kind: &Kind,
    action: Action,
    mut tell: impl FnMut(Entry) -> Result<(), Failure>,
) -> Result<Survey, Vec<Unfit>> {
    let mut reader = open(path).map_err(|failure| vec![Unfit::Failure(failure)])?;
    let layout = header(&mut reader, path, kind, action)?;
    let mut survey = Survey { layout, rows: 0, digest: String::new(), has_secret: false, bad_rows: 0 };
    let failed = |failure| vec![Unfit::Failure(failure)];
    loop {
        let problems = match next(&mut reader, path).map_err(|unfit| vec![unfit])? {
            Next::End => break,
            Next::Record(record) => {
                survey.rows += 1;
                survey.has_secret |= survey.layout.has_secret(&record);
                row(&survey.layout, &record).err().unwrap_or_default()
            }
            Next::Bad(entry) => {
                survey.rows += 1;
                vec![entry]
            }
        };
        survey.bad_rows += u64::from(!problems.is_empty());
        problems.into_iter().try_for_each(&mut tell).map_err(failed)?;
    }
    if survey.rows == 0 {
        return Err(vec![Unfit::Entry(Entry::refused(0, 1, "", "the file has a header and no rows"))]);
    }
    survey.digest = reader.into_inner().digest();
    Ok(survey)
}

/// What a row says, or what is wrong with it.
pub(super) fn row(layout: &Layout, record: &Record) -> Result<prost_reflect::DynamicMessage, Vec<Entry>> {
    layout.message(record).map_err(|problems| {
        let entry = |(field, text)| Entry::refused(record.row, record.line, field, text);
        problems.into_iter().map(entry).collect()
    })
}

/// What comes next in a file.
pub(super) enum Next {
    Record(Record),
    /// A record that cannot be read.
    Bad(Entry),
    End,
}

/// Reads on.
///
/// # Errors
/// When nothing more can be read.
pub(super) fn next(reader: &mut Reader<Digesting>, path: &Path) -> Result<Next, Unfit> {
    match reader.next() {
        Ok(Some(record)) => Ok(Next::Record(record)),
        Ok(None) => Ok(Next::End),
        Err(Fault::Record { row, line, text }) => Ok(Next::Bad(Entry::refused(row, line, "", text))),
        Err(Fault::File { line, text }) => Err(Unfit::Entry(Entry::refused(0, line, "", text))),
        Err(Fault::Io(error)) => Err(Unfit::Failure(cannot_read(path, &error))),
    }
}

/// Reads the header.
///
/// # Errors
/// All that is wrong with it.
pub(super) fn header(
    reader: &mut Reader<Digesting>,
    path: &Path,
    kind: &Kind,
    action: Action,
) -> Result<Layout, Vec<Unfit>> {
    match next(reader, path).map_err(|unfit| vec![unfit])? {
        Next::End => Err(vec![Unfit::Entry(Entry::refused(0, 1, "", "the file is empty"))]),
        Next::Bad(entry) => Err(vec![Unfit::Entry(entry)]),
        Next::Record(record) => Layout::read(kind, action, &record.cells).map_err(|problems| {
            let entry = |text| Unfit::Entry(Entry::refused(0, record.line, "", text));
            problems.into_iter().map(entry).collect()
        }),
    }
}

/// Opens a file for reading.
///
/// # Errors
/// When it cannot be opened, or is no file, which could not be read twice.
pub(super) fn open(path: &Path) -> Result<Reader<Digesting>, Failure> {
    let file = File::open(path).map_err(|error| cannot_read(path, &error))?;
    let is_file = file.metadata().is_ok_and(|about| about.is_file());
    if !is_file {
        return Err(Failure::usage(format!(
            "{} is no file: it is read twice, and again when interrupted",
            path.display()
        )));
    }
    Ok(Reader::new(Digesting { from: file, hasher: Sha256::new() }))
}

fn cannot_read(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("cannot read {}: {error}", path.display()))
}

/// A file and the digest of what was read of it.
pub(super) struct Digesting {
    from: File,
    hasher: Sha256,
}

impl Digesting {
    /// In hexadecimal.
    pub(super) fn digest(self) -> String {
        crate::bulk::hexadecimal(&self.hasher.finalize())
    }
}

impl Read for Digesting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.hasher.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn survey_of(bytes: &[u8]) -> Option<Survey> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file.csv");
        std::fs::write(&path, bytes).unwrap();
        survey(&path, &"line".parse().unwrap(), Action::Add, |_| Ok(())).ok()
    }

    #[test]
    fn dp_19_a_file_is_known_by_its_bytes() {
        let digest = survey_of(b"name\n1001\n").unwrap().digest;
        // sha256sum
        assert_eq!(digest, "40704a9506e4264cea0402988e03b51e91d00a3021d5bd2061bca6d757a79bb3");
        assert_ne!(digest, survey_of(b"name\n1002\n").unwrap().digest);
    }

    proptest! {
        #[test]
        fn dp_19_bytes_that_are_no_rows_are_not_sent(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            // A header of ours is hardly found by chance.
            prop_assert!(survey_of(&bytes).is_none());
            let rows = survey_of(&[b"name,description\n", bytes.as_slice()].concat());
            if let Some(rows) = rows && std::str::from_utf8(&bytes).is_err() {
                prop_assert!(rows.bad_rows > 0);
            }
        }
    }
}
