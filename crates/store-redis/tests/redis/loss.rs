//! What is lost when a replica takes over from a master whose last logins it does not have: without durability it is
//! counted, with a replica that must have each login it is nothing. What is counted is printed (`--nocapture`); with
//! `ROAMLINE_TEST_FULL` set, there are three rounds of each (or as many as `ROAMLINE_TEST_ROUNDS` says), and those without
//! durability, and those in which the store or a replica is cut off with the master.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use roamline_domain::PhoneName;
use roamline_store::conformance::fixture::{agent, phone};
use roamline_store::{PLACES_SKIPPED, Sequence, SessionStore};
use roamline_store_redis::{RedisOptions, RedisServers, RedisStore};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;

use crate::starter::{MASTER, PASSWORD, Redis, Replicated, wait_until};
use crate::{begun, behind_sentinel, cluster, durable};

/// Who log in at the same time.
const CLIENTS: usize = 16;
/// Logins before anything breaks.
const BEFORE: Sequence = 200;
/// By how much places of events jump at a new master.
const JUMP: Sequence = PLACES_SKIPPED;
/// Logins after it is healed.
const AFTER: Sequence = 50;
/// How long a replica stands still, at first; four times as long in each round.
const STALL: Duration = Duration::from_millis(500);
/// How long a partition goes on after the failover.
const APART: Duration = Duration::from_secs(1);

/// The store comes as this user; replicas and sentinels come without a name. So a master can be cut off from those.
const USER: &str = "roamline";

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The replica stands still, the master is killed, and the replica takes over.
    StalledReplica,
    /// The master is cut off from its replicas and sentinels; the store reaches all of them.
    Partition,
    /// The store is cut off with the master: the sentinel that it asks says nothing.
    PartitionOfStore,
    /// The master is cut off together with one of its two replicas, which goes on following it.
    PartitionWithReplica,
}

impl Fault {
    pub(crate) fn start(self) -> Replicated {
        let servers = Replicated::start(if self == Self::StalledReplica { 1 } else { 2 });
        // A busy machine must not make a third server look dead beside the two that are cut off.
        let servers =
            if self == Self::PartitionWithReplica { servers.watched_by(2_000) } else { servers.watched() };
        for server in &servers.servers {
            let answer =
                server.ask(&["ACL", "SETUSER", USER, "on", &format!(">{PASSWORD}"), "~*", "&*", "+@all"]);
            assert!(answer.starts_with("+OK"), "{answer}");
        }
        if self == Self::PartitionWithReplica {
            follow_with_a_name(&servers);
        }
        servers
    }

    pub(crate) fn options(self, servers: &Replicated, replicas: u32) -> RedisOptions {
        let mut options = behind_sentinel(servers);
        if let (Self::PartitionOfStore, RedisServers::Sentinel { urls, .. }) = (self, &mut options.servers) {
            urls.drain(..2);
        }
        options.username = Some(USER.into());
        options.password = Some(PASSWORD.into());
        options.command_timeout = Duration::from_secs(1);
        if replicas > 0 { durable(options, replicas) } else { options }
    }

    /// Breaks it, and heals it when another is the master.
    fn make(self, servers: &mut Replicated, nth: u32) {
        match self {
            Self::StalledReplica => {
                servers.servers[1].pause();
                pass(STALL * 4_u32.pow(nth % 3));
                servers.servers[0].kill();
                servers.servers[1].resume();
                failed_over(servers);
            }
            Self::Partition | Self::PartitionOfStore | Self::PartitionWithReplica => {
                let together = if self == Self::PartitionWithReplica { 2 } else { 1 };
                if self == Self::PartitionOfStore {
                    servers.sentinels[2].pause();
                }
                servers.servers.iter().take(together).for_each(|server| admit_others(server, false));
                failed_over(servers);
                pass(APART);
                servers.servers.iter().take(together).for_each(|server| admit_others(server, true));
                servers.sentinels[2].resume();
            }
        }
    }
}

fn pass(length: Duration) {
    let began = Instant::now();
    wait_until("a moment", || began.elapsed() >= length);
}

/// The first replica comes to the master with the store's name, so that it is let in with it.
fn follow_with_a_name(servers: &Replicated) {
    let replica = &servers.servers[1];
    for (setting, value) in [("masteruser", USER), ("masterauth", PASSWORD)] {
        assert!(replica.ask(&["CONFIG", "SET", setting, value]).starts_with("+OK"));
    }
    let master = &servers.servers[0];
    master.ask(&["CLIENT", "KILL", "TYPE", "replica"]);
    wait_until("replication", || {
        let named = master.ask(&["CLIENT", "LIST", "TYPE", "replica"]).contains(&format!("user={USER}"));
        named && master.ask(&["INFO", "replication"]).matches("state=online").count() == 2
    });
}

/// Lets in, or not, those who come without a name.
pub(crate) fn admit_others(server: &Redis, admit: bool) {
    let url = format!("redis://{USER}:{PASSWORD}@{}", server.address());
    let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
    let mut orders = redis::pipe();
    orders.cmd("ACL").arg(&["SETUSER", "default", if admit { "on" } else { "off" }]);
    orders.cmd("CLIENT").arg(&["KILL", "USER", "default"]);
    orders.exec(&mut connection).unwrap();
}

/// A sentinel names another one than the first.
fn failed_over(servers: &Replicated) {
    // Sentinels whose votes were split try again after six seconds, and so on.
    let deadline = Instant::now() + Duration::from_secs(90);
    while master(servers) == 0 {
        assert!(Instant::now() < deadline, "no failover comes to be");
        std::thread::park_timeout(Duration::from_millis(3));
    }
}

/// All sentinels name another one than the first.
pub(crate) fn failed_over_for_all(servers: &Replicated) {
    failed_over(servers);
    let all = 0..servers.sentinels.len();
    wait_until("what all sentinels know", || all.clone().all(|sentinel| named_by(servers, sentinel) > 0));
}

/// The one that a sentinel names.
fn master(servers: &Replicated) -> usize {
    named_by(servers, 0)
}

fn named_by(servers: &Replicated, sentinel: usize) -> usize {
    let said = servers.sentinels[sentinel].ask(&["SENTINEL", "get-master-addr-by-name", MASTER]);
    let named = |server: &Redis| said.contains(&format!("\r\n{}\r\n", server.port));
    servers.servers.iter().position(named).expect("one of them is the master")
}

/// A login that was acknowledged.
struct Login {
    phone: PhoneName,
    place: Sequence,
    at: Instant,
}

/// Fresh agents log in at fresh phones, as fast as they can, until they are stopped.
fn log_in_all(store: &Arc<RedisStore>, stopped: &watch::Receiver<bool>) -> JoinSet<Vec<Login>> {
    let next = Arc::new(AtomicU32::new(1));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (store, stopped, next) = (Arc::clone(store), stopped.clone(), Arc::clone(&next));
        clients.spawn(async move {
            let mut acknowledged = Vec::new();
            while !*stopped.borrow() {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Ok(read) = store.load(&agent(number).about(number)).await else { continue };
                if let Ok(place) = store.commit(agent(number).login(read)).await {
                    acknowledged.push(Login { phone: phone(number), place, at: Instant::now() });
                }
            }
            acknowledged
        });
    }
    clients
}

/// Waits until the store knows of an event in that place.
async fn reached(store: &RedisStore, place: Sequence) {
    let mut latest = store.latest();
    let known = tokio::time::timeout(Duration::from_secs(30), latest.wait_for(|last| *last >= place));
    known.await.unwrap_or_else(|_| panic!("the place {place} is not reached")).unwrap();
}

/// What came of the logins of one round.
#[derive(Default)]
struct Counted {
    acknowledged: usize,
    /// Of these, by the old master once things were broken, and until when.
    meanwhile: usize,
    length: Duration,
    lost: usize,
    /// Not acknowledged, and there.
    in_doubt: usize,
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acknowledged, meanwhile, length, lost, in_doubt } = self;
        let share = *lost as f64 * 100.0 / (*meanwhile).max(1) as f64;
        write!(
            f,
            "{lost} lost of {meanwhile} that the old master acknowledged in {length:.1?} ({share:.1} %), \
             {acknowledged} acknowledged in all, {in_doubt} kept that were in doubt"
        )
    }
}

/// Compares what was acknowledged with what the new master has.
async fn count(store: &RedisStore, logins: &[Login], broken_at: Instant) -> Counted {
    let live = store.list(None, None, u32::MAX).await.unwrap();
    let live: BTreeSet<_> = live.into_iter().map(|state| state.phone).collect();
    let events = store.events(0, u32::MAX).await.unwrap().events;
    let told: BTreeMap<_, _> =
        events.iter().map(|event| (event.sequence, event.event.phone().clone())).collect();
    assert_eq!(
        told.values().cloned().collect::<BTreeSet<_>>(),
        live,
        "each session is told of, and no other"
    );
    assert_eq!(told.len(), live.len(), "once");

    let kept = told.keys().take_while(|place| **place < JUMP).count() as Sequence;
    assert!(told.keys().take(kept as usize).copied().eq(1..=kept), "what is kept is without a gap");
    let is_lost = |login: &&Login| !live.contains(&login.phone);
    let places: BTreeSet<_> = logins.iter().map(|login| login.place).collect();
    assert_eq!(places.len(), logins.len(), "no place is given twice");
    for login in logins {
        assert_eq!(
            told.get(&login.place),
            Some(&login.phone).filter(|_| !is_lost(&login)),
            "{}",
            login.place
        );
        // Beyond the jump are those that a master acknowledged to which the store went back for a moment.
        if login.place < JUMP {
            assert_eq!(is_lost(&login), login.place > kept, "the last ones are lost");
        }
    }

    let lost = logins.iter().filter(is_lost).count();
    let is_late = |login: &&Login| is_lost(login) || login.place < JUMP && login.at >= broken_at;
    let meanwhile: Vec<_> = logins.iter().filter(is_late).collect();
    let last = meanwhile.iter().map(|login| login.at).max().unwrap_or(broken_at);
    Counted {
        acknowledged: logins.len(),
        meanwhile: meanwhile.len(),
        length: last.duration_since(broken_at),
        lost,
        in_doubt: live.len() + lost - logins.len(),
    }
}

async fn round(fault: Fault, replicas: u32, nth: u32) -> Counted {
    let mut servers = fault.start();
    let cluster = cluster();
    let store = begun(cluster.clone(), fault.options(&servers, replicas)).await;
    let (stop, stopped) = watch::channel(false);
    let clients = log_in_all(&store, &stopped);
    reached(&store, BEFORE).await;
    let broken_at = Instant::now();
    fault.make(&mut servers, nth);
    // The store has noticed: places have jumped.
    reached(&store, JUMP + AFTER).await;
    stop.send_replace(true);
    let logins: Vec<_> = clients.join_all().await.into_iter().flatten().collect();
    if fault != Fault::StalledReplica {
        wait_until("the old master's return as a replica", || {
            let info = servers.servers[master(&servers)].ask(&["INFO", "replication"]);
            info.matches("state=online").count() == 2
        });
    }
    let reader = RedisStore::open(cluster, fault.options(&servers, 0)).await.unwrap();
    count(&reader, &logins, broken_at).await
}

fn full() -> bool {
    std::env::var_os("ROAMLINE_TEST_FULL").is_some()
}

/// What is lost in each of some rounds.
#[allow(clippy::print_stdout, reason = "it is what is measured")]
async fn measured(fault: Fault, replicas: u32) -> Vec<Counted> {
    // One at a time, so that sentinels are not kept from noticing.
    static TURN: Mutex<()> = Mutex::const_new(());
    let _turn = TURN.lock().await;
    let given = std::env::var("ROAMLINE_TEST_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    let rounds = if full() { given.unwrap_or(3) } else { 1 };
    let mut all = Vec::new();
    for nth in 0..rounds {
        let counted = round(fault, replicas, nth).await;
        println!("{fault:?}, durability.replicas = {replicas}: {counted}");
        assert!(counted.acknowledged as Sequence > BEFORE / 2, "the round was one");
        all.push(counted);
    }
    all
}

async fn assert_nothing_is_lost(fault: Fault) {
    assert!(measured(fault, 1).await.iter().all(|round| round.lost == 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_a_stalled_replica_lacks_is_lost_and_the_store_notices() {
    if !full() {
        return;
    }
    measured(Fault::StalledReplica, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nothing_that_a_replica_must_have_is_lost_with_the_master_that_a_stalled_one_follows() {
    assert_nothing_is_lost(Fault::StalledReplica).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_a_master_acknowledges_while_it_is_cut_off_is_lost_and_the_store_notices() {
    if !full() {
        return;
    }
    let rounds = measured(Fault::Partition, 0).await;
    assert!(rounds.iter().all(|round| round.lost > 0), "it was cut off");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nothing_that_a_replica_must_have_is_lost_with_a_master_that_is_cut_off() {
    assert_nothing_is_lost(Fault::Partition).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_acknowledged_to_a_store_that_is_cut_off_with_the_master_is_lost_and_the_store_notices() {
    if !full() {
        return;
    }
    let rounds = measured(Fault::PartitionOfStore, 0).await;
    assert!(rounds.iter().all(|round| round.lost > 0), "it was cut off");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nothing_that_a_replica_must_have_is_lost_to_a_store_that_is_cut_off_with_the_master() {
    if !full() {
        return;
    }
    assert_nothing_is_lost(Fault::PartitionOfStore).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nothing_is_lost_with_a_master_that_is_cut_off_with_one_of_two_replicas_though_one_is_asked_for() {
    assert_nothing_is_lost(Fault::PartitionWithReplica).await;
}
