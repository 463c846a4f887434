//! A configuration file without its secrets. Only keys that the server knows are shown, so that nothing is told by a
//! misspelt one; those that hold secrets or addresses with secrets in them are named, and their values left out.

use std::path::Path;

use serde_json::Value;

use crate::exit::Failure;

/// What the server says of its configuration.
const SCHEMA: &str = include_str!("../../../docs/reference/configuration.schema.json");
/// A value of a key whose name has one of these is left out, unless it names a file.
const SECRET: [&str; 8] = ["password", "secret", "token", "key", "pin", "credential", "header", "url"];
/// What stands in its place.
const LEFT_OUT: &str = "left out";
const UNKNOWN: &str = "left out: no such key";

/// The text of a file without its secrets.
///
/// # Errors
/// When it cannot be read, or is no TOML; what is in it is not quoted.
pub(super) fn file(path: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    let wrong = || Failure::usage(format!("{} is no TOML", path.display()));
    let table: toml::Table = text.parse().map_err(|_| wrong())?;
    let schema: Value = serde_json::from_str(SCHEMA).map_err(|error| Failure::other(error.to_string()))?;
    toml::to_string_pretty(&without_secrets(&schema, &schema, table)).map_err(|_| wrong())
}

fn without_secrets(root: &Value, schema: &Value, table: toml::Table) -> toml::Table {
    let schema = resolved(root, schema);
    let part = |(key, value): (String, toml::Value)| {
        let known = schema.get("properties").and_then(|properties| properties.get(&key));
        let value = match known.or_else(|| schema.get("additionalProperties").filter(|more| more.is_object()))
        {
            Some(_) if is_secret(&key) && !value.is_table() => LEFT_OUT.into(),
            Some(known) => shown(root, known, value),
            None => UNKNOWN.into(),
        };
        (key, value)
    };
    table.into_iter().map(part).collect()
}

fn shown(root: &Value, schema: &Value, value: toml::Value) -> toml::Value {
    match value {
        toml::Value::Table(table) => without_secrets(root, schema, table).into(),
        toml::Value::Array(items) => {
            let of_items = resolved(root, schema).get("items").unwrap_or(&Value::Null);
            items.into_iter().map(|item| shown(root, of_items, item)).collect::<Vec<_>>().into()
        }
        // An address may have a password in it.
        toml::Value::String(text) if text.contains("://") && text.contains('@') => LEFT_OUT.into(),
        other => other,
    }
}

fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let reference = schema.get("$ref").and_then(Value::as_str).map(|text| text.trim_start_matches('#'));
    reference.and_then(|place| root.pointer(place)).unwrap_or(schema)
}

fn is_secret(key: &str) -> bool {
    !key.ends_with("_file") && SECRET.iter().any(|word| key.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(text: &str) -> String {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        toml::to_string_pretty(&without_secrets(&schema, &schema, text.parse().unwrap())).unwrap()
    }

    #[test]
    fn secrets_and_what_is_misspelt_are_left_out_and_the_rest_is_shown() {
        let text = redacted(
            "[redis]\nurl = \"redis://:canary@h\"\npasword = \"canary\"\ncluster = [\"redis://x:canary@h\", \"redis://h\"]\n\
             [store]\nurl_file = \"/run/url\"\nmax_connections = 7\n[services]\nsecret = \"canary\"\n",
        );
        assert!(!text.contains("canary"), "{text}");
        for shown in ["/run/url", "max_connections = 7", "redis://h", "pasword = \"left out: no such key\""] {
            assert!(text.contains(shown), "{shown}: {text}");
        }
    }
}
