//! Three servers on one PostgreSQL and one Redis are one: what happens on one is seen on all, what the clock does is done
//! once, and one that dies, hangs or is replaced is missed by nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use roamline_proto::error::ErrorReason;
use roamline_proto::profile::directory_service_client::DirectoryServiceClient;
use roamline_proto::profile::{
    ApplyResourcesRequest, DeviceSettings, Line, LogoutProfile, Phone, ProfileLine, Resource, User,
    UserDeviceProfile, phone, resource,
};
use roamline_proto::session::watch_sessions_response::Message;
use roamline_proto::session::{
    EndedSession, LoginRequest, LogoutReason, LogoutRequest, Session, WatchSessionsRequest,
    WatchSessionsResponse,
};
use tokio::time::timeout;
use tonic::{Code, Streaming};

use crate::clients::{Sessions, administrator, link, live, login, logout, reason, sessions};
use crate::postgres::starter::Server as Database;
use crate::process::{self, Server, Site, WITHIN};
use crate::redis::starter::Redis;

/// Servers with one cluster id on the same stores, and an administrator's token.
pub(crate) struct Replicas {
    pub(crate) sites: Vec<Site>,
    pub(crate) servers: Vec<Server>,
    pub(crate) admin: String,
}

impl Replicas {
    /// Three, on a database of their own in the PostgreSQL of all, with a directory of that many phones and users.
    pub(crate) async fn start(database: &str, redis: &Redis, number: u32) -> Self {
        Database::of_all().create(database);
        let url = Database::of_all().url(database);
        let options = ["--cluster-id", database];
        let sites: Vec<_> = (0..3).map(|_| Site::on_redis(&url, &redis.url()).with(&options)).collect();
        let servers: Vec<_> = sites.iter().map(Site::start).collect();
        let admin = administrator(&sites[0], &servers[0]).await;
        furnish(&servers[0], &admin, number).await;
        Self { sites, servers, admin }
    }

    /// The session service of one of them.
    pub(crate) fn on(&self, n: usize) -> Sessions {
        sessions(&self.servers[n], &self.admin)
    }

    /// A watch on one of them, after its snapshot of that many sessions.
    pub(crate) async fn watch(&self, n: usize, live: usize) -> Watch {
        let mut watch = Watch::open(&mut self.on(n), "").await;
        let mut seen = 0;
        loop {
            match watch.next().await {
                Message::Snapshot(_) => seen += 1,
                Message::SnapshotDone(_) => break,
                other => panic!("{other:?} in a snapshot"),
            }
        }
        assert_eq!(seen, live, "the snapshot of replica {n}");
        watch
    }
}

/// A watch of all sessions.
pub(crate) struct Watch {
    stream: Streaming<WatchSessionsResponse>,
    resume_token: String,
}

impl Watch {
    pub(crate) async fn open(client: &mut Sessions, resume_token: &str) -> Self {
        let request = WatchSessionsRequest { resume_token: resume_token.into(), ..Default::default() };
        let stream = client.watch_sessions(request).await.expect("a watch").into_inner();
        Self { stream, resume_token: resume_token.into() }
    }

    /// The next message that is no heartbeat.
    pub(crate) async fn next(&mut self) -> Message {
        self.try_next().await.expect("the watch goes on")
    }

    /// The same, or why the watch has ended.
    pub(crate) async fn try_next(&mut self) -> Result<Message, tonic::Status> {
        loop {
            let answer = timeout(WITHIN, self.stream.message()).await.expect("a message in time")?;
            let answer = answer.expect("a watch ends with a reason");
            if !answer.resume_token.is_empty() {
                self.resume_token = answer.resume_token;
            }
            match answer.message.expect("a message") {
                Message::Heartbeat(_) => {}
                message => return Ok(message),
            }
        }
    }

    /// Logouts up to the login of that user, by session id; each must be there once.
    pub(crate) async fn logouts_before(&mut self, user: &str) -> BTreeMap<String, EndedSession> {
        let mut seen = BTreeMap::new();
        loop {
            match self.next().await {
                Message::LoggedOut(ended) => {
                    let id = ended.session.as_ref().unwrap().session_id.clone();
                    assert!(seen.insert(id.clone(), ended).is_none(), "{id} ended twice");
                }
                Message::LoggedIn(session) if session.user_id == user => return seen,
                _ => {}
            }
        }
    }
}

pub(crate) fn user(n: u32) -> String {
    format!("agent{n:04}")
}

pub(crate) fn phone_name(n: u32) -> String {
    format!("SEP0200000{n:05}")
}

/// Phones, users without credentials, and profiles with a line each, as many as are asked for.
async fn furnish(server: &Server, admin: &str, number: u32) {
    let wearing = |line: String| {
        let lines = vec![ProfileLine { lines: vec![line], ..Default::default() }];
        Some(DeviceSettings { lines, ..Default::default() })
    };
    let line = |n: u32| format!("{}", 20_000 + n);
    let mut kinds = vec![
        resource::Kind::Line(Line { name: "1000".into(), ..Default::default() }),
        resource::Kind::LogoutProfile(LogoutProfile {
            tag: 1,
            settings: wearing("1000".into()),
            ..Default::default()
        }),
    ];
    for n in 0..number {
        kinds.push(resource::Kind::Line(Line { name: line(n), ..Default::default() }));
        kinds.push(resource::Kind::UserDeviceProfile(UserDeviceProfile {
            name: user(n),
            settings: wearing(line(n)),
            ..Default::default()
        }));
        kinds.push(resource::Kind::User(User {
            user_id: user(n),
            profiles: vec![user(n)],
            ..Default::default()
        }));
        kinds.push(resource::Kind::Phone(Phone {
            name: phone_name(n),
            model: "8851".into(),
            extension_mobility_enabled: true,
            logout_profile: Some(phone::LogoutProfile::SharedLogoutProfile(1)),
            ..Default::default()
        }));
    }
    let mut directory = DirectoryServiceClient::new(link(server, admin));
    for some in kinds.chunks(8_000) {
        let resources = some.iter().map(|kind| Resource { kind: Some(kind.clone()) }).collect();
        let request = ApplyResourcesRequest { resources, validate_only: false };
        directory.apply_resources(request).await.expect("the site is accepted");
    }
}

/// A login of user `n` at phone `n`, for that long.
pub(crate) fn login_for(n: u32, duration: Option<Duration>) -> LoginRequest {
    let duration = duration.map(|duration| duration.try_into().unwrap());
    LoginRequest { duration, ..login(&user(n), &phone_name(n)) }
}

/// Logs users in, each at his phone, spread over the clients.
pub(crate) async fn log_in(
    clients: &[Sessions],
    users: std::ops::Range<u32>,
    duration: Option<Duration>,
) -> Vec<Session> {
    let logins = users.map(|n| {
        let mut client = clients[n as usize % clients.len()].clone();
        async move {
            let answer = client.login(login_for(n, duration)).await.expect("a login");
            answer.into_inner().session.expect("a session")
        }
    });
    stream::iter(logins).buffered(8).collect().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ev_2_what_happens_on_one_replica_is_seen_on_all_in_order_and_once() {
    let replicas = Replicas::start("everywhere", Redis::of_all(), 8).await;
    let mut watches = Vec::new();
    for n in 0..3 {
        watches.push(replicas.watch(n, 0).await);
    }
    let refused = replicas.on(1).logout(logout(&phone_name(0))).await.unwrap_err();
    assert_eq!(reason(&refused), ErrorReason::NotLoggedIn);
    for n in 0..24 {
        let user = n / 3 % 8;
        let mut client = replicas.on(n as usize % 3);
        client.login(login_for(user, None)).await.unwrap();
        replicas.on((n as usize + 1) % 3).logout(logout(&phone_name(user))).await.unwrap();
    }
    let mut seen: Vec<Vec<(bool, String)>> = Vec::new();
    for watch in &mut watches {
        let mut events = Vec::new();
        for _ in 0..48 {
            events.push(match watch.next().await {
                Message::LoggedIn(session) => (true, session.session_id),
                Message::LoggedOut(ended) => (false, ended.session.unwrap().session_id),
                other => panic!("{other:?}"),
            });
        }
        seen.push(events);
    }
    assert!(seen.iter().all(|events| *events == seen[0]), "the same everywhere");
    assert_eq!(seen[0].iter().collect::<BTreeSet<_>>().len(), 48, "each once");
    for pair in seen[0].chunks(2) {
        assert_eq!((pair[0].0, pair[1].0, &pair[0].1), (true, false, &pair[1].1), "in order");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lo_5_sessions_that_fall_due_at_once_end_once_and_without_the_replica_that_died() {
    const ALL: u32 = 300;
    let mut replicas = Replicas::start("due", Redis::of_all(), ALL + 1).await;
    let mut watches = Vec::new();
    for n in 0..2 {
        watches.push(replicas.watch(n, 0).await);
    }
    let clients: Vec<_> = (0..3).map(|n| replicas.on(n)).collect();
    // All at one instant, and not before the replica dies: a machine that is too slow for it gets more time.
    let mut patience = Duration::from_secs(8);
    let (due, ids) = loop {
        let begun = Instant::now();
        let due = begun + patience;
        let mut ids = BTreeSet::new();
        for first in (0..ALL).step_by(50) {
            let left = due.saturating_duration_since(Instant::now()).max(Duration::from_secs(1));
            let made = log_in(&clients, first..first + 50, Some(left)).await;
            ids.extend(made.into_iter().map(|session| session.session_id));
        }
        eprintln!("{ALL} logins in {:?}", begun.elapsed());
        if Instant::now() + Duration::from_secs(1) < due {
            break (due, ids);
        }
        for watch in &mut watches {
            for _ in 0..2 * ALL {
                watch.next().await;
            }
        }
        patience *= 2;
        assert!(patience < Duration::from_secs(120), "{ALL} logins take that long");
    };
    replicas.servers.pop().unwrap().kill();
    let mut ended = BTreeMap::new();
    while ended.len() < ALL as usize {
        if let Message::LoggedOut(out) = watches[0].next().await {
            let id = out.session.as_ref().unwrap().session_id.clone();
            assert!(ended.insert(id.clone(), out).is_none(), "{id} ended twice");
        }
    }
    eprintln!("all ended {:?} after they were due", due.elapsed());
    assert_eq!(ended.keys().cloned().collect::<BTreeSet<_>>(), ids);
    assert!(ended.values().all(|ended| ended.reason() == LogoutReason::MaximumTime));
    clients[1].clone().login(login_for(ALL, None)).await.unwrap();
    assert!(watches[0].logouts_before(&user(ALL)).await.is_empty(), "nothing ended twice");
    assert_eq!(watches[1].logouts_before(&user(ALL)).await, ended);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_hung_past_a_deadline_does_no_harm_when_it_goes_on() {
    const ALL: u32 = 20;
    let replicas = Replicas::start("hung", Redis::of_all(), ALL + 1).await;
    let mut watch = replicas.watch(0, 0).await;
    let mut hung_watch = replicas.watch(2, 0).await;
    let clients = [replicas.on(0), replicas.on(1)];
    log_in(&clients, 0..ALL, Some(Duration::from_secs(2))).await;
    replicas.servers[2].signal("STOP");
    let mut ended = 0;
    while ended < ALL {
        if let Message::LoggedOut(_) = watch.next().await {
            ended += 1;
        }
    }
    let anew = log_in(&clients, 0..ALL, None).await;
    replicas.servers[2].signal("CONT");
    let mut client = replicas.on(2);
    // Calls that it had in hand have run out of time.
    let request = LoginRequest { request_id: "last".into(), ..login_for(ALL, None) };
    let last = persist(std::slice::from_ref(&client), |mut client| {
        let request = request.clone();
        async move { client.login(request).await }
    });
    last.await;
    let left: BTreeSet<_> = live(&mut client).await.into_iter().map(|session| session.session_id).collect();
    assert!(anew.iter().all(|session| left.contains(&session.session_id)), "nothing new was ended");
    assert!(watch.logouts_before(&user(ALL)).await.is_empty(), "nothing ended twice");
    assert_eq!(hung_watch.logouts_before(&user(ALL)).await.len(), ALL as usize, "nothing was missed");
}

/// Repeats a call on one server after the other, as a client does that was not answered, until one answers.
async fn persist<T, F: Future<Output = Result<tonic::Response<T>, tonic::Status>>>(
    clients: &[Sessions],
    call: impl Fn(Sessions) -> F,
) -> T {
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    let attempts = async {
        for n in 0.. {
            pace.tick().await;
            match call(clients[n % clients.len()].clone()).await {
                Ok(answer) => return answer.into_inner(),
                Err(status) => {
                    let passing = [Code::Unavailable, Code::Unknown, Code::Cancelled, Code::Internal];
                    assert!(passing.contains(&status.code()), "{status:?}");
                }
            }
        }
        unreachable!("the attempts do not end")
    };
    timeout(WITHIN, attempts).await.expect("somebody answers")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn li_11_a_rolling_restart_loses_and_doubles_nothing_and_a_watch_that_resumes_misses_nothing() {
    const WORKERS: u32 = 6;
    let Replicas { sites, mut servers, admin } =
        Replicas::start("rolling", Redis::of_all(), WORKERS + 1).await;
    let clients: Vec<_> = servers.iter().map(|server| sessions(server, &admin)).collect();
    let mut watch = Watch::open(&mut clients[0].clone(), "").await;
    assert!(matches!(watch.next().await, Message::SnapshotDone(_)));
    let mut followers = tokio::task::JoinSet::new();
    let following = clients.clone();
    followers.spawn(async move { follow(&following, watch, &user(WORKERS)).await });
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut workers = tokio::task::JoinSet::new();
    for n in 0..WORKERS {
        let (clients, stopped) = (clients.clone(), stopped.clone());
        workers.spawn(async move {
            let mut made = Vec::new();
            while !*stopped.borrow() {
                let request_id = format!("in-{n}-{}", made.len());
                let request = LoginRequest { request_id, ..login_for(n, None) };
                let session = persist(&clients, |mut client| {
                    let request = request.clone();
                    async move { client.login(request).await }
                });
                made.push(session.await.session.unwrap().session_id);
                let request_id = format!("out-{n}-{}", made.len());
                let request = LogoutRequest { request_id, ..logout(&phone_name(n)) };
                let ended = persist(&clients, |mut client| {
                    let request = request.clone();
                    async move { client.logout(request).await }
                });
                ended.await;
            }
            made
        });
    }
    for (n, site) in sites.iter().enumerate() {
        let server = servers.remove(0);
        let address = server.api.trim_start_matches("http://").to_owned();
        assert!(server.stop().success(), "replica {n} ends well");
        let again = process::start(site.up_on(&address)).unwrap_or_else(|said| panic!("{said}"));
        servers.push(again);
    }
    stop.send_replace(true);
    let made = timeout(WITHIN, workers.join_all()).await.expect("the workers end");
    let made: Vec<_> = made.into_iter().flatten().collect();
    clients[0].clone().login(login_for(WORKERS, None)).await.unwrap();
    let (seen, breaks) = timeout(WITHIN, followers.join_all()).await.expect("the watch ends").remove(0);
    eprintln!("{} logins over a rolling restart, a watch that was resumed {breaks} times", made.len());
    let expected: BTreeSet<_> =
        made.iter().flat_map(|id| [(true, id.clone()), (false, id.clone())]).collect();
    assert_eq!(expected.len(), 2 * made.len(), "no answer was given twice");
    assert_eq!(seen.iter().cloned().collect::<BTreeSet<_>>(), expected, "none is lost, none was made twice");
    assert_eq!(seen.len(), expected.len(), "each is told once");
    assert!(breaks > 0, "the watch went on somewhere else");
}

/// Follows all logins (`true`) and logouts until the login of `last`, on one server after the other; and how often it went
/// on somewhere else.
pub(crate) async fn follow(
    clients: &[Sessions],
    mut watch: Watch,
    last: &str,
) -> (Vec<(bool, String)>, usize) {
    let (mut seen, mut breaks) = (Vec::new(), 0);
    loop {
        match watch.try_next().await {
            Ok(Message::LoggedIn(session)) if session.user_id == last => return (seen, breaks),
            Ok(Message::LoggedIn(session)) => seen.push((true, session.session_id)),
            Ok(Message::LoggedOut(ended)) => seen.push((false, ended.session.unwrap().session_id)),
            Ok(_) => {}
            Err(_gone) => {
                let resume_token = watch.resume_token.clone();
                let request =
                    WatchSessionsRequest { resume_token: resume_token.clone(), ..Default::default() };
                let resumed = persist(clients, |mut client| {
                    let request = request.clone();
                    async move { client.watch_sessions(request).await }
                });
                watch = Watch { stream: resumed.await, resume_token };
                breaks += 1;
            }
        }
    }
}
