//! What becomes of each resource: what the server says of it, which fields change, and how that is told.

use serde_json::{Value, json};
use similar::TextDiff;

use super::kinds::Kind;
use super::shown;
use crate::exit::Failure;

/// How much of a value a change repeats.
const SHOWN: usize = 60;

/// What becomes of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Created,
    Updated,
    Unchanged,
    Deleted,
}

impl Outcome {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Deleted => "deleted",
        }
    }
}

/// A resource and what becomes of it.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) kind: Kind,
    pub(super) key: String,
    pub(super) outcome: Outcome,
    /// Where it is declared; `None` for one that is deleted.
    pub(super) place: Option<String>,
    /// As it is stored, without defaults; present where that matters.
    pub(super) stored: Option<Value>,
    /// As it is declared, without defaults.
    pub(super) wanted: Option<Value>,
}

impl Change {
    pub(super) fn title(&self) -> String {
        self.kind.title(&self.key)
    }

    /// The fields that an update changes, with what they were and will be.
    pub(super) fn fields(&self) -> Vec<String> {
        let mut found = Vec::new();
        if let (Outcome::Updated, Some(stored), Some(wanted)) = (self.outcome, &self.stored, &self.wanted) {
            compare("", Some(stored), Some(wanted), &mut found);
        }
        found
    }

    /// A unified difference, in the form of an export; empty when nothing changes.
    pub(super) fn diff(&self) -> Result<String, Failure> {
        if self.outcome == Outcome::Unchanged {
            return Ok(String::new());
        }
        let text = |value: Option<&Value>| {
            value.map(|value| shown::yaml(self.kind, value)).transpose().map(Option::unwrap_or_default)
        };
        let stored = if self.outcome == Outcome::Created { None } else { self.stored.as_ref() };
        let (was, is) = (text(stored)?, text(self.wanted.as_ref())?);
        let named = |there: bool, name: String| if there { name } else { "/dev/null".to_owned() };
        let old = named(stored.is_some(), format!("stored {}", self.title()));
        let place = self.place.as_deref().unwrap_or_default();
        let new = named(self.wanted.is_some(), format!("{place} {}", self.title()));
        let text = TextDiff::from_lines(&was, &is).unified_diff().header(&old, &new).to_string();
        // The server reads what is declared; a name in another spelling is no difference to it, and none to show.
        Ok(if text.is_empty() { format!("--- {old}\n+++ {new}\n") } else { text })
    }

    /// As JSON, for programs.
    pub(super) fn json(&self) -> Value {
        json!({
            "kind": self.kind.name(),
            "name": self.key,
            "outcome": self.outcome.word(),
            "place": self.place,
            "changes": self.fields(),
        })
    }
}

/// Goes down to what differs.
fn compare(path: &str, was: Option<&Value>, is: Option<&Value>, found: &mut Vec<String>) {
    match (was, is) {
        (Some(was), Some(is)) if was == is => {}
        (Some(Value::Object(was)), Some(Value::Object(is))) => {
            let mut names: Vec<&String> = was.keys().chain(is.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                compare(&inner, was.get(name), is.get(name), found);
            }
        }
        (Some(Value::Array(was)), Some(Value::Array(is))) if was.len() == is.len() => {
            for (index, (was, is)) in was.iter().zip(is).enumerate() {
                compare(&format!("{path}[{index}]"), Some(was), Some(is), found);
            }
        }
        (was, is) => found.push(format!("{path}: {} -> {}", brief(was), brief(is))),
    }
}

fn brief(value: Option<&Value>) -> String {
    match value {
        None => "(default)".to_owned(),
        Some(Value::Array(items)) if items.iter().any(Value::is_object) => match items.len() {
            1 => "1 entry".to_owned(),
            number => format!("{number} entries"),
        },
        Some(value) => {
            let text = value.to_string();
            let cut: String = text.chars().take(SHOWN).collect();
            if cut.len() < text.len() { format!("{cut}…") } else { text }
        }
    }
}

/// One line for each resource, one below it for each field that changes, and the numbers.
pub(super) fn report(changes: &[Change], dry_run: bool) -> String {
    let mut text = String::new();
    for change in changes {
        let place = change.place.as_ref().map(|place| format!("  ({place})")).unwrap_or_default();
        text.push_str(&format!("{:<10} {}{place}\n", change.outcome.word(), change.title()));
        for field in change.fields() {
            text.push_str(&format!("             {field}\n"));
        }
    }
    let end = if dry_run { "; a dry run: nothing was changed" } else { "" };
    text.push_str(&format!("{}{end}", numbers(changes)));
    text
}

/// `2 created, 1 updated, 0 unchanged, 0 deleted`.
pub(super) fn numbers(changes: &[Change]) -> String {
    let all = [Outcome::Created, Outcome::Updated, Outcome::Unchanged, Outcome::Deleted];
    let count = |outcome| changes.iter().filter(|change| change.outcome == outcome).count();
    all.map(|outcome| format!("{} {}", count(outcome), outcome.word())).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(outcome: Outcome, stored: Option<Value>, wanted: Option<Value>) -> Change {
        let place = wanted.is_some().then(|| "a.yaml:1".to_owned());
        Change { kind: Kind::Line, key: "2001".into(), outcome, place, stored, wanted }
    }

    #[test]
    fn an_update_tells_which_fields_change() {
        let was =
            json!({"name": "2001", "description": "a", "settings": {"lines": [{"maxCalls": 1}], "x": [{}]}});
        let is = json!({"name": "2001", "settings": {"lines": [{"maxCalls": 4}], "x": [{}, {}]}});
        let fields = change(Outcome::Updated, Some(was), Some(is)).fields();
        let expected = [
            "description: \"a\" -> (default)",
            "settings.lines[0].maxCalls: 1 -> 4",
            "settings.x: 1 entry -> 2 entries",
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn a_difference_has_the_form_of_an_export_and_its_places() {
        let (was, is) =
            (json!({"name": "2001", "description": "a"}), json!({"name": "2001", "description": "b"}));
        let changes = [
            change(Outcome::Updated, Some(was.clone()), Some(is.clone())),
            change(Outcome::Created, None, Some(is)),
            change(Outcome::Deleted, Some(was.clone()), None),
            change(Outcome::Unchanged, None, Some(was)),
        ];
        let text: String = changes.iter().map(|change| change.diff().unwrap()).collect();
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_report_ends_with_the_numbers() {
        let text = report(&[change(Outcome::Created, None, Some(json!({"name": "2001"})))], true);
        let expected = "created    Line 2001  (a.yaml:1)\n1 created, 0 updated, 0 unchanged, 0 deleted; a dry run: nothing was changed";
        assert_eq!(text, expected);
    }
}
