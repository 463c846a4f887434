//! `voice logout-profile` and `voice user-profile`: the same language.

use roamline_proto::profile::LineKind;

use super::{SPEED_DIAL_USAGE, Taken, commands, number, speed_dial};
use crate::lexer::Line;
use crate::model::{At, Login, Numbers, Profile};
use crate::problem::Found;

pub(super) fn read(tag: At<u32>, body: &[Line<'_>], found: &mut Found) -> Profile {
    let mut profile = Profile {
        tag,
        pin: None,
        user: None,
        numbers: Vec::new(),
        speed_dials: Vec::new(),
        idle_minutes: None,
        privacy_button: None,
    };
    commands(body, found, |line, words, _| command(&mut profile, line, words));
    profile
}

fn command(profile: &mut Profile, line: usize, words: &[&str]) -> Taken {
    match words {
        ["pin", pin] => profile.pin = Some(At::new(line, (*pin).to_owned())),
        ["pin", ..] => return Taken::Malformed("pin DIGITS"),
        ["user", name, "password", password] => {
            let login = Login { name: (*name).to_owned(), password: (*password).to_owned() };
            profile.user = Some(At::new(line, login));
        }
        ["user", ..] => return Taken::Malformed("user NAME password PASSWORD"),
        ["number", rest @ ..] => match numbers(rest) {
            Some(numbers) => profile.numbers.push(At::new(line, numbers)),
            None => {
                return Taken::Malformed(
                    "number N[,N...] [type normal|silent-ring|beep-ring|feature-ring|monitor-ring|overlay|cw-overly]",
                );
            }
        },
        ["speed-dial", rest @ ..] => match speed_dial(rest) {
            Some(dial) => profile.speed_dials.push(At::new(line, dial)),
            None => return Taken::Malformed(SPEED_DIAL_USAGE),
        },
        ["max-idle-time", minutes] => match number(minutes) {
            Some(minutes) => profile.idle_minutes = Some(At::new(line, minutes)),
            None => return Taken::Malformed("max-idle-time MINUTES"),
        },
        ["privacy-button"] => profile.privacy_button = Some(At::new(line, ())),
        _ => return Taken::No,
    }
    Taken::Yes
}

fn numbers(words: &[&str]) -> Option<Numbers> {
    let (list, kind) = match words {
        [list] => (list, LineKind::Normal),
        [list, "type", kind] => (list, line_kind(kind)?),
        _ => return None,
    };
    let numbers: Vec<String> = list.split(',').map(str::to_owned).collect();
    (!numbers.iter().any(String::is_empty)).then_some(Numbers { kind, numbers })
}

fn line_kind(word: &str) -> Option<LineKind> {
    Some(match word {
        "normal" => LineKind::Normal,
        "silent-ring" => LineKind::SilentRing,
        "beep-ring" => LineKind::BeepRing,
        "feature-ring" => LineKind::FeatureRing,
        "monitor-ring" => LineKind::MonitorRing,
        "overlay" => LineKind::Overlay,
        "cw-overly" | "cw-overlay" => LineKind::CallWaitingOverlay,
        _ => return None,
    })
}
