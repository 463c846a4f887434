//! The directory: versions, unique names, references that lead somewhere, and batches that are one step.

use std::sync::Arc;

use roamline_domain::directory::{DefaultDeviceProfile, Key, Kind, LogoutChoice, LogoutProfile, Resource};
use roamline_domain::parameters::ServiceParameters;
use tokio::task::JoinSet;

use super::fixture::{
    at, create, delete, device, find, line, made, person, profile, replace, settings, version,
};
use crate::{Change, DirectoryError, DirectoryStore, ListQuery, Stored};

const PHONE: &str = "SEP000000000001";

fn key(kind: Kind, name: &str) -> Key {
    Key::new(kind, name)
}

async fn assert_moved(store: &Arc<impl DirectoryStore>, change: Change, version: Option<u64>) {
    let expected = change.key();
    match store.commit(vec![change], at(9)).await {
        Err(DirectoryError::Moved { key, version: now }) => assert_eq!((key, now), (expected, version)),
        other => panic!("{other:?}"),
    }
}

async fn assert_taken(store: &Arc<impl DirectoryStore>, changes: Vec<Change>, name: &str, owner: &Key) {
    match store.commit(changes, at(9)).await {
        Err(DirectoryError::Taken { claim, by }) => assert_eq!((claim.name.as_str(), &by), (name, owner)),
        other => panic!("{other:?}"),
    }
}

async fn assert_in_use(store: &Arc<impl DirectoryStore>, changes: Vec<Change>, used: &Key, user: &Key) {
    match store.commit(changes, at(9)).await {
        Err(DirectoryError::InUse { key, by }) => assert_eq!((&key, &by), (used, user)),
        other => panic!("{other:?}"),
    }
}

/// Absence is no error.
pub async fn what_is_not_there_is_not_found(store: Arc<impl DirectoryStore>) {
    assert_eq!(find(&store, &key(Kind::Line, "1")).await, None);
    assert!(store.find(&[]).await.unwrap().is_empty());
    assert!(store.list(Kind::Phone, &ListQuery::names_after(None, 10)).await.unwrap().is_empty());
    assert!(store.used_by(&key(Kind::Line, "1"), None, 10).await.unwrap().is_empty());
    made(&store, Vec::new()).await;
}

/// In their order, with `None` between, a key asked for twice answered twice; names are of their kind.
pub async fn find_answers_in_the_order_of_the_keys(store: Arc<impl DirectoryStore>) {
    made(&store, vec![create(line("2")), create(line("1")), create(profile("1", &[]))]).await;
    let keys = [
        key(Kind::Line, "1"),
        key(Kind::Line, "3"),
        key(Kind::UserDeviceProfile, "1"),
        key(Kind::Line, "2"),
        key(Kind::Line, "1"),
        key(Kind::User, "1"),
    ];
    let found = store.find(&keys).await.unwrap();
    let found: Vec<_> = found.iter().map(|stored| stored.as_ref().map(|s| s.resource.key())).collect();
    let [one, _, profile, two, again, _] = keys;
    assert_eq!(found, vec![Some(one), None, Some(profile), Some(two), Some(again), None]);
    let many: Vec<_> = (0..2_000).map(|n| key(Kind::Line, &n.to_string())).collect();
    assert_eq!(store.find(&many).await.unwrap().iter().flatten().count(), 2);
}

/// Each kind comes back as it went in.
pub async fn every_kind_is_kept_as_it_was_put(store: Arc<impl DirectoryStore>) {
    let mut phone = device(PHONE, &["2101"]);
    if let Resource::Phone(phone) = &mut phone {
        phone.logout_choice = LogoutChoice::Shared(7_u32.try_into().unwrap());
    }
    let resources = vec![
        line("2101"),
        profile("Agent 1", &["2101"]),
        Resource::DefaultDeviceProfile(DefaultDeviceProfile {
            model: "7960".parse().unwrap(),
            description: "für alle".into(),
            settings: settings(&[]),
        }),
        Resource::LogoutProfile(LogoutProfile {
            tag: 7_u32.try_into().unwrap(),
            description: String::new(),
            settings: settings(&["2101"]),
        }),
        phone,
        person("agent1", &["Agent 1"], Some("4711")),
        Resource::ServiceParameters(ServiceParameters::default()),
    ];
    made(&store, resources.iter().cloned().map(create).collect()).await;
    for resource in resources {
        let expected = Stored { resource: resource.clone(), version: 1, updated_at: at(0) };
        assert_eq!(find(&store, &resource.key()).await, Some(expected.clone()));
        let listed = store.list(resource.key().kind, &ListQuery::names_after(None, 10)).await.unwrap();
        assert_eq!(listed, vec![expected]);
    }
}

/// DP-20: versions of one resource grow with its changes alone; each change has its time.
pub async fn a_resource_is_created_at_version_1_and_grows_with_each_change(store: Arc<impl DirectoryStore>) {
    made(&store, vec![create(line("1")), create(line("2"))]).await;
    for now in 1..=3 {
        store.commit(vec![replace(line("1"), now)], at(10)).await.unwrap();
        let stored = find(&store, &line("1").key()).await.unwrap();
        assert_eq!((stored.version, stored.updated_at), (now + 1, at(10)));
    }
    assert_eq!(version(&store, &line("2")).await, Some(1));
}

/// The version it has is told.
pub async fn creating_what_is_there_is_moved_and_names_its_version(store: Arc<impl DirectoryStore>) {
    made(&store, vec![create(line("1"))]).await;
    assert_moved(&store, create(line("1")), Some(1)).await;
    made(&store, vec![replace(line("1"), 1)]).await;
    assert_moved(&store, create(line("1")), Some(2)).await;
}

/// Older, newer, or not there.
pub async fn replacing_what_has_another_version_is_moved(store: Arc<impl DirectoryStore>) {
    made(&store, vec![create(line("1"))]).await;
    made(&store, vec![replace(line("1"), 1)]).await;
    for wrong in [0, 1, 3, u64::MAX] {
        assert_moved(&store, replace(line("1"), wrong), Some(2)).await;
    }
    assert_moved(&store, replace(line("2"), 1), None).await;
    assert_moved(&store, replace(line("2"), 0), None).await;
}

/// Nothing is deleted blindly.
pub async fn deleting_what_is_not_there_or_has_another_version_is_moved(store: Arc<impl DirectoryStore>) {
    assert_moved(&store, delete(&line("1"), 1), None).await;
    made(&store, vec![create(line("1"))]).await;
    assert_moved(&store, delete(&line("1"), 2), Some(1)).await;
    made(&store, vec![delete(&line("1"), 1)]).await;
    assert_eq!(version(&store, &line("1")).await, None);
}

/// From version 1 again.
pub async fn a_deleted_resource_can_be_created_anew(store: Arc<impl DirectoryStore>) {
    made(&store, vec![create(device(PHONE, &[]))]).await;
    made(&store, vec![delete(&device(PHONE, &[]), 1)]).await;
    made(&store, vec![create(device(PHONE, &[]))]).await;
    assert_eq!(version(&store, &device(PHONE, &[])).await, Some(1));
}

/// So that a name that a batch creates twice by mistake is seen.
pub async fn a_key_changed_twice_is_demanded_as_the_first_change_left_it(store: Arc<impl DirectoryStore>) {
    let refused = store.commit(vec![create(line("1")), create(line("1"))], at(0)).await;
    assert!(matches!(refused, Err(DirectoryError::Moved { version: Some(1), .. })), "{refused:?}");
    assert_eq!(version(&store, &line("1")).await, None);
    made(&store, vec![create(line("1")), replace(line("1"), 1)]).await;
    assert_eq!(version(&store, &line("1")).await, Some(2));
    made(&store, vec![delete(&line("1"), 2), create(line("1"))]).await;
    assert_eq!(version(&store, &line("1")).await, Some(1));
}

/// DP-1: both are device names, in whatever letters.
pub async fn dp_1_a_profile_and_a_phone_cannot_share_a_name(store: Arc<impl DirectoryStore>) {
    let phone = device(PHONE, &[]);
    made(&store, vec![create(phone.clone())]).await;
    for name in [PHONE, "sep000000000001"] {
        assert_taken(&store, vec![create(profile(name, &[]))], PHONE, &phone.key()).await;
    }
    let other = profile("SEP000000000002", &[]);
    made(&store, vec![create(other.clone())]).await;
    let taken = vec![create(device("SEP000000000002", &[]))];
    assert_taken(&store, taken, "SEP000000000002", &other.key()).await;
}

/// A user's own id may be kept, another's not be taken.
pub async fn self_service_ids_are_unique(store: Arc<impl DirectoryStore>) {
    let one = person("agent1", &[], Some("4711"));
    made(&store, vec![create(one.clone()), create(person("agent2", &[], None))]).await;
    made(&store, vec![replace(one.clone(), 1)]).await;
    let taken = vec![replace(person("agent2", &[], Some("4711")), 1)];
    assert_taken(&store, taken, "4711", &one.key()).await;
    made(&store, vec![create(profile("4711", &[]))]).await;
}

/// The second is told of the first.
pub async fn two_resources_of_one_batch_cannot_take_one_name(store: Arc<impl DirectoryStore>) {
    let (phone, other) = (device(PHONE, &[]), profile(PHONE, &[]));
    assert_taken(&store, vec![create(phone.clone()), create(other.clone())], PHONE, &phone.key()).await;
    assert_taken(&store, vec![create(other.clone()), create(phone)], PHONE, &other.key()).await;
}

/// Names are looked at as they are after all changes: they may be given up, or exchanged.
pub async fn a_name_given_up_in_the_same_batch_is_free(store: Arc<impl DirectoryStore>) {
    made(&store, vec![create(device(PHONE, &[]))]).await;
    made(&store, vec![create(profile(PHONE, &[])), delete(&device(PHONE, &[]), 1)]).await;
    let ids = |one, two| (person("agent1", &[], one), person("agent2", &[], two));
    let (one, two) = ids(Some("1"), Some("2"));
    made(&store, vec![create(one), create(two)]).await;
    let (one, two) = ids(Some("2"), Some("1"));
    made(&store, vec![replace(one, 1), replace(two, 1)]).await;
    let (one, _) = ids(Some("1"), None);
    let taken = vec![replace(one, 2)];
    assert_taken(&store, taken, "1", &key(Kind::User, "agent2")).await;
}

/// Who refers, and to what.
pub async fn a_reference_to_nothing_is_missing(store: Arc<impl DirectoryStore>) {
    made(&store, vec![create(line("1"))]).await;
    match store.commit(vec![create(profile("p", &["1", "2"]))], at(0)).await {
        Err(DirectoryError::Missing { from, to }) => {
            assert_eq!((from, to), (profile("p", &[]).key(), line("2").key()));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(version(&store, &profile("p", &[])).await, None);
}

/// And by what it is used.
pub async fn what_is_referred_to_is_in_use(store: Arc<impl DirectoryStore>) {
    let user = profile("p", &["1"]);
    made(&store, vec![create(line("1")), create(user.clone())]).await;
    assert_in_use(&store, vec![delete(&line("1"), 1)], &line("1").key(), &user.key()).await;
    assert_eq!(version(&store, &line("1")).await, Some(1));
    made(&store, vec![delete(&user, 1)]).await;
    made(&store, vec![delete(&line("1"), 1)]).await;
}

/// An import need not sort.
pub async fn a_batch_may_refer_to_its_members_in_any_order(store: Arc<impl DirectoryStore>) {
    let user = person("agent1", &["p"], None);
    made(&store, vec![create(user.clone()), create(profile("p", &["1"])), create(line("1"))]).await;
    assert_eq!(store.used_by(&profile("p", &[]).key(), None, 10).await.unwrap(), vec![user.key()]);
}

/// In either order.
pub async fn a_resource_goes_together_with_what_refers_to_it(store: Arc<impl DirectoryStore>) {
    let user = profile("p", &["1"]);
    for last in [false, true] {
        made(&store, vec![create(line("1")), create(user.clone())]).await;
        let mut changes = vec![delete(&line("1"), 1), delete(&user, 1)];
        if last {
            changes.reverse();
        }
        made(&store, changes).await;
        assert_eq!(version(&store, &line("1")).await, None);
    }
}

/// What a batch puts is held to what it leaves.
pub async fn deleting_what_a_put_of_the_batch_needs_is_refused(store: Arc<impl DirectoryStore>) {
    made(&store, vec![create(line("1"))]).await;
    let changes = vec![delete(&line("1"), 1), create(profile("p", &["1"]))];
    let refused = store.commit(changes, at(0)).await;
    assert!(matches!(refused, Err(DirectoryError::Missing { .. })), "{refused:?}");
    assert_eq!(version(&store, &line("1")).await, Some(1));
}

/// Whatever stands in the way, wherever in the batch.
pub async fn a_refused_batch_changes_nothing(store: Arc<impl DirectoryStore>) {
    made(&store, vec![create(line("1")), create(profile("p", &["1"])), create(device(PHONE, &[]))]).await;
    let refusals = [
        create(line("1")),
        replace(line("3"), 1),
        create(profile(PHONE, &[])),
        create(profile("q", &["404"])),
        delete(&line("1"), 1),
    ];
    for refusal in refusals {
        let changes =
            vec![create(line("2")), replace(profile("p", &[]), 1), refusal.clone(), create(line("5"))];
        let kept_in_use = matches!(refusal, Change::Delete { .. });
        let changes = if kept_in_use { vec![create(line("2")), refusal, create(line("5"))] } else { changes };
        assert!(store.commit(changes, at(9)).await.is_err());
        assert_eq!(store.list(Kind::Line, &ListQuery::names_after(None, 10)).await.unwrap().len(), 1);
        assert_eq!(
            store.list(Kind::UserDeviceProfile, &ListQuery::names_after(None, 10)).await.unwrap()[0].version,
            1
        );
        assert_eq!(store.used_by(&line("1").key(), None, 10).await.unwrap(), vec![profile("p", &[]).key()]);
    }
}

/// A replaced resource holds what it now says, and no more.
pub async fn replacing_drops_old_references_and_names(store: Arc<impl DirectoryStore>) {
    let lines = vec![create(line("1")), create(line("2")), create(profile("p", &["1"]))];
    made(&store, lines).await;
    made(&store, vec![create(person("agent1", &["p"], Some("4711")))]).await;
    made(&store, vec![replace(profile("p", &["2"]), 1), replace(person("agent1", &["p"], None), 1)]).await;
    assert!(store.used_by(&line("1").key(), None, 10).await.unwrap().is_empty());
    assert_eq!(store.used_by(&line("2").key(), None, 10).await.unwrap(), vec![profile("p", &[]).key()]);
    made(&store, vec![delete(&line("1"), 1)]).await;
    made(&store, vec![create(person("agent2", &[], Some("4711")))]).await;
}

/// In the order of [`Kind`]'s variants, then of names.
pub async fn used_by_is_in_the_order_of_keys_at_most_the_limit(store: Arc<impl DirectoryStore>) {
    let mut user = person("zoe", &[], None);
    if let Resource::User(user) = &mut user {
        user.primary_extension = Some("1".parse().unwrap());
    }
    let users =
        [user, device(PHONE, &["1"]), profile("b", &["1"]), profile("C", &["1"]), profile("a", &["1"])];
    let mut changes: Vec<_> = users.iter().cloned().map(create).collect();
    changes.push(create(line("1")));
    made(&store, changes).await;
    let mut keys: Vec<_> = users.iter().map(Resource::key).collect();
    keys.sort();
    assert_eq!(store.used_by(&line("1").key(), None, 10).await.unwrap(), keys);
    assert_eq!(store.used_by(&line("1").key(), None, 3).await.unwrap(), keys[..3]);
}

/// Upper case before lower case, and tags as numbers.
pub async fn list_is_in_the_byte_order_of_names_and_paged(store: Arc<impl DirectoryStore>) {
    let names = ["B", "a", "A b", "A-b", "c", "A.b"];
    made(&store, names.iter().map(|name| create(profile(name, &[]))).collect()).await;
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    let mut seen = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page =
            store.list(Kind::UserDeviceProfile, &ListQuery::names_after(after.as_deref(), 4)).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.resource.key().name);
        seen.extend(page.into_iter().map(|stored| stored.resource.key().name));
    }
    assert_eq!(seen, sorted);

    let shared = |tag: u32| {
        let tag = tag.try_into().unwrap();
        create(Resource::LogoutProfile(LogoutProfile {
            tag,
            description: String::new(),
            settings: settings(&[]),
        }))
    };
    made(&store, vec![shared(10), shared(9), shared(100)]).await;
    let tags = store.list(Kind::LogoutProfile, &ListQuery::names_after(None, 10)).await.unwrap();
    let tags: Vec<_> = tags.into_iter().map(|stored| stored.resource.key().name).collect();
    assert_eq!(tags, ["00000009", "00000010", "00000100"]);
}

/// DP-1 under a race: half of them want a profile, half a phone.
pub async fn dp_1_of_64_creators_of_one_device_name_one_is_made(store: Arc<impl DirectoryStore>) {
    let mut tasks = JoinSet::new();
    for number in 0..64 {
        let store = Arc::clone(&store);
        let resource = if number % 2 == 0 { profile(PHONE, &[]) } else { device(PHONE, &[]) };
        tasks.spawn(async move { store.commit(vec![create(resource)], at(0)).await });
    }
    let results = tasks.join_all().await;
    let refused = |error: &DirectoryError| {
        matches!(error, DirectoryError::Moved { version: Some(1), .. } | DirectoryError::Taken { .. })
    };
    assert!(results.iter().all(|result| result.as_ref().err().is_none_or(refused)), "{results:?}");
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    let phones = store.list(Kind::Phone, &ListQuery::names_after(None, 10)).await.unwrap().len();
    let profiles =
        store.list(Kind::UserDeviceProfile, &ListQuery::names_after(None, 10)).await.unwrap().len();
    assert_eq!(phones + profiles, 1);
}

/// Nobody's change is lost unseen.
pub async fn of_16_changes_from_one_version_one_is_made(store: Arc<impl DirectoryStore>) {
    made(&store, vec![create(line("1"))]).await;
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let store = Arc::clone(&store);
        tasks.spawn(async move { store.commit(vec![replace(line("1"), 1)], at(0)).await.is_ok() });
    }
    let results = tasks.join_all().await;
    assert_eq!(results.into_iter().filter(|made| *made).count(), 1);
    assert_eq!(version(&store, &line("1")).await, Some(2));
}

/// Whoever comes second sees the first.
pub async fn a_reference_and_the_deletion_of_its_end_do_not_both_happen(store: Arc<impl DirectoryStore>) {
    for round in 0..10 {
        let number = format!("{round}");
        let user = profile(&format!("p{round}"), &[&number]);
        made(&store, vec![create(line(&number))]).await;
        let mut tasks = JoinSet::new();
        for change in [create(user.clone()), delete(&line(&number), 1)] {
            let store = Arc::clone(&store);
            tasks.spawn(async move { store.commit(vec![change], at(0)).await.is_ok() });
        }
        assert_eq!(tasks.join_all().await.into_iter().filter(|made| *made).count(), 1);
        assert_eq!(version(&store, &user).await.is_some(), version(&store, &line(&number)).await.is_some());
    }
}

/// As large as an import.
pub async fn a_large_batch_is_one_step(store: Arc<impl DirectoryStore>) {
    let mut changes = Vec::new();
    for number in 0..1_500 {
        changes.push(create(profile(&format!("p{number}"), &[&format!("{number}")])));
        changes.push(create(line(&format!("{number}"))));
    }
    let mut broken = changes.clone();
    broken.push(create(profile("last", &["404404"])));
    assert!(matches!(store.commit(broken, at(0)).await, Err(DirectoryError::Missing { .. })));
    assert!(store.list(Kind::Line, &ListQuery::names_after(None, 10)).await.unwrap().is_empty());
    made(&store, changes).await;
    assert_eq!(store.list(Kind::Line, &ListQuery::names_after(None, 10_000)).await.unwrap().len(), 1_500);
}
