//! The files for compose: each is held against the schema of the Compose specification, each variable of ours in them is a
//! setting of the server, and what Prometheus is told is read by promtool.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Chart, done, must_refuse, write};
use crate::reference::chart::CONFIGURATION;
use crate::workspace::Workspace;

/// Where they are.
const FOLDER: &str = "deploy/compose";

/// A service with a key that there is not.
const BAD: &str = "services:\n  bad:\n    image: bad\n    read_onyl: true\n";

/// Checks all of them; how many there are.
pub(super) fn check(workspace: &Workspace, chart: &Chart<'_>) -> Result<usize> {
    let bad = chart.work.join("bad/compose.yaml");
    write(&bad, BAD)?;
    must_refuse("check-jsonschema", "read_onyl", &mut specification(chart, &[bad]))?;
    let text = std::fs::read(workspace.root.join(CONFIGURATION))?;
    let schema: Value =
        serde_json::from_slice(&text).with_context(|| format!("{CONFIGURATION} is no JSON"))?;
    let folder = workspace.root.join(FOLDER);
    let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot read {FOLDER}"))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let files: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|ending| ending == "yaml")).collect();
    ensure!(!files.is_empty(), "{FOLDER} has no file for compose");
    done("check-jsonschema", &mut specification(chart, &files))?;
    for file in &files {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let unknown = unknown(&schema, &text);
        let place = workspace.relative(file).display();
        ensure!(unknown.is_empty(), "{place}: the server has no settings {}", unknown.join(", "));
    }
    let prometheus = folder.join("telemetry/prometheus.yml");
    let mut promtool = Command::new(&chart.tools.promtool);
    done("promtool", promtool.args(["check", "config", "--syntax-only"]).arg(prometheus))?;
    Ok(files.len())
}

fn specification(chart: &Chart<'_>, files: &[PathBuf]) -> Command {
    let mut check = chart.tools.python("check-jsonschema");
    check.args(["--builtin-schema", "vendor.compose-spec"]).args(files);
    check
}

/// The variables of sections in a text, `ROAMLINE_SECTION__KEY`, that are no settings.
fn unknown(schema: &Value, text: &str) -> Vec<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let ours = words.filter(|word| word.starts_with("ROAMLINE_") && word.contains("__"));
    ours.filter(|word| !is_setting(schema, word)).map(str::to_owned).collect()
}

fn is_setting(root: &Value, variable: &str) -> bool {
    let path = variable.trim_start_matches("ROAMLINE_").to_ascii_lowercase();
    let mut schema = root;
    for key in path.split("__") {
        let reference = schema.get("$ref").and_then(Value::as_str).map(|text| text.trim_start_matches('#'));
        let place = reference.and_then(|place| root.pointer(place)).unwrap_or(schema);
        let Some(known) = place.get("properties").and_then(|properties| properties.get(key)) else {
            return false;
        };
        schema = known;
    }
    true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_variable_that_is_no_setting_is_named_and_one_without_a_section_is_not_ours_to_judge() {
        let schema = json!({
            "properties": { "store": { "$ref": "#/$defs/Store" } },
            "$defs": { "Store": { "properties": { "url": {} } } }
        });
        let text =
            "ROAMLINE_STORE__URL: a\nROAMLINE_STORE__ULR: b\nROAMLINE_REDIS__URL: ${ROAMLINE_PASSWORD}\n";
        assert_eq!(unknown(&schema, text), ["ROAMLINE_STORE__ULR", "ROAMLINE_REDIS__URL"]);
    }
}
