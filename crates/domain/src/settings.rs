//! What a phone can be told to wear, whoever brings it: a user device profile, a default device profile, a logout
//! profile, or the phone itself (DP-2).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::name::{LineName, RecordName};

/// The protocol a phone speaks to its call control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Skinny client control protocol.
    Sccp,
    /// Session initiation protocol.
    Sip,
}

/// How a number rings, in the order in which lines stand on a phone (LL-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineKind {
    /// Rings.
    Normal,
    /// Does not ring, shows calls.
    SilentRing,
    /// Beeps for calls that wait.
    BeepRing,
    /// Rings with a cadence of its own.
    FeatureRing,
    /// Shows the state of the line, takes no calls.
    MonitorRing,
    /// Several numbers on one button.
    Overlay,
    /// An overlay with call waiting.
    CallWaitingOverlay,
}

impl LineKind {
    /// Whether it puts several numbers on one button.
    pub fn is_overlay(self) -> bool {
        matches!(self, Self::Overlay | Self::CallWaitingOverlay)
    }
}

/// Settings of one line on one device: what a login at another model does not carry over (LI-5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineAppearance {
    /// The text beside the button; empty for the number itself.
    pub label: String,
    /// Calls at most at once.
    pub max_calls: u32,
    /// Calls from which on the line is busy.
    pub busy_trigger: u32,
}

impl Default for LineAppearance {
    /// No label, two calls, busy from the first: the values that a new line has.
    fn default() -> Self {
        Self { label: String::new(), max_calls: 2, busy_trigger: 1 }
    }
}

/// One entry of a profile's list of numbers: what one button may carry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileLine {
    /// How it rings.
    pub kind: LineKind,
    /// The lines: one, or 1 to 25 for an overlay, highest priority first (LL-3).
    pub lines: Vec<LineName>,
    /// Its per-device settings; with a template, an empty label and zeros leave a setting to it.
    pub appearance: LineAppearance,
    /// The line template that fills what is left to it (DP-21).
    #[serde(default)]
    pub template: Option<RecordName>,
}

impl ProfileLine {
    /// An entry with settings as a new line has them.
    pub fn new(kind: LineKind, lines: Vec<LineName>) -> Self {
        Self { kind, lines, appearance: LineAppearance::default(), template: None }
    }
}

/// A number to dial at the press of a button (DP-12).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpeedDial {
    /// 1 to 36, unique in the profile; the order on the phone.
    pub tag: u32,
    /// Digits, `*`, `#`, `+`.
    pub number: String,
    /// The text beside the button; may be empty.
    pub label: String,
    /// Whether the button shows the state of the number.
    pub busy_lamp: bool,
}

/// Privacy on shared lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Privacy {
    /// As the phone or the cluster says.
    #[default]
    Default,
    /// On.
    On,
    /// Off.
    Off,
}

/// Whether MLPP calls are signalled (DP-3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MlppIndication {
    /// As the device pool says.
    #[default]
    Default,
    /// Off.
    Off,
    /// On.
    On,
}

/// Whether a call of higher precedence ends one of lower (DP-3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MlppPreemption {
    /// As the device pool says.
    #[default]
    Default,
    /// Never.
    Disabled,
    /// Always.
    Forceful,
}

/// Multilevel precedence and preemption (DP-3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mlpp {
    /// Empty, or hexadecimal 0 to FFFFFF.
    pub domain: String,
    /// Whether calls are signalled.
    pub indication: MlppIndication,
    /// Whether calls are preempted.
    pub preemption: MlppPreemption,
}

/// What do-not-disturb does with a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DoNotDisturbOption {
    /// The call is shown and does not ring.
    #[default]
    RingerOff,
    /// The call is refused.
    CallReject,
}

/// Do-not-disturb.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoNotDisturb {
    /// What it does.
    pub option: DoNotDisturbOption,
    /// Whether it is on.
    pub on: bool,
}

/// A phone service that a profile or phone subscribes to (DP-11).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSubscription {
    /// Its name.
    pub name: String,
    /// Where it is; `#DEVICENAME#` stands for the phone's name.
    pub url: String,
    /// Its parameters.
    pub parameters: BTreeMap<String, String>,
    /// The definition it was made from.
    #[serde(default)]
    pub definition: Option<RecordName>,
}

/// A key that does something other than a line or a speed dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names are the field's own")]
pub enum FeatureButton {
    CallForwardAll,
    Conference,
    DoNotDisturb,
    EndCall,
    Hold,
    NewCall,
    GroupPickup,
    Park,
    Privacy,
    Redial,
    Transfer,
    CallBack,
    Join,
    MaliciousCall,
    MeetMe,
    Mobility,
    Pickup,
    Video,
}

/// Everything that can be brought to a phone (DP-2). Empty texts and absent values leave the matter to the fall-backs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceSettings {
    /// Language, as a BCP 47 tag.
    pub user_locale: Option<String>,
    /// What held callers hear.
    pub user_hold_audio_source: Option<String>,
    /// Phone button template.
    pub phone_button_template: Option<String>,
    /// Softkey template.
    pub softkey_template: Option<String>,
    /// Privacy on shared lines.
    pub privacy: Privacy,
    /// Whether restrictions on showing the caller are ignored.
    pub ignore_presentation_indicators: bool,
    /// Expansion modules by their name in the catalogue.
    pub expansion_modules: Vec<String>,
    /// Precedence and preemption.
    pub mlpp: Mlpp,
    /// Do-not-disturb.
    pub do_not_disturb: DoNotDisturb,
    /// Numbers, in the profile's own order.
    pub lines: Vec<ProfileLine>,
    /// Speed dials.
    pub speed_dials: Vec<SpeedDial>,
    /// Services.
    pub services: Vec<ServiceSubscription>,
    /// Feature buttons, in order.
    pub feature_buttons: Vec<FeatureButton>,
    /// PIN that lifts call blocking (DP-14).
    pub call_blocking_pin: Option<CallBlockingPin>,
    /// Minutes without going off hook after which the user is logged out (DP-14).
    pub idle_limit_minutes: Option<u32>,
    /// Whether the privacy button is offered (DP-15).
    pub privacy_button: bool,
    /// The phone template that fills what is empty here (DP-21).
    pub phone_template: Option<RecordName>,
    /// The presence group that says whose state a busy lamp may show (DP-12); `None` for `standard`.
    pub presence_group: Option<RecordName>,
}

/// A PIN of 4 to 8 digits that lifts call blocking (DP-14). It does not print.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallBlockingPin(pub String);

impl std::fmt::Debug for CallBlockingPin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CallBlockingPin(..)")
    }
}
