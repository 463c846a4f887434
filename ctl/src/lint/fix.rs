//! The changes that findings carry, made through the ordinary updates: one update for each resource, with the etag of
//! what was looked at, so that nothing is changed that is not as it was found.

use std::collections::{BTreeMap, BTreeSet};

use prost::{Message, Name};
use roamline_proto::profile::default_device_profile_service_client::DefaultDeviceProfileServiceClient;
use roamline_proto::profile::logout_profile_service_client::LogoutProfileServiceClient;
use roamline_proto::profile::phone_service_client::PhoneServiceClient;
use roamline_proto::profile::user_device_profile_service_client::UserDeviceProfileServiceClient;
use roamline_proto::profile::{
    FieldChange, GetDefaultDeviceProfileRequest, GetLogoutProfileRequest, GetPhoneRequest,
    GetUserDeviceProfileRequest, LintFinding, UpdateDefaultDeviceProfileRequest, UpdateLogoutProfileRequest,
    UpdatePhoneRequest, UpdateUserDeviceProfileRequest,
};
use serde_json::Value;

use crate::client::Client;
use crate::directory::ask;
use crate::exit::{Exit, Failure};
use crate::output::json;

/// Kind and name of a resource.
type Resource<'a> = (&'a str, &'a str);
/// The changes of each resource.
pub(super) type Changes<'a> = BTreeMap<Resource<'a>, Vec<&'a FieldChange>>;

/// The changes that the findings carry.
pub(super) fn changes(found: &[LintFinding]) -> Changes<'_> {
    let mut changes = Changes::new();
    for finding in found.iter().filter(|finding| !finding.fix.is_empty()) {
        changes.entry((&finding.kind, &finding.name)).or_default().extend(&finding.fix);
    }
    changes
}

/// What would change, as a diff.
pub(super) fn described(changes: &Changes<'_>) -> String {
    let mut text = String::new();
    for ((kind, name), changes) in changes {
        text.push_str(&format!("{kind} {name}\n"));
        for FieldChange { field, from, to } in changes {
            text.push_str(&format!("- {field}: {from}\n+ {field}: {to}\n"));
        }
    }
    text.trim_end().to_owned()
}

/// Makes the changes, resource by resource.
pub(super) async fn make(changes: &Changes<'_>, client: &Client) -> Result<(), Failure> {
    for (done, (resource, changes)) in changes.iter().enumerate() {
        let made = make_one(*resource, changes, client).await;
        let (kind, name) = resource;
        made.map_err(|failure| {
            failure.detail(format!("{done} resources were changed, {kind} {name} was not"))
        })?;
    }
    Ok(())
}

/// Reads, changes and writes one resource.
macro_rules! update {
    (
        $changes:expr, $client:expr, $service:ident, $field:ident,
        $get:ident: $get_request:expr, $update:ident: $update_request:ident
    ) => {{
        let stored = ask!($client, $service::$get, $get_request)?.$field.unwrap_or_default();
        let request = $update_request {
            $field: Some(changed(&stored, $changes)?),
            update_mask: Some(mask($changes)),
            validate_only: false,
        };
        ask!($client, $service::$update, request).map(|_| ())
    }};
}

async fn make_one(
    (kind, name): Resource<'_>,
    changes: &[&FieldChange],
    client: &Client,
) -> Result<(), Failure> {
    let name = name.to_owned();
    match kind {
        "user-device-profile" => {
            update!(changes, client, UserDeviceProfileServiceClient, user_device_profile,
            get_user_device_profile: GetUserDeviceProfileRequest { name },
            update_user_device_profile: UpdateUserDeviceProfileRequest)
        }
        "default-device-profile" => {
            update!(changes, client, DefaultDeviceProfileServiceClient, default_device_profile,
            get_default_device_profile: GetDefaultDeviceProfileRequest { model: name },
            update_default_device_profile: UpdateDefaultDeviceProfileRequest)
        }
        "logout-profile" => {
            let tag = name.parse().map_err(|_| Failure::other(format!("{name:?} is no tag")))?;
            update!(changes, client, LogoutProfileServiceClient, logout_profile,
                get_logout_profile: GetLogoutProfileRequest { tag },
                update_logout_profile: UpdateLogoutProfileRequest)
        }
        "phone" => update!(changes, client, PhoneServiceClient, phone,
            get_phone: GetPhoneRequest { name },
            update_phone: UpdatePhoneRequest),
        other => Err(Failure::other(format!("a {other} cannot be mended here"))),
    }
}

/// The record with the changes made.
fn changed<M: Message + Name + Default>(stored: &M, changes: &[&FieldChange]) -> Result<M, Failure> {
    let mut record = json(stored)?;
    for FieldChange { field, from, to } in changes {
        let value = record.pointer_mut(&pointer(field));
        let value = value.filter(|value| value.to_string() == *from).ok_or_else(|| {
            Failure::new(Exit::Conflict, format!("{field} is not {from} any more"))
                .hint("lint again and look at what has changed")
        })?;
        *value = serde_json::from_str::<Value>(to).map_err(|error| Failure::other(error.to_string()))?;
    }
    roamline_proto::json::from_str(&record.to_string()).map_err(|error| Failure::other(error.to_string()))
}

/// The fields to update: a mask goes into messages and not into lists.
fn mask(changes: &[&FieldChange]) -> prost_types::FieldMask {
    let paths: BTreeSet<&str> =
        changes.iter().map(|change| change.field.split('[').next().unwrap_or_default()).collect();
    prost_types::FieldMask { paths: paths.into_iter().map(str::to_owned).collect() }
}

/// `settings.lines[2].max_calls` as a pointer into proto JSON: `/settings/lines/2/maxCalls`.
fn pointer(field: &str) -> String {
    let mut pointer = String::from("/");
    let mut upper = false;
    for c in field.chars() {
        match c {
            '.' | '[' => pointer.push('/'),
            ']' => {}
            '_' => upper = true,
            c if upper => {
                pointer.push(c.to_ascii_uppercase());
                upper = false;
            }
            c => pointer.push(c),
        }
    }
    pointer
}

#[cfg(test)]
mod tests {
    use roamline_proto::profile::{DeviceSettings, ProfileLine, UserDeviceProfile};

    use super::*;

    fn change(field: &str, from: &str, to: &str) -> FieldChange {
        FieldChange { field: field.into(), from: from.into(), to: to.into() }
    }

    fn profile(max_calls: u32, privacy_button: bool) -> UserDeviceProfile {
        let line = |max_calls| ProfileLine { max_calls, ..ProfileLine::default() };
        let settings = DeviceSettings {
            lines: vec![line(1), line(max_calls)],
            privacy_button,
            ..DeviceSettings::default()
        };
        UserDeviceProfile {
            name: "p".into(),
            settings: Some(settings),
            etag: "v7".into(),
            ..Default::default()
        }
    }

    #[test]
    fn changes_are_made_where_they_say_and_nowhere_else() {
        let changes = [
            change("settings.lines[1].max_calls", "4", "2"),
            change("settings.privacy_button", "true", "false"),
        ];
        let changes: Vec<&FieldChange> = changes.iter().collect();
        assert_eq!(changed(&profile(4, true), &changes).unwrap(), profile(2, false));
        assert_eq!(mask(&changes).paths, ["settings.lines", "settings.privacy_button"]);
    }

    #[test]
    fn what_is_not_as_it_was_found_is_left_alone() {
        for field in ["settings.lines[1].max_calls", "settings.lines[9].max_calls", "nonsense"] {
            let refused = changed(&profile(3, false), &[&change(field, "4", "2")]).unwrap_err();
            assert_eq!(refused.exit, Exit::Conflict);
        }
    }

    #[test]
    fn the_changes_of_a_resource_are_one_update_and_read_as_a_diff() {
        let finding = |name: &str, fix: Vec<FieldChange>| LintFinding {
            kind: "phone".into(),
            name: name.into(),
            fix,
            ..LintFinding::default()
        };
        let found = [
            finding("a", vec![change("x", "1", "2")]),
            finding("b", Vec::new()),
            finding("a", vec![change("y", "true", "false")]),
        ];
        let changes = changes(&found);
        assert_eq!(changes.len(), 1);
        assert_eq!(described(&changes), "phone a\n- x: 1\n+ x: 2\n- y: true\n+ y: false");
    }
}
