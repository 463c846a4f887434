//! Who calls, and what he may do: signed tokens, their verification against a key set that is fetched from where it is
//! published, tokens of issuers outside of the cluster, the layer that turns a request into a [`Caller`], and the client
//! side that sends a token along.
//!
//! Knows the wire contract, because the scope that an RPC needs stands there. Knows no store and no clock: `now` is an
//! argument everywhere.

mod bearer_verifier;
mod caller;
mod claims;
mod client;
mod jwks;
mod key_box;
mod layer;
mod outside;
mod revocations;
pub mod role;
pub mod scope;
mod signer;
mod verifier;

use std::sync::Arc;

use jiff::Timestamp;

pub use bearer_verifier::BearerVerifier;
pub use caller::Caller;
pub use claims::Claims;
pub use client::{Bearer, RemoteKeys, RemoteRevocations, ServiceToken, WayToAuth};
pub use jwks::{KeyError, public_key};
pub use key_box::{FetchError, KeySource};
pub use layer::{CallerLayer, CallerService};
pub use outside::{
    IntrospectionConfig, IssuerConfig, MappedRole, QuestionLimit, SignatureAlgorithm, SsoConfig, SsoError,
    UserIdOf,
};
pub use revocations::{RevocationSource, Revocations};
pub use role::{scopes_of, scopes_of_roles};
pub use signer::{NewToken, SignError, SignedToken, Signer, generate_key};
pub use verifier::{KeyRefresher, LEEWAY, TokenError, Verifier, take_tokens_looked_at};

/// Where a layer or a client reads the time.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;
