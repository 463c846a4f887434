//! Files for imports: a site of `number` lines, profiles of six lines, users and phones.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::PathBuf;

use crate::process::Site;

/// The kinds in the order in which they refer to each other.
pub(super) const KINDS: [&str; 4] = ["line", "user-device-profile", "user", "phone"];

/// Writes a file for that kind, with the members of that range of a site of `number`.
pub(super) fn write(site: &Site, kind: &str, range: Range<usize>, number: usize) -> PathBuf {
    let path = site.home().join(format!("{kind}-{}-{}.csv", range.start, range.end));
    std::fs::write(&path, text(kind, range, number)).expect("the file is written");
    path
}

/// The text of such a file.
pub(super) fn text(kind: &str, range: Range<usize>, number: usize) -> String {
    let mut text = match kind {
        "line" => "name,description\n".to_owned(),
        "user-device-profile" => {
            "name,model,settings.softkey_template,line1,line2,line3,line4,line5,line6,speed_dial1.number\n"
                .to_owned()
        }
        "user" => "user_id,display_name,profiles,default_profile\n".to_owned(),
        "phone" => "name,description,model,extension_mobility_enabled\n".to_owned(),
        other => panic!("no files of {other}"),
    };
    for n in range {
        match kind {
            "line" => writeln!(text, "{},agent {n}", line(n)),
            "user-device-profile" => {
                let lines: Vec<String> = (0..6).map(|place| line((n + place) % number)).collect();
                writeln!(text, "{},8851,Agent,{},{}", profile(n), lines.join(","), 9000 + n)
            }
            "user" => writeln!(text, "{},Agent {n},{},{}", user(n), profile(n), profile(n)),
            _ => writeln!(text, "{},desk {n},8851,true", phone(n)),
        }
        .expect("a text takes everything");
    }
    text
}

pub(super) fn line(n: usize) -> String {
    format!("7{n:05}")
}

pub(super) fn profile(n: usize) -> String {
    format!("profile-{n:05}")
}

pub(super) fn user(n: usize) -> String {
    format!("agent{n:05}")
}

pub(super) fn phone(n: usize) -> String {
    format!("SEP02000000{n:04X}")
}
