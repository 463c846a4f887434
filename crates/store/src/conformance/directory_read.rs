//! Reading the directory: lists in every order, owners of names, users and the first of them, snapshots; and guards.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use roamline_domain::directory::{Claim, Key, Kind, Resource};
use tokio::task::JoinSet;

use super::fixture::{at, create, delete, device, find, keep, line, made, person, profile, replace, version};
use crate::{Change, Cursor, DirectoryError, DirectoryStore, ListQuery, Order, Stored};

const PHONE: &str = "SEP000000000001";

const ORDERS: [Order; 4] = [Order::Name, Order::NameDescending, Order::Updated, Order::UpdatedDescending];

fn names(page: &[Stored]) -> Vec<String> {
    page.iter().map(|stored| stored.resource.key().name).collect()
}

/// Profiles of which some were changed at one time, and none in the order of names.
async fn profiles(store: &Arc<impl DirectoryStore>) {
    for (second, names) in [(30, ["B", "a"]), (10, ["A b", "A-b"]), (20, ["c", "A.b"])] {
        let puts = names.map(|name| create(profile(name, &[])));
        store.commit(puts.to_vec(), at(second)).await.unwrap();
    }
}

/// The whole list, in pages of that size.
async fn walked(store: &Arc<impl DirectoryStore>, mut query: ListQuery) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        let page = store.list(Kind::UserDeviceProfile, &query).await.unwrap();
        assert!(page.len() <= query.limit as usize);
        let Some(last) = page.last() else { return seen };
        query.after = Some(Cursor::of(last, query.order));
        seen.extend(names(&page));
    }
}

/// Backwards and by time too; what was changed at one time is in the order of names.
pub async fn lists_are_paged_in_every_order(store: Arc<impl DirectoryStore>) {
    profiles(&store).await;
    made(&store, vec![create(line("1"))]).await;
    let by_name = ["A b", "A-b", "A.b", "B", "a", "c"];
    let by_time = ["A b", "A-b", "A.b", "c", "B", "a"];
    for limit in [1, 2, 3, 4, 100] {
        for order in ORDERS {
            let mut expected = if order.is_by_time() { by_time } else { by_name };
            if order.is_descending() {
                expected.reverse();
            }
            let query = ListQuery { limit, order, ..ListQuery::default() };
            assert_eq!(walked(&store, query).await, expected, "{order:?} by {limit}");
        }
    }
}

/// A place need not be that of a resource: it may be gone, or never have been.
pub async fn a_list_goes_on_after_any_place(store: Arc<impl DirectoryStore>) {
    profiles(&store).await;
    let cases = [
        (Order::Name, "A.b\0", vec!["B", "a", "c"]),
        (Order::Name, "A", vec!["A b", "A-b", "A.b", "B", "a", "c"]),
        (Order::NameDescending, "A.b\0", vec!["A.b", "A-b", "A b"]),
        (Order::NameDescending, "A.c", vec!["A.b", "A-b", "A b"]),
        (Order::Updated, "b", vec!["c", "B", "a"]),
        (Order::Updated, "c\0", vec!["B", "a"]),
        (Order::UpdatedDescending, "b", vec!["A.b", "A-b", "A b"]),
        (Order::UpdatedDescending, "c\0", vec!["c", "A.b", "A-b", "A b"]),
    ];
    for (order, name, expected) in cases {
        let after = Some(Cursor { updated_at: Some(at(20)), name: name.into() });
        let query = ListQuery { after, limit: 10, order, prefix: None };
        let found = store.list(Kind::UserDeviceProfile, &query).await.unwrap();
        assert_eq!(names(&found), expected, "{order:?} after {name:?}");
    }
    for order in ORDERS {
        for (updated_at, name) in [(Timestamp::MIN, "\0"), (Timestamp::MAX, "\u{10ffff}")] {
            let after = Some(Cursor { updated_at: Some(updated_at), name: name.into() });
            let query = ListQuery { after, limit: 10, order, prefix: None };
            let found = store.list(Kind::UserDeviceProfile, &query).await.unwrap().len();
            let lies_ahead = order.is_descending() == (updated_at == Timestamp::MAX);
            assert_eq!(found, if lies_ahead { 6 } else { 0 }, "{order:?} after {name:?}");
        }
    }
}

/// In every order, and with places that do not begin so.
pub async fn a_prefix_leaves_the_names_that_begin_so(store: Arc<impl DirectoryStore>) {
    profiles(&store).await;
    for (prefix, expected) in [
        ("A", vec!["A b", "A-b", "A.b"]),
        ("A.", vec!["A.b"]),
        ("", vec!["A b", "A-b", "A.b", "B", "a", "c"]),
        ("b", vec![]),
        ("A.b.c", vec![]),
        ("A\0", vec![]),
        ("\u{10ffff}", vec![]),
        ("%", vec![]),
    ] {
        for order in ORDERS {
            let query = ListQuery { limit: 2, order, prefix: Some(prefix.into()), after: None };
            let mut found = walked(&store, query).await;
            found.sort();
            assert_eq!(found, expected, "{prefix:?} in {order:?}");
        }
    }
    let after = Some(Cursor { updated_at: None, name: "A b".into() });
    let query = ListQuery { after, limit: 10, prefix: Some("A".into()), order: Order::Name };
    assert_eq!(names(&store.list(Kind::UserDeviceProfile, &query).await.unwrap()), ["A-b", "A.b"]);
}

/// DP-1: a name is told with who has it now; one that nobody has is not.
pub async fn dp_1_owners_are_those_who_have_a_name_now(store: Arc<impl DirectoryStore>) {
    let (phone, agent) = (device(PHONE, &[]), profile("Agent", &[]));
    let user = person("zoe", &["Agent"], Some("4711"));
    made(&store, vec![create(phone.clone()), create(agent.clone()), create(user.clone())]).await;
    let claim = |space, name: &str| Claim { space, name: name.into() };
    let mut claims: Vec<Claim> =
        (0..1_200).map(|number| claim("device", &format!("NOBODY{number}"))).collect();
    claims.extend([claim("device", "AGENT"), claim("device", PHONE), claim("self-service", "4711")]);
    claims.extend([claim("device", "4711"), claim("self-service", "AGENT"), claim("device", "AGENT")]);
    let expected = BTreeMap::from([
        (claim("device", "AGENT"), agent.key()),
        (claim("device", PHONE), phone.key()),
        (claim("self-service", "4711"), user.key()),
    ]);
    assert_eq!(store.owners(&claims).await.unwrap(), expected);
    made(&store, vec![delete(&phone, 1), replace(person("zoe", &["Agent"], None), 1)]).await;
    assert_eq!(
        store.owners(&claims).await.unwrap().into_keys().collect::<Vec<_>>(),
        [claim("device", "AGENT")]
    );
    assert!(store.owners(&[]).await.unwrap().is_empty());
}

/// Kind by kind, from any key on.
pub async fn used_by_is_paged_without_loss_or_repeat(store: Arc<impl DirectoryStore>) {
    let mut changes = vec![create(line("1")), create(line("2"))];
    for number in 0..7 {
        changes.push(create(profile(&format!("p{number}"), &["1", "2"])));
        changes.push(create(device(&format!("SEP00000000000{number}"), &["1"])));
    }
    let mut keys: Vec<Key> = changes.iter().skip(2).map(Change::key).collect();
    keys.sort();
    made(&store, changes).await;
    for limit in [1, 3, 7, 14, 100] {
        let mut seen: Vec<Key> = Vec::new();
        loop {
            let page = store.used_by(&line("1").key(), seen.last(), limit).await.unwrap();
            if page.is_empty() {
                break;
            }
            seen.extend(page);
        }
        assert_eq!(seen, keys, "by {limit}");
    }
    let after = Key::new(Kind::UserDeviceProfile, "p5\0");
    assert_eq!(store.used_by(&line("1").key(), Some(&after), 3).await.unwrap(), keys[6..9]);
    let last = Key::new(Kind::ServiceParameters, "cluster");
    assert!(store.used_by(&line("1").key(), Some(&last), 3).await.unwrap().is_empty());
}

/// DP-5: whoever was associated first is the owner, and stays it as long as he is associated.
pub async fn dp_5_the_first_user_is_the_one_who_refers_for_the_longest_time(store: Arc<impl DirectoryStore>) {
    let keys = ["p", "q", "r"].map(|name| profile(name, &[]).key());
    let owners = async || {
        let first = store.first_users(&keys, Kind::User).await.unwrap();
        let name = |key| first.get(key).map(|user: &Key| user.name.clone());
        keys.iter().map(name).collect::<Vec<_>>()
    };
    let owned = |names: [&str; 3]| names.map(|name| (!name.is_empty()).then(|| name.to_owned())).to_vec();
    let put = async |second, changes| store.commit(changes, at(second)).await.unwrap();

    put(1, vec![create(profile("p", &[])), create(profile("q", &[])), create(profile("r", &[]))]).await;
    put(2, vec![create(person("zoe", &["p", "q"], None))]).await;
    put(3, vec![create(person("bob", &["p", "q"], None)), create(person("amy", &["p", "q"], None))]).await;
    assert_eq!(owners().await, owned(["zoe", "zoe", ""]));
    put(4, vec![replace(person("zoe", &["p", "r"], Some("4711")), 1)]).await;
    assert_eq!(owners().await, owned(["zoe", "amy", "zoe"]));
    put(5, vec![replace(person("amy", &["p"], None), 1)]).await;
    put(6, vec![replace(person("amy", &["p", "q", "r"], None), 2)]).await;
    assert_eq!(owners().await, owned(["zoe", "bob", "zoe"]));
    put(7, vec![delete(&person("zoe", &[], None), 2)]).await;
    assert_eq!(owners().await, owned(["amy", "bob", "amy"]));
    put(8, vec![create(person("zoe", &["p"], None))]).await;
    assert_eq!(owners().await, owned(["amy", "bob", "amy"]));
    assert!(store.first_users(&keys, Kind::Phone).await.unwrap().is_empty());
    assert!(store.first_users(&[], Kind::User).await.unwrap().is_empty());
}

/// Whatever the guard is about: there or not, changed by the batch or not.
pub async fn a_guard_keeps_a_batch_from_what_has_changed(store: Arc<impl DirectoryStore>) {
    made(&store, vec![create(line("1")), create(line("2"))]).await;
    made(&store, vec![keep(&line("1"), Some(1)), keep(&line("3"), None), create(profile("p", &["1"]))]).await;
    assert_eq!(version(&store, &line("1")).await, Some(1));
    assert_eq!(version(&store, &line("3")).await, None);

    for (guard, now) in [
        (keep(&line("1"), Some(2)), Some(1)),
        (keep(&line("1"), Some(0)), Some(1)),
        (keep(&line("1"), None), Some(1)),
        (keep(&line("3"), Some(1)), None),
        (keep(&line("3"), Some(0)), None),
    ] {
        let expected = guard.key();
        for changes in [vec![create(line("4")), guard.clone()], vec![guard, create(line("4"))]] {
            match store.commit(changes, at(9)).await {
                Err(DirectoryError::Moved { key, version }) => {
                    assert_eq!((key, version), (expected.clone(), now));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(version(&store, &line("4")).await, None);
    made(&store, vec![create(line("4")), keep(&line("4"), Some(1)), keep(&line("2"), Some(1))]).await;
    made(&store, vec![delete(&line("4"), 1), keep(&line("4"), None)]).await;
}

/// A decision and a change of what it was made from are not both made.
pub async fn a_guard_and_a_change_from_one_version_do_not_both_happen(store: Arc<impl DirectoryStore>) {
    for round in 0..10 {
        let (read, decided) = (line(&format!("1{round}")), line(&format!("2{round}")));
        made(&store, vec![create(read.clone())]).await;
        let mut tasks = JoinSet::new();
        let decision = vec![keep(&read, Some(1)), create(decided.clone())];
        for changes in [decision, vec![replace(read.clone(), 1), keep(&decided, None)]] {
            let store = Arc::clone(&store);
            tasks.spawn(async move { store.commit(changes, at(0)).await.is_ok() });
        }
        assert_eq!(tasks.join_all().await.into_iter().filter(|made| *made).count(), 1);
        let decided = version(&store, &decided).await.is_some();
        assert_eq!(decided, version(&store, &read).await == Some(1));
    }
}

/// All of them, also where there are more than a page holds.
pub async fn a_snapshot_has_everything_kind_by_kind(store: Arc<impl DirectoryStore>) {
    assert_eq!(DirectoryStore::snapshot(&*store).count().await, 0);
    let mut resources: Vec<Resource> = (0..1_100).map(|number| line(&format!("{number}"))).collect();
    resources.extend([device(PHONE, &["1"]), profile("b", &["1"]), profile("C", &[])]);
    resources.push(person("zoe", &["b"], None));
    made(&store, resources.iter().cloned().map(create).collect()).await;
    resources.sort_by_key(Resource::key);
    let pages: Vec<Vec<Stored>> = DirectoryStore::snapshot(&*store).try_collect().await.unwrap();
    assert!(pages.iter().all(|page| !page.is_empty() && page.len() <= 1_000));
    let stored = |resource| Stored { resource, version: 1, updated_at: at(0) };
    assert_eq!(pages.concat(), resources.into_iter().map(stored).collect::<Vec<_>>());
}

/// Backups are of one instant, whatever is written while they are read; and a reader may go away.
pub async fn a_snapshot_does_not_see_what_is_written_meanwhile(store: Arc<impl DirectoryStore>) {
    let lines: Vec<Resource> = (1_000..2_200).map(|number| line(&format!("{number}"))).collect();
    made(&store, lines.iter().cloned().map(create).collect()).await;
    let mut pages = DirectoryStore::snapshot(&*store);
    let mut seen = pages.next().await.unwrap().unwrap();
    made(&store, vec![create(line("0")), create(line("3000")), create(profile("p", &["2000"]))]).await;
    made(&store, lines[..1_000].iter().map(|line| delete(line, 1)).collect()).await;
    made(&store, vec![replace(line("2100"), 1)]).await;
    while let Some(page) = pages.try_next().await.unwrap() {
        seen.extend(page);
    }
    let resources: Vec<Resource> = seen.iter().map(|stored| stored.resource.clone()).collect();
    assert_eq!(resources, lines);
    assert!(seen.iter().all(|stored| stored.version == 1));

    for _ in 0..10 {
        let mut pages = DirectoryStore::snapshot(&*store);
        assert!(pages.next().await.is_some());
    }
    let after: Vec<Vec<Stored>> = DirectoryStore::snapshot(&*store).try_collect().await.unwrap();
    assert_eq!(after.concat().len(), 203);
}

/// It tells whether anything has changed since.
pub async fn the_revision_grows_with_each_change_and_with_nothing_else(store: Arc<impl DirectoryStore>) {
    let first = store.revision().await.unwrap();
    let (one, other) = (line("2101"), line("2102"));
    made(&store, vec![create(one.clone())]).await;
    let second = store.revision().await.unwrap();
    assert!(second > first);
    store.commit(vec![create(one.clone())], at(0)).await.unwrap_err();
    find(&store, &one.key()).await.unwrap();
    assert_eq!(store.revision().await.unwrap(), second);
    made(&store, vec![replace(one.clone(), 1), create(other)]).await;
    let third = store.revision().await.unwrap();
    assert!(third > second);
    made(&store, vec![delete(&one, 2)]).await;
    assert!(store.revision().await.unwrap() > third);
}
