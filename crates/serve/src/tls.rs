//! TLS of the API's port: the certificate we show, the authorities whose clients we believe, and both again when their
//! files change. A change that cannot be used leaves everything as it was, and is told in the log and in a metric.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::aws_lc_rs::digest::{Context, Digest, SHA256};
use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};

use crate::clock::Clock;
use crate::inventory::{CERTIFICATE_NOT_AFTER, TLS_RELOADS};
use crate::peer::not_after;
use crate::serve_config::{ClientCertificate, TlsConfig};
use crate::trust::{PeerTrust, Sessions};

/// How often is looked whether the files have changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// No file of certificates is longer.
const LONGEST: u64 = 1 << 20;
/// What is spoken over TLS: gRPC, and gRPC-web.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Files that TLS cannot be set up with.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A setting without the one that it needs.
    #[error("server.tls.{0} is not set")]
    Missing(&'static str),
    /// A file that cannot be read.
    #[error("server.tls.{key}: {} cannot be read", path.display())]
    Unreadable {
        /// The setting that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file without what it should hold.
    #[error("server.tls.{key}: {} holds no {what} in PEM", path.display())]
    Content {
        /// The setting that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// Why it does not.
        #[source]
        source: Option<pem::Error>,
    },
    /// A certificate or key that cannot be used, or one that is not the other's.
    #[error("server.tls: the certificate cannot be used with the key")]
    Pair(#[source] rustls::Error),
    /// Authorities that cannot be used.
    #[error("server.tls.client_ca_file: an authority cannot be used")]
    Authority(#[source] VerifierBuilderError),
}

/// The certificate and the authorities of the present. Clones share them.
#[derive(Clone)]
pub(crate) struct Tls(Arc<Inner>);

struct Inner {
    config: TlsConfig,
    peers: PeerTrust,
    present: ArcSwap<ServerConfig>,
}

/// What the files say.
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Tls {
    /// Reads the files for the first time. `None` where no TLS is asked for. `peers` are believed beside the authorities.
    ///
    /// # Errors
    /// When they cannot be used.
    pub(crate) fn load(
        config: &TlsConfig,
        peers: PeerTrust,
        now: Timestamp,
    ) -> Result<Option<(Self, Reload)>, TlsError> {
        if !config.is_on() {
            return Ok(None);
        }
        let files = Files::read(config)?;
        let (present, not_after) = files.build(config, &peers)?;
        say_when_it_ends(not_after, now);
        let present = ArcSwap::from_pointee(present);
        let tls = Self(Arc::new(Inner { config: config.clone(), peers, present }));
        let reload = Reload { tls: tls.clone(), seen: Seen::Files(files.digest()) };
        Ok(Some((tls, reload)))
    }

    /// For a handshake that begins now.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.present.load_full())
    }

    /// How long a handshake may take.
    pub(crate) fn handshake_timeout(&self) -> Duration {
        self.0.config.handshake_timeout
    }

    /// Handshakes at once.
    pub(crate) fn max_handshakes(&self) -> usize {
        self.0.config.max_handshakes.get() as usize
    }
}

/// Looks for changes of the files.
pub(crate) struct Reload {
    tls: Tls,
    seen: Seen,
}

/// What was found when it was last looked.
enum Seen {
    Files(Digest),
    Unreadable(String),
}

impl Reload {
    /// Looks without end.
    pub(crate) async fn follow(mut self, clock: &Clock) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let config = self.tls.0.config.clone();
            // The runtime is going away when the thread is lost.
            let Ok(read) = tokio::task::spawn_blocking(move || Files::read(&config)).await else { return };
            self.take(read, clock.now());
        }
    }

    /// Uses what was read, if it is new and good.
    fn take(&mut self, read: Result<Files, TlsError>, now: Timestamp) {
        let built = match read {
            Ok(files) => {
                let digest = files.digest();
                if matches!(&self.seen, Seen::Files(seen) if seen.as_ref() == digest.as_ref()) {
                    return;
                }
                self.seen = Seen::Files(digest);
                files.build(&self.tls.0.config, &self.tls.0.peers)
            }
            Err(error) => {
                let text = chain(&error);
                if matches!(&self.seen, Seen::Unreadable(seen) if *seen == text) {
                    return;
                }
                self.seen = Seen::Unreadable(text);
                Err(error)
            }
        };
        match built {
            Ok((present, not_after)) => {
                self.tls.0.present.store(Arc::new(present));
                TLS_RELOADS.add(1, &[("result", "ok")]);
                tracing::info!("the files of TLS have changed and are used");
                say_when_it_ends(not_after, now);
            }
            Err(error) => {
                TLS_RELOADS.add(1, &[("result", "failed")]);
                tracing::error!(
                    cause = chain(&error),
                    "the files of TLS have changed and cannot be used: those from before stay in use"
                );
            }
        }
    }
}

impl Files {
    fn read(config: &TlsConfig) -> Result<Self, TlsError> {
        let client_ca = match config.client_ca_file.as_os_str().is_empty() {
            true => None,
            false => Some(read("client_ca_file", &config.client_ca_file)?),
        };
        Ok(Self {
            certificate: read("certificate_file", &config.certificate_file)?,
            key: read("key_file", &config.key_file)?,
            client_ca,
        })
    }

    fn digest(&self) -> Digest {
        let mut context = Context::new(&SHA256);
        for part in [&self.certificate, &self.key].into_iter().chain(&self.client_ca) {
            context.update(&part.len().to_be_bytes());
            context.update(part);
        }
        context.finish()
    }

    /// What a handshake needs, and when the certificate ends.
    fn build(
        &self,
        config: &TlsConfig,
        peers: &PeerTrust,
    ) -> Result<(ServerConfig, Option<Timestamp>), TlsError> {
        let chain = certificates("certificate_file", &config.certificate_file, &self.certificate)?;
        let ends = chain.first().and_then(not_after);
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|source| TlsError::Content {
            key: "key_file",
            path: config.key_file.clone(),
            what: "private key",
            source: Some(source),
        })?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Pair)?;
        let configured = match &self.client_ca {
            None => None,
            Some(authorities) => {
                let authorities = certificates("client_ca_file", &config.client_ca_file, authorities)?;
                Some(verifier(authorities, config, Arc::clone(&provider))?)
            }
        };
        let builder = builder.with_client_cert_verifier(peers.beside(configured, &provider));
        let mut server = builder.with_single_cert(chain, key).map_err(TlsError::Pair)?;
        server.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        server.session_storage = Sessions::new(peers.clone());
        Ok((server, ends))
    }
}

fn verifier(
    authorities: Vec<CertificateDer<'static>>,
    config: &TlsConfig,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority).map_err(|_| TlsError::Authority(VerifierBuilderError::NoRootAnchors))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match config.client_certificate {
        ClientCertificate::Required => builder,
        ClientCertificate::Optional => builder.allow_unauthenticated(),
    };
    builder.build().map_err(TlsError::Authority)
}

fn certificates(
    key: &'static str,
    path: &Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let content = |source| TlsError::Content { key, path: path.to_owned(), what: "certificate", source };
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| content(Some(error)))?;
    if found.is_empty() { Err(content(None)) } else { Ok(found) }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    if path.as_os_str().is_empty() {
        return Err(TlsError::Missing(key));
    }
    let unreadable = |source| TlsError::Unreadable { key, path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, LONGEST), &mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

fn say_when_it_ends(not_after: Option<Timestamp>, now: Timestamp) {
    let Some(not_after) = not_after else { return };
    CERTIFICATE_NOT_AFTER.set(not_after.as_second());
    if not_after < now {
        tracing::error!(%not_after, "the certificate of TLS has expired");
    } else {
        tracing::info!(%not_after, "the certificate of TLS is in use");
    }
}

/// An error and what is behind it, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(&format!(": {next}"));
        cause = next.source();
    }
    text
}
