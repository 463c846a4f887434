//! Which refusals are told of, by the source they come from.

use std::net::Ipv6Addr;

use roamline_domain::phone_state::Asked;

use super::*;

fn at(millis: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_millis(millis)
}

fn ipv4(number: u32) -> Option<IpAddr> {
    Some(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number)))
}

fn refused(user: &str) -> Refused {
    Refused {
        what: Asked::Login,
        phone: "SEP000DEDAB3566".parse().unwrap(),
        user: user.into(),
        profile: String::new(),
        reason: "CREDENTIAL_REFUSED".into(),
        actor: Actor::default(),
        more: 0,
    }
}

/// What each that is told of stands for beside itself.
fn told(gate: &Gate, from: Option<IpAddr>, millis: i64, number: usize) -> Vec<u64> {
    let entered = (0..number).filter_map(|_| gate.enter(from, refused("agent7"), at(millis)));
    entered.map(|telling| telling.refused.more).collect()
}

#[test]
fn ev_1_refusals_of_a_source_are_told_of_fifty_at_once_and_none_is_forgotten() {
    let gate = Gate::default();
    assert_eq!(told(&gate, ipv4(1), 0, 60), [0; 50]);
    assert_eq!(told(&gate, ipv4(1), 199, 5), Vec::<u64>::new());
    assert_eq!(told(&gate, ipv4(1), 200, 2), [15], "one in a fifth of a second");
    assert_eq!(told(&gate, ipv4(1), 1_000_000, 100).len(), 50, "what was not used up does not add up");
    assert_eq!(told(&gate, ipv4(1), 0, 1), Vec::<u64>::new(), "a clock that is put back gives nothing");
}

#[test]
fn ev_1_a_stranger_who_floods_hides_nobody_elses_refusal() {
    let gate = Gate::default();
    assert_eq!(told(&gate, ipv4(1), 0, 100_000).len(), 50);
    assert_eq!(told(&gate, ipv4(2), 0, 1), [0]);
}

#[test]
fn ev_1_what_a_network_of_64_bits_sends_is_of_one_source() {
    let gate = Gate::default();
    let address =
        |network: u16, host: u16| Some(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, network, 0, 0, 0, host)));
    let told_of: usize = (0..100).map(|host| told(&gate, address(1, host), 0, 1).len()).sum();
    assert_eq!(told_of, 50);
    assert_eq!(told(&gate, address(2, 0), 0, 1), [0]);
    let mapped = Some(IpAddr::V6(Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped()));
    assert_eq!(told(&gate, mapped, 0, 1), [0]);
    assert_eq!(told(&gate, ipv4(1), 0, 60).len(), 49, "it is the same address");
}

#[test]
fn ev_1_of_all_sources_together_a_bounded_number_is_told_of_and_the_rest_in_sums() {
    let gate = Gate::default();
    let told_of: usize = (0..10).map(|source| told(&gate, ipv4(source), 0, 60).len()).sum();
    assert_eq!(told_of, 230, "and of each a few while it is quiet");
    assert!(gate.sums(at(9_999), false).is_empty());
    let sums = gate.sums(at(10_000), false);
    assert_eq!(sums.iter().map(|sum| sum.refused.more + 1).sum::<u64>(), 370);
    assert_eq!(sums.len(), 10, "one of each source");
    assert!(gate.sums(at(60_000), true).is_empty(), "once");
}

#[test]
fn ev_1_one_refusal_that_found_no_room_is_told_of_whole_and_late() {
    let gate = Gate::default();
    (0..4).for_each(|source| drop(told(&gate, ipv4(source), 0, 50)));
    (100..140).for_each(|source| drop(told(&gate, ipv4(source), 0, 5)));
    assert!(gate.enter(ipv4(9), refused("agent9"), at(0)).is_none());
    let [sum] = gate.sums(at(10_000), false).try_into().unwrap();
    assert_eq!((sum.refused.user.as_str(), sum.refused.more), ("agent9", 0));
}

#[test]
fn ev_1_sixteen_that_flood_do_not_hide_one_that_is_quiet() {
    let gate = Gate::default();
    let mut of_floods = 0;
    for millis in (0..60_000).step_by(100) {
        of_floods += (1..=16).map(|source| told(&gate, ipv4(source), millis, 20).len()).sum::<usize>();
        if millis % 1_000 == 500 {
            assert_eq!(told(&gate, ipv4(99), millis, 1), [0], "after {millis} ms");
        }
    }
    assert!((2_000..=200 + 200 + 60 * 70).contains(&of_floods), "{of_floods}");
}

#[test]
fn ev_1_of_more_sums_than_are_told_at_once_those_that_wait_longest_come_first() {
    let gate = Gate::default();
    let number = u32::try_from(SUMS).unwrap();
    for source in 0..3 * number {
        told(&gate, ipv4(source), i64::from(source), 60);
    }
    for turn in 0..3 {
        let sums = gate.sums(at(20_000), false);
        let sources = turn * number..(turn + 1) * number;
        let expected = sources.map(|source| Source::of(ipv4(source))).collect::<Vec<_>>();
        assert_eq!(sums.iter().map(|sum| sum.source).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn ev_1_what_could_not_be_told_of_is_counted_on() {
    let gate = Gate::default();
    told(&gate, ipv4(1), 0, 60);
    gate.put_back(gate.sums(at(10_000), false), at(10_000));
    let [sum] = gate.sums(at(20_000), false).try_into().unwrap();
    assert_eq!(sum.refused.more, 9);
    gate.put_back(vec![sum], at(20_000));
    assert_eq!(told(&gate, ipv4(1), 20_001, 1), [10]);
}

#[test]
fn ev_1_what_is_remembered_of_sources_is_bounded_and_room_is_made_again() {
    let gate = Gate::default();
    for source in 0..20_000 {
        gate.enter(ipv4(source), refused("agent7"), at(0));
    }
    assert_eq!(gate.lock().known.len(), SOURCES + 1, "and one place for all others");
    let (mut number, mut now) = (400, 10_000);
    while !gate.lock().known.is_empty() {
        let sums = gate.sums(at(now), false);
        assert!(sums.len() <= SUMS);
        for sum in sums {
            number += sum.refused.more + 1;
            assert_eq!(
                sum.refused.user.is_empty(),
                sum.refused.more > 0,
                "those of many sources name nobody"
            );
        }
        now += 1_000;
    }
    assert_eq!(number, 20_000);
}
