//! The cluster-wide settings of extension mobility, by the names administrators know (SP-1 to SP-13).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::directory::UserLoginTime;
use crate::violation::Violations;

/// The longest login time that can be set: 168:00.
pub const LONGEST_LOGIN: Duration = Duration::from_secs(168 * 3600);
const MINUTE: Duration = Duration::from_secs(60);

/// What happens when a user who is logged in logs in at another phone (SP-5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MultipleLogin {
    /// Both sessions live.
    Allowed,
    /// The second login is refused.
    #[default]
    NotAllowed,
    /// The other sessions end in the same step.
    AutoLogout,
}

/// When a phone's call history is cleared (SP-8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClearCallLogs {
    /// Never.
    Never,
    /// When somebody logs in or out by hand.
    Manual,
    /// On every logout.
    #[default]
    EveryLogout,
}

/// What happens at a login to a phone that somebody else uses (SP-13).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OccupiedPhone {
    /// Refused.
    Refuse,
    /// Taken over by a login that asks for it.
    #[default]
    OnRequest,
    /// Taken over by every login.
    Always,
}

/// What is done about a profile that breaks a contact-centre rule (CC-5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContactCentrePolicy {
    /// Refused, with every broken line named.
    #[default]
    Reject,
    /// Set to what the rule asks, and reported.
    Correct,
    /// Reported.
    Warn,
}

/// An instant of every day, in minutes after midnight: 00:00 to 24:00, the end of the day (SP-10, LO-7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    /// Minutes after midnight, 0 to 1440.
    pub fn minutes(self) -> u16 {
        self.0
    }
}

impl FromStr for TimeOfDay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("{text:?} is no time of day: 00:00 to 24:00 (SP-10)");
        let (hours, minutes) = text.split_once(':').ok_or_else(refused)?;
        let two_digits = |part: &str| part.len() == 2 && part.chars().all(|c| c.is_ascii_digit());
        if !two_digits(hours) || !two_digits(minutes) {
            return Err(refused());
        }
        let (Ok(hours), Ok(minutes)) = (hours.parse::<u16>(), minutes.parse::<u16>()) else {
            return Err(refused());
        };
        if minutes > 59 || hours * 60 + minutes > 24 * 60 {
            return Err(refused());
        }
        Ok(Self(hours * 60 + minutes))
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> String {
        time.to_string()
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// The service parameters of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceParameters {
    /// Enforce Intra-cluster Maximum Login Time (SP-1).
    pub enforce_maximum_login_time: bool,
    /// Intra-cluster Maximum Login Time (SP-2).
    pub maximum_login_time: Duration,
    /// Inter-cluster Maximum Login Time (SP-3).
    pub inter_cluster_maximum_login_time: Duration,
    /// Maximum Concurrent Requests; 0 is sized to the machine (SP-4).
    pub maximum_concurrent_requests: u32,
    /// Multiple Login Behavior (SP-5).
    pub multiple_login: MultipleLogin,
    /// Alphanumeric User ID (SP-6).
    pub alphanumeric_user_id: bool,
    /// Remember the Last User Logged In (SP-7).
    pub remember_last_user: bool,
    /// Clear Call Logs (SP-8).
    pub clear_call_logs: ClearCallLogs,
    /// Daily logout times, up to three (SP-10).
    pub daily_logout_times: Vec<TimeOfDay>,
    /// Login to an occupied phone (SP-13).
    pub occupied_phone: OccupiedPhone,
    /// Enforcement of the contact-centre rules (CC-5).
    pub contact_centre_policy: ContactCentrePolicy,
    /// The cluster's time zone, by its IANA name.
    pub time_zone: String,
    /// User locale where neither profile nor phone gives one (LI-14).
    pub default_user_locale: String,
}

impl Default for ServiceParameters {
    fn default() -> Self {
        Self {
            enforce_maximum_login_time: false,
            maximum_login_time: Duration::from_secs(8 * 3600),
            inter_cluster_maximum_login_time: Duration::from_secs(10 * 3600),
            maximum_concurrent_requests: 0,
            multiple_login: MultipleLogin::default(),
            alphanumeric_user_id: true,
            remember_last_user: false,
            clear_call_logs: ClearCallLogs::default(),
            daily_logout_times: Vec::new(),
            occupied_phone: OccupiedPhone::default(),
            contact_centre_policy: ContactCentrePolicy::default(),
            time_zone: "UTC".into(),
            default_user_locale: "en-US".into(),
        }
    }
}

impl ServiceParameters {
    /// Everything that is out of its range.
    pub fn check(&self) -> Violations {
        let mut found = Violations::new();
        let whole_minutes = |time: Duration| time.as_secs().is_multiple_of(60) && time.subsec_nanos() == 0;
        if self.maximum_login_time < MINUTE
            || self.maximum_login_time > LONGEST_LOGIN
            || !whole_minutes(self.maximum_login_time)
        {
            found.add("maximum_login_time", "SP-2", "must be 0:01 to 168:00, in whole minutes");
        }
        if self.inter_cluster_maximum_login_time > LONGEST_LOGIN
            || !whole_minutes(self.inter_cluster_maximum_login_time)
        {
            found.add("inter_cluster_maximum_login_time", "SP-3", "must be 0:00 to 168:00, in whole minutes");
        }
        if self.maximum_concurrent_requests > 100 {
            found.add(
                "maximum_concurrent_requests",
                "SP-4",
                "must be 1 to 100, or 0 for sized to the machine",
            );
        }
        if self.daily_logout_times.len() > 3 {
            found.add("daily_logout_times", "SP-10", "must be at most three");
        }
        if TimeZone::get(&self.time_zone).is_err() {
            found.add(
                "time_zone",
                "LO-7",
                format!("{:?} is no time zone of the IANA database", self.time_zone),
            );
        }
        found
    }

    /// How long a login of this user may last: his own maximum, else the cluster's, else no limit (SP-1, SP-2,
    /// SP-20).
    pub fn login_time(&self, user: UserLoginTime) -> Option<Duration> {
        match user {
            UserLoginTime::Unlimited => None,
            UserLoginTime::AtMost(time) => Some(time),
            UserLoginTime::Cluster => self.enforce_maximum_login_time.then_some(self.maximum_login_time),
        }
    }

    /// Whether a user id may be used in this cluster: digits only where *Alphanumeric User ID* is false (SP-6).
    pub fn takes_user_id(&self, user_id: &crate::UserId) -> bool {
        self.alphanumeric_user_id || user_id.as_str().chars().all(|c| c.is_ascii_digit())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sp_defaults_are_those_that_administrators_know() {
        let defaults = ServiceParameters::default();
        assert!(defaults.check().is_empty());
        assert_eq!(defaults.login_time(UserLoginTime::Cluster), None);
        assert_eq!(defaults.maximum_login_time, Duration::from_secs(8 * 3600));
    }

    #[test]
    fn sp_2_and_sp_3_are_refused_outside_their_ranges() {
        let broken = ServiceParameters {
            maximum_login_time: Duration::ZERO,
            inter_cluster_maximum_login_time: LONGEST_LOGIN + MINUTE,
            maximum_concurrent_requests: 101,
            time_zone: "Mars/Olympus".into(),
            daily_logout_times: vec![TimeOfDay(1), TimeOfDay(2), TimeOfDay(3), TimeOfDay(4)],
            ..Default::default()
        };
        let rules: Vec<_> = broken.check().iter().map(|v| v.rule).collect();
        assert_eq!(rules, ["SP-2", "SP-3", "SP-4", "SP-10", "LO-7"]);
    }

    #[test]
    fn sp_20_a_users_own_maximum_overrides_the_clusters() {
        let enforced = ServiceParameters { enforce_maximum_login_time: true, ..Default::default() };
        assert_eq!(enforced.login_time(UserLoginTime::Cluster), Some(Duration::from_secs(8 * 3600)));
        assert_eq!(enforced.login_time(UserLoginTime::Unlimited), None);
        assert_eq!(enforced.login_time(UserLoginTime::AtMost(MINUTE)), Some(MINUTE));
    }

    #[test]
    fn sp_6_digits_only_where_the_parameter_says_so() {
        let digits = ServiceParameters { alphanumeric_user_id: false, ..Default::default() };
        assert!(digits.takes_user_id(&"1042".parse().unwrap()));
        assert!(!digits.takes_user_id(&"agent7".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn sp_10_every_minute_of_the_day_reads_back(minute in 0u16..=1440) {
            let time = TimeOfDay(minute);
            prop_assert_eq!(time.to_string().parse::<TimeOfDay>(), Ok(time));
        }

        #[test]
        fn sp_10_no_text_makes_a_time_beyond_the_day(text in "\\PC{0,8}") {
            if let Ok(time) = text.parse::<TimeOfDay>() {
                prop_assert!(time.minutes() <= 1440);
                prop_assert_eq!(time.to_string(), text);
            }
        }
    }
}
