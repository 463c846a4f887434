//! The file of a backup: gzip of lines of JSON. The first says what it is, then comes one resource a line in proto JSON,
//! then their counts, and at last the SHA-256 of all lines before it: a file that was cut off or changed is refused.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use roamline_proto::profile::Resource;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::bulk::hexadecimal;

/// What the first line calls the file.
const FORMAT: &str = "roamline-backup";
/// The form of the lines.
const VERSION: u32 = 1;
/// No resource is longer.
const LONGEST: u64 = 4 * 1024 * 1024;

/// Resources of each kind.
pub(super) type Counts = BTreeMap<String, u64>;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    format: String,
    version: u32,
    /// Whose directory it is: the address of the server that was asked.
    server: String,
    /// When it was asked.
    created_at: Timestamp,
}

impl Header {
    pub(super) fn new(server: &str, now: Timestamp) -> Self {
        Self { format: FORMAT.to_owned(), version: VERSION, server: server.to_owned(), created_at: now }
    }
}

/// The last two lines.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, untagged)]
enum Trailer {
    Counts { counts: Counts },
    Digest { sha256: String },
}

/// Writes an archive.
pub(super) struct Writer<W: Write> {
    to: GzEncoder<W>,
    hasher: Sha256,
    counts: Counts,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(to: W, header: &Header) -> io::Result<Self> {
        let to = GzEncoder::new(to, Compression::default());
        let mut writer = Self { to, hasher: Sha256::new(), counts: Counts::new() };
        writer.line(header)?;
        Ok(writer)
    }

    /// Adds a resource of that kind.
    pub(super) fn add(&mut self, kind: &str, resource: &Resource) -> io::Result<()> {
        let value = roamline_proto::json::to_value(resource).map_err(io::Error::other)?;
        *self.counts.entry(kind.to_owned()).or_default() += 1;
        self.line(&value)
    }

    /// Ends the archive.
    pub(super) fn end(mut self) -> io::Result<(W, Counts)> {
        let counts = std::mem::take(&mut self.counts);
        self.line(&Trailer::Counts { counts: counts.clone() })?;
        let sha256 = hexadecimal(&self.hasher.finalize_reset());
        self.line(&Trailer::Digest { sha256 })?;
        Ok((self.to.finish()?, counts))
    }

    fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.hasher.update(&line);
        self.to.write_all(&line)
    }
}

/// Reads an archive.
pub(super) struct Reader<R: Read> {
    from: BufReader<MultiGzDecoder<BufReader<R>>>,
    hasher: Sha256,
    counts: Counts,
    line: u64,
    /// The line after the last resource.
    trailer: String,
}

impl<R: Read> Reader<R> {
    /// Reads the first line.
    ///
    /// # Errors
    /// When the file is no backup, or of another version.
    pub(super) fn new(from: R) -> Result<Self, String> {
        let from = BufReader::new(MultiGzDecoder::new(BufReader::new(from)));
        let hasher = Sha256::new();
        let mut reader = Self { from, hasher, counts: Counts::new(), line: 0, trailer: String::new() };
        let first = reader.read().map_err(|problem| format!("this is no backup: {problem}"))?;
        let header: Header = serde_json::from_str(&first).map_err(|_| "this is no backup".to_owned())?;
        if header.format != FORMAT {
            return Err("this is no backup".to_owned());
        }
        if header.version != VERSION {
            return Err(format!(
                "the backup has form {}, where this program reads {VERSION}",
                header.version
            ));
        }
        Ok(reader)
    }

    /// The next resource; `None` after the last.
    ///
    /// # Errors
    /// What is wrong, with its line.
    pub(super) fn next(&mut self) -> Result<Option<Resource>, String> {
        let text = self.read()?;
        if text.starts_with("{\"counts\":") {
            self.trailer = text;
            return Ok(None);
        }
        let damaged = |told: String| format!("the backup is damaged in line {}: {told}", self.line);
        let resource: Resource =
            roamline_proto::json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
        *self.counts.entry(super::word(&resource).to_owned()).or_default() += 1;
        Ok(Some(resource))
    }

    /// After the last resource: how many there were, and the digest of the file.
    ///
    /// # Errors
    /// When the file was cut off or changed.
    pub(super) fn end(mut self) -> Result<(Counts, String), String> {
        let changed = || "the backup was changed after it was written".to_owned();
        let digest = hexadecimal(&self.hasher.finalize_reset());
        let Ok(Trailer::Counts { counts }) = serde_json::from_str(&self.trailer) else {
            return Err(changed());
        };
        let last = self.read()?;
        let Ok(Trailer::Digest { sha256 }) = serde_json::from_str(&last) else { return Err(changed()) };
        if counts != self.counts || sha256 != digest {
            return Err(changed());
        }
        let mut more = [0];
        match self.from.read(&mut more) {
            Ok(0) => Ok((counts, digest)),
            _ => Err(changed()),
        }
    }

    /// A line, which counts for the digest.
    fn read(&mut self) -> Result<String, String> {
        self.line += 1;
        let place = |told: &str| format!("{told} in line {}", self.line);
        let mut line = Vec::new();
        let read = (&mut self.from).take(LONGEST).read_until(b'\n', &mut line);
        read.map_err(|error| place(&format!("the backup cannot be unpacked ({error})")))?;
        if line.last() != Some(&b'\n') {
            return Err(place("the backup is cut off"));
        }
        self.hasher.update(&line);
        String::from_utf8(line).map_err(|_| place("the backup has text that is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use roamline_proto::profile::{Line, ServiceParameters, resource::Kind};

    use super::*;

    fn resources() -> Vec<Resource> {
        let line = |name: &str| Kind::Line(Line { name: name.into(), ..Line::default() });
        let parameters =
            ServiceParameters { remember_last_user: Some(false), ..ServiceParameters::default() };
        let kinds = [line("1001"), line("1002"), Kind::ServiceParameters(parameters)];
        kinds.into_iter().map(|kind| Resource { kind: Some(kind) }).collect()
    }

    fn archive() -> Vec<u8> {
        let header = Header::new("http://127.0.0.1:7400", "2024-06-03T08:00:00Z".parse().unwrap());
        let mut writer = Writer::new(Vec::new(), &header).unwrap();
        for resource in resources() {
            writer.add(super::super::word(&resource), &resource).unwrap();
        }
        writer.end().unwrap().0
    }

    fn read(bytes: &[u8]) -> Result<Vec<Resource>, String> {
        let mut reader = Reader::new(bytes)?;
        let mut found = Vec::new();
        while let Some(resource) = reader.next()? {
            found.push(resource);
        }
        reader.end().map(|_| found)
    }

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_is_written_is_what_is_read_and_a_parameter_that_is_off_stays_off() {
        assert_eq!(read(&archive()).unwrap(), resources());
    }

    #[test]
    fn a_backup_that_was_cut_off_anywhere_is_refused() {
        let whole = archive();
        for length in 0..whole.len() {
            assert!(read(&whole[..length]).is_err(), "{length} of {}", whole.len());
        }
    }

    #[test]
    fn a_backup_that_was_changed_is_refused_however_it_is_packed() {
        let mut text = String::new();
        MultiGzDecoder::new(archive().as_slice()).read_to_string(&mut text).unwrap();
        assert!(read(&packed(text.as_bytes())).is_ok());
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let without = [&lines[..1], &lines[2..]].concat().concat();
        let version = text.replacen("\"version\":1", "\"version\":2", 1);
        for (changed, told) in [
            (text.replacen("1001", "1009", 1), "was changed"),
            (without, "was changed"),
            (text.clone() + "{}\n", "was changed"),
            (text.replacen("\"line\":2", "\"line\":3", 1), "was changed"),
            (text.replacen("\"name\"", "\"nam\"", 1), "damaged in line 2"),
            (version, "form 2"),
            (lines[..3].concat(), "cut off in line 4"),
            ("{}\n".to_owned(), "no backup"),
        ] {
            let problem = read(&packed(changed.as_bytes())).unwrap_err();
            assert!(problem.contains(told), "{problem}");
        }
        assert!(read(b"name,model\n").unwrap_err().contains("no backup"));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_no_backup(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(read(&bytes).is_err());
            prop_assert!(read(&packed(&bytes)).is_err());
        }
    }
}
