//! Credentials and signing keys.

use std::sync::Arc;

use jiff::SignedDuration;
use roamline_domain::PrincipalName;
use roamline_domain::credential::{Attempts, PrincipalKind};
use tokio::task::JoinSet;

use super::fixture::at;
use crate::{CredentialStore, KeyRecord, Principal, SecretRecord};

fn name(text: &str) -> PrincipalName {
    text.parse().unwrap()
}

fn principal(text: &str) -> Principal {
    Principal {
        name: name(text),
        kind: PrincipalKind::User,
        pin: None,
        password: None,
        attempts: Attempts::default(),
        version: 0,
    }
}

fn secret(hash: &str) -> SecretRecord {
    SecretRecord { hash: hash.into(), must_change: true, set_at: at(5) }
}

fn signing_key(kid: &str, created: i64) -> KeyRecord {
    KeyRecord { kid: kid.into(), pkcs8: vec![48, 0, 255, 1], created_at: at(created) }
}

/// Absence is no error.
pub async fn an_unknown_principal_is_none(store: Arc<impl CredentialStore>) {
    assert_eq!(store.principal(&name("nobody")).await.unwrap(), None);
    assert!(store.set_principals(Vec::new()).await.unwrap());
}

/// As it was written, one version on.
pub async fn every_field_of_a_principal_is_kept_and_its_version_grows(store: Arc<impl CredentialStore>) {
    let kinds = [
        PrincipalKind::User,
        PrincipalKind::LogoutProfile,
        PrincipalKind::Application,
        PrincipalKind::Administrator,
        PrincipalKind::PhoneLink,
    ];
    for (version, kind) in (0..).zip(kinds) {
        let written = Principal {
            kind,
            pin: (version != 2).then(|| secret("$argon2id$1")),
            password: (version != 3).then(|| secret("$argon2id$2")),
            attempts: Attempts { failures: 2, last_failure_at: Some(at(7)), locked_until: Some(at(8)) },
            version,
            ..principal("agent1")
        };
        assert!(store.set_principals(vec![written.clone()]).await.unwrap());
        let read = store.principal(&name("agent1")).await.unwrap();
        assert_eq!(read, Some(Principal { version: version + 1, ..written }));
    }
    assert_eq!(store.principal(&name("AGENT1")).await.unwrap(), None, "names differ by case");
}

/// An old version, a future one, or a creation of what is there.
pub async fn a_principal_that_moved_is_not_written(store: Arc<impl CredentialStore>) {
    assert!(!store.set_principals(vec![Principal { version: 1, ..principal("a") }]).await.unwrap());
    assert_eq!(store.principal(&name("a")).await.unwrap(), None);
    assert!(store.set_principals(vec![principal("a")]).await.unwrap());
    for version in [0, 2, u64::MAX] {
        let moved = Principal { version, pin: Some(secret("x")), ..principal("a") };
        assert!(!store.set_principals(vec![moved]).await.unwrap());
    }
    assert_eq!(store.principal(&name("a")).await.unwrap(), Some(Principal { version: 1, ..principal("a") }));
}

/// All or none, wherever in the list it stands.
pub async fn one_that_moved_keeps_all_from_being_written(store: Arc<impl CredentialStore>) {
    assert!(store.set_principals(vec![principal("b"), principal("c")]).await.unwrap());
    assert!(!store.set_principals(vec![principal("a"), principal("b")]).await.unwrap());
    assert!(!store.set_principals(vec![principal("b"), principal("a")]).await.unwrap());
    assert_eq!(store.principal(&name("a")).await.unwrap(), None);
}

/// DP-16: an import that names one twice is told so.
pub async fn a_name_twice_in_one_step_is_refused(store: Arc<impl CredentialStore>) {
    assert!(!store.set_principals(vec![principal("a"), principal("a")]).await.unwrap());
    assert_eq!(store.principal(&name("a")).await.unwrap(), None);
}

/// No failure that was counted is lost.
pub async fn of_16_writers_from_one_version_one_writes(store: Arc<impl CredentialStore>) {
    for version in 0..4 {
        let mut tasks = JoinSet::new();
        for _ in 0..16 {
            let store = Arc::clone(&store);
            let principal = Principal { version, ..principal("a") };
            tasks.spawn(async move { store.set_principals(vec![principal]).await.unwrap() });
        }
        assert_eq!(tasks.join_all().await.into_iter().filter(|written| *written).count(), 1);
    }
    assert_eq!(store.principal(&name("a")).await.unwrap().unwrap().version, 4);
}

/// Keys of the same instant by kid.
pub async fn keys_are_the_oldest_first(store: Arc<impl CredentialStore>) {
    assert!(store.keys().await.unwrap().is_empty());
    let mut late = signing_key("a", 10);
    late.created_at += SignedDuration::from_micros(1);
    let keys = vec![late.clone(), signing_key("c", 10), signing_key("b", 10), signing_key("d", 1)];
    let sorted = vec![signing_key("d", 1), signing_key("b", 10), signing_key("c", 10), late];
    assert_eq!(store.ensure_keys(keys).await.unwrap(), sorted);
    assert_eq!(store.keys().await.unwrap(), sorted);
}

/// Those that are there stay.
pub async fn keys_are_added_only_where_there_are_none(store: Arc<impl CredentialStore>) {
    assert!(store.ensure_keys(Vec::new()).await.unwrap().is_empty());
    let first = vec![signing_key("a", 1), signing_key("b", 2)];
    assert_eq!(store.ensure_keys(first.clone()).await.unwrap(), first);
    assert_eq!(store.ensure_keys(vec![signing_key("c", 0)]).await.unwrap(), first);
    assert_eq!(store.keys().await.unwrap(), first);
}

/// All of them go on with the same keys.
pub async fn of_16_processes_that_bring_keys_one_does(store: Arc<impl CredentialStore>) {
    let mut tasks = JoinSet::new();
    for number in 0..16 {
        let store = Arc::clone(&store);
        let keys = vec![signing_key(&format!("{number}a"), 1), signing_key(&format!("{number}b"), 2)];
        tasks.spawn(async move { store.ensure_keys(keys).await.unwrap() });
    }
    let held = store.keys().await.unwrap();
    let answers = tasks.join_all().await;
    assert!(answers.iter().all(|keys| *keys == answers[0]));
    assert_eq!(store.keys().await.unwrap(), answers[0]);
    assert!(held.is_empty() || held == answers[0]);
}
