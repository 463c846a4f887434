//! A cell and the value of its field: what is read from the one is written as the other. Lists of words are joined by
//! `;`, keys and values of a map by `=`; `\` takes its meaning from what follows it.

use std::collections::HashMap;

use crate::wrong_words::{or_nearest, quoted};
use prost_reflect::{DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey, Value};

/// Reads a cell that is not empty.
///
/// # Errors
/// Why it is no value of the field.
pub(super) fn read(field: &FieldDescriptor, text: &str) -> Result<Value, String> {
    if field.is_map() {
        let pair = |item: String| {
            let (key, value) =
                item.split_once('=').ok_or_else(|| format!("must be KEY=VALUE;…, not {}", quoted(&item)))?;
            Ok((MapKey::String(key.to_owned()), Value::String(value.to_owned())))
        };
        return split(text).into_iter().map(pair).collect::<Result<HashMap<_, _>, String>>().map(Value::Map);
    }
    if field.is_list() {
        let items = split(text).into_iter().map(|item| single(&field.kind(), &item));
        return items.collect::<Result<Vec<_>, _>>().map(Value::List);
    }
    single(&field.kind(), text)
}

/// Writes a value as the cell that is read as it; what is the default is empty.
pub(super) fn write(field: &FieldDescriptor, value: &Value) -> String {
    match value {
        Value::Map(pairs) => {
            let mut items: Vec<String> = pairs
                .iter()
                .map(|(key, value)| {
                    escaped(&format!(
                        "{}={}",
                        key.as_str().unwrap_or_default(),
                        value.as_str().unwrap_or_default()
                    ))
                })
                .collect();
            items.sort_unstable();
            items.join(";")
        }
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(|item| escaped(&shown(&field.kind(), item))).collect();
            items.join(";")
        }
        value => shown(&field.kind(), value),
    }
}

fn single(kind: &Kind, text: &str) -> Result<Value, String> {
    match kind {
        Kind::Bool => match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "1" => Ok(Value::Bool(true)),
            "false" | "f" | "no" | "0" => Ok(Value::Bool(false)),
            _ => Err(format!("must be true or false, not {}", quoted(text))),
        },
        Kind::Uint32 => {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            let number = text.parse().ok().filter(|_| digits);
            number
                .map(Value::U32)
                .ok_or_else(|| format!("must be a whole number, at most {}, not {}", u32::MAX, quoted(text)))
        }
        Kind::Enum(list) => enumerated(list, text),
        Kind::Message(message) => {
            let seconds = seconds(text).ok_or_else(|| {
                format!("must be a length of time such as 90m, 8h or 600s, not {}", quoted(text))
            })?;
            let mut duration = DynamicMessage::new(message.clone());
            duration.set_field_by_name("seconds", Value::I64(seconds));
            Ok(Value::Message(duration))
        }
        _ => Ok(Value::String(text.to_owned())),
    }
}

fn shown(kind: &Kind, value: &Value) -> String {
    match (kind, value) {
        (_, Value::Bool(on)) => if *on { "true" } else { "" }.to_owned(),
        (_, Value::U32(0)) | (Kind::Enum(_), Value::EnumNumber(0)) => String::new(),
        (_, Value::U32(number)) => number.to_string(),
        (_, Value::String(text)) => text.clone(),
        (Kind::Enum(list), Value::EnumNumber(number)) => {
            list.get_value(*number).map_or_else(|| number.to_string(), |value| short(list, value.name()))
        }
        (_, Value::Message(duration)) => {
            let seconds = duration.get_field_by_name("seconds").and_then(|seconds| seconds.as_i64());
            format!("{}s", seconds.unwrap_or_default())
        }
        _ => String::new(),
    }
}

/// `silent-ring` or `LINE_KIND_SILENT_RING`.
fn enumerated(list: &EnumDescriptor, text: &str) -> Result<Value, String> {
    let given = text.to_ascii_lowercase();
    let fits = |name: &str| short(list, name) == given || name.eq_ignore_ascii_case(text);
    let known = || list.values().filter(|value| value.number() != 0);
    let value = known().find(|value| fits(value.name()));
    value.map(|value| Value::EnumNumber(value.number())).ok_or_else(|| {
        let names: Vec<String> = known().map(|value| short(list, value.name())).collect();
        format!("cannot be {}", or_nearest(text, names.iter().map(String::as_str)))
    })
}

/// A value of an enum without what all of them begin with.
fn short(list: &EnumDescriptor, name: &str) -> String {
    let first = list.get_value(0);
    let prefix =
        first.as_ref().and_then(|first| first.name().strip_suffix("UNSPECIFIED")).unwrap_or_default();
    name.strip_prefix(prefix).unwrap_or(name).to_ascii_lowercase().replace('_', "-")
}

fn seconds(text: &str) -> Option<i64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    number.parse::<u32>().ok().map(|number| i64::from(number) * unit)
}

/// The items that `;` joins.
pub(super) fn split(text: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == ';' {
            items.push(String::new());
            continue;
        }
        let Some(last) = items.last_mut() else { break };
        match c {
            '\\' => last.extend(chars.next()),
            c => last.push(c),
        }
    }
    items
}

/// Has `;` and `\` stand for themselves.
pub(super) fn escaped(item: &str) -> String {
    item.replace('\\', "\\\\").replace(';', "\\;")
}
