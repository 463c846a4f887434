//! How clusters come to know each other (XC-10): invitations, what a cluster says of itself, and which authorities are
//! believed for it from one time to the next.
//!
//! An invitation is a secret for one cluster, used once. What is kept of it is a hash of the secret: 256 random bits need
//! no slow one.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::remote::{RemoteCluster, RemoteServices};
use crate::Violations;
use crate::name::ClusterId;

/// What a token of this form begins with.
const FORM: &str = "roamline1";
/// No token is longer.
const LONGEST_TOKEN: usize = 1024;
/// Authorities of one cluster.
pub const MOST_AUTHORITIES: usize = 8;
/// How long an invitation is good for.
pub const VALID_FOR: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(7 * 86_400);
/// How long it is good for if nobody says.
pub const DEFAULT_VALID_FOR: Duration = Duration::from_secs(86_400);
/// For how long a use whose answer was lost may be repeated.
pub const REPEAT_WITHIN: Duration = Duration::from_secs(600);
/// For how long an invitation that is over is remembered, so that whoever comes with it is told why it is refused.
pub const REMEMBER_INVITATION_FOR: Duration = Duration::from_secs(7 * 86_400);

/// 32 bytes: a SHA-256, or a secret.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Bytes32(pub [u8; 32]);

impl Bytes32 {
    /// SHA-256 of parts, one after the other, each behind its length.
    pub fn hash(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// SHA-256 of a certificate (DER): its fingerprint.
    pub fn fingerprint(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }

    /// As people compare fingerprints: pairs of upper-case hexadecimal digits with colons between them.
    pub fn colons(&self) -> String {
        self.0.map(|byte| format!("{byte:02X}")).join(":")
    }
}

/// 64 lower-case hexadecimal digits.
impl fmt::Display for Bytes32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// It may be a secret.
impl fmt::Debug for Bytes32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bytes32(..)")
    }
}

/// Text that is not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not 64 hexadecimal digits")]
pub struct NotBytes32;

impl FromStr for Bytes32 {
    type Err = NotBytes32;

    fn from_str(text: &str) -> Result<Self, NotBytes32> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let bytes: Option<Vec<u8>> =
            pairs.iter().map(|[high, low]| Some((digit(*high)? << 4) | digit(*low)?)).collect();
        let bytes = bytes.filter(|_| rest.is_empty()).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(NotBytes32)
    }
}

impl From<Bytes32> for String {
    fn from(bytes: Bytes32) -> Self {
        bytes.to_string()
    }
}

impl TryFrom<String> for Bytes32 {
    type Error = NotBytes32;

    fn try_from(text: String) -> Result<Self, NotBytes32> {
        text.parse()
    }
}

/// What an invited cluster is given: `roamline1_ID_SECRET_FINGERPRINT_EXPIRY_INVITER_INVITED_ADDRESS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvitationToken {
    /// Id of the invitation: 32 hexadecimal digits.
    pub id: String,
    /// Whoever has it is the invited cluster.
    pub secret: Bytes32,
    /// Of the certificate at the address.
    pub fingerprint: Bytes32,
    /// When it expires, to the second.
    pub expires_at: Timestamp,
    /// Who invites.
    pub inviter: ClusterId,
    /// Who is invited.
    pub invited: ClusterId,
    /// Where the inviter's federation API is.
    pub address: String,
}

/// What is no invitation; a part of it may be a secret and is not quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no invitation, or not all of one: its {0} is not right")]
pub struct NotAnInvitation(pub &'static str);

/// As it is handed over. It is not for logs.
impl InvitationToken {
    /// The text of it.
    pub fn text(&self) -> String {
        let Self { id, secret, fingerprint, expires_at, inviter, invited, address } = self;
        let expiry = expires_at.as_second();
        format!("{FORM}_{id}_{secret}_{fingerprint}_{expiry}_{inviter}_{invited}_{address}")
    }
}

impl FromStr for InvitationToken {
    type Err = NotAnInvitation;

    fn from_str(text: &str) -> Result<Self, NotAnInvitation> {
        let text = text.trim();
        if text.len() > LONGEST_TOKEN {
            return Err(NotAnInvitation("length"));
        }
        let mut parts = text.splitn(8, '_');
        let mut part = |what| parts.next().ok_or(NotAnInvitation(what));
        if part("beginning")? != FORM {
            return Err(NotAnInvitation("beginning"));
        }
        let id = part("id")?;
        if !is_invitation_id(id) {
            return Err(NotAnInvitation("id"));
        }
        let wrong = NotAnInvitation;
        let token = Self {
            id: id.to_owned(),
            secret: part("secret")?.parse().map_err(|_| wrong("secret"))?,
            fingerprint: part("fingerprint")?.parse().map_err(|_| wrong("fingerprint"))?,
            expires_at: (part("expiry")?.parse().ok())
                .and_then(|second| Timestamp::from_second(second).ok())
                .ok_or(wrong("expiry"))?,
            inviter: part("inviter")?.parse().map_err(|_| wrong("inviter"))?,
            invited: part("invited cluster")?.parse().map_err(|_| wrong("invited cluster"))?,
            address: part("address")?.to_owned(),
        };
        if super::remote::is_address(&token.address) { Ok(token) } else { Err(wrong("address")) }
    }
}

/// 32 lower-case hexadecimal digits.
pub fn is_invitation_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
}

/// The use of an invitation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// When.
    pub at: Timestamp,
    /// From which address; empty where that is not known.
    pub from: String,
    /// Hash of what the cluster said of itself.
    pub claim: Bytes32,
}

/// An invitation as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// Its id.
    pub id: String,
    /// Who is invited.
    pub cluster: ClusterId,
    /// Hash of the secret.
    pub secret_hash: Bytes32,
    /// What will be shared with the cluster.
    pub services: RemoteServices,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it expires.
    pub expires_at: Timestamp,
    /// Its one use.
    pub used: Option<Use>,
    /// How often somebody came with its id and was refused.
    pub refusals: u32,
}

/// Why nobody is let in by an invitation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvitationRefused {
    /// Unknown, or the secret is wrong; nobody is told which.
    #[error("the invitation is not known, or its secret is wrong")]
    Wrong,
    /// It was used.
    #[error("the invitation was used before")]
    Used,
    /// It is too late.
    #[error("the invitation expired at {0}")]
    Expired(Timestamp),
    /// Another cluster comes with it.
    #[error("the invitation is for cluster {0}")]
    ForAnother(ClusterId),
}

/// What a good invitation leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// This is its use.
    First,
    /// It is the same use once more: its answer was lost.
    Again,
}

impl Invitation {
    /// The hash that is kept of a secret.
    pub fn hash_of(secret: &Bytes32) -> Bytes32 {
        Bytes32::hash(&[b"roamline invitation", &secret.0])
    }

    /// Whether a cluster is let in that brings a secret and says that of itself. Whoever does not have the secret learns
    /// nothing but that.
    ///
    /// # Errors
    /// The first of: wrong secret, used, expired, for another.
    pub fn admit(
        &self,
        secret: &Bytes32,
        cluster: &ClusterId,
        claim: &Bytes32,
        now: Timestamp,
    ) -> Result<Admitted, InvitationRefused> {
        if Self::hash_of(secret) != self.secret_hash {
            return Err(InvitationRefused::Wrong);
        }
        if let Some(used) = &self.used {
            let soon = now.duration_since(used.at).unsigned_abs() <= REPEAT_WITHIN;
            return if soon && used.claim == *claim {
                Ok(Admitted::Again)
            } else {
                Err(InvitationRefused::Used)
            };
        }
        if now >= self.expires_at {
            return Err(InvitationRefused::Expired(self.expires_at));
        }
        if *cluster != self.cluster {
            return Err(InvitationRefused::ForAnother(self.cluster.clone()));
        }
        Ok(Admitted::First)
    }

    /// Whether it is over for so long that it need not be remembered.
    pub fn is_forgotten(&self, now: Timestamp) -> bool {
        let over = self.used.as_ref().map_or(self.expires_at, |used| used.at);
        over.checked_add(REMEMBER_INVITATION_FOR).is_ok_and(|until| until < now)
    }
}

/// What a cluster says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustBundle {
    /// Its id.
    pub cluster: ClusterId,
    /// Where its federation API is.
    pub address: String,
    /// Whom its certificate names.
    pub spiffe_id: String,
    /// Its authorities, each a certificate in PEM.
    pub authorities: Vec<String>,
}

impl TrustBundle {
    /// What is wrong with it, as far as that can be told without looking into certificates. `own` is this cluster.
    pub fn check(&self, own: &ClusterId) -> Violations {
        let mut found = self.remote(RemoteServices::default()).check(own);
        // Else whoever is invited as one cluster could name himself as any service of another.
        if self.spiffe_id.rsplit_once('/').is_none_or(|(_, last)| last != self.cluster.as_str()) {
            found.add("spiffe_id", "XC-10", format!("must end with /{}", self.cluster));
        }
        if self.authorities.is_empty() || self.authorities.len() > MOST_AUTHORITIES {
            found.add("authorities", "XC-10", format!("must be 1 to {MOST_AUTHORITIES} certificates in PEM"));
        }
        found
    }

    /// The cluster as a remote one.
    pub fn remote(&self, services: RemoteServices) -> RemoteCluster {
        RemoteCluster {
            cluster: self.cluster.clone(),
            description: String::new(),
            address: self.address.clone(),
            spiffe_id: self.spiffe_id.clone(),
            services,
            trust_bundle: pem_of(&self.authorities),
        }
    }

    /// Hash of all of it.
    pub fn claim(&self) -> Bytes32 {
        let Self { cluster, address, spiffe_id, authorities } = self;
        let mut parts: Vec<&[u8]> =
            vec![cluster.as_str().as_bytes(), address.as_bytes(), spiffe_id.as_bytes()];
        parts.extend(authorities.iter().map(|pem| pem.as_bytes()));
        Bytes32::hash(&parts)
    }
}

/// The certificates in a text of PEM, each with its lines; what stands around and between them, keys above all, is left
/// out. One that comes twice is there once.
pub fn certificates_in(pem: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut open: Option<Vec<&str>> = None;
    for line in pem.lines().map(str::trim) {
        match (line, &mut open) {
            ("-----BEGIN CERTIFICATE-----", _) => open = Some(vec![line]),
            ("-----END CERTIFICATE-----", Some(_)) => {
                let mut lines = open.take().unwrap_or_default();
                lines.push(line);
                let text = lines.join("\n");
                if !found.contains(&text) {
                    found.push(text);
                }
            }
            (_, Some(lines)) if !line.is_empty() => lines.push(line),
            _ => {}
        }
    }
    found
}

/// Certificates as one text of PEM.
pub fn pem_of(certificates: &[String]) -> String {
    certificates.iter().map(|one| format!("{one}\n")).collect()
}

/// The authorities that are believed for a cluster from now on, after it has said which it has. `covered`: whether the
/// certificate by which it has proven itself just now is signed by one of those. If it is not, the cluster is in the
/// middle of a rotation, and what was believed until now goes on being believed beside it, or the cluster could not be
/// reached any more.
pub fn believed(before: &[String], said: &[String], covered: bool) -> Vec<String> {
    let mut authorities = said.to_vec();
    if !covered {
        for one in before.iter().filter(|one| !said.contains(one)) {
            authorities.push(one.clone());
        }
    }
    authorities.truncate(MOST_AUTHORITIES);
    authorities
}

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// From then on.
    pub begins_at: Timestamp,
    /// Until then.
    pub expires_at: Timestamp,
}

/// What is to be said of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Expiry {
    /// Nothing.
    Good,
    /// It is not valid yet.
    NotYet(Timestamp),
    /// It expires soon.
    Soon(Timestamp),
    /// It has expired.
    Over(Timestamp),
}

impl Validity {
    /// What is to be said of it now, if it is warned so long before the end.
    pub fn judge(&self, now: Timestamp, warn_before: Duration) -> Expiry {
        let warned_from = self.expires_at.checked_sub(warn_before).unwrap_or(Timestamp::MIN);
        if now >= self.expires_at {
            Expiry::Over(self.expires_at)
        } else if now < self.begins_at {
            Expiry::NotYet(self.begins_at)
        } else if now >= warned_from {
            Expiry::Soon(self.expires_at)
        } else {
            Expiry::Good
        }
    }

    /// What is to be said of a bundle: of several authorities the best counts, since one is enough; of those that are as
    /// good as each other, the one that lasts longest. `None` without any.
    pub fn judge_bundle(all: &[Self], now: Timestamp, warn_before: Duration) -> Option<Expiry> {
        let rank = |expiry: &Expiry| match expiry {
            Expiry::Good => (3, Timestamp::MAX),
            Expiry::Soon(at) => (2, *at),
            Expiry::NotYet(_) => (1, Timestamp::MAX),
            Expiry::Over(at) => (0, *at),
        };
        all.iter().map(|one| one.judge(now, warn_before)).max_by_key(rank)
    }
}

impl Expiry {
    /// What an administrator is told of `what`; empty if it is good.
    pub fn warning(&self, what: &str) -> String {
        match self {
            Self::Good => String::new(),
            Self::NotYet(at) => format!("{what} is not valid before {at}"),
            Self::Soon(at) => format!("{what} expires at {at}"),
            Self::Over(at) => format!("{what} has expired at {at}"),
        }
    }
}

#[cfg(test)]
#[path = "trust_tests.rs"]
mod tests;
