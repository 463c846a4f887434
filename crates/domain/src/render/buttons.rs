//! What stands on the buttons, each value with its origin: intercom lines where they belong (LL-9), line settings
//! filled from templates and lines (DP-21, LL-7), busy lamps of those whose state may be seen (DP-12).

use super::sources::Sources;
use super::{Around, EffectiveButton, EffectiveSetting, Origin};
use crate::appearance::{Giver, appearance};
use crate::directory::Phone;
use crate::layout::{Button, Carries, Layout, LeftOff, lay_out};
use crate::name::LineName;
use crate::presence::{group_name, line_of_number, may_see};
use crate::settings::{ProfileLine, SpeedDial};

/// The buttons in use, and what was left off them.
pub(super) fn buttons(
    phone: &Phone,
    sources: &Sources<'_>,
    around: &Around,
    places: u32,
) -> (Vec<EffectiveButton>, Vec<LeftOff>) {
    let mut left_off = Vec::new();
    let lines = sources.lines().into_iter();
    let lines: Vec<ProfileLine> =
        lines.filter_map(|entry| at_home(entry, phone, around, &mut left_off)).collect();
    let dials = &sources.brought.settings.speed_dials;
    let Layout { buttons, left_off: no_place } = lay_out(&lines, dials, phone.protocol, places);
    left_off.extend(no_place);
    let worn = |Button { position, carries }: Button| {
        let (carries, settings) = match carries {
            Carries::Line(entry) => dressed(entry, sources, around),
            Carries::SpeedDial(dial) => {
                (Carries::SpeedDial(lit(dial, sources, around, &mut left_off)), Vec::new())
            }
        };
        EffectiveButton { position, carries, origin: sources.brought.origin, settings }
    };
    let buttons = buttons.into_iter().map(worn).collect();
    (buttons, left_off)
}

/// The entry without intercom lines of other phones; none where nothing else is on it (LL-9).
fn at_home(
    mut entry: ProfileLine,
    phone: &Phone,
    around: &Around,
    left_off: &mut Vec<LeftOff>,
) -> Option<ProfileLine> {
    let home = |name: &LineName| around.lines.get(name).and_then(|line| line.intercom_phone.as_ref());
    entry.lines.retain(|name| {
        let Some(home) = home(name).filter(|home| **home != phone.name) else { return true };
        let reason = format!("an intercom line is worn on its default phone only, {home}");
        left_off.push(LeftOff::new(format!("intercom line {name}"), "LL-9", reason));
        false
    });
    (!entry.lines.is_empty()).then_some(entry)
}

/// The entry with what it leaves to others filled in, and who gives what.
fn dressed(entry: ProfileLine, sources: &Sources<'_>, around: &Around) -> (Carries, Vec<EffectiveSetting>) {
    let template = entry.template.as_ref().and_then(|name| around.line_templates.get(name));
    let line = entry.lines.first().and_then(|name| around.lines.get(name));
    let found = appearance(&entry, template, line);
    let origin = |by: Giver| match by {
        // At another model an entry brings no line settings (LI-5).
        Giver::Entry if sources.fits => sources.brought.origin,
        Giver::Template => Origin::LineTemplate,
        Giver::Line => Origin::Line,
        Giver::Entry | Giver::Default => Origin::Cluster,
    };
    let settings = vec![
        EffectiveSetting { field: "label", value: found.label.value.clone(), origin: origin(found.label.by) },
        EffectiveSetting {
            field: "max_calls",
            value: found.max_calls.value.to_string(),
            origin: origin(found.max_calls.by),
        },
        EffectiveSetting {
            field: "busy_trigger",
            value: found.busy_trigger.value.to_string(),
            origin: origin(found.busy_trigger.by),
        },
    ];
    (Carries::Line(ProfileLine { appearance: found.values(), ..entry }), settings)
}

/// The speed dial, without its busy lamp where the wearer may not see the number's state (DP-12). A number that is no
/// line of the directory counts as one of the group `standard`.
fn lit(dial: SpeedDial, sources: &Sources<'_>, around: &Around, left_off: &mut Vec<LeftOff>) -> SpeedDial {
    if !dial.busy_lamp {
        return dial;
    }
    let viewer = sources.brought.settings.presence_group.as_ref();
    let target = line_of_number(&around.lines, &dial.number).and_then(|line| line.presence_group.as_ref());
    if may_see(&around.presence_groups, viewer, target) {
        return dial;
    }
    let reason =
        format!("presence group {:?} may not see the lines of {:?}", group_name(viewer), group_name(target));
    left_off.push(LeftOff::new(format!("busy lamp of {dial}"), "DP-12", reason));
    SpeedDial { busy_lamp: false, ..dial }
}
