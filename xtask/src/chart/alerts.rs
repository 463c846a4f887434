//! The alerts in what was rendered: promtool reads their rules and runs their tests, each metric that they name is one that
//! there is, and each has its runbook and its test.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::inventory::Inventory;
use super::{Chart, done, must_refuse, write};
use crate::workspace::Workspace;

/// A rule that is no expression.
const BAD: &str = "groups: [{name: bad, rules: [{alert: Bad, expr: \"rate(x[5m]\"}]}]\n";
/// A test that waits for an alert that does not fire.
const BAD_TEST: &str = "rule_files: [rules.yml]\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    promql_expr_test:\n      \
                        - {expr: 'ALERTS{alertname=\"RoamlineAuditBehind\"}', eval_time: 5m, exp_samples: [{labels: '{}', value: 1}]}\n";
/// The example whose rules are tested: it has all of them.
const TESTED: &str = "federated";
/// What they are tested with.
const TESTS: &str = "helm/roamline/tests/alerts.yaml";
/// Where it is said what to do.
const RUNBOOKS: &str = "docs/runbooks";

/// Checks the rules in the files.
pub(super) fn check(
    workspace: &Workspace,
    chart: &Chart<'_>,
    inventory: &Inventory,
    files: &[PathBuf],
) -> Result<()> {
    let bad = chart.work.join("bad/rules.yaml");
    write(&bad, BAD)?;
    must_refuse("promtool", "parse", &mut promtool(chart, "check", &bad))?;
    let mut alerts = BTreeSet::new();
    for file in files {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        for rules in rules(&text) {
            let path = file.with_extension("rules.yml");
            write(&path, &rules)?;
            done("promtool", &mut promtool(chart, "check", &path))?;
            inventory.look(&file.display().to_string(), &rules)?;
            alerts.extend(after(&rules, "alert: "));
            if file.file_stem().is_some_and(|name| name == TESTED) {
                test(workspace, chart, &rules)?;
            }
        }
    }
    ensure!(!alerts.is_empty(), "no example has alerts");
    every_alert_is_explained(workspace, &alerts)
}

/// Runs the tests of the alerts over rules.
fn test(workspace: &Workspace, chart: &Chart<'_>, rules: &str) -> Result<()> {
    let folder = chart.work.join("alerts");
    write(&folder.join("rules.yml"), rules)?;
    let (bad, tests) = (folder.join("bad.yaml"), folder.join("alerts.yaml"));
    write(&bad, BAD_TEST)?;
    must_refuse("promtool test", "FAILED", &mut promtool(chart, "test", &bad))?;
    write(&tests, &std::fs::read_to_string(workspace.root.join(TESTS))?)?;
    done("promtool test", &mut promtool(chart, "test", &tests))?;
    let tested: BTreeSet<_> = after(&std::fs::read_to_string(&tests)?, "alertname=\"").into_iter().collect();
    let untested: Vec<_> =
        after(rules, "alert: ").into_iter().filter(|alert| !tested.contains(alert)).collect();
    ensure!(untested.is_empty(), "{TESTS}: nothing tests {untested:?}");
    Ok(())
}

/// That each alert has its page, and each page its alert.
fn every_alert_is_explained(workspace: &Workspace, alerts: &BTreeSet<String>) -> Result<()> {
    let folder = workspace.root.join(RUNBOOKS);
    let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot read {RUNBOOKS}"))?;
    let names = entries.flatten().map(|entry| entry.path());
    let pages: BTreeSet<String> =
        names.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    ensure!(
        pages == *alerts,
        "{RUNBOOKS}: alerts without a page: {:?}; pages without an alert: {:?}",
        alerts.difference(&pages).collect::<Vec<_>>(),
        pages.difference(alerts).collect::<Vec<_>>()
    );
    Ok(())
}

/// The words behind a mark.
fn after(text: &str, mark: &str) -> Vec<String> {
    let rests = text.split(mark).skip(1);
    rests.map(|rest| rest.chars().take_while(char::is_ascii_alphanumeric).collect()).collect()
}

/// `promtool check rules` or `promtool test rules`.
pub(super) fn promtool(chart: &Chart<'_>, verb: &str, file: &Path) -> Command {
    let mut promtool = Command::new(&chart.tools.promtool);
    promtool.args([verb, "rules"]).arg(file);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_taken_out_of_their_object_and_alerts_out_of_them() {
        let text = "kind: Pod\n---\nx: y\nkind: PrometheusRule\nspec:\n  groups:\n    - alert: Late\n      expr: a > 1\n";
        let rules = rules(text);
        assert_eq!(rules, ["groups:\n  - alert: Late\n    expr: a > 1\n"]);
        assert_eq!(after(&rules[0], "alert: "), ["Late"]);
    }
}
