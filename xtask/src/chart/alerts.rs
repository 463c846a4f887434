//! The alerts in what was rendered: promtool reads their rules, and each metric that they name is one that the services have.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Chart, done, must_refuse, write};
use crate::workspace::Workspace;

/// A rule that is no expression.
const BAD: &str = "groups: [{name: bad, rules: [{alert: Bad, expr: \"rate(x[5m]\"}]}]\n";

/// What an exposition adds to the name of an instrument.
const ENDINGS: [&str; 6] = ["_total", "_count", "_sum", "_bucket", "_seconds", "_bytes"];

/// Checks the rules in the files.
pub(super) fn check(workspace: &Workspace, chart: &Chart<'_>, files: &[PathBuf]) -> Result<()> {
    let bad = chart.work.join("bad/rules.yaml");
    write(&bad, BAD)?;
    must_refuse("promtool", "parse", &mut promtool(chart, &bad))?;
    let instruments = instruments(workspace)?;
    let mut found = 0;
    for file in files {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        for rules in rules(&text) {
            found += 1;
            let path = file.with_extension("rules.yml");
            write(&path, &rules)?;
            done("promtool", &mut promtool(chart, &path))?;
            let named = metrics(&rules);
            ensure!(!named.is_empty(), "{}: its alerts name no metric", file.display());
            let unknown: Vec<_> = named.iter().filter(|name| !is_known(name, &instruments)).collect();
            ensure!(unknown.is_empty(), "{}: there is no metric {unknown:?}", file.display());
        }
    }
    ensure!(found > 0, "no example has alerts");
    Ok(())
}

fn promtool(chart: &Chart<'_>, rules: &Path) -> Command {
    let mut promtool = Command::new(&chart.tools.promtool);
    promtool.args(["check", "rules"]).arg(rules);
    promtool
}

/// What stands below `spec` of each PrometheusRule.
fn rules(text: &str) -> Vec<String> {
    let objects = text.split("\n---\n").filter(|object| object.contains("\nkind: PrometheusRule\n"));
    let specs = objects.filter_map(|object| object.split_once("\nspec:\n"));
    specs
        .map(|(_, spec)| {
            spec.lines().map(|line| format!("{}\n", line.strip_prefix("  ").unwrap_or(line))).collect()
        })
        .collect()
}

/// The metrics that expressions name.
fn metrics(rules: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = rules.split(|letter| !is_part(letter));
    words
        .filter(|word| word.starts_with("roamline_") || word.starts_with("rpc_server"))
        .map(str::to_owned)
        .collect()
}

/// The names of all instruments in the sources, as an exposition begins them.
fn instruments(workspace: &Workspace) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for file in workspace.files()? {
        if file.extension().is_some_and(|ending| ending == "rs") && !file.starts_with("xtask") {
            let text = std::fs::read_to_string(workspace.root.join(&file))?;
            found.extend(names(&text));
        }
    }
    Ok(found)
}

fn names(source: &str) -> Vec<String> {
    let made = source.split("::new(").skip(1);
    let literals = made.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split_once('"'));
    literals.map(|(name, _)| name.replace('.', "_")).collect()
}

fn is_known(metric: &str, instruments: &BTreeSet<String>) -> bool {
    let mut name = metric;
    loop {
        if instruments.contains(name) {
            return true;
        }
        match ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)) {
            Some(shorter) => name = shorter,
            None => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_known_by_the_name_of_its_instrument() {
        let source = "Counter::new(\n    \"roamline.tls.reloads\", \"x\"); Histogram::new(\"rpc.server.call.duration\", \"x\", \"s\");";
        let instruments: BTreeSet<_> = names(source).into_iter().collect();
        for known in ["roamline_tls_reloads_total", "rpc_server_call_duration_seconds_count"] {
            assert!(is_known(known, &instruments), "{known}");
        }
        assert!(!is_known("roamline_tls_reload_total", &instruments));
    }

    #[test]
    fn rules_are_taken_out_of_their_object_and_metrics_out_of_them() {
        let text = "kind: Pod\n---\nx: y\nkind: PrometheusRule\nspec:\n  groups:\n    - expr: rate(roamline_x{a=\"b\"}[5m]) > 1\n";
        let rules = rules(text);
        assert_eq!(rules, ["groups:\n  - expr: rate(roamline_x{a=\"b\"}[5m]) > 1\n"]);
        assert_eq!(metrics(&rules[0]).into_iter().collect::<Vec<_>>(), ["roamline_x"]);
    }
}
