//! A rolling upgrade: two of each service on one PostgreSQL and one Redis are replaced one by one by those of this build,
//! after `roamline migrate` of this build, while agents log in and out, somebody watches, and an operator looks at the other
//! cluster that this one knows. `ROAMLINE_PREVIOUS` is the `roamline` of the release before; without it this build takes its
//! own place, which proves the order of things, and not that releases understand each other.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::join_all;
use roamline_proto::emcc::federation_administration_service_client::FederationAdministrationServiceClient;
use roamline_proto::emcc::{
    CreateRemoteClusterRequest, FederationParameters, ListRemoteClustersRequest, ListRemoteClustersResponse,
    RemoteCluster, RemoteServices, UpdateFederationParametersRequest,
};
use roamline_proto::session::session_service_client::SessionServiceClient;
use roamline_serve::{CallTls, Elsewhere, Tasks};
use tokio::time::{interval, timeout};
use tonic::transport::{Channel, Endpoint};

use crate::clients::{Link, furnish_over, live, login, phone_name, user};
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
        let emcc = [address(redis), address(redis)];
        let both = |[one, two]: [SocketAddr; 2]| format!("http://{one},http://{two}");
        apart.environment.push(("SERVICES__AUTH", both(auth)));
        apart.environment.push(("SERVICES__PROFILE", both(profile)));
        apart.environment.push(("SERVICES__EMCC", both(emcc)));
        apart.environment.push(("STORE__MIGRATE", "manual".into()));
        let places = [("auth", auth), ("profile", profile), ("session", [one, two]), ("emcc", emcc)];
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

    fn addresses(&self, role: &str) -> Vec<String> {
        let of_role = self.places.iter().filter(|place| place.0 == role);
        of_role.map(|(_, at)| format!("http://{at}")).collect()
    }

    /// To both of a service, as the services reach each other.
    fn channel(&self, role: &str, tasks: &Tasks) -> Channel {
        let addresses = self.addresses(role).join(",");
        let elsewhere = Elsewhere::new(&addresses, &CallTls::default(), Duration::from_secs(1));
        elsewhere.unwrap().channel("client", tasks).unwrap()
    }

    /// Asserts that each process of the emcc service, asked by itself, knows the other cluster.
    async fn all_know_paris(&self, admin: &str) {
        for address in self.addresses("emcc") {
            let channel = Endpoint::from_shared(address).unwrap().timeout(WITHIN).connect_lazy();
            let mut client = FederationAdministrationServiceClient::new(with(&channel, admin));
            let listed = client.list_remote_clusters(ListRemoteClustersRequest {}).await.unwrap();
            assert!(is_paris(&listed.into_inner()));
        }
    }
}

/// Has the cluster roam, with one other cluster, which is away.
async fn federate(emcc: Link) {
    let mut client = FederationAdministrationServiceClient::new(emcc);
    let parameters = FederationParameters {
        activated: true,
        configuration_server: "tftp.test.example".into(),
        base_devices: 10,
        ..FederationParameters::default()
    };
    let request = UpdateFederationParametersRequest { federation_parameters: Some(parameters) };
    client.update_federation_parameters(request).await.unwrap();
    let paris = RemoteCluster {
        cluster_id: "paris".into(),
        address: "https://127.0.0.1:1".into(),
        spiffe_id: "spiffe://test.example/roamline/paris".into(),
        services: Some(RemoteServices { emcc: true, ..RemoteServices::default() }),
        ..RemoteCluster::default()
    };
    let request = CreateRemoteClusterRequest { remote_cluster: Some(paris) };
    client.create_remote_cluster(request).await.unwrap();
}

fn is_paris(listed: &ListRemoteClustersResponse) -> bool {
    matches!(&listed.remote_clusters[..], [one] if one.cluster_id == "paris")
}

/// An operator who looks at the other cluster until it is over; how often.
async fn operator(emcc: Link, seen: &Seen) -> u64 {
    let client = FederationAdministrationServiceClient::new(emcc);
    let (mut pace, mut looks) = (interval(Duration::from_millis(20)), 0);
    while !seen.stop.load(Ordering::Relaxed) {
        pace.tick().await;
        let listed = seen.call("a list of clusters", async || {
            client.clone().list_remote_clusters(ListRemoteClustersRequest {}).await
        });
        assert!(is_paris(&listed.await.unwrap()));
        looks += 1;
    }
    looks
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
    let [auth, profile, session, emcc] =
        ["auth", "profile", "session", "emcc"].map(|role| suite.channel(role, &tasks));
    let admin = suite.apart.administrator(&auth).await;
    furnish_over(with(&profile, &admin), with(&auth, &admin), AGENTS + 1).await;
    federate(with(&emcc, &admin)).await;
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
            suite.all_know_paris(&admin).await;
        }
        seen.rounds_more(ROUNDS).await;
        seen.stop.store(true, Ordering::Relaxed);
    };
    let (made, looks, ()) = tokio::join!(agents, operator(with(&emcc, &admin), &seen), replacing);

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
        "from {from}: {} logins and {looks} looks at another cluster while {} processes were replaced, {} of {} requests sent \
         again, the watch resumed {breaks} times",
        made.len(),
        running.len(),
        seen.retried.load(Ordering::Relaxed),
        seen.requests.load(Ordering::Relaxed)
    );
    tasks.stop(WITHIN).await;
    for service in running {
        assert!(service.stop().success());
    }
}
