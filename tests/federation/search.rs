//! Finding the home of a user among many clusters (XC-1).

use std::time::Duration;

use futures::StreamExt;
use hdrhistogram::Histogram;
use roamline_proto::emcc::{FindHomeClusterRequest, PeerState};
use tokio::time::Instant;

use crate::crowd::{Crowd, Size};
use crate::number;
use crate::told::answered;
use crate::world::{Cluster, HASTY, World, until};

/// How long a peer may take to say whether it knows a user, as the clusters of the tests have it.
const DEADLINE: Duration = Duration::from_secs(1);
/// What a busy machine may add to it.
const BUSY: Duration = Duration::from_secs(5);
/// Users who are looked for at a time.
const AT_A_TIME: usize = 8;

/// What came of looking for users.
struct Search {
    /// Peers that were asked.
    asked: u64,
    /// Where each is at home; empty for nowhere.
    homes: Vec<String>,
    took: Histogram<u64>,
}

impl Search {
    fn took(&self, quantile: f64) -> Duration {
        Duration::from_micros(self.took.value_at_quantile(quantile))
    }

    fn told(&self, what: &str, calls: u64) {
        let users = self.homes.len();
        let mean = calls as f64 / users as f64;
        let [p50, p99, most] = [0.5, 0.99, 1.0].map(|quantile| self.took(quantile));
        eprintln!("{users} {what}: {mean:.4} peer calls each, p50 {p50:?}, p99 {p99:?}, at most {most:?}");
    }
}

async fn search(cluster: &Cluster, users: Vec<String>) -> Search {
    let client = cluster.administration();
    let answers = futures::stream::iter(users).map(|user_id| {
        let mut client = client.clone();
        async move {
            let begun = Instant::now();
            let found = client.find_home_cluster(FindHomeClusterRequest { user_id }).await.unwrap();
            (found.into_inner(), begun.elapsed())
        }
    });
    let mut search = Search { asked: 0, homes: Vec::new(), took: Histogram::new(3).unwrap() };
    let mut answers = answers.buffered(AT_A_TIME);
    while let Some((found, took)) = answers.next().await {
        search.asked += u64::from(found.asked);
        search.homes.push(found.cluster_id);
        search.took.record(u64::try_from(took.as_micros()).unwrap()).unwrap();
    }
    search
}

/// Waits until that many others are seen up, with filters where they have some, and that many down.
async fn sees(cluster: &Cluster, up: usize, down: usize, filters: usize) {
    until("the crowd is seen as it is", async || {
        let health: Vec<_> = cluster.remotes().await.into_iter().filter_map(|remote| remote.health).collect();
        let are = |state| health.iter().filter(|health| health.state() == state).count();
        let with_filter = health.iter().filter(|health| health.filter_users > 0).count();
        (are(PeerState::Up), are(PeerState::Down), with_filter) == (up, down, filters)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn xc_1_among_200_clusters_a_login_costs_one_call_and_a_mistyped_user_hardly_any() {
    let world = World::with(&["berlin", "paris"], HASTY).await;
    let (berlin, paris) = (&world["berlin"], &world["paris"]);
    let crowd = Crowd::start(&world.authority, Size { up: 179, down: 20, users: 500, mute: 0 }).await;
    crowd.meets(paris).await;
    sees(paris, 180, 20, 180).await;

    let users = number(4_000, 40_000);
    let mistyped = search(paris, (0..users).map(|n| format!("nobody.{n}")).collect()).await;
    // A login asks the one whose filter fits.
    let fits = mistyped.homes.iter().filter(|home| !home.is_empty()).count() as u64;
    let calls = mistyped.asked + fits;
    mistyped.told("mistyped users", calls);
    assert!(calls * 50 <= users as u64, "{calls} calls");

    let (known, homes): (Vec<_>, Vec<_>) = (0..users).map(|n| crowd.user(n)).unzip();
    let known = search(paris, known).await;
    assert_eq!(known.homes, homes);
    let calls = known.asked + users as u64;
    known.told("users of others", calls);
    assert!(calls * 100 <= users as u64 * 101, "{calls} calls");
    for search in [&mistyped, &known] {
        assert!(search.took(1.0) <= DEADLINE + BUSY, "{:?}", search.took(1.0));
    }

    // And by logins, of a user whom no other filter takes for its own: how seldom that is, is said above.
    let mut user = berlin.user(0);
    if search(paris, vec![user.clone()]).await.asked > 0 {
        user = berlin.user(1);
    }
    let asked = |method| answered(berlin, "FederationService", method).times;
    let calls = || crowd.asked() + asked("RemoteLogin") + asked("FindHome");
    let (before, logins) = (calls(), number(10, 200));
    for _ in 0..logins {
        let session = paris.login(&user, &paris.phone(0)).await.unwrap().session.unwrap();
        paris.logout(&session.session_id).await.unwrap();
        berlin.is_empty().await;
    }
    assert_eq!(calls() - before, logins as u64);
    let before = calls();
    paris.login("nobody.0", &paris.phone(0)).await.unwrap_err();
    eprintln!(
        "{logins} logins of a user of another cluster: 1 peer call each; a mistyped one: {}",
        calls() - before
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn xc_1_a_user_whom_no_filter_tells_of_is_asked_for_once_however_many_want_to_know() {
    const FILTERLESS: usize = 20;
    let world = World::with(&["paris"], HASTY).await;
    let paris = &world["paris"];
    let size = Size { up: FILTERLESS, mute: 2, down: 2, users: 0 };
    let crowd = Crowd::start(&world.authority, size).await;
    crowd.meets(paris).await;
    sees(paris, FILTERLESS + 2, 2, 0).await;

    let herd: Vec<String> = vec!["nobody".to_owned(); 500];
    let begun = Instant::now();
    let (client, mut asking) = (paris.administration(), tokio::task::JoinSet::new());
    for user_id in herd {
        let mut client = client.clone();
        asking.spawn(async move { client.find_home_cluster(FindHomeClusterRequest { user_id }).await });
    }
    for found in asking.join_all().await {
        assert_eq!(found.unwrap().into_inner().cluster_id, "");
    }
    // What they said is forgotten after a second here.
    let rounds = begun.elapsed().as_secs() + 1;
    eprintln!("500 at once for one user: {} peer calls in {:?}", crowd.asked(), begun.elapsed());
    assert!(crowd.asked() <= rounds * (FILTERLESS as u64 + 2), "{} calls in {rounds} s", crowd.asked());
    assert!(begun.elapsed() <= DEADLINE + BUSY, "two of them never answer: {:?}", begun.elapsed());

    let found = search(paris, vec!["crowd-7.1".into()]).await;
    assert_eq!(found.homes, ["crowd-7"], "the full search is the fall-back");
}
