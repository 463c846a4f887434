//! Resources as an export writes them: only what differs from the default, fields in the order of the contract, nothing
//! that only the server writes and nothing secret.

use prost_reflect::{FieldDescriptor, Kind as FieldKind, MessageDescriptor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

use super::kinds::Kind;
use super::typed::is_output;
use crate::exit::Failure;

/// What a server takes an absent value as, by the contract's comments.
const TAKEN_AS: [&str; 9] = [
    "ADDRESSING_MODE_IPV4_AND_IPV6",
    "DO_NOT_DISTURB_OPTION_RINGER_OFF",
    "LINE_CAPACITY_DUAL",
    "LINE_KIND_NORMAL",
    "MLPP_INDICATION_DEFAULT",
    "MLPP_PREEMPTION_DEFAULT",
    "OFF_HOOK_POLICY_WAIT",
    "OWNER_POLICY_OPEN",
    "PRIVACY_DEFAULT",
];
/// The same for the numbers of an entry without a template; with one, a number says that the template's is not meant.
const TAKEN_AS_NUMBER: [(&str, u64); 2] = [("maxCalls", 2), ("busyTrigger", 1)];
/// Such an entry.
const ENTRY: &str = "ProfileLine";
/// A message that says something even with nothing in it.
const MEANS_SOMETHING: &str = "AgentSettings";
/// Goes in and never comes out (DP-14).
const PIN: &str = "callBlockingPin";
/// Stands for it.
const GIVEN: &str = "(given)";

/// The resource without defaults. Of service parameters all are kept: an absent one is no default there, but left alone.
pub(super) fn plain(kind: Kind, value: &Value) -> Result<Value, Failure> {
    if kind == Kind::ServiceParameters {
        let (mut value, message) = (value.clone(), kind.message()?);
        if let Value::Object(fields) = &mut value {
            fields.retain(|name, _| !is_output(&message, name));
        }
        return Ok(value);
    }
    Ok(simplified(&kind.message()?, value))
}

fn simplified(message: &MessageDescriptor, value: &Value) -> Value {
    let Value::Object(fields) = value else { return value.clone() };
    let bare = message.name() == ENTRY && fields.get("template").is_none_or(|name| name == "");
    let mut kept = Map::new();
    for (name, value) in fields {
        if bare && TAKEN_AS_NUMBER.iter().any(|(number, taken)| number == name && value == taken) {
            continue;
        }
        let Some(field) = message.get_field_by_json_name(name) else { continue };
        if is_output(message, name) || (name == PIN && is_default(&field, value)) {
            continue;
        }
        let value = match (inner(&field), value) {
            _ if name == PIN => Value::from(GIVEN),
            (Some(inner), Value::Array(items)) => items.iter().map(|item| simplified(&inner, item)).collect(),
            (Some(inner), value) => simplified(&inner, value),
            (None, value) => value.clone(),
        };
        if !is_default(&field, &value) {
            kept.insert(name.clone(), value);
        }
    }
    Value::Object(kept)
}

/// The message that a field holds, if it is one of the contract's.
fn inner(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    match field.kind() {
        FieldKind::Message(message) if !field.is_map() && message.package_name().starts_with("roamline") => {
            Some(message)
        }
        _ => None,
    }
}

fn is_default(field: &FieldDescriptor, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_u64() == Some(0),
        Value::String(text) => match field.kind() {
            FieldKind::Enum(_) => text.ends_with("_UNSPECIFIED") || TAKEN_AS.contains(&text.as_str()),
            _ => text.is_empty(),
        },
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => {
            fields.is_empty() && inner(field).is_none_or(|message| message.name() != MEANS_SOMETHING)
        }
    }
}

/// A document of YAML: `kind` first, then the fields in the order of the contract.
pub(super) fn yaml(kind: Kind, value: &Value) -> Result<String, Failure> {
    let document = Ordered { kind: Some(kind), message: Some(kind.message()?), value };
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    serde_saphyr::to_string_with_options(&document, options)
        .map_err(|error| Failure::other(format!("{kind} cannot be written as YAML: {error}")))
}

/// A value whose fields come in the order of its message; those of a map in the order of their names.
struct Ordered<'a> {
    kind: Option<Kind>,
    message: Option<MessageDescriptor>,
    value: &'a Value,
}

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.value {
            Value::Object(fields) => {
                let mut map = serializer.serialize_map(None)?;
                if let Some(kind) = self.kind {
                    map.serialize_entry("kind", kind.name())?;
                }
                for (name, message) in self.order(fields) {
                    if let Some(value) = fields.get(&name) {
                        map.serialize_entry(&name, &Ordered { kind: None, message, value })?;
                    }
                }
                map.end()
            }
            Value::Array(items) => serializer.collect_seq(items.iter().map(|value| Ordered {
                kind: None,
                message: self.message.clone(),
                value,
            })),
            value => value.serialize(serializer),
        }
    }
}

impl Ordered<'_> {
    fn order(&self, fields: &Map<String, Value>) -> Vec<(String, Option<MessageDescriptor>)> {
        if let Some(message) = &self.message {
            return message.fields().map(|field| (field.json_name().to_owned(), inner(&field))).collect();
        }
        let mut names: Vec<_> = fields.keys().map(|name| (name.clone(), None)).collect();
        names.sort_by(|(a, _), (b, _)| a.cmp(b));
        names
    }
}

#[cfg(test)]
mod tests {
    use roamline_proto::profile::{
        AgentSettings, DeviceSettings, DoNotDisturb, LineCapacity, Mlpp, Privacy, ProfileLine,
        ServiceSubscription, UserDeviceProfile,
    };
    use serde_json::json;

    use super::*;
    use crate::output;

    #[test]
    fn only_what_differs_from_the_default_is_written_in_the_order_of_the_contract() {
        let parameters = [("b", "2"), ("a", "1")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let service = ServiceSubscription {
            name: "s".into(),
            url: "http://s".into(),
            parameters,
            ..Default::default()
        };
        let line = ProfileLine {
            lines: vec!["2001".into()],
            max_calls: 2,
            busy_trigger: 1,
            kind: 1,
            ..Default::default()
        };
        let settings = DeviceSettings {
            user_locale: "no".into(),
            privacy: Privacy::Default.into(),
            mlpp: Some(Mlpp { indication: 1, preemption: 1, ..Default::default() }),
            do_not_disturb: Some(DoNotDisturb { option: 1, on: false }),
            lines: vec![line],
            services: vec![service],
            call_blocking_pin_set: true,
            idle_limit: Some(prost_types::Duration { seconds: 600, nanos: 0 }),
            ..Default::default()
        };
        let profile = UserDeviceProfile {
            name: "0012".into(),
            settings: Some(settings),
            agent: Some(AgentSettings::default()),
            etag: "v1".into(),
            ..Default::default()
        };
        let plain = plain(Kind::UserDeviceProfile, &output::json(&profile).unwrap()).unwrap();
        let text = yaml(Kind::UserDeviceProfile, &plain).unwrap();
        insta::assert_snapshot!(text);
    }

    #[test]
    fn dp_14_a_pin_is_shown_as_given_and_no_more() {
        let plain =
            plain(Kind::Phone, &json!({"name": "p", "settings": {"callBlockingPin": "4711"}})).unwrap();
        assert_eq!(plain["settings"]["callBlockingPin"], GIVEN);
    }

    #[test]
    fn dp_21_a_limit_beside_a_template_is_no_default() {
        let entry =
            |template: &str| json!({"lines": ["1"], "maxCalls": 2, "busyTrigger": 1, "template": template});
        let profile = json!({"name": "p", "settings": {"lines": [entry("t"), entry("")]}});
        let plain = plain(Kind::UserDeviceProfile, &profile).unwrap();
        assert_eq!(plain["settings"]["lines"], json!([entry("t"), {"lines": ["1"]}]));
    }

    #[test]
    fn what_only_the_server_writes_is_left_out() {
        let profile = json!({"name": "p", "ownerUserId": "agent7", "etag": "v1"});
        assert_eq!(plain(Kind::UserDeviceProfile, &profile).unwrap(), json!({"name": "p"}));
        let phone = json!({"name": "p", "ownerUserId": "agent7", "autogeneratedProfile": {"outdated": true}});
        let expected = json!({"name": "p", "ownerUserId": "agent7"});
        assert_eq!(plain(Kind::Phone, &phone).unwrap(), expected);
    }

    #[test]
    fn service_parameters_are_written_whole() {
        let value = json!({"rememberLastUser": false, "dailyLogoutTimes": [], "etag": "v1"});
        assert_eq!(
            plain(Kind::ServiceParameters, &value).unwrap(),
            json!({"rememberLastUser": false, "dailyLogoutTimes": []})
        );
    }

    #[test]
    fn what_is_taken_as_the_default_is_of_the_contract() {
        let pool = &roamline_proto::contract::POOL;
        let known: Vec<String> = pool
            .all_enums()
            .flat_map(|list| list.values().map(|v| v.name().to_owned()).collect::<Vec<_>>())
            .collect();
        assert!(TAKEN_AS.iter().all(|name| known.iter().any(|known| known == name)));
        assert_eq!(LineCapacity::Dual.as_str_name(), "LINE_CAPACITY_DUAL");
    }
}
