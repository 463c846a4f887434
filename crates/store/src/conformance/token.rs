//! Sign-ins, revocations and signing keys.

use std::sync::Arc;

use jiff::SignedDuration;
use roamline_domain::PrincipalName;
use roamline_domain::credential::SecretKind;
use tokio::task::JoinSet;

use super::fixture::at;
use crate::{KeyRecord, Revocation, Revoked, SignIn, TokenStore};

fn name(text: &str) -> PrincipalName {
    text.parse().unwrap()
}

fn sign_in(id: &str, principal: &str, begun: i64) -> SignIn {
    SignIn {
        id: id.into(),
        principal: name(principal),
        secret_kind: SecretKind::Password,
        secret_set_at: at(1),
        seed: vec![0, 255, 1],
        counter: 0,
        current: vec![7, 0, 7],
        previous: None,
        refreshed_at: at(begun),
        begun_at: at(begun),
        ends_at: at(begun + 1000),
        expires_at: at(begun + 100),
    }
}

fn refreshed(sign_in: &SignIn) -> SignIn {
    SignIn {
        counter: sign_in.counter + 1,
        current: vec![8; 32],
        previous: Some(sign_in.current.clone()),
        refreshed_at: sign_in.refreshed_at + SignedDuration::from_micros(1),
        expires_at: sign_in.expires_at + SignedDuration::from_secs(1),
        ..sign_in.clone()
    }
}

fn revocation(of: Revoked, until: i64) -> Revocation {
    Revocation { of, signed_until: at(until), expires_at: at(until + 100) }
}

fn of_sign_in(id: &str, until: i64) -> Revocation {
    revocation(Revoked::SignIn(id.into()), until)
}

fn of_principal(principal: &str, until: i64) -> Revocation {
    revocation(Revoked::Principal(name(principal)), until)
}

fn signing_key(kid: &str, created: i64) -> KeyRecord {
    KeyRecord {
        kid: kid.into(),
        pkcs8: vec![48, 0, 255, 1],
        created_at: at(created),
        signs_from: None,
        retired_at: None,
    }
}

/// Every field; absence is no error.
pub async fn a_sign_in_is_kept_as_it_was_begun_and_refreshed(store: Arc<impl TokenStore>) {
    assert_eq!(store.sign_in("a").await.unwrap(), None);
    let mut held = SignIn { secret_kind: SecretKind::Pin, ..sign_in("a", "agent1", 10) };
    assert_eq!(store.begin_sign_in(held.clone(), 4, at(10)).await.unwrap(), None);
    for _ in 0..3 {
        assert_eq!(store.sign_in("a").await.unwrap().as_ref(), Some(&held));
        held = refreshed(&held);
        assert!(store.refresh_sign_in(held.clone()).await.unwrap());
    }
    assert_eq!(store.sign_in("A").await.unwrap(), None, "ids differ by case");
}

/// Neither one that was refreshed meanwhile, nor one that has ended, nor one that is ahead.
pub async fn a_sign_in_is_refreshed_from_its_counter_alone(store: Arc<impl TokenStore>) {
    let first = sign_in("a", "agent1", 10);
    let second = refreshed(&first);
    assert!(!store.refresh_sign_in(second.clone()).await.unwrap(), "there is none");
    store.begin_sign_in(first.clone(), 4, at(10)).await.unwrap();
    for counter in [0, 2, u64::MAX] {
        assert!(!store.refresh_sign_in(SignIn { counter, ..second.clone() }).await.unwrap());
    }
    assert_eq!(store.sign_in("a").await.unwrap(), Some(first));
    assert!(store.refresh_sign_in(second.clone()).await.unwrap());
    assert!(!store.refresh_sign_in(second.clone()).await.unwrap());
    store.revoke(vec![of_sign_in("a", 20)]).await.unwrap();
    assert!(!store.refresh_sign_in(refreshed(&second)).await.unwrap());
    assert_eq!(store.sign_in("a").await.unwrap(), None);
}

/// One successor, whatever happens at once.
pub async fn of_16_refreshes_from_one_counter_one_is_made(store: Arc<impl TokenStore>) {
    let first = sign_in("a", "agent1", 10);
    store.begin_sign_in(first.clone(), 4, at(10)).await.unwrap();
    let mut tasks = JoinSet::new();
    for number in 0..16 {
        let (store, next) = (Arc::clone(&store), SignIn { current: vec![number; 32], ..refreshed(&first) });
        tasks.spawn(async move { store.refresh_sign_in(next).await.unwrap() });
    }
    assert_eq!(tasks.join_all().await.into_iter().filter(|made| *made).count(), 1);
    assert_eq!(store.sign_in("a").await.unwrap().unwrap().counter, 1);
}

/// Those of others stay.
pub async fn of_a_principal_the_latest_sign_ins_are_kept(store: Arc<impl TokenStore>) {
    store.begin_sign_in(sign_in("other", "agent2", 1), 2, at(1)).await.unwrap();
    for (id, begun) in [("a", 10), ("b", 12), ("c", 11)] {
        store.begin_sign_in(sign_in(id, "agent1", begun), 3, at(begun)).await.unwrap();
    }
    store.begin_sign_in(sign_in("d", "agent1", 13), 3, at(13)).await.unwrap();
    for (id, there) in [("a", false), ("b", true), ("c", true), ("d", true), ("other", true)] {
        assert_eq!(store.sign_in(id).await.unwrap().is_some(), there, "{id}");
    }
    store.begin_sign_in(sign_in("e", "agent1", 111), 3, at(111)).await.unwrap();
    assert_eq!(store.sign_in("c").await.unwrap(), None, "it has expired");
    assert!(store.sign_in("b").await.unwrap().is_some());
    store.begin_sign_in(sign_in("f", "agent1", 112), 0, at(112)).await.unwrap();
    assert!(store.sign_in("f").await.unwrap().is_some(), "what is begun is there");
    assert_eq!(store.sign_in("e").await.unwrap(), None);
}

/// Whoever signs in then is told to sign later.
pub async fn a_principal_that_is_revoked_has_no_sign_in_any_more(store: Arc<impl TokenStore>) {
    for (id, principal) in [("a", "agent1"), ("b", "agent1"), ("c", "agent2")] {
        store.begin_sign_in(sign_in(id, principal, 10), 4, at(10)).await.unwrap();
    }
    store.revoke(vec![of_principal("agent1", 30), of_principal("agent1", 20)]).await.unwrap();
    for (id, there) in [("a", false), ("b", false), ("c", true)] {
        assert_eq!(store.sign_in(id).await.unwrap().is_some(), there, "{id}");
    }
    let made =
        [of_principal("agent1", 30), of_sign_in("a", 30), of_sign_in("b", 30), of_principal("agent1", 20)];
    assert_eq!(store.revocations(0, at(30), 10).await.unwrap().revocations, made, "tokens being signed");
    let told = store.begin_sign_in(sign_in("d", "agent1", 25), 4, at(25)).await.unwrap();
    assert_eq!(told, Some(at(30)));
    assert_eq!(store.begin_sign_in(sign_in("e", "agent2", 25), 4, at(25)).await.unwrap(), None);
}

/// From any place, page by page; a place ahead is that before the first.
pub async fn revocations_are_read_in_their_order_after_any_place(store: Arc<impl TokenStore>) {
    assert_eq!(store.revocations(0, at(0), 10).await.unwrap().revision, 0);
    assert_eq!(store.revoke(Vec::new()).await.unwrap(), 0);
    let all = [
        of_sign_in("a", 1),
        of_principal("agent1", 2),
        revocation(Revoked::Key("k1".into()), 3),
        of_sign_in("b", 4),
    ];
    assert_eq!(store.revoke(all[..3].to_vec()).await.unwrap(), 3);
    assert_eq!(store.revoke(all[3..].to_vec()).await.unwrap(), 4);
    for after in 0..=4 {
        let page = store.revocations(after, at(5), 10).await.unwrap();
        assert_eq!((page.revocations.as_slice(), page.revision), (&all[after as usize..], 4), "{after}");
    }
    let page = store.revocations(1, at(5), 2).await.unwrap();
    assert_eq!((page.revocations.as_slice(), page.revision), (&all[1..3], 3));
    assert_eq!(store.revocations(9, at(5), 10).await.unwrap().revocations.len(), 4, "the place is ahead");
    let page = store.revocations(0, at(102), 10).await.unwrap();
    assert_eq!((page.revocations.as_slice(), page.revision), (&all[2..], 4), "two have expired");
}

/// The place of the last one is never given again.
pub async fn trimmed_sign_ins_and_revocations_leave_the_last_place(store: Arc<impl TokenStore>) {
    store.trim_tokens(at(1000)).await.unwrap();
    for (id, begun) in [("a", 10), ("b", 11)] {
        store.begin_sign_in(sign_in(id, "agent1", begun), 4, at(begun)).await.unwrap();
    }
    store.revoke(vec![of_sign_in("x", 1), of_sign_in("y", 20), of_sign_in("z", 2)]).await.unwrap();
    store.trim_tokens(at(110)).await.unwrap();
    assert_eq!(store.sign_in("a").await.unwrap(), None);
    assert!(store.sign_in("b").await.unwrap().is_some());
    let page = store.revocations(0, at(0), 10).await.unwrap();
    assert_eq!((page.revocations, page.revision), (vec![of_sign_in("y", 20), of_sign_in("z", 2)], 3));
    store.trim_tokens(at(1000)).await.unwrap();
    assert_eq!(store.revoke(vec![of_sign_in("w", 2000)]).await.unwrap(), 4);
}

/// Nobody who follows them misses one.
pub async fn of_revocations_at_once_each_has_its_own_place(store: Arc<impl TokenStore>) {
    let mut tasks = JoinSet::new();
    for number in 0..16 {
        let store = Arc::clone(&store);
        tasks.spawn(async move { store.revoke(vec![of_sign_in(&format!("s{number}"), 1)]).await.unwrap() });
    }
    let mut places = tasks.join_all().await;
    places.sort_unstable();
    assert_eq!(places, (1..=16).collect::<Vec<_>>());
    assert_eq!(store.revocations(0, at(1), 100).await.unwrap().revocations.len(), 16);
}

/// Keys of the same instant by kid.
pub async fn keys_are_the_oldest_first(store: Arc<impl TokenStore>) {
    assert!(store.keys().await.unwrap().is_empty());
    let mut late = signing_key("a", 10);
    late.created_at += SignedDuration::from_micros(1);
    let keys = vec![late.clone(), signing_key("c", 10), signing_key("b", 10), signing_key("d", 1)];
    let sorted = vec![signing_key("d", 1), signing_key("b", 10), signing_key("c", 10), late];
    assert!(store.swap_keys(&[], keys).await.unwrap());
    assert_eq!(store.keys().await.unwrap(), sorted);
}

/// With every field; whoever knows others changes nothing.
pub async fn keys_are_swapped_from_those_that_are_there_alone(store: Arc<impl TokenStore>) {
    assert!(!store.swap_keys(&[signing_key("x", 1)], vec![signing_key("a", 1)]).await.unwrap());
    let first = vec![KeyRecord { signs_from: Some(at(2)), ..signing_key("a", 1) }, signing_key("b", 2)];
    assert!(store.swap_keys(&[], first.clone()).await.unwrap());
    let retired = KeyRecord { retired_at: Some(at(9)), ..first[0].clone() };
    let second =
        vec![retired, KeyRecord { signs_from: Some(at(9)), ..first[1].clone() }, signing_key("c", 9)];
    for wrong in [&[][..], &first[..1], &second[..], &[first[0].clone(), signing_key("b", 3)]] {
        assert!(!store.swap_keys(wrong, second.clone()).await.unwrap());
        assert_eq!(store.keys().await.unwrap(), first);
    }
    assert!(store.swap_keys(&first, second.clone()).await.unwrap());
    assert_eq!(store.keys().await.unwrap(), second);
    assert!(store.swap_keys(&second, second[1..].to_vec()).await.unwrap());
    assert_eq!(store.keys().await.unwrap(), second[1..]);
}

/// All of them go on with the same keys.
pub async fn of_16_processes_that_bring_keys_one_does(store: Arc<impl TokenStore>) {
    let mut tasks = JoinSet::new();
    for number in 0..16 {
        let store = Arc::clone(&store);
        let keys = vec![signing_key(&format!("{number}a"), 1), signing_key(&format!("{number}b"), 2)];
        tasks.spawn(async move { store.swap_keys(&[], keys).await.unwrap() });
    }
    assert_eq!(tasks.join_all().await.into_iter().filter(|brought| *brought).count(), 1);
    assert_eq!(store.keys().await.unwrap().len(), 2);
}
