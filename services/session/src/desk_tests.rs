//! What a call control says meets what the stream finds, at the same moment and over and over.

use std::sync::Barrier;

use super::*;
use crate::sample;

/// How often two things meet.
const ROUNDS: usize = 3000;

fn named() -> Named {
    let phone = sample::phone(1);
    Named { text: phone.to_string(), phone }
}

/// Does both at the same moment, as far as a machine can.
fn at_once(one: impl FnOnce() + Send, other: impl FnOnce() + Send) {
    let meet = Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            meet.wait();
            one();
        });
        meet.wait();
        other();
    });
}

/// How many bells hang for the phone, and whether the desk serves it.
fn bells_and_served(core: &Core, desk: &Desk) -> (usize, bool) {
    let bells = core.events.bells.bells().get(&named().phone).map_or(0, Vec::len);
    (bells, desk.board().phones.contains_key(&named().phone))
}

#[tokio::test]
async fn ev_3_a_phone_that_is_named_again_while_its_dressing_fails_has_a_bell_if_it_is_served() {
    let (core, _tasks) = sample::core();
    let desk = Desk::new(&core);
    let mut served = 0;
    for round in 0..ROUNDS {
        desk.watch(&named(), false).unwrap();
        let errand = desk.errands(1).pop().expect("it is to be dressed");
        let found = Err(Refusal::new(ErrorReason::PhoneNotFound, "sample"));
        at_once(|| desk.watch(&named(), false).unwrap(), || drop(desk.finish(Brought { errand, found })));
        let (bells, is_served) = bells_and_served(&core, &desk);
        assert_eq!(bells, usize::from(is_served), "round {round}");
        served += usize::from(is_served);
        desk.unwatch(&named().phone);
        desk.take_refusal();
    }
    assert_eq!(
        served, ROUNDS,
        "whoever comes first, it was named last or the failure was of another watching"
    );
}

#[tokio::test]
async fn a_stream_that_ends_while_a_phone_is_named_leaves_no_bell_behind() {
    let (core, _tasks) = sample::core();
    for round in 0..ROUNDS {
        let desk = Desk::new(&core);
        at_once(|| desk.watch(&named(), true).unwrap(), || desk.close());
        assert_eq!(bells_and_served(&core, &desk), (0, false), "round {round}");
    }
}
