//! What calls go by while a user is logged in elsewhere: emergency and local calls belong to the visiting side (XC-7).

/// Search spaces in the order in which a number is looked for: adjunct of the roaming device pool, then those of the
/// lines, then the profile's for cross-cluster logins (XC-7). None is named twice; what is empty is left out.
pub fn search_order<'a>(
    adjunct: &'a str,
    lines: impl IntoIterator<Item = &'a str>,
    cross_cluster: &'a str,
) -> Vec<String> {
    in_order([adjunct].into_iter().chain(lines).chain([cross_cluster]))
}

/// Emergency numbers in the order in which they are known: the visiting side's first (XC-7). None is lost or told twice.
pub fn emergency_order<'a>(
    visiting: impl IntoIterator<Item = &'a str>,
    home: impl IntoIterator<Item = &'a str>,
) -> Vec<String> {
    in_order(visiting.into_iter().chain(home))
}

fn in_order<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut ordered: Vec<String> = Vec::new();
    for text in texts.filter(|text| !text.is_empty()) {
        if !ordered.iter().any(|known| known == text) {
            ordered.push(text.to_owned());
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn xc_7_numbers_are_looked_for_in_adjunct_line_and_emcc_search_space() {
        assert_eq!(search_order("de-emergency", ["line"], "emcc"), ["de-emergency", "line", "emcc"]);
        assert_eq!(search_order("", ["a", "", "a"], "a"), ["a"]);
    }

    proptest! {
        #[test]
        fn xc_7_the_visiting_sides_emergency_numbers_come_first_and_none_is_lost(
            visiting in proptest::collection::vec("[0-9]{1,3}", 0..6),
            home in proptest::collection::vec("[0-9]{1,3}", 0..6),
        ) {
            let ordered = emergency_order(visiting.iter().map(String::as_str), home.iter().map(String::as_str));
            for number in visiting.iter().chain(&home) {
                prop_assert_eq!(ordered.iter().filter(|known| *known == number).count(), 1);
            }
            let first = ordered.iter().take_while(|number| visiting.contains(number)).count();
            prop_assert!(ordered.iter().skip(first).all(|number| !visiting.contains(number)));
        }
    }
}
