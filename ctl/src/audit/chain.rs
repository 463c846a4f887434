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

/// The trail as far as it was followed.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// Records seen.
    pub records: u64,
    /// The first breaks.
    pub breaks: Vec<Break>,
    /// All breaks.
    pub broken: u64,
    last: u64,
    /// The hash of the last record; `None` where it cannot be known.
    hash: Option<[u8; 32]>,
    anchor: Option<Anchor>,
}

impl Chain {
    /// A trail from its first record on, in which the anchor must stand. One that begins after the anchor goes on from it.
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
        if let Some(anchor) = &self.anchor
            && self.last == 0
            && line.number == anchor.number.saturating_add(1)
        {
            (self.last, self.hash) = (anchor.number, bytes(&anchor.hash));
        }
        let number = line.number;
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
            let which = match number - next {
                1 => format!("record {next} is missing"),
                _ => format!("records {next} to {} are missing", number - 1),
            };
            self.add(next, How::Missing, which);
            self.hash = None;
        }
        self.check_hash(line);
        self.check_columns(line);
        self.check_anchor(line);
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
        let Some(anchor) = &self.anchor else { return };
        let (verified, last) = (anchor.number, self.last);
        if last < verified {
            let message = format!(
                "the trail ends with record {last}, and record {verified} was verified before: its end was cut"
            );
            self.add(verified, How::Cut, message);
        }
    }

    fn check_hash(&mut self, line: &Line) {
        let Some(before) = self.hash else { return };
        let hash: [u8; 32] = Sha256::new().chain_update(before).chain_update(&line.body).finalize().into();
        if hex(&hash) != line.hash {
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
mod tests {
    use super::*;

    fn body(number: u64) -> String {
        format!(
            "{{\"version\":1,\"number\":{number},\"time\":\"2026-11-01T08:00:{:02}.000000500Z\",\"kind\":\"login\",\"phone\":\"SEP1\",\"user\":\"a{number}\"}}",
            number % 60
        )
    }

    fn line(number: u64, before: &[u8; 32], body: String) -> (Line, [u8; 32]) {
        let hash: [u8; 32] = Sha256::new().chain_update(before).chain_update(&body).finalize().into();
        let time = format!("2026-11-01T08:00:{:02}Z", number % 60).parse().unwrap();
        let line = Line {
            number,
            time,
            kind: "login".into(),
            phone: "SEP1".into(),
            user: format!("a{number}"),
            hash: hex(&hash),
            body,
        };
        (line, hash)
    }

    fn trail(length: u64) -> Vec<Line> {
        let mut hash = [0; 32];
        let mut lines = Vec::new();
        for number in 1..=length {
            let made = line(number, &hash, body(number));
            hash = made.1;
            lines.push(made.0);
        }
        lines
    }

    fn followed(lines: &[Line], anchor: Option<Anchor>) -> Chain {
        let mut chain = Chain::new(anchor);
        lines.iter().for_each(|line| chain.follow(line));
        chain.finish();
        chain
    }

    fn breaks(lines: &[Line]) -> Vec<(u64, How)> {
        followed(lines, None).breaks.iter().map(|found| (found.number, found.how)).collect()
    }

    fn anchor(line: &Line) -> Option<Anchor> {
        Some(Anchor { number: line.number, hash: line.hash.clone() })
    }

    #[test]
    fn ev_1_a_trail_that_nobody_touched_is_whole() {
        let lines = trail(10);
        let chain = followed(&lines, anchor(&lines[4]));
        assert_eq!((chain.records, chain.broken), (10, 0), "{:?}", chain.breaks);
        assert_eq!(chain.end(), anchor(&lines[9]));
        assert_eq!(followed(&[], None).end(), None);
    }

    #[test]
    fn ev_1_each_kind_of_forgery_is_told_with_its_record() {
        let whole = trail(10);
        let changed = |change: fn(&mut Vec<Line>)| {
            let mut lines = whole.clone();
            change(&mut lines);
            breaks(&lines)
        };
        assert_eq!(
            changed(|lines| lines[4].body = lines[4].body.replace("08:00", "09:00")),
            [(5, How::Hash), (5, How::Columns)]
        );
        assert_eq!(changed(|lines| lines[4].user = "somebody".into()), [(5, How::Columns)]);
        assert_eq!(changed(|lines| lines[4].hash = "0".repeat(64)), [(5, How::Hash), (6, How::Hash)]);
        assert_eq!(changed(|lines| drop(lines.remove(4))), [(5, How::Missing)]);
        assert_eq!(changed(|lines| drop(lines.remove(0))), [(1, How::Missing)]);
        assert_eq!(changed(|lines| lines.insert(5, lines[4].clone())), [(5, How::Twice)]);
        assert_eq!(changed(|lines| lines.swap(4, 5)), [(5, How::Missing), (5, How::OutOfOrder)]);
        assert_eq!(changed(|lines| lines[4].body = "{".into()), [(5, How::Hash), (5, How::Columns)]);
    }

    #[test]
    fn ev_1_a_record_that_was_slipped_in_breaks_the_chain_after_it() {
        let mut lines = trail(10);
        let before = bytes(&lines[3].hash).unwrap();
        let (forged, _) = line(5, &before, body(5).replace("a5", "forged"));
        let renumbered = lines.split_off(4);
        lines.push(Line { user: "forged".into(), ..forged });
        lines.extend(renumbered.into_iter().map(|line| Line { number: line.number + 1, ..line }));
        let found = breaks(&lines);
        assert_eq!(found.first(), Some(&(6, How::Hash)), "{found:?}");
    }

    #[test]
    fn ev_1_a_cut_or_rewritten_end_is_seen_by_the_anchor_alone() {
        let whole = trail(10);
        let cut = &whole[..7];
        assert_eq!(breaks(cut), []);
        let chain = followed(cut, anchor(&whole[8]));
        assert_eq!(
            chain.breaks.iter().map(|found| (found.number, found.how)).collect::<Vec<_>>(),
            [(9, How::Cut)]
        );

        let mut rewritten = whole[..4].to_vec();
        let mut hash = bytes(&whole[3].hash).unwrap();
        for number in 5..=10 {
            let user = if number == 5 { "a5\",\"note\":\"another" } else { "" };
            let body = if number == 5 { body(5).replace("a5", user) } else { body(number) };
            let made = line(number, &hash, body);
            hash = made.1;
            rewritten.push(made.0);
        }
        assert_eq!(breaks(&rewritten), []);
        let chain = followed(&rewritten, anchor(&whole[8]));
        assert_eq!(
            chain.breaks.iter().map(|found| (found.number, found.how)).collect::<Vec<_>>(),
            [(9, How::Rewritten)]
        );
        assert_eq!(
            followed(&rewritten, anchor(&whole[3])).broken,
            0,
            "what the anchor covers was not touched"
        );
    }

    #[test]
    fn a_trail_that_begins_after_the_anchor_goes_on_from_it() {
        let whole = trail(10);
        assert_eq!(followed(&whole[5..], anchor(&whole[4])).broken, 0);
        let other = Anchor { number: 5, hash: "0".repeat(64) };
        assert_eq!(followed(&whole[5..], Some(other)).breaks[0].how, How::Hash);
    }
}
