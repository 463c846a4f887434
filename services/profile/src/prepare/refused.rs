//! Refusals of a login that the directory knows of, each with its reason.

use roamline_domain::check::PhoneRefused;
use roamline_domain::directory::{OwnerPolicy, Phone};
use roamline_domain::profile_choice::ChoiceRefused;
use roamline_domain::render::NoDefaultDeviceProfile;
use roamline_domain::{PhoneName, ProfileName, UserId};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;

pub(super) fn phone_not_found(name: &PhoneName) -> Refusal {
    Refusal::new(ErrorReason::PhoneNotFound, format!("there is no phone {name}")).with("phone", name.as_str())
}

pub(super) fn device_name_duplicate(name: &PhoneName) -> Refusal {
    let text = format!("the home cluster has a device {name}, too (XC-6)");
    Refusal::new(ErrorReason::DeviceNameDuplicate, text).with("phone", name.as_str())
}

pub(super) fn phone_refused(why: &PhoneRefused) -> Refusal {
    let reason = match why {
        PhoneRefused::NotEnabled => ErrorReason::PhoneNotEnabled,
        PhoneRefused::ModelNotAllowed { .. } => ErrorReason::PhoneModelNotAllowed,
        PhoneRefused::Ipv6Only => ErrorReason::PhoneIpv6Only,
    };
    Refusal::new(reason, why.to_string())
}

pub(super) fn user_id_malformed(problem: String) -> Refusal {
    Refusal::new(ErrorReason::UserIdMalformed, "the user id is not well-formed").violation("user_id", problem)
}

pub(super) fn user_not_found(user_id: &UserId) -> Refusal {
    Refusal::new(ErrorReason::UserNotFound, format!("the directory has no user {:?}", user_id.as_str()))
        .with("userId", user_id.as_str())
}

pub(super) fn choice_refused(why: &ChoiceRefused) -> Refusal {
    match why {
        ChoiceRefused::NoProfile => Refusal::new(ErrorReason::ProfileMissing, why.to_string()),
        ChoiceRefused::NotOwned { profile } => {
            Refusal::new(ErrorReason::ProfileNotOwned, why.to_string()).with("profile", profile.as_str())
        }
        ChoiceRefused::ChoiceNeeded { profiles } => {
            let names = profiles.iter().map(ProfileName::as_str).collect::<Vec<_>>().join(",");
            Refusal::new(ErrorReason::ProfileChoiceNeeded, "the user has several profiles and must name one")
                .with("profiles", names)
        }
    }
}

pub(super) fn no_default(why: &NoDefaultDeviceProfile) -> Refusal {
    Refusal::new(ErrorReason::DefaultDeviceProfileMissing, why.to_string()).with("model", why.model.as_str())
}

/// LI-13: the phone has an owner who keeps it to himself, and the user is not he.
pub(super) fn reserved(phone: &Phone, user_id: &UserId) -> Option<Refusal> {
    let owner = phone.owner.as_ref().filter(|_| phone.owner_policy == OwnerPolicy::OwnerOnly)?;
    let message = format!("phone {} is kept by its owner (LI-13)", phone.name);
    let refusal = || Refusal::new(ErrorReason::PhoneReserved, message).with("phone", phone.name.as_str());
    (owner != user_id).then(refusal)
}
