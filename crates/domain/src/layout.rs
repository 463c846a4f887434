//! What stands on which button. Lines come by kind, then speed dials by tag, until the buttons are used up; whatever
//! finds no place is named with the rule that left it off.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::LineName;
use crate::settings::{FeatureButton, LineKind, ProfileLine, Protocol, SpeedDial};

/// What a button carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Carries {
    /// A line, or several as an overlay.
    Line(ProfileLine),
    /// A speed dial.
    SpeedDial(SpeedDial),
}

/// One button in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    /// From 1: the phone's own buttons first, then those of its expansion modules.
    pub position: u32,
    /// What it carries.
    pub carries: Carries,
}

/// Something a profile has and a phone does not wear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOff {
    /// What it is, as one reads it: "speed dial 1 (3001)".
    pub what: String,
    /// The id of the rule that left it off.
    pub rule: &'static str,
    /// Why, in a sentence.
    pub reason: String,
}

impl LeftOff {
    pub(crate) fn new(what: impl fmt::Display, rule: &'static str, reason: impl Into<String>) -> Self {
        Self { what: what.to_string(), rule, reason: reason.into() }
    }
}

/// The buttons of a phone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Those in use, by position, from 1 without a gap.
    pub buttons: Vec<Button>,
    /// What found no place: lines in the profile's order, then speed dials by tag.
    pub left_off: Vec<LeftOff>,
}

/// Lays lines and speed dials out on that many buttons, those of the expansion modules included (LL-1, LL-2). A SIP
/// phone wears normal lines only (LL-5).
pub fn lay_out(lines: &[ProfileLine], speed_dials: &[SpeedDial], protocol: Protocol, buttons: u32) -> Layout {
    let mut layout = Layout::default();
    let full = || format!("the phone has {}", counted(buttons, "button"));
    let mut place = |carries: Carries| -> bool {
        let position = u32::try_from(layout.buttons.len()).unwrap_or(u32::MAX).saturating_add(1);
        let fits = position <= buttons;
        if fits {
            layout.buttons.push(Button { position, carries });
        }
        fits
    };

    let mut ordered: Vec<(usize, &ProfileLine)> = lines.iter().enumerate().collect();
    ordered.sort_by_key(|(_, line)| rank(line.kind));
    let mut lines_off = Vec::new();
    for (index, line) in ordered {
        if !worn_on(line.kind, protocol) {
            lines_off.push((index, LeftOff::new(line, "LL-5", "a SIP phone wears normal lines only")));
        } else if !place(Carries::Line(line.clone())) {
            lines_off.push((index, LeftOff::new(line, "LL-2", full())));
        }
    }

    let mut by_tag: Vec<&SpeedDial> = speed_dials.iter().collect();
    by_tag.sort_by_key(|dial| dial.tag);
    let dials_off: Vec<LeftOff> = by_tag
        .into_iter()
        .filter(|dial| !place(Carries::SpeedDial((*dial).clone())))
        .map(|dial| LeftOff::new(dial, "LL-2", full()))
        .collect();

    lines_off.sort_by_key(|(index, _)| *index);
    layout.left_off = lines_off.into_iter().map(|(_, off)| off).chain(dials_off).collect();
    layout
}

/// The feature buttons a phone of that protocol wears, in order, and those it does not (LL-6).
pub fn worn_feature_buttons(
    wanted: &[FeatureButton],
    protocol: Protocol,
) -> (Vec<FeatureButton>, Vec<LeftOff>) {
    let (worn, off): (Vec<_>, Vec<_>) =
        wanted.iter().copied().partition(|button| protocol == Protocol::Sccp || worn_on_sip(*button));
    let off = off.into_iter().map(|button| {
        LeftOff::new(
            format!("feature button {button}"),
            "LL-6",
            "a SIP phone does not have this feature button",
        )
    });
    (worn, off.collect())
}

/// The place of a kind in the order of buttons; both overlays share the last (LL-1).
fn rank(kind: LineKind) -> LineKind {
    if kind.is_overlay() { LineKind::Overlay } else { kind }
}

fn worn_on(kind: LineKind, protocol: Protocol) -> bool {
    protocol == Protocol::Sccp || kind == LineKind::Normal
}

fn worn_on_sip(button: FeatureButton) -> bool {
    matches!(
        button,
        FeatureButton::CallForwardAll
            | FeatureButton::Conference
            | FeatureButton::DoNotDisturb
            | FeatureButton::EndCall
            | FeatureButton::Hold
            | FeatureButton::NewCall
            | FeatureButton::GroupPickup
            | FeatureButton::Park
            | FeatureButton::Privacy
            | FeatureButton::Redial
            | FeatureButton::Transfer
    )
}

pub(crate) fn counted(count: u32, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

/// The lines of one button as one reads them: "2005+2006".
pub(crate) fn joined(lines: &[LineName]) -> String {
    lines.iter().map(LineName::as_str).collect::<Vec<_>>().join("+")
}

impl fmt::Display for ProfileLine {
    /// "line 2005+2006 (overlay)".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} ({})", joined(&self.lines), self.kind)
    }
}

impl fmt::Display for SpeedDial {
    /// "speed dial 1 (3001)".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "speed dial {} ({})", self.tag, self.number)
    }
}

impl fmt::Display for LineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Normal => "normal",
            Self::SilentRing => "silent ring",
            Self::BeepRing => "beep ring",
            Self::FeatureRing => "feature ring",
            Self::MonitorRing => "monitor ring",
            Self::Overlay => "overlay",
            Self::CallWaitingOverlay => "call-waiting overlay",
        })
    }
}

impl fmt::Display for FeatureButton {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CallForwardAll => "call forward all",
            Self::Conference => "conference",
            Self::DoNotDisturb => "do not disturb",
            Self::EndCall => "end call",
            Self::Hold => "hold",
            Self::NewCall => "new call",
            Self::GroupPickup => "group pickup",
            Self::Park => "park",
            Self::Privacy => "privacy",
            Self::Redial => "redial",
            Self::Transfer => "transfer",
            Self::CallBack => "call back",
            Self::Join => "join",
            Self::MaliciousCall => "malicious call",
            Self::MeetMe => "meet me",
            Self::Mobility => "mobility",
            Self::Pickup => "pickup",
            Self::Video => "video",
        })
    }
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
