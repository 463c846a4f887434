//! Imports (DP-19): how rows are staged, found again and forgotten.

use std::sync::Arc;

use roamline_domain::directory::{Claim, Kind, Resource};
use tokio::task::JoinSet;

use super::fixture::{at, create, delete, device, keep, line, made, person, profile, replace};
use crate::{
    Change, DirectoryStore, Import, ImportError, ImportStore, ListQuery, StageError, Staged, StoreError,
};

const PHONE: &str = "SEP000000000001";

/// Opens the import of that token, whose id is made from it.
pub(super) async fn open(store: &Arc<impl ImportStore>, token: &str) -> Import {
    store.open_import(token, &format!("id of {token}"), at(0)).await.unwrap()
}

/// Stages changes as the next rows of an import, one each.
pub(super) async fn stage(
    store: &Arc<impl ImportStore>,
    import: &Import,
    changes: Vec<Change>,
) -> Result<(), StageError> {
    let from = store.find_import(&import.id).await.unwrap().map_or(1, |import| import.next_row);
    let next = from + changes.len() as u64;
    store.stage(&import.id, from, (from..).zip(changes).collect(), next, at(0)).await
}

/// The rows of an import, one page.
async fn staged(store: &Arc<impl ImportStore>, import: &Import) -> Vec<Staged> {
    store.staged(&import.id, 0, 10_000).await.unwrap()
}

/// A client that was interrupted finds its import by the name that it has given it.
pub async fn an_import_is_found_by_its_token_until_it_ends(store: Arc<impl ImportStore>) {
    let import = open(&store, "file").await;
    let new =
        Import { id: import.id.clone(), token: "file".into(), created_at: at(0), next_row: 1, staged: 0 };
    assert_eq!(import, new);
    stage(&store, &import, vec![create(line("1")), keep(&line("2"), None)]).await.unwrap();
    let now = Import { next_row: 3, staged: 1, ..import.clone() };
    assert_eq!(store.open_import("file", "another id", at(9)).await.unwrap(), now);
    assert_eq!(store.find_import(&import.id).await.unwrap(), Some(now));
    assert_eq!(store.find_import("another id").await.unwrap(), None);
    let other = open(&store, "other file").await;
    assert_eq!((other.next_row, other.staged), (1, 0));

    assert!(store.discard_import(&import.id).await.unwrap());
    assert!(!store.discard_import(&import.id).await.unwrap());
    assert_eq!(store.find_import(&import.id).await.unwrap(), None);
    let anew = store.open_import("file", "a third id", at(10)).await.unwrap();
    assert_eq!((anew.id.as_str(), anew.next_row, anew.staged, anew.created_at), ("a third id", 1, 0, at(10)));
    assert!(staged(&store, &anew).await.is_empty());
}

/// Two imports are never mixed up.
pub async fn an_id_that_is_in_use_opens_no_other_import(store: Arc<impl ImportStore>) {
    let import = open(&store, "file").await;
    let refused = store.open_import("other file", &import.id, at(0)).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
}

/// An import that was ended, or never was, takes nothing.
pub async fn an_import_that_is_not_open_is_unknown(store: Arc<impl ImportStore>) {
    let import = open(&store, "file").await;
    stage(&store, &import, vec![create(line("1"))]).await.unwrap();
    store.discard_import(&import.id).await.unwrap();
    for id in [import.id.as_str(), "nothing"] {
        let refused = store.stage(id, 1, vec![(1, create(line("2")))], 2, at(0)).await;
        assert!(matches!(refused, Err(StageError::Unknown)), "{refused:?}");
        let refused = store.commit_import(id, at(0), false).await;
        assert!(matches!(refused, Err(ImportError::Unknown)), "{refused:?}");
        assert_eq!(store.find_staged(id, &[line("1").key()]).await.unwrap(), [None]);
        assert!(store.staged(id, 0, 10).await.unwrap().is_empty());
    }
}

/// A chunk that is sent again is known as one.
pub async fn rows_come_in_their_order(store: Arc<impl ImportStore>) {
    let import = open(&store, "file").await;
    let rows = |from: u64| vec![(from, create(line(&format!("{from}"))))];
    store.stage(&import.id, 1, rows(1), 5, at(0)).await.unwrap();
    for from in [0, 1, 4, 6, u64::MAX] {
        match store.stage(&import.id, from, rows(5), 6, at(0)).await {
            Err(StageError::Row { expected }) => assert_eq!(expected, 5),
            other => panic!("{other:?}"),
        }
    }
    store.stage(&import.id, 5, Vec::new(), 7, at(0)).await.unwrap();
    store.stage(&import.id, 7, rows(7), 8, at(0)).await.unwrap();
    let found: Vec<u64> = staged(&store, &import).await.iter().map(|staged| staged.row).collect();
    assert_eq!(found, [1, 7]);
}

/// Until it is committed.
pub async fn what_is_staged_is_seen_by_its_import_alone(store: Arc<impl DirectoryStore + ImportStore>) {
    made(&store, vec![create(line("2"))]).await;
    let (import, other) = (open(&store, "file").await, open(&store, "other").await);
    let changes = vec![create(profile("p", &["1"])), create(line("1")), delete(&line("2"), 1)];
    stage(&store, &import, changes.clone()).await.unwrap();
    stage(&store, &other, vec![create(profile("p", &[]))]).await.unwrap();
    let keys = [line("2").key(), line("3").key(), profile("p", &[]).key(), line("1").key(), line("2").key()];
    assert_eq!(store.find(&keys[2..4]).await.unwrap(), [None, None]);
    assert_eq!(store.list(Kind::Line, &ListQuery::names_after(None, 10)).await.unwrap().len(), 1);
    let claims = [Claim { space: "device", name: "P".into() }];
    assert!(store.owners(&claims).await.unwrap().is_empty());
    assert!(store.used_by(&line("1").key(), None, 10).await.unwrap().is_empty());

    let at = |row: usize| Some(Staged { row: row as u64 + 1, change: changes[row].clone() });
    assert_eq!(store.find_staged(&import.id, &keys).await.unwrap(), [at(2), None, at(0), at(1), at(2)]);
    let others = store.find_staged(&other.id, &keys).await.unwrap();
    assert_eq!(others.iter().flatten().count(), 1);
    store.discard_import(&other.id).await.unwrap();
    assert_eq!(staged(&store, &import).await.len(), 3);
}

/// Row by row; what one row brings is not torn apart, and guards are not among it.
pub async fn staged_rows_are_paged_in_their_order(store: Arc<impl ImportStore>) {
    let import = open(&store, "file").await;
    let mut rows = Vec::new();
    for row in [3, 2, 1] {
        rows.push((row, create(line(&format!("{row}0")))));
        rows.push((row, keep(&line(&format!("{row}1")), Some(4))));
        rows.push((row, delete(&profile(&format!("p{row}"), &[]), row)));
        rows.push((row, replace(line(&format!("{row}2")), 7)));
    }
    store.stage(&import.id, 1, rows, 9, at(0)).await.unwrap();
    let mut seen = Vec::new();
    let mut after = 0;
    for _ in 0..2 {
        let page = store.staged(&import.id, after, 2).await.unwrap();
        after = page.last().unwrap().row;
        seen.extend(page);
    }
    assert!(store.staged(&import.id, after, 2).await.unwrap().is_empty());
    assert!(store.staged(&import.id, u64::MAX, 2).await.unwrap().is_empty());
    let rows: Vec<u64> = seen.iter().map(|staged| staged.row).collect();
    assert_eq!(rows, [1, 1, 1, 2, 2, 2, 3, 3, 3]);
    let first = [create(line("10")), replace(line("12"), 7), delete(&profile("p1", &[]), 1)];
    assert_eq!(seen[..3].iter().map(|staged| staged.change.clone()).collect::<Vec<_>>(), first);
    assert_eq!(store.find_import(&import.id).await.unwrap().unwrap().staged, 9);
}

/// In the chunk and in those before it; nothing of the chunk is staged.
pub async fn a_resource_is_changed_by_one_row(store: Arc<impl ImportStore>) {
    let import = open(&store, "file").await;
    stage(&store, &import, vec![create(line("1")), keep(&line("2"), None)]).await.unwrap();
    let cases = [
        (vec![create(line("3")), delete(&line("1"), 1)], 4, 1, line("1")),
        (vec![create(line("3")), create(line("4")), replace(line("3"), 1)], 5, 3, line("3")),
    ];
    for (changes, late, early, resource) in cases {
        match stage(&store, &import, changes).await {
            Err(StageError::Repeated { row, first_row, key }) => {
                assert_eq!((row, first_row, key), (late, early, resource.key()));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(staged(&store, &import).await.len(), 1);
        assert_eq!(store.find_import(&import.id).await.unwrap().unwrap().next_row, 3);
    }
    let guards =
        vec![keep(&line("1"), None), keep(&line("2"), None), keep(&line("2"), None), create(line("2"))];
    stage(&store, &import, guards).await.unwrap();
}

/// DP-1: members of an import cannot take one name.
pub async fn dp_1_a_name_is_taken_by_one_row(store: Arc<impl ImportStore>) {
    let import = open(&store, "file").await;
    stage(&store, &import, vec![create(device(PHONE, &[]))]).await.unwrap();
    let user = |id, own| create(person(id, &[], Some(own)));
    let cases = [
        (vec![create(line("1")), create(profile("sep000000000001", &[]))], 3, 1, PHONE),
        (vec![user("amy", "4711"), user("bob", "4712"), user("zoe", "4711")], 4, 2, "4711"),
    ];
    for (changes, late, early, name) in cases {
        match stage(&store, &import, changes).await {
            Err(StageError::Taken { row, claim, by }) => {
                assert_eq!((row, by, claim.name.as_str()), (late, early, name));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(staged(&store, &import).await.len(), 1);
    }
}

/// Not a moment's work: each use counts.
pub async fn imports_that_nobody_has_used_for_long_are_discarded(store: Arc<impl ImportStore>) {
    for token in ["old", "staged", "found", "new"] {
        let opened_at = at(if token == "new" { 100 } else { 0 });
        store.open_import(token, token, opened_at).await.unwrap();
        let row = vec![(1, create(profile(token, &["1"])))];
        store.stage(token, 1, row, 2, opened_at).await.unwrap();
    }
    store.stage("staged", 2, Vec::new(), 3, at(50)).await.unwrap();
    store.open_import("found", "x", at(50)).await.unwrap();
    assert_eq!(store.discard_imports_before(at(0)).await.unwrap(), 0);
    assert_eq!(store.discard_imports_before(at(50)).await.unwrap(), 1);
    assert_eq!(store.find_import("old").await.unwrap(), None);
    assert_eq!(store.discard_imports_before(at(51)).await.unwrap(), 2);
    assert_eq!(store.discard_imports_before(at(51)).await.unwrap(), 0);
    assert!(store.find_import("new").await.unwrap().is_some());
    assert_eq!(store.staged("new", 0, 10).await.unwrap().len(), 1);
}

/// One client that lost an answer, or two that took the same file.
pub async fn of_8_that_stage_the_same_rows_one_does(store: Arc<impl ImportStore>) {
    let mut tasks = JoinSet::new();
    for number in 0..8 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let import = store.open_import("file", &format!("id{number}"), at(0)).await.unwrap();
            let rows: Vec<_> = (1..=20).map(|row| (row, create(line(&format!("{row}"))))).collect();
            (import.id.clone(), store.stage(&import.id, 1, rows, 21, at(0)).await)
        });
    }
    let results = tasks.join_all().await;
    let known = |result: &Result<(), StageError>| matches!(result, Err(StageError::Row { expected: 21 }));
    assert_eq!(results.iter().filter(|(_, result)| result.is_ok()).count(), 1, "{results:?}");
    assert_eq!(results.iter().filter(|(_, result)| known(result)).count(), 7, "{results:?}");
    let import = open(&store, "file").await;
    assert!(results.iter().all(|(id, _)| *id == import.id));
    assert_eq!((import.next_row, import.staged), (21, 20));
}

/// A chunk as large as one may be.
pub async fn a_large_chunk_is_staged_whole(store: Arc<impl ImportStore>) {
    let import = open(&store, "file").await;
    let resource = |number: u32| match number % 3 {
        0 => line(&format!("{number}")),
        1 => profile(&format!("p{number}"), &["1", "2", "3", "4", "5", "6"]),
        _ => person(&format!("agent{number}"), &["p"], Some(&format!("{number}"))),
    };
    let resources: Vec<Resource> = (1..=1_500).map(resource).collect();
    stage(&store, &import, resources.iter().cloned().map(create).collect()).await.unwrap();
    let keys: Vec<_> = resources.iter().map(Resource::key).collect();
    let found = store.find_staged(&import.id, &keys).await.unwrap();
    let changes: Vec<_> = found.into_iter().flatten().map(|staged| staged.change).collect();
    assert_eq!(changes, resources.into_iter().map(create).collect::<Vec<_>>());
    let again = stage(&store, &import, vec![create(line("3"))]).await;
    assert!(matches!(again, Err(StageError::Repeated { row: 1_501, first_row: 3, .. })), "{again:?}");
}
