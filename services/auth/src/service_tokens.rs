//! Tokens of services that run apart, for whoever proves that he is one: by the SPIFFE id of his connection's certificate,
//! or by a secret that the operator gives to services.

use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use roamline_proto::auth::{PrincipalKind, Role};
use roamline_serve::{PeerIdentity, at_even_times};
use roamline_token::{NewToken, SignedToken, role, scope};
use secrecy::{ExposeSecret, SecretString};

use crate::Service;
use crate::error::{AuthError, BuildError};
use crate::token_config::{ServicesConfig, calls_of};

/// How long such a token is good.
pub(crate) const LIVES_FOR: Duration = Duration::from_secs(600);
/// A secret that could be guessed is none.
const LEAST_BYTES: usize = 32;

impl Service {
    /// A token for a service, which is good at the services that it calls and at no other.
    pub(crate) async fn issue_service_token(
        &self,
        service: &str,
        secret: &SecretString,
        peer: Option<&PeerIdentity>,
    ) -> Result<SignedToken, AuthError> {
        let refused = |answer: &Result<_, AuthError>| matches!(answer, Err(AuthError::Refused));
        let proven =
            at_even_times(self.config.refusals_every, self.is_service(service, secret, peer), refused);
        let services = proven.await?;
        let token = NewToken {
            subject: service,
            kind: PrincipalKind::Unspecified,
            roles: &[role::name(Role::Service)],
            scopes: scope::SERVICE,
            sign_in: None,
            services,
            now: self.clock.now(),
            after: None,
            lives_for: LIVES_FOR,
        };
        self.keys.signer().sign_new(&token).map_err(|_| AuthError::Fault("a token cannot be signed"))
    }

    /// The services that it calls, if that is proven.
    async fn is_service(
        &self,
        service: &str,
        secret: &SecretString,
        peer: Option<&PeerIdentity>,
    ) -> Result<&'static [&'static str], AuthError> {
        let calls = calls_of(service).ok_or(AuthError::Refused)?;
        let config = &self.config.services;
        if let Some(PeerIdentity::Spiffe(id)) = peer
            && config.ids.get(service).is_some_and(|ids| ids.iter().any(|known| **known == **id))
        {
            return Ok(calls);
        }
        if secret.expose_secret().is_empty() || config.secret_file.as_os_str().is_empty() {
            return Err(AuthError::Refused);
        }
        let known = secrets(config).await.map_err(|error| {
            tracing::error!(%error, "no service is given a token by its secret");
            AuthError::Fault("the secrets of services cannot be read")
        })?;
        // All of them are compared, each in a time that does not tell how much of it is right.
        let given = secret.expose_secret().as_bytes();
        let right = known
            .iter()
            .filter(|known| verify_slices_are_equal(known.expose_secret().as_bytes(), given).is_ok());
        if right.count() > 0 { Ok(calls) } else { Err(AuthError::Refused) }
    }
}

/// The secrets of services, one a line, as they are in the file now; none where no file is named.
pub(crate) async fn secrets(config: &ServicesConfig) -> Result<Vec<SecretString>, BuildError> {
    let file = &config.secret_file;
    if file.as_os_str().is_empty() {
        return Ok(Vec::new());
    }
    let wrong = |why: String| BuildError::ServiceSecrets(file.clone(), why);
    let text = tokio::fs::read_to_string(file).await.map_err(|error| wrong(error.to_string()))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let secrets: Vec<_> = lines.map(SecretString::from).collect();
    if secrets.is_empty() || secrets.iter().any(|secret| secret.expose_secret().len() < LEAST_BYTES) {
        return Err(wrong(format!("must have a secret of at least {LEAST_BYTES} bytes in each line")));
    }
    Ok(secrets)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use roamline_serve::{Clock, Ids};
    use roamline_store::memory::MemoryStore;

    use super::*;
    use crate::{Auth, AuthConfig};

    #[tokio::test(start_paused = true)]
    async fn a_certificate_is_a_token_for_the_service_whose_spiffe_id_it_carries_alone() {
        let (clock, _) = Clock::manual(Timestamp::UNIX_EPOCH);
        let mut config = AuthConfig::default();
        let id = |service: &str| format!("spiffe://example.org/{service}");
        config.services.ids = [("session".to_owned(), vec![id("session"), id("session2")])].into();
        let store = Arc::new(MemoryStore::new());
        let cluster = "test".parse().unwrap();
        let auth = Auth::build(&config, store.clone(), &cluster, clock.clone(), Ids::new()).await.unwrap();
        let issue = async |service: &str, peer: Option<PeerIdentity>| {
            auth.0.issue_service_token(service, &SecretString::default(), peer.as_ref()).await
        };
        let spiffe = |service: &str| Some(PeerIdentity::Spiffe(id(service).into()));
        for good in ["session", "session2"] {
            issue("session", spiffe(good)).await.unwrap();
        }
        let names = Some(PeerIdentity::Dns([id("session")].into()));
        for (service, peer) in [
            ("profile", spiffe("session")),
            ("session", spiffe("profile")),
            ("session", spiffe("session/x")),
            ("session", names),
            ("session", Some(PeerIdentity::CommonName(id("session").into()))),
            ("session", None),
        ] {
            assert!(
                matches!(issue(service, peer.clone()).await, Err(AuthError::Refused)),
                "{service} {peer:?}"
            );
        }

        for (service, id) in [("sesion", "spiffe://example.org/session"), ("session", "example.org/session")]
        {
            config.services.ids = [(service.to_owned(), vec![id.to_owned()])].into();
            let built = Auth::build(&config, store.clone(), &cluster, clock.clone(), Ids::new()).await;
            assert!(matches!(built, Err(BuildError::Config(_))), "{service} {id}");
        }
    }
}
