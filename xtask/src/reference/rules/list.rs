//! The list of rules, as `docs/rules.toml` holds it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::id::Id;

/// Families whose rules must be there.
const DUE: [&str; 4] = ["DP", "LL", "CC", "SP"];
/// The rule of them that may come later.
const EXCUSED: &str = "CC-9";

/// What the list says about one rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    /// What it says, in short.
    pub(super) title: String,
    /// It is not there yet.
    #[serde(default)]
    pub(super) planned: bool,
}

/// Whether the rule belongs to those that must be there.
pub(super) fn is_due(id: Id) -> bool {
    DUE.contains(&id.family())
}

/// Reads the list.
///
/// # Errors
/// What is no id, has no title, or may not be planned.
pub(super) fn parse(text: &str) -> Result<BTreeMap<Id, Rule>> {
    let named: BTreeMap<String, Rule> = toml::from_str(text)?;
    let mut list = BTreeMap::new();
    for (name, rule) in named {
        let id: Id = name.parse()?;
        ensure!(!rule.title.trim().is_empty(), "{id} has no title");
        ensure!(!rule.planned || !is_due(id) || name == EXCUSED, "{id} may not be planned");
        list.insert(id, rule);
    }
    list.first_key_value().context("the list is empty")?;
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn rules_are_in_the_order_of_families_and_numbers() {
        let text = "XC-1 = { title = \"c\", planned = true }\nDP-10.title = \"b\"\n[DP-9]\ntitle = \"a\"\n";
        let list = parse(text).unwrap();
        let shown: Vec<_> = list.iter().map(|(id, rule)| format!("{id} {}", rule.title)).collect();
        assert_eq!(shown, ["DP-9 a", "DP-10 b", "XC-1 c"]);
    }

    #[test]
    fn a_rule_that_must_be_there_may_not_be_planned() {
        let planned = |id: &str| format!("{id} = {{ title = \"t\", planned = true }}");
        for id in ["DP-1", "LL-1", "CC-8", "SP-21"] {
            assert_eq!(refusal(&planned(id)), format!("{id} may not be planned"));
        }
        for id in ["CC-9", "LI-1", "LO-1", "EV-1", "XC-1"] {
            assert!(parse(&planned(id)).is_ok(), "{id}");
        }
    }

    #[test]
    fn what_is_no_list_of_rules_is_refused() {
        assert!(refusal("DP8 = { title = \"t\" }").contains("no id of a rule"));
        assert!(refusal("DP-8 = { title = \" \" }").contains("DP-8 has no title"));
        assert!(refusal("DP-8 = { }").contains("missing field `title`"));
        assert!(refusal("DP-8 = { title = \"t\", plan = true }").contains("unknown field `plan`"));
        assert!(refusal("DP-8.title = \"t\"\n[DP-8]\ntitle = \"u\"").contains("duplicate"));
        assert_eq!(refusal(""), "the list is empty");
    }
}
