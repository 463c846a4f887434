//! Profiles: what users bring, what models fall back to, what phones share.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::name::{LineName, LogoutTag, ModelName, PrincipalName, ProfileName, UserId};
use crate::settings::{DeviceSettings, Protocol};

/// How the peripheral gateway controls an agent's lines (CC-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineControl {
    /// Every line: maximum calls 2, busy trigger 1 (CC-2).
    MultiLine,
    /// Every secondary line: maximum calls 4, busy trigger 2 (CC-3).
    SingleLine,
}

/// What makes a profile an agent's (CC-1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentSettings {
    /// How his lines are controlled.
    pub line_control: LineControl,
    /// His primary ACD line, one of the profile's lines.
    pub acd_line: LineName,
}

/// The model and protocol a profile is made for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeFor {
    /// The model.
    pub model: ModelName,
    /// The protocol.
    pub protocol: Protocol,
}

/// Everything a user brings to a phone (DP-2). Its speed dials, busy lamps and subscriptions are part of it and go with
/// it; lines and services are not (DP-9).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserDeviceProfile {
    /// Which.
    pub name: ProfileName,
    /// For people.
    pub description: String,
    /// What it is made for; `None` for every model, as router-based profiles are (LL-5).
    pub made_for: Option<MadeFor>,
    /// What it brings.
    pub settings: DeviceSettings,
    /// Present when it is an agent's (CC-1).
    pub agent: Option<AgentSettings>,
    /// Logs this user in by itself when the profile is a phone's logout profile.
    pub login_user_id: Option<UserId>,
    /// Calling search space in a cross-cluster login.
    pub cross_cluster_calling_search_space: Option<String>,
    /// The applications that are associated with it: they follow the sessions in which it is worn (EV-4).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<PrincipalName>,
}

/// What a user's profile for another model leaves to the phone's model (LI-5, DP-7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultDeviceProfile {
    /// The model; at most one of these per model.
    pub model: ModelName,
    /// For people.
    pub description: String,
    /// What it gives.
    pub settings: DeviceSettings,
}

/// What many phones may wear with nobody logged in (DP-8).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogoutProfile {
    /// Which.
    pub tag: LogoutTag,
    /// For people.
    pub description: String,
    /// What phones wear.
    pub settings: DeviceSettings,
}

/// The tags that shared logout profiles may have where so many phones are allowed (DP-8).
pub fn logout_profile_tags(phones: u32) -> RangeInclusive<u32> {
    1..=phones
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dp_8_tags_of_logout_profiles_end_with_the_phones_allowed() {
        assert_eq!(logout_profile_tags(42), 1..=42);
    }
}
