//! That the configuration in what was rendered is one that the server takes: TOML, with no key that its schema lacks.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::reference::chart::CONFIGURATION;
use crate::workspace::Workspace;

/// What stands before the text of a configuration.
const BEGIN: &str = "  roamline.toml: |";
/// How far it is indented.
const INDENT: &str = "    ";

/// Holds each configuration in the files against the schema.
pub(super) fn check(workspace: &Workspace, files: &[PathBuf]) -> Result<()> {
    let text = std::fs::read(workspace.root.join(CONFIGURATION))?;
    let schema: Value =
        serde_json::from_slice(&text).with_context(|| format!("{CONFIGURATION} is no JSON"))?;
    for file in files {
        let place = file.display();
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {place}"))?;
        let found = configurations(&text);
        ensure!(!found.is_empty(), "{place}: there is no configuration in it");
        for configuration in found {
            let parsed: Value = toml::from_str(&configuration).with_context(|| place.to_string())?;
            let mut wrong = Vec::new();
            compare(&schema, &schema, &parsed, "", &mut wrong);
            ensure!(wrong.is_empty(), "{place}: the server does not take {}", wrong.join(", "));
        }
    }
    Ok(())
}

/// The configurations in a file of rendered objects.
fn configurations(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line != BEGIN {
            continue;
        }
        let body = lines.clone().take_while(|line| line.is_empty() || line.starts_with(INDENT));
        found.push(body.map(|line| format!("{}\n", line.trim_start())).collect());
    }
    found
}

/// Notes each key that the schema does not have, and each value that is of another type.
fn compare(root: &Value, schema: &Value, value: &Value, key: &str, wrong: &mut Vec<String>) {
    let reference = schema.get("$ref").and_then(Value::as_str).map(|text| text.trim_start_matches('#'));
    let schema = reference.and_then(|place| root.pointer(place)).unwrap_or(schema);
    let kind = schema.get("type").and_then(Value::as_str).unwrap_or_default();
    let fits = match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        _ => true,
    };
    if !fits {
        wrong.push(format!("{key} (it is no {kind})"));
    }
    for (name, inner) in value.as_object().into_iter().flatten() {
        let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
        let known = schema.get("properties").and_then(|properties| properties.get(name));
        match known.or_else(|| schema.get("additionalProperties").filter(|others| others.is_object())) {
            Some(known) => compare(root, known, inner, &key, wrong),
            None if schema.get("additionalProperties") == Some(&Value::Bool(false)) => wrong.push(key),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_configuration_is_found_and_wrong_keys_and_types_in_it_are_named() {
        let text = "data:\n  roamline.toml: |\n    [server]\n    drain = 5.0\n\n    [server.sizes]\n    a = 1\n---\nx: y\n";
        let found = configurations(text);
        assert_eq!(found, ["[server]\ndrain = 5.0\n\n[server.sizes]\na = 1\n"]);
        let schema = json!({
            "properties": { "server": { "$ref": "#/$defs/Server" } },
            "$defs": { "Server": {
                "type": "object", "additionalProperties": false,
                "properties": {
                    "drain": { "type": "integer" },
                    "sizes": { "type": "object", "additionalProperties": { "type": "string" } },
                }
            } }
        });
        let parsed = |text: &str| toml::from_str::<Value>(text).unwrap();
        let mut wrong = Vec::new();
        compare(&schema, &schema, &parsed(&found[0]), "", &mut wrong);
        assert_eq!(wrong, ["server.drain (it is no integer)", "server.sizes.a (it is no string)"]);
        let mut wrong = Vec::new();
        compare(&schema, &schema, &parsed("[server]\ndrian = 5\n"), "", &mut wrong);
        assert_eq!(wrong, ["server.drian"]);
    }
}
