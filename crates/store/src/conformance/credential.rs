//! Credentials.

use std::sync::Arc;

use roamline_domain::PrincipalName;
use roamline_domain::credential::{Attempts, KnownPlace, OwnPolicy, PrincipalKind, Role, Tally};
use tokio::task::JoinSet;

use super::fixture::at;
use crate::{CredentialStore, Principal, SecretRecord};

fn name(text: &str) -> PrincipalName {
    text.parse().unwrap()
}

fn principal(text: &str) -> Principal {
    Principal {
        roles: [Role::Agent, Role::Supervisor].into(),
        ..Principal::new(name(text), PrincipalKind::User)
    }
}

fn secret(hash: &str) -> SecretRecord {
    SecretRecord {
        hash: hash.into(),
        must_change: true,
        set_at: at(5),
        used_at: Some(at(6)),
        history: vec!["y".into(), "x".into()],
    }
}

fn attempts() -> Attempts {
    let tally = Tally { failures: 2, last_failure_at: Some(at(7)), locked_until: Some(at(8)) };
    let place = "192.0.2.7".parse().unwrap();
    Attempts { known: vec![KnownPlace { place, proven_at: at(6), tally: tally.clone() }], tally }
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
            attempts: attempts(),
            policy: OwnPolicy { history: (version != 1).then_some(7), ..OwnPolicy::default() },
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

/// Whoever is there and is of the kind that is meant; the others stay.
pub async fn a_principal_that_is_deleted_is_gone_and_others_are_not(store: Arc<impl CredentialStore>) {
    let other = Principal::new(name("other"), PrincipalKind::Administrator);
    assert!(store.set_principals(vec![principal("a"), principal("b"), other.clone()]).await.unwrap());
    let names = [name("a"), name("nobody"), name("other")];
    for _ in 0..2 {
        store.delete_principals(&names, Some(PrincipalKind::User)).await.unwrap();
    }
    assert_eq!(store.principal(&name("a")).await.unwrap(), None);
    assert!(store.principal(&name("b")).await.unwrap().is_some());
    assert_eq!(store.principal(&name("other")).await.unwrap(), Some(Principal { version: 1, ..other }));
    store.delete_principals(&names, None).await.unwrap();
    assert_eq!(store.principal(&name("other")).await.unwrap(), None);
    store.delete_principals(&[], None).await.unwrap();
}

/// A decision that was made from one who is gone is not written to his successor.
pub async fn a_successor_has_no_version_that_his_predecessor_had(store: Arc<impl CredentialStore>) {
    let mut versions = Vec::new();
    for _ in 0..3 {
        assert!(store.set_principals(vec![principal("a")]).await.unwrap());
        for _ in 0..2 {
            let held = store.principal(&name("a")).await.unwrap().unwrap();
            versions.push(held.version);
            assert!(store.set_principals(vec![held]).await.unwrap());
        }
        let last = store.principal(&name("a")).await.unwrap().unwrap();
        versions.push(last.version);
        store.delete_principals(&[name("a")], None).await.unwrap();
        assert!(!store.set_principals(vec![last]).await.unwrap(), "he is gone");
    }
    assert!(versions.is_sorted_by(|one, next| one < next), "{versions:?}");
}
