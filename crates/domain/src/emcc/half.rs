//! The two halves of a cross-cluster session, and what becomes of them when the clusters compare (XC-4).
//!
//! A half is written down before its session begins and forgotten after the other side has heard of its end, so that
//! nothing that is lost in between, a message or a process, leaves a session that one side alone has.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::base_device::BaseDevice;
use crate::name::{ClusterId, PhoneName, SessionId, UserId};

/// A half younger than this is on its way to be: what is still missing at the other side may come yet.
pub const GRACE: Duration = Duration::from_secs(20);
/// How far the time in a session id may be from now when a peer brings it.
pub const TIMELY: Duration = Duration::from_secs(300);
/// For how long an ended half is remembered, so that a late request with its id is refused: longer than that may be late.
pub const REMEMBER_FOR: Duration = Duration::from_secs(900);

/// Which half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The user is one of this cluster's.
    Home,
    /// The phone is one of this cluster's.
    Visiting,
}

/// One half of a cross-cluster session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Half {
    /// The id of both.
    pub session: SessionId,
    /// Which this is.
    pub side: Side,
    /// The other cluster.
    pub peer: ClusterId,
    /// The user.
    pub user: UserId,
    /// The phone that he is at, one of the visiting cluster's.
    pub visiting_phone: PhoneName,
    /// The number of the base device; in a home half alone.
    pub base_device: Option<u32>,
    /// When it was begun.
    pub begun_at: Timestamp,
    /// When it ended here, if it has.
    pub ended_at: Option<Timestamp>,
    /// Whether the other side knows that.
    pub told: bool,
}

impl Half {
    /// The phone of the session in this cluster: the base device, or the visiting phone.
    pub fn phone(&self) -> Option<PhoneName> {
        match self.side {
            Side::Visiting => Some(self.visiting_phone.clone()),
            Side::Home => BaseDevice::new(self.base_device?)?.phone().ok(),
        }
    }

    /// Whether it is live, or on its way to be.
    pub fn is_live(&self) -> bool {
        self.ended_at.is_none()
    }

    /// Whether a session that belongs to it should be there by now.
    pub fn is_settled(&self, now: Timestamp, grace: Duration) -> bool {
        self.begun_at.checked_add(grace).is_ok_and(|until| until <= now)
    }
}

/// Which of our halves end because the other side has no other half, of those that it was asked about: the live ones
/// that should be there by now (XC-4).
pub fn to_end<'a>(
    ours: impl IntoIterator<Item = &'a Half>,
    unknown: &BTreeSet<SessionId>,
    now: Timestamp,
    grace: Duration,
) -> Vec<&'a Half> {
    ours.into_iter()
        .filter(|half| half.is_live() && half.is_settled(now, grace) && unknown.contains(&half.session))
        .collect()
}

/// Which halves are held against the sessions of this cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Examine {
    /// Those that were begun since then: who began them may have crashed before their session was there.
    Since(Timestamp),
    /// All, whatever was told of them (EMCC device maintenance).
    All,
}

impl Examine {
    /// Whether the half is one of them: live, and no longer on its way to be.
    pub fn takes(self, half: &Half, now: Timestamp) -> bool {
        let is_old_enough = half.is_live() && half.is_settled(now, GRACE);
        is_old_enough
            && match self {
                Self::Since(oldest) => half.begun_at >= oldest,
                Self::All => true,
            }
    }
}

/// Whether the time in a session id is now, as far as two clusters' clocks agree: an id that is older was used before,
/// or is forgotten.
pub fn is_timely(session: &SessionId, now: Timestamp) -> bool {
    let Some(made) = made_at(session) else { return false };
    let apart = made.duration_since(now).abs();
    SignedDuration::try_from(TIMELY).is_ok_and(|most| apart <= most)
}

/// The time in a ULID: its first ten characters, in Crockford's base 32, are milliseconds since 1970.
fn made_at(session: &SessionId) -> Option<Timestamp> {
    const DIGITS: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let mut millis = 0_i64;
    for c in session.as_str().chars().take(10) {
        let digit = i64::try_from(DIGITS.find(c)?).ok()?;
        millis = millis.checked_mul(32)?.checked_add(digit)?;
    }
    Timestamp::from_millisecond(millis).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn id(n: u32) -> SessionId {
        format!("01K{n:023}").parse().unwrap()
    }

    fn half(n: u32, begun: i64, ended: bool) -> Half {
        Half {
            session: id(n),
            side: Side::Home,
            peer: "berlin".parse().unwrap(),
            user: "1001".parse().unwrap(),
            visiting_phone: "SEP000DEDAB3566".parse().unwrap(),
            base_device: Some(3),
            begun_at: at(begun),
            ended_at: ended.then(|| at(begun + 1)),
            told: false,
        }
    }

    #[test]
    fn xc_4_the_phone_of_a_half_is_the_base_device_at_home_and_the_phone_itself_elsewhere() {
        let home = half(1, 0, false);
        assert_eq!(home.phone().unwrap().as_str(), "SEP02E3CC000003");
        let visiting = Half { side: Side::Visiting, base_device: None, ..home };
        assert_eq!(visiting.phone().unwrap().as_str(), "SEP000DEDAB3566");
    }

    #[test]
    fn xc_4_halves_are_examined_while_they_are_new_and_all_of_them_at_maintenance() {
        let now = at(1000);
        for (begun, new) in [(985, false), (980, true), (900, true), (899, false), (0, false)] {
            assert_eq!(Examine::Since(at(900)).takes(&half(1, begun, false), now), new, "{begun}");
            assert_eq!(Examine::All.takes(&half(1, begun, false), now), begun <= 980, "{begun}");
            assert!(!Examine::All.takes(&half(1, begun, true), now));
        }
    }

    #[test]
    fn a_session_id_is_taken_within_five_minutes_of_its_time() {
        // 01ARZ3NDEKTSV4RRFFQ69G5FAV, the example of the ULID specification, is of 2016-07-30T23:54:10.259Z.
        let example: SessionId = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
        let made: Timestamp = "2016-07-30T23:54:10.259Z".parse().unwrap();
        assert_eq!(made_at(&example), Some(made));
        for (seconds, timely) in [(0, true), (300, true), (301, false), (-300, true), (-301, false)] {
            let now = made.checked_add(SignedDuration::from_secs(seconds)).unwrap();
            assert_eq!(is_timely(&example, now), timely, "{seconds}");
        }
        assert!(!is_timely(&"ZZZZZZZZZZZZZZZZZZZZZZZZZZ".parse().unwrap(), made));
        assert!(!is_timely(&"01IRZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap(), made));
    }

    proptest! {
        #[test]
        fn xc_4_a_half_ends_if_the_other_side_does_not_know_it_and_it_is_no_longer_on_its_way(
            halves in proptest::collection::vec((0..60_i64, any::<bool>()), 0..20),
            unknown in proptest::collection::btree_set(0..20_u32, 0..20),
        ) {
            let now = at(40);
            let ours: Vec<_> = halves.iter().zip(0..).map(|((begun, ended), n)| half(n, *begun, *ended)).collect();
            let missing: BTreeSet<_> = unknown.iter().map(|n| id(*n)).collect();
            let ending = to_end(&ours, &missing, now, GRACE);
            for (n, ((begun, ended), ours)) in (0..).zip(halves.iter().zip(&ours)) {
                let expected = !ended && *begun <= 20 && unknown.contains(&n);
                prop_assert_eq!(ending.contains(&ours), expected);
            }
        }
    }
}
