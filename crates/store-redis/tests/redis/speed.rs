//! Measurements: `cargo test --release -p roamline-store-redis --test redis speed -- --ignored --nocapture`. With
//! `ROAMLINE_TEST_FULL` set, memory is measured with 100,000 sessions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use roamline_domain::phone_state::Configuration;
use roamline_store::conformance::fixture::{agent, logout, phone, since};
use roamline_store::{About, SessionStore};
use roamline_store_redis::RedisStore;
use tokio::task::JoinSet;

use crate::starter::{Redis, Replicated};
use crate::{begun, behind_sentinel, cluster, durable};

const IN_FLIGHT: u32 = 64;
const MEASURED: Duration = Duration::from_secs(3);

/// Logins and logouts in turn, each loaded, decided and committed; commits in a second.
async fn commits_per_second(store: &Arc<RedisStore>) -> f64 {
    let began = Instant::now();
    let mut workers = JoinSet::new();
    for number in 1..=IN_FLIGHT {
        let store = Arc::clone(store);
        workers.spawn(async move {
            let mut made = 0;
            while began.elapsed() < MEASURED {
                let read = store.load(&agent(number).on_line(number).about(number)).await.unwrap();
                store.commit(agent(number).on_line(number).login(read)).await.unwrap();
                let read = store.load(&About::phone(phone(number))).await.unwrap();
                store.commit(logout(read)).await.unwrap();
                made += 2;
            }
            made
        });
    }
    let made: u32 = workers.join_all().await.into_iter().sum();
    f64::from(made) / began.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn speed_of_commits() {
    let servers = Replicated::start(1).watched();
    let fast = begun(cluster(), behind_sentinel(&servers)).await;
    let slow = begun(cluster(), durable(behind_sentinel(&servers), 1)).await;
    for _ in 0..2 {
        let (redis, own) = (cpu_of(&servers.servers[0]), cpu_of_us());
        let began = Instant::now();
        let fast = commits_per_second(&fast).await;
        let commits = fast * began.elapsed().as_secs_f64();
        let each = |used: f64| used / commits * 1e6;
        let (redis, own) = (each(cpu_of(&servers.servers[0]) - redis), each(cpu_of_us() - own));
        println!("a commit with its load takes {redis:.0} us of Redis's processor and {own:.0} us of ours");
        let durable = commits_per_second(&slow).await;
        println!(
            "commits/s, {IN_FLIGHT} in flight: fast {fast:.0}, with WAIT 1 {durable:.0}, ratio {:.2}",
            durable / fast
        );
    }
}

/// Seconds of the processor that the server has used.
fn cpu_of(server: &Redis) -> f64 {
    let info = server.ask(&["INFO", "cpu"]);
    let used = |line: &str| {
        line.strip_prefix("used_cpu_")
            .filter(|line| !line.contains("children"))?
            .split(':')
            .nth(1)?
            .trim()
            .parse::<f64>()
            .ok()
    };
    // Those of the main thread are the whole again.
    info.lines().filter_map(used).take(2).sum()
}

/// Seconds of the processor that this process has used; the kernel counts in hundredths.
fn cpu_of_us() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}

fn used_memory(server: &Redis) -> u64 {
    let info = server.ask(&["INFO", "memory"]);
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory_dataset:"));
    line.unwrap().trim().parse().unwrap()
}

/// What phones wear, and wear after their sessions: that many bytes, each its own or all the same.
struct Renderings {
    what: &'static str,
    bytes: usize,
    is_shared: bool,
}

impl Renderings {
    fn of(&self, number: u32, mark: u8) -> Configuration {
        let mut bytes = vec![mark; self.bytes];
        for (byte, own) in bytes.iter_mut().zip(number.to_be_bytes()) {
            *byte = own;
        }
        Configuration(bytes.into())
    }

    /// Of which each phone has its own.
    fn own_bytes(&self) -> u64 {
        self.bytes as u64 * if self.is_shared { 1 } else { 2 }
    }
}

async fn log_in_all(store: &Arc<RedisStore>, sessions: u32, renderings: &'static Renderings) {
    let mut workers = JoinSet::new();
    for worker in 0..IN_FLIGHT {
        let store = Arc::clone(store);
        workers.spawn(async move {
            for number in (1..=sessions).filter(|number| number % IN_FLIGHT == worker) {
                let who = agent(number).on_line(number % 10_000).lasting(Duration::from_secs(28_800));
                let read = store.load(&About::phone(phone(number))).await.unwrap();
                let mut login = who.login(read);
                login.states[0].wears = renderings.of(number, b'x');
                let after = renderings.of(if renderings.is_shared { 0 } else { number }, b'y');
                login.states[0].session.as_mut().unwrap().logout_configuration = after;
                store.commit(login).await.unwrap();
            }
        });
    }
    workers.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn bytes_of_a_live_session() {
    static RENDERINGS: [Renderings; 3] = [
        Renderings { what: "without renderings", bytes: 0, is_shared: false },
        Renderings { what: "with two renderings of their own", bytes: 4_096, is_shared: false },
        Renderings { what: "with one of their own, and one for all", bytes: 4_096, is_shared: true },
    ];
    let sessions = if std::env::var_os("ROAMLINE_TEST_FULL").is_some() { 100_000 } else { 10_000 };
    let server = Redis::start(&[]);
    let store = begun(cluster(), roamline_store_redis::RedisOptions::standalone(server.url())).await;
    for renderings in &RENDERINGS {
        server.ask(&["FLUSHALL"]);
        let empty = used_memory(&server);
        let _ = store.is_begun().await;
        while !store.begin(Vec::new(), 0).await.unwrap() {}
        log_in_all(&store, sessions, renderings).await;
        let with_events = used_memory(&server) - empty;
        store.trim(jiff::Timestamp::MAX, since(jiff::Timestamp::MAX)).await.unwrap();
        let used = used_memory(&server) - empty;
        let each = |bytes: u64| bytes / u64::from(sessions) - renderings.own_bytes();
        println!(
            "{sessions} sessions {}: {} bytes each beside them, {} with events",
            renderings.what,
            each(used),
            each(with_events)
        );
        for key in server.ask(&["KEYS", "*"]).lines().filter(|line| line.starts_with("roamline")) {
            let bytes = server.ask(&["MEMORY", "USAGE", key, "SAMPLES", "0"]);
            let bytes: u64 = bytes.trim_start_matches(':').trim().parse().unwrap();
            println!("  {key}: {}", bytes / u64::from(sessions));
        }
        let began = Instant::now();
        assert_eq!(store.snapshot(None).await.unwrap().phones.len(), sessions as usize);
        println!("a snapshot of them takes {:.2?}", began.elapsed());
    }
}
