//! Live sessions in Redis, as an operator finds them: what he is told when it is not there, not his, or not well; and
//! that the server goes on by itself.

#[path = "../../crates/store-redis/tests/redis/starter.rs"]
pub(crate) mod starter;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use roamline_proto::error::ErrorReason;

use self::starter::{Cluster, MASTER, Redis, Replicated};

use crate::clients::{Sessions, as_administrator, live, login, logout, reason};
use crate::postgres::Waiting;
use crate::process::{Server, Site, WITHIN, errors, text};

/// Agent and phone of the demo site, another agent's, and where he signs in.
const LOGIN: [&str; 5] = ["login", "1001", "--phone", "SEP02005E005302", "--with-token"];
const OTHER: (&str, &str) = ("1002", "SEP02005E005301");
/// No log, report and probe may tell it.
const PASSWORD: &str = "s3cret-of-redis";

/// What Redis answers first to these commands, one a line, on one connection; errors are answers.
fn tell(redis: &Redis, commands: &[&str]) -> Vec<String> {
    let mut stream = TcpStream::connect(redis.address()).unwrap();
    stream.set_read_timeout(Some(WITHIN)).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    let mut answer = |command: &&str| {
        write!(stream, "{command}\r\n").unwrap();
        let mut answer = String::new();
        answers.read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    };
    commands.iter().map(&mut answer).collect()
}

/// A command that is carried out.
pub(crate) fn order(redis: &Redis, command: &str) {
    let answer = tell(redis, &[command]).remove(0);
    assert!(!answer.starts_with('-'), "{command}: {answer}");
}

fn site(redis: &str) -> Site {
    Site::new().with(&["--demo"]).set("REDIS__URL", redis)
}

/// What `/readyz` says.
pub(crate) fn ready(server: &Server) -> String {
    let mut stream = TcpStream::connect(server.admin.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(WITHIN)).unwrap();
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Waits until `/readyz` says that; how long that took.
pub(crate) async fn until_ready_says(server: &Server, what: &str) -> Duration {
    let begun = Instant::now();
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    loop {
        pace.tick().await;
        let said = ready(server);
        if said.contains(what) {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < WITHIN, "no {what:?} in {said}");
    }
}

#[tokio::test]
async fn live_sessions_are_in_redis_and_outlive_the_server() {
    let redis = Redis::start(&[]);
    let site = site(&redis.url());
    let server = site.start();
    assert!(server.report.contains("live   Redis at 127."), "{}", server.report);
    let session = site.json(&LOGIN)["session"]["sessionId"].clone();
    assert_eq!(tell(&redis, &["HLEN roamline:{local}:sessions"]), [":1"]);
    server.kill();
    let server = site.start();
    let mut client = as_administrator(&site, &server).await;
    let found: Vec<_> = live(&mut client).await.into_iter().map(|found| found.session_id).collect();
    assert_eq!(found, [session.as_str().unwrap()]);
    client.logout(logout(LOGIN[3])).await.unwrap();
    assert_eq!(tell(&redis, &["HLEN roamline:{local}:sessions"]), [":0"]);
}

/// One reason after the other, and each is told; the log says each once.
#[tokio::test]
async fn a_redis_that_cannot_be_used_yet_is_waited_for_with_the_reason() {
    let mut redis = Redis::start(&["maxmemory-policy allkeys-lru", "user roamline on >another ~* &* +@all"]);
    redis.kill();
    let site = site(&redis.url()).set("REDIS__USERNAME", "roamline").set("REDIS__PASSWORD", PASSWORD);
    let server = Waiting::start(site.up(), "cannot be reached");
    server.assert_waits(&["session store", "cannot be reached"]).await;
    redis.start_again();
    server.wait_for("refuses the user or the password");
    server.assert_waits(&["refuses the user or the password"]).await;
    order(&redis, "REPLICAOF 127.0.0.1 1");
    order(&redis, &format!("ACL SETUSER roamline >{PASSWORD} -info"));
    server.wait_for("does not permit the user info");
    order(&redis, "ACL SETUSER roamline +info");
    server.wait_for("is read-only");
    order(&redis, "REPLICAOF NO ONE");
    server.wait_for("maxmemory-policy noeviction");
    order(&redis, "CONFIG SET maxmemory-policy noeviction");
    server.assert_becomes_ready();
}

#[tokio::test]
async fn a_redis_of_another_kind_is_told_from_one_that_is_not_there() {
    let redis = Redis::start(&["cluster-enabled yes"]);
    let site = site(&redis.url());
    let server = Waiting::start(site.up(), "session store");
    server.assert_waits(&["a node of a Redis Cluster", "a standalone server"]).await;
}

#[test]
fn a_configuration_that_contradicts_itself_ends_the_server_at_once_and_without_secrets() {
    let wrong = [
        ("REDIS__URL", format!("http://:{PASSWORD}@redis"), "redis.url is not an address"),
        ("REDIS__PASSWORD", PASSWORD.to_owned(), "says which server"),
        ("REDIS__SENTINEL__MASTER", "phones".to_owned(), "redis.sentinel.urls is empty"),
        ("REDIS__PASWORD", PASSWORD.to_owned(), "did you mean `redis.password`?"),
        ("REDIS__DURABILITY__REPLICA", "1".to_owned(), "did you mean `redis.durability.replicas`?"),
    ];
    for (key, value, says) in wrong {
        let refused = Site::new().set(key, &value).up().output().unwrap();
        assert_eq!(refused.status.code(), Some(78), "{}", text(&refused));
        let said = errors(&refused);
        assert!(said.contains(says) && !said.contains(PASSWORD), "{said}");
    }
}

/// Another agent's login.
async fn another(client: &mut Sessions) -> Result<(), ErrorReason> {
    client.login(login(OTHER.0, OTHER.1)).await.map(|_| ()).map_err(|status| reason(&status))
}

#[tokio::test]
async fn a_redis_that_takes_no_changes_any_more_is_told_and_nothing_is_left_behind() {
    let mut redis = Redis::start(&["appendonly yes"]);
    let site = site(&redis.url());
    let server = site.start();
    site.json(&LOGIN);
    let mut client = as_administrator(&site, &server).await;
    let before = live(&mut client).await;
    let faults = [
        ("full", "CONFIG SET maxmemory 1", "OOM", "CONFIG SET maxmemory 0"),
        ("read-only", "REPLICAOF 127.0.0.1 1", "read-only", "REPLICAOF NO ONE"),
    ];
    for (name, harm, says, mend) in faults {
        order(&redis, harm);
        assert_eq!(another(&mut client).await, Err(ErrorReason::StoreUnavailable), "{name}");
        let told = until_ready_says(&server, says).await;
        assert!(ready(&server).starts_with("HTTP/1.1 503"), "{name}");
        order(&redis, mend);
        let healed = until_ready_says(&server, "200 OK").await;
        eprintln!("{name}: told after {told:?}, ready again {healed:?} after it was mended");
        assert_eq!(live(&mut client).await, before, "{name}: nothing is left behind");
    }
    redis.kill();
    assert_eq!(another(&mut client).await, Err(ErrorReason::StoreUnavailable));
    until_ready_says(&server, "session store").await;
    redis.start_again();
    until_ready_says(&server, "200 OK").await;
    assert_eq!(live(&mut client).await, before, "what was acknowledged is in the append-only file");
    assert_eq!(another(&mut client).await, Ok(()));
}

/// The user as the documentation has him, with the password and the cluster of this test.
fn documented_user() -> String {
    let page = include_str!("../../docs/redis.md");
    let rule = page.lines().find(|line| line.starts_with("ACL SETUSER roamline ")).expect("the rule");
    rule.replace("{main}", "{local}").replace(">SECRET", &format!(">{PASSWORD}"))
}

#[tokio::test]
async fn the_documented_user_may_do_what_is_needed_and_no_more() {
    let redis = Redis::start(&[]);
    order(&redis, &documented_user());
    let site = site(&redis.url()).set("REDIS__USERNAME", "roamline").set("REDIS__PASSWORD", PASSWORD);
    let server = site.start();
    assert!(!server.report.contains(PASSWORD), "{}", server.report);
    let short = [&LOGIN[..], &["--for", "1s"]].concat();
    site.json(&short);
    let mut client = as_administrator(&site, &server).await;
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    let begun = Instant::now();
    while !live(&mut client).await.is_empty() {
        assert!(begun.elapsed() < WITHIN, "the sweep ends it");
        pace.tick().await;
    }
    let auth = format!("AUTH roamline {PASSWORD}");
    for command in ["FLUSHALL", "CONFIG GET maxmemory", "KEYS *", "GET another", "SHUTDOWN"] {
        let answer = tell(&redis, &[&auth, command]).remove(1);
        assert!(answer.starts_with("-NOPERM"), "{command}: {answer}");
    }
}

/// A list as a variable has it.
fn listed(urls: &[String]) -> String {
    format!("[{}]", urls.iter().map(|url| format!("{url:?}")).collect::<Vec<_>>().join(","))
}

#[tokio::test]
async fn behind_sentinel_a_login_that_was_acknowledged_outlives_its_master() {
    let mut redis = Replicated::start(2).watched();
    let site = Site::new()
        .with(&["--demo"])
        .set("REDIS__SENTINEL__URLS", &listed(&redis.sentinel_urls()))
        .set("REDIS__SENTINEL__MASTER", MASTER)
        .set("REDIS__DURABILITY__REPLICAS", "1");
    let server = site.start();
    assert!(server.report.contains("behind the sentinels at"), "{}", server.report);
    site.json(&LOGIN);
    let mut client = as_administrator(&site, &server).await;
    let before = live(&mut client).await;
    redis.servers.remove(0).kill();
    let killed = Instant::now();
    let mut pace = tokio::time::interval(Duration::from_millis(50));
    while let Err(refused) = another(&mut client).await {
        assert_eq!(refused, ErrorReason::StoreUnavailable);
        assert!(killed.elapsed() < WITHIN);
        pace.tick().await;
    }
    eprintln!("a login {:?} after the master was killed", killed.elapsed());
    assert!(live(&mut client).await.contains(&before[0]));
    until_ready_says(&server, "200 OK").await;
}

#[tokio::test]
async fn a_redis_cluster_serves_as_one_server_does() {
    let site = Site::new().with(&["--demo"]).set("REDIS__CLUSTER", &listed(&Cluster::of_all().urls()));
    let server = site.start();
    site.json(&LOGIN);
    let mut client = as_administrator(&site, &server).await;
    assert_eq!(live(&mut client).await.len(), 1);
    client.logout(logout(LOGIN[3])).await.unwrap();
    assert!(live(&mut client).await.is_empty());
}
