//! The cluster-wide settings of extension mobility, by the names administrators know (SP-1 to SP-14).

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::credential::CredentialPolicy;
use crate::directory::UserLoginTime;
use crate::violation::Violations;

/// The longest login time that can be set: 168:00.
pub const LONGEST_LOGIN: Duration = Duration::from_secs(168 * 3600);
const MINUTE: Duration = Duration::from_secs(60);
/// The most entries of the trusted list (SP-9).
const MOST_TRUSTED_SOURCES: usize = 200;
/// The most ranges of a site (SP-12).
const MOST_LOCAL_SUBNETS: usize = 50;
/// The most phones that can be allowed (DP-8).
const MOST_PHONES: u32 = 1_000_000;
/// The longest text, in characters.
const LONGEST_TEXT: usize = 50;

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

/// What is done about a logout of an agent who is at work, by whoever asks for it (CC-9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentStateGuard {
    /// It happens.
    #[default]
    Allow,
    /// It happens, and is reported.
    Warn,
    /// It is refused, unless somebody with the right to forces it.
    Block,
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

/// Why a login from somewhere is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceRefused {
    /// By way of a proxy.
    #[error("the request came through a proxy, and proxies are not allowed (SP-9)")]
    Proxied,
    /// From an address that is not in the trusted list.
    #[error("the request came from an address that is not trusted (SP-9)")]
    NotTrusted,
    /// From an address that is in none of the site's ranges.
    #[error("the request came from an address that is not of this site (SP-12)")]
    NotOfThisSite,
}

/// Neither an address nor a range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no IP address and no CIDR range, such as 192.0.2.0/24")]
pub struct InvalidRange(String);

/// Reads an address or a CIDR range. An address alone is the range of itself; bits beyond the length of a range are
/// cleared; a range of IPv4-mapped IPv6 addresses is the IPv4 range.
///
/// # Errors
/// [`InvalidRange`] when it is neither.
pub fn address_range(text: &str) -> Result<IpNet, InvalidRange> {
    let range = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let range = range.map_err(|_| InvalidRange(text.chars().take(80).collect()))?.trunc();
    let mapped = match range {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => v6
            .addr()
            .to_ipv4_mapped()
            .and_then(|address| IpNet::new(address.into(), v6.prefix_len() - 96).ok()),
        _ => None,
    };
    Ok(mapped.unwrap_or(range))
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
    /// What is done about a logout of an agent who is at work (CC-9).
    pub agent_state_guard: AgentStateGuard,
    /// The cluster's time zone, by its IANA name.
    pub time_zone: String,
    /// User locale where neither profile nor phone gives one (LI-14).
    pub default_user_locale: String,
    /// User hold audio source where neither profile nor device pool gives one (LI-14).
    pub default_user_hold_audio_source: Option<String>,
    /// Softkey template where neither profile nor device pool gives one (LI-14).
    pub default_softkey_template: Option<String>,
    /// Validate IP Address: logins are taken from trusted sources only (SP-9).
    pub validate_ip_address: bool,
    /// Trusted List of IPs: addresses and ranges (SP-9).
    pub trusted_sources: Vec<IpNet>,
    /// Allow Proxy: whether a request that came through a proxy is taken while sources are validated (SP-9).
    pub allow_proxy: bool,
    /// Synchronization between auto device profile and phone configuration (SP-11, DP-6).
    pub synchronize_autogenerated: bool,
    /// Same-subnet logins only: logins are taken from `local_subnets` only (SP-12).
    pub same_subnet_only: bool,
    /// The ranges of this site (SP-12).
    pub local_subnets: Vec<IpNet>,
    /// Phones allowed: the greatest tag of a shared logout profile (DP-8).
    pub maximum_phones: u32,
    /// What a credential must be, and when it is locked (SP-14).
    pub credential_policy: CredentialPolicy,
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
            agent_state_guard: AgentStateGuard::default(),
            time_zone: "UTC".into(),
            default_user_locale: "en-US".into(),
            default_user_hold_audio_source: None,
            default_softkey_template: None,
            validate_ip_address: false,
            trusted_sources: Vec::new(),
            allow_proxy: false,
            synchronize_autogenerated: true,
            same_subnet_only: false,
            local_subnets: Vec::new(),
            maximum_phones: 100_000,
            credential_policy: CredentialPolicy::default(),
        }
    }
}

impl ServiceParameters {
    /// Everything that is out of its range.
    pub fn check(&self) -> Violations {
        let mut found = Violations::new();
        self.check_login_times(&mut found);
        if self.maximum_concurrent_requests > 100 {
            found.add(
                "maximum_concurrent_requests",
                "SP-4",
                "must be 1 to 100, or 0 for sized to the machine",
            );
        }
        self.check_sources(&mut found);
        if !(1..=MOST_PHONES).contains(&self.maximum_phones) {
            found.add("maximum_phones", "DP-8", format!("must be 1 to {MOST_PHONES}"));
        }
        for (field, text) in [
            ("default_user_hold_audio_source", &self.default_user_hold_audio_source),
            ("default_softkey_template", &self.default_softkey_template),
        ] {
            let length = text.as_ref().map_or(0, |text| text.chars().count());
            if length > LONGEST_TEXT {
                found.add(field, "LI-14", format!("has {length} characters, more than {LONGEST_TEXT}"));
            }
        }
        found.extend_under("credential_policy", self.credential_policy.check());
        found
    }

    fn check_login_times(&self, found: &mut Violations) {
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
        if self.daily_logout_times.len() > 3 {
            found.add("daily_logout_times", "SP-10", "must be at most three");
        }
        if TimeZone::get(&self.time_zone).is_err() {
            let shown: String = self.time_zone.chars().take(80).collect();
            found.add("time_zone", "LO-7", format!("{shown:?} is no time zone of the IANA database"));
        }
    }

    fn check_sources(&self, found: &mut Violations) {
        check_ranges("trusted_sources", "SP-9", &self.trusted_sources, MOST_TRUSTED_SOURCES, found);
        check_ranges("local_subnets", "SP-12", &self.local_subnets, MOST_LOCAL_SUBNETS, found);
        if self.same_subnet_only && self.local_subnets.is_empty() {
            found.add("local_subnets", "SP-12", "must not be empty while `same_subnet_only` is on");
        }
    }

    /// Why a login from `source` is not taken, if it is not: by way of a proxy where none is allowed, from an address
    /// that is not trusted (SP-9), or that is not of this site (SP-12). `source` is the peer that speaks to the
    /// server, the proxy's own where there is one; an IPv4-mapped IPv6 address counts as IPv4. One that is not known
    /// is nowhere.
    ///
    /// # Errors
    /// The first of them, in that order.
    pub fn admit_source(&self, source: Option<IpAddr>, proxied: bool) -> Result<(), SourceRefused> {
        let source = source.map(|address| address.to_canonical());
        let within =
            |ranges: &[IpNet]| source.is_some_and(|address| ranges.iter().any(|r| r.contains(&address)));
        if self.validate_ip_address && proxied && !self.allow_proxy {
            return Err(SourceRefused::Proxied);
        }
        if self.validate_ip_address && !within(&self.trusted_sources) {
            return Err(SourceRefused::NotTrusted);
        }
        if self.same_subnet_only && !within(&self.local_subnets) {
            return Err(SourceRefused::NotOfThisSite);
        }
        Ok(())
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

fn check_ranges(field: &str, rule: &'static str, ranges: &[IpNet], most: usize, found: &mut Violations) {
    if ranges.len() > most {
        return found.add(field, rule, format!("has {} entries, more than {most}", ranges.len()));
    }
    let mut seen = HashSet::new();
    for (index, range) in ranges.iter().enumerate() {
        if !seen.insert(range) {
            found.add(format!("{field}[{index}]"), rule, format!("names {range} again"));
        }
    }
}

#[cfg(test)]
#[path = "parameters_tests.rs"]
mod tests;
