//! Which authorities are believed for which peer, where peers come and go while the process runs. A certificate that names
//! a peer's SPIFFE id is believed by that peer's own authorities and by no others, or one peer could forge another's id;
//! every other certificate is believed as the configuration says.

mod dial;
mod facts;
mod sessions;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};

use crate::peer::PeerIdentity;

pub use dial::{Expected, PeerDial, PeerDialError, is_signed_by};
pub use facts::CertificateFacts;
pub(crate) use sessions::Sessions;

/// Certificates that were not believed and that nobody has asked for yet; more are forgotten.
const MOST_DISBELIEVED: usize = 1000;

/// Believes certificates of one peer; `None` where its authorities cannot be used, and nobody is it.
type Believes = Option<Arc<dyn ClientCertVerifier>>;

/// The peers, and by which authorities each is believed. Clones share them.
#[derive(Clone, Default)]
pub struct PeerTrust(Arc<Inner>);

#[derive(Default)]
struct Inner {
    peers: ArcSwap<Peers>,
    /// Grows with each change: what was believed before is asked again.
    generation: AtomicU64,
    disbelieved: Mutex<Vec<(String, String)>>,
}

#[derive(Default)]
struct Peers {
    authorities: BTreeMap<String, String>,
    by_id: BTreeMap<String, Believes>,
}

impl PeerTrust {
    /// From now on these are the peers, by their SPIFFE ids, with their authorities in PEM. Connections that are open go
    /// on. Returns the ids whose authorities cannot be used: those peers are not believed at all.
    pub fn obey(&self, peers: BTreeMap<String, String>) -> Vec<String> {
        let before = self.0.peers.load();
        if before.authorities != peers {
            let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
            let by_id = peers.iter().map(|(id, pem)| (id.clone(), verifier(pem, &provider))).collect();
            self.0.peers.store(Arc::new(Peers { authorities: peers, by_id }));
            self.0.generation.fetch_add(1, Ordering::Release);
        }
        let now = self.0.peers.load();
        now.by_id.iter().filter(|(_, believes)| believes.is_none()).map(|(id, _)| id.clone()).collect()
    }

    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        self.0.peers.load().by_id.is_empty()
    }

    /// The certificates with a SPIFFE id that were not believed since the last call: the id of each, and why.
    pub fn take_disbelieved(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.0.disbelieved.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn disbelieve(&self, id: &str, why: &Error) {
        let mut disbelieved = self.0.disbelieved.lock().unwrap_or_else(PoisonError::into_inner);
        if disbelieved.len() < MOST_DISBELIEVED {
            disbelieved.push((id.to_owned(), why.to_string()));
        }
    }

    pub(crate) fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// Believes as these peers are believed, and all others as `configured` does.
    pub(crate) fn beside(
        &self,
        configured: Option<Arc<dyn ClientCertVerifier>>,
        provider: &CryptoProvider,
    ) -> Arc<dyn ClientCertVerifier> {
        let algorithms = provider.signature_verification_algorithms;
        Arc::new(Beside { peers: self.clone(), configured, algorithms })
    }
}

impl fmt::Debug for PeerTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.peers.load().by_id.keys()).finish()
    }
}

fn verifier(pem: &str, provider: &Arc<CryptoProvider>) -> Believes {
    let roots = Arc::new(roots(pem)?);
    WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider)).build().ok()
}

/// The authorities of a text; `None` where one of them cannot be used, or there is none.
fn roots(pem: &str) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(authority.ok()?).ok()?;
    }
    (!roots.is_empty()).then_some(roots)
}

/// Believes peers by their own authorities, and others by those of the configuration.
#[derive(Debug)]
struct Beside {
    peers: PeerTrust,
    configured: Option<Arc<dyn ClientCertVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Beside {
    fn offer_client_auth(&self) -> bool {
        self.configured.is_some() || !self.peers.is_empty()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.configured.as_ref().is_some_and(|configured| configured.client_auth_mandatory())
    }

    /// None where there are peers: hints are fixed, and a client that obeys them would not show a peer's certificate.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        match &self.configured {
            Some(configured) if self.peers.is_empty() => configured.root_hint_subjects(),
            _ => &[],
        }
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let unknown = || Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let peers = self.peers.0.peers.load();
        let id = match PeerIdentity::of(end_entity) {
            Some(PeerIdentity::Spiffe(id)) => Some(id),
            _ => None,
        };
        let believes = id.as_ref().and_then(|id| peers.by_id.get(&**id));
        let verifier = believes.map_or(self.configured.as_ref(), Option::as_ref);
        let verified = verifier
            .ok_or_else(unknown)
            .and_then(|verifier| verifier.verify_client_cert(end_entity, intermediates, now));
        if let (Some(id), Err(why)) = (&id, &verified) {
            self.peers.disbelieve(id, why);
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
