//! What tokens hang on: sign-ins with their refresh tokens, revocations, and the keys that sign.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use roamline_domain::PrincipalName;
use roamline_domain::credential::SecretKind;

use crate::StoreError;

/// Somebody who has signed in and may get further tokens without proving again who he is. Of refresh tokens the hashes
/// alone are kept.
#[derive(Clone, PartialEq, Eq)]
pub struct SignIn {
    /// The claim `sid` of its access tokens.
    pub id: String,
    /// Who signed in.
    pub principal: PrincipalName,
    /// With which of his secrets.
    pub secret_kind: SecretKind,
    /// When that secret had been set: another one ends the sign-in.
    pub secret_set_at: Timestamp,
    /// From it and a refresh token the next one is made; without the token it is worth nothing.
    pub seed: Vec<u8>,
    /// How many refreshes there were.
    pub counter: u64,
    /// Hash of the refresh token that is good now.
    pub current: Vec<u8>,
    /// Hash of the one before it.
    pub previous: Option<Vec<u8>>,
    /// When the current one was made.
    pub refreshed_at: Timestamp,
    /// When he signed in.
    pub begun_at: Timestamp,
    /// When he must sign in again, however often he refreshes.
    pub ends_at: Timestamp,
    /// When the current refresh token ends.
    pub expires_at: Timestamp,
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn")
            .field("id", &self.id)
            .field("principal", &self.principal)
            .field("counter", &self.counter)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Whose tokens are good no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// Those of one sign-in.
    SignIn(String),
    /// Those of a principal.
    Principal(PrincipalName),
    /// Those that a key has signed.
    Key(String),
}

/// Tokens that are good no more, whatever they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Which ones.
    pub of: Revoked,
    /// Those that were signed at this instant or before it.
    pub signed_until: Timestamp,
    /// When none of them would be good any more by itself.
    pub expires_at: Timestamp,
}

/// Revocations in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevocationPage {
    /// Those that have not expired.
    pub revocations: Vec<Revocation>,
    /// The place after the last of them; they begin after 0.
    pub revision: u64,
}

/// A key that signs tokens: the next one before `signs_from`, the current one until `retired_at`, a previous one then.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// Key id.
    pub kid: String,
    /// Private key: PKCS#8 DER, or that encrypted.
    pub pkcs8: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it began to sign.
    pub signs_from: Option<Timestamp>,
    /// When it ceased to.
    pub retired_at: Option<Timestamp>,
}

impl fmt::Debug for KeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRecord")
            .field("kid", &self.kid)
            .field("signs_from", &self.signs_from)
            .field("retired_at", &self.retired_at)
            .finish_non_exhaustive()
    }
}

/// Sign-ins, revocations and signing keys of a cluster. Each change is one step that survives the process.
#[async_trait]
pub trait TokenStore: Send + Sync + 'static {
    /// Adds a sign-in. Of the others of its principal, those that have expired at `now` are dropped, and then those that
    /// were begun first, so that with it `most` are left. Returns until when tokens of the principal are revoked, if any
    /// are: his next ones must be signed after that.
    async fn begin_sign_in(
        &self,
        sign_in: SignIn,
        most: u32,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError>;

    /// The sign-in of that id.
    async fn sign_in(&self, id: &str) -> Result<Option<SignIn>, StoreError>;

    /// Replaces the sign-in of that id, if its counter is one less than that of `next`. Returns false, with nothing
    /// changed, if it is not or there is none.
    async fn refresh_sign_in(&self, next: SignIn) -> Result<bool, StoreError>;

    /// Makes these revocations, in this order, and drops the sign-ins that they name and those of the principals that
    /// they name. Each sign-in that is dropped with its principal is revoked right after him, with the same instants, so
    /// that a token of it that is being signed at this moment is refused too. Returns the place after the last one.
    async fn revoke(&self, revocations: Vec<Revocation>) -> Result<u64, StoreError>;

    /// The revocations after a place that have not expired at `now`; at most `limit` are looked at. A place that was not
    /// reached is that before all of them.
    async fn revocations(&self, after: u64, now: Timestamp, limit: u32)
    -> Result<RevocationPage, StoreError>;

    /// Drops sign-ins and revocations that have expired, but for the last revocation: its place is never given again.
    async fn trim_tokens(&self, now: Timestamp) -> Result<(), StoreError>;

    /// All signing keys, the oldest first; keys of the same instant by kid.
    async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError>;

    /// Puts these keys in the place of all, if the keys are `from`, in the order of [`TokenStore::keys`]. Returns false,
    /// with nothing changed, if they are others: of processes that change them at once, one does.
    async fn swap_keys(&self, from: &[KeyRecord], to: Vec<KeyRecord>) -> Result<bool, StoreError>;
}
