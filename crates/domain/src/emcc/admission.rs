//! Whether a home cluster takes the login of a user of its own at another cluster's phone, and for how long (XC-6, XC-8).

use std::time::Duration;

use super::parameters::{FederationParameters, NotActivated, SecurityMode};
use super::remote::RemoteServices;
use crate::catalogue::PhoneModel;
use crate::parameters::ServiceParameters;

/// The newest version of the federation contract that this release speaks, and the oldest.
pub const VERSION: u32 = 1;
/// The oldest version of the federation contract that this release speaks.
pub const OLDEST_VERSION: u32 = 1;

/// Why the home cluster takes no login from there, whoever the user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HomeRefused {
    /// It shares no cross-cluster logins with that cluster, or they are not activated.
    #[error("the home cluster takes no cross-cluster logins from this one")]
    NotAllowed,
    /// Something is not set that they need.
    #[error(transparent)]
    NotActivated(#[from] NotActivated),
    /// No common version.
    #[error("the two clusters speak no common version")]
    Version,
    /// Base devices are not nonsecure.
    #[error("the base devices of the home cluster are not nonsecure")]
    BaseDeviceSecurity,
    /// A secure phone, at a home that takes none.
    #[error("the phone is secure, and its user's home takes no secure phones")]
    Security,
}

/// What the visiting cluster says of itself and of the phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit {
    /// The version that it speaks with us.
    pub version: u32,
    /// Whether the phone's signalling is secured.
    pub secure: bool,
}

/// Whether a login from there is taken at all, before it is asked who the user is.
///
/// # Errors
/// The first reason against it, in the order of [`HomeRefused`].
pub fn admit_visit(
    visit: Visit,
    shared: RemoteServices,
    parameters: &FederationParameters,
    inter_cluster_time: Duration,
) -> Result<(), HomeRefused> {
    if !shared.emcc || !parameters.activated {
        return Err(HomeRefused::NotAllowed);
    }
    parameters.may_be_activated(inter_cluster_time)?;
    if !(OLDEST_VERSION..=VERSION).contains(&visit.version) {
        return Err(HomeRefused::Version);
    }
    if parameters.base_device_security != SecurityMode::Nonsecure {
        return Err(HomeRefused::BaseDeviceSecurity);
    }
    if visit.secure && parameters.security_mode != SecurityMode::Mixed {
        return Err(HomeRefused::Security);
    }
    Ok(())
}

/// The newest version that both speak, each given by its oldest and newest; `None` if there is none.
pub fn common_version(ours: (u32, u32), theirs: (u32, u32)) -> Option<u32> {
    let (oldest, newest) = (ours.0.max(theirs.0), ours.1.min(theirs.1));
    (oldest > 0 && oldest <= newest).then_some(newest)
}

/// Whether phones of the model take cross-cluster logins: those that take logins at all, and are no programs (XC-6).
pub fn takes_cross_cluster(model: &PhoneModel) -> bool {
    model.extension_mobility && !model.soft
}

/// The parameters that a home half is decided by: inter-cluster maximum login time in the place of the intra-cluster one
/// (SP-3), and enforced (XC-8). A user's own limit goes before it (SP-20).
pub fn home_policy(policy: ServiceParameters, inter_cluster_time: Duration) -> ServiceParameters {
    ServiceParameters { enforce_maximum_login_time: true, maximum_login_time: inter_cluster_time, ..policy }
}

/// How long the visiting half may last: as long as the home's, and no longer than SP-3 here, unless that is the user's own
/// limit (SP-20). Both sides keep it by themselves, so that it holds through a partition (XC-8).
pub fn visiting_time(
    home: Option<Duration>,
    own_limit: bool,
    inter_cluster_time: Duration,
) -> Option<Duration> {
    if own_limit { home } else { Some(home.map_or(inter_cluster_time, |home| home.min(inter_cluster_time))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn ready() -> FederationParameters {
        FederationParameters {
            activated: true,
            configuration_server: "tftp".into(),
            ..FederationParameters::default()
        }
    }

    #[test]
    fn xc_6_each_obstacle_is_told_in_its_order() {
        let plain = Visit { version: VERSION, secure: false };
        let admit = |visit, shared, parameters: &FederationParameters, time| {
            admit_visit(visit, shared, parameters, time)
        };
        let all = RemoteServices::ALL;
        assert_eq!(admit(plain, all, &ready(), HOUR), Ok(()));
        assert_eq!(admit(plain, RemoteServices::default(), &ready(), HOUR), Err(HomeRefused::NotAllowed));
        let off = FederationParameters { activated: false, ..ready() };
        assert_eq!(admit(plain, all, &off, HOUR), Err(HomeRefused::NotAllowed));
        let missing = |why| Err(HomeRefused::NotActivated(why));
        assert_eq!(admit(plain, all, &ready(), Duration::ZERO), missing(NotActivated::NoTimeLimit));
        let bare = FederationParameters { configuration_server: String::new(), ..ready() };
        assert_eq!(admit(plain, all, &bare, HOUR), missing(NotActivated::NoConfigurationServer));
        let old = Visit { version: 0, ..plain };
        assert_eq!(admit(old, all, &ready(), HOUR), Err(HomeRefused::Version));
        let secured = FederationParameters { base_device_security: SecurityMode::Mixed, ..ready() };
        assert_eq!(admit(plain, all, &secured, HOUR), Err(HomeRefused::BaseDeviceSecurity));
        let secure = Visit { secure: true, ..plain };
        assert_eq!(admit(secure, all, &ready(), HOUR), Err(HomeRefused::Security));
        let mixed = FederationParameters { security_mode: SecurityMode::Mixed, ..ready() };
        assert_eq!(admit(secure, all, &mixed, HOUR), Ok(()));
    }

    #[test]
    fn two_releases_speak_the_newest_version_that_both_know() {
        assert_eq!(common_version((1, 3), (2, 5)), Some(3));
        assert_eq!(common_version((2, 5), (1, 3)), Some(3));
        assert_eq!(common_version((1, 1), (2, 3)), None);
        assert_eq!(common_version((1, 1), (0, 0)), None);
    }

    #[test]
    fn xc_6_programs_take_no_cross_cluster_login() {
        let models = crate::catalogue::Catalogue::builtin();
        let takes = |name: &str| takes_cross_cluster(models.get(&name.parse().unwrap()).unwrap());
        assert!(takes("7960") && takes("8851"));
        assert!(!takes("ip-communicator") && !takes("6901"));
    }

    proptest! {
        #[test]
        fn xc_8_no_visiting_half_outlasts_the_home_half_or_sp_3(
            home in proptest::option::of(0..1_000_000_u64), limit in 1..1_000_000_u64,
        ) {
            let (home, limit) = (home.map(Duration::from_secs), Duration::from_secs(limit));
            let time = visiting_time(home, false, limit).unwrap();
            prop_assert!(time <= limit && home.is_none_or(|home| time <= home));
            prop_assert_eq!(visiting_time(home, true, limit), home);
        }
    }
}
