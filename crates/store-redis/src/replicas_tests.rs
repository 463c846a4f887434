use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

use super::*;

fn addresses(names: &[&str]) -> BTreeSet<Address> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn of_priority(priority: u32, names: &[&str]) -> BTreeMap<Address, u32> {
    names.iter().map(|name| ((*name).to_owned(), priority)).collect()
}

fn replicas(up: &[&str], down: &[&str], following: &[&str], filling: &[&str]) -> Replicas {
    Replicas {
        candidates: Candidates { up: of_priority(1, up), down: addresses(down), never: BTreeSet::new() },
        connected: Connected { following: addresses(following), filling: addresses(filling) },
        strays: BTreeSet::new(),
    }
}

#[test]
fn all_that_may_take_over_must_have_a_change_and_at_least_as_many_as_are_asked_for() {
    let needed = |replicas: Replicas| replicas.needed(1);
    assert_eq!(needed(replicas(&["a", "b"], &[], &["a", "b"], &[])), 2);
    assert_eq!(replicas(&["a", "b"], &[], &["a", "b"], &[]).needed(3), 3);
    // Cut off from the master, and not from the sentinels: it may take over without the change.
    assert_eq!(needed(replicas(&["a", "b"], &[], &["b"], &[])), 2);
    // The sentinels see the one, and the master the other.
    assert_eq!(needed(replicas(&["a"], &["b"], &["b"], &[])), 2);
    // Dead for everybody.
    assert_eq!(needed(replicas(&["a"], &["b"], &["a"], &[])), 1);
    assert_eq!(needed(replicas(&[], &["a", "b"], &[], &[])), 1);
    // The sentinels miss it, and the master hears it.
    assert_eq!(needed(replicas(&["a"], &["b"], &["a", "b"], &[])), 2);
    // It comes back and has less than any other.
    assert_eq!(needed(replicas(&["a", "b"], &[], &["a"], &["b"])), 1);
    // No sentinels: those that the master hears.
    assert_eq!(needed(replicas(&[], &[], &["a", "b"], &[])), 2);
}

#[test]
fn one_that_is_being_filled_is_waited_for_where_it_is_promoted_before_the_others() {
    let mut some = replicas(&["a"], &[], &["a"], &["b"]);
    for (priority, needed) in [(2, 1), (1, 1), (0, 2)] {
        some.candidates.up.insert("b".into(), priority);
        assert_eq!(some.needed(1), needed, "{priority}");
    }
    // Nobody else can be promoted.
    assert_eq!(replicas(&["b"], &[], &[], &["b"]).needed(1), 1);
    assert_eq!(replicas(&["b", "c"], &[], &[], &["b", "c"]).needed(1), 2);
}

#[test]
fn a_master_that_comes_back_is_not_waited_for_and_one_that_has_taken_over_is() {
    let says = |role: &str, now: &str, before: &str| {
        format!("# Replication\r\nrole:{role}\r\nmaster_replid:{now}\r\nmaster_replid2:{before}\r\n")
    };
    let used = says("master", "b", "a");
    assert!(is_stray(&says("master", "a", "0"), &used), "from which the used one took over");
    assert!(is_stray(&says("master", "x", "0"), &used), "which was started anew");
    assert!(!is_stray(&says("master", "c", "b"), &used), "which has taken over");
    assert!(!is_stray(&says("slave", "a", "0"), &used));
    assert!(!is_stray(&says("master", "a", "0"), "role:master\r\n"), "nobody knows");
    let mut some = replicas(&["a", "b"], &[], &["b"], &[]);
    some.strays = addresses(&["a"]);
    assert_eq!(some.needed(1), 1);
    some.candidates.up = of_priority(1, &["b"]);
    some.candidates.up.insert("a".into(), 0);
    assert_eq!(some.needed(1), 2, "it is promoted before the other");
}

#[test]
fn a_replica_that_never_takes_over_is_waited_for_while_it_follows_alone() {
    let mut some = replicas(&["a"], &[], &["a", "far"], &[]);
    some.candidates.never = addresses(&["far"]);
    // WAIT may count it in place of the other.
    assert_eq!(some.needed(1), 2);
    some.connected.following.remove("far");
    assert_eq!(some.needed(1), 1);
}

#[test]
fn names_that_differ_between_master_and_sentinels_count_once() {
    assert_eq!(replicas(&["10.0.0.1:1", "10.0.0.2:1"], &[], &["a:1", "b:1"], &[]).needed(1), 2);
}

#[test]
fn where_nobody_says_who_is_down_nobody_is() {
    assert_eq!(replicas(&["a"], &["b"], &["a"], &[]).needed_blindly(1), 2);
}

#[test]
fn info_tells_who_follows_who_is_silent_and_who_is_being_filled() {
    let info = "# Replication\r\nrole:master\r\nconnected_slaves:4\r\n\
                slave0:ip=10.0.0.1,port=6379,state=online,offset=140,lag=1\r\n\
                slave1:ip=10.0.0.2,port=6379,state=online,offset=70,lag=40\r\n\
                slave2:ip=10.0.0.3,port=6380,state=wait_bgsave,offset=0,lag=0\r\n\
                slave3:ip=fd00::1,port=6379,state=online,offset=140,lag=0,type=replica\r\n\
                slave_repl_offset:140\r\nmaster_failover_state:no-failover\r\n";
    let connected = Connected::read(info);
    assert_eq!(connected.following, addresses(&["10.0.0.1:6379", "fd00::1:6379"]));
    assert_eq!(connected.filling, addresses(&["10.0.0.3:6380"]));
}

fn report(sentinels: usize, replicas: &[(&str, bool, u32)]) -> Report {
    let replica = |(address, is_down, priority): &(&str, bool, u32)| Watched {
        address: (*address).to_owned(),
        is_down: *is_down,
        priority: *priority,
    };
    let replicas = replicas.iter().map(replica).collect();
    Report { sentinels, master: "master".into(), is_master_down: false, replicas }
}

#[test]
fn a_replica_is_down_where_more_than_half_of_all_sentinels_say_so() {
    let (down, up) = (report(3, &[("a", true, 100)]), report(3, &[("a", false, 100)]));
    let of = |reports: &[Report]| Candidates::beside("master", reports);
    assert_eq!(of(&[down.clone(), down.clone(), up.clone()]).down, addresses(&["a"]));
    assert_eq!(of(&[down.clone(), up.clone(), up]).up, of_priority(100, &["a"]));
    // Two have forgotten it.
    let none = report(3, &[]);
    assert_eq!(of(&[down.clone(), none.clone(), none]).down, addresses(&["a"]));
    // A failover is to come: whoever is back first takes over.
    let imminent = Report { is_master_down: true, ..down.clone() };
    assert_eq!(of(&[down.clone(), down.clone(), imminent]).up, of_priority(100, &["a"]));
    // The one that answers knows two more, whom nobody asked.
    assert_eq!(of(&[down]).up, of_priority(100, &["a"]));
    assert_eq!(of(&[report(1, &[("far", false, 0)])]).never, addresses(&["far"]));
    assert_eq!(of(&[]), Candidates::default());
}

#[test]
fn who_has_taken_over_must_have_a_change_though_all_sentinels_have_lost_sight_of_it() {
    let before = report(3, &[("new", true, 100), ("b", true, 100)]);
    let after = Report { master: "new".into(), ..report(3, &[("master", true, 100), ("b", true, 100)]) };
    for reports in [vec![after.clone(), after.clone(), after.clone()], vec![after, before.clone(), before]] {
        let candidates = Candidates::beside("master", &reports);
        assert!(candidates.up.keys().eq(["new"]), "{candidates:?}");
        // One replica went with the old master, and confirms whatever that does.
        let following = Connected { following: addresses(&["b"]), ..Connected::default() };
        let replicas = Replicas { candidates, connected: following, strays: BTreeSet::new() };
        assert_eq!(replicas.needed(1), 2);
    }
}

fn some() -> impl Strategy<Value = BTreeSet<Address>> {
    btree_set("[a-e]", 0..5)
}

proptest! {
    /// `WAIT` counts any that follow. Whichever they are, whoever the sentinels would promote is one of them.
    #[test]
    fn no_replica_that_may_take_over_lacks_what_enough_have(
        up in btree_map("[a-e]", 1..3_u32, 0..5), down in some(), following in some(), filling in some(), acknowledged in some(), asked in 1..4_u32,
    ) {
        let (filling, acknowledged) = (&filling - &following, &acknowledged & &following);
        let down = &down - &up.keys().cloned().collect();
        let candidates = Candidates { down, up: up.clone(), never: BTreeSet::new() };
        let connected = Connected { following, filling: filling.clone() };
        let replicas = Replicas { candidates, connected, strays: BTreeSet::new() };
        prop_assume!(replicas.have_names_in_common());
        if acknowledged.len() >= replicas.needed(asked) as usize {
            // Sentinels prefer the smaller number, and whoever has more among those.
            let next = up.iter().min_by_key(|(address, priority)| (**priority, filling.contains(*address)));
            prop_assert!(next.is_none_or(|(next, _)| acknowledged.contains(next)));
            prop_assert!(acknowledged.len() >= asked as usize);
        }
    }

    #[test]
    fn whatever_a_server_says_a_line_is_one_replica_at_most(info in vec("slave[0-9]{0,2}:[a-z=,0-9.:]{0,40}|[ -~]{0,30}", 0..6)) {
        let connected = Connected::read(&info.join("\r\n"));
        prop_assert!(connected.following.len() + connected.filling.len() <= info.len());
    }
}
