//! From a tree to the proto JSON of a message: every value becomes what its field asks for, and everything that does not
//! fit is told with its line.

use std::collections::HashMap;

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value};

use super::words::{or_nearest, quoted};
use super::yaml::{Content, Entry, Node, Problem};

/// Fields that only the server writes.
pub(super) const OUTPUT_ONLY: [&str; 2] = ["etag", "callBlockingPinSet"];

/// Reads the entries of a mapping as the fields of a message; what is absent or null is left out.
pub(super) fn fields(entries: &[Entry], message: &MessageDescriptor, problems: &mut Vec<Problem>) -> Value {
    let mut values = Map::new();
    let mut seen: HashMap<String, usize> = HashMap::new();
    for entry in entries {
        let found =
            message.get_field_by_json_name(&entry.key).or_else(|| message.get_field_by_name(&entry.key));
        let Some(field) = found else {
            let names: Vec<String> = message.fields().map(|field| field.json_name().to_owned()).collect();
            let names = names.iter().map(String::as_str).filter(|name| !OUTPUT_ONLY.contains(name));
            let told = or_nearest(&entry.key, names);
            problems.push((entry.line, format!("{} has no field {told}", message.name())));
            continue;
        };
        let name = field.json_name();
        if OUTPUT_ONLY.contains(&name) {
            problems.push((entry.line, format!("{name} is the server's to say: leave it out")));
            continue;
        }
        // Of the members of a choice, one may be given; they share a place.
        let choice = field.containing_oneof().filter(|choice| choice.fields().count() > 1);
        let place = choice.as_ref().map_or(name, |choice| choice.name()).to_owned();
        if let Some(first) = seen.insert(place.clone(), entry.line) {
            let problem = if place == name { "" } else { " or what excludes it" };
            problems.push((entry.line, format!("{name}{problem} is given in line {first} already")));
            continue;
        }
        if !entry.value.is_null()
            && let Some(value) = field_value(&entry.value, &field, problems)
        {
            values.insert(name.to_owned(), value);
        }
    }
    Value::Object(values)
}

fn field_value(node: &Node, field: &FieldDescriptor, problems: &mut Vec<Problem>) -> Option<Value> {
    let name = field.json_name();
    if field.is_map() {
        return pairs(node, name, problems);
    }
    if !field.is_list() {
        return single(node, field, problems);
    }
    let Content::Sequence(items) = &node.content else {
        problems.push((node.line, format!("{name} must be a list")));
        return None;
    };
    let before = problems.len();
    let values: Vec<Value> = items.iter().filter_map(|item| single(item, field, problems)).collect();
    (problems.len() == before).then_some(Value::Array(values))
}

/// The only maps of the contract are from text to text.
fn pairs(node: &Node, name: &str, problems: &mut Vec<Problem>) -> Option<Value> {
    let Content::Mapping(entries) = &node.content else {
        problems.push((node.line, format!("{name} must be keys with values")));
        return None;
    };
    let mut values = Map::new();
    for entry in entries {
        let Content::Scalar { text, .. } = &entry.value.content else {
            problems.push((entry.line, format!("{name} must have texts as values")));
            continue;
        };
        if values.insert(entry.key.clone(), Value::String(text.clone())).is_some() {
            problems.push((entry.line, format!("{} is given twice in {name}", quoted(&entry.key))));
        }
    }
    Some(Value::Object(values))
}

fn single(node: &Node, field: &FieldDescriptor, problems: &mut Vec<Problem>) -> Option<Value> {
    let name = field.json_name();
    if let Kind::Message(message) = field.kind()
        && message.full_name() != "google.protobuf.Duration"
    {
        let Content::Mapping(entries) = &node.content else {
            problems.push((node.line, format!("{name} must have fields: {}", names(&message))));
            return None;
        };
        return Some(fields(entries, &message, problems));
    }
    let read = match &node.content {
        Content::Scalar { text, plain } => scalar(text, *plain, &field.kind()),
        Content::Sequence(_) => Err("must be a single value, not a list".to_owned()),
        Content::Mapping(_) => Err("must be a single value, without fields".to_owned()),
    };
    read.map_err(|problem| problems.push((node.line, format!("{name} {problem}")))).ok()
}

fn names(message: &MessageDescriptor) -> String {
    let names: Vec<String> = message.fields().map(|field| field.json_name().to_owned()).collect();
    names.join(", ")
}

fn scalar(text: &str, plain: bool, kind: &Kind) -> Result<Value, String> {
    match kind {
        Kind::Bool => match text {
            "true" | "True" | "TRUE" if plain => Ok(Value::Bool(true)),
            "false" | "False" | "FALSE" if plain => Ok(Value::Bool(false)),
            _ => Err(format!("must be true or false, not {}", quoted(text))),
        },
        Kind::Uint32 => {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let number = text.parse::<u32>().ok().filter(|_| digits);
            number
                .map(Value::from)
                .ok_or_else(|| format!("must be a whole number, at most {}, not {}", u32::MAX, quoted(text)))
        }
        Kind::Enum(list) => enum_value(text, list),
        Kind::Message(_) => seconds(text).then(|| Value::from(text)).ok_or_else(|| {
            format!("must be a length of time in seconds, such as 3600s, not {}", quoted(text))
        }),
        _ => Ok(Value::from(text)),
    }
}

fn enum_value(text: &str, list: &EnumDescriptor) -> Result<Value, String> {
    if list.get_value_by_name(text).is_some() {
        return Ok(Value::from(text));
    }
    let names: Vec<String> = list.values().skip(1).map(|value| value.name().to_owned()).collect();
    // The short form, as the tables of this program show it: `silent-ring`.
    let ending = format!("_{}", text.to_ascii_uppercase().replace('-', "_"));
    let meant = names.iter().find(|name| name.ends_with(&ending));
    Err(match meant {
        Some(name) => format!("cannot be {}; did you mean `{name}`?", quoted(text)),
        None => format!("cannot be {}", or_nearest(text, names.iter().map(String::as_str))),
    })
}

fn seconds(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(number) = text.strip_suffix('s') else { return false };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    digits(whole) && whole.len() <= 12 && digits(fraction) && fraction.len() <= 9
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::declarative::kinds::Kind as Declared;
    use crate::declarative::yaml;

    fn read(kind: Declared, text: &str) -> (Value, Vec<Problem>) {
        let documents = yaml::read(text).unwrap();
        let Content::Mapping(entries) = &documents[0].content else { panic!("a mapping") };
        let mut problems = Vec::new();
        (fields(entries, &kind.message().unwrap(), &mut problems), problems)
    }

    #[test]
    fn values_become_what_their_fields_ask_for() {
        let text = "name: 0012\ndescription: no\nsettings:\n  privacyButton: true\n  idle_limit: 600s\n  \
                    mlpp: null\n  lines:\n  - {kind: LINE_KIND_NORMAL, lines: [2001, '2002'], maxCalls: 4}\n  \
                    services:\n  - {name: a, parameters: {x: 1}}\n";
        let (value, problems) = read(Declared::UserDeviceProfile, text);
        assert_eq!(problems, []);
        let expected = json!({
            "name": "0012",
            "description": "no",
            "settings": {
                "privacyButton": true,
                "idleLimit": "600s",
                "lines": [{"kind": "LINE_KIND_NORMAL", "lines": ["2001", "2002"], "maxCalls": 4}],
                "services": [{"name": "a", "parameters": {"x": "1"}}],
            },
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn everything_that_does_not_fit_is_told_with_its_line() {
        let text = "nam: x\netag: v1\nsettings:\n  lines: 2001\n  privacyButton: \"yes\"\n  privacy: on\n  \
                    idleLimit: 5m\n  speedDials:\n  - tag: -1\n  - tag: 4294967296\n  - number: [1]\n  \
                    mlpp: 1\nname: a\nname: b\n";
        let (_, problems) = read(Declared::UserDeviceProfile, text);
        let lines: Vec<usize> = problems.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 14], "{problems:?}");
        assert!(problems[0].1.contains("did you mean `name`?"));
        assert!(problems[4].1.contains("did you mean `PRIVACY_ON`?"));
        assert!(problems[10].1.contains("line 13"));
    }

    #[test]
    fn two_members_of_a_choice_exclude_each_other() {
        let (_, problems) = read(Declared::Phone, "sharedLogoutProfile: 1\nuserDeviceProfile: a\n");
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].0, 2);
    }

    #[test]
    fn dp_14_a_pin_is_never_repeated() {
        for pin in ["[4711]", "{4711: 4711}"] {
            let (_, problems) = read(Declared::Phone, &format!("settings:\n  callBlockingPin: {pin}\n"));
            assert!(!problems.is_empty() && !format!("{problems:?}").contains("4711"));
        }
    }
}
