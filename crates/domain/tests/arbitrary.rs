//! Whatever somebody types, or a stored document says: a name or a reason, and never a panic. What a name is, is one
//! spelling: read again it is itself, and it carries nothing that breaks a line, a key or a log.
#![allow(clippy::unwrap_used, reason = "a test may fail so")]

use std::fmt::Display;
use std::str::FromStr;

use proptest::prelude::*;
use roamline_domain::logout::Note;
use roamline_domain::parameters::TimeOfDay;
use roamline_domain::{
    ClusterId, LineName, LogoutTag, ModelName, PhoneName, PrincipalName, ProfileName, RecordName, RequestId,
    SessionId, UserId,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Texts that come near to being names, as much as those that do not.
fn text() -> impl Strategy<Value = String> {
    let odd = [
        "",
        " ",
        "SEP",
        "SEPSEP",
        "sep000dedab3566",
        "SEP000DEDAB356\u{ff16}",
        "000D.EDAB.3566",
        "00:0d:ed:ab:35:6",
        "00-0D-ED-AB-35-66",
        "000D.EDAB:3566",
        "éSEP000DEDAB35",
        "SÉP",
        "1000@",
        "@internal",
        "1000@a@b",
        "24:00",
        "24:01",
        "00:60",
        "٠٠:٠٠",
        "1:00",
        "\u{0}",
        "a\nb",
        "a\u{202e}b",
        "ＡＢＣ",
        "ß",
        "İ",
        "ǅ",
        "-",
        "..",
        "a ",
        " a",
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "{local}",
        "a:b",
        "*#+",
        "+490000",
        "😀",
    ];
    prop_oneof![
        proptest::sample::select(odd.to_vec()).prop_map(str::to_owned),
        "[A-Za-z0-9._@+ -]{0,60}",
        "(SEP|sep|)[0-9A-Fa-f.:-]{0,20}",
        "[0-9*#+]{0,40}(@[A-Za-z0-9._-]{0,60})?",
        "\\PC{0,140}",
        proptest::collection::vec(any::<u8>(), 0..200)
            .prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        "[a-z]{100,300}",
    ]
}

/// That a text is refused with a reason, or read as a name that is read as itself, also from a document.
fn is_one_spelling<T>(text: &str) -> Result<(), TestCaseError>
where
    T: FromStr<Err: Display> + Display + PartialEq + Serialize + DeserializeOwned,
{
    let document = serde_json::to_string(text).unwrap();
    match text.parse::<T>() {
        Err(reason) => {
            let reason = reason.to_string();
            prop_assert!(!reason.is_empty() && reason.len() < 2_000, "{reason:?}");
            prop_assert!(serde_json::from_str::<T>(&document).is_err());
        }
        Ok(name) => {
            let written = name.to_string();
            prop_assert!(!written.is_empty() && written.len() <= 200);
            prop_assert!(written.chars().all(|c| c == ' ' || c.is_ascii_graphic()), "{written:?}");
            prop_assert!(written.parse::<T>().is_ok_and(|again| again == name), "{written:?}");
            let kept = serde_json::to_string(&name).unwrap();
            prop_assert!(serde_json::from_str::<T>(&kept).is_ok_and(|again| again == name), "{kept}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_name_is_refused_with_a_reason_or_has_one_spelling(text in text()) {
        is_one_spelling::<ClusterId>(&text)?;
        is_one_spelling::<PhoneName>(&text)?;
        is_one_spelling::<UserId>(&text)?;
        is_one_spelling::<PrincipalName>(&text)?;
        is_one_spelling::<ProfileName>(&text)?;
        is_one_spelling::<LineName>(&text)?;
        is_one_spelling::<RecordName>(&text)?;
        is_one_spelling::<ModelName>(&text)?;
        is_one_spelling::<SessionId>(&text)?;
        is_one_spelling::<RequestId>(&text)?;
    }

    #[test]
    fn dp_18_a_phone_is_twelve_digits_in_upper_case_after_sep(text in text()) {
        if let Ok(phone) = text.parse::<PhoneName>() {
            let digits = phone.as_str().strip_prefix("SEP").unwrap_or_default();
            prop_assert_eq!(digits.len(), 12);
            prop_assert!(digits.bytes().all(|c| c.is_ascii_digit() || (b'A'..=b'F').contains(&c)), "{}", phone);
        }
    }

    #[test]
    fn sp_10_and_cc_9_times_and_notes_are_read_or_refused(text in text()) {
        if let Ok(time) = text.parse::<TimeOfDay>() {
            prop_assert!(time.minutes() <= 24 * 60);
        }
        if let Ok(note) = text.parse::<Note>() {
            let note = String::from(note);
            prop_assert!(note.chars().count() <= 200 && !note.trim().is_empty() && !note.contains('\n'));
        }
    }

    #[test]
    fn no_document_of_any_bytes_is_a_name_that_is_none(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(name) = serde_json::from_slice::<PhoneName>(&bytes) {
            prop_assert!(name.as_str().starts_with("SEP"));
        }
        if let Ok(tag) = serde_json::from_slice::<LogoutTag>(&bytes) {
            prop_assert!(tag.get() > 0);
        }
    }
}
