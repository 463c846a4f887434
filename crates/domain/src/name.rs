//! Names and ids: parsed once, never wrong afterwards. Each says in its error what was wrong with which text.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that is not the name it was taken for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {given:?} {problem}")]
pub struct InvalidName {
    /// What it was taken for: "phone name".
    pub what: &'static str,
    /// The text, cut to 80 characters.
    pub given: String,
    /// What is wrong with it, with the rule's id where there is one.
    pub problem: String,
}

impl InvalidName {
    fn new(what: &'static str, given: &str, problem: impl Into<String>) -> Self {
        Self { what, given: given.chars().take(80).collect(), problem: problem.into() }
    }
}

/// A name is a string that its `check` accepts, possibly after being brought into its one spelling.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $parse:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                let parse: fn(&str) -> Result<String, String> = $parse;
                parse(text).map(Self).map_err(|problem| InvalidName::new($what, text, problem))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The id of a cluster: 1 to 32 lower-case letters, digits and `-`, beginning with a letter. It is part of every
    /// key and row, so that several clusters may share a store.
    ClusterId,
    "cluster id",
    |text| {
        sized(text, 1, 32)?;
        only(text, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-', "lower-case letters, digits and `-`")?;
        if text.starts_with(|c: char| c.is_ascii_lowercase()) { Ok(text.into()) } else { Err("must begin with a letter".into()) }
    }
);

name!(
    /// A phone: `SEP` and the 12 hexadecimal digits of its MAC, in upper case. Every usual spelling of a MAC is read
    /// (`000D.EDAB.3566`, `00:0d:ed:ab:35:66`, `00-0D-ED-AB-35-66`, `000DEDAB3566`, `SEP000DEDAB3566`) and stored as
    /// the one (DP-18).
    PhoneName,
    "phone name",
    |text| {
        let digits = match text.get(..3) {
            Some(prefix) if prefix.eq_ignore_ascii_case("SEP") => text.get(3..).unwrap_or_default(),
            _ => text,
        };
        canonical_mac(digits).map(|mac| format!("SEP{mac}")).ok_or_else(|| {
            "is not a MAC address: 12 hexadecimal digits, plain or grouped by `.`, `:` or `-`, with or without SEP before them (DP-18)".into()
        })
    }
);

name!(
    /// A user: 1 to 128 lower-case letters, digits, `.`, `-`, `_`, `@`, `+` (SP-6).
    UserId,
    "user id",
    |text| {
        sized(text, 1, 128)?;
        if text.chars().any(|c| c.is_ascii_uppercase()) {
            return Err("must be in lower case (SP-6)".into());
        }
        only(
            text,
            |c| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_@+".contains(c),
            "lower-case letters, digits, `.`, `-`, `_`, `@` and `+` (SP-6)",
        )?;
        Ok(text.into())
    }
);

name!(
    /// Whoever has a credential: a user id, or the name of an application, an administrator, a logout profile's
    /// credential, a phone link. 1 to 128 letters, digits, `.`, `-`, `_`, `@`, `+`; unique over all kinds (DP-16).
    PrincipalName,
    "credential name",
    |text| {
        sized(text, 1, 128)?;
        only(text, |c| c.is_ascii_alphanumeric() || ".-_@+".contains(c), "letters, digits, `.`, `-`, `_`, `@` and `+`")?;
        Ok(text.into())
    }
);

name!(
    /// A user device profile: 1 to 50 letters, digits, spaces, `.`, `-`, `_`, neither beginning nor ending with a
    /// space (DP-1). That it equals no phone's name is for the directory to see.
    ProfileName,
    "profile name",
    |text| {
        sized(text, 1, 50)?;
        only(text, |c| c.is_ascii_alphanumeric() || " .-_".contains(c), "letters, digits, spaces, `.`, `-` and `_` (DP-1)")?;
        if text.trim() == text { Ok(text.into()) } else { Err("must not begin or end with a space (DP-1)".into()) }
    }
);

name!(
    /// A line: `NUMBER` or `NUMBER@PARTITION`. The number is 1 to 32 digits, `*`, `#` or `+`; the partition 1 to 50
    /// letters, digits, `.`, `-`, `_`.
    LineName,
    "line",
    |text| {
        let (number, partition) = match text.split_once('@') {
            Some((number, partition)) => (number, Some(partition)),
            None => (text, None),
        };
        sized(number, 1, 32)?;
        only(number, is_dialable, "digits, `*`, `#` and `+` in its number")?;
        if let Some(partition) = partition {
            sized(partition, 1, 50)?;
            only(partition, |c| c.is_ascii_alphanumeric() || ".-_".contains(c), "letters, digits, `.`, `-` and `_` in its partition")?;
        }
        Ok(text.into())
    }
);

name!(
    /// What stands beside users, phones and lines: a device pool, a template, a presence group, a phone service. 1 to 50
    /// letters, digits, spaces, `.`, `-`, `_`, neither beginning nor ending with a space.
    RecordName,
    "name",
    |text| {
        sized(text, 1, 50)?;
        only(text, |c| c.is_ascii_alphanumeric() || " .-_".contains(c), "letters, digits, spaces, `.`, `-` and `_`")?;
        if text.trim() == text { Ok(text.into()) } else { Err("must not begin or end with a space".into()) }
    }
);

impl LineName {
    /// The number without its partition.
    pub fn number(&self) -> &str {
        self.0.split_once('@').map_or(self.0.as_str(), |(number, _)| number)
    }
}

name!(
    /// A phone model, as the catalogue writes it: 1 to 32 lower-case letters, digits and `-`. Letters are read in
    /// either case. Whether the catalogue has it is for [`crate::catalogue::Catalogue`] to say.
    ModelName,
    "phone model",
    |text| {
        sized(text, 1, 32)?;
        only(text, |c| c.is_ascii_alphanumeric() || c == '-', "letters, digits and `-`")?;
        Ok(text.to_ascii_lowercase())
    }
);

name!(
    /// A session: a ULID, 26 characters, ordered by time.
    SessionId,
    "session id",
    |text| {
        sized(text, 26, 26)?;
        only(text, |c| c.is_ascii_digit() || c.is_ascii_uppercase(), "digits and upper-case letters")?;
        Ok(text.into())
    }
);

name!(
    /// What a client calls one request, so that a repeat is known as one: 1 to 64 printable ASCII characters (LI-11).
    RequestId,
    "request id",
    |text| {
        sized(text, 1, 64)?;
        only(text, |c| c.is_ascii_graphic(), "printable characters")?;
        Ok(text.into())
    }
);

/// The tag of a shared logout profile, from 1 (DP-8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct LogoutTag(u32);

impl LogoutTag {
    /// The tag as a number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for LogoutTag {
    type Error = InvalidName;

    fn try_from(tag: u32) -> Result<Self, InvalidName> {
        if tag == 0 {
            return Err(InvalidName::new("logout profile tag", "0", "must be at least 1 (DP-8)"));
        }
        Ok(Self(tag))
    }
}

impl From<LogoutTag> for u32 {
    fn from(tag: LogoutTag) -> u32 {
        tag.0
    }
}

impl fmt::Display for LogoutTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What can be dialled: digits, `*`, `#`, `+`.
pub(crate) fn is_dialable(c: char) -> bool {
    c.is_ascii_digit() || "*#+".contains(c)
}

fn sized(text: &str, least: usize, most: usize) -> Result<(), String> {
    let length = text.chars().count();
    if length < least {
        return Err(if length == 0 {
            "must not be empty".into()
        } else {
            format!("must have at least {least} characters")
        });
    }
    if length > most {
        return Err(format!("has {length} characters, more than {most}"));
    }
    Ok(())
}

fn only(text: &str, allowed: impl Fn(char) -> bool, list: &str) -> Result<(), String> {
    match text.chars().find(|c| !allowed(*c)) {
        Some(bad) => Err(format!("has the character {bad:?}; allowed are {list}")),
        None => Ok(()),
    }
}

/// The 12 upper-case hexadecimal digits of a MAC; groups must be even and of one separator.
fn canonical_mac(text: &str) -> Option<String> {
    let separator = text.chars().find(|c| ".:-".contains(*c));
    let groups: Vec<&str> = match separator {
        Some(separator) => text.split(separator).collect(),
        None => vec![text],
    };
    let width = 12 / groups.len();
    let whole = [1, 2, 3, 6].contains(&groups.len()) && groups.iter().all(|group| group.len() == width);
    let hex = groups.concat();
    (whole && hex.len() == 12 && hex.chars().all(|c| c.is_ascii_hexdigit())).then(|| hex.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reads<T: FromStr>(text: &str) -> bool {
        text.parse::<T>().is_ok()
    }

    #[test]
    fn dp_1_profile_names_are_1_to_50_letters_digits_spaces_dots_hyphens_and_underscores() {
        for good in ["a", "Agent 7", "me-7960_home.v2", &"x".repeat(50)] {
            assert_eq!(good.parse::<ProfileName>().unwrap().as_str(), good);
        }
        for bad in ["", " ", " a", "a ", "a/b", "ä", "a\n", "a\u{0}", &"x".repeat(51)] {
            assert!(!reads::<ProfileName>(bad), "{bad:?}");
        }
        let refused = "a/b".parse::<ProfileName>().unwrap_err();
        assert_eq!(
            refused.to_string(),
            "profile name \"a/b\" has the character '/'; allowed are letters, digits, spaces, `.`, `-` and `_` (DP-1)"
        );
    }

    #[test]
    fn dp_8_the_tag_of_a_logout_profile_is_at_least_1() {
        assert_eq!(LogoutTag::try_from(1).unwrap().get(), 1);
        assert!(LogoutTag::try_from(0).unwrap_err().to_string().ends_with("must be at least 1 (DP-8)"));
        assert!(serde_json::from_str::<LogoutTag>("0").is_err());
    }

    #[test]
    fn dp_18_what_is_no_mac_is_refused() {
        for bad in [
            "",
            "SEP",
            "000DEDAB356",
            "000DEDAB35666",
            "000D.EDAB.356G",
            "000D:EDAB.3566",
            "00:0d:ed:ab:35",
            "00:0d:ed:ab:3:566",
            ".000DEDAB3566",
            "SEPSEP000DEDAB3566",
            "SEP 000DEDAB3566",
            "００0DEDAB3566",
        ] {
            assert!(!reads::<PhoneName>(bad), "{bad:?}");
        }
    }

    #[test]
    fn sp_6_user_ids_are_in_lower_case() {
        assert!(reads::<UserId>("agent7@example.net") && reads::<UserId>("1042"));
        assert!(!reads::<UserId>("agent 7") && !reads::<UserId>(&"a".repeat(129)));
        assert!(
            "Agent7".parse::<UserId>().unwrap_err().to_string().ends_with("must be in lower case (SP-6)")
        );
    }

    #[test]
    fn lines_are_a_number_and_perhaps_a_partition() {
        let line: LineName = "+4930123@Berlin.internal".parse().unwrap();
        assert_eq!((line.number(), line.as_str()), ("+4930123", "+4930123@Berlin.internal"));
        assert_eq!("*98#".parse::<LineName>().unwrap().number(), "*98#");
        for bad in ["", "@p", "2001@", "20 01", "2001@a b", "2001@a@b", "phone", &"1".repeat(33)] {
            assert!(!reads::<LineName>(bad), "{bad:?}");
        }
    }

    #[test]
    fn dp_17_models_are_read_in_either_case_and_stored_in_lower() {
        assert_eq!("ATA-186".parse::<ModelName>().unwrap().as_str(), "ata-186");
        assert!(!reads::<ModelName>("7960 G") && !reads::<ModelName>(""));
    }

    #[test]
    fn a_cluster_id_fits_into_keys() {
        assert!(reads::<ClusterId>("site-a1"));
        assert!(!reads::<ClusterId>("1site") && !reads::<ClusterId>("Site") && !reads::<ClusterId>("a{b}"));
    }

    #[test]
    fn an_error_shows_80_characters_of_what_it_was_given() {
        let refused = "ü".repeat(5000).parse::<ProfileName>().unwrap_err();
        assert_eq!(refused.given.chars().count(), 80);
    }

    proptest! {
        #[test]
        fn dp_18_every_usual_mac_spelling_reads_to_one_name(
            mac in any::<[u8; 6]>(), sep in prop::sample::select(vec!["", "SEP", "sep", "Sep"]), lower in any::<bool>(),
        ) {
            let digits: String = mac.iter().map(|byte| format!("{byte:02X}")).collect();
            let grouped = |size: usize, separator: &str| {
                let groups: Vec<&str> = (0..12).step_by(size).map(|at| &digits[at..at + size]).collect();
                groups.join(separator)
            };
            let spellings =
                [digits.clone(), grouped(4, "."), grouped(2, ":"), grouped(2, "-"), grouped(2, "."), grouped(6, "-"), grouped(4, "-")];
            for spelling in spellings {
                let spelling = if lower { spelling.to_lowercase() } else { spelling };
                let name: PhoneName = format!("{sep}{spelling}").parse().unwrap();
                prop_assert_eq!(name.as_str(), format!("SEP{digits}"));
                prop_assert_eq!(&name.as_str().parse::<PhoneName>().unwrap(), &name, "and reads back");
            }
        }

        #[test]
        fn dp_18_no_text_makes_a_phone_name_of_another_form(text in "(SEP)?[0-9A-Fa-fg.: -]{0,20}|\\PC{0,30}") {
            if let Ok(name) = text.parse::<PhoneName>() {
                let hex = name.as_str().strip_prefix("SEP").unwrap();
                prop_assert_eq!(hex.len(), 12);
                prop_assert!(hex.chars().all(|c| c.is_ascii_digit() || ('A'..='F').contains(&c)));
            }
        }

        #[test]
        fn dp_1_what_is_taken_keeps_the_rule(text in "[a-zA-Z0-9 ._/-]{0,60}|\\PC{0,60}") {
            let length = text.chars().count();
            let allowed = text.chars().all(|c| c.is_ascii_alphanumeric() || " .-_".contains(c));
            let sound = (1..=50).contains(&length) && allowed && text.trim() == text;
            prop_assert_eq!(reads::<ProfileName>(&text), sound);
        }

        #[test]
        fn every_name_reads_back_from_its_text(text in "[a-z0-9-]{1,20}") {
            if let Ok(model) = text.parse::<ModelName>() {
                prop_assert_eq!(serde_json::from_str::<ModelName>(&serde_json::to_string(&model).unwrap()).unwrap(), model);
            }
        }
    }
}
