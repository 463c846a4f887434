//! Renderings as they are kept: an `EffectiveConfiguration` in which one character stands for the field of a setting, which
//! makes it half as long. One that has the field's name reads the same, so what an older release has kept is read.

use prost::Message;
use prost::bytes::Bytes;

use crate::profile::button::Carries;
use crate::profile::{EffectiveConfiguration, EffectiveSetting};

/// The fields for which a character stands: U+0001 for the first, and so on. None is taken out, and a new one is added at the
/// end.
const FIELDS: [&str; 21] = [
    "user_locale",
    "user_hold_audio_source",
    "phone_button_template",
    "softkey_template",
    "privacy",
    "ignore_presentation_indicators",
    "expansion_modules",
    "mlpp.domain",
    "mlpp.indication",
    "mlpp.preemption",
    "do_not_disturb.option",
    "do_not_disturb.on",
    "idle_limit",
    "privacy_button",
    "presence_group",
    "date_time_group",
    "region",
    "geolocation",
    "label",
    "max_calls",
    "busy_trigger",
];

/// The rendering in the form in which it is kept.
pub fn keep(mut rendering: EffectiveConfiguration) -> Bytes {
    for setting in settings(&mut rendering) {
        if let Some((_, character)) = FIELDS.iter().zip('\u{1}'..).find(|(field, _)| **field == setting.field)
        {
            setting.field = character.into();
        }
    }
    rendering.encode_to_vec().into()
}

/// The rendering that was kept. A field whose character is not known here keeps it for a name.
///
/// # Errors
/// It is no rendering.
pub fn read(kept: &[u8]) -> Result<EffectiveConfiguration, prost::DecodeError> {
    let mut rendering = EffectiveConfiguration::decode(kept)?;
    for setting in settings(&mut rendering) {
        let mut characters = setting.field.chars();
        let (Some(character), None) = (characters.next(), characters.next()) else { continue };
        if let Some((field, _)) = FIELDS.iter().zip('\u{1}'..).find(|(_, known)| *known == character) {
            setting.field = (*field).into();
        }
    }
    Ok(rendering)
}

/// All settings of a rendering, those of its buttons, too.
fn settings(rendering: &mut EffectiveConfiguration) -> impl Iterator<Item = &mut EffectiveSetting> {
    let of_buttons = rendering.buttons.iter_mut().filter_map(|button| match &mut button.carries {
        Some(Carries::Line(line)) => Some(&mut line.settings),
        _ => None,
    });
    of_buttons.flatten().chain(&mut rendering.settings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Button, LineButton, Origin};

    fn setting(field: &str, value: &str) -> EffectiveSetting {
        let origin = Origin::Profile.into();
        EffectiveSetting { field: field.into(), value: value.into(), origin }
    }

    fn rendering() -> EffectiveConfiguration {
        let line = LineButton { settings: vec![setting("busy_trigger", "2")], ..Default::default() };
        EffectiveConfiguration {
            worn_name: "agent7".into(),
            buttons: vec![Button { carries: Some(Carries::Line(line)), ..Default::default() }],
            settings: FIELDS.iter().map(|field| setting(field, "x")).chain([setting("new", "y")]).collect(),
            ..Default::default()
        }
    }

    #[test]
    fn li_6_a_rendering_comes_back_with_the_names_of_its_fields() {
        let kept = keep(rendering());
        assert_eq!(read(&kept).unwrap(), rendering());
        assert!(kept.len() * 2 < rendering().encoded_len());
    }

    #[test]
    fn li_6_a_rendering_that_an_older_release_has_kept_is_read() {
        assert_eq!(read(&rendering().encode_to_vec()).unwrap(), rendering());
    }

    #[test]
    fn a_field_of_a_later_release_keeps_its_character() {
        let settings = vec![setting("\u{1f}", "z"), setting("", "z"), setting("z", "z")];
        let later = EffectiveConfiguration { settings, ..Default::default() };
        assert_eq!(read(&later.encode_to_vec()).unwrap(), later);
        assert!(read(&[0xff]).is_err());
    }
}
