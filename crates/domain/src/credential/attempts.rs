//! Failures of a credential, and the lockouts that come of them (SP-14, ADR 0013).
//!
//! A lockout is for everybody but those places from which the principal has proven himself lately: their failures are
//! counted beside the others, so that a stranger who locks him out locks himself out and not him where he works.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{CredentialPolicy, PrincipalKind, after};

/// The most places that are known of one principal.
const MOST_KNOWN: usize = 4;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// For how long after a proof a place is known: addresses pass to others.
const KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Failures that add up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Failures since the last success, as far as they add up.
    pub failures: u32,
    /// When the last failure was.
    pub last_failure_at: Option<Timestamp>,
    /// Until when it locks; the end of all time where an administrator must set a new credential.
    pub locked_until: Option<Timestamp>,
}

/// A place from which a principal has proven himself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownPlace {
    /// Its address, as [`place_of`] gives it.
    pub place: IpAddr,
    /// When he last did, to the day.
    pub proven_at: Timestamp,
    /// Failures from there.
    #[serde(flatten)]
    pub tally: Tally,
}

/// What has happened to a credential lately.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempts {
    /// Failures from anywhere.
    #[serde(flatten)]
    pub tally: Tally,
    /// Places from which he has proven himself, the latest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known: Vec<KnownPlace>,
}

/// Where an address is, as far as one can tell places apart: an IPv6 network of 64 bits is one, but for this machine
/// itself, and an IPv4 address is the same however it is written.
pub fn place_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) if !six.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() & (u128::MAX << 64)))
        }
        other => other,
    }
}

impl Tally {
    fn is_locked(&self, now: Timestamp) -> bool {
        self.locked_until.is_some_and(|until| now < until)
    }

    fn failed(&self, kind: PrincipalKind, policy: &CredentialPolicy, now: Timestamp) -> Self {
        if self.is_locked(now) {
            return self.clone();
        }
        let adds_up = self.locked_until.is_none()
            && self.last_failure_at.is_some_and(|last| after(last, policy.failures_reset_after) > now);
        let failures = if adds_up { self.failures.saturating_add(1) } else { 1 };
        let locks = policy.failures_before_lockout > 0 && failures >= policy.failures_before_lockout;
        Self {
            failures,
            last_failure_at: Some(now),
            locked_until: locks
                .then(|| policy.lockout_of(kind).map_or(Timestamp::MAX, |time| after(now, time))),
        }
    }
}

impl KnownPlace {
    fn is(&self, place: Option<IpAddr>, now: Timestamp) -> bool {
        Some(self.place) == place && after(self.proven_at, KNOWN_FOR) > now
    }
}

impl Attempts {
    /// Whether the credential is locked at `now` for whoever comes from no known place.
    pub fn is_locked(&self, now: Timestamp) -> bool {
        self.tally.is_locked(now)
    }

    /// Whether it is locked at `now` for whoever comes from that place.
    pub fn is_locked_at(&self, place: Option<IpAddr>, now: Timestamp) -> bool {
        let known = self.known.iter().find(|known| known.is(place, now));
        known.map_or(&self.tally, |known| &known.tally).is_locked(now)
    }

    /// After a failure of a principal of that kind at `now`. Where it is locked a failure changes nothing: nobody can
    /// keep a user locked out by trying on.
    #[must_use]
    pub fn failed(
        &self,
        kind: PrincipalKind,
        place: Option<IpAddr>,
        policy: &CredentialPolicy,
        now: Timestamp,
    ) -> Self {
        if self.is_locked_at(place, now) {
            return self.clone();
        }
        let mut next = self.clone();
        next.tally = self.tally.failed(kind, policy, now);
        for known in next.known.iter_mut().filter(|known| known.is(place, now)) {
            known.tally = known.tally.failed(kind, policy, now);
        }
        next
    }

    /// After a proof at `now` from a place where it is not locked. Failures count from the start again; a lockout that
    /// holds for others stays.
    #[must_use]
    pub fn proven(&self, place: Option<IpAddr>, now: Timestamp) -> Self {
        let mut next = self.clone();
        if !self.is_locked(now) {
            next.tally = Tally::default();
        }
        let Some(place) = place else { return next };
        let before = next.known.iter().position(|known| known.place == place).map(|at| next.known.remove(at));
        let proven_at = before.map(|known| known.proven_at).filter(|at| after(*at, DAY) > now);
        let known = KnownPlace { place, proven_at: proven_at.unwrap_or(now), tally: Tally::default() };
        next.known.push(known);
        next.known.sort_by_key(|known| std::cmp::Reverse(known.proven_at));
        next.known.truncate(MOST_KNOWN);
        next
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::login::fixture::at;

    const HOME: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));
    const AWAY: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9)));

    fn fail(attempts: &Attempts, place: Option<IpAddr>, second: i64) -> Attempts {
        attempts.failed(PrincipalKind::User, place, &CredentialPolicy::default(), at(second))
    }

    fn failures_at(place: Option<IpAddr>, attempts: Attempts, times: &[i64]) -> Attempts {
        times.iter().fold(attempts, |attempts, second| fail(&attempts, place, *second))
    }

    fn failures(times: &[i64]) -> Attempts {
        failures_at(None, Attempts::default(), times)
    }

    #[test]
    fn sp_14_the_third_failure_locks_for_half_an_hour() {
        assert!(!failures(&[0, 1]).is_locked(at(2)));
        let locked = failures(&[0, 1, 2]);
        assert!(locked.is_locked(at(2)) && locked.is_locked(at(1801)));
        assert!(!locked.is_locked(at(2 + 1800)));
    }

    #[test]
    fn sp_14_failures_far_apart_do_not_add_up() {
        assert!(!failures(&[0, 1, 1801, 3700]).is_locked(at(3701)));
    }

    #[test]
    fn sp_14_trying_on_does_not_prolong_a_lockout_and_after_it_the_count_starts_anew() {
        assert_eq!(failures(&[0, 1, 2]), failures(&[0, 1, 2, 3, 900, 1700]));
        assert!(!failures(&[0, 1, 2, 1803]).is_locked(at(1804)));
    }

    #[test]
    fn sp_14_a_lockout_without_an_end_waits_for_an_administrator_but_not_his_own() {
        let policy = CredentialPolicy {
            lockout_for: Duration::ZERO,
            failures_before_lockout: 1,
            ..Default::default()
        };
        let locked = |kind| Attempts::default().failed(kind, None, &policy, at(0));
        let years = 100 * 365 * 24 * 3600;
        assert!(locked(PrincipalKind::User).is_locked(at(years)));
        let administrator = locked(PrincipalKind::Administrator);
        assert!(administrator.is_locked(at(1799)) && !administrator.is_locked(at(1800)));
    }

    #[test]
    fn sp_14_after_a_lockout_the_count_starts_anew_however_long_failures_add_up() {
        let policy = CredentialPolicy {
            failures_reset_after: Duration::from_secs(10 * 3600),
            ..CredentialPolicy::default()
        };
        let after = |times: &[i64]| {
            times
                .iter()
                .fold(Attempts::default(), |a, t| a.failed(PrincipalKind::User, None, &policy, at(*t)))
        };
        assert!(after(&[0, 9000, 18_000]).is_locked(at(18_001)));
        assert!(!after(&[0, 1, 2, 1802, 1803]).is_locked(at(1804)));
        assert!(after(&[0, 1, 2, 1802, 1803, 1804]).is_locked(at(1805)));
    }

    #[test]
    fn sp_14_a_policy_without_a_limit_of_failures_never_locks() {
        let policy = CredentialPolicy { failures_before_lockout: 0, ..CredentialPolicy::default() };
        let tried =
            (0..100).fold(Attempts::default(), |a, t| a.failed(PrincipalKind::User, None, &policy, at(t)));
        assert!(!tried.is_locked(at(100)));
    }

    #[test]
    fn sp_14_a_stranger_locks_everybody_out_but_the_owner_where_he_works() {
        let locked = failures_at(AWAY, Attempts::default().proven(HOME, at(0)), &[10, 11, 12]);
        assert!(
            locked.is_locked(at(13))
                && locked.is_locked_at(AWAY, at(13))
                && locked.is_locked_at(None, at(13))
        );
        assert!(!locked.is_locked_at(HOME, at(13)));
        let in_again = locked.proven(HOME, at(14));
        assert!(in_again.is_locked_at(AWAY, at(15)), "his success frees no stranger");
        assert_eq!(locked, in_again, "and is nothing to be written");
    }

    #[test]
    fn sp_14_three_failures_where_the_owner_works_lock_there_and_everywhere() {
        let locked = failures_at(HOME, Attempts::default().proven(HOME, at(0)), &[10, 11, 12]);
        assert!(locked.is_locked(at(13)) && locked.is_locked_at(HOME, at(13)));
        assert!(!locked.is_locked_at(HOME, at(12 + 1800)));
        assert_eq!(fail(&locked, HOME, 20), locked);
    }

    #[test]
    fn sp_14_a_place_is_known_for_thirty_days_and_only_the_latest_few_are() {
        let day = 24 * 3600;
        let once = Attempts::default().proven(HOME, at(0));
        assert_eq!(once.proven(HOME, at(day - 1)), once, "written once a day");
        let locked = |now: i64| failures_at(AWAY, once.clone(), &[now - 3, now - 2, now - 1]);
        assert!(!locked(30 * day - 1).is_locked_at(HOME, at(30 * day - 1)));
        assert!(locked(30 * day).is_locked_at(HOME, at(30 * day)));
        let many = (1..20_u8).fold(once, |attempts, n| {
            attempts.proven(Some(IpAddr::from([192, 0, 2, n])), at(i64::from(n) * day))
        });
        let kept: Vec<_> = many.known.iter().map(|known| known.place.to_string()).collect();
        assert_eq!(kept, ["192.0.2.19", "192.0.2.18", "192.0.2.17", "192.0.2.16"]);
    }

    #[test]
    fn sp_14_a_place_is_an_ipv4_address_or_an_ipv6_network() {
        let place = |text: &str| place_of(text.parse().unwrap()).to_string();
        assert_eq!(place("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(place("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(place("::1"), "::1");
    }

    #[test]
    fn attempts_that_were_written_before_places_were_known_are_read() {
        let old = r#"{"failures":2,"last_failure_at":"1970-01-01T00:00:07Z","locked_until":null}"#;
        let read: Attempts = serde_json::from_str(old).unwrap();
        assert_eq!((read.tally.failures, read.known.len()), (2, 0));
        assert_eq!(serde_json::to_string(&read).unwrap(), old);
        let known = failures_at(HOME, read.proven(HOME, at(1)), &[2]);
        assert_eq!(serde_json::from_str::<Attempts>(&serde_json::to_string(&known).unwrap()).unwrap(), known);
    }

    proptest! {
        #[test]
        fn sp_14_whatever_the_attempts_a_lockout_ends(times in prop::collection::vec(0i64..10_000, 0..50)) {
            let mut times = times;
            times.sort_unstable();
            let last = times.last().copied().unwrap_or(0);
            prop_assert!(!failures(&times).is_locked(at(last + 1800)));
        }

        #[test]
        fn sp_14_strangers_never_keep_the_owner_out_nor_guess_more_than_three_times_in_a_lockout(
            tries in prop::collection::vec((0i64..1_800, 0u8..5), 0..60),
        ) {
            let mut tries = tries;
            tries.sort_unstable();
            let mut attempts = Attempts::default().proven(HOME, at(-1));
            let mut compared = 0;
            for (second, stranger) in tries {
                let place = Some(IpAddr::from([203, 0, 113, stranger]));
                if !attempts.is_locked_at(place, at(second)) {
                    compared += 1;
                }
                attempts = fail(&attempts, place, second);
                prop_assert!(!attempts.is_locked_at(HOME, at(second)));
            }
            prop_assert!(compared <= 3, "{compared}");
        }
    }
}
