//! Service parameters. What is absent on the wire is at its default (SP-1 to SP-13); what goes out has every field.

use std::time::Duration;

use roamline_domain::Violations;
use roamline_domain::parameters::ServiceParameters;
use roamline_proto::profile as wire;

use super::enums::{Twin, value};
use super::{duration, given, wire_duration};

/// Reads service parameters.
///
/// # Errors
/// All that is wrong with them.
pub(crate) fn parse_service_parameters(
    from: &wire::ServiceParameters,
) -> Result<ServiceParameters, Violations> {
    let mut found = Violations::new();
    let defaults = ServiceParameters::default();
    let mut time = |field: &str, given: Option<prost_types::Duration>, default: Duration| {
        given.and_then(|given| duration(&mut found, field, given)).unwrap_or(default)
    };
    let maximum_login_time = time("maximum_login_time", from.maximum_login_time, defaults.maximum_login_time);
    let inter_cluster_maximum_login_time = time(
        "inter_cluster_maximum_login_time",
        from.inter_cluster_maximum_login_time,
        defaults.inter_cluster_maximum_login_time,
    );
    let times = from.daily_logout_times.iter().enumerate();
    let daily_logout_times = times
        .filter_map(|(index, time)| found.take(format!("daily_logout_times[{index}]"), time.parse()))
        .collect();
    let parameters = ServiceParameters {
        enforce_maximum_login_time: from
            .enforce_maximum_login_time
            .unwrap_or(defaults.enforce_maximum_login_time),
        maximum_login_time,
        inter_cluster_maximum_login_time,
        maximum_concurrent_requests: from
            .maximum_concurrent_requests
            .unwrap_or(defaults.maximum_concurrent_requests),
        multiple_login: value(&mut found, "multiple_login_behavior", from.multiple_login_behavior)
            .unwrap_or_default(),
        alphanumeric_user_id: from.alphanumeric_user_id.unwrap_or(defaults.alphanumeric_user_id),
        remember_last_user: from.remember_last_user.unwrap_or(defaults.remember_last_user),
        clear_call_logs: value(&mut found, "clear_call_logs", from.clear_call_logs).unwrap_or_default(),
        daily_logout_times,
        occupied_phone: value(&mut found, "occupied_phone_behavior", from.occupied_phone_behavior)
            .unwrap_or_default(),
        contact_centre_policy: value(&mut found, "contact_centre_policy", from.contact_centre_policy)
            .unwrap_or_default(),
        time_zone: given(&from.time_zone).unwrap_or(defaults.time_zone),
        default_user_locale: given(&from.default_user_locale).unwrap_or(defaults.default_user_locale),
    };
    found.none_or(parameters)
}

/// Service parameters on the wire.
pub(crate) fn service_parameters(from: &ServiceParameters, etag: String) -> wire::ServiceParameters {
    wire::ServiceParameters {
        enforce_maximum_login_time: Some(from.enforce_maximum_login_time),
        maximum_login_time: Some(wire_duration(from.maximum_login_time)),
        inter_cluster_maximum_login_time: Some(wire_duration(from.inter_cluster_maximum_login_time)),
        maximum_concurrent_requests: Some(from.maximum_concurrent_requests),
        multiple_login_behavior: from.multiple_login.number(),
        alphanumeric_user_id: Some(from.alphanumeric_user_id),
        remember_last_user: Some(from.remember_last_user),
        clear_call_logs: from.clear_call_logs.number(),
        daily_logout_times: from.daily_logout_times.iter().map(ToString::to_string).collect(),
        occupied_phone_behavior: from.occupied_phone.number(),
        contact_centre_policy: from.contact_centre_policy.number(),
        time_zone: from.time_zone.clone(),
        default_user_locale: from.default_user_locale.clone(),
        etag,
    }
}
