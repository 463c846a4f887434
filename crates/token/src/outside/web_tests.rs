use rcgen::{CertificateParams, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::*;

const WITHIN: Duration = Duration::from_secs(10);

/// An issuer with a certificate of its own.
struct Issuer {
    port: u16,
    pem: String,
    _serving: JoinSet<()>,
}

impl Issuer {
    async fn start() -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["issuer.example".into(), "localhost".into()]).unwrap();
        let certificate = certificate.self_signed(&key).unwrap();
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = [0; 4096];
                let _read = stream.read(&mut request).await;
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
                let _written = stream.write_all(answer).await;
                let _shut = stream.shutdown().await;
            }
        });
        Self { port, pem: certificate.pem(), _serving: serving }
    }
}

/// A proxy that takes every tunnel to one port of this machine, and says what it was asked for.
async fn proxy(to: u16) -> (u16, tokio::sync::mpsc::UnboundedReceiver<String>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = tokio::sync::mpsc::unbounded_channel();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await.unwrap());
            }
            tell.send(String::from_utf8(head).unwrap()).unwrap();
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let mut issuer = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
            let _ended = copy_bidirectional(&mut client, &mut issuer).await;
        }
    });
    (port, told, serving)
}

fn way(proxies: Matcher) -> Way {
    Way::new(WITHIN, proxies)
}

#[tokio::test]
async fn authorities_are_believed_as_their_file_says_now() {
    let (old, new) = (Issuer::start().await, Issuer::start().await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, &old.pem).unwrap();
    let web = Web::by(way(Matcher::builder().build()), &file, WITHIN).unwrap();
    let at = |issuer: &Issuer| format!("https://localhost:{}/keys", issuer.port).parse::<Uri>().unwrap();
    assert_eq!(web.get(&at(&old)).await.unwrap(), "{}");
    assert!(web.get(&at(&new)).await.is_err(), "nobody believes it yet");
    std::fs::write(&file, "no certificate").unwrap();
    web.file().look().await;
    assert_eq!(web.get(&at(&old)).await.unwrap(), "{}");
    std::fs::write(&file, &new.pem).unwrap();
    web.file().look().await;
    assert_eq!(web.get(&at(&new)).await.unwrap(), "{}");
    assert!(web.get(&at(&old)).await.is_err());
}

#[tokio::test]
async fn an_issuer_with_tls_is_asked_through_the_proxy_and_others_are_not() {
    let issuer = Issuer::start().await;
    let (port, mut told, _serving) = proxy(issuer.port).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, &issuer.pem).unwrap();
    let matcher = |scheme: &str| {
        Matcher::builder()
            .https(format!("{scheme}://user:p4ss@127.0.0.1:{port}"))
            .http(format!("{scheme}://127.0.0.1:{port}"))
            .no("localhost")
            .build()
    };
    let web = Web::by(way(matcher("http")), &file, WITHIN).unwrap();
    let away: Uri = "https://issuer.example/keys".parse().unwrap();
    assert_eq!(web.get(&away).await.unwrap(), "{}");
    let head = told.recv().await.unwrap();
    assert!(head.starts_with("CONNECT issuer.example:443 HTTP/1.1\r\n"), "{head}");
    assert!(head.to_ascii_lowercase().contains("proxy-authorization: basic dxnlcjpwnhnz"), "{head}");

    let here = format!("https://localhost:{}/keys", issuer.port).parse().unwrap();
    assert_eq!(web.get(&here).await.unwrap(), "{}", "NO_PROXY names it");
    let plain = format!("http://127.0.0.1:{}/keys", issuer.port).parse().unwrap();
    let _failed = web.get(&plain).await.unwrap_err();
    assert!(told.try_recv().is_err(), "what is without TLS goes directly");

    let web = Web::by(way(matcher("https")), &file, WITHIN).unwrap();
    let refused = web.get(&away).await.unwrap_err().to_string();
    assert!(refused.contains("HTTPS_PROXY") && !refused.contains("p4ss"), "{refused}");
}
