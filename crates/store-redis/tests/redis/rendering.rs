//! What is kept of phones that share it, and of users and ACD lines that are gone.

use std::sync::Arc;

use roamline_domain::phone_state::{Configuration, PhoneState};
use roamline_store::conformance::fixture::{agent, at, change, log_in, log_out, phone, since};
use roamline_store::{About, SessionStore};
use roamline_store_redis::{RedisOptions, RedisStore};

use crate::starter::Redis;
use crate::{begun, cluster};

/// How many renderings are kept, and of how many it is counted who else refers to them.
fn kept(cluster: &roamline_domain::ClusterId) -> [String; 2] {
    ["renderings", "shared"].map(|key| {
        let said = Redis::of_all().ask(&["HLEN", &format!("roamline:{{{cluster}}}:{key}")]);
        said.trim_start_matches(':').trim().to_owned()
    })
}

async fn dress(store: &Arc<RedisStore>, number: u32, wears: &[u8]) {
    let read = store.load(&About::phone(phone(number))).await.unwrap();
    let before = read.held.phone.clone();
    let state = PhoneState { epoch: before.epoch + 1, wears: Configuration(wears.to_vec().into()), ..before };
    store.commit(change(read, state.clone())).await.unwrap();
    assert_eq!(store.phone(&phone(number)).await.unwrap(), Some(state));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rendering_is_kept_once_and_as_long_as_a_phone_refers_to_it() {
    let cluster = cluster();
    let store = begun(cluster.clone(), RedisOptions::standalone(Redis::of_all().url())).await;
    let mut committed = Vec::new();
    for number in 1..=3 {
        committed.push(log_in(&store, number, &agent(number)).await.states.remove(0));
    }
    assert_eq!(kept(&cluster), ["4", "1"], "what each wears, and what all wear afterwards");
    assert_eq!(store.list(None, None, 10).await.unwrap(), committed);
    for number in 1..=3 {
        let done = log_out(&store, number).await.states.remove(0);
        assert_eq!(store.phone(&phone(number)).await.unwrap(), Some(done));
    }
    assert_eq!(kept(&cluster), ["1", "1"], "what all wear now");
    log_in(&store, 1, &agent(1)).await;
    let taken_over = log_in(&store, 1, &agent(2)).await.states.remove(0);
    assert_eq!(store.phone(&phone(1)).await.unwrap(), Some(taken_over));
    assert_eq!(kept(&cluster), ["2", "1"]);
    log_out(&store, 1).await;
    dress(&store, 1, b"something else").await;
    dress(&store, 2, b"something else").await;
    assert_eq!(kept(&cluster), ["2", "1"]);
    dress(&store, 3, b"something else").await;
    assert_eq!(kept(&cluster), ["1", "1"]);
    for number in 1..=3 {
        dress(&store, number, b"").await;
    }
    assert_eq!(kept(&cluster), ["0", "0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holders_without_phones_are_forgotten_with_a_trim() {
    let cluster = cluster();
    let store = begun(cluster.clone(), RedisOptions::standalone(Redis::of_all().url())).await;
    for number in 1..=250 {
        log_in(&store, number, &agent(number).on_line(number)).await;
    }
    for number in 2..=250 {
        log_out(&store, number).await;
    }
    let count = |command: &str, key: &str| {
        let said = Redis::of_all().ask(&[command, &format!("roamline:{{{cluster}}}:{key}")]);
        said.trim_start_matches(':').trim().to_owned()
    };
    assert_eq!((count("HLEN", "holders"), count("LLEN", "vacant")), ("500".into(), "498".into()));
    store.trim(at(0), since(at(0))).await.unwrap();
    assert_eq!((count("HLEN", "holders"), count("LLEN", "vacant")), ("2".into(), "0".into()));
    log_out(&store, 1).await;
    log_in(&store, 1, &agent(1)).await;
    store.trim(at(0), since(at(0))).await.unwrap();
    assert_eq!(count("HLEN", "holders"), "1", "his own, and not that of the line that he wears no more");
}
