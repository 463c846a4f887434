//! The chain of hashes, recomputed record by record: what breaks it, and where.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::line::{Line, hex};

/// Breaks that are told one by one.
const TOLD: usize = 100;

/// The last record that was verified once: number and hash, kept by whoever verifies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Anchor {
    /// Its number.
    pub number: u64,
    /// Its hash, in lower hexadecimal digits.
    pub hash: String,
}

/// How a record breaks the trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum How {
    /// It is not there.
    Missing,
    /// It is there twice.
    Twice,
    /// It comes after one with a greater number.
    OutOfOrder,
    /// Its hash is not that of its text after the record before it.
    Hash,
    /// Its columns are not what its text says.
    Columns,
    /// It cannot be read.
    Unreadable,
    /// It is not the one that was verified before.
    Rewritten,
    /// The trail ends before one that was verified before.
    Cut,
    /// It was verified before, and the trail begins after it.
    Pruned,
}

/// One break.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Break {
    /// The number of the record.
    pub number: u64,
    /// How.
    pub how: How,
    /// In words.
    pub message: String,
}

/// Records that the trail says were deleted for their age.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pruned {
    /// The last of them.
    pub until: u64,
    /// Its hash: the first record that is kept hangs on it.
    pub hash: String,
    /// All of them were older than this.
    pub older_than: Timestamp,
}

/// The trail as far as it was followed.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// Records seen.
    pub records: u64,
    /// The number of the first; 0 before it.
    pub first: u64,
    /// What it hangs on, where the records before it were deleted and the trail says so.
    pub pruned: Option<Pruned>,
    /// The first breaks.
    pub breaks: Vec<Break>,
    /// All breaks.
    pub broken: u64,
    last: u64,
    /// The hash of the last record; `None` where it cannot be known.
    hash: Option<[u8; 32]>,
    anchor: Option<Anchor>,
    /// The first record, while nothing says yet why there is none before it.
    start: Option<Line>,
}

impl Chain {
    /// A trail from its first record on, in which the anchor must stand. One that begins right after the anchor goes on from
    /// it; any other that does not begin with record 1 must say that the records before were deleted.
    pub(super) fn new(anchor: Option<Anchor>) -> Self {
        Self { hash: Some([0; 32]), anchor, ..Self::default() }
    }

    /// The last record, to be verified against later; `None` before the first.
    pub(super) fn end(&self) -> Option<Anchor> {
        let hash = self.hash.filter(|_| self.last > 0)?;
        Some(Anchor { number: self.last, hash: hex(&hash) })
    }

    /// The next record.
    pub(super) fn follow(&mut self, line: &Line) {
        self.records += 1;
        let number = line.number;
        if self.first == 0 {
            self.begin(line);
        }
        if number <= self.last {
            return match number == self.last {
                true => self.add(number, How::Twice, format!("record {number} is there twice")),
                false => {
                    let last = self.last;
                    self.add(number, How::OutOfOrder, format!("record {number} comes after record {last}"));
                }
            };
        }
        let next = self.last + 1;
        if number > next {
            self.add(next, How::Missing, missing(next, number));
            self.hash = None;
        }
        self.check_hash(line);
        self.check_columns(line);
        self.check_anchor(line);
        self.check_pruned(line);
        self.last = number;
        self.hash = bytes(&line.hash);
    }

    /// A record that cannot be read.
    pub(super) fn unreadable(&mut self, place: &str, why: &str) {
        let number = self.last + 1;
        self.add(number, How::Unreadable, format!("{place} is no record: {why}"));
    }

    /// There are no more records.
    pub(super) fn finish(&mut self) {
        if let Some(start) = self.start.take() {
            let missing = Break { number: 1, how: How::Missing, message: missing(1, start.number) };
            self.breaks.insert(0, missing);
            self.breaks.truncate(TOLD);
            self.broken += 1;
        }
        let Some(anchor) = &self.anchor else { return };
        let (verified, last) = (anchor.number, self.last);
        if self.pruned.as_ref().is_some_and(|pruned| verified < pruned.until) {
            let message = format!(
                "record {verified} was verified before, and was deleted since; whether the records up to {} were whole \
                 then cannot be known",
                self.first - 1
            );
            self.add(verified, How::Pruned, message);
        } else if last < verified {
            let message = format!(
                "the trail ends with record {last}, and record {verified} was verified before: its end was cut"
            );
            self.add(verified, How::Cut, message);
        }
    }

    /// The first record.
    fn begin(&mut self, line: &Line) {
        self.first = line.number;
        match &self.anchor {
            Some(anchor) if line.number == anchor.number.saturating_add(1) => {
                (self.last, self.hash) = (anchor.number, bytes(&anchor.hash));
            }
            _ if line.number > 1 => {
                (self.last, self.hash) = (line.number - 1, None);
                self.start = Some(line.clone());
            }
            _ => {}
        }
    }

    /// A record that tells what was deleted may be about those before the first.
    fn check_pruned(&mut self, line: &Line) {
        #[derive(Deserialize)]
        struct Body {
            pruned: Pruned,
        }
        let of_it = |start: &Line| {
            let Body { pruned } = serde_json::from_str(&line.body).ok()?;
            (pruned.until.checked_add(1) == Some(start.number)).then_some(pruned)
        };
        let Some(start) = &self.start else { return };
        let Some(pruned) = of_it(start) else { return };
        let (number, whole) = (start.number, follows(bytes(&pruned.hash), start));
        self.start = None;
        if !whole {
            let message = format!(
                "the hash of record {number} is not that of its text after record {}, which was deleted as record {} says",
                pruned.until, line.number
            );
            self.add(number, How::Hash, message);
        }
        self.pruned = Some(pruned);
    }

    fn check_hash(&mut self, line: &Line) {
        if self.hash.is_some() && !follows(self.hash, line) {
            let number = line.number;
            let message = match number {
                1 => "the hash of record 1 is not that of its text: one of them was changed".to_owned(),
                _ => format!(
                    "the hash of record {number} is not that of its text after record {}: it was changed, or a record was \
                     removed, added or changed there",
                    number - 1
                ),
            };
            self.add(number, How::Hash, message);
        }
    }

    fn check_columns(&mut self, line: &Line) {
        let number = line.number;
        let Ok(body) = serde_json::from_str::<Value>(&line.body) else {
            return self.add(number, How::Columns, format!("the text of record {number} is no JSON"));
        };
        let word = |field: &str| body.get(field).and_then(Value::as_str).unwrap_or_default();
        let micros = |time: Timestamp| time.as_microsecond();
        let time = word("time").parse::<Timestamp>().ok();
        let differs = [
            ("number", body.get("number").and_then(Value::as_u64) != Some(number)),
            ("time", time.map(micros) != Some(micros(line.time))),
            ("kind", word("kind") != line.kind),
            ("phone", word("phone") != line.phone),
            ("user", word("user") != line.user),
        ];
        let fields: Vec<_> =
            differs.iter().filter(|(_, differs)| *differs).map(|(field, _)| *field).collect();
        if !fields.is_empty() {
            let fields = fields.join(", ");
            let message = format!("record {number} is listed otherwise than its text says: {fields}");
            self.add(number, How::Columns, message);
        }
    }

    fn check_anchor(&mut self, line: &Line) {
        let rewritten = |anchor: &Anchor| anchor.number == line.number && anchor.hash != line.hash;
        if self.anchor.as_ref().is_some_and(rewritten) {
            let number = line.number;
            let message = format!(
                "record {number} is not the one that was verified before: the trail was rewritten at or before it"
            );
            self.add(number, How::Rewritten, message);
        }
    }

    fn add(&mut self, number: u64, how: How, message: String) {
        self.broken += 1;
        if self.breaks.len() < TOLD {
            self.breaks.push(Break { number, how, message });
        }
    }
}

fn missing(first: u64, next: u64) -> String {
    match next - first {
        1 => format!("record {first} is missing"),
        _ => format!("records {first} to {} are missing", next - 1),
    }
}

/// Whether the hash of a record is that of its text after a record with that hash.
fn follows(before: Option<[u8; 32]>, line: &Line) -> bool {
    before.is_some_and(|before| {
        let hash: [u8; 32] = Sha256::new().chain_update(before).chain_update(&line.body).finalize().into();
        hex(&hash) == line.hash
    })
}

/// A hash from its digits.
fn bytes(digits: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    for (place, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * place..2 * place + 2)?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
