//! The queries of the dashboards: promtool reads each as a rule, and each metric that one names is one that there is.

use anyhow::Result;

use super::alerts::promtool;
use super::inventory::Inventory;
use super::{Chart, done, write};
use crate::reference::dashboards;
use crate::workspace::Workspace;

/// What Grafana puts into an expression before it asks.
const PUT_IN: [(&str, &str); 3] = [("$__rate_interval", "5m"), ("$__range", "6h"), ("$namespace", ".*")];

/// Checks every query; how many there are.
pub(super) fn check(workspace: &Workspace, chart: &Chart<'_>, inventory: &Inventory) -> Result<usize> {
    let queries = dashboards::queries(workspace)?;
    let mut rules = String::from("groups:\n  - name: dashboards\n    rules:\n");
    for (number, (place, query)) in queries.iter().enumerate() {
        let asked = PUT_IN.iter().fold(query.clone(), |query, (name, value)| query.replace(name, value));
        inventory.look(place, &asked)?;
        rules
            .push_str(&format!("      # {place}\n      - record: query:{number}\n        expr: {asked:?}\n"));
    }
    let file = chart.work.join("dashboards.rules.yml");
    write(&file, &rules)?;
    done("promtool, the dashboards", &mut promtool(chart, "check", &file))?;
    Ok(queries.len())
}
