//! Tokens of issuers outside of the cluster: what is believed, what is refused and why, and what happens while an issuer
//! is away. The issuer is a server on loopback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail so"
)]

mod opaque;
mod provider;
mod settings;
mod signed;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use roamline_proto::auth::{JsonWebKey, PrincipalKind};
use roamline_token::{
    BearerVerifier, Caller, FetchError, IssuerConfig, KeySource, QuestionLimit, Revocations, SsoConfig,
    TokenError, Verifier,
};

const CLUSTER: &str = "roamline:test";
const AUDIENCE: &str = "https://roamline.example.org";
/// The instant of the tests, in seconds since 1970.
const NOW: i64 = 1_800_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(NOW + second).unwrap()
}

/// As the server does it: in lower case, of these characters.
fn user_id(text: &str) -> Option<String> {
    let folded = text.to_ascii_lowercase();
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_@+".contains(c);
    (!folded.is_empty() && folded.len() <= 128 && folded.chars().all(fits)).then_some(folded)
}

/// The cluster itself has no keys here.
struct NoKeys;

#[async_trait]
impl KeySource for NoKeys {
    async fn fetch(&self) -> Result<Vec<JsonWebKey>, FetchError> {
        Ok(Vec::new())
    }
}

/// Lets each source have so many questions asked in vain, and tells others to come back in a minute.
struct AtMost(usize, Mutex<HashMap<IpAddr, usize>>);

impl AtMost {
    fn questions(most: usize) -> Arc<Self> {
        Arc::new(Self(most, Mutex::default()))
    }
}

impl QuestionLimit for AtMost {
    fn wait(&self, source: IpAddr, _: Timestamp) -> Option<Duration> {
        let asked = self.1.lock().unwrap().get(&source).copied().unwrap_or_default();
        (asked >= self.0).then_some(Duration::from_mins(1))
    }

    fn asked_in_vain(&self, source: IpAddr, _: Timestamp) {
        *self.1.lock().unwrap().entry(source).or_default() += 1;
    }
}

fn verifier_with(issuers: Vec<IssuerConfig>, revocations: Revocations) -> Verifier {
    let verifier = Verifier::new(CLUSTER, CLUSTER, Arc::new(NoKeys)).with_revocations(revocations);
    verifier.with_outside(&SsoConfig { issuers }, user_id, AtMost::questions(usize::MAX)).unwrap()
}

fn verifier(issuer: IssuerConfig) -> Verifier {
    verifier_with(vec![issuer], Revocations::new())
}

/// By the trait, as whoever does not know whose tokens they are.
async fn caller(verifier: &dyn BearerVerifier, token: &str, second: i64) -> Result<Caller, TokenError> {
    verifier.caller(token, at(second), None).await
}

async fn name(verifier: &Verifier, token: &str, second: i64) -> Result<String, TokenError> {
    caller(verifier, token, second).await.map(|caller| caller.name)
}

async fn role(verifier: &Verifier, token: &str) -> (PrincipalKind, Vec<String>) {
    let caller = caller(verifier, token, 1).await.unwrap();
    (caller.kind, caller.scopes.iter().cloned().collect())
}
