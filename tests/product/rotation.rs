//! Everything that is replaced by and by is replaced under load: signing keys, certificates, and the auth service itself.
//! Clients that try again what was unavailable, as gRPC asks them to, notice nothing but the time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::join_all;
use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_proto::auth::{RefreshTokenRequest, RotateSigningKeysRequest, SignInRequest};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_proto::session::LoginRequest;
use roamline_proto::session::session_service_client::SessionServiceClient;
use roamline_serve::{CallTls, Elsewhere, Tasks};
use roamline_token::Bearer;
use tokio::time::interval;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use crate::clients::{Link, furnish_over, login, logout, password, phone_name, pin, user};
use crate::process::WITHIN;
use crate::redis::starter::Redis;
use crate::serve_role::{Apart, Authority, Running};

/// Agents who log in and out.
pub(crate) const AGENTS: u32 = 8;
/// Rounds of one agent between two refreshes of his token.
const REFRESH_EVERY: u64 = 5;
/// How a client waits before it tries again: twice as long each time.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);
const TRIES: u32 = 60;

/// What the agents have seen.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) requests: AtomicU64,
    pub(crate) retried: AtomicU64,
    rounds: AtomicU64,
    slowest_ms: AtomicU64,
    pub(crate) stop: AtomicBool,
}

impl Seen {
    /// Waits until the agents have made so many rounds more.
    pub(crate) async fn rounds_more(&self, number: u64) {
        let until = self.rounds.load(Ordering::Relaxed) + number;
        let began = Instant::now();
        let mut pace = interval(Duration::from_millis(20));
        while self.rounds.load(Ordering::Relaxed) < until {
            assert!(began.elapsed() < WITHIN, "the agents are stuck");
            pace.tick().await;
        }
    }

    /// A call that is made again, as long as it is unavailable.
    pub(crate) async fn call<T>(
        &self,
        what: &str,
        call: impl AsyncFn() -> Result<Response<T>, Status>,
    ) -> Result<T, Status> {
        let (began, mut wait) = (Instant::now(), FIRST_WAIT);
        self.requests.fetch_add(1, Ordering::Relaxed);
        for _ in 0..TRIES {
            match call().await {
                Err(status) if is_unavailable(&status) => {
                    self.retried.fetch_add(1, Ordering::Relaxed);
                    interval_once(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
                answer => {
                    let took = u64::try_from(began.elapsed().as_millis()).unwrap();
                    self.slowest_ms.fetch_max(took, Ordering::Relaxed);
                    return answer.map(Response::into_inner);
                }
            }
        }
        panic!("{what} is unavailable for {:?}", began.elapsed());
    }
}

async fn interval_once(wait: Duration) {
    tokio::time::timeout(wait, std::future::pending::<()>()).await.unwrap_err();
}

/// What gRPC says may be sent again: the server has not taken it, or its connection was lost, for which the library has no
/// code of its own.
fn is_unavailable(status: &Status) -> bool {
    status.code() == Code::Unavailable
        || (matches!(status.code(), Code::Unknown | Code::Cancelled)
            && Refusal::from_status(status).is_none())
}

pub(crate) fn with(channel: &Channel, token: &str) -> Link {
    InterceptedService::new(channel.clone(), Bearer::token(token))
}

/// An agent who logs in and out by his token, and refreshes it, until it is over. He stays logged in then; the ids of his
/// sessions.
pub(crate) async fn agent(n: u32, auth: Channel, session: Channel, seen: &Seen) -> Vec<String> {
    let nobody = AuthServiceClient::new(auth);
    let signed_in = seen.call("a sign-in", async || {
        let request = SignInRequest { name: user(n), credential: pin(&format!("1000{n}")) };
        nobody.clone().sign_in(request).await
    });
    let signed_in = signed_in.await.unwrap();
    let (mut access, mut refresh) = (signed_in.access_token, signed_in.refresh_token);
    let (mut round, mut made) = (0_u64, Vec::new());
    loop {
        round += 1;
        let client = SessionServiceClient::new(with(&session, &access));
        let request = LoginRequest { request_id: format!("{n}-{round}"), ..login(&user(n), &phone_name(n)) };
        let answer =
            seen.call("a login", async || client.clone().login(request.clone()).await).await.unwrap();
        made.push(answer.session.unwrap().session_id);
        if seen.stop.load(Ordering::Relaxed) {
            return made;
        }
        let out = seen.call("a logout", async || client.clone().logout(logout(&phone_name(n))).await).await;
        // One that was made and whose answer was lost is made.
        out.map(drop).or_else(|status| if has_ended(&status) { Ok(()) } else { Err(status) }).unwrap();
        if round.is_multiple_of(REFRESH_EVERY) {
            let request = RefreshTokenRequest { refresh_token: refresh };
            let next = seen.call("a refresh", async || nobody.clone().refresh_token(request.clone()).await);
            let next = next.await.unwrap();
            (access, refresh) = (next.access_token, next.refresh_token);
        }
        seen.rounds.fetch_add(1, Ordering::Relaxed);
    }
}

fn has_ended(status: &Status) -> bool {
    Refusal::from_status(status).is_some_and(|refusal| refusal.reason == ErrorReason::NotLoggedIn)
}

/// The services, each with a certificate of its own, and channels of a client that has one too.
struct Cluster {
    apart: Apart,
    authority: Authority,
    common: Vec<(&'static str, String)>,
}

impl Cluster {
    fn new(redis: &Redis) -> Self {
        let mut apart = Apart::new("rotation", redis);
        for (key, address) in &mut apart.environment {
            if key.starts_with("SERVICES__") {
                *address = address.replace("http://", "https://");
            }
        }
        let (authority, common) = (Authority::new(&apart), apart.environment.clone());
        Self { apart, authority, common }
    }

    fn start(&mut self, role: &'static str) -> Running {
        let listen = match role {
            "auth" => self.apart.auth,
            "profile" => self.apart.profile,
            _ => self.apart.sessions[0],
        };
        self.apart.environment = [self.common.clone(), self.authority.give(role)].concat();
        // One of the two addresses is enough here.
        let session = format!("https://{}", self.apart.sessions[0]);
        self.apart.environment.push(("SERVICES__SESSION", session));
        self.apart.start(role, listen)
    }

    fn channel(&self, address: std::net::SocketAddr, tasks: &Tasks) -> Channel {
        let given = self.authority.give("client");
        let file = |name: &str| given.iter().find(|(key, _)| *key == name).unwrap().1.clone().into();
        let tls = CallTls {
            ca_file: file("SERVICES__TLS__CA_FILE"),
            certificate_file: file("SERVICES__TLS__CERTIFICATE_FILE"),
            key_file: file("SERVICES__TLS__KEY_FILE"),
        };
        let elsewhere = Elsewhere::new(&format!("https://{address}"), &tls, Duration::from_secs(1)).unwrap();
        elsewhere.channel("client", tasks).unwrap()
    }

    /// New certificates for everybody, in the place of the old ones.
    fn replace_certificates(&self) {
        for name in ["auth", "profile", "session"] {
            self.authority.give(name);
        }
    }
}

async fn rotate(auth: &Channel, admin: &str) {
    let mut client = AuthServiceClient::new(with(auth, admin));
    client.rotate_signing_keys(RotateSigningKeysRequest { compromised: false }).await.unwrap();
}

/// The auth service, ended in that way and begun anew, while the agents go on.
async fn restarted(cluster: &Arc<Mutex<Cluster>>, auth: Running, end: fn(Running)) -> Running {
    let cluster = Arc::clone(cluster);
    let again = move || {
        end(auth);
        cluster.lock().unwrap().start("auth").ready()
    };
    tokio::task::spawn_blocking(again).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_fails_while_keys_certificates_and_the_auth_service_are_replaced() {
    let (redis, tasks) = (Redis::start(&[]), Tasks::new());
    let mut cluster = Cluster::new(&redis);
    let (session, profile) = (cluster.start("session"), cluster.start("profile"));
    let mut running = cluster.start("auth").ready();
    let (session, profile) = (session.ready(), profile.ready());
    let auth = cluster.channel(cluster.apart.auth, &tasks);
    let at_session = cluster.channel(cluster.apart.sessions[0], &tasks);
    let directory = cluster.channel(cluster.apart.profile, &tasks);
    let admin = cluster.apart.administrator(&auth).await;
    furnish_over(with(&directory, &admin), with(&auth, &admin), AGENTS).await;

    let seen = Seen::default();
    let agents = join_all((0..AGENTS).map(|n| agent(n, auth.clone(), at_session.clone(), &seen)));
    let cluster = Arc::new(Mutex::new(cluster));
    let began = Instant::now();
    let replacing = async {
        seen.rounds_more(100).await;
        for _ in 0..3 {
            rotate(&auth, &admin).await;
            seen.rounds_more(100).await;
        }
        cluster.lock().unwrap().replace_certificates();
        seen.rounds_more(200).await;
        running = restarted(&cluster, running, |auth| assert!(auth.stop().success())).await;
        seen.rounds_more(200).await;
        running = restarted(&cluster, running, Running::kill).await;
        seen.rounds_more(200).await;
        rotate(&auth, &admin).await;
        seen.rounds_more(100).await;
        seen.stop.store(true, Ordering::Relaxed);
        running
    };
    let (_, running) = tokio::join!(agents, replacing);
    let (took, of) = (began.elapsed(), |number: &AtomicU64| number.load(Ordering::Relaxed));
    eprintln!(
        "{} requests of {AGENTS} agents in {took:.1?} over 4 rotations, new certificates, a stop and a kill: 0 failed, {} sent \
         again, the slowest took {} ms",
        of(&seen.requests),
        of(&seen.retried),
        of(&seen.slowest_ms)
    );
    tasks.stop(WITHIN).await;
    for service in [running, session, profile] {
        assert!(service.stop().success());
    }
}

impl Apart {
    /// The administrator's token.
    pub(crate) async fn administrator(&self, auth: &Channel) -> String {
        let file = std::fs::read_to_string(self.site.data().join("admin.toml")).unwrap();
        let secret = file.lines().find_map(|line| line.strip_prefix("password = ")).unwrap();
        let request = SignInRequest { name: "admin".into(), credential: password(secret.trim_matches('"')) };
        AuthServiceClient::new(auth.clone()).sign_in(request).await.unwrap().into_inner().access_token
    }
}
