//! The metrics that there are, as their reference lists them, and which of them an expression names.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};

use crate::workspace::Workspace;

/// The list.
const METRICS: &str = "docs/reference/metrics.md";
/// The series of a histogram.
const SERIES: [&str; 3] = ["_bucket", "_count", "_sum"];
/// With what names of ours begin.
const BEGINNINGS: [&str; 3] = ["roamline_", "rpc_", "db_client_"];

/// The names of all series, as an exposition has them.
pub(super) struct Inventory(BTreeSet<String>);

impl Inventory {
    /// Those of the reference.
    pub(super) fn read(workspace: &Workspace) -> Result<Self> {
        let page = std::fs::read_to_string(workspace.root.join(METRICS))
            .with_context(|| format!("cannot read {METRICS}"))?;
        let inventory = Self(series(&page));
        ensure!(!inventory.0.is_empty(), "{METRICS} lists no metric");
        Ok(inventory)
    }

    /// That an expression names metrics, and none that there is not.
    pub(super) fn look(&self, place: &str, expression: &str) -> Result<()> {
        let named = named(expression);
        ensure!(!named.is_empty(), "{place}: no metric is named");
        let unknown: Vec<_> = named.difference(&self.0).collect();
        ensure!(unknown.is_empty(), "{place}: there is no metric {unknown:?}");
        Ok(())
    }
}

/// `| name | kind | ...` for each metric.
fn series(page: &str) -> BTreeSet<String> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    rows.flat_map(|(name, rest)| match rest.starts_with("histogram ") {
        true => SERIES.iter().map(|ending| format!("{name}{ending}")).collect(),
        false => vec![name.to_owned()],
    })
    .collect()
}

/// The series that an expression names. A label is told from one by what stands behind it.
fn named(expression: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let mut found = BTreeSet::new();
    let mut rest = expression;
    while let Some(start) = rest.find(is_part) {
        let word_on = rest.split_at(start).1;
        let end = word_on.find(|letter| !is_part(letter)).unwrap_or(word_on.len());
        let (word, after) = word_on.split_at(end);
        let is_label = after.trim_start().starts_with(['=', '!', ',', ')', '}']);
        if BEGINNINGS.iter().any(|beginning| word.starts_with(beginning)) && !is_label {
            found.insert(word.to_owned());
        }
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# Metrics\n\n| metric | kind |\n| --- | --- |\n| `roamline_x_total` | counter | all |\n\
                        | `rpc_server_call_duration_seconds` | histogram | all |\n";

    fn inventory() -> Inventory {
        Inventory(series(PAGE))
    }

    #[test]
    fn series_are_known_by_their_whole_names() {
        let query =
            "sum by (rpc_method, le) (rate(rpc_server_call_duration_seconds_bucket{rpc_method=\"a\"}[5m]))";
        inventory().look("here", query).unwrap();
        inventory().look("here", "rate(roamline_x_total[5m])").unwrap();
        for wrong in
            ["roamline_x{a=\"b\"}", "rpc_server_call_duration_seconds > 1", "roamline_y_total", "vector(1)"]
        {
            assert!(inventory().look("here", wrong).is_err(), "{wrong}");
        }
    }
}
