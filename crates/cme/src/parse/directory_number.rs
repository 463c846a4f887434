//! `ephone-dn` and `voice register dn`.

use roamline_proto::profile::{LineCapacity, PhoneProtocol};

use super::{Taken, commands};
use crate::lexer::Section;
use crate::model::{At, DirectoryNumber};
use crate::problem::Found;

/// `ephone-dn TAG [dual-line|octo-line]`: one call without an option.
pub(super) fn sccp(
    tag: At<u32>,
    options: &[&str],
    section: &Section<'_>,
    found: &mut Found,
) -> DirectoryNumber {
    let capacity = match options {
        [] => LineCapacity::Single,
        ["dual-line"] => LineCapacity::Dual,
        ["octo-line"] => LineCapacity::Octo,
        _ => {
            found.problem(tag.line, "", "is malformed: ephone-dn TAG [dual-line|octo-line]");
            LineCapacity::Single
        }
    };
    read(tag, PhoneProtocol::Sccp, capacity, section, found)
}

/// `voice register dn TAG`: two calls, as a SIP line holds them.
pub(super) fn sip(tag: At<u32>, section: &Section<'_>, found: &mut Found) -> DirectoryNumber {
    read(tag, PhoneProtocol::Sip, LineCapacity::Dual, section, found)
}

fn read(
    tag: At<u32>,
    protocol: PhoneProtocol,
    capacity: LineCapacity,
    section: &Section<'_>,
    found: &mut Found,
) -> DirectoryNumber {
    let mut dn = DirectoryNumber {
        tag,
        protocol,
        capacity,
        number: None,
        secondary: None,
        label: None,
        description: None,
        name: None,
    };
    commands(&section.body, found, |line, words, _| command(&mut dn, line, words));
    dn
}

fn command(dn: &mut DirectoryNumber, line: usize, words: &[&str]) -> Taken {
    let text = |words: &[&str]| Some(At::new(line, words.join(" ")));
    match words {
        ["number", number, options @ ..] => {
            dn.number = Some(At::new(line, (*number).to_owned()));
            match options {
                [] | ["no-reg"] | ["no-reg", "primary" | "both"] => {}
                ["secondary", second]
                | ["secondary", second, "no-reg"]
                | ["secondary", second, "no-reg", _] => {
                    dn.secondary = Some(At::new(line, (*second).to_owned()));
                }
                _ => return Taken::Malformed("number N [secondary N] [no-reg [both|primary]]"),
            }
        }
        ["label", rest @ ..] if !rest.is_empty() => dn.label = text(rest),
        ["description", rest @ ..] if !rest.is_empty() => dn.description = text(rest),
        ["name", rest @ ..] if !rest.is_empty() => dn.name = text(rest),
        _ => return Taken::No,
    }
    Taken::Yes
}
