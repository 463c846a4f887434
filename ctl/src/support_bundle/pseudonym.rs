//! Made-up names in place of those of users, phones, profiles and lines: `user-1`, the same one wherever the name stands.
//! Nothing leads back from them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Fields whose value names somebody or something, and what it is called instead.
const NAMES: [(&str, &str); 6] = [
    ("userId", "user"),
    ("phone", "phone"),
    ("profile", "profile"),
    ("primaryExtension", "line"),
    ("lines", "line"),
    ("partition", "partition"),
];
/// Fields that are left out: they name people and machines in words of their own.
const LEFT_OUT: [&str; 1] = ["actor"];

/// The names that have been met.
#[derive(Default)]
pub(super) struct Pseudonyms(BTreeMap<(&'static str, String), usize>);

impl Pseudonyms {
    /// Replaces every name in the value.
    pub(super) fn replace(&mut self, value: &mut Value) {
        match value {
            Value::Object(fields) => self.fields(fields),
            Value::Array(items) => items.iter_mut().for_each(|item| self.replace(item)),
            _ => {}
        }
    }

    fn fields(&mut self, fields: &mut Map<String, Value>) {
        for (name, value) in fields {
            match NAMES.iter().find(|(field, _)| field == name) {
                Some((_, kind)) => self.name(kind, value),
                None if LEFT_OUT.contains(&name.as_str()) => *value = Value::Null,
                None => self.replace(value),
            }
        }
    }

    fn name(&mut self, kind: &'static str, value: &mut Value) {
        match value {
            Value::String(name) => {
                let next = self.0.len() + 1;
                let number = *self.0.entry((kind, std::mem::take(name))).or_insert(next);
                *name = format!("{kind}-{number}");
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.name(kind, item)),
            other => self.replace(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_is_the_same_wherever_it_stands_and_no_name_is_left() {
        let mut value = json!({"sessions": [
            {"userId": "jane", "phone": "SEP1", "lines": ["4711", "jane"], "actor": {"name": "jane"}, "sessionId": "s"},
            {"userId": "jane", "phone": "SEP2", "loginTime": "t"},
        ]});
        Pseudonyms::default().replace(&mut value);
        let text = value.to_string();
        assert!(["jane", "SEP1", "SEP2", "4711"].iter().all(|name| !text.contains(name)), "{text}");
        assert_eq!(value["sessions"][0]["userId"], value["sessions"][1]["userId"]);
        assert_ne!(value["sessions"][0]["phone"], value["sessions"][1]["phone"]);
        assert_eq!(
            (&value["sessions"][0]["sessionId"], &value["sessions"][1]["loginTime"]),
            (&json!("s"), &json!("t"))
        );
    }
}
