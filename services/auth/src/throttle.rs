//! Failures are counted by where they come from, so that who guesses is refused before any work is done for him (ADR
//! 0013). Successes do not count: thousands may sign in from one address. Kept in the memory of this process, for as long
//! as they matter.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;
use quick_cache::unsync::Cache;
use roamline_domain::credential::{Allowance, place_of};
use roamline_domain::{PhoneName, PrincipalName};
use roamline_serve::inventory::THROTTLED;
use roamline_token::QuestionLimit;

use crate::config::ThrottleConfig;

/// The most that is remembered; beyond it, what was not looked at for longest is forgotten.
const MOST_REMEMBERED: usize = 1 << 16;

/// Where somebody is who proves who he is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// His address, as [`place_of`] gives it; none where it is not known.
    pub(crate) source: Option<IpAddr>,
    /// The phone that he wants to use.
    pub(crate) phone: Option<PhoneName>,
}

impl Origin {
    /// Somebody at that address.
    pub(crate) fn at(source: Option<IpAddr>) -> Self {
        Self { source: source.map(place_of), phone: None }
    }
}

/// What failures are counted by. Users and phones are those of one source, so that a stranger elsewhere keeps nobody out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum By {
    Source(IpAddr),
    User(IpAddr, PrincipalName),
    Phone(IpAddr, PhoneName),
}

/// Whose failures are counted, how that is called, and how many are borne.
type Counted = (By, &'static str, Allowance);

pub(crate) struct Throttle {
    config: ThrottleConfig,
    forgotten_at: Mutex<Cache<By, Timestamp>>,
}

impl Throttle {
    pub(crate) fn new(config: &ThrottleConfig) -> Self {
        Self { config: config.clone(), forgotten_at: Mutex::new(Cache::new(MOST_REMEMBERED)) }
    }

    /// Whether somebody may try at `now` to prove that he is of that name; else when he may. Whether there is such a
    /// name makes no difference (LI-2).
    pub(crate) fn admit(&self, from: &Origin, name: &PrincipalName, now: Timestamp) -> Result<(), Duration> {
        match self.wait(self.counted(from, name), now) {
            Some((wait, what)) => {
                THROTTLED.add(1, &[("by", what)]);
                Err(wait)
            }
            None => Ok(()),
        }
    }

    /// Counts a failure.
    pub(crate) fn failed(&self, from: &Origin, name: &PrincipalName, now: Timestamp) {
        for what in self.fail(self.counted(from, name), now) {
            tracing::warn!(by = what, ?from, %name, "credentials fail too often and are refused for a while");
        }
    }

    /// The longest wait of these, and whose it is.
    fn wait(
        &self,
        counted: impl IntoIterator<Item = Counted>,
        now: Timestamp,
    ) -> Option<(Duration, &'static str)> {
        let forgotten_at = self.forgotten_at();
        let waits = counted.into_iter().filter_map(|(by, what, allowance)| {
            allowance.wait(forgotten_at.get(&by).copied(), now).map(|wait| (wait, what))
        });
        waits.max()
    }

    /// Counts a failure of each of these; those that have to wait from now on.
    fn fail(&self, counted: impl IntoIterator<Item = Counted>, now: Timestamp) -> Vec<&'static str> {
        let (mut forgotten_at, mut waiting) = (self.forgotten_at(), Vec::new());
        for (by, what, allowance) in counted {
            let before = forgotten_at.get(&by).copied();
            let after = allowance.failed(before, now);
            if allowance.wait(before, now).is_none() && allowance.wait(Some(after), now).is_some() {
                waiting.push(what);
            }
            forgotten_at.insert(by, after);
        }
        waiting
    }

    fn counted(&self, from: &Origin, name: &PrincipalName) -> Vec<Counted> {
        let Some(source) = from.source else { return Vec::new() };
        let mut counted = vec![(By::User(source, name.clone()), "user", self.config.by_user.into())];
        if let Some(phone) = &from.phone {
            counted.push((By::Phone(source, phone.clone()), "phone", self.config.by_phone.into()));
        }
        counted.extend(self.at_source(source, "source"));
        counted
    }

    /// What is counted of a place, unless it is exempt.
    fn at_source(&self, source: IpAddr, what: &'static str) -> Option<Counted> {
        // A range within one place is that place.
        let is_exempt = |range: &IpNet| range.contains(&source) || place_of(range.addr()) == source;
        let counts = !self.config.exempt.iter().any(is_exempt);
        counts.then(|| (By::Source(source), what, self.config.by_source.into()))
    }

    fn forgotten_at(&self) -> MutexGuard<'_, Cache<By, Timestamp>> {
        self.forgotten_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts the opaque tokens of an address about which their issuer was asked in vain, as `auth.throttle.by_source` says:
/// beside the credentials that failed there, and by themselves.
pub struct TokenThrottle(Throttle);

impl TokenThrottle {
    /// Nothing is counted yet. Each process that verifies tokens has one of its own.
    pub fn new(config: &ThrottleConfig) -> Self {
        Self(Throttle::new(config))
    }
}

impl QuestionLimit for TokenThrottle {
    fn wait(&self, source: IpAddr, now: Timestamp) -> Option<Duration> {
        let (wait, what) = self.0.wait(self.0.at_source(place_of(source), "token"), now)?;
        THROTTLED.add(1, &[("by", what)]);
        Some(wait)
    }

    fn asked_in_vain(&self, source: IpAddr, now: Timestamp) {
        if !self.0.fail(self.0.at_source(place_of(source), "token"), now).is_empty() {
            tracing::warn!(%source, "opaque tokens fail too often, and none that is not known is asked about for a while");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limit;

    fn throttle() -> Throttle {
        Throttle::new(&ThrottleConfig {
            by_user: Limit { failures: 2, a_minute: 1 },
            by_phone: Limit { failures: 3, a_minute: 1 },
            by_source: Limit { failures: 4, a_minute: 60 },
            ..ThrottleConfig::default()
        })
    }

    fn at(last: u8, phone: &str) -> Origin {
        let source = Some(IpAddr::from([192, 0, 2, last]));
        Origin { phone: phone.parse().ok(), ..Origin::at(source) }
    }

    fn name(text: &str) -> PrincipalName {
        text.parse().unwrap()
    }

    fn second(number: i64) -> Timestamp {
        Timestamp::from_second(number).unwrap()
    }

    #[test]
    fn sp_14_who_guesses_at_one_user_is_kept_out_and_nobody_elsewhere() {
        let throttle = throttle();
        for _ in 0..2 {
            assert_eq!(throttle.admit(&at(1, ""), &name("agent7"), second(0)), Ok(()));
            throttle.failed(&at(1, ""), &name("agent7"), second(0));
        }
        let wait = throttle.admit(&at(1, ""), &name("agent7"), second(0)).unwrap_err();
        assert_eq!(wait, Duration::from_secs(60));
        assert_eq!(throttle.admit(&at(1, ""), &name("agent8"), second(0)), Ok(()));
        assert_eq!(throttle.admit(&at(2, ""), &name("agent7"), second(0)), Ok(()), "the owner");
        assert_eq!(throttle.admit(&at(1, ""), &name("agent7"), second(60)), Ok(()));
    }

    #[test]
    fn sp_14_who_tries_all_users_is_kept_out_by_phone_and_by_source() {
        let throttle = throttle();
        for user in ["a", "b", "c"] {
            throttle.failed(&at(1, "SEP000000000001"), &name(user), second(0));
        }
        assert!(throttle.admit(&at(1, "SEP000000000001"), &name("d"), second(0)).is_err());
        assert_eq!(throttle.admit(&at(1, "SEP000000000002"), &name("d"), second(0)), Ok(()));
        assert_eq!(
            throttle.admit(&at(2, "SEP000000000001"), &name("d"), second(0)),
            Ok(()),
            "from elsewhere"
        );
        throttle.failed(&at(1, ""), &name("d"), second(0));
        assert!(throttle.admit(&at(1, ""), &name("e"), second(0)).is_err());
        assert_eq!(throttle.admit(&at(1, ""), &name("e"), second(1)), Ok(()));
    }

    #[test]
    fn sp_14_an_exempt_source_is_limited_by_user_alone() {
        let throttle = throttle();
        let here = Origin::at("127.0.0.1".parse().ok());
        for n in 0..1_000 {
            throttle.failed(&here, &name(&format!("user{n}")), second(0));
        }
        assert_eq!(throttle.admit(&here, &name("another"), second(0)), Ok(()));
        throttle.failed(&here, &name("user1"), second(0));
        assert!(throttle.admit(&here, &name("user1"), second(0)).is_err());
    }

    #[test]
    fn sp_14_an_ipv6_address_that_is_exempt_is_so_with_its_network_and_no_other() {
        let config = ThrottleConfig {
            exempt: vec!["2001:db8:1:2::9/128".parse().unwrap(), "2001:db8:2::/48".parse().unwrap()],
            by_source: Limit { failures: 1, a_minute: 1 },
            ..ThrottleConfig::default()
        };
        let throttle = Throttle::new(&config);
        for (source, exempt) in [
            ("2001:db8:1:2::9", true),
            ("2001:db8:1:2::8", true),
            ("2001:db8:1:3::9", false),
            ("2001:db8:2:ffff::1", true),
            ("2001:db8:3::1", false),
        ] {
            let here = Origin::at(source.parse().ok());
            throttle.failed(&here, &name("agent7"), second(0));
            assert_eq!(throttle.admit(&here, &name("agent8"), second(0)).is_ok(), exempt, "{source}");
        }
    }

    #[test]
    fn sp_14_opaque_tokens_are_counted_by_source_and_an_exempt_one_is_not() {
        let by_source = Limit { failures: 4, a_minute: 60 };
        let throttle = TokenThrottle::new(&ThrottleConfig { by_source, ..ThrottleConfig::default() });
        let of = |text: &str| text.parse::<IpAddr>().unwrap();
        for _ in 0..4 {
            for source in ["2001:db8::1", "127.0.0.1"] {
                assert_eq!(throttle.wait(of(source), second(0)), None);
                throttle.asked_in_vain(of(source), second(0));
            }
        }
        let wait = Some(Duration::from_secs(1));
        assert_eq!(throttle.wait(of("2001:db8::1"), second(0)), wait);
        assert_eq!(throttle.wait(of("2001:db8::2"), second(0)), wait, "of the same network");
        assert_eq!(throttle.wait(of("2001:db8:0:1::1"), second(0)), None);
        assert_eq!(throttle.wait(of("127.0.0.1"), second(0)), None);
        assert_eq!(throttle.wait(of("2001:db8::1"), second(1)), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let throttle = throttle();
        for n in 0..3 * u32::try_from(MOST_REMEMBERED).unwrap() {
            throttle.failed(&Origin::at(Some(IpAddr::from(n.to_be_bytes()))), &name("x"), second(0));
        }
        assert!(throttle.forgotten_at().len() <= MOST_REMEMBERED);
    }

    #[test]
    fn whoever_comes_from_nowhere_is_not_counted() {
        let throttle = throttle();
        for _ in 0..100 {
            throttle.failed(&Origin::default(), &name("agent7"), second(0));
        }
        assert_eq!(throttle.admit(&Origin::default(), &name("agent7"), second(0)), Ok(()));
    }
}
