//! Users.

use prost_types::Duration as WireDuration;
use roamline_domain::directory::{User, UserLoginTime};
use roamline_domain::{RecordName, Violations};
use roamline_proto::profile as wire;

use super::{duration, given, optional, wire_duration};

/// Reads a user.
///
/// # Errors
/// All that is wrong with it.
pub(crate) fn parse_user(from: &wire::User) -> Result<User, Violations> {
    let mut found = Violations::new();
    let user_id = found.take("user_id", from.user_id.parse());
    let names = from.profiles.iter().enumerate();
    let profiles =
        names.filter_map(|(index, name)| found.take(format!("profiles[{index}]"), name.parse())).collect();
    let default_profile = optional(&mut found, "default_profile", &from.default_profile);
    let maximum_login_time = match from.maximum_login_time {
        None => UserLoginTime::Cluster,
        Some(time) => match duration(&mut found, "maximum_login_time", time) {
            Some(time) if !time.is_zero() => UserLoginTime::AtMost(time),
            _ => UserLoginTime::Unlimited,
        },
    };
    let primary_extension = optional(&mut found, "primary_extension", &from.primary_extension);
    let teams = teams_of(&mut found, "teams", &from.teams);
    let supervised_teams = teams_of(&mut found, "supervised_teams", &from.supervised_teams);
    match user_id {
        Some(user_id) => found.none_or(User {
            user_id,
            display_name: from.display_name.clone(),
            profiles,
            default_profile,
            maximum_login_time,
            user_locale: given(&from.user_locale),
            cross_cluster_enabled: from.cross_cluster_enabled,
            self_service_id: given(&from.self_service_id),
            primary_extension,
            teams,
            supervised_teams,
        }),
        None => Err(found),
    }
}

fn teams_of(found: &mut Violations, field: &str, names: &[String]) -> Vec<RecordName> {
    let names = names.iter().enumerate();
    names.filter_map(|(index, name)| found.take(format!("{field}[{index}]"), name.parse())).collect()
}

/// A user on the wire.
pub(crate) fn user(from: &User, etag: String) -> wire::User {
    wire::User {
        user_id: from.user_id.to_string(),
        display_name: from.display_name.clone(),
        profiles: from.profiles.iter().map(ToString::to_string).collect(),
        default_profile: from.default_profile.as_ref().map(ToString::to_string).unwrap_or_default(),
        maximum_login_time: maximum_login_time(from.maximum_login_time),
        user_locale: from.user_locale.clone().unwrap_or_default(),
        cross_cluster_enabled: from.cross_cluster_enabled,
        self_service_id: from.self_service_id.clone().unwrap_or_default(),
        primary_extension: from.primary_extension.as_ref().map(ToString::to_string).unwrap_or_default(),
        teams: from.teams.iter().map(ToString::to_string).collect(),
        supervised_teams: from.supervised_teams.iter().map(ToString::to_string).collect(),
        etag,
    }
}

/// A user's own maximum on the wire: zero is no limit, absent is the cluster's.
pub(crate) fn maximum_login_time(time: UserLoginTime) -> Option<WireDuration> {
    match time {
        UserLoginTime::Cluster => None,
        UserLoginTime::Unlimited => Some(WireDuration::default()),
        UserLoginTime::AtMost(time) => Some(wire_duration(time)),
    }
}
