//! `telephony-service` and `voice register global`: what holds for the whole site.

use super::{Taken, commands, number};
use crate::lexer::Line;
use crate::model::{At, Login, System};
use crate::problem::Found;

pub(super) fn read(system: &mut System, body: &[Line<'_>], found: &mut Found) {
    commands(body, found, |line, words, found| command(system, line, words, found));
}

fn command(system: &mut System, line: usize, words: &[&str], found: &mut Found) -> Taken {
    match words {
        ["max-ephones" | "max-pool", most, ..] => match number(most) {
            Some(most) => system.max_phones.push(At::new(line, most)),
            None => return Taken::Malformed("max-ephones NUMBER, or max-pool NUMBER"),
        },
        ["max-dn", most, ..] => {
            if number::<u32>(most).is_none() {
                return Taken::Malformed("max-dn NUMBER");
            }
        }
        ["em", "keep-history"] => system.keep_history = Some(At::new(line, ())),
        ["em", "logout", times @ ..] => {
            if !(1..=3).contains(&times.len()) {
                found.problem(line, "SP-10", "em logout takes one to three times");
            }
            system.logout_times = Some(At::new(line, times.iter().map(|time| (*time).to_owned()).collect()));
        }
        ["authentication", "credential", name, password] => {
            let login = Login { name: (*name).to_owned(), password: (*password).to_owned() };
            system.applications.push(At::new(line, login));
        }
        ["authentication", "credential", ..] => {
            return Taken::Malformed("authentication credential NAME PASSWORD");
        }
        ["user-locale", code] | ["user-locale", "0", code] => match locale(code) {
            Some(locale) => system.user_locale = Some(At::new(line, locale)),
            None => return Taken::No,
        },
        _ => return Taken::No,
    }
    Taken::Yes
}

/// The language behind a router's country code, as a BCP 47 tag.
fn locale(code: &str) -> Option<&'static str> {
    Some(match code {
        "US" => "en-US",
        "GB" | "UK" => "en-GB",
        "CA" => "fr-CA",
        "DE" => "de-DE",
        "DK" => "da-DK",
        "ES" => "es-ES",
        "FR" => "fr-FR",
        "IT" => "it-IT",
        "JP" => "ja-JP",
        "NL" => "nl-NL",
        "NO" => "nb-NO",
        "PT" => "pt-PT",
        "RU" => "ru-RU",
        "SE" => "sv-SE",
        _ => return None,
    })
}
