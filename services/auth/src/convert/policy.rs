//! Credential policies between the wire and this service.

use std::time::Duration;

use roamline_domain::credential::{CredentialPolicy, OwnPolicy};
use roamline_domain::{PrincipalName, Violations};
use roamline_proto::auth as proto;
use roamline_proto::length;
use roamline_proto::profile;

use super::removal::parsed;
use crate::error::AuthError;

/// The most principals that are given a policy at once.
const MOST_NAMES: usize = 10_000;

/// The credential policy as the profile service tells it; what it leaves out, or says in a way that cannot be, is at its
/// default.
pub(crate) fn policy(from: &profile::CredentialPolicy) -> CredentialPolicy {
    own_policy(from, &mut Violations::new()).over(&CredentialPolicy::default())
}

/// What somebody's policy says of its own.
fn own_policy(from: &profile::CredentialPolicy, wrong: &mut Violations) -> OwnPolicy {
    let mut time = |field: &str, given: Option<prost_types::Duration>| {
        let time = length(given?);
        if time.is_none() {
            wrong.add(field, "SP-14", "must not be negative");
        }
        time
    };
    OwnPolicy {
        failures_reset_after: time("failures_reset_after", from.failures_reset_after),
        lockout_for: time("lockout_duration", from.lockout_duration),
        minimum_change_interval: time("minimum_change_interval", from.minimum_change_interval),
        failures_before_lockout: from.failures_before_lockout,
        minimum_length: from.minimum_length,
        history: from.history,
        expires_after_days: from.expires_after_days,
        expiry_warning_days: from.expiry_warning_days,
        inactive_days: from.inactive_days,
        trivial_check: from.trivial_check,
        minimum_changed_characters: from.minimum_changed_characters,
        must_change_initial: from.must_change_initial,
    }
}

pub(crate) fn own_policy_to_proto(policy: &OwnPolicy) -> profile::CredentialPolicy {
    let time = |time: Option<Duration>| time.and_then(|time| prost_types::Duration::try_from(time).ok());
    profile::CredentialPolicy {
        failures_before_lockout: policy.failures_before_lockout,
        failures_reset_after: time(policy.failures_reset_after),
        lockout_duration: time(policy.lockout_for),
        minimum_length: policy.minimum_length,
        history: policy.history,
        expires_after_days: policy.expires_after_days,
        expiry_warning_days: policy.expiry_warning_days,
        minimum_change_interval: time(policy.minimum_change_interval),
        inactive_days: policy.inactive_days,
        trivial_check: policy.trivial_check,
        minimum_changed_characters: policy.minimum_changed_characters,
        must_change_initial: policy.must_change_initial,
    }
}

pub(crate) fn policy_to_proto(policy: &CredentialPolicy) -> profile::CredentialPolicy {
    own_policy_to_proto(&OwnPolicy {
        failures_before_lockout: Some(policy.failures_before_lockout),
        failures_reset_after: Some(policy.failures_reset_after),
        lockout_for: Some(policy.lockout_for),
        minimum_length: Some(policy.minimum_length),
        history: Some(policy.history),
        expires_after_days: Some(policy.expires_after_days),
        expiry_warning_days: Some(policy.expiry_warning_days),
        minimum_change_interval: Some(policy.minimum_change_interval),
        inactive_days: Some(policy.inactive_days),
        trivial_check: Some(policy.trivial_check),
        minimum_changed_characters: Some(policy.minimum_changed_characters),
        must_change_initial: Some(policy.must_change_initial),
    })
}

/// Who is to have which policy of his own.
pub(crate) fn policy_for(
    request: proto::SetCredentialPolicyRequest,
) -> Result<(Vec<PrincipalName>, OwnPolicy), AuthError> {
    let proto::SetCredentialPolicyRequest { names, credential_policy } = request;
    let names = parsed(&names, MOST_NAMES)?;
    let mut wrong = Violations::new();
    let policy = own_policy(&credential_policy.unwrap_or_default(), &mut wrong);
    let mut told = Violations::new();
    told.extend_under("credential_policy", wrong);
    told.none_or((names, policy)).map_err(AuthError::Invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sp_14_a_policy_of_ones_own_is_told_as_it_was_set() {
        let own = OwnPolicy {
            lockout_for: Some(Duration::ZERO),
            minimum_length: Some(4),
            must_change_initial: Some(true),
            ..OwnPolicy::default()
        };
        let told = own_policy_to_proto(&own);
        assert_eq!(told.history, None);
        let request =
            proto::SetCredentialPolicyRequest { names: vec!["agent7".into()], credential_policy: Some(told) };
        assert_eq!(policy_for(request).unwrap(), (vec!["agent7".parse().unwrap()], own));
        let all = policy_to_proto(&CredentialPolicy::default());
        assert_eq!(policy(&all), CredentialPolicy::default());
    }

    #[test]
    fn a_time_that_is_negative_is_refused_with_its_place() {
        let negative = Some(prost_types::Duration { seconds: -60, nanos: 0 });
        let policy = profile::CredentialPolicy { lockout_duration: negative, ..Default::default() };
        let request =
            proto::SetCredentialPolicyRequest { names: Vec::new(), credential_policy: Some(policy) };
        let Err(AuthError::Invalid(wrong)) = policy_for(request) else { panic!("it is refused") };
        assert_eq!(wrong.into_iter().next().unwrap().field, "credential_policy.lockout_duration");
    }
}
