//! The auth service: it checks PINs and passwords, hands out tokens, and publishes the keys that verify them.
//!
//! It promises that nobody who has not proven who he is learns whether a name exists (LI-2): an unknown name, a locked
//! one and a wrong credential get one answer, after the same work, at the same instants.

mod administrator;
mod config;
mod convert;
mod credentials;
mod error;
mod grpc;
mod hashing;
mod keys;
mod policy;
mod sign_in;

use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use roamline_domain::credential::CredentialPolicy;
use roamline_domain::{ClusterId, PrincipalName};
use roamline_proto::auth::JsonWebKey;
use roamline_proto::auth::auth_service_server::AuthServiceServer;
use roamline_serve::{Api, Clock, Ids, Tasks};
use roamline_store::CredentialStore;
use roamline_token::{FetchError, KeySource, Signer, Verifier};
use secrecy::SecretString;

pub use administrator::random_password;
pub use config::{AuthConfig, HashingConfig};
pub use error::BuildError;
pub use grpc::GrpcPolicy;
pub use policy::{PolicySource, PolicyUnknown};

use grpc::Grpc;
use hashing::Hasher;
use keys::Keys;

/// The largest request: 10,000 credentials with the longest names and secrets.
const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// The issuer and the audience of the tokens of a cluster.
pub fn issuer(cluster: &ClusterId) -> String {
    format!("roamline:{cluster}")
}

/// The auth service of one cluster. Clones share it.
#[derive(Clone)]
pub struct Auth(Arc<Service>);

pub(crate) struct Service {
    store: Arc<dyn CredentialStore>,
    clock: Clock,
    ids: Ids,
    hasher: Hasher,
    keys: Keys,
    policy: ArcSwap<CredentialPolicy>,
    config: AuthConfig,
    issuer: String,
}

impl Auth {
    /// Opens the service: makes the signing keys if the store has none.
    ///
    /// # Errors
    /// When the configuration asks for what cannot be, or the store fails.
    pub async fn build(
        config: &AuthConfig,
        store: Arc<dyn CredentialStore>,
        cluster: &ClusterId,
        clock: Clock,
        ids: Ids,
    ) -> Result<Self, BuildError> {
        config.check()?;
        let issuer = issuer(cluster);
        let keys = Keys::ensure(&*store, &issuer, clock.now(), &ids).await?;
        let hasher = Hasher::new(&config.hashing).await?;
        let (policy, config) = (ArcSwap::default(), config.clone());
        Ok(Self(Arc::new(Service { store, clock, ids, hasher, keys, policy, config, issuer })))
    }

    /// Obeys the credential policy that `source` keeps, as it changes (SP-14, SP-21); without this, the default one.
    pub fn follow(&self, source: Arc<dyn PolicySource>, tasks: &Tasks) {
        tasks.spawn("credential policy", policy::follow(Arc::clone(&self.0), source, tasks.clone()));
    }

    /// Adds `roamline.auth.v1.AuthService`.
    pub fn add_to(&self, api: &mut Api) {
        let server = AuthServiceServer::new(Grpc(Arc::clone(&self.0)));
        api.add(server.max_decoding_message_size(MAX_MESSAGE_BYTES));
    }

    /// Signs with the current key; with it a process that embeds this service makes tokens for its own services.
    pub fn signer(&self) -> Signer {
        self.0.keys.signer().clone()
    }

    /// Where a verifier in this process gets the keys, without a call.
    pub fn key_source(&self) -> Arc<dyn KeySource> {
        Arc::new(Published(self.0.keys.published().to_vec()))
    }

    /// Verifies the tokens of this cluster with the keys of this process.
    pub fn verifier(&self) -> Verifier {
        Verifier::new(&self.0.issuer, &self.0.issuer, self.key_source())
    }

    /// Makes the administrator of that name with that password. False when somebody has the name already, whose
    /// password stays as it is.
    ///
    /// # Errors
    /// When the password cannot be hashed or the store fails.
    pub async fn ensure_administrator(
        &self,
        name: &PrincipalName,
        password: &SecretString,
    ) -> Result<bool, BuildError> {
        self.0.ensure_administrator(name, password).await
    }

    /// How many secrets were compared with a hash since the start. Every refusal adds one, whatever its cause (LI-2).
    pub fn verifications(&self) -> u64 {
        self.0.hasher.verifications()
    }
}

struct Published(Vec<JsonWebKey>);

#[async_trait]
impl KeySource for Published {
    async fn fetch(&self) -> Result<Vec<JsonWebKey>, FetchError> {
        Ok(self.0.clone())
    }
}
