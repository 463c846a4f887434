//! Clusters that cannot reach each other, or only half: both go on, sessions end in time, and after it has healed both
//! agree (XC-4, XC-9).

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::Rng;
use roamline_proto::emcc::PeerState;
use tokio::time::{Instant, sleep_until};

use crate::proxy::{Fault, Proxy, Way};
use crate::world::{Cluster, World, until};

/// Two clusters that reach each other through a proxy each.
async fn apart() -> (World, Proxy, Proxy) {
    let world = World::of(&["berlin", "paris"]).await;
    let (berlin, paris) = (&world["berlin"], &world["paris"]);
    let port = |cluster: &Cluster| cluster.server.api.trim_start_matches("https://").parse().unwrap();
    let (to_berlin, to_paris) = (Proxy::start(port(berlin)).await, Proxy::start(port(paris)).await);
    paris.changes(paris.remote("berlin", &format!("https://{}", to_berlin.address()))).await;
    berlin.changes(berlin.remote("paris", &format!("https://{}", to_paris.address()))).await;
    for cluster in [berlin, paris] {
        cluster.sees_all_up().await;
    }
    (world, to_berlin, to_paris)
}

#[tokio::test(flavor = "multi_thread")]
async fn xc_4_what_ended_in_a_partition_ends_on_the_other_side_after_it() {
    let (world, to_berlin, to_paris) = apart().await;
    let (berlin, paris) = (&world["berlin"], &world["paris"]);
    for (n, at) in [(0, paris), (1, berlin)] {
        let made = paris.login(&berlin.user(n), &paris.phone(n)).await.unwrap().session.unwrap();
        for proxy in [&to_berlin, &to_paris] {
            proxy.set(Fault::Silent);
        }
        paris.sees("berlin", PeerState::Down).await;
        berlin.sees("paris", PeerState::Down).await;
        // Both sides go on serving their own.
        let own = berlin.login(&berlin.user(2), &berlin.phone(0)).await.unwrap().session.unwrap();
        berlin.logout(&own.session_id).await.unwrap();
        at.logout(&made.session_id).await.unwrap();
        for proxy in [&to_berlin, &to_paris] {
            proxy.set(Fault::None);
        }
        let healed = Instant::now();
        paris.is_empty().await;
        berlin.is_empty().await;
        eprintln!("both agreed {:?} after the partition had healed", healed.elapsed());
    }
}

/// Logins and logouts while the network fails at random; afterwards no phone is held by a session that the other side does
/// not know, and no base device is leaked.
#[tokio::test(flavor = "multi_thread")]
async fn xc_4_after_random_faults_both_sides_have_the_same_sessions() {
    let (world, to_berlin, to_paris) = apart().await;
    let (berlin, paris) = (&world["berlin"], &world["paris"]);
    let logins = crate::number(40, 10_000);
    let (mut done, mut refused) = (0, 0);
    let mut random =
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    for n in 0..logins {
        let fault = match random.next_u32() % 12 {
            0 => Fault::Closed,
            1 => Fault::Late(Duration::from_millis(300)),
            2 => Fault::Only(Way::There),
            3 => Fault::Only(Way::Back),
            4 => Fault::AnswersLost,
            5 => Fault::Silent,
            _ => Fault::None,
        };
        let proxy = if random.next_u32().is_multiple_of(2) { &to_berlin } else { &to_paris };
        proxy.set(fault);
        let who = u32::try_from(n % 2).unwrap();
        match paris.login(&berlin.user(who), &paris.phone(who)).await {
            Ok(made) => {
                done += 1;
                let session = made.session.unwrap().session_id;
                let at = if random.next_u32().is_multiple_of(2) { paris } else { berlin };
                let _ = at.logout(&session).await;
            }
            Err(_) => refused += 1,
        }
        sleep_until(Instant::now() + Duration::from_millis(u64::from(random.next_u32() % 50))).await;
        proxy.set(Fault::None);
    }
    for proxy in [&to_berlin, &to_paris] {
        proxy.set(Fault::None);
    }
    let healed = Instant::now();
    let ids = async |cluster: &Cluster| -> BTreeSet<String> {
        cluster.live().await.into_iter().map(|session| session.session_id).collect()
    };
    until("both sides have the same sessions", async || {
        let (at_home, visiting) = (ids(berlin).await, ids(paris).await);
        at_home == visiting && berlin.halves().await.1 as usize == at_home.len()
    })
    .await;
    eprintln!(
        "{logins} logins, {done} made, {refused} refused, {} answers lost; agreed {:?} after the last fault: 0 phones held by \
         a session the other side does not know, 0 base devices leaked",
        to_berlin.answers_lost() + to_paris.answers_lost(),
        healed.elapsed(),
    );
    for session in ids(paris).await {
        paris.logout(&session).await.unwrap();
    }
    berlin.is_empty().await;
    paris.is_empty().await;
}
