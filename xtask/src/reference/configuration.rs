//! The page of all settings of the server, made from the schema that its structs give.

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use super::chart::CONFIGURATION;
use crate::workspace::Workspace;

/// What stands before the tables.
const HEAD: &str = "\
# Configuration

Written by `cargo xtask gen` from the server's own structs; [configuration.schema.json](configuration.schema.json) is the same
for editors. Settings stand in the TOML file that `--config` names, and each in the environment, too, with two underscores
between its parts: `redis.url` is `ROAMLINE_REDIS__URL`. A key that is not here is refused. Lengths of time are written as `5s`
or `1min 30s`.
";

/// The page.
pub(super) fn page(workspace: &Workspace) -> Result<String> {
    let text = std::fs::read(workspace.root.join(CONFIGURATION))?;
    let schema: Value =
        serde_json::from_slice(&text).with_context(|| format!("{CONFIGURATION} is no JSON"))?;
    Ok(written(&schema))
}

fn written(schema: &Value) -> String {
    let mut page = HEAD.to_owned();
    section(schema, schema, "", &mut page);
    page
}

/// A table of the keys in a section, and the sections in it behind it.
fn section(root: &Value, schema: &Value, path: &str, page: &mut String) {
    let none = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
    let mut rows = String::new();
    let mut inner = String::new();
    for (name, property) in properties {
        let key = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let about = resolved(root, property);
        let items = about.get("items").map(|items| resolved(root, items));
        if about.get("properties").is_some() {
            headed(root, about, &said(property, about), &format!("[{key}]"), &key, &mut inner);
        } else if let Some(items) = items.filter(|items| items.get("properties").is_some()) {
            headed(root, items, &said(property, items), &format!("[[{key}]]"), &key, &mut inner);
        } else {
            rows.push_str(&row(name, property, about));
        }
    }
    if !rows.is_empty() {
        page.push_str(&format!(
            "\n| key | values | default | what it is |\n| --- | --- | --- | --- |\n{rows}"
        ));
    }
    page.push_str(&inner);
}

fn headed(root: &Value, about: &Value, said: &str, name: &str, key: &str, page: &mut String) {
    page.push_str(&format!("\n## `{name}`\n"));
    if !said.is_empty() {
        page.push_str(&format!("\n{said}\n"));
    }
    section(root, about, key, page);
}

fn row(name: &str, property: &Value, about: &Value) -> String {
    let default = property.get("default").map(|value| match value.as_str() {
        Some("") => String::new(),
        _ => format!("`{}`", value.to_string().trim_matches('"')),
    });
    let text = said(property, about).replace('\n', " ").replace('|', "\\|");
    format!("| `{name}` | {} | {} | {text} |\n", values(about), default.unwrap_or_default())
}

/// The words that it takes, or the type.
fn values(about: &Value) -> String {
    let of = |key: &str| about.get(key).and_then(Value::as_array);
    let words = of("oneOf").map(|all| all.iter().filter_map(|one| one.get("const")).collect::<Vec<_>>());
    let words = words.or_else(|| of("enum").map(|all| all.iter().collect()));
    let Some(words) = words.filter(|words| !words.is_empty()) else {
        return match about.get("type") {
            Some(Value::String(kind)) => {
                kind.replace("string", "text").replace("object", "table").replace("array", "list")
            }
            _ => String::new(),
        };
    };
    words
        .iter()
        .filter_map(|word| word.as_str())
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn said(property: &Value, about: &Value) -> String {
    let own = [property, about].into_iter().find_map(|part| part.get("description")?.as_str());
    own.unwrap_or_default().to_owned()
}

fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let several = schema.get("anyOf").and_then(Value::as_array);
    let schema = several.and_then(|all| all.first()).unwrap_or(schema);
    let reference = schema.get("$ref").and_then(Value::as_str).map(|text| text.trim_start_matches('#'));
    reference.and_then(|place| root.pointer(place)).unwrap_or(schema)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_section_is_a_table_with_values_and_defaults() {
        let schema = json!({
            "properties": { "log": { "$ref": "#/$defs/Log", "default": {} } },
            "$defs": {
                "Log": { "type": "object", "description": "What is logged.", "properties": {
                    "format": { "$ref": "#/$defs/Format", "description": "How.", "default": "pretty" },
                    "level": { "type": "string", "description": "How\nmuch | little.", "default": "" },
                } },
                "Format": { "oneOf": [{ "const": "pretty" }, { "const": "json" }] },
            }
        });
        let page = written(&schema);
        assert!(page.contains("## `[log]`\n\nWhat is logged.\n"), "{page}");
        assert!(page.contains("| `format` | `pretty`, `json` | `pretty` | How. |\n"), "{page}");
        assert!(page.contains("| `level` | text |  | How much \\| little. |\n"), "{page}");
    }
}
