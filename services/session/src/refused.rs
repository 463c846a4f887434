//! Telling of what was refused (EV-1), so that the audit trail has it: a bounded number a second, since anybody can have
//! logins refused as fast as he likes. What is not told of by itself is counted with the next that is.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use roamline_domain::PhoneName;
use roamline_domain::phone_state::{Asked, Refused, SessionEvent};
use roamline_proto::refusal::Refusal;

use crate::Core;
use crate::asker::Asker;

/// Refusals told of in a second.
const A_SECOND: i64 = 50;
/// What fills up in a second, in microseconds.
const FULL: i64 = 1_000_000;
/// The longest user id that is kept of what was sent, in characters.
const LONGEST_USER: usize = 128;

/// How many more refusals are told of now.
pub(crate) struct Gate(Mutex<Bucket>);

struct Bucket {
    /// Microseconds' worth of refusals, each of which takes as many as there are between two at full speed.
    level: i64,
    at: Timestamp,
    /// Refusals that were not told of.
    more: u64,
}

impl Default for Gate {
    fn default() -> Self {
        Self(Mutex::new(Bucket { level: FULL, at: Timestamp::MIN, more: 0 }))
    }
}

impl Gate {
    /// How many refusals the one that comes now stands for beside itself, if it is told of.
    fn enter(&self, now: Timestamp) -> Option<u64> {
        let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.duration_since(bucket.at).as_micros().clamp(0, FULL.into());
        bucket.level = FULL.min(bucket.level + i64::try_from(passed).unwrap_or(FULL));
        bucket.at = now;
        let cost = FULL / A_SECOND;
        if bucket.level < cost {
            bucket.more += 1;
            return None;
        }
        bucket.level -= cost;
        Some(std::mem::take(&mut bucket.more))
    }

    /// Counts refusals that could not be told of.
    fn put_back(&self, more: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).more += more;
    }
}

/// What was asked for: as it was sent.
pub(crate) struct What<'a> {
    pub asked: Asked,
    pub phone: &'a PhoneName,
    pub user: &'a str,
    pub profile: &'a str,
}

impl Core {
    /// Tells of a refusal, unless there are too many at once. That it cannot be told of is logged, and changes nothing
    /// about the answer.
    pub(crate) async fn tell_refused(&self, what: What<'_>, asker: &Asker, refusal: &Refusal) {
        let now = self.clock.now();
        let Some(more) = self.refusals.enter(now) else { return };
        let refused = Refused {
            what: what.asked,
            phone: what.phone.clone(),
            user: what.user.chars().take(LONGEST_USER).collect(),
            profile: what.profile.to_owned(),
            reason: Refusal::reason_name(refusal.reason).to_owned(),
            actor: asker.actor(),
            more,
        };
        if let Err(error) = self.store.tell(vec![SessionEvent::Refused(refused)], now).await {
            tracing::error!(%error, "a refusal could not be told of");
            self.refusals.put_back(more + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_millis(millis)
    }

    #[test]
    fn ev_1_refusals_are_told_of_fifty_times_a_second_and_none_is_forgotten() {
        let gate = Gate::default();
        let told =
            |millis, number: usize| (0..number).filter_map(|_| gate.enter(at(millis))).collect::<Vec<_>>();
        assert_eq!(told(0, 60), [0; 50]);
        assert_eq!(told(19, 5), Vec::<u64>::new());
        assert_eq!(told(20, 2), [15]);
        gate.put_back(16);
        assert_eq!(told(40, 1), [17]);
        assert_eq!(told(100_000, 100).len(), 50, "what was not used up does not add up");
        assert_eq!(told(0, 1), Vec::<u64>::new(), "a clock that is put back gives nothing");
    }
}
