//! Sections into statements. A command that is not known is passed over and noted; one that is known and malformed is
//! a problem.

mod directory_number;
mod phone;
mod profile;
mod system;

use std::str::FromStr;

use roamline_proto::profile::PhoneProtocol;

use crate::lexer::{Line, Section, words};
use crate::model::{At, Config, SpeedDial};
use crate::problem::Found;

/// Reads all sections.
pub(crate) fn config(sections: &[Section<'_>], found: &mut Found) -> Config {
    let mut config = Config::default();
    for section in sections {
        // Only known sections have their words read: elsewhere a lone quote is nobody's business.
        let plain: Vec<&str> = section.header.text.split_whitespace().collect();
        read_section(&plain, section, &mut config, found);
    }
    refuse_repeats(&config, found);
    config
}

fn read_section(header: &[&str], section: &Section<'_>, config: &mut Config, found: &mut Found) {
    let line = section.header.number;
    match header {
        ["voice", "logout-profile", tag] => {
            if let Some(tag) = tag_of(tag, line, found) {
                config.logout_profiles.push(profile::read(tag, &section.body, found));
            }
        }
        ["voice", "user-profile", tag] => {
            if let Some(tag) = tag_of(tag, line, found) {
                config.user_profiles.push(profile::read(tag, &section.body, found));
            }
        }
        ["ephone-dn", tag, options @ ..] => {
            if let Some(tag) = tag_of(tag, line, found) {
                config.directory_numbers.push(directory_number::sccp(tag, options, section, found));
            }
        }
        ["voice", "register", "dn", tag] => {
            if let Some(tag) = tag_of(tag, line, found) {
                config.directory_numbers.push(directory_number::sip(tag, section, found));
            }
        }
        ["ephone", tag] => {
            if let Some(tag) = tag_of(tag, line, found) {
                config.phones.push(phone::read(tag, PhoneProtocol::Sccp, &section.body, found));
            }
        }
        ["voice", "register", "pool", tag] => {
            if let Some(tag) = tag_of(tag, line, found) {
                config.phones.push(phone::read(tag, PhoneProtocol::Sip, &section.body, found));
            }
        }
        ["telephony-service"] => {
            config.system.telephony_service = Some(line);
            system::read(&mut config.system, &section.body, found);
        }
        ["voice", "register", "global"] => system::read(&mut config.system, &section.body, found),
        _ => pass_over(section, found),
    }
}

fn pass_over(section: &Section<'_>, found: &mut Found) {
    found.pass_over(section.header.number, section.header.text);
    for line in &section.body {
        found.pass_over(line.number, line.text);
    }
}

fn tag_of(text: &str, line: usize, found: &mut Found) -> Option<At<u32>> {
    match text.parse() {
        Ok(0) | Err(_) => {
            found.problem(line, "", format!("{} is no tag: a number from 1", shortened(text)));
            None
        }
        Ok(tag) => Some(At::new(line, tag)),
    }
}

/// Hands every command of a section to `take`; what that does not know is passed over.
fn commands(body: &[Line<'_>], found: &mut Found, mut take: impl FnMut(usize, &[&str], &mut Found) -> Taken) {
    for line in body {
        let before = found.problems.len();
        // A lone quote is a problem only in a command that is known.
        let owned = words(*line, found);
        let plain: Vec<&str> = match &owned {
            Some(words) => words.iter().map(String::as_str).collect(),
            None => line.text.split_whitespace().collect(),
        };
        match take(line.number, &plain, found) {
            Taken::Yes => {}
            Taken::Malformed(usage) => found.problem(line.number, "", format!("is malformed: {usage}")),
            Taken::No => {
                found.problems.truncate(before);
                found.pass_over(line.number, line.text);
            }
        }
    }
}

/// What became of a command.
enum Taken {
    /// It was read.
    Yes,
    /// It is known, and is to be written like this.
    Malformed(&'static str),
    /// It is not known.
    No,
}

/// `speed-dial TAG NUMBER [label L] [blf]`, without its first word.
fn speed_dial(words: &[&str]) -> Option<SpeedDial> {
    let [tag, number, options @ ..] = words else { return None };
    let mut dial = SpeedDial {
        tag: tag.parse().ok()?,
        number: (*number).to_owned(),
        label: String::new(),
        busy_lamp: false,
    };
    let mut options = options.iter();
    while let Some(option) = options.next() {
        match *option {
            "label" => dial.label = (*options.next()?).to_owned(),
            "blf" => dial.busy_lamp = true,
            _ => return None,
        }
    }
    Some(dial)
}

const SPEED_DIAL_USAGE: &str = "speed-dial TAG NUMBER [label \"TEXT\"] [blf]";

fn number<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// A word as it may be shown: quoted, and not without end.
pub(crate) fn shortened(text: &str) -> String {
    let head: String = text.chars().take(60).collect();
    if head.len() < text.len() { format!("{head:?}...") } else { format!("{head:?}") }
}

/// The same section twice is no running-config, and which one holds would be a guess.
fn refuse_repeats(config: &Config, found: &mut Found) {
    let tags = |found: &mut Found, what: &str, tags: Vec<&At<u32>>| {
        let mut seen = std::collections::BTreeMap::new();
        for tag in tags {
            if let Some(first) = seen.get(&tag.value) {
                found.problem(tag.line, "", format!("{what} {} is already on line {first}", tag.value));
            } else {
                seen.insert(tag.value, tag.line);
            }
        }
    };
    tags(found, "voice logout-profile", config.logout_profiles.iter().map(|p| &p.tag).collect());
    tags(found, "voice user-profile", config.user_profiles.iter().map(|p| &p.tag).collect());
    for (protocol, dn, phone) in [
        (PhoneProtocol::Sccp, "ephone-dn", "ephone"),
        (PhoneProtocol::Sip, "voice register dn", "voice register pool"),
    ] {
        let numbers = config.directory_numbers.iter().filter(|dn| dn.protocol == protocol);
        tags(found, dn, numbers.map(|dn| &dn.tag).collect());
        let phones = config.phones.iter().filter(|phone| phone.protocol == protocol);
        tags(found, phone, phones.map(|phone| &phone.tag).collect());
    }
}
