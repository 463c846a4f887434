//! `parameters`: the cluster-wide settings, by the names of their fields.

use std::collections::BTreeMap;

use clap::Subcommand;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use roamline_proto::contract::POOL;
use roamline_proto::profile::service_parameters_service_client::ServiceParametersServiceClient;
use roamline_proto::profile::{
    CredentialPolicy, GetServiceParametersRequest, ServiceParameters, UpdateServiceParametersRequest,
};
use serde_json::{Map, Value};

use crate::client::Client;
use crate::directory::ask;
use crate::exit::Failure;
use crate::output::{Out, json};
use crate::{tables, words};

/// Commands about service parameters.
#[derive(Debug, Subcommand)]
pub(crate) enum Parameters {
    /// All of them
    Get,
    /// Change some: maximum_login_time=8h multiple_login_behavior=auto-logout daily_logout_times=19:00,24:00
    /// trusted_sources=192.0.2.7,10.0.0.0/8 credential_policy.minimum_length=6
    Set {
        /// Parameter and value; an empty value puts the default back
        #[arg(required = true, value_name = "KEY=VALUE")]
        changes: Vec<String>,
    },
}

pub(crate) async fn run(command: Parameters, client: &Client, out: &mut Out) -> Result<(), Failure> {
    match command {
        Parameters::Get => {
            let request = GetServiceParametersRequest {};
            let answer = ask!(client, ServiceParametersServiceClient::get_service_parameters, request)?;
            out.message(&answer, |answer| shown(answer.service_parameters.as_ref()))
        }
        Parameters::Set { changes } => {
            let (parameters, paths) = read(&changes).map_err(Failure::usage)?;
            let request = UpdateServiceParametersRequest {
                service_parameters: Some(parameters),
                update_mask: Some(prost_types::FieldMask { paths }),
                validate_only: false,
            };
            let answer = ask!(client, ServiceParametersServiceClient::update_service_parameters, request)?;
            out.message(&answer, |answer| shown(answer.service_parameters.as_ref()))
        }
    }
}

/// Every field of a set of parameters, as people read it.
pub(crate) fn shown<M: prost::Message + prost::Name>(parameters: Option<&M>) -> String {
    let Some(Ok(mut fields)) = parameters.map(json) else { return String::new() };
    readable("", &mut fields);
    tables::details(&fields)
}

/// The fields of a credential policy that it says something of, readable, by their names.
pub(crate) fn policy_fields(policy: Option<&CredentialPolicy>) -> BTreeMap<String, String> {
    let Some(Ok(mut fields)) = policy.map(json) else { return BTreeMap::new() };
    readable("", &mut fields);
    let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match fields {
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, text(value))).collect(),
        _ => BTreeMap::new(),
    }
}

/// Every parameter is shown, those that are off too, and lengths of time as people write them.
fn readable(name: &str, value: &mut Value) {
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| readable(name, value)),
        Value::Bool(_) | Value::Null => *value = Value::String(value.to_string()),
        Value::String(text) if is_time(name) => {
            if let Some(seconds) = text.strip_suffix('s').and_then(|seconds| seconds.parse().ok()) {
                *value = Value::String(words::duration(seconds));
            }
        }
        _ => {}
    }
}

fn is_time(name: &str) -> bool {
    ["LoginTime", "After", "Duration", "Interval"].iter().any(|end| name.ends_with(end))
}

/// The new values and which fields they are.
pub(crate) fn read(changes: &[String]) -> Result<(ServiceParameters, Vec<String>), String> {
    let message = POOL
        .get_message_by_name("roamline.profile.v1.ServiceParameters")
        .ok_or("the contract has no service parameters")?;
    read_fields(&message, changes)
}

/// Values of a message's fields from `KEY=VALUE`, and which fields they are. A key goes into messages with dots, not into
/// lists; an empty value leaves its field out.
///
/// # Errors
/// What is no field, or no value of one, and what there is.
pub(crate) fn read_fields<M: prost::Message + prost::Name + Default>(
    message: &MessageDescriptor,
    changes: &[String],
) -> Result<(M, Vec<String>), String> {
    let mut fields = Map::new();
    let mut paths = Vec::new();
    for change in changes {
        let (key, value) = change.split_once('=').ok_or_else(|| format!("{change:?} is not KEY=VALUE"))?;
        let path = path(message, key).ok_or_else(|| {
            format!("there is no parameter {key:?}; there are {}", known(message).join(", "))
        })?;
        if !value.is_empty() {
            set(&mut fields, &path, value)?;
        }
        paths.push(path.iter().map(FieldDescriptor::name).collect::<Vec<_>>().join("."));
    }
    let text = Value::Object(fields).to_string();
    let parameters = roamline_proto::json::from_str(&text).map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        format!("a value does not fit its parameter: {cause}")
    })?;
    Ok((parameters, paths))
}

/// The fields that a key goes through, with a dot between them: `credential_policy.history`.
fn path(message: &MessageDescriptor, key: &str) -> Option<Vec<FieldDescriptor>> {
    let (head, tail) = key.split_once('.').map_or((key, None), |(head, tail)| (head, Some(tail)));
    let field = message.get_field_by_name(head).or_else(|| message.get_field_by_json_name(head));
    let field = field.filter(|field| field.name() != "etag")?;
    match (parts(&field), tail) {
        (Some(parts), Some(tail)) => {
            let mut path = vec![field];
            path.extend(self::path(&parts, tail)?);
            Some(path)
        }
        (None, None) => Some(vec![field]),
        _ => None,
    }
}

/// The message that a field is, where its parts are parameters of their own; a length of time is one value.
fn parts(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    let kind = field.kind();
    kind.as_message().filter(|message| message.full_name().starts_with("roamline.")).cloned()
}

/// Every parameter by its name.
fn known(message: &MessageDescriptor) -> Vec<String> {
    let names = message.fields().filter(|field| field.name() != "etag").flat_map(|field| {
        let name = field.name().to_owned();
        match parts(&field) {
            Some(parts) => known(&parts).into_iter().map(|part| format!("{name}.{part}")).collect(),
            None => vec![name],
        }
    });
    names.collect()
}

/// Puts a value where its path leads.
fn set(fields: &mut Map<String, Value>, path: &[FieldDescriptor], text: &str) -> Result<(), String> {
    match path {
        [] => {}
        [field] => {
            fields.insert(field.name().to_owned(), json_value(field, text)?);
        }
        [field, rest @ ..] => {
            let part = fields.entry(field.name()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(part) = part {
                set(part, rest, text)?;
            }
        }
    }
    Ok(())
}

/// A value as proto JSON wants it.
fn json_value(field: &FieldDescriptor, text: &str) -> Result<Value, String> {
    let name = field.name();
    if field.is_list() {
        return Ok(text.split(',').map(|item| Value::String(item.trim().to_owned())).collect());
    }
    Ok(match field.kind() {
        Kind::Bool => {
            Value::Bool(text.parse().map_err(|_| format!("{name} is true or false, not {text:?}"))?)
        }
        Kind::Uint32 => {
            let number: u32 = text.parse().map_err(|_| format!("{name} is a number, not {text:?}"))?;
            Value::from(number)
        }
        Kind::Enum(kind) => {
            let prefix = kind.get_value(0).map(|zero| zero.name().trim_end_matches("UNSPECIFIED").to_owned());
            let prefix = prefix.unwrap_or_default();
            let wanted = text.to_ascii_uppercase().replace('-', "_");
            let wanted = format!("{prefix}{}", wanted.strip_prefix(&prefix).unwrap_or(&wanted));
            let found = kind.values().find(|value| value.name() == wanted && value.number() != 0);
            let value = found.ok_or_else(|| {
                let known: Vec<_> =
                    kind.values().skip(1).map(|v| words::of_enum(v.name(), &prefix)).collect();
                format!("{name} is one of {}, not {text:?}", known.join(", "))
            })?;
            Value::String(value.name().to_owned())
        }
        Kind::Message(_) => Value::String(format!("{}s", duration_seconds(text)?)),
        _ => Value::String(text.to_owned()),
    })
}

/// `8h`, or `8:00` as administrators write it, or `0`.
fn duration_seconds(text: &str) -> Result<i64, String> {
    if text == "0" {
        return Ok(0);
    }
    if let Some((hours, minutes)) = text.split_once(':')
        && let (Ok(hours), Ok(minutes)) = (hours.parse::<u16>(), minutes.parse::<u16>())
        && minutes < 60
    {
        return Ok(i64::from(hours) * 3600 + i64::from(minutes) * 60);
    }
    words::read_duration(text).map(|duration| duration.seconds)
}

#[cfg(test)]
mod tests {
    use roamline_proto::profile::MultipleLoginBehavior;

    use super::*;

    fn set(change: &str) -> Result<(ServiceParameters, Vec<String>), String> {
        read(&[change.to_owned()])
    }

    #[test]
    fn parameters_are_written_as_administrators_do() {
        let seconds = |change| set(change).unwrap().0.maximum_login_time.unwrap().seconds;
        assert_eq!(seconds("maximum_login_time=8:30"), 30_600);
        assert_eq!(seconds("maximumLoginTime=8h"), 28_800);
        let behavior = |change| set(change).unwrap().0.multiple_login_behavior();
        assert_eq!(behavior("multiple_login_behavior=allowed"), MultipleLoginBehavior::Allowed);
        assert_eq!(behavior("multiple_login_behavior=not-allowed"), MultipleLoginBehavior::NotAllowed);
        assert_eq!(set("daily_logout_times=19:00, 24:00").unwrap().0.daily_logout_times, ["19:00", "24:00"]);
        assert_eq!(set("enforce_maximum_login_time=true").unwrap().0.enforce_maximum_login_time, Some(true));
    }

    #[test]
    fn an_empty_value_puts_the_default_back() {
        assert_eq!(set("time_zone=").unwrap(), (ServiceParameters::default(), vec!["time_zone".to_owned()]));
    }

    #[test]
    fn a_part_of_the_credential_policy_is_a_parameter_of_its_own() {
        let changes = [
            "credential_policy.minimum_length=6",
            "credentialPolicy.lockoutDuration=0",
            "credential_policy.trivial_check=false",
        ];
        let (parameters, paths) = read(&changes.map(str::to_owned)).unwrap();
        let policy = parameters.credential_policy.unwrap();
        assert_eq!((policy.minimum_length, policy.trivial_check), (Some(6), Some(false)));
        assert_eq!(policy.lockout_duration.unwrap().seconds, 0);
        assert_eq!(
            paths,
            [
                "credential_policy.minimum_length",
                "credential_policy.lockout_duration",
                "credential_policy.trivial_check"
            ]
        );
        let (empty, paths) = set("credential_policy.history=").unwrap();
        assert_eq!(
            (empty, paths),
            (ServiceParameters::default(), vec!["credential_policy.history".to_owned()])
        );
        let told = set("credential_policy.colour=1").unwrap_err();
        assert!(told.contains("credential_policy.expires_after_days") && !told.contains("etag"), "{told}");
    }

    #[test]
    fn what_is_off_is_shown_and_times_are_readable() {
        let policy = CredentialPolicy {
            trivial_check: Some(false),
            lockout_duration: Some(prost_types::Duration { seconds: 1800, nanos: 0 }),
            ..Default::default()
        };
        let parameters = ServiceParameters {
            validate_ip_address: Some(false),
            trusted_sources: vec!["192.0.2.7".into(), "10.0.0.0/8".into()],
            credential_policy: Some(policy),
            ..Default::default()
        };
        let shown = shown(Some(&parameters));
        let lines: Vec<String> =
            shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        for line in [
            "credentialPolicy.lockoutDuration 30m",
            "credentialPolicy.trivialCheck false",
            "trustedSources 192.0.2.7, 10.0.0.0/8",
            "validateIpAddress false",
        ] {
            assert!(lines.iter().any(|shown| shown == line), "{line} in {lines:#?}");
        }
    }

    #[test]
    fn what_is_no_parameter_or_no_value_is_named() {
        for bad in [
            "x",
            "credential_policy=1",
            "credential_policy.=1",
            "credential_policy.history=-1",
            "maximum_login_time.seconds=1",
            "time_zone.x=1",
            "x=1",
            "etag=1",
            "remember_last_user=maybe",
            "multiple_login_behavior=some",
            "multiple_login_behavior=unspecified",
            "maximum_login_time=soon",
            "maximum_concurrent_requests=-1",
        ] {
            assert!(set(bad).is_err(), "{bad}");
        }
    }
}
