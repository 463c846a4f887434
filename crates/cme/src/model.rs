//! What the file says, in its own terms: one type for each kind of section, every statement with its line.

use roamline_proto::profile::{LineCapacity, LineKind, PhoneProtocol};

/// A statement and the line it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub(crate) line: usize,
    pub(crate) value: T,
}

impl<T> At<T> {
    pub(crate) fn new(line: usize, value: T) -> Self {
        Self { line, value }
    }
}

/// `number N[,N...] [type T]` of a profile.
#[derive(Clone, Debug)]
pub(crate) struct Numbers {
    pub(crate) kind: LineKind,
    pub(crate) numbers: Vec<String>,
}

/// `speed-dial TAG NUMBER [label L] [blf]`.
#[derive(Clone, Debug)]
pub(crate) struct SpeedDial {
    pub(crate) tag: u32,
    pub(crate) number: String,
    pub(crate) label: String,
    pub(crate) busy_lamp: bool,
}

/// A name with its password. It has no `Debug`.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) name: String,
    pub(crate) password: String,
}

/// `voice logout-profile` and `voice user-profile`.
pub(crate) struct Profile {
    pub(crate) tag: At<u32>,
    pub(crate) pin: Option<At<String>>,
    pub(crate) user: Option<At<Login>>,
    pub(crate) numbers: Vec<At<Numbers>>,
    pub(crate) speed_dials: Vec<At<SpeedDial>>,
    pub(crate) idle_minutes: Option<At<u32>>,
    pub(crate) privacy_button: Option<At<()>>,
}

/// `ephone-dn` and `voice register dn`.
pub(crate) struct DirectoryNumber {
    pub(crate) tag: At<u32>,
    pub(crate) protocol: PhoneProtocol,
    pub(crate) capacity: LineCapacity,
    pub(crate) number: Option<At<String>>,
    pub(crate) secondary: Option<At<String>>,
    pub(crate) label: Option<At<String>>,
    pub(crate) description: Option<At<String>>,
    pub(crate) name: Option<At<String>>,
}

/// `button P:DN[,DN]` of an ephone, `number P dn DN` of a pool.
#[derive(Debug)]
pub(crate) struct Button {
    pub(crate) position: u32,
    pub(crate) kind: LineKind,
    pub(crate) directory_numbers: Vec<u32>,
}

/// `ephone` and `voice register pool`.
pub(crate) struct Phone {
    pub(crate) tag: At<u32>,
    pub(crate) protocol: PhoneProtocol,
    pub(crate) mac: Option<At<String>>,
    pub(crate) model: Option<At<String>>,
    pub(crate) modules: Vec<String>,
    pub(crate) description: Option<At<String>>,
    pub(crate) logout_profile: Option<At<u32>>,
    pub(crate) buttons: Vec<At<Button>>,
    pub(crate) speed_dials: Vec<At<SpeedDial>>,
}

/// `telephony-service` and `voice register global`.
#[derive(Default)]
pub(crate) struct System {
    pub(crate) telephony_service: Option<usize>,
    pub(crate) max_phones: Vec<At<u32>>,
    pub(crate) logout_times: Option<At<Vec<String>>>,
    pub(crate) keep_history: Option<At<()>>,
    pub(crate) user_locale: Option<At<&'static str>>,
    pub(crate) applications: Vec<At<Login>>,
}

/// Everything that was understood.
#[derive(Default)]
pub(crate) struct Config {
    pub(crate) logout_profiles: Vec<Profile>,
    pub(crate) user_profiles: Vec<Profile>,
    pub(crate) directory_numbers: Vec<DirectoryNumber>,
    pub(crate) phones: Vec<Phone>,
    pub(crate) system: System,
}

impl Config {
    /// Nothing in it can be imported.
    pub(crate) fn is_empty(&self) -> bool {
        self.logout_profiles.is_empty()
            && self.user_profiles.is_empty()
            && self.directory_numbers.is_empty()
            && self.phones.is_empty()
            && self.system.telephony_service.is_none()
    }
}
