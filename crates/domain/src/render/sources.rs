//! Which record gives what. A profile that fits the phone's model gives everything (LI-4); one that does not gives what
//! belongs to the user, and the default device profile gives what belongs to the device (LI-5). With nobody logged in,
//! what follows the user falls back to the phone itself (LI-15).

use super::{LogoutSource, NoDefaultDeviceProfile, Origin};
use crate::directory::{DefaultDeviceProfile, Phone, UserDeviceProfile};
use crate::settings::{DeviceSettings, LineAppearance, ProfileLine};

/// A record that gives settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    pub(super) settings: &'a DeviceSettings,
    pub(super) origin: Origin,
}

/// Who gives what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sources<'a> {
    /// Lines, speed dials, services, user locale, hold audio source, idle limit.
    pub(super) brought: Source<'a>,
    /// Templates, expansion modules, feature buttons, privacy button.
    pub(super) device: Source<'a>,
    /// Privacy, presentation, MLPP, do-not-disturb (LI-15).
    pub(super) personal: Source<'a>,
    /// The phone's own record: it stands in for the device pool (LI-14).
    pub(super) phone: Source<'a>,
    /// Whether what is brought fits the phone's model (LI-4) or does not (LI-5).
    pub(super) fits: bool,
    /// Whether what is brought knows of a model at all: where it does not, the phone's own modules stay.
    pub(super) knows_modules: bool,
}

impl<'a> Sources<'a> {
    /// At a login.
    pub(super) fn of_login(
        phone: &'a Phone,
        profile: &'a UserDeviceProfile,
        default: Option<&'a DefaultDeviceProfile>,
    ) -> Result<Self, NoDefaultDeviceProfile> {
        let brought = Source { settings: &profile.settings, origin: Origin::Profile };
        let all = Self::all_of(brought, phone);
        if fits(phone, profile) {
            return Ok(Self { knows_modules: profile.made_for.is_some(), ..all });
        }
        let default = default
            .filter(|default| default.model == phone.model)
            .ok_or_else(|| NoDefaultDeviceProfile { model: phone.model.clone() })?;
        let device = Source { settings: &default.settings, origin: Origin::DefaultDeviceProfile };
        Ok(Self { device, personal: device, fits: false, ..all })
    }

    /// With nobody logged in.
    pub(super) fn of_logout(phone: &'a Phone, logout: LogoutSource<'a>) -> Self {
        let own = Source { settings: &phone.settings, origin: Origin::Phone };
        match logout {
            LogoutSource::OwnSettings => Self::all_of(own, phone),
            LogoutSource::Shared(profile) => {
                let brought = Source { settings: &profile.settings, origin: Origin::LogoutProfile };
                Self { personal: own, knows_modules: false, ..Self::all_of(brought, phone) }
            }
            LogoutSource::Profile(profile) => {
                let brought = Source { settings: &profile.settings, origin: Origin::Profile };
                let all = Self { personal: own, ..Self::all_of(brought, phone) };
                if fits(phone, profile) {
                    Self { knows_modules: profile.made_for.is_some(), ..all }
                } else {
                    Self { device: own, fits: false, ..all }
                }
            }
        }
    }

    /// With nobody logged in, where only the settings are known.
    pub(super) fn of_logged_out(phone: &'a Phone, settings: &'a DeviceSettings) -> Self {
        let brought = Source { settings, origin: Origin::LogoutProfile };
        Self { knows_modules: false, ..Self::all_of(brought, phone) }
    }

    fn all_of(source: Source<'a>, phone: &'a Phone) -> Self {
        let own = Source { settings: &phone.settings, origin: Origin::Phone };
        Self {
            brought: source,
            device: source,
            personal: source,
            phone: own,
            fits: true,
            knows_modules: true,
        }
    }

    /// The lines, without their per-device settings where the profile is for another model (LI-5).
    pub(super) fn lines(&self) -> Vec<ProfileLine> {
        let lines = &self.brought.settings.lines;
        if self.fits {
            return lines.clone();
        }
        lines
            .iter()
            .map(|line| ProfileLine { appearance: LineAppearance::default(), ..line.clone() })
            .collect()
    }

    /// Who gives the expansion modules.
    pub(super) fn modules(&self) -> Source<'a> {
        let listed = !self.device.settings.expansion_modules.is_empty();
        if listed || self.knows_modules { self.device } else { self.phone }
    }
}

/// A profile made for no model fits every model, as router-based profiles do.
fn fits(phone: &Phone, profile: &UserDeviceProfile) -> bool {
    profile.made_for.as_ref().is_none_or(|made_for| made_for.model == phone.model)
}
