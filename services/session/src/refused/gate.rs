//! How much of what is refused is told of by itself: of each source a bounded number a second, so that nobody can hide
//! what others are refused behind his own refusals, and a bounded number of all.
//!
//! What is not told of by itself is counted with its source, and told of with the next of that source that is, or in a
//! sum after a while. What is remembered of sources is bounded, too: those beyond it share one place.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use roamline_domain::phone_state::{Actor, Refused};

/// Refusals of one source that are told of by themselves: at once, and then a second.
const OF_A_SOURCE: Rate = Rate { at_once: 50, a_second: 5 };
/// The same of all sources together.
const OF_ALL: Rate = Rate { at_once: 200, a_second: 50 };
/// The same beside those, of sources that are quiet: few that are loud cannot hide them.
const OF_QUIET: Rate = Rate { at_once: 200, a_second: 20 };
/// Refusals that a quiet source has had lately at most, as its own rate forgets them.
const QUIET: i64 = 5;
/// Sources that are told apart.
const SOURCES: usize = 4096;
/// After which what a source is counted with is told of in a sum.
const SUMMED_AFTER: SignedDuration = SignedDuration::from_secs(10);
/// Sums that are told at once.
const SUMS: usize = 200;
/// What one refusal takes of a bucket.
const ONE: i64 = 1_000_000;

/// What decides which refusals are told of by themselves.
#[derive(Default)]
pub(crate) struct Gate(Mutex<Sources>);

/// A refusal to tell of, and where it came from.
#[derive(Debug)]
pub(crate) struct Telling {
    pub refused: Refused,
    source: Source,
}

/// Where refusals come from, as far as it is told apart: an address, of IPv6 the network of 64 bits that one customer
/// has at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Source {
    Ipv4(Ipv4Addr),
    Ipv6([u16; 4]),
    /// Those whose address is not known, and those that there is no place for.
    Others,
}

impl Source {
    fn of(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(address)) => Self::Ipv4(address),
            Some(IpAddr::V6(address)) => {
                let [first, second, third, fourth, ..] = address.segments();
                Self::Ipv6([first, second, third, fourth])
            }
            None => Self::Others,
        }
    }
}

#[derive(Default)]
struct Sources {
    all: Bucket,
    quiet: Bucket,
    known: HashMap<Source, Slot>,
}

#[derive(Default)]
struct Slot {
    bucket: Bucket,
    untold: Option<Untold>,
}

/// Refusals that were not told of by themselves.
struct Untold {
    last: Refused,
    number: u64,
    since: Timestamp,
}

struct Rate {
    at_once: i64,
    a_second: i64,
}

/// Fills with the time; a refusal that is told of takes from it. A clock that is put back fills nothing.
#[derive(Default)]
struct Bucket {
    /// What was taken out, in millionths of a refusal.
    taken: i64,
    at: Timestamp,
}

impl Bucket {
    fn fill(&mut self, rate: &Rate, now: Timestamp) {
        let most = rate.at_once * ONE;
        let passed = now.duration_since(self.at).as_micros().clamp(0, most.into());
        let filled = i64::try_from(passed).unwrap_or(most).saturating_mul(rate.a_second);
        self.taken = self.taken.saturating_sub(filled).max(0);
        self.at = now;
    }

    fn has_one(&self, rate: &Rate) -> bool {
        self.taken + ONE <= rate.at_once * ONE
    }
}

impl Slot {
    /// Counts refusals, the last of which is this one.
    fn count(&mut self, last: Refused, number: u64, now: Timestamp) {
        match &mut self.untold {
            Some(untold) => {
                untold.number += number;
                untold.last = last;
            }
            None => self.untold = Some(Untold { last, number, since: now }),
        }
    }
}

impl Gate {
    /// The refusal, if it is told of by itself, with the number of those of its source that it stands for beside itself.
    pub(crate) fn enter(&self, from: Option<IpAddr>, refused: Refused, now: Timestamp) -> Option<Telling> {
        let Sources { all, quiet, known } = &mut *self.lock();
        let source = place(known, Source::of(from));
        let slot = known.entry(source).or_default();
        slot.bucket.fill(&OF_A_SOURCE, now);
        all.fill(&OF_ALL, now);
        quiet.fill(&OF_QUIET, now);
        if !slot.bucket.has_one(&OF_A_SOURCE) {
            slot.count(refused, 1, now);
            return None;
        }
        let is_quiet = slot.bucket.taken < QUIET * ONE;
        // That there is no room among all does not make a source quiet.
        slot.bucket.taken += ONE;
        let room = match (all.has_one(&OF_ALL), is_quiet && quiet.has_one(&OF_QUIET)) {
            (true, _) => all,
            (false, true) => quiet,
            (false, false) => {
                slot.count(refused, 1, now);
                return None;
            }
        };
        room.taken += ONE;
        let more = slot.untold.take().map_or(0, |untold| untold.number);
        Some(Telling { refused: Refused { more, ..refused }, source })
    }

    /// The sums that are to be told now: of sources that have waited long enough, those that have longest first, or, in
    /// the end, of all.
    pub(crate) fn sums(&self, now: Timestamp, in_the_end: bool) -> Vec<Telling> {
        let known = &mut self.lock().known;
        let is_due = |since: Timestamp| in_the_end || now.duration_since(since) >= SUMMED_AFTER;
        let waiting = known.iter().filter_map(|(source, slot)| Some((slot.untold.as_ref()?.since, *source)));
        let mut due: Vec<(Timestamp, Source)> = waiting.filter(|(since, _)| is_due(*since)).collect();
        due.sort_unstable_by_key(|(since, _)| *since);
        if !in_the_end {
            due.truncate(SUMS);
        }
        let taken = due.into_iter().filter_map(|(_, source)| {
            let untold = known.get_mut(&source)?.untold.take()?;
            Some(Telling { refused: sum(source, untold), source })
        });
        let sums = taken.collect();
        known.values_mut().for_each(|slot| slot.bucket.fill(&OF_A_SOURCE, now));
        known.retain(|_, slot| slot.untold.is_some() || slot.bucket.taken > 0);
        sums
    }

    /// Counts again what could not be told of.
    pub(crate) fn put_back(&self, tellings: Vec<Telling>, now: Timestamp) {
        let known = &mut self.lock().known;
        for Telling { refused, source } in tellings {
            let number = refused.more + 1;
            let source = place(known, source);
            known.entry(source).or_default().count(refused, number, now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Sources> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a source is counted.
fn place(known: &HashMap<Source, Slot>, source: Source) -> Source {
    if known.contains_key(&source) || known.len() < SOURCES { source } else { Source::Others }
}

/// One record of many refusals: the last of them, and how many there were beside it. Of many sources it names none.
fn sum(source: Source, untold: Untold) -> Refused {
    let more = untold.number.saturating_sub(1);
    match source {
        Source::Others if more > 0 => Refused {
            user: String::new(),
            profile: String::new(),
            actor: Actor::default(),
            more,
            ..untold.last
        },
        _ => Refused { more, ..untold.last },
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
