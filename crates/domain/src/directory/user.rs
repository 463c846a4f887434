//! Users.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::name::{LineName, ProfileName, RecordName, UserId};

/// How long a user may stay logged in by his own setting (SP-20).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserLoginTime {
    /// As the cluster's parameters say.
    #[default]
    Cluster,
    /// Without limit.
    Unlimited,
    /// At most this long.
    AtMost(Duration),
}

/// Somebody who logs in to phones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Who.
    pub user_id: UserId,
    /// As people write it.
    pub display_name: String,
    /// His profiles, in order (DP-5).
    pub profiles: Vec<ProfileName>,
    /// The one he gets when he names none (LI-3); one of `profiles`.
    pub default_profile: Option<ProfileName>,
    /// His own maximum login time (SP-20).
    pub maximum_login_time: UserLoginTime,
    /// Language he reads.
    pub user_locale: Option<String>,
    /// Whether he may log in at other clusters' phones.
    pub cross_cluster_enabled: bool,
    /// The id he uses in self-service.
    pub self_service_id: Option<String>,
    /// The line that is his first of all.
    pub primary_extension: Option<LineName>,
    /// The teams he is in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<RecordName>,
    /// The teams that he looks after, if he is a supervisor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supervised_teams: Vec<RecordName>,
}
