//! Device pools.

use serde::{Deserialize, Serialize};

use crate::name::RecordName;

/// What phones that stand together have in common (DP-22).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DevicePool {
    /// Which.
    pub name: RecordName,
    /// For people.
    pub description: String,
    /// Language, as a BCP 47 tag.
    pub user_locale: Option<String>,
    /// What held callers hear.
    pub user_hold_audio_source: Option<String>,
    /// Softkey template.
    pub softkey_template: Option<String>,
    /// How phones show date and time.
    pub date_time_group: Option<String>,
    /// Which codecs calls may use.
    pub region: Option<String>,
    /// Where the phones stand.
    pub geolocation: Option<String>,
    /// Numbers that can be called whatever a phone wears (DP-8).
    pub emergency_numbers: Vec<String>,
}
