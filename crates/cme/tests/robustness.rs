//! Whatever is in the file: an answer, and never a panic.

use proptest::prelude::*;

const WORDS: &[&str] = &[
    "voice",
    "register",
    "user-profile",
    "logout-profile",
    "ephone",
    "ephone-dn",
    "pool",
    "dn",
    "global",
    "number",
    "type",
    "overlay",
    "speed-dial",
    "label",
    "blf",
    "\"",
    "\"x y\"",
    "button",
    "1:1",
    "2o1,2",
    "mac-address",
    "0200.5E00.0001",
    "id",
    "mac",
    "telephony-service",
    "em",
    "logout",
    "24:00",
    "max-ephones",
    "1",
    "2",
    "4294967295",
    "99999999999",
    "user",
    "me",
    "password",
    "pin",
    "banner",
    "^C",
    "!",
    "é",
    "secondary",
];

proptest! {
    #[test]
    fn bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = roamline_cme::read_bytes(&bytes);
    }

    #[test]
    fn text_never_panics(text in "\\PC{0,400}") {
        let _ = roamline_cme::read(&text);
    }

    #[test]
    fn lines_of_the_language_never_panic_and_every_answer_has_its_line(
        lines in proptest::collection::vec(
            (any::<bool>(), proptest::collection::vec(proptest::sample::select(WORDS), 0..6)), 0..30)
    ) {
        let lines: Vec<String> = lines
            .iter()
            .map(|(indented, words)| format!("{}{}", if *indented { " " } else { "" }, words.join(" ")))
            .collect();
        let within = 1..=lines.len().max(1);
        match roamline_cme::read(&lines.join("\n")) {
            Ok(site) => {
                for (index, resource) in site.resources.iter().enumerate() {
                    prop_assert!(within.contains(&resource.line));
                    let field = format!("resources[{index}].name");
                    prop_assert!(site.problem_at(&field).is_some());
                }
            }
            Err(problems) => prop_assert!(problems.iter().all(|problem| within.contains(&problem.line))),
        }
    }
}
