//! The one bridge between the wire and this service's types: requests are parsed here, once, with every violation.

mod policy;
mod removal;
mod token;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use roamline_domain::credential::{MustChange, PrincipalKind, Role, SecretKind};
use roamline_domain::{PhoneName, PrincipalName, UserId, Violations};
use roamline_proto::auth as proto;
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_serve::Ids;
use roamline_store::StoreError;
use secrecy::{ExposeSecret, SecretString};
use tonic::Status;

use crate::credentials::Wanted;
use crate::error::AuthError;
use crate::sign_in::Proof;
use crate::throttle::Origin;

pub(crate) use policy::{own_policy_to_proto, policy, policy_for, policy_to_proto};
pub(crate) use removal::{name, removal};
pub(crate) use token::{names, refresh_token, revocations_to_proto, roles_to_proto};

/// The most credentials that are set at once.
const MOST_CREDENTIALS: usize = 10_000;
/// Longest PIN and longest password, in characters.
const LONGEST: (usize, usize) = (64, 128);
/// When to come back if the store or others are in the way.
const COME_BACK_AFTER: Duration = Duration::from_secs(1);

pub(crate) fn kind_to_proto(kind: PrincipalKind) -> proto::PrincipalKind {
    match kind {
        PrincipalKind::User => proto::PrincipalKind::User,
        PrincipalKind::LogoutProfile => proto::PrincipalKind::LogoutProfile,
        PrincipalKind::Application => proto::PrincipalKind::Application,
        PrincipalKind::Administrator => proto::PrincipalKind::Administrator,
        PrincipalKind::PhoneLink => proto::PrincipalKind::PhoneLink,
    }
}

fn kind_from_proto(number: i32) -> Option<PrincipalKind> {
    match proto::PrincipalKind::try_from(number).ok()? {
        proto::PrincipalKind::Unspecified => None,
        proto::PrincipalKind::User => Some(PrincipalKind::User),
        proto::PrincipalKind::LogoutProfile => Some(PrincipalKind::LogoutProfile),
        proto::PrincipalKind::Application => Some(PrincipalKind::Application),
        proto::PrincipalKind::Administrator => Some(PrincipalKind::Administrator),
        proto::PrincipalKind::PhoneLink => Some(PrincipalKind::PhoneLink),
    }
}

fn role_to_proto(role: Role) -> proto::Role {
    match role {
        Role::Agent => proto::Role::Agent,
        Role::Supervisor => proto::Role::Supervisor,
        Role::Helpdesk => proto::Role::Helpdesk,
        Role::Administrator => proto::Role::Administrator,
        Role::Auditor => proto::Role::Auditor,
        Role::Application => proto::Role::Application,
        Role::PhoneLink => proto::Role::PhoneLink,
        Role::Cti => proto::Role::Cti,
    }
}

/// None for what no credential can be given.
fn role_from_proto(number: i32) -> Option<Role> {
    match proto::Role::try_from(number).ok()? {
        proto::Role::Agent => Some(Role::Agent),
        proto::Role::Supervisor => Some(Role::Supervisor),
        proto::Role::Helpdesk => Some(Role::Helpdesk),
        proto::Role::Administrator => Some(Role::Administrator),
        proto::Role::Auditor => Some(Role::Auditor),
        proto::Role::Application => Some(Role::Application),
        proto::Role::PhoneLink => Some(Role::PhoneLink),
        proto::Role::Cti => Some(Role::Cti),
        proto::Role::Unspecified | proto::Role::Service | proto::Role::Peer => None,
    }
}

pub(crate) fn instant(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond() }
}

/// Somebody who proves at that address who he is.
pub(crate) fn proof(request: proto::SignInRequest, source: Option<IpAddr>) -> Result<Proof, AuthError> {
    prove(Violations::new(), &request.name, request.credential, Origin::at(source))
}

/// Somebody who proves to another service who he is.
pub(crate) fn proof_elsewhere(request: proto::VerifyCredentialRequest) -> Result<Proof, AuthError> {
    let mut wrong = Violations::new();
    let source = Some(request.source).filter(|text| !text.is_empty()).map(|text| text.parse::<IpAddr>());
    if matches!(source, Some(Err(_))) {
        wrong.add("source", "", "must be an IP address");
    }
    let phone = Some(request.phone).filter(|text| !text.is_empty());
    let phone = phone.and_then(|text| wrong.take("phone", text.parse::<PhoneName>()));
    let from = Origin { phone, ..Origin::at(source.and_then(Result::ok)) };
    prove(wrong, &request.name, request.credential, from)
}

fn prove(
    mut wrong: Violations,
    name: &str,
    credential: Option<proto::Credential>,
    from: Origin,
) -> Result<Proof, AuthError> {
    let name = wrong.take("name", name.parse::<PrincipalName>());
    let secret = secret(&mut wrong, "credential", credential);
    match (name, secret) {
        (Some(name), Some((kind, secret))) if wrong.is_empty() => Ok(Proof { name, kind, secret, from }),
        _ => Err(AuthError::Malformed(wrong)),
    }
}

/// A proof at that address, and the secret that is to follow it, of the same kind.
pub(crate) fn change(
    request: proto::ChangeCredentialRequest,
    source: Option<IpAddr>,
) -> Result<(Proof, SecretString), AuthError> {
    let mut wrong = Violations::new();
    let name = wrong.take("name", request.name.parse::<PrincipalName>());
    let current = secret(&mut wrong, "current", request.current);
    let replacement = kind_and_secret(request.replacement);
    match (&current, &replacement) {
        (_, None) => wrong.add("replacement", "", "must be a PIN or a password"),
        (Some((kind, _)), Some((other, _))) if kind != other => {
            wrong.add("replacement", "", "must be of the same kind as the current one");
        }
        _ => {}
    }
    match (name, current, replacement) {
        (Some(name), Some((kind, secret)), Some((_, replacement))) if wrong.is_empty() => {
            Ok((Proof { name, kind, secret, from: Origin::at(source) }, replacement))
        }
        _ => Err(AuthError::Malformed(wrong)),
    }
}

/// Credentials that are to be set: well-formed, of one kind for each name, and each secret once (DP-16).
pub(crate) fn wanted(credentials: Vec<proto::NewCredential>) -> Result<Vec<Wanted>, AuthError> {
    let mut wrong = Violations::new();
    if credentials.len() > MOST_CREDENTIALS {
        wrong.add(
            "credentials",
            "",
            format!("has {} entries, more than {MOST_CREDENTIALS}", credentials.len()),
        );
        return Err(AuthError::Malformed(wrong));
    }
    let mut seen: BTreeMap<PrincipalName, Vec<(PrincipalKind, SecretKind, BTreeSet<Role>)>> = BTreeMap::new();
    let mut all = Vec::with_capacity(credentials.len());
    for (index, credential) in credentials.into_iter().enumerate() {
        let mut part = Violations::new();
        if let Some(item) = one(&mut part, credential) {
            let before = seen.entry(item.name.clone()).or_default();
            if before.iter().any(|(kind, ..)| *kind != item.kind) {
                part.add("name", "DP-16", "is given to two kinds in this request");
            } else if before.iter().any(|(_, secret, _)| *secret == item.secret_kind) {
                part.add("credential", "", "is set twice in this request");
            } else if before.iter().any(|(.., roles)| *roles != item.roles) {
                part.add("roles", "", "are others than those given to the same name before");
            }
            before.push((item.kind, item.secret_kind, item.roles.clone()));
            all.push(item);
        }
        wrong.extend_under(&format!("credentials[{index}]"), part);
    }
    wrong.none_or(all).map_err(AuthError::Invalid)
}

fn one(wrong: &mut Violations, credential: proto::NewCredential) -> Option<Wanted> {
    let kind = kind_from_proto(credential.principal_kind);
    if kind.is_none() {
        wrong.add("principal_kind", "", "must be said");
    }
    let name = wrong.take("name", credential.name.parse::<PrincipalName>());
    if name.is_some() && kind == Some(PrincipalKind::User) {
        wrong.take("name", credential.name.parse::<UserId>());
    }
    let roles = kind.map(|kind| roles(wrong, kind, &credential.roles)).unwrap_or_default();
    let secret = kind_and_secret(credential.credential);
    if secret.is_none() {
        wrong.add("credential", "", "must be a PIN or a password");
    }
    let (secret_kind, secret) = secret?;
    let must_change = credential.must_change;
    Some(Wanted { name: name?, kind: kind?, roles, secret_kind, secret, must_change })
}

/// Roles that a principal of that kind may be given (LI-1).
fn roles(wrong: &mut Violations, kind: PrincipalKind, given: &[i32]) -> BTreeSet<Role> {
    let mut roles = BTreeSet::new();
    for number in given {
        match role_from_proto(*number) {
            Some(role) if role.fits(kind) => {
                roles.insert(role);
            }
            Some(role) => {
                let role = word(role_to_proto(role).as_str_name(), "ROLE_");
                let kind = word(kind_to_proto(kind).as_str_name(), "PRINCIPAL_KIND_");
                wrong.add("roles", "LI-1", format!("{role} is no role of kind {kind}"));
            }
            None => wrong.add("roles", "", "must be roles that a credential can be given"),
        }
    }
    roles
}

fn word<'a>(name: &'a str, prefix: &str) -> &'a str {
    name.strip_prefix(prefix).unwrap_or(name)
}

/// A secret to be compared: not empty, and not longer than any that could have been set.
fn secret(
    wrong: &mut Violations,
    field: &str,
    credential: Option<proto::Credential>,
) -> Option<(SecretKind, SecretString)> {
    let Some((kind, secret)) = kind_and_secret(credential) else {
        wrong.add(field, "", "must be a PIN or a password");
        return None;
    };
    let longest = if kind == SecretKind::Pin { LONGEST.0 } else { LONGEST.1 };
    let length = secret.expose_secret().chars().count();
    if length == 0 || length > longest {
        wrong.add(field, "", format!("must have 1 to {longest} characters"));
        return None;
    }
    Some((kind, secret))
}

fn kind_and_secret(credential: Option<proto::Credential>) -> Option<(SecretKind, SecretString)> {
    Some(match credential?.kind? {
        proto::credential::Kind::Pin(pin) => (SecretKind::Pin, SecretString::from(pin)),
        proto::credential::Kind::Password(password) => (SecretKind::Password, SecretString::from(password)),
    })
}

/// What the caller is told. Faults are logged here, once, and told by their number alone.
pub(crate) fn status(error: AuthError, ids: &Ids) -> Status {
    let text = error.to_string();
    let refusal = match error {
        AuthError::Malformed(wrong) => told(ErrorReason::InvalidRequest, "the request is malformed", wrong),
        AuthError::Refused => Refusal::new(ErrorReason::CredentialRefused, text),
        AuthError::RefreshRefused => Refusal::new(ErrorReason::RefreshTokenRefused, text),
        AuthError::MustChange(cause) => {
            Refusal::new(ErrorReason::CredentialMustChange, text).with("cause", cause_of(cause))
        }
        AuthError::TooWeak(wrong) => {
            told(ErrorReason::CredentialTooWeak, "the new credential breaks the policy", wrong)
        }
        AuthError::Invalid(wrong) => {
            told(ErrorReason::ResourceInvalid, "the credentials cannot be set", wrong)
        }
        AuthError::Exists(wrong, by) => {
            let kind = word(kind_to_proto(by).as_str_name(), "PRINCIPAL_KIND_");
            told(ErrorReason::ResourceExists, "a name is taken", wrong).with("kind", kind)
        }
        AuthError::Unknown(name) => Refusal::new(ErrorReason::ResourceNotFound, text)
            .with("kind", "credential")
            .with("name", name.to_string()),
        AuthError::Busy(wait) => later(text, wait),
        // To the second: what is told does not tell what others do meanwhile.
        AuthError::Throttled(wait) => later(text, Duration::from_secs(wait.as_secs() + 1)),
        AuthError::Contended => later(text, COME_BACK_AFTER),
        AuthError::Store(error @ StoreError::Unavailable(_)) => {
            tracing::error!(error = chain(&error), "credentials cannot be read or written");
            let mut refusal = Refusal::new(ErrorReason::StoreUnavailable, "the store is unavailable");
            refusal.retry_after = Some(COME_BACK_AFTER);
            refusal
        }
        AuthError::Store(error) => fault(&chain(&error), ids),
        AuthError::Fault(what) => fault(what, ids),
    };
    refusal.into()
}

fn later(text: String, wait: Duration) -> Refusal {
    let mut refusal = Refusal::new(ErrorReason::TooManyRequests, text);
    refusal.retry_after = Some(wait);
    refusal
}

fn cause_of(cause: MustChange) -> &'static str {
    match cause {
        MustChange::Initial => "initial",
        MustChange::Administrator => "administrator",
        MustChange::Expired => "expired",
    }
}

fn fault(what: &str, ids: &Ids) -> Refusal {
    let number = ids.opaque();
    tracing::error!(trace_id = number, error = what, "request failed");
    Refusal::new(ErrorReason::Internal, "the server failed; its log says why").with("traceId", number)
}

fn told(reason: ErrorReason, message: &str, wrong: Violations) -> Refusal {
    wrong.into_iter().fold(Refusal::new(reason, message), |refusal, violation| {
        let rule = if violation.rule.is_empty() || violation.message.contains(violation.rule) {
            String::new()
        } else {
            format!(" ({})", violation.rule)
        };
        refusal.violation(violation.field, violation.message + &rule)
    })
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
