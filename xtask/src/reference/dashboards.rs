//! The dashboards as Grafana reads them, made from a list of panels that people can read.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::workspace::Workspace;

/// The list.
pub(crate) const BOARDS: &str = "helm/roamline/dashboards/boards.toml";
/// What is made of it.
const FILES: [&str; 5] = [
    "helm/roamline/dashboards/federation.json",
    "helm/roamline/dashboards/logins.json",
    "helm/roamline/dashboards/overview.json",
    "helm/roamline/dashboards/slo.json",
    "helm/roamline/dashboards/stores.json",
];
/// What stands in a query for the choice of a namespace; a deployment without any is in all of them.
const CHOICE: (&str, &str) = ("IN", "namespace=~\"$namespace\"");
/// The width and height of a panel; 24 are as wide as the page.
const SIZE: (usize, usize) = (8, 8);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Boards {
    board: Vec<Board>,
}

/// A dashboard.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Board {
    name: String,
    title: String,
    panel: Vec<Panel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Panel {
    title: String,
    says: String,
    /// The unit, of Grafana.
    #[serde(default)]
    is: String,
    /// What the lines are called, and their expression.
    queries: Vec<(String, String)>,
}

/// Every dashboard's file with its text.
pub(super) fn files(workspace: &Workspace) -> Result<Vec<(&'static str, String)>> {
    let boards = read(workspace)?;
    ensure!(
        boards.len() == FILES.len(),
        "{BOARDS} has {} dashboards, and there are {} files",
        boards.len(),
        FILES.len()
    );
    let file = |board: &Board| {
        let file = FILES.into_iter().find(|file| file.ends_with(&format!("/{}.json", board.name)));
        Ok((
            file.with_context(|| format!("{BOARDS}: {} has no file", board.name))?,
            format!("{:#}\n", page(board)),
        ))
    };
    boards.iter().map(file).collect()
}

/// Every query, with the dashboard and the panel that it is in.
pub(crate) fn queries(workspace: &Workspace) -> Result<Vec<(String, String)>> {
    let boards = read(workspace)?;
    let panels = boards.iter().flat_map(|board| board.panel.iter().map(|panel| (&board.name, panel)));
    let queries = panels.flat_map(|(board, panel)| {
        panel.queries.iter().map(move |(_, query)| (format!("{board}, {}", panel.title), chosen(query)))
    });
    Ok(queries.collect())
}

fn read(workspace: &Workspace) -> Result<Vec<Board>> {
    let text = std::fs::read_to_string(workspace.root.join(BOARDS))
        .with_context(|| format!("cannot read {BOARDS}"))?;
    let boards: Boards = toml::from_str(&text).with_context(|| BOARDS.to_owned())?;
    Ok(boards.board)
}

fn chosen(query: &str) -> String {
    query.replace(&format!("{{{}", CHOICE.0), &format!("{{{}", CHOICE.1))
}

fn page(board: &Board) -> Value {
    let source = json!({ "type": "prometheus", "uid": "${datasource}" });
    let panels: Vec<_> = board.panel.iter().enumerate().map(|(n, panel)| shown(n, panel, &source)).collect();
    json!({
        "uid": format!("roamline-{}", board.name),
        "title": board.title,
        "tags": ["roamline"],
        "editable": true,
        "graphTooltip": 1,
        "schemaVersion": 39,
        "refresh": "30s",
        "time": { "from": "now-6h", "to": "now" },
        "templating": { "list": [
            { "name": "datasource", "label": "Source", "type": "datasource", "query": "prometheus" },
            {
                "name": "namespace", "label": "Namespace", "type": "query", "datasource": source,
                "query": "label_values(roamline_ready, namespace)", "refresh": 2, "sort": 1,
                "includeAll": true, "allValue": ".*", "multi": false,
                "current": { "text": "All", "value": "$__all" },
            },
        ] },
        "panels": panels,
    })
}

fn shown(number: usize, panel: &Panel, source: &Value) -> Value {
    let (width, height) = SIZE;
    let in_a_row = 24 / width;
    let targets = panel.queries.iter().zip('A'..='Z').map(|((name, query), letter)| {
        json!({ "refId": letter, "datasource": source, "expr": chosen(query), "legendFormat": name })
    });
    json!({
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.says,
        "datasource": source,
        "gridPos": { "x": number % in_a_row * width, "y": number / in_a_row * height, "w": width, "h": height },
        "fieldConfig": { "defaults": { "unit": panel.is, "min": 0 }, "overrides": [] },
        "targets": targets.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panel_has_its_place_its_queries_and_the_choice_of_a_namespace() {
        let panel = |title: &str| Panel {
            title: title.into(),
            says: "s".into(),
            is: "s".into(),
            queries: vec![("{{pod}}".into(), "rate(roamline_x_total{IN, a=\"b\"}[5m])".into())],
        };
        let board = Board {
            name: "n".into(),
            title: "t".into(),
            panel: vec![panel("a"), panel("b"), panel("c"), panel("d")],
        };
        let page = page(&board);
        assert_eq!(page["panels"][3]["gridPos"], json!({ "x": 0, "y": 8, "w": 8, "h": 8 }));
        let target = &page["panels"][0]["targets"][0];
        assert_eq!(target["expr"], "rate(roamline_x_total{namespace=~\"$namespace\", a=\"b\"}[5m])");
        assert_eq!((&target["refId"], &target["legendFormat"]), (&json!("A"), &json!("{{pod}}")));
    }
}
