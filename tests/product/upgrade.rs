//! A rolling upgrade: two of each service on one PostgreSQL and one Redis are replaced one by one by those of this build,
//! after `roamline migrate` of this build, while agents log in and out and somebody watches. `ROAMLINE_PREVIOUS` is the
//! `roamline` of the release before; without it this build takes its own place, which proves the order of things, and not
//! that releases understand each other.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::join_all;
use roamline_proto::session::session_service_client::SessionServiceClient;
use roamline_serve::{CallTls, Elsewhere, Tasks};
use tokio::time::timeout;
use tonic::transport::Channel;

use crate::clients::{furnish_over, live, login, phone_name, user};
use crate::process::{self, WITHIN, text};
use crate::redis::starter::Redis;
use crate::replicas::{Watch, follow};
use crate::rotation::{AGENTS, Seen, agent, with};
use crate::serve_role::{Apart, Running, address};

/// Rounds of all agents between two steps.
const ROUNDS: u64 = 60;

/// The release before, and whether it is one.
fn previous() -> (PathBuf, bool) {
    match std::env::var_os("ROAMLINE_PREVIOUS") {
        Some(path) => (PathBuf::from(path), true),
        None => (process::server_binary(), false),
    }
}

/// Two of each service, each with addresses that stay.
struct Suite {
    apart: Apart,
    places: Vec<(&'static str, SocketAddr)>,
}

impl Suite {
    fn new(redis: &Redis) -> Self {
        let mut apart = Apart::new("upgrade", redis);
        let [one, two] = apart.sessions;
        let (auth, profile) = ([apart.auth, address(redis)], [apart.profile, address(redis)]);
        let both = |[one, two]: [SocketAddr; 2]| format!("http://{one},http://{two}");
        apart.environment.push(("SERVICES__AUTH", both(auth)));
        apart.environment.push(("SERVICES__PROFILE", both(profile)));
        apart.environment.push(("STORE__MIGRATE", "manual".into()));
        let places = [("auth", auth), ("profile", profile), ("session", [one, two])];
        let places = places.into_iter().flat_map(|(role, at)| at.map(|at| (role, at))).collect();
        Self { apart, places }
    }

    /// `roamline` of that release, with the settings of all. The first of a service has the folder of the site, where
    /// the administrator is, and each other one its own.
    fn roamline(&self, release: &Path, words: &[&str], folder: usize) -> std::process::Command {
        let home = self.apart.site.home();
        let data = if folder == 0 { self.apart.site.data() } else { home.join(format!("data-{folder}")) };
        let mut command = process::program(release, home);
        command.args(words).arg("--data").arg(data);
        command.envs(self.apart.environment.iter().map(|(key, value)| (format!("ROAMLINE_{key}"), value)));
        command
    }

    fn migrate(&self, release: &Path) {
        let output = self.roamline(release, &["migrate"], 0).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
    }

    fn start(&self, release: &Path, n: usize) -> Running {
        let (role, listen) = self.places[n];
        let listen = listen.to_string();
        let words = [
            "serve",
            role,
            "--cluster-id",
            self.apart.cluster,
            "--admin-listen",
            "127.0.0.1:0",
            "--listen",
            &listen,
        ];
        Running::start(self.roamline(release, &words, n % 2))
    }

    /// To both of a service, as the services reach each other.
    fn channel(&self, role: &'static str, tasks: &Tasks) -> Channel {
        let of_role = self.places.iter().filter(|place| place.0 == role);
        let addresses: Vec<_> = of_role.map(|(_, at)| format!("http://{at}")).collect();
        let elsewhere = Elsewhere::new(&addresses.join(","), &CallTls::default(), Duration::from_secs(1));
        elsewhere.unwrap().channel("client", tasks).unwrap()
    }
}

/// What blocks, while the agents go on.
async fn meanwhile<T: Send + 'static>(
    suite: &Arc<Suite>,
    work: impl FnOnce(&Suite) -> T + Send + 'static,
) -> T {
    let suite = Arc::clone(suite);
    tokio::task::spawn_blocking(move || work(&suite)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ev_2_a_rolling_upgrade_loses_no_login_and_no_event() {
    let (before, is_another) = previous();
    let (redis, tasks) = (Redis::start(&[]), Tasks::new());
    let suite = Suite::new(&redis);
    suite.migrate(&before);
    let started: Vec<_> = (2..suite.places.len()).map(|n| suite.start(&before, n)).collect();
    // The first auth service makes the administrator, in the folder of the site; only then comes the second one.
    let mut running: Vec<_> = (0..2).map(|n| suite.start(&before, n).ready()).collect();
    running.extend(started.into_iter().map(Running::ready));
    let [auth, profile, session] = ["auth", "profile", "session"].map(|role| suite.channel(role, &tasks));
    let admin = suite.apart.administrator(&auth).await;
    furnish_over(with(&profile, &admin), with(&auth, &admin), AGENTS + 1).await;
    let mut client = SessionServiceClient::new(with(&session, &admin));
    let watch = Watch::open(&mut client.clone(), "").await;
    let (clients, last) = ([client.clone()], user(AGENTS));
    let mut followers = tokio::task::JoinSet::new();
    followers.spawn(async move { follow(&clients, watch, &last).await });

    let seen = Seen::default();
    let agents = join_all((0..AGENTS).map(|n| agent(n, auth.clone(), session.clone(), &seen)));
    let suite = Arc::new(suite);
    let replacing = async {
        seen.rounds_more(ROUNDS).await;
        meanwhile(&suite, |suite| suite.migrate(&process::server_binary())).await;
        for n in 0..suite.places.len() {
            seen.rounds_more(ROUNDS).await;
            let old = running.remove(0);
            let replace = move |suite: &Suite| {
                assert!(old.stop().success(), "{:?} ends well", suite.places[n]);
                suite.start(&process::server_binary(), n).ready()
            };
            running.push(meanwhile(&suite, replace).await);
        }
        seen.rounds_more(ROUNDS).await;
        seen.stop.store(true, Ordering::Relaxed);
    };
    let (made, ()) = tokio::join!(agents, replacing);

    let stayed: BTreeSet<_> = made.iter().filter_map(|ids| ids.last().cloned()).collect();
    let found: BTreeSet<_> = live(&mut client).await.into_iter().map(|session| session.session_id).collect();
    assert_eq!(found, stayed, "who was logged in is");
    client.login(login(&user(AGENTS), &phone_name(AGENTS))).await.unwrap();
    let (told, breaks) = timeout(WITHIN, followers.join_all()).await.expect("the watch ends").remove(0);
    let made: Vec<_> = made.into_iter().flatten().collect();
    let ended = made.iter().filter(|id| !stayed.contains(*id)).map(|id| (false, id.clone()));
    let expected: BTreeSet<_> = made.iter().map(|id| (true, id.clone())).chain(ended).collect();
    assert_eq!(told.iter().cloned().collect::<BTreeSet<_>>(), expected, "none is lost, none was made twice");
    assert_eq!(told.len(), expected.len(), "each is told once");
    let from = if is_another { before.display().to_string() } else { "this build itself".into() };
    eprintln!(
        "from {from}: {} logins while six processes were replaced, {} of {} requests sent again, the watch resumed {breaks} times",
        made.len(),
        seen.retried.load(Ordering::Relaxed),
        seen.requests.load(Ordering::Relaxed)
    );
    tasks.stop(WITHIN).await;
    for service in running {
        assert!(service.stop().success());
    }
}
