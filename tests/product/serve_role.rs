//! The services apart, as they run in a cluster: auth, profile and two of session as processes of their own on one
//! PostgreSQL and one Redis, behind one address. Agents notice neither that nor who is restarted.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::Receiver;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::FutureExt;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use roamline_serve::{CallTls, Elsewhere, Tasks};
use serde_json::Value;
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server as Front};
use tower::Service;

use crate::postgres::starter::Server as Database;
use crate::process::{Site, WITHIN, errors, lines, roamline, text};
use crate::redis::starter::Redis;

const PHONE: &str = "SEP000DEDAB3566";
const LOGIN: [&str; 6] = ["login", "me", "--phone", PHONE, "--secret-file", "-"];
const SECRET: &str = "s3cret-of-services-that-is-long-enough";

/// An address that nobody else uses, known before anybody listens there.
pub(crate) fn address(redis: &Redis) -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(17_400);
    format!("{}:{}", redis.host(), NEXT.fetch_add(1, Ordering::Relaxed)).parse().unwrap()
}

/// Where everything is.
pub(crate) struct Apart {
    pub(crate) site: Site,
    pub(crate) environment: Vec<(&'static str, String)>,
    pub(crate) cluster: &'static str,
    pub(crate) auth: SocketAddr,
    pub(crate) profile: SocketAddr,
    pub(crate) sessions: [SocketAddr; 2],
}

impl Apart {
    pub(crate) fn new(database: &'static str, redis: &Redis) -> Self {
        Database::of_all().create(database);
        let site = Site::new();
        let secret = site.home().join("secret");
        std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
        let [auth, profile, one, two] = std::array::from_fn(|_| address(redis));
        let secret = secret.to_str().unwrap().to_owned();
        let environment = vec![
            ("STORE__URL", Database::of_all().url(database)),
            ("STORE__MIGRATE", "auto".into()),
            ("REDIS__URL", redis.url()),
            ("SERVICES__AUTH", format!("http://{auth}")),
            ("SERVICES__PROFILE", format!("http://{profile}")),
            ("SERVICES__SESSION", format!("http://{one},http://{two}")),
            ("SERVICES__SECRET_FILE", secret.clone()),
            ("AUTH__SERVICES__SECRET_FILE", secret),
            ("LOG__FORMAT", "json".into()),
        ];
        Self { site, environment, cluster: database, auth, profile, sessions: [one, two] }
    }

    /// `roamline serve ROLE` there, not yet started.
    fn serve(&self, role: &str, listen: SocketAddr) -> Command {
        let mut command = roamline(self.site.home());
        command.args(["serve", role, "--listen", &listen.to_string(), "--admin-listen", "127.0.0.1:0"]);
        command.args(["--cluster-id", self.cluster, "--data"]).arg(self.site.data());
        command.envs(self.environment.iter().map(|(key, value)| (format!("ROAMLINE_{key}"), value)));
        command
    }

    pub(crate) fn start(&self, role: &str, listen: SocketAddr) -> Running {
        Running::start(self.serve(role, listen))
    }

    /// `roamctl` as the administrator, through the front.
    fn roamctl(&self, front: &str, arguments: &[&str], input: &str) -> std::process::Output {
        let credentials = self.site.data().join("admin.toml");
        let whole = ["-o", "json", "--server", front, "--credentials", credentials.to_str().unwrap()];
        self.site.roamctl_with_input(&[&whole, arguments].concat(), input)
    }

    pub(crate) fn json(&self, front: &str, arguments: &[&str], input: &str) -> Value {
        let output = self.roamctl(front, arguments, input);
        assert!(output.status.success(), "{}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    /// Until that goes well; how long it took.
    async fn until_json(&self, front: &str, arguments: &[&str], input: &str) -> Duration {
        self.until_answer(front, arguments, input).await.0
    }

    /// As [`Apart::until_json`], with what was answered.
    async fn until_answer(&self, front: &str, arguments: &[&str], input: &str) -> (Duration, Value) {
        let begun = Instant::now();
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        loop {
            pace.tick().await;
            let output = tokio::task::block_in_place(|| self.roamctl(front, arguments, input));
            if output.status.success() {
                return (begun.elapsed(), serde_json::from_slice(&output.stdout).unwrap_or(Value::Null));
            }
            assert!(begun.elapsed() < WITHIN, "{}", text(&output));
        }
    }
}

/// A process of one service. It is killed when the value is dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) said: Receiver<String>,
    out: Receiver<String>,
    pub(crate) admin: String,
}

impl Running {
    /// Starts it; its ports answer when this returns.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said = lines(child.stderr.take().unwrap());
        let out = lines(child.stdout.take().unwrap());
        let serving = wait_for(&said, "\"serving\"");
        let serving: Value = serde_json::from_str(&serving).unwrap();
        Self { child, said, out, admin: serving["admin"].as_str().unwrap().to_owned() }
    }

    /// Waits until its service is there.
    pub(crate) fn ready(self) -> Self {
        wait_for(&self.out, "service is up");
        self
    }

    fn readyz(&self) -> String {
        crate::ports::http(&self.admin, "GET /readyz HTTP/1.1\r\n", b"")
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and how it ended.
    pub(crate) fn stop(mut self) -> ExitStatus {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        self.child.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn wait_for(said: &Receiver<String>, what: &str) -> String {
    let until = Instant::now() + WITHIN;
    let mut before = Vec::new();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let line =
            said.recv_timeout(left).unwrap_or_else(|error| panic!("no {what} ({error}) in {before:#?}"));
        if line.contains(what) {
            return line;
        }
        before.push(line);
    }
}

/// What stands in front of the services in a cluster: one address that looks at the path of a call.
#[derive(Clone)]
struct Forward<const N: usize>(Channel);

const NAMES: [&str; 7] = [
    "roamline.auth.v1.AuthService",
    "roamline.session.v1.SessionService",
    "roamline.profile.v1.DirectoryService",
    "roamline.profile.v1.ServiceParametersService",
    "roamline.profile.v1.PhoneService",
    "roamline.profile.v1.UserService",
    "roamline.profile.v1.ImportService",
];

impl<const N: usize> NamedService for Forward<N> {
    const NAME: &'static str = NAMES[N];
}

impl<const N: usize> Service<http::Request<Body>> for Forward<N> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let mut channel = self.0.clone();
        async move {
            let answer = async {
                std::future::poll_fn(|context| channel.poll_ready(context)).await?;
                channel.call(request).await
            };
            Ok(answer.await.unwrap_or_else(|error| Status::from_error(error.into()).into_http()))
        }
        .boxed()
    }
}

/// The front; its address.
pub(crate) async fn front(apart: &Apart, redis: &Redis, tasks: &Tasks) -> String {
    let channel = |addresses: &str| {
        let elsewhere = Elsewhere::new(addresses, &CallTls::default(), Duration::from_secs(1)).unwrap();
        elsewhere.channel("front", tasks).unwrap()
    };
    let [one, two] = apart.sessions;
    let auth = channel(&format!("http://{}", apart.auth));
    let profile = channel(&format!("http://{}", apart.profile));
    let routes = Routes::new(Forward::<0>(auth))
        .add_service(Forward::<1>(channel(&format!("http://{one},http://{two}"))))
        .add_service(Forward::<2>(profile.clone()))
        .add_service(Forward::<3>(profile.clone()))
        .add_service(Forward::<4>(profile.clone()))
        .add_service(Forward::<5>(profile.clone()))
        .add_service(Forward::<6>(profile));
    let incoming = TcpIncoming::bind(address(redis)).unwrap();
    let address = incoming.local_addr().unwrap();
    let serving = Front::builder()
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, tasks.stopping().cancelled_owned());
    tasks.spawn("front", serving.map(|ended| ended.unwrap()));
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_apart_serve_agents_as_one_and_outlive_each_other() {
    let (redis, tasks) = (Redis::start(&[]), Tasks::new());
    let apart = Apart::new("apart", &redis);
    let [one, two] = apart.sessions;
    // In any order: each waits for what it needs.
    let (session, other) = (apart.start("session", one), apart.start("session", two));
    let profile = apart.start("profile", apart.profile);
    let auth = apart.start("auth", apart.auth).ready();
    let (profile, session, other) = (profile.ready(), session.ready(), other.ready());
    assert!(session.readyz().starts_with("HTTP/1.1 200"));
    let front = &front(&apart, &redis, &tasks).await;

    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/data/cme-small.cfg");
    apart.json(front, &["import", "cme", example], "");
    let logged_in = apart.json(front, &LOGIN, "pass123\n");
    assert_eq!(logged_in["session"]["phone"], PHONE);
    apart.json(front, &["logout", "--phone", PHONE], "");

    profile.kill();
    let refused = apart.roamctl(front, &LOGIN, "pass123\n");
    assert_eq!(refused.status.code(), Some(6), "{}", text(&refused));
    assert!(apart.json(front, &["session", "list"], "").to_string().contains('['), "others go on");
    let profile = apart.start("profile", apart.profile).ready();
    let took = apart.until_json(front, &LOGIN, "pass123\n").await;
    eprintln!("a login {took:?} after the profile service was back");

    let told = Instant::now();
    assert!(auth.stop().success());
    assert!(told.elapsed() < Duration::from_secs(15), "others watch its health: {:?}", told.elapsed());
    let live = apart.json(front, &["session", "list"], "").to_string();
    assert!(live.contains(PHONE), "who has a token goes on: {live}");
    let auth = apart.start("auth", apart.auth).ready();
    apart.until_json(front, &["logout", "--phone", PHONE], "").await;
    let took = apart.until_json(front, &LOGIN, "pass123\n").await;
    eprintln!("a login {took:?} after the auth service was back");

    session.kill();
    apart.until_json(front, &["logout", "--phone", PHONE], "").await;
    apart.until_json(front, &LOGIN, "pass123\n").await;
    let (_, live) = apart.until_answer(front, &["session", "list"], "").await;
    assert!(live.to_string().contains(PHONE), "{live}");
    tasks.stop(WITHIN).await;
    for running in [auth, profile, other] {
        assert!(running.stop().success());
    }
}

#[test]
fn a_service_with_a_wrong_secret_gets_no_token_and_says_so_until_it_is_mended() {
    let redis = Redis::start(&[]);
    let mut apart = Apart::new("wrongsecret", &redis);
    let _auth = apart.start("auth", apart.auth).ready();
    let own = apart.site.home().join("own");
    std::fs::write(&own, "another").unwrap();
    apart.environment.push(("SERVICES__SECRET_FILE", own.to_str().unwrap().to_owned()));
    let profile = apart.start("profile", apart.profile);
    let refused = wait_for(&profile.said, "gives the profile service no token");
    assert!(!refused.contains(SECRET) && !refused.contains("another"), "{refused}");
    let ready = profile.readyz();
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("no token"), "{ready}");
    std::fs::write(&own, SECRET).unwrap();
    let profile = profile.ready();
    assert!(profile.readyz().starts_with("HTTP/1.1 200"));
    assert!(profile.stop().success());
}

/// An authority whose certificates stand for servers at that host, and for clients by a SPIFFE id.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: PathBuf,
    host: IpAddr,
}

impl Authority {
    pub(crate) fn new(apart: &Apart) -> Self {
        let (key, folder) = (KeyPair::generate().unwrap(), apart.site.home().to_owned());
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        std::fs::write(folder.join("ca.crt"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(params, key), folder, host: apart.auth.ip() }
    }

    /// The files of a certificate of that id: `tls.crt`, `tls.key`, and `ca.crt`.
    pub(crate) fn issue(&self, id: &str) -> [(&'static str, String); 3] {
        let (key, mut params) = (KeyPair::generate().unwrap(), CertificateParams::default());
        params.subject_alt_names = vec![SanType::IpAddress(self.host), SanType::URI(id.try_into().unwrap())];
        let authority = std::fs::read_to_string(self.folder.join("ca.crt")).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        [("tls.crt", certificate), ("tls.key", key.serialize_pem()), ("ca.crt", authority)]
    }

    /// What a process is told that has the certificate of that id.
    pub(crate) fn give(&self, name: &str) -> Vec<(&'static str, String)> {
        let file = |ending: &str| self.folder.join(format!("{name}.{ending}")).to_str().unwrap().to_owned();
        let [(_, certificate), (_, key), _] = self.issue(&format!("spiffe://example.org/{name}"));
        std::fs::write(file("crt"), certificate).unwrap();
        std::fs::write(file("key"), key).unwrap();
        let ca = self.folder.join("ca.crt").to_str().unwrap().to_owned();
        vec![
            ("SERVER__TLS__CERTIFICATE_FILE", file("crt")),
            ("SERVER__TLS__KEY_FILE", file("key")),
            ("SERVER__TLS__CLIENT_CA_FILE", ca.clone()),
            ("SERVICES__TLS__CA_FILE", ca),
            ("SERVICES__TLS__CERTIFICATE_FILE", file("crt")),
            ("SERVICES__TLS__KEY_FILE", file("key")),
        ]
    }
}

#[test]
fn a_service_proves_itself_by_the_id_in_its_certificate() {
    let redis = Redis::start(&[]);
    let mut apart = Apart::new("certificates", &redis);
    apart.environment.retain(|(key, _)| !key.contains("SECRET_FILE"));
    for (key, address) in &mut apart.environment {
        if key.starts_with("SERVICES__") {
            *address = address.replace("http://", "https://");
        }
    }
    let ids = r#"{profile=["spiffe://example.org/profile"],session=["spiffe://example.org/somebody"]}"#;
    apart.environment.push(("AUTH__SERVICES__IDS", ids.into()));
    let (authority, common) = (Authority::new(&apart), apart.environment.clone());
    let (auth_at, profile_at, other_at) = (apart.auth, apart.profile, apart.sessions[0]);
    let mut start = |role, listen, name: &str| {
        apart.environment = [common.clone(), authority.give(name)].concat();
        apart.start(role, listen)
    };
    let auth = start("auth", auth_at, "auth").ready();
    let profile = start("profile", profile_at, "profile").ready();
    let other = start("profile", other_at, "somebody");
    wait_for(&other.said, "gives the profile service no token");
    assert!(other.readyz().starts_with("HTTP/1.1 503"));
    drop(other);
    assert!(profile.stop().success() && auth.stop().success());
}

#[test]
fn a_service_that_misses_a_section_ends_at_once_and_names_it() {
    let redis = Redis::of_all();
    let apart = Apart::new("sections", redis);
    let cases = [
        ("auth", "STORE__URL", "store.url is not set"),
        ("auth", "SERVICES__PROFILE", "services.profile is not set"),
        ("profile", "SERVICES__AUTH", "services.auth is not set"),
        ("profile", "SERVICES__SESSION", "services.session is not set"),
        ("session", "SERVICES__PROFILE", "services.profile is not set"),
        ("session", "REDIS__URL", "redis.url, redis.sentinel and redis.cluster are not set"),
    ];
    for (role, missing, says) in cases {
        let mut command = apart.serve(role, address(redis));
        let refused = command.env_remove(format!("ROAMLINE_{missing}")).output().unwrap();
        assert_eq!(refused.status.code(), Some(78), "{role}: {}", text(&refused));
        assert!(errors(&refused).contains(says), "{role}: {}", errors(&refused));
    }
    let mut command = apart.serve("profile", address(redis));
    let refused = command.env("ROAMLINE_SERVICES__SESSION", "session:7400").output().unwrap();
    assert!(errors(&refused).contains("services.session: \"session:7400\" is not an address"));
    let mut command = apart.serve("profile", address(redis));
    let allow = "{PhoneLink=[\"spiffe://example.org/link\"]}";
    let refused = command.env("ROAMLINE_SERVER__TLS__ALLOW", allow).output().unwrap();
    assert_eq!(refused.status.code(), Some(78), "{}", text(&refused));
    assert!(errors(&refused).contains("tls.allow names \"PhoneLink\""), "{}", errors(&refused));
    let unknown = apart.serve("gateway", address(redis)).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2), "{}", text(&unknown));
}
