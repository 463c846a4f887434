//! TLS at the API's port: who is believed, which protocols are spoken, and what happens when the files change.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};
use roamline_proto::auth::SignInRequest;
use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_serve::{
    CallTls, ClientCertificate, Elsewhere, Listeners, Readiness, ServeConfig, ServeError, Tasks, TlsConfig,
    Way,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tonic::Status;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::running::{PEER, Running, SOURCE, WITHIN, http};

/// An authority, and the files that it gives out.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.crt"), &pem).unwrap();
        Self { issuer: Issuer::new(params, key), folder, pem }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A certificate for a server and its key.
    fn server(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// A certificate for a client and its key.
    fn client(&self, spiffe: &str) -> Identity {
        let (certificate, key) = self.client_files(spiffe);
        Identity::from_pem(certificate, key)
    }

    /// The same as texts.
    fn client_files(&self, spiffe: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(spiffe.try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn install(&self, (certificate, key): (String, String)) {
        std::fs::write(self.file("server.crt"), certificate).unwrap();
        std::fs::write(self.file("server.key"), key).unwrap();
    }

    fn config(&self) -> TlsConfig {
        TlsConfig {
            certificate_file: self.file("server.crt"),
            key_file: self.file("server.key"),
            ..TlsConfig::default()
        }
    }

    fn mutual(&self, client_certificate: ClientCertificate) -> TlsConfig {
        TlsConfig { client_ca_file: self.file("ca.crt"), client_certificate, ..self.config() }
    }

    async fn start(&self, tls: TlsConfig) -> Running {
        self.install(self.server());
        Running::start_with(Readiness::new(), ServeConfig { tls, ..ServeConfig::default() }).await
    }

    /// A client that believes this authority.
    fn channel(&self, running: &Running, identity: Option<Identity>) -> Channel {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&self.pem));
        let tls = identity.into_iter().fold(tls, ClientTlsConfig::identity);
        let endpoint = Endpoint::from_shared(format!("https://{}", running.api)).unwrap();
        endpoint.tls_config(tls).unwrap().timeout(WITHIN).connect_lazy()
    }

    /// A handshake by hand.
    async fn shake(
        &self,
        running: &Running,
        version: &'static SupportedProtocolVersion,
        protocols: &[&[u8]],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let stream = TcpStream::connect(running.api).await?;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    /// The certificate that the server shows now.
    async fn shown(&self, running: &Running) -> CertificateDer<'static> {
        let stream = self.shake(running, &TLS13, &[]).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
    }
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

async fn ask(way: impl Into<Way>, what: &str) -> Result<String, Status> {
    let request = SignInRequest { name: what.into(), credential: None };
    Ok(AuthServiceClient::new(way.into()).sign_in(request).await?.into_inner().access_token)
}

/// Waits until the metrics have a line that begins so.
async fn metric(running: &Running, line: &str) {
    let found = async {
        while !http(running.admin, "GET /metrics HTTP/1.1", &[]).await.lines().any(|l| l.starts_with(line)) {}
    };
    tokio::time::timeout(WITHIN, found).await.unwrap_or_else(|_| panic!("no metric {line}"));
}

#[tokio::test]
async fn calls_over_tls_have_an_address_and_calls_inside_need_no_certificate() {
    let authority = Authority::new();
    let running = authority.start(authority.mutual(ClientCertificate::Required)).await;
    let someone = authority.channel(&running, Some(authority.client("spiffe://example.org/a")));
    assert_eq!(ask(someone, SOURCE).await.unwrap(), "127.0.0.1");
    assert_eq!(ask(running.inside.clone(), PEER).await.unwrap(), "");
    metric(&running, "roamline_tls_certificate_not_after_seconds ").await;
    running.stop().await;
}

#[tokio::test]
async fn a_service_with_an_allow_list_is_called_by_its_certificates_and_from_inside_alone() {
    let authority = Authority::new();
    let ids = BTreeSet::from(["spiffe://example.org/a".to_owned()]);
    let allow = BTreeMap::from([("roamline.auth.v1.AuthService".to_owned(), ids)]);
    let tls = TlsConfig { allow, ..authority.mutual(ClientCertificate::Optional) };
    let running = authority.start(tls).await;
    let channel = |id: Option<&str>| authority.channel(&running, id.map(|id| authority.client(id)));
    ask(channel(Some("spiffe://example.org/a")), SOURCE).await.unwrap();
    ask(running.inside.clone(), PEER).await.unwrap();
    for other in [Some("spiffe://example.org/b"), None] {
        let refused = ask(channel(other), SOURCE).await.unwrap_err();
        let refusal = Refusal::from_status(&refused).expect("a refusal of ours");
        assert_eq!(refusal.reason, ErrorReason::ClientNotAllowed);
        assert_eq!(refusal.metadata["service"], "roamline.auth.v1.AuthService");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_service_elsewhere_is_called_over_mutual_tls_with_the_newest_certificate() {
    let authority = Authority::new();
    let running = authority.start(authority.mutual(ClientCertificate::Required)).await;
    let give = |spiffe| {
        let (certificate, key) = authority.client_files(spiffe);
        std::fs::write(authority.file("own.crt"), certificate).unwrap();
        std::fs::write(authority.file("own.key"), key).unwrap();
    };
    give("spiffe://example.org/a");
    let tls = CallTls {
        ca_file: authority.file("ca.crt"),
        certificate_file: authority.file("own.crt"),
        key_file: authority.file("own.key"),
    };
    // A name that may stand for an address where nobody listens.
    let address = format!("https://localhost:{}", running.api.port());
    let elsewhere = Elsewhere::new(&address, &tls, WITHIN).unwrap();
    let tasks = Tasks::new();
    let channel = elsewhere.channel("elsewhere", &tasks).unwrap();
    let named =
        async |spiffe: &str| while ask(channel.clone(), PEER).await.ok().as_deref() != Some(spiffe) {};
    tokio::time::timeout(WITHIN, named("spiffe://example.org/a")).await.expect("in time");
    give("spiffe://example.org/b");
    tokio::time::timeout(WITHIN, named("spiffe://example.org/b")).await.expect("in time");
    tasks.stop(WITHIN).await;
    running.stop().await;
}

#[tokio::test]
async fn a_certificate_names_its_client_and_one_of_a_stranger_is_refused() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let id = "spiffe://example.org/session";
    for wanted in [ClientCertificate::Required, ClientCertificate::Optional] {
        let running = authority.start(authority.mutual(wanted)).await;
        let known = authority.channel(&running, Some(authority.client(id)));
        assert_eq!(ask(known, PEER).await.unwrap(), id);
        let strange = authority.channel(&running, Some(stranger.client(id)));
        ask(strange, PEER).await.expect_err("the authority is not believed");
        let nobody = ask(authority.channel(&running, None), PEER).await;
        match wanted {
            ClientCertificate::Required => assert!(nobody.is_err()),
            ClientCertificate::Optional => assert_eq!(nobody.unwrap(), ""),
        }
        running.stop().await;
    }
}

#[tokio::test]
async fn both_versions_of_tls_and_of_http_are_spoken_and_nothing_else() {
    let authority = Authority::new();
    let running = authority.start(authority.config()).await;
    for version in [&TLS12, &TLS13] {
        let stream = authority.shake(&running, version, &[b"h2", b"http/1.1"]).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let mut stream = authority.shake(&running, version, &[b"http/1.1"]).await.unwrap();
        let head = "POST /roamline.auth.v1.AuthService/GetJsonWebKeySet HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/grpc-web+proto\r\nx-grpc-web: 1\r\ncontent-length: 5\r\n\r\n\0\0\0\0\0";
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
        authority.shake(&running, version, &[b"spdy/1"]).await.expect_err("no protocol in common");
    }
    let plain = Endpoint::from_shared(format!("http://{}", running.api)).unwrap().connect_lazy();
    ask(plain, SOURCE).await.expect_err("plain text is not spoken");
    running.stop().await;
}

#[tokio::test]
async fn a_new_certificate_is_used_without_a_restart_and_a_broken_one_is_not() {
    let authority = Authority::new();
    let running = authority.start(authority.config()).await;
    let old = authority.channel(&running, None);
    ask(old.clone(), SOURCE).await.unwrap();

    let first = authority.shown(&running).await;
    let failed = "roamline_tls_reloads_total{result=\"failed\"}";
    std::fs::write(authority.file("server.key"), authority.server().1).unwrap();
    metric(&running, failed).await;
    assert_eq!(authority.shown(&running).await, first, "a key of another certificate changes nothing");
    std::fs::write(authority.file("server.crt"), "noise").unwrap();
    assert_eq!(authority.shown(&running).await, first);

    let second = authority.server();
    authority.install(second.clone());
    let seen = async { while authority.shown(&running).await != der(&second.0) {} };
    tokio::time::timeout(WITHIN, seen).await.expect("the new certificate is used");
    ask(old, SOURCE).await.expect("connections from before go on");
    running.stop().await;
}

#[tokio::test]
async fn who_does_not_finish_the_handshake_keeps_nobody_out() {
    let authority = Authority::new();
    let few = TlsConfig { max_handshakes: 4.try_into().unwrap(), ..authority.config() };
    let running = authority.start(few).await;
    let mut mute = Vec::new();
    for _ in 0..64 {
        mute.push(TcpStream::connect(running.api).await.unwrap());
    }
    assert_eq!(ask(authority.channel(&running, None), SOURCE).await.unwrap(), "127.0.0.1");
    let mut oldest = mute.swap_remove(0);
    let closed = tokio::time::timeout(WITHIN, oldest.read_u8()).await.expect("the oldest gave way");
    closed.expect_err("it is closed");
    running.stop().await;
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let authority = Authority::new();
    authority.install(authority.server());
    std::fs::write(authority.file("other.key"), authority.server().1).unwrap();
    std::fs::write(authority.file("noise"), "noise").unwrap();
    let good = authority.config();
    let file = |name: &str| authority.file(name);
    let cases = [
        (TlsConfig { key_file: PathBuf::new(), ..good.clone() }, "key_file is not set"),
        (TlsConfig { certificate_file: PathBuf::new(), ..good.clone() }, "certificate_file is not set"),
        (TlsConfig { certificate_file: file("none"), ..good.clone() }, "none cannot be read"),
        (TlsConfig { certificate_file: file("noise"), ..good.clone() }, "noise holds no certificate"),
        (TlsConfig { key_file: file("noise"), ..good.clone() }, "noise holds no private key"),
        (TlsConfig { key_file: file("other.key"), ..good.clone() }, "cannot be used with the key"),
        (TlsConfig { client_ca_file: file("noise"), ..good.clone() }, "noise holds no certificate"),
    ];
    for (tls, expected) in cases {
        let any = "127.0.0.1:0".parse().unwrap();
        let listeners = Listeners::bind(any, any).await.unwrap();
        let outset = roamline_serve::Outset {
            clock: roamline_serve::Clock::system(),
            readiness: Readiness::new(),
            tasks: roamline_serve::Tasks::new(),
        };
        let config = ServeConfig { tls, ..ServeConfig::default() };
        let never = std::future::pending();
        let serving = roamline_serve::serve_later(listeners, never, outset, &config, std::future::pending());
        let error = Box::pin(serving).await.unwrap_err();
        let ServeError::Tls(error) = error else { panic!("{error}") };
        assert!(error.to_string().contains(expected), "{error}");
    }
}
