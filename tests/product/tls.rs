//! The port of the API as strangers meet it: TLS with the real binaries, and what clients that mean harm can use up.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use prost::bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use roamline_proto::auth::GetJsonWebKeySetRequest;
use roamline_proto::auth::auth_service_client::AuthServiceClient;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tonic::Status;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, ServerTlsConfig};

use crate::clients::channel;
use crate::process::{Server, Site, WITHIN, errors, start, text};

const DEMO_PHONE: &str = "SEP02005E005302";

/// An authority and the folder of the files that it gives out.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    folder: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("ca.crt"), &pem).unwrap();
        Self { issuer: Issuer::new(params, key), pem, folder }
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Writes `NAME.crt` and `NAME.key` into the folder.
    pub(crate) fn give(&self, folder: &Self, name: &str, params: &CertificateParams) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(folder.file(&format!("{name}.crt")), certificate.pem()).unwrap();
        std::fs::write(folder.file(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    /// What a server of tests shows, who talks with those alone who have a certificate of this authority.
    pub(crate) fn mutual(&self) -> ServerTlsConfig {
        let file = |name| std::fs::read(self.file(name)).unwrap();
        ServerTlsConfig::new()
            .identity(Identity::from_pem(file("server.crt"), file("server.key")))
            .client_ca_root(Certificate::from_pem(&self.pem))
    }

    /// `roamline up` with TLS, not yet started.
    fn up(&self, site: &Site) -> Command {
        let mut command = site.up();
        command.env("ROAMLINE_SERVER__TLS__CERTIFICATE_FILE", self.file("server.crt"));
        command.env("ROAMLINE_SERVER__TLS__KEY_FILE", self.file("server.key"));
        command
    }

    /// A server whose certificate is that.
    fn start(&self, site: &Site, params: &CertificateParams) -> Server {
        self.give(self, "server", params);
        start(self.up(site)).expect("it starts")
    }
}

pub(crate) fn local() -> CertificateParams {
    CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap()
}

/// A client that believes these authorities.
fn believing(server: &Server, authorities: &[&Authority]) -> Channel {
    let authorities = authorities.iter().map(|authority| Certificate::from_pem(&authority.pem));
    let tls = ClientTlsConfig::new().ca_certificates(authorities);
    let endpoint = Endpoint::from_shared(server.api.clone()).unwrap().timeout(WITHIN);
    endpoint.tls_config(tls).unwrap().connect_lazy()
}

async fn ask(channel: Channel) -> Result<(), Status> {
    AuthServiceClient::new(channel).get_json_web_key_set(GetJsonWebKeySetRequest::default()).await.map(|_| ())
}

async fn is_served(channel: Channel) {
    tokio::time::timeout(WITHIN, ask(channel)).await.expect("in time").expect("an honest client is served");
}

#[test]
fn agents_log_in_over_tls_and_mutual_tls() {
    let (authority, site) = (Authority::new(), Site::new().with(&["--demo"]));
    authority.give(&authority, "client", &CertificateParams::new(["client".to_owned()]).unwrap());
    authority.give(&authority, "server", &local());
    let mut up = authority.up(&site);
    up.env("ROAMLINE_SERVER__TLS__CLIENT_CA_FILE", authority.file("ca.crt"));
    let server = start(up).expect("it starts");
    assert!(server.api.starts_with("https://"), "{}", server.report);
    let (ca, certificate, key) =
        (authority.file("ca.crt"), authority.file("client.crt"), authority.file("client.key"));
    let ours = ["--ca", &ca, "--certificate", &certificate, "--key", &key];
    let login = ["login", "1001", "--phone", DEMO_PHONE, "--secret-file", "-"];
    let logged_in = site.roamctl_with_input(&[&ours[..], &login].concat(), "41001\n");
    assert!(logged_in.status.success(), "{}", text(&logged_in));
    let live = site.json(&[&ours[..], &["session", "list"]].concat());
    assert!(live.to_string().contains(DEMO_PHONE), "{live}");

    let without = site.roamctl(&["--ca", &ca, "session", "list"]);
    assert!(errors(&without).contains("a certificate of its client"), "{}", text(&without));
    let half = site.roamctl(&["--ca", &ca, "--key", &key, "session", "list"]);
    assert!(errors(&half).contains("--key needs --certificate"), "{}", text(&half));
    let stranger = Authority::new();
    stranger.give(&stranger, "client", &CertificateParams::new(["client".to_owned()]).unwrap());
    let (certificate, key) = (stranger.file("client.crt"), stranger.file("client.key"));
    let strange =
        site.roamctl(&["--ca", &ca, "--certificate", &certificate, "--key", &key, "session", "list"]);
    assert!(!strange.status.success() && errors(&strange).contains("certificate"), "{}", text(&strange));
}

#[test]
fn a_server_that_cannot_be_believed_is_told_with_the_reason() {
    let authority = Authority::new();
    let ca = authority.file("ca.crt");
    let ask = |site: &Site, arguments: &[&str], code: i32, words: &str| {
        let output = site.roamctl(&[arguments, &["session", "list"]].concat());
        assert_eq!(output.status.code(), Some(code), "{}", text(&output));
        assert!(errors(&output).contains(words), "{words}: {}", text(&output));
    };

    let site = Site::new();
    let server = authority.start(&site, &local());
    ask(&site, &[], 4, "is from an unknown authority");
    ask(&site, &["--ca", &authority.file("none")], 2, "cannot read");
    ask(&site, &["--ca", &authority.file("server.key")], 2, "holds no certificate");
    let plain = server.api.replace("https://", "http://");
    ask(&site, &["--server", &plain], 6, "write its address with https://");
    drop(server);

    let site = Site::new();
    let elsewhere = CertificateParams::new(["elsewhere.example.org".to_owned()]).unwrap();
    let server = authority.start(&site, &elsewhere);
    ask(&site, &["--ca", &ca], 4, "is for another name");
    drop(server);

    let site = Site::new();
    let mut expired = local();
    expired.not_before = date_time_ymd(2020, 1, 1);
    expired.not_after = date_time_ymd(2021, 1, 1);
    let server = authority.start(&site, &expired);
    ask(&site, &["--ca", &ca], 4, "it was good until 2021-01-01");
    drop(server);

    let site = Site::new();
    let server = site.start();
    let secure = server.api.replace("http://", "https://");
    ask(&site, &["--ca", &ca, "--server", &secure], 6, "does not speak TLS");
}

#[test]
fn a_certificate_that_cannot_be_used_is_named_and_nothing_begins() {
    let (authority, site) = (Authority::new(), Site::new());
    authority.give(&authority, "server", &local());
    std::fs::write(authority.file("server.key"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let refused = start(authority.up(&site)).err().expect("a key of another certificate");
    assert!(refused.contains("server.tls") && !refused.contains("panicked"), "{refused}");
    std::fs::remove_file(authority.file("server.key")).unwrap();
    let refused = start(authority.up(&site)).err().expect("a key that is not there");
    assert!(refused.contains("server.key"), "{refused}");
}

#[tokio::test]
async fn certificates_and_their_authority_change_under_load_without_a_failed_call() {
    let (site, old, new) = (Site::new(), Authority::new(), Authority::new());
    let server = old.start(&site, &local());
    is_served(believing(&server, &[&old])).await;
    ask(believing(&server, &[&new])).await.expect_err("not yet");
    // The certificate first: until its key has come, too, the old pair is in use.
    new.give(&old, "server", &local());
    let changing = async {
        loop {
            is_served(believing(&server, &[&old, &new])).await;
            if ask(believing(&server, &[&new])).await.is_ok() {
                break;
            }
        }
    };
    tokio::time::timeout(WITHIN, changing).await.expect("the new certificate is used");
    ask(believing(&server, &[&old])).await.expect_err("the old one is not");
}

/// Each connection is a file of the process, which may have few of them here.
#[tokio::test]
async fn a_server_without_a_file_descriptor_left_goes_on_and_accepts_again() {
    let site = Site::new();
    let up = site.up();
    let mut limited = Command::new("sh");
    limited.arg("-c").arg("ulimit -n 64; exec \"$@\"").arg("sh");
    limited.arg(up.get_program()).args(up.get_args()).env("HOME", site.home());
    let server = start(limited).expect("it starts");
    let honest = channel(&server);
    is_served(honest.clone()).await;
    let idle: Vec<_> = (0..100).map(|_| connect(&server)).collect();
    for _ in 0..20 {
        is_served(honest.clone()).await;
    }
    let late = channel(&server);
    let waiting = is_served(late);
    let leaving = async { drop(idle) };
    tokio::join!(waiting, leaving);
    let metrics = get(&server.admin, "/metrics");
    let failures =
        metrics.lines().find(|line| line.starts_with("roamline_connections_accept_failures_total"));
    assert!(failures.is_some(), "it had run out: {metrics}");
    assert!(server.stop().success());
}

#[tokio::test]
async fn rapid_resets_are_ended_and_others_are_served_meanwhile() {
    let site = Site::new();
    let server = site.start();
    let honest = channel(&server);
    let mut attacks = JoinSet::new();
    for _ in 0..4 {
        attacks.spawn(reset_rapidly(server.api.trim_start_matches("http://").to_owned()));
    }
    while !attacks.is_empty() {
        is_served(honest.clone()).await;
        is_served(channel(&server)).await;
        while let Some(ended) = attacks.try_join_next() {
            // Where the connection breaks before the last frame is read, there is no reason.
            assert!(matches!(ended.unwrap(), None | Some(h2::Reason::ENHANCE_YOUR_CALM)));
        }
    }
    assert!(server.stop().success());
}

/// Until the server ends it; the reason that it gives.
async fn reset_rapidly(address: String) -> Option<h2::Reason> {
    let stream = tokio::net::TcpStream::connect(address).await.expect("it accepts");
    let (mut sender, connection) = h2::client::Builder::new().handshake::<_, Bytes>(stream).await.unwrap();
    let resetting = async {
        while let Ok(ready) = sender.clone().ready().await {
            sender = ready;
            let request = http::Request::post("http://x/roamline.auth.v1.AuthService/GetJsonWebKeySet");
            match sender.send_request(request.body(()).unwrap(), false) {
                Ok((_, mut stream)) => stream.send_reset(h2::Reason::CANCEL),
                Err(_) => break,
            }
            tokio::task::yield_now().await;
        }
    };
    let both = async { tokio::join!(resetting, connection).1 };
    let ended = tokio::time::timeout(WITHIN, both).await.expect("the server ends it");
    ended.err().and_then(|error| error.reason())
}

/// A connection that has said hello in HTTP/2 and says nothing more.
fn connect(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.api.trim_start_matches("http://")).expect("it listens");
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    stream
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(WITHIN)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn slow_headers_and_a_message_of_a_gibibyte_hurt_nobody() {
    let site = Site::new();
    let server = site.start();
    let address = server.api.trim_start_matches("http://").to_owned();
    let path = "POST /roamline.auth.v1.AuthService/GetJsonWebKeySet HTTP/1.1\r\nHost: localhost\r\n";
    // Headers that go on for ever, in HTTP/1.1 and in HTTP/2 (a block of headers that is not ended).
    let mut slow: Vec<_> = (0..200).map(|_| TcpStream::connect(&address).unwrap()).collect();
    let unended =
        [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"[..], b"\0\0\x01\x01\0\0\0\0\x01\x82"]
            .concat();
    for (number, stream) in slow.iter_mut().enumerate() {
        let begun = if number % 2 == 0 { path.as_bytes() } else { &unended };
        stream.write_all(begun).unwrap();
    }
    is_served(channel(&server)).await;

    let mut large = TcpStream::connect(&address).unwrap();
    large.set_read_timeout(Some(WITHIN)).unwrap();
    let length = (1u32 << 30) + 5;
    let rest = format!(
        "Content-Type: application/grpc-web+proto\r\nX-Grpc-Web: 1\r\nContent-Length: {length}\r\n\r\n"
    );
    large.write_all(format!("{path}{rest}").as_bytes()).unwrap();
    large.write_all(&[0, 0x40, 0, 0, 0]).unwrap();
    // It may have been refused by what came before.
    let _ = large.write_all(&[0; 4096]);
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&answer).contains("grpc-status") {
        let read = large.read(&mut buffer).unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&buffer[..read]);
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(!answer.contains("grpc-status: 0") && !answer.contains("grpc-status:0"), "{answer}");
    is_served(channel(&server)).await;
    assert!(server.peak_memory() < 512 << 20, "{}", server.peak_memory());
    drop(slow);
    assert!(server.stop().success());
}

#[tokio::test]
async fn idle_connections_keep_nobody_out() {
    idle(500, "100").await;
}

/// The whole attack: `cargo test -p roamline-tests --test product ten_thousand -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "opens ten thousand connections"]
async fn ten_thousand_idle_connections_keep_nobody_out() {
    idle(10_000, "10000").await;
}

async fn idle(number: usize, most: &str) {
    let site = Site::new();
    let mut up = site.up();
    up.env("ROAMLINE_SERVER__MAX_CONNECTIONS", most);
    let server = start(up).expect("it starts");
    let honest = channel(&server);
    is_served(honest.clone()).await;
    let before = server.peak_memory();
    let mut idle = Vec::with_capacity(number);
    for n in 0..number {
        idle.push(connect(&server));
        if n % 50 == 0 {
            is_served(honest.clone()).await;
        }
    }
    is_served(honest).await;
    is_served(channel(&server)).await;
    let each = server.peak_memory().saturating_sub(before) / number as u64;
    eprintln!("{number} idle connections: {each} bytes each");
    assert!(each < 100 << 10, "{each} bytes for an idle connection");
    drop(idle);
    assert!(server.stop().success());
}
