//! How a line appears on a device: what its entry says, else its line template (DP-21), else the line's own record
//! (LL-7), else the values that a new line has.

use std::collections::BTreeMap;

use crate::directory::{Line, LineTemplate};
use crate::name::RecordName;
use crate::settings::{LineAppearance, ProfileLine};

/// Line templates by name.
pub trait LineTemplates {
    /// The template of that name, if it is there.
    fn line_template(&self, name: &RecordName) -> Option<&LineTemplate>;
}

impl LineTemplates for BTreeMap<RecordName, LineTemplate> {
    fn line_template(&self, name: &RecordName) -> Option<&LineTemplate> {
        self.get(name)
    }
}

/// Who gives a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Giver {
    /// The entry itself.
    Entry,
    /// Its line template.
    Template,
    /// The line's own record.
    Line,
    /// Nobody: the value that a new line has.
    Default,
}

/// A value and who gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given<T> {
    /// The value.
    pub value: T,
    /// Who gives it.
    pub by: Giver,
}

/// How many calls a line takes on a device (CC-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallLimits {
    /// Calls at most at once.
    pub max_calls: u32,
    /// Calls from which on the line is busy.
    pub busy_trigger: u32,
}

/// How an entry appears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appearance {
    /// The text beside the button; empty for the number itself.
    pub label: Given<String>,
    /// Calls at most at once.
    pub max_calls: Given<u32>,
    /// Calls from which on the line is busy.
    pub busy_trigger: Given<u32>,
}

impl Appearance {
    /// Its two limits.
    pub fn limits(&self) -> CallLimits {
        CallLimits { max_calls: self.max_calls.value, busy_trigger: self.busy_trigger.value }
    }

    /// The values alone.
    pub fn values(&self) -> LineAppearance {
        let CallLimits { max_calls, busy_trigger } = self.limits();
        LineAppearance { label: self.label.value.clone(), max_calls, busy_trigger }
    }
}

/// How an entry appears. Without a template its limits are its own; with one, an empty label and zeros are left to the
/// template, and what that does not say has the values of a new line (DP-21). `template` is the record that the entry
/// names, `line` that of its first line.
pub fn appearance(entry: &ProfileLine, template: Option<&LineTemplate>, line: Option<&Line>) -> Appearance {
    let defaults = LineAppearance::default();
    let template = template.filter(|_| entry.template.is_some());
    let own = &entry.appearance;
    let limit = |own: u32, template: Option<u32>, default: u32| match (own, template) {
        (0, Some(value)) => Given { value, by: Giver::Template },
        (0, None) if entry.template.is_some() => Given { value: default, by: Giver::Default },
        _ => Given { value: own, by: Giver::Entry },
    };
    Appearance {
        label: label(&own.label, template, line),
        max_calls: limit(own.max_calls, template.and_then(|t| t.max_calls), defaults.max_calls),
        busy_trigger: limit(own.busy_trigger, template.and_then(|t| t.busy_trigger), defaults.busy_trigger),
    }
}

/// The limits of an entry, or `None` where it names a template that is not there: what it would say is not known.
pub fn limits(entry: &ProfileLine, templates: &dyn LineTemplates) -> Option<CallLimits> {
    let template = match &entry.template {
        Some(name) => Some(templates.line_template(name)?),
        None => None,
    };
    Some(appearance(entry, template, None).limits())
}

/// LL-7: the display name is the line's own, and stands wherever nothing else gives a label.
fn label(own: &str, template: Option<&LineTemplate>, line: Option<&Line>) -> Given<String> {
    let of_template = template.and_then(|template| template.label.as_deref()).unwrap_or_default();
    let of_line = line.map(|line| line.display_name.as_str()).unwrap_or_default();
    let given = [(own, Giver::Entry), (of_template, Giver::Template), (of_line, Giver::Line)];
    given.into_iter().find(|(text, _)| !text.is_empty()).map_or(
        Given { value: String::new(), by: Giver::Default },
        |(text, by)| Given { value: text.to_owned(), by },
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::render::fixture::{line, line_template};
    use crate::settings::LineKind;

    fn entry(label: &str, max_calls: u32, busy_trigger: u32, templated: bool) -> ProfileLine {
        ProfileLine {
            appearance: LineAppearance { label: label.into(), max_calls, busy_trigger },
            template: templated.then(|| "agents".parse().unwrap()),
            ..line(LineKind::Normal, &["2001"])
        }
    }

    fn named(display_name: &str) -> Line {
        Line { display_name: display_name.into(), ..Line::new("2001".parse().unwrap()) }
    }

    #[test]
    fn dp_21_what_an_entry_says_itself_wins_over_its_template() {
        let template = line_template("agents", "Queue", 4, 2);
        let own = appearance(&entry("Mine", 6, 5, true), Some(&template), Some(&named("Ann")));
        assert_eq!(own.values(), LineAppearance { label: "Mine".into(), max_calls: 6, busy_trigger: 5 });
        let left = appearance(&entry("", 0, 0, true), Some(&template), Some(&named("Ann")));
        assert_eq!(left.values(), LineAppearance { label: "Queue".into(), max_calls: 4, busy_trigger: 2 });
        assert_eq!((left.label.by, left.max_calls.by), (Giver::Template, Giver::Template));
    }

    #[test]
    fn dp_21_what_the_template_leaves_open_has_the_values_of_a_new_line() {
        let silent = line_template("agents", "", 0, 0);
        let found = appearance(&entry("", 0, 0, true), Some(&silent), None);
        assert_eq!(found.values(), LineAppearance::default());
        assert_eq!((found.max_calls.by, found.busy_trigger.by), (Giver::Default, Giver::Default));
        assert_eq!(
            limits(&entry("", 0, 0, true), &BTreeMap::new()),
            None,
            "an unknown template says nothing"
        );
    }

    #[test]
    fn ll_7_the_lines_own_name_stands_beside_the_button_where_nothing_else_does() {
        let of_line = appearance(&entry("", 2, 1, false), None, Some(&named("Ann")));
        assert_eq!(of_line.label, Given { value: "Ann".into(), by: Giver::Line });
        let nothing = appearance(&entry("", 2, 1, false), None, Some(&named("")));
        assert_eq!(nothing.label, Given { value: String::new(), by: Giver::Default });
    }

    proptest! {
        #[test]
        fn dp_21_every_value_is_that_of_its_giver(
            own in ("[a-c]?", 0u32..4, 0u32..4), given in ("[d-f]?", 0u32..4, 0u32..4),
            templated in any::<bool>(), name in "[g-i]?",
        ) {
            let template = line_template("agents", &given.0, given.1, given.2);
            let entry = entry(&own.0, own.1, own.2, templated);
            let found = appearance(&entry, Some(&template), Some(&named(&name)));
            let label = match found.label.by {
                Giver::Entry => own.0.clone(),
                Giver::Template => given.0.clone(),
                Giver::Line => name,
                Giver::Default => String::new(),
            };
            prop_assert_eq!(&found.label.value, &label);
            for (limit, own, given, default) in
                [(found.max_calls, own.1, given.1, 2), (found.busy_trigger, own.2, given.2, 1)]
            {
                prop_assert!(templated || limit.by == Giver::Entry);
                prop_assert_eq!(limit.by == Giver::Entry, !templated || own > 0);
                let value = match limit.by { Giver::Entry => own, Giver::Template => given, _ => default };
                prop_assert_eq!(limit.value, value);
            }
        }
    }
}
