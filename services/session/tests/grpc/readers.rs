//! Readers that take nothing.

use std::sync::Arc;
use std::time::Duration;

use roamline_proto::session::watch_sessions_response::Message;
use roamline_serve::Clock;
use roamline_session::{SessionConfig, Stores};
use roamline_store::memory::MemoryStore;
use tokio::time::timeout;

use crate::harness::*;
use crate::watches::{news, told};

/// Logins, each followed by its logout: more than the buffers between a watch and a reader take.
const ROUNDS: usize = 500;

fn user(message: &Message) -> String {
    match message {
        Message::LoggedIn(session) => format!("{} in", session.user_id),
        Message::LoggedOut(ended) => format!("{} out", ended.session.as_ref().unwrap().user_id),
        other => panic!("no login and no logout: {other:?}"),
    }
}

#[tokio::test]
async fn ev_2_a_reader_that_takes_nothing_is_ended_and_goes_on_later_and_holds_up_nobody() {
    let (clock, hand) = Clock::manual("2026-03-02T08:00:00Z".parse().unwrap());
    let store = Arc::new(MemoryStore::new());
    let stores = Stores { sessions: store.clone(), audit: store };
    let config = SessionConfig {
        heartbeat_every: Duration::from_secs(1),
        drop_slow_reader_after: Duration::from_secs(1),
        ..SessionConfig::default()
    };
    let cluster = replica_over(stores, config, Scripted::default(), clock, hand).await;
    let mut slow = watch(&mut cluster.narrow(), "").await;
    let (_, mut token) = told(&mut slow).await;
    let mut others = Vec::new();
    for _ in 0..9 {
        let mut other = watch(&mut cluster.administrator(), "").await;
        told(&mut other).await;
        others.push(other);
    }

    let mut expected = Vec::new();
    for n in 0..ROUNDS {
        let name = format!("user{n}");
        cluster.administrator().login(by_token(&name, PHONE)).await.unwrap();
        cluster.administrator().logout(logout(PHONE)).await.unwrap();
        expected.push(format!("{name} in"));
        expected.push(format!("{name} out"));
        for other in &mut others {
            assert_eq!(user(&news(other).await.0), expected[2 * n], "the others get everything at once");
            assert_eq!(user(&news(other).await.0), expected[2 * n + 1]);
        }
    }
    // Four heartbeats are twice as long as the slow reader may take.
    for _ in 0..4 {
        let (message, _) = told(&mut others[0]).await;
        assert!(matches!(message, Message::Heartbeat(_)));
    }

    let mut seen = Vec::new();
    let ended = async {
        loop {
            match next(&mut slow).await.expect("an end that says why") {
                Ok(message) => {
                    token = message.resume_token;
                    match message.message.unwrap() {
                        Message::Heartbeat(_) => {}
                        news => seen.push(user(&news)),
                    }
                }
                Err(status) => break status,
            }
        }
    };
    let status = timeout(WITHIN, ended).await.expect("heartbeats do not keep it");
    assert!(status.message().contains("read"), "{status:?}");
    assert_eq!(metadata::<()>(Err(status)).get("reader").map(String::as_str), Some("slow"));
    assert!(seen.len() < expected.len(), "what it did not take was not kept for it");
    let mut resumed = watch(&mut cluster.administrator(), &token).await;
    while seen.len() < expected.len() {
        seen.push(user(&news(&mut resumed).await.0));
    }
    assert_eq!(seen, expected);
}
