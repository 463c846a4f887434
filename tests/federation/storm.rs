//! Logins and logouts while the network between two clusters fails at random (XC-4, XC-8): afterwards both sides have the
//! same sessions, none of them past its time, and no base device is held for nobody.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::{join_all, pending};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use roamline_proto::session::LoginRequest;
use roamline_serve::Clock;
use tokio::time::{Instant, interval, sleep_until};

use crate::proxy::{Fault, Proxy, Way};
use crate::severed::apart;
use crate::world::{Cluster, until};

/// Agents who come and go at once, each at phones of his own.
const WORKERS: u32 = 8;
/// Users and phones of each: a session that is left to its time keeps one of them.
const EACH: u32 = 6;
/// How long a login may be that is left to its time.
const SHORT: i64 = 2;
/// What LO-5 allows after the instant at which a session ends; what is later is told.
const LATE: Duration = Duration::from_secs(2);
/// A session that is live so long after its instant does not end: a machine that is busy with other things keeps one from
/// ending for a while, and nothing else may.
const NEVER: Duration = Duration::from_secs(20);

/// What came of it all.
#[derive(Debug, Default)]
struct Tally {
    begun: AtomicUsize,
    made: AtomicUsize,
    ended: AtomicUsize,
    left: AtomicUsize,
    faults: AtomicUsize,
    looks: AtomicUsize,
    late: AtomicUsize,
    latest_ms: AtomicU64,
}

impl Tally {
    fn count(counter: &AtomicUsize) -> usize {
        counter.fetch_add(1, Ordering::Relaxed)
    }
}

fn seeded(seed: u8) -> TestRng {
    TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32])
}

fn chance(random: &mut TestRng, of: u32) -> bool {
    random.next_u32().is_multiple_of(of)
}

async fn wait(random: &mut TestRng, below_ms: u32) {
    sleep_until(Instant::now() + Duration::from_millis(u64::from(random.next_u32() % below_ms))).await;
}

/// The network, which fails one way or another for a moment, and is whole for a moment.
async fn weather(proxies: [&Proxy; 2], tally: &Tally) {
    let mut random = seeded(0);
    loop {
        let fault = match random.next_u32() % 6 {
            0 => Fault::Closed,
            1 => Fault::Late(Duration::from_millis(300)),
            2 => Fault::Only(Way::There),
            3 => Fault::Only(Way::Back),
            4 => Fault::AnswersLost,
            _ => Fault::Silent,
        };
        let [one, other] = proxies;
        let proxy = if chance(&mut random, 2) { one } else { other };
        proxy.set(fault);
        Tally::count(&tally.faults);
        wait(&mut random, 300).await;
        proxy.set(Fault::None);
        wait(&mut random, 600).await;
    }
}

/// One who logs in at the other cluster, and out on one of the sides, or leaves it to the time.
async fn worker(number: u32, logins: usize, home: &Cluster, visited: &Cluster, tally: &Tally) {
    let mut random = seeded(1 + u8::try_from(number).unwrap());
    let first = 3 + number * EACH;
    for turn in 0.. {
        if Tally::count(&tally.begun) >= logins {
            return;
        }
        let who = first + turn % EACH;
        let is_left = chance(&mut random, 4);
        let duration = is_left.then_some(prost_types::Duration { seconds: SHORT, nanos: 0 });
        let request = LoginRequest { duration, ..visited.asked(&home.user(who), &visited.phone(who)) };
        let Ok(made) = visited.open().login(request).await else { continue };
        Tally::count(&tally.made);
        if is_left {
            Tally::count(&tally.left);
            continue;
        }
        let session = made.into_inner().session.unwrap().session_id;
        let at = if chance(&mut random, 2) { visited } else { home };
        if at.logout(&session).await.is_ok() {
            Tally::count(&tally.ended);
        }
    }
}

/// Looks for sessions that go on after their time, on both sides, without end.
async fn watch(clusters: [&Cluster; 2], tally: &Tally) {
    let (clock, mut ticks) = (Clock::system(), interval(Duration::from_millis(500)));
    loop {
        ticks.tick().await;
        for cluster in clusters {
            let asked = clock.now();
            Tally::count(&tally.looks);
            for session in cluster.live().await {
                let Some(ends) = session.expire_time else { continue };
                let late_ms =
                    asked.as_millisecond() - ends.seconds * 1000 - i64::from(ends.nanos / 1_000_000);
                let late_ms = u64::try_from(late_ms).unwrap_or_default();
                tally.latest_ms.fetch_max(late_ms, Ordering::Relaxed);
                if u128::from(late_ms) > LATE.as_millis() {
                    Tally::count(&tally.late);
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn xc_4_after_random_faults_both_sides_have_the_same_sessions_and_none_past_its_time() {
    let (world, to_berlin, to_paris) = apart().await;
    let (berlin, paris) = (&world["berlin"], &world["paris"]);
    for cluster in [berlin, paris] {
        cluster.people(3..3 + WORKERS * EACH).await;
    }
    until("both know each other's users", async || {
        let last = 2 + WORKERS * EACH;
        let made = paris.login(&berlin.user(last), &paris.phone(last)).await;
        match made {
            Ok(made) => paris.logout(&made.session.unwrap().session_id).await.is_ok(),
            Err(_) => false,
        }
    })
    .await;
    let (logins, tally) = (crate::number(80, 10_000), Tally::default());
    let workers = join_all((0..WORKERS).map(|number| worker(number, logins, berlin, paris, &tally)));
    let begun = Instant::now();
    tokio::select! {
        _ = workers => {}
        () = weather([&to_berlin, &to_paris], &tally) => pending().await,
        () = watch([berlin, paris], &tally) => pending().await,
    }
    let took = begun.elapsed();
    for proxy in [&to_berlin, &to_paris] {
        proxy.set(Fault::None);
    }
    let healed = Instant::now();
    let ids = async |cluster: &Cluster| -> BTreeSet<String> {
        cluster.live().await.into_iter().map(|session| session.session_id).collect()
    };
    tokio::select! {
        () = watch([berlin, paris], &tally) => pending().await,
        () = until("both sides have the same sessions", async || {
            let (at_home, visiting) = (ids(berlin).await, ids(paris).await);
            at_home == visiting && berlin.halves().await.1 as usize == at_home.len()
        }) => {}
    }
    eprintln!(
        "{logins} logins in {took:?} by {WORKERS} at once: {tally:?}, {} answers lost; agreed {:?} after the last fault: 0 \
         phones held by a session the other side does not know, 0 base devices leaked",
        to_berlin.answers_lost() + to_paris.answers_lost(),
        healed.elapsed(),
    );
    let latest = Duration::from_millis(tally.latest_ms.load(Ordering::Relaxed));
    assert!(latest < NEVER, "a session past its time: {tally:?}");
    for session in ids(paris).await {
        // One may have come to its time meanwhile.
        let _ = paris.logout(&session).await;
    }
    berlin.is_empty().await;
    paris.is_empty().await;
}
