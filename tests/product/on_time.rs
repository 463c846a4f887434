//! Very many sessions that fall due within a moment: each ends once, after its instant and not before, and logins go on
//! meanwhile (LO-5). With `ROAMLINE_TEST_FULL` there are 100,000 of them, which fall due within a minute, each of its own
//! user at its own phone, and they are in Redis. Times are told; none fails the test.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use roamline_proto::session::watch_sessions_response::Message;
use roamline_proto::session::{
    EndedSession, LoginRequest, LogoutReason, LogoutRequest, WatchSessionsRequest,
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep_until, timeout};
use tonic::Code;

use crate::clients::{Sessions, administrator, link, sessions};
use crate::process::{Server, Site, WITHIN};
use crate::redis::starter::Redis;

#[path = "../benches/load/agents.rs"]
mod agents;

/// Agents who log in and out all the time, beside those whose sessions fall due.
const TRICKLE: usize = 200;
/// Their logins a second.
const TRICKLE_RATE: f64 = 20.0;
/// Logins at once while the sessions are made.
const AT_ONCE: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lo_5_very_many_sessions_that_fall_due_together_end_on_time_and_once() {
    all_end("SQLite", &Site::new(), 300, Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lo_5_very_many_sessions_in_redis_that_fall_due_together_end_on_time_and_once() {
    let redis = Redis::start(&[]);
    let full = std::env::var_os("ROAMLINE_TEST_FULL").is_some();
    let (number, within) = if full { (100_000, 60) } else { (1_000, 1) };
    let site = Site::new().set("REDIS__URL", &redis.url());
    all_end("Redis", &site, number, Duration::from_secs(within)).await;
}

async fn all_end(store: &str, site: &Site, number: usize, within: Duration) {
    let server = site.start();
    let admin = administrator(site, &server).await;
    let begun = Instant::now();
    agents::make(&link(&server, &admin), number + TRICKLE, 0).await.expect("the agents are made");
    eprintln!("{store}: {} agents made in {:.1?}", number + TRICKLE, begun.elapsed());
    let (mut ended, _following) = follow(sessions(&server, &admin)).await;
    let client = sessions(&server, &admin);

    let first = make(&client, number, within).await;
    let calm = Instant::now() + Duration::from_secs(3);
    let before = trickle(&client, number, || Instant::now() < calm).await;
    wait_for(first).await;
    let all_have_ended = AtomicBool::new(false);
    let (during, told) =
        tokio::join!(trickle(&client, number, || !all_have_ended.load(Ordering::Relaxed)), async {
            let told = collect(&mut ended, number, within).await;
            all_have_ended.store(true, Ordering::Relaxed);
            told
        });

    assert_eq!(told.again, 0, "a session ended twice");
    assert_eq!(told.early, 0, "a session ended before its instant");
    let (count, quantiles) = lateness_by_metric(&server);
    assert_eq!(count, number as u64, "the metric counts each once");
    eprintln!("{store}: {number} sessions fell due within {within:?}; all have ended, each once");
    tell(store, "decided after its instant", told.decided);
    eprintln!("{store}: the metric's buckets: {quantiles}");
    tell(store, "received by a watch after its instant", told.received);
    eprintln!("{store}: later than the 2 s of LO-5: {}", told.later_than_two_seconds);
    tell(store, "a login before", before);
    tell(store, "a login meanwhile", during);
    assert!(timeout(Duration::from_millis(500), ended.recv()).await.is_err(), "no session ends once more");
}

#[allow(clippy::disallowed_methods, reason = "what is measured is the distance from the clock")]
fn now() -> Timestamp {
    Timestamp::now()
}

async fn wait_for(instant: Timestamp) {
    let left = Duration::try_from(instant.duration_since(now())).unwrap_or_default();
    sleep_until((Instant::now() + left).into()).await;
}

/// Logs everybody in so that their sessions fall due one after another, and answers when the first one does: after the
/// last login, as far as the first logins let expect.
async fn make(client: &Sessions, number: usize, within: Duration) -> Timestamp {
    let begun = Instant::now();
    let sample = TRICKLE.min(100);
    let logins = (0..sample).map(|n| async move {
        log_in(&mut client.clone(), agents::login(number + n, false)).await;
        log_out(&mut client.clone(), number + n).await;
    });
    futures::future::join_all(logins).await;
    let expected = begun.elapsed().mul_f64(number as f64 / sample as f64) + Duration::from_secs(5);
    let first = now() + SignedDuration::try_from(expected).expect("it is short");

    let begun = Instant::now();
    let rest = Arc::new(Mutex::new(0..number));
    let mut all = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (rest, mut client) = (Arc::clone(&rest), client.clone());
        all.spawn(async move {
            loop {
                let next = rest.lock().unwrap().next();
                let Some(n) = next else { return };
                let due = first + SignedDuration::try_from(within.mul_f64(n as f64 / number as f64)).unwrap();
                let left = due.duration_since(now()).max(SignedDuration::from_secs(1));
                let (seconds, nanos) = (left.as_secs(), left.subsec_nanos());
                let duration = Some(prost_types::Duration { seconds, nanos });
                log_in(&mut client, LoginRequest { duration, ..agents::login(n, false) }).await;
            }
        });
    }
    while let Some(done) = all.join_next().await {
        done.expect("it does not panic");
    }
    let took = begun.elapsed();
    eprintln!("{number} logins in {took:.1?}: {:.0}/s", number as f64 / took.as_secs_f64());
    let late = now().duration_since(first);
    if late.is_positive() {
        eprintln!("the first session fell due {late:#} before the last one was made");
    }
    first
}

/// A login that is asked for again where the server has no time for it now, as every client does.
async fn log_in(client: &mut Sessions, login: LoginRequest) {
    let login = LoginRequest { request_id: format!("{}-{}", login.user_id, now()), ..login };
    let until = Instant::now() + WITHIN;
    while let Err(refused) = client.login(login.clone()).await {
        let again = matches!(refused.code(), Code::Unavailable | Code::ResourceExhausted);
        assert!(again && Instant::now() < until, "{refused:?}");
    }
}

/// Ends it in the same way.
async fn log_out(client: &mut Sessions, number: usize) {
    let logout = LogoutRequest { request_id: format!("{number}-{}", now()), ..agents::logout(number) };
    let until = Instant::now() + WITHIN;
    while let Err(refused) = client.logout(logout.clone()).await {
        assert!(refused.code() == Code::Unavailable && Instant::now() < until, "{refused:?}");
    }
}

/// Logins and logouts at a slow pace; how long each login took from the instant at which it was meant to begin.
async fn trickle(client: &Sessions, first_agent: usize, goes_on: impl Fn() -> bool) -> Vec<Duration> {
    let mut ticks = interval(Duration::from_secs_f64(1.0 / TRICKLE_RATE));
    let mut all = JoinSet::new();
    // One after another at each phone, should the server be slow.
    let phones: Vec<_> = (0..TRICKLE).map(|_| Arc::new(tokio::sync::Mutex::new(()))).collect();
    let mut each = (first_agent..).zip(&phones).cycle();
    while goes_on() {
        let at = ticks.tick().await.into_std();
        let (agent, phone) = each.next().expect("it never ends");
        let (phone, mut client) = (Arc::clone(phone), client.clone());
        all.spawn(async move {
            let _alone = phone.lock().await;
            log_in(&mut client, agents::login(agent, false)).await;
            let took = at.elapsed();
            log_out(&mut client, agent).await;
            took
        });
    }
    let mut times = Vec::new();
    while let Some(took) = all.join_next().await {
        times.push(took.expect("it does not panic"));
    }
    times
}

/// Every automatic logout from now on, with the instant at which it was heard.
async fn follow(mut client: Sessions) -> (UnboundedReceiver<(EndedSession, Timestamp)>, JoinSet<()>) {
    let watch = client.watch_sessions(WatchSessionsRequest::default()).await.expect("a watch");
    let mut watch = watch.into_inner();
    let (sender, receiver) = unbounded_channel();
    let mut following = JoinSet::new();
    following.spawn(async move {
        while let Ok(Some(told)) = watch.message().await {
            if let Some(Message::LoggedOut(ended)) = told.message
                && ended.reason() == LogoutReason::MaximumTime
                && sender.send((ended, now())).is_err()
            {
                return;
            }
        }
    });
    (receiver, following)
}

/// What the watch told of all of them.
#[derive(Default)]
struct Told {
    decided: Vec<Duration>,
    received: Vec<Duration>,
    later_than_two_seconds: usize,
    early: usize,
    again: usize,
}

async fn collect(
    ended: &mut UnboundedReceiver<(EndedSession, Timestamp)>,
    number: usize,
    within: Duration,
) -> Told {
    let mut told = Told::default();
    let mut seen = std::collections::HashSet::new();
    while seen.len() < number {
        let next = timeout(WITHIN + within, ended.recv()).await;
        let next = next.unwrap_or_else(|_| panic!("{} of {number} have ended", seen.len()));
        let (ended, heard) = next.expect("the watch goes on");
        let session = ended.session.expect("its session");
        let due = instant(session.expire_time);
        let decided = instant(ended.logout_time);
        told.early += usize::from(decided < due);
        let late = |at: Timestamp| Duration::try_from(at.duration_since(due)).unwrap_or_default();
        told.decided.push(late(decided));
        told.received.push(late(heard));
        told.later_than_two_seconds += usize::from(late(decided) > Duration::from_secs(2));
        told.again += usize::from(!seen.insert(session.session_id));
    }
    told
}

fn instant(time: Option<prost_types::Timestamp>) -> Timestamp {
    let time = time.expect("an instant");
    Timestamp::new(time.seconds, time.nanos).expect("in range")
}

fn tell(store: &str, what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |quantile: f64| times[((times.len() - 1) as f64 * quantile) as usize];
    eprintln!(
        "{store}: {what}: p50 {:.1?}, p99 {:.1?}, max {:.1?} of {}",
        at(0.5),
        at(0.99),
        at(1.0),
        times.len()
    );
}

/// How many `roamline_session_deadline_lateness` has counted, and in which buckets they are.
fn lateness_by_metric(server: &Server) -> (u64, String) {
    let mut stream = TcpStream::connect(server.admin.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(WITHIN)).unwrap();
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let of = |line: &str, name: &str| {
        let rest = line.strip_prefix("roamline_session_deadline_lateness_seconds_")?.strip_prefix(name)?;
        let value = rest.rsplit(' ').next()?.parse::<u64>().ok()?;
        Some((rest.split('"').nth(1).unwrap_or_default().to_owned(), value))
    };
    let count = text.lines().find_map(|line| of(line, "count")).map_or(0, |(_, count)| count);
    let buckets: Vec<_> = text
        .lines()
        .filter_map(|line| of(line, "bucket"))
        .map(|(upper, number)| format!("<= {upper} s: {number}"))
        .collect();
    (count, buckets.join(", "))
}
