//! Ids of rules, and where they stand in texts (`DP-8`) and in names of tests (`dp_8_`).

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Error, Result};

/// The families in the order of the page, with what each is about.
pub(super) const FAMILIES: [(&str, &str); 8] = [
    ("DP", "Profiles, phones and what hangs on them"),
    ("LL", "Lines and their layout on a phone"),
    ("CC", "Contact-centre rules"),
    ("SP", "Service parameters"),
    ("LI", "Login"),
    ("LO", "Logout"),
    ("EV", "What others are told"),
    ("XC", "Cross-cluster"),
];

/// Which rule; ordered as on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    family: usize,
    number: u32,
}

impl Id {
    /// The word before the hyphen.
    pub(super) fn family(self) -> &'static str {
        FAMILIES.get(self.family).map_or("", |(word, _)| *word)
    }

    fn new(word: &str, number: &str) -> Option<Self> {
        let family = FAMILIES.iter().position(|(known, _)| *known == word)?;
        let plain = number.chars().all(|c| c.is_ascii_digit()) && !number.starts_with('0');
        Some(Self { family, number: number.parse().ok().filter(|_| plain)? })
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.family(), self.number)
    }
}

impl FromStr for Id {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let read = text.split_once('-').and_then(|(word, number)| Self::new(word, number));
        read.with_context(|| format!("{text:?} is no id of a rule, such as \"DP-8\""))
    }
}

/// The rules that a text names.
pub(super) fn in_text(text: &str) -> BTreeSet<Id> {
    text.split(|c: char| !c.is_alphanumeric() && c != '-').filter_map(|word| word.parse().ok()).collect()
}

/// The rules that a function is named after.
pub(super) fn in_name(name: &str) -> BTreeSet<Id> {
    let words: Vec<_> = name.split('_').collect();
    let pairs = words.iter().zip(words.iter().skip(1));
    pairs.filter_map(|(word, number)| Id::new(&word.to_ascii_uppercase(), number)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(ids: &BTreeSet<Id>) -> Vec<String> {
        ids.iter().map(Id::to_string).collect()
    }

    #[test]
    fn ids_are_found_in_sentences_whatever_stands_around_them() {
        let text = "CC-2's twin (DP-10, `LL-3`), SP-1..SP-4; LI-2: \"EV-1\". DP-9/DP-2";
        assert_eq!(
            shown(&in_text(text)),
            ["DP-2", "DP-9", "DP-10", "LL-3", "CC-2", "SP-1", "SP-4", "LI-2", "EV-1"]
        );
        assert_eq!(shown(&in_text("UTF-8, DP-08, DP-, XDP-1, DP-1x, dp-1, DP-+1, AES-DP-1")), [""; 0]);
    }

    #[test]
    fn ids_are_found_in_names() {
        assert_eq!(shown(&in_name("sp_2_and_sp_3_are_refused")), ["SP-2", "SP-3"]);
        assert_eq!(shown(&in_name("ll_10_x")), ["LL-10"]);
        assert_eq!(shown(&in_name("sp_defaults_of_8_and_xsp_1_and_utf_8")), [""; 0]);
    }

    #[test]
    fn what_is_no_id_is_refused_by_name() {
        let refused = "DP8".parse::<Id>().unwrap_err();
        assert_eq!(refused.to_string(), "\"DP8\" is no id of a rule, such as \"DP-8\"");
    }
}
