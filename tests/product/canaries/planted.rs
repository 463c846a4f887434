//! What a planted secret is, and where it is found: as it is, and in the spellings in which bytes are written.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};

/// A secret of ours, and what it is.
pub(crate) struct Planted {
    pub(crate) what: &'static str,
    pub(crate) secret: String,
}

pub(crate) fn planted(what: &'static str, secret: impl Into<String>) -> Planted {
    Planted { what, secret: secret.into() }
}

/// How bytes are written where they are not written as they are.
fn spellings(secret: &str) -> Vec<(&'static str, String)> {
    let joined = |each: &dyn Fn(u8) -> String, between: &str| {
        secret.bytes().map(each).collect::<Vec<_>>().join(between)
    };
    let mut all = vec![
        ("as it is", secret.to_owned()),
        ("in hexadecimal", joined(&|byte| format!("{byte:02x}"), "")),
        ("in HEXADECIMAL", joined(&|byte| format!("{byte:02X}"), "")),
        ("in numbers", joined(&|byte| byte.to_string(), ", ")),
        ("in numbers without spaces", joined(&|byte| byte.to_string(), ",")),
    ];
    // In base64 a secret looks in three ways, by where it begins; its ends are mixed with what stands beside it.
    for before in 0..3 {
        let bytes = [&vec![0; before][..], secret.as_bytes()].concat();
        let (first, last) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        for engine in [&BASE64_STANDARD, &BASE64_URL_SAFE] {
            all.push(("in base64", engine.encode(&bytes)[first..last].to_owned()));
        }
    }
    all
}

/// Where something is written, and what; bytes that are no text are left out.
pub(crate) type Written = (String, String);

pub(crate) fn written(place: impl Into<String>, bytes: &[u8]) -> Written {
    (place.into(), String::from_utf8_lossy(bytes).into_owned())
}

/// Every place in which one of them stands, with what stands around it.
pub(crate) fn found(planted: &[Planted], written: &[Written]) -> Vec<String> {
    let mut found = Vec::new();
    for Planted { what, secret } in planted {
        assert!(secret.len() >= 8, "{what} is too short to be recognised");
        for (how, spelling) in spellings(secret) {
            for (place, text) in written.iter().filter(|(_, text)| text.contains(&spelling)) {
                let lines = text.lines().filter(|line| line.contains(&spelling));
                let around: Vec<String> =
                    lines.take(2).map(|line| line.chars().take(500).collect()).collect();
                found.push(format!("{what} {how} in {place}: {around:?}"));
            }
        }
    }
    found
}

#[test]
fn a_planted_secret_is_found_in_every_spelling() {
    let one = [planted("it", "73119055284617")];
    for around in ["", "x", "xy", "xyz"] {
        for text in [
            "73119055284617".to_owned(),
            "37333131393035353238343631 37".replace(' ', ""),
            format!("{:?}", b"73119055284617"),
            BASE64_STANDARD.encode(format!("{around}73119055284617{around}")),
            BASE64_URL_SAFE.encode(format!("{around}73119055284617")),
        ] {
            let written = ("a text".to_owned(), format!("before {text} after"));
            assert!(!found(&one, &[written]).is_empty(), "{text}");
        }
    }
    assert!(found(&one, &[written("a text", b"7311905528461")]).is_empty());
}
