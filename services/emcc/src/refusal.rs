//! Domain and store errors as refusals: the one mapping of this service.

use roamline_domain::emcc::admission::HomeRefused;
use roamline_domain::emcc::parameters::NotActivated;
use roamline_domain::{ClusterId, PhoneName, SessionId, UserId, Violations};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_store::StoreError;

/// A store that failed. The cause is logged here, once, and not told.
pub(crate) fn store(error: &StoreError) -> Refusal {
    tracing::error!(error = error as &dyn std::error::Error, "the federation's store failed");
    match error {
        StoreError::Corrupt { what, .. } => {
            Refusal::new(ErrorReason::Internal, format!("the record of {what} is corrupt"))
        }
        _ => Refusal::new(ErrorReason::StoreUnavailable, "the federation's store is unavailable"),
    }
}

/// A malformed request, with every violation.
pub(crate) fn invalid(found: Violations) -> Refusal {
    violated(ErrorReason::InvalidRequest, "the request is malformed", found)
}

/// A setting that breaks rules.
pub(crate) fn broken(found: Violations) -> Refusal {
    violated(ErrorReason::ResourceInvalid, "it breaks rules", found)
}

fn violated(reason: ErrorReason, what: &str, found: Violations) -> Refusal {
    let mut refusal = Refusal::new(reason, format!("{what}: {found}"));
    for violation in found {
        refusal = refusal.violation(violation.field, violation.message);
    }
    refusal
}

/// Why the home takes no login from there (XC-6, XC-8).
pub(crate) fn home(refused: HomeRefused) -> Refusal {
    let reason = match refused {
        HomeRefused::NotAllowed => ErrorReason::CrossClusterNotAllowed,
        HomeRefused::NotActivated(why) => return not_activated(why),
        HomeRefused::Version => ErrorReason::PeerVersionUnsupported,
        HomeRefused::BaseDeviceSecurity => ErrorReason::BaseDeviceSecurityMode,
        HomeRefused::Security => ErrorReason::PeerSecurityModeUnsupported,
    };
    Refusal::new(reason, refused.to_string())
}

/// What cross-cluster logins need and is not set (XC-8).
pub(crate) fn not_activated(why: NotActivated) -> Refusal {
    let reason = match why {
        NotActivated::NoTimeLimit => ErrorReason::InterClusterTimeMissing,
        NotActivated::NoConfigurationServer => ErrorReason::CrossClusterNotConfigured,
    };
    Refusal::new(reason, why.to_string())
}

pub(crate) fn unavailable(peer: &ClusterId) -> Refusal {
    let text = format!("cluster {peer} does not answer (XC-9)");
    Refusal::new(ErrorReason::PeerUnavailable, text).with("peer", peer.as_str())
}

pub(crate) fn not_at_home(user: &str) -> Refusal {
    let shown: String = user.chars().take(128).collect();
    Refusal::new(ErrorReason::UserNotAtHome, format!("{shown:?} is not at home here")).with("userId", shown)
}

pub(crate) fn not_enabled(user: &UserId) -> Refusal {
    let text = format!("{user} may not log in at other clusters (XC-6)");
    Refusal::new(ErrorReason::CrossClusterUserNotEnabled, text).with("userId", user.as_str())
}

pub(crate) fn model(model: &str) -> Refusal {
    let shown: String = model.chars().take(80).collect();
    let text = format!("phones of the model {shown:?} take no cross-cluster login (XC-6)");
    Refusal::new(ErrorReason::CrossClusterModelNotAllowed, text).with("model", shown)
}

pub(crate) fn pool_empty(pool: u32) -> Refusal {
    let text = format!("all {pool} base devices are in use (XC-6)");
    let mut refusal = Refusal::new(ErrorReason::BaseDevicesExhausted, text);
    refusal.retry_after = Some(std::time::Duration::from_secs(30));
    refusal
}

pub(crate) fn id_used(session: &str) -> Refusal {
    let shown: String = session.chars().take(26).collect();
    let text = format!("the session id {shown:?} was used before, or its time is not now");
    Refusal::new(ErrorReason::SessionIdUsed, text).with("sessionId", shown)
}

pub(crate) fn no_session(session: &SessionId) -> Refusal {
    let text = format!("there is no session {session} between the two clusters");
    Refusal::new(ErrorReason::SessionNotFound, text).with("sessionId", session.as_str())
}

pub(crate) fn mismatch(said: &str, proven: &ClusterId) -> Refusal {
    let shown: String = said.chars().take(32).collect();
    let text = format!("the request speaks for {shown:?}, and the certificate proves {proven} (XC-10)");
    Refusal::new(ErrorReason::ClusterIdMismatch, text).with("provenCluster", proven.as_str())
}

pub(crate) fn elsewhere(refused: Refusal, phone: &PhoneName, cluster: &ClusterId) -> Refusal {
    Refusal { message: format!("the user is logged in to {phone} of cluster {cluster} (XC-5)"), ..refused }
        .with("phone", phone.as_str())
        .with("cluster", cluster.as_str())
}
