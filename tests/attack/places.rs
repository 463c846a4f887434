//! What a client is given to come back with, page tokens and resume tokens, changed a little; and filters and orders put
//! together from their own words. Each is understood or refused as the client's fault, and refers to nothing else.

use std::time::{Duration, Instant};

use futures::StreamExt;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner};
use roamline_proto::profile::ListUsersRequest;
use roamline_proto::profile::user_service_client::UserServiceClient;
use roamline_proto::session::audit_service_client::AuditServiceClient;
use roamline_proto::session::session_service_client::SessionServiceClient;
use roamline_proto::session::{ListAuditRecordsRequest, ListSessionsRequest, WatchSessionsRequest};
use tokio::runtime::Handle;
use tokio::time::interval;
use tonic::{Code, Status};

use crate::clients::{Link, link, login, phone_name, user};
use crate::number;
use crate::process::WITHIN;
use crate::victim::Victim;

/// The same cases in every run; one that fails is made as small as possible and printed.
fn every<T: std::fmt::Debug>(
    cases: usize,
    what: &impl Strategy<Value = T>,
    test: impl Fn(T) -> TestCaseResult,
) {
    let config =
        Config { cases: u32::try_from(cases).unwrap(), failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    runner.run(what, test).unwrap();
}

/// A token with some of its letters changed, left out, or put in.
fn harmed(token: String) -> impl Strategy<Value = String> {
    let letters = select("0123456789abcdefABCDEFxyz-_:./=+ \u{e9}".chars().collect::<Vec<_>>());
    let harms = prop::collection::vec((any::<Index>(), letters, 0..4_u8), 1..4);
    harms.prop_map(move |harms| {
        let mut letters: Vec<char> = token.chars().collect();
        for (at, letter, how) in harms {
            let at = at.index(letters.len() + 1);
            match how {
                0 => letters.truncate(at),
                1 => letters.insert(at, letter),
                _ if at < letters.len() => letters[at] = letter,
                _ => letters.extend_from_within(..at / 2),
            }
        }
        letters.into_iter().collect()
    })
}

fn filter() -> impl Strategy<Value = String> {
    let words = [
        "user_id",
        "description",
        "profiles",
        "login_id",
        "name",
        "x",
        "=",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        ":",
        "AND",
        "OR",
        "NOT",
        "-",
        "(",
        ")",
        "\"",
        "\"agent1\"",
        "'",
        "agent*",
        "*",
        "true",
        "1",
        "-1",
        "1e999",
        "null",
        ".",
        "..",
        ",",
        "\\",
        "desc",
        "update_time",
        "2026-02-30T00:00:00Z",
        "\u{0}",
        "é",
        "((((((((((((((((((((((((((((((((",
    ];
    let listed = prop::collection::vec(select(words.to_vec()), 0..12).prop_map(|words| words.join(" "));
    let close = prop::collection::vec(select(words.to_vec()), 0..12).prop_map(|words| words.concat());
    let deep = (0..3_000_usize).prop_map(|depth| "(".repeat(depth) + "user_id = a" + &")".repeat(depth));
    let nots = (0..20_000_usize).prop_map(|many| "NOT ".repeat(many) + "user_id = a");
    let long = (0..20_000_usize).prop_map(|many| "user_id = a OR ".repeat(many) + "user_id = a");
    prop_oneof![8 => listed, 8 => close, 1 => deep, 1 => nots, 1 => long, 4 => "\\PC{0,60}"]
}

/// That it was understood, or refused as the client's fault.
fn is_fair<T>(answer: Result<T, Status>) -> TestCaseResult {
    if let Err(status) = answer {
        let fair = [Code::InvalidArgument, Code::OutOfRange, Code::FailedPrecondition, Code::NotFound];
        // What is beyond the limits of a message or of its headers is refused below the service.
        let large = [Code::ResourceExhausted, Code::Cancelled];
        // What our own patience is at the end of is a server that hangs.
        let hangs = status.message().contains("Timeout expired");
        let is_fair = fair.contains(&status.code()) || large.contains(&status.code());
        prop_assert!(is_fair && !hangs, "{status:?}");
    }
    Ok(())
}

/// Waits for a call from a test that cannot.
fn now<T>(call: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| Handle::current().block_on(call))
}

async fn furnished() -> (Victim, Link) {
    let victim = Victim::new(4).await;
    let link = link(&victim.server, &victim.admin);
    for n in 1..4 {
        let request = login(&user(n), &phone_name(n));
        SessionServiceClient::new(link.clone()).login(request).await.expect("an agent logs in");
    }
    (victim, link)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_to_go_on_from_are_understood_or_refused() {
    let (victim, link) = furnished().await;
    let cases = number(60, 2_000);
    let users = |page_token: String| {
        let request = ListUsersRequest { page_size: 1, page_token, ..Default::default() };
        now(UserServiceClient::new(link.clone()).list_users(request)).map(tonic::Response::into_inner)
    };
    let sessions = |page_token: String| {
        let request = ListSessionsRequest { page_size: 1, page_token, ..Default::default() };
        now(SessionServiceClient::new(link.clone()).list_sessions(request)).map(tonic::Response::into_inner)
    };
    let records = |page_token: String| {
        let request = ListAuditRecordsRequest { page_size: 1, page_token, ..Default::default() };
        now(AuditServiceClient::new(link.clone()).list_audit_records(request))
            .map(tonic::Response::into_inner)
    };
    let of_users = users(String::new()).unwrap().next_page_token;
    let of_sessions = sessions(String::new()).unwrap().next_page_token;
    // The trail follows what has happened.
    let mut of_records = String::new();
    let mut ticks = interval(Duration::from_millis(20));
    let deadline = Instant::now() + WITHIN;
    while of_records.is_empty() {
        assert!(Instant::now() < deadline, "the trail has no second record");
        ticks.tick().await;
        of_records = records(String::new()).unwrap().next_page_token;
    }
    let all = [of_users, of_sessions, of_records];
    assert!(all.iter().all(|token| !token.is_empty()), "{all:?}");
    for (n, token) in all.iter().enumerate() {
        every(cases, &harmed(token.clone()), |token| is_fair(users(token)));
        every(cases, &harmed(token.clone()), |token| is_fair(sessions(token)));
        every(cases, &harmed(token.clone()), |token| is_fair(records(token)));
        // A place of one list is none of another.
        let foreign = [
            users(token.clone()).is_err(),
            sessions(token.clone()).is_err(),
            records(token.clone()).is_err(),
        ];
        for (list, refused) in foreign.into_iter().enumerate() {
            assert_eq!(refused, list != n, "the token of list {n} in list {list}: {token}");
        }
    }
    let watch = |resume_token: String| {
        let request = WatchSessionsRequest { resume_token, ..Default::default() };
        now(async {
            let mut stream =
                SessionServiceClient::new(link.clone()).watch_sessions(request).await?.into_inner();
            stream.next().await.unwrap_or_else(|| Err(Status::ok("it ends")))
        })
    };
    let token = watch(String::new()).unwrap().resume_token;
    if !token.is_empty() {
        every(cases, &harmed(token), |token| {
            // One that is good again waits for what comes next; it is not waited for.
            let request = WatchSessionsRequest { resume_token: token, ..Default::default() };
            is_fair(now(SessionServiceClient::new(link.clone()).watch_sessions(request)).map(|_| ()))
        });
    }
    victim.survives("places that are none").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_and_orders_are_understood_or_refused() {
    let (victim, link) = furnished().await;
    every(number(200, 10_000), &(filter(), filter()), |(filter, order)| {
        let ask = |filter: &str, order_by: &str| {
            let request = ListUsersRequest {
                filter: filter.to_owned(),
                order_by: order_by.to_owned(),
                ..Default::default()
            };
            now(UserServiceClient::new(link.clone()).list_users(request))
        };
        is_fair(ask(&filter, ""))?;
        is_fair(ask("", &order))
    });
    victim.survives("filters that are none").await;
}
