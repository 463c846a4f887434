//! Tests of what becomes of a phone.

use proptest::prelude::*;

use super::*;

fn phone() -> PhoneState {
    PhoneState::new("SEP000DEDAB3566".parse().unwrap())
}

fn restart() -> Actions {
    Actions { restart: true, ..Actions::default() }
}

#[test]
fn ev_3_actions_add_up_until_the_newest_generation_is_acknowledged() {
    let clear = Actions { clear_call_history: true, ..Actions::default() };
    let twice = phone()
        .dressed(Configuration(vec![1].into()), restart())
        .dressed(Configuration(vec![2].into()), clear);
    assert_eq!(twice.actions, restart().and(clear));
    let late = twice.acknowledged(1).unwrap().unwrap();
    assert_eq!(late.actions, restart().and(clear), "an older generation leaves everything to do");
    let done = late.acknowledged(2).unwrap().unwrap();
    assert_eq!(done.actions, Actions::default());
    assert_eq!(done.acknowledged(2), Ok(None), "a repeat changes nothing");
}

#[test]
fn a_generation_never_given_is_refused() {
    let refused = phone().acknowledged(1).unwrap_err();
    assert_eq!(refused, GenerationUnknown { newest: 0, acknowledged: 1 });
}

proptest! {
    #[test]
    fn every_change_grows_the_epoch_and_acknowledgements_never_go_back(steps in prop::collection::vec(0u64..6, 1..40)) {
        let mut state = phone();
        for step in steps {
            let next = match step {
                0 => Some(state.dressed(Configuration::default(), restart())),
                1 => state.with_hook(HookState::OffHook, Timestamp::UNIX_EPOCH),
                2 => state.with_hook(HookState::OnHook, Timestamp::UNIX_EPOCH),
                back => state.acknowledged(state.generation.saturating_sub(back - 3)).unwrap(),
            };
            if let Some(next) = next {
                prop_assert_eq!(next.epoch, state.epoch + 1);
                prop_assert!(next.acknowledged >= state.acknowledged);
                prop_assert!(next.acknowledged <= next.generation);
                state = next;
            }
        }
    }
}

#[test]
fn ev_1_a_refresh_told_of_without_its_actor_is_read_as_the_clusters_own() {
    let state = crate::login::fixture::logged_in("SEP000DEDAB3566", "agent7", None);
    let session = state.session.unwrap();
    let before = serde_json::json!({ "refreshed": session });
    let read: SessionEvent = serde_json::from_value(before).unwrap();
    let told = RefreshedSession { session: session.clone(), actor: Actor::default() };
    assert_eq!(read, SessionEvent::Refreshed(told));
    let actor = Actor { name: "administrator".into(), ..Actor::default() };
    let event = SessionEvent::Refreshed(RefreshedSession { session: session.clone(), actor });
    let written = serde_json::to_value(&event).unwrap();
    assert_eq!(serde_json::from_value::<SessionEvent>(written.clone()).unwrap(), event);
    let by_before: Session = serde_json::from_value(written["refreshed"].clone()).unwrap();
    assert_eq!(by_before, session, "who reads it without knowing of the actor finds the session");
}
