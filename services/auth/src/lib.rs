//! The auth service: it checks PINs and passwords, hands out tokens, and publishes the keys that verify them.
//!
//! It promises that nobody who has not proven who he is learns whether a name exists (LI-2): an unknown name, a locked
//! one and a wrong credential get one answer, after the same work, at the same instants.

mod administrator;
mod audit;
mod config;
mod convert;
mod credentials;
mod decoys;
mod error;
mod grpc;
mod hashing;
mod hex;
mod key_files;
mod keys;
mod own_policy;
mod policy;
mod refresh_token;
mod removal;
mod rights;
mod sealing;
mod service_tokens;
mod sign_in;
mod throttle;
mod token_config;
mod tokens;
mod upkeep;

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use roamline_domain::credential::CredentialPolicy;
use roamline_domain::{ClusterId, PrincipalName};
use roamline_proto::auth::JsonWebKey;
use roamline_proto::auth::auth_service_server::AuthServiceServer;
use roamline_serve::{Api, Clock, Ids, Tasks};
use roamline_store::{AuditStore, CredentialStore, Refusals, TokenStore};
use roamline_token::{FetchError, KeyRefresher, KeySource, Revocations, Signer, Verifier};
use secrecy::SecretString;

pub use administrator::random_password;
pub use config::{AuthConfig, HashingConfig, Limit, ThrottleConfig};
pub use error::BuildError;
pub use grpc::GrpcPolicy;
pub use policy::{PolicySource, PolicyUnknown};
pub use token_config::{ServicesConfig, TokensConfig};

use decoys::Decoys;
use grpc::Grpc;
use hashing::Hasher;
use keys::{Kept, Keys};
use sealing::Sealing;
use throttle::Throttle;
pub use throttle::TokenThrottle;

/// The largest request: 10,000 credentials with the longest names and secrets.
const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// The issuer and the audience of the tokens of a cluster.
pub fn issuer(cluster: &ClusterId) -> String {
    format!("roamline:{cluster}")
}

/// What the auth service keeps, and the audit trail that it adds to.
pub trait AuthStore: CredentialStore + TokenStore + AuditStore {}

impl<T: CredentialStore + TokenStore + AuditStore> AuthStore for T {}

/// The auth service of one cluster. Clones share it.
#[derive(Clone)]
pub struct Auth(Arc<Service>);

pub(crate) struct Service {
    store: Arc<dyn AuthStore>,
    clock: Clock,
    ids: Ids,
    hasher: Hasher,
    throttle: Throttle,
    decoys: Decoys,
    keys: Keys,
    /// What was told of the files with the keys last.
    files_told: Mutex<String>,
    /// Those of this process, which hear of new keys at once.
    verifiers: Mutex<Vec<KeyRefresher>>,
    revocations: Revocations,
    refusals: Refusals<audit::Asked>,
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
        store: Arc<dyn AuthStore>,
        cluster: &ClusterId,
        clock: Clock,
        ids: Ids,
    ) -> Result<Self, BuildError> {
        config.check()?;
        let issuer = issuer(cluster);
        service_tokens::secrets(&config.services).await?;
        let revocations = Revocations::new();
        let kept = match config.tokens.key_files.as_slice() {
            [] => Kept::InStore(Sealing::load(&config.tokens.key_encryption_file).await?),
            files => Kept::InFiles(files.to_vec(), revocations.clone()),
        };
        let keys = Keys::ensure(&*store, &issuer, kept, clock.now(), &ids).await?;
        let hasher = Hasher::new(&config.hashing).await?;
        let throttle = Throttle::new(&config.throttle);
        let refusals = Refusals::new(Arc::clone(&store) as Arc<dyn AuditStore>, clock.reader());
        let (policy, config) = (ArcSwap::default(), config.clone());
        let service = Service {
            store,
            clock,
            ids,
            hasher,
            throttle,
            decoys: Decoys::default(),
            keys,
            files_told: Mutex::default(),
            verifiers: Mutex::default(),
            revocations,
            refusals,
            policy,
            config,
            issuer,
        };
        service.catch_up().await?;
        // A key of a file may be among what is revoked.
        service.keys.reload(&*service.store).await?;
        Ok(Self(Arc::new(service)))
    }

    /// Obeys the credential policy that `source` keeps, as it changes (SP-14, SP-21); without this, the default one. And
    /// follows what other replicas do to keys and tokens, rotates the keys, and tells the audit trail of refused sign-ins.
    pub fn follow(&self, source: Arc<dyn PolicySource>, tasks: &Tasks) {
        tasks.spawn("token upkeep", upkeep::run(Arc::clone(&self.0), tasks.clone()));
        tasks.spawn("refused sign-ins", audit::run(Arc::clone(&self.0), tasks.stopping()));
        tasks.spawn("credential policy", policy::follow(Arc::clone(&self.0), source, tasks.clone()));
    }

    /// Adds `roamline.auth.v1.AuthService`, and the public keys to the admin port as `/.well-known/jwks.json`.
    pub fn add_to(&self, api: &mut Api) {
        let server = AuthServiceServer::new(Grpc(Arc::clone(&self.0)));
        api.add(server.max_decoding_message_size(MAX_MESSAGE_BYTES));
        let auth = self.clone();
        api.add_page("/.well-known/jwks.json", move || auth.key_set());
    }

    /// Signs with the current key; with it a process that embeds this service makes tokens for its own services.
    pub fn signer(&self) -> Signer {
        self.0.keys.signer().clone()
    }

    /// Where a verifier in this process gets the keys, without a call.
    pub fn key_source(&self) -> Arc<dyn KeySource> {
        Arc::new(Published(Arc::clone(&self.0)))
    }

    /// Verifies the tokens of this cluster with the keys of this process.
    pub fn verifier(&self) -> Verifier {
        let verifier = Verifier::new(&self.0.issuer, &self.0.issuer, self.key_source())
            .of_service("auth")
            .with_leeway(self.0.config.tokens.leeway)
            .with_revocations(self.0.revocations.clone());
        self.0.verifiers.lock().unwrap_or_else(PoisonError::into_inner).push(verifier.key_refresher());
        verifier
    }

    /// The public keys as `/.well-known/jwks.json` has them (RFC 7517).
    pub fn key_set(&self) -> String {
        let one = |key: &JsonWebKey| {
            let JsonWebKey { kid, kty, crv, x, y, alg, r#use } = key;
            format!(
                r#"{{"kid":"{kid}","kty":"{kty}","crv":"{crv}","x":"{x}","y":"{y}","alg":"{alg}","use":"{use}"}}"#
            )
        };
        let keys: Vec<_> = self.0.keys.published().iter().map(one).collect();
        format!(r#"{{"keys":[{}]}}"#, keys.join(","))
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

struct Published(Arc<Service>);

#[async_trait]
impl KeySource for Published {
    async fn fetch(&self) -> Result<Vec<JsonWebKey>, FetchError> {
        Ok(self.0.keys.published())
    }
}
