//! What a contact centre asks of an agent's lines (CC-1 to CC-3), and what is done about a profile that breaks it
//! (CC-5). The same check runs when a profile is stored and when it is worn.

use crate::appearance::{CallLimits, LineTemplates, limits};
use crate::directory::{AgentSettings, LineControl, UserDeviceProfile};
use crate::layout::joined;
use crate::parameters::ContactCentrePolicy;
use crate::settings::ProfileLine;

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing is refused for it.
    Warning,
    /// A value was set to what the rule asks.
    Corrected,
    /// Refused.
    Error,
}

/// A rule that a resource breaks, or that was set right for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule's id: "CC-2".
    pub rule: &'static str,
    /// Path of the field: `settings.lines[2].max_calls`; the whole line where both of its values are wrong.
    pub field: String,
    /// What is wrong, in a sentence.
    pub message: String,
    /// How grave it is.
    pub severity: Severity,
}

/// CC-2.
const MULTI_LINE: CallLimits = CallLimits { max_calls: 2, busy_trigger: 1 };
/// CC-3.
const SINGLE_LINE_SECONDARY: CallLimits = CallLimits { max_calls: 4, busy_trigger: 2 };

/// A line of an agent's profile that breaks CC-2 or CC-3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenLine {
    /// "CC-2" or "CC-3".
    pub rule: &'static str,
    /// Its place in the profile's list, from 0.
    pub index: usize,
    /// The line as one reads it: "2005+2006".
    pub lines: String,
    /// Path of the field, as in [`Finding`].
    pub field: String,
    /// What the rule asks.
    pub wanted: CallLimits,
    /// What the profile has.
    pub has: CallLimits,
}

impl BrokenLine {
    fn finding(&self, severity: Severity) -> Finding {
        let Self { wanted, has, .. } = self;
        let kind = if self.rule == "CC-2" { "line" } else { "secondary line" };
        let message = format!(
            "{kind} {} has maximum calls {} and busy trigger {}; an agent's must have {} and {}",
            self.lines, has.max_calls, has.busy_trigger, wanted.max_calls, wanted.busy_trigger
        );
        Finding { rule: self.rule, field: self.field.clone(), message, severity }
    }
}

/// A profile as it may be worn or stored, with what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enforced {
    /// The profile, set right where the policy says so.
    pub profile: UserDeviceProfile,
    /// What was warned of or corrected.
    pub findings: Vec<Finding>,
}

/// Every line that breaks CC-2 or CC-3, in the profile's order; none when the profile is not an agent's (CC-1). What a
/// line leaves to its template is judged as the template has it (DP-21); a line whose template is not there is not
/// judged.
pub fn findings(profile: &UserDeviceProfile, templates: &dyn LineTemplates) -> Vec<BrokenLine> {
    let Some(agent) = &profile.agent else { return Vec::new() };
    let lines = profile.settings.lines.iter().enumerate();
    lines.filter_map(|(index, line)| broken(agent, index, line, templates)).collect()
}

/// The profile under that policy (CC-5): refused, set right, or let through with a warning. What is set right is the
/// line's own, whatever its template says.
///
/// # Errors
/// Every broken line, when the policy is to reject.
pub fn enforce(
    mut profile: UserDeviceProfile,
    policy: ContactCentrePolicy,
    templates: &dyn LineTemplates,
) -> Result<Enforced, Vec<Finding>> {
    let broken = findings(&profile, templates);
    let severity = match policy {
        ContactCentrePolicy::Reject => Severity::Error,
        ContactCentrePolicy::Correct => Severity::Corrected,
        ContactCentrePolicy::Warn => Severity::Warning,
    };
    let findings: Vec<Finding> = broken.iter().map(|line| line.finding(severity)).collect();
    if policy == ContactCentrePolicy::Reject && !findings.is_empty() {
        return Err(findings);
    }
    if policy == ContactCentrePolicy::Correct {
        for line in broken {
            if let Some(entry) = profile.settings.lines.get_mut(line.index) {
                entry.appearance.max_calls = line.wanted.max_calls;
                entry.appearance.busy_trigger = line.wanted.busy_trigger;
            }
        }
    }
    Ok(Enforced { profile, findings })
}

fn broken(
    agent: &AgentSettings,
    index: usize,
    line: &ProfileLine,
    templates: &dyn LineTemplates,
) -> Option<BrokenLine> {
    let (rule, wanted) = match agent.line_control {
        LineControl::MultiLine => ("CC-2", MULTI_LINE),
        LineControl::SingleLine if line.lines.contains(&agent.acd_line) => return None,
        LineControl::SingleLine => ("CC-3", SINGLE_LINE_SECONDARY),
    };
    let has = limits(line, templates)?;
    let part = match (has.max_calls != wanted.max_calls, has.busy_trigger != wanted.busy_trigger) {
        (false, false) => return None,
        (true, true) => "",
        (true, false) => ".max_calls",
        (false, true) => ".busy_trigger",
    };
    let field = format!("settings.lines[{index}]{part}");
    Some(BrokenLine { rule, index, lines: joined(&line.lines), field, wanted, has })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::directory::LineTemplate;
    use crate::name::RecordName;
    use crate::render::fixture::{any_lines, line, line_template, profile};
    use crate::settings::LineKind;

    fn none() -> BTreeMap<RecordName, LineTemplate> {
        BTreeMap::new()
    }

    fn agent(line_control: LineControl, limits: &[(u32, u32)]) -> UserDeviceProfile {
        let mut profile = profile("agent");
        profile.agent = Some(AgentSettings { line_control, acd_line: "2100".parse().unwrap() });
        for (index, (max_calls, busy_trigger)) in limits.iter().enumerate() {
            let mut line = line(LineKind::Normal, &[&format!("21{index:02}")]);
            line.appearance.max_calls = *max_calls;
            line.appearance.busy_trigger = *busy_trigger;
            profile.settings.lines.push(line);
        }
        profile
    }

    #[test]
    fn cc_2_names_every_line_of_a_multi_line_agent_that_is_wrong() {
        let found = findings(&agent(LineControl::MultiLine, &[(2, 1), (4, 2), (2, 2), (3, 1)]), &none());
        let named: Vec<_> =
            found.iter().map(|line| (line.rule, line.lines.as_str(), line.field.as_str())).collect();
        assert_eq!(
            named,
            [
                ("CC-2", "2101", "settings.lines[1]"),
                ("CC-2", "2102", "settings.lines[2].busy_trigger"),
                ("CC-2", "2103", "settings.lines[3].max_calls"),
            ]
        );
    }

    #[test]
    fn cc_3_asks_nothing_of_the_acd_line_and_four_and_two_of_the_others() {
        let found = findings(&agent(LineControl::SingleLine, &[(1, 1), (4, 2), (2, 1)]), &none());
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].rule, found[0].index, found[0].wanted), ("CC-3", 2, SINGLE_LINE_SECONDARY));
    }

    #[test]
    fn cc_1_only_an_agents_profile_is_looked_at() {
        let mut profile = agent(LineControl::MultiLine, &[(9, 9)]);
        profile.agent = None;
        assert!(findings(&profile, &none()).is_empty());
    }

    #[test]
    fn cc_5_reject_refuses_with_every_broken_line_named() {
        let refused =
            enforce(agent(LineControl::MultiLine, &[(4, 2), (2, 2)]), ContactCentrePolicy::Reject, &none())
                .unwrap_err();
        assert_eq!(refused.len(), 2);
        assert!(refused.iter().all(|finding| finding.severity == Severity::Error));
        assert_eq!(
            refused[0].message,
            "line 2100 has maximum calls 4 and busy trigger 2; an agent's must have 2 and 1"
        );
    }

    #[test]
    fn cc_5_warn_reports_and_changes_nothing() {
        let profile = agent(LineControl::SingleLine, &[(2, 1), (2, 1)]);
        let enforced = enforce(profile.clone(), ContactCentrePolicy::Warn, &none()).unwrap();
        assert_eq!(enforced.profile, profile);
        assert_eq!(enforced.findings[0].severity, Severity::Warning);
        assert_eq!(enforced.findings[0].field, "settings.lines[1]");
    }

    #[test]
    fn dp_21_and_cc_2_what_a_template_gives_is_judged_and_set_right_on_the_line_itself() {
        let mut profile = agent(LineControl::MultiLine, &[(2, 1), (0, 0), (0, 0)]);
        profile.settings.lines[1].template = Some("agents".parse().unwrap());
        profile.settings.lines[2].template = Some("gone".parse().unwrap());
        let of_two = BTreeMap::from([("agents".parse().unwrap(), line_template("agents", "", 2, 1))]);
        assert!(findings(&profile, &of_two).is_empty(), "and what is not known is not judged");
        let of_four = BTreeMap::from([("agents".parse().unwrap(), line_template("agents", "", 4, 1))]);
        let found = findings(&profile, &of_four);
        assert_eq!((found.len(), found[0].field.as_str()), (1, "settings.lines[1].max_calls"));
        let enforced = enforce(profile, ContactCentrePolicy::Correct, &of_four).unwrap();
        assert_eq!(enforced.profile.settings.lines[1].appearance.max_calls, 2);
        assert!(findings(&enforced.profile, &of_four).is_empty());
    }

    proptest! {
        #[test]
        fn cc_5_a_corrected_profile_breaks_nothing_and_differs_in_nothing_else(lines in any_lines(), single in any::<bool>()) {
            let control = if single { LineControl::SingleLine } else { LineControl::MultiLine };
            let mut profile = agent(control, &[(1, 1)]);
            profile.settings.lines.extend(lines);
            let wrong = findings(&profile, &none());
            let enforced = enforce(profile.clone(), ContactCentrePolicy::Correct, &none()).unwrap();
            prop_assert_eq!(enforced.findings.len(), wrong.len());
            prop_assert!(findings(&enforced.profile, &none()).is_empty());
            prop_assert!(enforce(enforced.profile.clone(), ContactCentrePolicy::Reject, &none()).is_ok());
            let mut back = enforced.profile;
            for line in wrong {
                back.settings.lines[line.index].appearance = profile.settings.lines[line.index].appearance.clone();
            }
            prop_assert_eq!(back, profile);
        }
    }
}
