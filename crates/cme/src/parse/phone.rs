//! `ephone` and `voice register pool`.

use roamline_proto::profile::{LineKind, PhoneProtocol};

use super::{SPEED_DIAL_USAGE, Taken, commands, number, speed_dial};
use crate::lexer::Line;
use crate::model::{At, Button, Phone};
use crate::problem::Found;

pub(super) fn read(tag: At<u32>, protocol: PhoneProtocol, body: &[Line<'_>], found: &mut Found) -> Phone {
    let mut phone = Phone {
        tag,
        protocol,
        mac: None,
        model: None,
        modules: Vec::new(),
        description: None,
        logout_profile: None,
        buttons: Vec::new(),
        speed_dials: Vec::new(),
    };
    commands(body, found, |line, words, found| match words {
        ["button", rest @ ..] if protocol == PhoneProtocol::Sccp => {
            buttons(&mut phone, line, rest, found);
            Taken::Yes
        }
        _ => command(&mut phone, line, words),
    });
    phone
}

fn command(phone: &mut Phone, line: usize, words: &[&str]) -> Taken {
    let sip = phone.protocol == PhoneProtocol::Sip;
    match words {
        ["mac-address", mac] if !sip => phone.mac = Some(At::new(line, (*mac).to_owned())),
        ["mac-address", ..] if !sip => return Taken::Malformed("mac-address XXXX.XXXX.XXXX"),
        ["id", "mac", mac] if sip => phone.mac = Some(At::new(line, (*mac).to_owned())),
        ["type", model, addons @ ..] => {
            let Some(modules) = modules(addons) else {
                return Taken::Malformed("type MODEL [addon 1 MODULE [2 MODULE]]");
            };
            phone.model = Some(At::new(line, catalogue_name(model)));
            phone.modules = modules;
        }
        ["logout-profile", tag] => match number(tag) {
            Some(tag) => phone.logout_profile = Some(At::new(line, tag)),
            None => return Taken::Malformed("logout-profile TAG"),
        },
        ["number", position, "dn", dn] if sip => match (number(position), number(dn)) {
            (Some(position), Some(dn)) => {
                let button = Button { position, kind: LineKind::Normal, directory_numbers: vec![dn] };
                phone.buttons.push(At::new(line, button));
            }
            _ => return Taken::Malformed("number POSITION dn TAG"),
        },
        ["speed-dial", rest @ ..] => match speed_dial(rest) {
            Some(dial) => phone.speed_dials.push(At::new(line, dial)),
            None => return Taken::Malformed(SPEED_DIAL_USAGE),
        },
        ["description", rest @ ..] if !rest.is_empty() => {
            phone.description = Some(At::new(line, rest.join(" ")));
        }
        _ => return Taken::No,
    }
    Taken::Yes
}

/// `addon 1 7914 2 7914`: the modules in order.
fn modules(words: &[&str]) -> Option<Vec<String>> {
    match words {
        [] => Some(Vec::new()),
        ["addon", "1", first] => Some(vec![first.to_ascii_lowercase()]),
        ["addon", "1", first, "2", second] | ["addon", "1", first, "addon", "2", second] => {
            Some(vec![first.to_ascii_lowercase(), second.to_ascii_lowercase()])
        }
        _ => None,
    }
}

/// What the router calls soft phones otherwise than the catalogue does.
fn catalogue_name(model: &str) -> String {
    let model = model.to_ascii_lowercase();
    match model.as_str() {
        "cipc" => "ip-communicator".into(),
        "jabber-csf-client" | "jabber-win" | "jabber-mac" => "jabber-desktop".into(),
        _ => model,
    }
}

/// `button 1:5 2s6 3o7,8`: what cannot be carried over is passed over by itself.
fn buttons(phone: &mut Phone, line: usize, words: &[&str], found: &mut Found) {
    for word in words {
        match button(word) {
            Some(button) => phone.buttons.push(At::new(line, button)),
            None => found.pass_over(line, &format!("button {word}")),
        }
    }
}

fn button(word: &str) -> Option<Button> {
    let (position, rest) = word.split_at(word.find(|c: char| !c.is_ascii_digit())?);
    let mut rest = rest.chars();
    let kind = match rest.next()? {
        ':' => LineKind::Normal,
        's' => LineKind::SilentRing,
        'b' => LineKind::BeepRing,
        'f' => LineKind::FeatureRing,
        'm' => LineKind::MonitorRing,
        'o' => LineKind::Overlay,
        'c' => LineKind::CallWaitingOverlay,
        _ => return None,
    };
    let directory_numbers = rest.as_str().split(',').map(number).collect::<Option<Vec<u32>>>()?;
    Some(Button { position: number(position)?, kind, directory_numbers })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_button_says_how_it_rings_and_which_numbers_it_carries() {
        let read = |word| button(word).map(|b| (b.position, b.kind, b.directory_numbers));
        assert_eq!(read("1:5"), Some((1, LineKind::Normal, vec![5])));
        assert_eq!(read("12c7,8"), Some((12, LineKind::CallWaitingOverlay, vec![7, 8])));
        for bad in ["", ":", "1", "1w5", "1:x", "1:", ":5", "99999999999:1"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
