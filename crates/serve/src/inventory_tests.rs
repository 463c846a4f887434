//! The inventory is whole, used, and the one that the reference shows.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::*;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The text of every source below a folder, but for this crate's inventory.
fn sources(folder: &Path, found: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !["target", "tests", "benches"].contains(&name.as_str()) {
            sources(&path, found);
        } else if name.ends_with(".rs") && !name.starts_with("inventory") {
            found.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// The names of the instruments in the inventory's own source.
fn instruments() -> Vec<&'static str> {
    let source = include_str!("inventory.rs");
    let all = source.split("pub static ").skip(1).filter_map(|rest| rest.split(':').next());
    all.filter(|name| *name != "ALL").collect()
}

#[test]
fn each_metric_is_listed_once_and_recorded_by_something() {
    let names: BTreeSet<_> = ALL.iter().map(|entry| entry.name).collect();
    assert_eq!((names.len(), ALL.len()), (instruments().len(), instruments().len()));
    let mut text = String::new();
    for folder in ["crates", "services"] {
        sources(&root().join(folder), &mut text);
    }
    let words: BTreeSet<_> = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let unused: Vec<_> = instruments().into_iter().filter(|name| !words.contains(name)).collect();
    assert!(unused.is_empty(), "nothing records {unused:?}");
}

#[test]
fn names_are_of_one_style_and_labels_are_closed() {
    let is_name = |name: &str| {
        name.split('.').all(|word| {
            !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        })
    };
    for entry in ALL {
        let ours = entry.name.strip_prefix("roamline.").unwrap_or(entry.name);
        assert!(is_name(entry.name) && ours.split('.').count() <= 4, "{}", entry.name);
        for (label, values) in entry.labels {
            assert!(is_name(label), "{} {label}", entry.name);
            // The name of a user, and of a phone.
            assert!(matches!(values, Clusters | Words) || !values.have("agent7"), "{} {label}", entry.name);
            assert!(
                matches!(values, Clusters | Words) || !values.have("SEP000DEDAB3566"),
                "{} {label}",
                entry.name
            );
        }
    }
    assert!(LOGINS.entry().takes(&[("result", "refused"), ("reason", "CREDENTIAL_REFUSED")]));
    assert!(!LOGINS.entry().takes(&[("result", "refused"), ("user", "agent7")]));
    assert!(LOGOUTS.entry().takes(&[("reason", "MAXIMUM_TIME")]));
    assert!(SERVER_CALLS.entry().takes(&[("rpc.method", "roamline.session.v1.SessionService/Login")]));
}

fn page() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         Written by `cargo xtask gen` from `crates/serve/src/inventory.rs`. Names are as the admin port shows them\n\
         (`/metrics`); over OTLP they are dotted, without the ending of their unit and without `_total`. A histogram has the\n\
         series `_bucket`, `_sum` and `_count`. A metric is there once it was recorded. No label holds the name of a user or\n\
         of a phone.\n\n\
         | metric | kind | of | labels | what it says |\n| --- | --- | --- | --- | --- |\n",
    );
    for entry in ALL {
        let kind = format!("{:?}", entry.kind).to_lowercase();
        let labels: Vec<_> = entry
            .labels
            .iter()
            .map(|(name, values)| format!("`{}`: {}", name.replace('.', "_"), said(*values)))
            .collect();
        let (name, of, labels) = (entry.exposed(), entry.of, labels.join("; "));
        writeln!(page, "| `{name}` | {kind} | {of} | {labels} | {} |", entry.says).unwrap();
    }
    page
}

fn said(values: Values) -> String {
    match values {
        OneOf(OPERATIONS) => "store and operation, such as `session.commit`".into(),
        OneOf(values) => values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", "),
        Reasons => "a reason of [errors.md](errors.md), `OK` or nothing".into(),
        Logouts => "a `LogoutReason` of [rpcs.md](rpcs.md)".into(),
        Methods => {
            "an RPC of [rpcs.md](rpcs.md), such as `roamline.session.v1.SessionService/Login`, or `_OTHER`"
                .into()
        }
        Codes => "a status of gRPC, such as `UNAVAILABLE`".into(),
        Clusters => "the id of a cluster".into(),
        Words => "as it is".into(),
    }
}

/// `cargo xtask gen` sets the variable, and has the page written instead.
#[test]
fn the_page_of_metrics_is_the_one_that_is_kept() {
    let path = root().join("docs/reference/metrics.md");
    if std::env::var_os("ROAMLINE_WRITE_REFERENCE").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == page(), "{} is out of date: run `cargo xtask gen`", path.display());
}
