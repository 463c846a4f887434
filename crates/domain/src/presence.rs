//! Whose state a busy lamp may show (DP-12).

use std::collections::BTreeMap;

use crate::directory::{Line, PresenceGroup};
use crate::name::{LineName, RecordName};

/// The name of a group; none is `standard`.
pub fn group_name(group: Option<&RecordName>) -> &str {
    group.map_or(PresenceGroup::STANDARD, RecordName::as_str)
}

/// Whether those of one group may see the state of lines of another: of their own always, of others as the record of
/// theirs says.
pub fn may_see(
    groups: &BTreeMap<RecordName, PresenceGroup>,
    viewer: Option<&RecordName>,
    target: Option<&RecordName>,
) -> bool {
    let (viewer, target) = (group_name(viewer), group_name(target));
    let sees = || {
        let record = groups.values().find(|group| group.name.as_str() == viewer);
        record.is_some_and(|group| group.sees.iter().any(|name| name.as_str() == target))
    };
    viewer == target || sees()
}

/// The line that a dialled number means, of those that are known: the one in no partition, else that in the least
/// partition. A number alone does not say more.
pub fn line_of_number<'a>(lines: &'a BTreeMap<LineName, Line>, number: &str) -> Option<&'a Line> {
    // Names sort by their bytes: `NUMBER` comes before every `NUMBER@PARTITION`.
    lines.iter().find(|(name, _)| name.number() == number).map(|(_, line)| line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::render::fixture::presence_group;

    fn groups(groups: &[(&str, &[&str])]) -> BTreeMap<RecordName, PresenceGroup> {
        groups
            .iter()
            .map(|(name, sees)| presence_group(name, sees))
            .map(|group| (group.name.clone(), group))
            .collect()
    }

    fn name(name: &str) -> Option<RecordName> {
        (!name.is_empty()).then(|| name.parse().unwrap())
    }

    #[test]
    fn dp_12_a_group_sees_itself_and_those_it_names() {
        let known = groups(&[("agents", &["standard", "desk"]), ("desk", &[])]);
        for (viewer, target, expected) in [
            ("agents", "agents", true),
            ("agents", "desk", true),
            ("agents", "", true),
            ("agents", "managers", false),
            ("desk", "agents", false),
            ("", "", true),
            ("", "desk", false),
            ("gone", "desk", false),
        ] {
            let seen = may_see(&known, name(viewer).as_ref(), name(target).as_ref());
            assert_eq!(seen, expected, "{viewer:?} sees {target:?}");
        }
        let standard = groups(&[("standard", &["desk"])]);
        assert!(may_see(&standard, None, name("desk").as_ref()), "`standard` may have a record");
        assert!(may_see(&groups(&[]), None, name("standard").as_ref()), "and needs none");
    }

    #[test]
    fn dp_12_a_number_means_its_line_in_no_partition_or_else_in_the_least() {
        let lines = |names: &[&str]| -> BTreeMap<LineName, Line> {
            names
                .iter()
                .map(|name| Line::new(name.parse().unwrap()))
                .map(|line| (line.name.clone(), line))
                .collect()
        };
        let meant = |names: &[&str]| line_of_number(&lines(names), "2001").map(|line| line.name.to_string());
        assert_eq!(meant(&["2001@a", "2001", "20011"]), Some("2001".into()));
        assert_eq!(meant(&["2001@b", "2001@a", "2000"]), Some("2001@a".into()));
        assert_eq!(meant(&["20011", "200"]), None);
    }

    proptest! {
        #[test]
        fn dp_12_without_a_record_nobody_sees_but_his_own(viewer in "[a-c]?", target in "[a-c]?") {
            prop_assert_eq!(may_see(&groups(&[]), name(&viewer).as_ref(), name(&target).as_ref()), viewer == target);
        }
    }
}
