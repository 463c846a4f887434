//! The one door for bearer tokens, whoever signed them or knows about them.

use std::net::SocketAddr;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::caller::Caller;
use crate::verifier::{TokenError, Verifier};

/// Judges bearer tokens.
#[async_trait]
pub trait BearerVerifier: Send + Sync {
    /// The caller behind a token that is good at `now`; `source` is the peer of his connection.
    ///
    /// # Errors
    /// Why it is not believed, or that this cannot be found out now.
    async fn caller(
        &self,
        token: &str,
        now: Timestamp,
        source: Option<SocketAddr>,
    ) -> Result<Caller, TokenError>;
}

#[async_trait]
impl BearerVerifier for Verifier {
    async fn caller(
        &self,
        token: &str,
        now: Timestamp,
        source: Option<SocketAddr>,
    ) -> Result<Caller, TokenError> {
        Self::caller(self, token, now, source).await
    }
}
