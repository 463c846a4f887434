//! A service in other processes, as its callers have it: several replicas, of which some come and go.

use std::collections::BTreeMap;
use std::time::Duration;

use roamline_proto::auth::SignInRequest;
use roamline_proto::auth::auth_service_client::AuthServiceClient;
use roamline_serve::{CallTls, Elsewhere, Readiness, ServeConfig, Tasks};
use tonic::transport::Channel;

use crate::running::{HERE, Running, WITHIN};

/// Which replica answers a call.
async fn ask(channel: &Channel) -> Option<String> {
    let request = SignInRequest { name: HERE.into(), credential: None };
    let answer = AuthServiceClient::new(channel.clone()).sign_in(request).await;
    answer.ok().map(|answer| answer.into_inner().access_token)
}

/// Waits until that many replicas, and no others, answer fifty calls, none of which fails.
async fn until_answered_by(channel: &Channel, number: usize) -> BTreeMap<String, u32> {
    let asking = async {
        loop {
            let mut answers: BTreeMap<String, u32> = BTreeMap::new();
            for _ in 0..50 {
                let Some(who) = ask(channel).await else { break };
                *answers.entry(who).or_default() += 1;
            }
            if answers.len() == number && answers.values().sum::<u32>() == 50 {
                return answers;
            }
        }
    };
    tokio::time::timeout(WITHIN, asking).await.expect("in time")
}

#[tokio::test]
async fn calls_are_spread_over_the_replicas_that_serve() {
    let replicas = [Running::start().await, Running::start().await, Running::start().await];
    let addresses: Vec<_> = replicas.iter().map(|replica| format!("http://{}", replica.api)).collect();
    let elsewhere =
        Elsewhere::new(&addresses.join(","), &CallTls::default(), Duration::from_secs(1)).unwrap();
    let tasks = Tasks::new();
    let channel = elsewhere.channel("replicas", &tasks).unwrap();
    let answers = until_answered_by(&channel, 3).await;
    assert!(answers.values().all(|answers| *answers > 2), "{answers:?}");

    let hold = replicas[0].readiness.hold("on purpose");
    let answers = until_answered_by(&channel, 2).await;
    assert!(!answers.contains_key(&replicas[0].api.to_string()), "it does not serve: {answers:?}");
    let others: Vec<_> = replicas[1..].iter().map(|other| other.readiness.hold("on purpose")).collect();
    until_answered_by(&channel, 3).await;
    drop((hold, others));

    let [first, second, third] = replicas;
    first.stop().await;
    let answers = until_answered_by(&channel, 2).await;
    assert!(answers.contains_key(&second.api.to_string()), "{answers:?}");
    second.stop().await;
    until_answered_by(&channel, 1).await;
    third.stop().await;
    let gone = tokio::time::timeout(WITHIN, ask(&channel)).await.expect("it fails at once");
    assert_eq!(gone, None);
    tasks.stop(WITHIN).await;
}

#[tokio::test]
async fn a_connection_that_grows_old_is_replaced_and_fails_at_most_the_call_that_crosses_its_end() {
    let age = ServeConfig { max_connection_age: Duration::from_secs(1), ..Default::default() };
    let running = Running::start_with(Readiness::new(), age).await;
    let (address, tasks) = (format!("http://{}", running.api), Tasks::new());
    let elsewhere = Elsewhere::new(&address, &CallTls::default(), Duration::from_secs(1)).unwrap();
    let channel = elsewhere.channel("replicas", &tasks).unwrap();
    let asking = async {
        let begun = tokio::time::Instant::now();
        let mut pace = tokio::time::interval(Duration::from_millis(2));
        while begun.elapsed() < Duration::from_secs(3) {
            pace.tick().await;
            let answered = ask(&channel).await.is_some() || ask(&channel).await.is_some();
            assert!(answered, "the call after one that failed has a new connection");
        }
    };
    tokio::time::timeout(WITHIN, asking).await.expect("in time");
    tasks.stop(WITHIN).await;
    running.stop().await;
}
