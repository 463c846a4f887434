//! Imports (DP-19): how they are committed, all at once or not at all.

use std::sync::Arc;

use roamline_domain::directory::{Key, Kind};
use tokio::task::JoinSet;

use super::fixture::{at, create, delete, device, find, keep, line, made, person, profile, replace, version};
use super::import::{open, stage};
use crate::import::MOST_ERRORS;
use crate::{Change, Committed, DirectoryError, DirectoryStore, Import, ImportError, ImportStore, ListQuery};

const PHONE: &str = "SEP000000000001";

/// An import of that token with these changes, a row each from 1 on.
async fn staged(store: &Arc<impl ImportStore>, token: &str, changes: Vec<Change>) -> Import {
    let import = open(store, token).await;
    stage(store, &import, changes).await.unwrap();
    import
}

fn committed(created: u64, updated: u64, deleted: u64) -> Committed {
    Committed { created, updated, deleted }
}

/// What stands in the way, row by row, as texts.
async fn refused(store: &Arc<impl ImportStore>, import: &Import) -> Vec<(u64, String)> {
    let mut told = Vec::new();
    for validate_only in [true, false] {
        let error = store.commit_import(&import.id, at(9), validate_only).await.unwrap_err();
        let ImportError::Refused(errors) = error else { panic!("{error:?}") };
        told.push(errors.into_iter().map(|error| (error.row, error.error.to_string())).collect::<Vec<_>>());
    }
    assert_eq!(told[0], told[1]);
    assert!(store.find_import(&import.id).await.unwrap().is_some());
    told.remove(0)
}

/// Whatever the order of its rows; they may exchange names and refer to each other.
pub async fn dp_19_a_commit_makes_all_changes_at_once_and_ends_the_import(
    store: Arc<impl DirectoryStore + ImportStore>,
) {
    let stay = vec![create(line("1")), create(line("2")), create(profile("old", &["1", "2"]))];
    made(&store, stay).await;
    made(&store, vec![create(person("amy", &["old"], Some("1"))), create(person("bob", &[], Some("2")))])
        .await;
    let changes = vec![
        create(person("zoe", &["new"], Some("3"))),
        create(profile("new", &["2", "3"])),
        create(line("3")),
        delete(&profile("old", &[]), 1),
        create(device("SEP00000000000A", &["3"])),
        replace(person("amy", &["new"], Some("2")), 1),
        replace(person("bob", &[], Some("1")), 1),
        delete(&line("1"), 1),
        keep(&line("2"), Some(1)),
        keep(&line("4"), None),
    ];
    let import = staged(&store, "file", changes).await;
    assert_eq!(store.commit_import(&import.id, at(5), true).await.unwrap(), committed(4, 2, 2));
    assert_eq!(version(&store, &line("3")).await, None);
    assert_eq!(store.commit_import(&import.id, at(5), false).await.unwrap(), committed(4, 2, 2));

    let amy = find(&store, &Key::new(Kind::User, "amy")).await.unwrap();
    assert_eq!((amy.version, amy.updated_at), (2, at(5)));
    assert_eq!(amy.resource, person("amy", &["new"], Some("2")));
    let zoe = find(&store, &Key::new(Kind::User, "zoe")).await.unwrap();
    assert_eq!((zoe.version, zoe.updated_at), (1, at(5)));
    for (gone, there) in [(line("1"), line("2")), (profile("old", &[]), profile("new", &[]))] {
        assert_eq!((version(&store, &gone).await, version(&store, &there).await), (None, Some(1)));
    }
    let users = store.used_by(&line("2").key(), None, 10).await.unwrap();
    assert_eq!(users, [profile("new", &[]).key()]);
    let owners = store.owners(&person("x", &[], Some("1")).claims()).await.unwrap();
    assert_eq!(owners.into_values().collect::<Vec<_>>(), [Key::new(Kind::User, "bob")]);
    assert!(store.owners(&profile("old", &[]).claims()).await.unwrap().is_empty());
    let again = store.commit_import(&import.id, at(5), false).await;
    assert!(matches!(again, Err(ImportError::Unknown)), "{again:?}");
    assert_eq!(open(&store, "file").await.next_row, 1);
}

/// Nothing staged is nothing to do.
pub async fn an_empty_import_is_committed(store: Arc<impl DirectoryStore + ImportStore>) {
    let import = open(&store, "file").await;
    assert_eq!(store.commit_import(&import.id, at(0), false).await.unwrap(), Committed::default());
    assert_eq!(store.find_import(&import.id).await.unwrap(), None);
}

/// All of it, with its rows, and nothing changes.
pub async fn dp_19_a_refused_import_names_every_row_and_changes_nothing(
    store: Arc<impl DirectoryStore + ImportStore>,
) {
    made(&store, vec![create(line("1")), create(line("2")), create(line("3"))]).await;
    made(&store, vec![replace(line("2"), 1), create(device(PHONE, &["1", "3"]))]).await;
    let users = vec![create(profile("p", &["1"])), create(person("amy", &["p"], Some("1")))];
    made(&store, users).await;
    let changes = vec![
        create(line("1")),
        replace(line("2"), 1),
        replace(line("9"), 3),
        delete(&line("8"), 1),
        keep(&profile("p", &[]), Some(7)),
        keep(&line("7"), Some(1)),
        create(profile(PHONE, &[])),
        create(person("zoe", &["p", "q", "r"], Some("1"))),
        create(profile("new", &["3"])),
        delete(&line("3"), 1),
        create(line("4")),
        replace(line("6"), 0),
    ];
    let import = staged(&store, "file", changes).await;
    let expected = [
        (1, "line 1 has changed meanwhile"),
        (2, "line 2 has changed meanwhile"),
        (3, "line 9 has changed meanwhile"),
        (4, "line 8 has changed meanwhile"),
        (5, "user-device-profile p has changed meanwhile"),
        (6, "line 7 has changed meanwhile"),
        (7, "the name SEP000000000001 is taken by phone SEP000000000001"),
        (8, "the name 1 is taken by user amy"),
        (8, "user zoe refers to user-device-profile q, which does not exist"),
        (8, "user zoe refers to user-device-profile r, which does not exist"),
        (9, "user-device-profile new refers to line 3, which does not exist"),
        (10, "line 3 is used by phone SEP000000000001"),
        (12, "line 6 has changed meanwhile"),
    ];
    let mut told = refused(&store, &import).await;
    told.sort();
    assert_eq!(told, expected.map(|(row, text)| (row, text.to_owned())));
    let lines = store.list(Kind::Line, &ListQuery::names_after(None, 10)).await.unwrap();
    assert_eq!(lines.iter().map(|stored| stored.version).collect::<Vec<_>>(), [1, 2, 1]);
    assert_eq!(store.used_by(&line("1").key(), None, 10).await.unwrap().len(), 2);
    assert_eq!(store.find_import(&import.id).await.unwrap().unwrap().staged, 10);
}

/// The versions that are told are those of now.
pub async fn a_moved_row_names_the_version_of_now(store: Arc<impl DirectoryStore + ImportStore>) {
    made(&store, vec![create(line("1"))]).await;
    let moved = vec![replace(line("1"), u64::MAX), keep(&line("2"), Some(u64::MAX)), keep(&line("1"), None)];
    let import = staged(&store, "file", moved).await;
    let ImportError::Refused(errors) = store.commit_import(&import.id, at(0), false).await.unwrap_err()
    else {
        panic!("it is moved")
    };
    let version = |error: &DirectoryError| match error {
        DirectoryError::Moved { version, .. } => *version,
        other => panic!("{other:?}"),
    };
    let told: Vec<_> = errors.iter().map(|error| (error.row, version(&error.error))).collect();
    assert_eq!(told, [(1, Some(1)), (2, None), (3, Some(1))]);
}

/// What is deleted together, or put without the reference, is not in use; the smallest of the users is told.
pub async fn what_others_use_is_not_deleted_by_an_import(store: Arc<impl DirectoryStore + ImportStore>) {
    made(&store, vec![create(line("1")), create(line("2")), create(profile("b", &["1", "2"]))]).await;
    made(&store, vec![create(profile("a", &["2"])), create(device(PHONE, &["2"]))]).await;
    let mut user = person("amy", &[], None);
    if let roamline_domain::directory::Resource::User(user) = &mut user {
        user.primary_extension = Some("2".parse().unwrap());
    }
    made(&store, vec![create(user.clone())]).await;
    let deletions = vec![delete(&line("1"), 1), delete(&line("2"), 1), replace(profile("b", &[]), 1)];
    let import = staged(&store, "file", deletions.clone()).await;
    assert_eq!(refused(&store, &import).await, [(2, "line 2 is used by user-device-profile a".to_owned())]);
    store.discard_import(&import.id).await.unwrap();

    let rest = [delete(&profile("a", &[]), 1), replace(device(PHONE, &[]), 1), delete(&user, 1)];
    let import = staged(&store, "file", [deletions, rest.to_vec()].concat()).await;
    assert_eq!(store.commit_import(&import.id, at(0), false).await.unwrap(), committed(0, 2, 4));
    assert!(store.list(Kind::Line, &ListQuery::names_after(None, 10)).await.unwrap().is_empty());
}

/// The first ones; a file of another cluster does not drown its reader.
pub async fn of_many_errors_the_first_thousand_are_told(store: Arc<impl DirectoryStore + ImportStore>) {
    made(&store, (500..1_100).map(|number| create(line(&format!("{number}")))).collect()).await;
    let put = |number| {
        let name = format!("{number}");
        if number < 500 { create(profile(&name, &["7"])) } else { create(line(&name)) }
    };
    let import = staged(&store, "file", (1..1_100).map(put).collect()).await;
    let told = refused(&store, &import).await;
    assert_eq!(
        told.iter().map(|(row, _)| *row).collect::<Vec<_>>(),
        (1..=MOST_ERRORS as u64).collect::<Vec<_>>()
    );
}

/// DP-5: who was there first stays the first.
pub async fn dp_5_an_import_keeps_the_time_of_references(store: Arc<impl DirectoryStore + ImportStore>) {
    made(&store, vec![create(profile("p", &[])), create(profile("q", &[]))]).await;
    store.commit(vec![create(person("zoe", &["p", "q"], None))], at(1)).await.unwrap();
    store.commit(vec![create(person("bob", &["p", "q"], None))], at(2)).await.unwrap();
    let changes = vec![
        create(person("amy", &["p", "q"], None)),
        replace(person("zoe", &["p"], None), 1),
        replace(person("bob", &["p", "q"], Some("1")), 1),
    ];
    let import = staged(&store, "file", changes).await;
    store.commit_import(&import.id, at(3), false).await.unwrap();
    let keys = ["p", "q"].map(|name| profile(name, &[]).key());
    let first = store.first_users(&keys, Kind::User).await.unwrap();
    assert_eq!(first.into_values().map(|user| user.name).collect::<Vec<_>>(), ["zoe", "bob"]);
}

/// Whoever asks again learns that it is done.
pub async fn of_8_commits_of_one_import_one_is_made(store: Arc<impl DirectoryStore + ImportStore>) {
    let import = staged(&store, "file", vec![create(line("1")), create(profile("p", &["1"]))]).await;
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let (store, id) = (Arc::clone(&store), import.id.clone());
        tasks.spawn(async move { store.commit_import(&id, at(0), false).await });
    }
    let results = tasks.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    let unknown = |result: &&Result<_, _>| matches!(result, Err(ImportError::Unknown));
    assert_eq!(results.iter().filter(unknown).count(), 7, "{results:?}");
    assert_eq!(version(&store, &line("1")).await, Some(1));
}

/// DP-1 under a race of imports and others, for a profile and a phone.
pub async fn dp_1_of_64_imports_and_commits_of_one_device_name_one_is_made(
    store: Arc<impl DirectoryStore + ImportStore>,
) {
    let mut tasks = JoinSet::new();
    for number in 0..64 {
        let store = Arc::clone(&store);
        let resource = if number % 2 == 0 { profile(PHONE, &[]) } else { device(PHONE, &[]) };
        tasks.spawn(async move {
            if number % 4 < 2 {
                return store.commit(vec![create(resource)], at(0)).await.is_ok();
            }
            let import = staged(&store, &format!("file {number}"), vec![create(resource)]).await;
            store.commit_import(&import.id, at(0), false).await.is_ok()
        });
    }
    assert_eq!(tasks.join_all().await.into_iter().filter(|made| *made).count(), 1);
    let count = async |kind| store.list(kind, &ListQuery::names_after(None, 10)).await.unwrap().len();
    assert_eq!(count(Kind::Phone).await + count(Kind::UserDeviceProfile).await, 1);
}

/// Whoever comes second sees the first.
pub async fn an_import_and_what_it_was_decided_from_do_not_both_change(
    store: Arc<impl DirectoryStore + ImportStore>,
) {
    for round in 0..10 {
        let number = format!("{round}");
        made(&store, vec![create(line(&number))]).await;
        let changes = match round % 2 {
            0 => vec![create(profile(&format!("p{round}"), &[&number]))],
            _ => vec![create(profile(&format!("p{round}"), &[])), keep(&line(&number), Some(1))],
        };
        let import = staged(&store, &format!("file {round}"), changes).await;
        let mut tasks = JoinSet::new();
        let (one, other) = (Arc::clone(&store), Arc::clone(&store));
        tasks.spawn(async move { one.commit_import(&import.id, at(0), false).await.is_ok() });
        let end = vec![delete(&line(&number), 1), keep(&profile(&format!("p{round}"), &[]), None)];
        tasks.spawn(async move { other.commit(end, at(0)).await.is_ok() });
        assert_eq!(tasks.join_all().await.into_iter().filter(|made| *made).count(), 1);
    }
}

/// Chunk by chunk, and then at once.
pub async fn dp_19_a_large_import_is_one_step(store: Arc<impl DirectoryStore + ImportStore>) {
    let import = open(&store, "file").await;
    for chunk in 0..4 {
        let mut changes = Vec::new();
        for number in chunk * 500..(chunk + 1) * 500 {
            let lines: Vec<String> = (0..6).map(|button| format!("{number}{button}")).collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            changes.push(create(profile(&format!("p{number}"), &lines[..2])));
            changes.extend(lines[..2].iter().map(|number| create(line(number))));
        }
        stage(&store, &import, changes).await.unwrap();
    }
    assert!(store.list(Kind::Line, &ListQuery::names_after(None, 10)).await.unwrap().is_empty());
    assert_eq!(store.commit_import(&import.id, at(0), false).await.unwrap(), committed(6_000, 0, 0));
    let lines = store.list(Kind::Line, &ListQuery::names_after(None, 10_000)).await.unwrap();
    assert_eq!(lines.len(), 4_000);
    let users = store.used_by(&line("19991").key(), None, 10).await.unwrap();
    assert_eq!(users, [profile("p1999", &[]).key()]);
}
