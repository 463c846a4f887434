//! EMCC base devices: what stands at home for the phone at which a user is logged in elsewhere (XC-3).

use std::fmt;

use crate::name::{PhoneName, SessionId};

/// The largest pool.
pub const MOST_BASE_DEVICES: u32 = 60_000;

/// A base device of the pool, from 1. Its label is `EMCC1`; as a phone it has a MAC address that no maker gives out
/// (locally administered), so that it can be no real phone's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BaseDevice(u32);

impl BaseDevice {
    /// The device of that number; `None` beyond the largest pool.
    pub fn new(number: u32) -> Option<Self> {
        (1..=MOST_BASE_DEVICES).contains(&number).then_some(Self(number))
    }

    /// Its number.
    pub fn number(self) -> u32 {
        self.0
    }

    /// Its name among phones.
    ///
    /// # Errors
    /// Never: every number gives a name.
    pub fn phone(self) -> Result<PhoneName, crate::name::InvalidName> {
        format!("SEP02E3CC{:06X}", self.0).parse()
    }

    /// The base device that a phone's name means, if it is one's.
    pub fn of_phone(phone: &PhoneName) -> Option<Self> {
        let number = phone.as_str().strip_prefix("SEP02E3CC")?;
        Self::new(u32::from_str_radix(number, 16).ok()?)
    }

    /// Where a session begins to look for a free device in a pool of that size: at a place of its own, so that logins at
    /// the same time seldom want the same one. `None` where the pool is empty.
    pub fn first_choice(session: &SessionId, pool: u32) -> Option<Self> {
        let pool = pool.min(MOST_BASE_DEVICES);
        let sum = session
            .as_str()
            .bytes()
            .fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
        Self::new(sum.checked_rem(pool)? + 1)
    }
}

impl fmt::Display for BaseDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EMCC{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn xc_3_a_base_device_and_its_name_mean_each_other(number in 1..=MOST_BASE_DEVICES) {
            let device = BaseDevice::new(number).unwrap();
            prop_assert_eq!(BaseDevice::of_phone(&device.phone().unwrap()), Some(device));
        }

        #[test]
        fn xc_3_the_first_choice_is_in_the_pool(id in "[0-9A-Z]{26}", pool in 0..=70_000_u32) {
            let choice = BaseDevice::first_choice(&id.parse().unwrap(), pool);
            prop_assert_eq!(choice.is_none(), pool == 0);
            prop_assert!(choice.is_none_or(|device| device.number() <= pool));
        }
    }

    #[test]
    fn there_are_60000_base_devices_and_no_other_phone_is_one() {
        assert!(BaseDevice::new(0).is_none() && BaseDevice::new(60_001).is_none());
        for name in ["SEP02E3CC000000", "SEP02E3CCFFFFFF", "SEP000DEDAB3566"] {
            assert_eq!(BaseDevice::of_phone(&name.parse().unwrap()), None, "{name}");
        }
        assert_eq!(BaseDevice::new(7).unwrap().to_string(), "EMCC7");
    }
}
