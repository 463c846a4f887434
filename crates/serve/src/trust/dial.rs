//! A connection to a peer that is believed by who it is, a SPIFFE id or one very certificate, and not by the name of its
//! host.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::verify_server_cert_signed_by_trust_anchor;
use tokio_rustls::rustls::crypto::{
    WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use super::roots;
use crate::peer::PeerIdentity;

/// No call takes longer, whatever deadline it has.
const LONGEST_CALL: Duration = Duration::from_secs(30);

/// Who must be at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Whoever has the certificate (DER) with this SHA-256.
    Certificate([u8; 32]),
    /// Whoever has a certificate with that SPIFFE id, signed by one of these authorities.
    Peer {
        /// The SPIFFE id.
        id: String,
        /// The authorities (PEM).
        authorities: String,
    },
}

/// A peer that cannot be called.
#[derive(Debug, thiserror::Error)]
pub enum PeerDialError {
    /// No such address.
    #[error("{0:?} is not an address such as https://host:7440")]
    Address(String),
    /// Authorities that cannot be used.
    #[error("the authorities of the peer cannot be used")]
    Authorities,
    /// Our certificate or key cannot be used.
    #[error("our certificate cannot be used with its key")]
    Ours,
    /// It cannot be reached, or is not who is expected.
    #[error("the peer cannot be reached")]
    Connect(#[source] tonic::transport::Error),
}

/// A way to a peer.
pub struct PeerDial {
    endpoint: Endpoint,
    host: String,
    port: u16,
    config: Arc<ClientConfig>,
    seen: Arc<OnceLock<Vec<Vec<u8>>>>,
}

impl PeerDial {
    /// To `https://host:port`. `ours` is our certificate with its chain and its key (PEM); without, we show none. A
    /// connection, with its handshake, takes `within` at most.
    ///
    /// # Errors
    /// When nothing can be called by that.
    pub fn new(
        address: &str,
        expected: &Expected,
        ours: Option<(&[u8], &[u8])>,
        within: Duration,
    ) -> Result<Self, PeerDialError> {
        let wrong = || PeerDialError::Address(address.chars().take(255).collect());
        let origin: Uri = address.parse().map_err(|_| wrong())?;
        let (Some("https"), Some(host), Some(port)) = (origin.scheme_str(), origin.host(), origin.port_u16())
        else {
            return Err(wrong());
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let seen = Arc::new(OnceLock::new());
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Arc::new(Verifier {
            expected: match expected {
                Expected::Certificate(hash) => Who::Certificate(*hash),
                Expected::Peer { id, authorities } => {
                    Who::Peer(id.clone(), roots(authorities).ok_or(PeerDialError::Authorities)?)
                }
            },
            algorithms: provider.signature_verification_algorithms,
            seen: Arc::clone(&seen),
        });
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| PeerDialError::Ours)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match ours {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
                let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| PeerDialError::Ours)?;
                let chain = chain.map_err(|_| PeerDialError::Ours)?;
                builder.with_client_auth_cert(chain, key).map_err(|_| PeerDialError::Ours)?
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        // The handshake is ours: the library sees a connection without TLS.
        let plain = format!("http://{}", address.trim_start_matches("https://").trim_end_matches('/'));
        let endpoint = Endpoint::from_shared(plain).map_err(|_| wrong())?;
        let endpoint = endpoint.origin(origin).connect_timeout(within).timeout(LONGEST_CALL);
        Ok(Self { endpoint, host, port, config: Arc::new(config), seen })
    }

    /// Connects.
    ///
    /// # Errors
    /// When the peer cannot be reached, or is not who is expected.
    pub async fn connect(&self) -> Result<Channel, PeerDialError> {
        let connector = service_fn({
            let (host, port, config) = (self.host.clone(), self.port, Arc::clone(&self.config));
            move |_: Uri| {
                let (host, config) = (host.clone(), Arc::clone(&config));
                async move {
                    let stream = TcpStream::connect((host.as_str(), port)).await?;
                    // Without it calls are late, and that is all.
                    let _ = stream.set_nodelay(true);
                    let name = ServerName::try_from(host).map_err(io::Error::other)?;
                    Ok::<_, io::Error>(TokioIo::new(TlsConnector::from(config).connect(name, stream).await?))
                }
            }
        });
        self.endpoint.connect_with_connector(connector).await.map_err(PeerDialError::Connect)
    }

    /// The chain (DER) that was shown by whoever was there first, believed or not; its certificate first.
    pub fn seen(&self) -> &[Vec<u8>] {
        self.seen.get().map(Vec::as_slice).unwrap_or_default()
    }
}

/// Whether a chain (DER), the certificate of a server first, leads to one of these authorities (PEM) and is valid at that
/// time.
pub fn is_signed_by(chain: &[Vec<u8>], authorities: &str, now: Timestamp) -> bool {
    let Some((first, between)) = chain.split_first() else { return false };
    let between: Vec<_> = between.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
    let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
    let now = Duration::from_secs(u64::try_from(now.as_second()).unwrap_or_default());
    let judge = |roots: RootCertStore| {
        let now = UnixTime::since_unix_epoch(now);
        signed(&CertificateDer::from(first.as_slice()), &between, &roots, now, &algorithms).is_ok()
    };
    roots(authorities).is_some_and(judge)
}

fn signed(
    certificate: &CertificateDer<'_>,
    between: &[CertificateDer<'_>],
    roots: &RootCertStore,
    now: UnixTime,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<(), Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    verify_server_cert_signed_by_trust_anchor(&parsed, roots, between, now, algorithms.all)
}

#[derive(Debug)]
enum Who {
    Certificate([u8; 32]),
    Peer(String, RootCertStore),
}

#[derive(Debug)]
struct Verifier {
    expected: Who,
    algorithms: WebPkiSupportedAlgorithms,
    seen: Arc<OnceLock<Vec<Vec<u8>>>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.seen.get_or_init(|| {
            std::iter::once(end_entity).chain(intermediates).map(|one| one.to_vec()).collect()
        });
        match &self.expected {
            Who::Certificate(hash) => {
                let found = ::aws_lc_rs::digest::digest(&::aws_lc_rs::digest::SHA256, end_entity);
                if found.as_ref() != hash {
                    return Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure));
                }
            }
            Who::Peer(id, roots) => {
                signed(end_entity, intermediates, roots, now, &self.algorithms)?;
                match PeerIdentity::of(end_entity) {
                    Some(PeerIdentity::Spiffe(found)) if *found == **id => {}
                    _ => return Err(Error::InvalidCertificate(CertificateError::NotValidForName)),
                }
            }
        }
        Ok(ServerCertVerified::assertion())
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
