//! What a phone does with what it is told: a state machine without I/O. It wears nothing new while it is off hook
//! (LI-8), restarts when told to, and acknowledges a generation once it wears it and has done its actions (EV-3).

use roamline_proto::session::{PhoneActions, PhoneUpdate};

/// What happens to a phone.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// The link stands; the next update is the truth, whatever came before.
    Linked,
    /// The link is gone.
    Unlinked(String),
    /// The server says what the phone shall be.
    Update(Box<PhoneUpdate>),
    /// The handset is lifted (`true`) or put down.
    Handset(bool),
    /// The restart is over.
    Restarted,
    /// The server took the acknowledgement of that generation.
    Acknowledged(u64),
}

/// What a phone wants done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    /// Tell the user.
    Tell(Event),
    /// Give [`Input::Restarted`] after a moment.
    Restart,
    /// Tell the server that this generation is worn and its actions are done.
    Acknowledge(u64),
    /// Tell the server where the handset is.
    ReportHook,
}

/// What a user sees happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The link stands.
    Linked,
    /// The link is gone.
    Disconnected,
    /// There is something new to wear.
    Updated,
    /// The phone restarts.
    Restarting,
    /// The phone wears what it was told.
    Applied(Done),
    /// The server knows.
    Acknowledged,
    /// The handset was lifted or put down.
    Hook,
}

/// What was done besides wearing the new configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// The phone was restarted.
    pub(crate) restarted: bool,
    /// The phone was reset.
    pub(crate) reset: bool,
    /// The call history was cleared (LO-3).
    pub(crate) cleared_call_history: bool,
    /// Call-back services were cancelled (LO-3).
    pub(crate) cancelled_call_back: bool,
}

/// A phone.
#[derive(Debug, Default)]
pub(crate) struct Phone {
    linked: bool,
    /// Why it is not linked.
    trouble: String,
    off_hook: bool,
    restarting: bool,
    /// What it wears.
    worn: Option<PhoneUpdate>,
    /// What it shall wear next.
    waiting: Option<PhoneUpdate>,
    acknowledged: Option<u64>,
    /// The next update is the truth, even with a smaller generation: the server may have lost its memory.
    fresh: bool,
}

impl Phone {
    /// Whether the link stands.
    pub(crate) fn linked(&self) -> bool {
        self.linked
    }

    /// Why it does not.
    pub(crate) fn trouble(&self) -> &str {
        &self.trouble
    }

    /// Whether the handset is lifted.
    pub(crate) fn off_hook(&self) -> bool {
        self.off_hook
    }

    /// Whether it restarts at this moment.
    pub(crate) fn restarting(&self) -> bool {
        self.restarting
    }

    /// What it wears.
    pub(crate) fn worn(&self) -> Option<&PhoneUpdate> {
        self.worn.as_ref()
    }

    /// What it shall wear next.
    pub(crate) fn waiting(&self) -> Option<&PhoneUpdate> {
        self.waiting.as_ref()
    }

    /// Takes one step.
    pub(crate) fn step(&mut self, input: Input) -> Vec<Effect> {
        match input {
            Input::Linked => {
                self.linked = true;
                self.fresh = true;
                self.trouble.clear();
                vec![Effect::Tell(Event::Linked), Effect::ReportHook]
            }
            Input::Unlinked(trouble) => {
                let told = self.trouble == trouble && !self.linked;
                self.linked = false;
                self.trouble = trouble;
                if told { Vec::new() } else { vec![Effect::Tell(Event::Disconnected)] }
            }
            Input::Update(update) => self.update(*update),
            Input::Handset(lifted) if lifted == self.off_hook => Vec::new(),
            Input::Handset(lifted) => {
                self.off_hook = lifted;
                let mut effects = vec![Effect::Tell(Event::Hook), Effect::ReportHook];
                effects.extend(self.begin());
                effects
            }
            Input::Restarted => {
                self.restarting = false;
                if self.off_hook { Vec::new() } else { self.apply(true) }
            }
            Input::Acknowledged(generation) => {
                self.acknowledged = Some(generation);
                vec![Effect::Tell(Event::Acknowledged)]
            }
        }
    }

    fn update(&mut self, mut update: PhoneUpdate) -> Vec<Effect> {
        let fresh = std::mem::take(&mut self.fresh);
        if self.worn.as_ref().is_some_and(|worn| worn.generation == update.generation) {
            self.waiting = None;
            // Done already: only the acknowledgement can have been lost.
            let lost = self.acknowledged != Some(update.generation);
            return if lost { vec![Effect::Acknowledge(update.generation)] } else { Vec::new() };
        }
        let newest = self.waiting.as_ref().or(self.worn.as_ref()).map(|known| known.generation);
        if !fresh && newest.is_some_and(|newest| update.generation <= newest) {
            return Vec::new();
        }
        if let Some(skipped) = self.waiting.take() {
            update.actions = Some(both(skipped.actions, update.actions));
        }
        self.waiting = Some(update);
        let mut effects = vec![Effect::Tell(Event::Updated)];
        effects.extend(self.begin());
        effects
    }

    /// Begins to wear what waits, if nothing stands in the way.
    fn begin(&mut self) -> Vec<Effect> {
        let Some(waiting) = &self.waiting else { return Vec::new() };
        if self.off_hook || self.restarting {
            return Vec::new();
        }
        let actions = waiting.actions.unwrap_or_default();
        if actions.restart || actions.reset {
            self.restarting = true;
            return vec![Effect::Tell(Event::Restarting), Effect::Restart];
        }
        self.apply(false)
    }

    fn apply(&mut self, restarted: bool) -> Vec<Effect> {
        let Some(update) = self.waiting.take() else { return Vec::new() };
        let actions = update.actions.unwrap_or_default();
        let generation = update.generation;
        let done = Done {
            restarted,
            reset: actions.reset,
            cleared_call_history: actions.clear_call_history,
            cancelled_call_back: actions.cancel_call_back,
        };
        self.worn = Some(update);
        vec![Effect::Tell(Event::Applied(done)), Effect::Acknowledge(generation)]
    }
}

fn both(a: Option<PhoneActions>, b: Option<PhoneActions>) -> PhoneActions {
    let (a, b) = (a.unwrap_or_default(), b.unwrap_or_default());
    PhoneActions {
        restart: a.restart || b.restart,
        reset: a.reset || b.reset,
        clear_call_history: a.clear_call_history || b.clear_call_history,
        cancel_call_back: a.cancel_call_back || b.cancel_call_back,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RESTART: PhoneActions =
        PhoneActions { restart: true, reset: false, clear_call_history: false, cancel_call_back: false };

    fn update(generation: u64, actions: PhoneActions) -> Input {
        Input::Update(Box::new(PhoneUpdate { generation, actions: Some(actions), ..PhoneUpdate::default() }))
    }

    fn linked() -> Phone {
        let mut phone = Phone::default();
        phone.step(Input::Linked);
        phone
    }

    fn acknowledgements(effects: &[Effect]) -> Vec<u64> {
        effects.iter().filter_map(|e| if let Effect::Acknowledge(g) = e { Some(*g) } else { None }).collect()
    }

    #[test]
    fn ev_3_a_phone_restarts_then_wears_then_acknowledges() {
        let mut phone = linked();
        let told = phone.step(update(1, RESTART));
        assert_eq!(told, [Effect::Tell(Event::Updated), Effect::Tell(Event::Restarting), Effect::Restart]);
        assert!(phone.restarting() && phone.worn().is_none());
        let applied = phone.step(Input::Restarted);
        let done = Done { restarted: true, ..Done::default() };
        assert_eq!(applied, [Effect::Tell(Event::Applied(done)), Effect::Acknowledge(1)]);
    }

    #[test]
    fn li_8_a_phone_off_hook_wears_nothing_new_until_it_is_on_hook() {
        let mut phone = linked();
        phone.step(Input::Handset(true));
        assert_eq!(phone.step(update(1, RESTART)), [Effect::Tell(Event::Updated)]);
        assert_eq!(phone.waiting().map(|u| u.generation), Some(1));
        let on_hook = phone.step(Input::Handset(false));
        assert!(on_hook.contains(&Effect::Restart));
        assert_eq!(acknowledgements(&phone.step(Input::Restarted)), [1]);
    }

    #[test]
    fn li_8_a_handset_lifted_during_the_restart_defers_it() {
        let mut phone = linked();
        phone.step(update(1, RESTART));
        phone.step(Input::Handset(true));
        assert_eq!(phone.step(Input::Restarted), []);
        assert!(phone.step(Input::Handset(false)).contains(&Effect::Restart));
        assert_eq!(acknowledgements(&phone.step(Input::Restarted)), [1]);
    }

    #[test]
    fn ev_3_skipped_generations_keep_their_actions() {
        let mut phone = linked();
        phone.step(Input::Handset(true));
        phone.step(update(1, PhoneActions { clear_call_history: true, ..PhoneActions::default() }));
        phone.step(update(2, PhoneActions::default()));
        let effects = phone.step(Input::Handset(false));
        let done = Done { cleared_call_history: true, ..Done::default() };
        assert!(effects.contains(&Effect::Tell(Event::Applied(done))));
        assert_eq!(acknowledgements(&effects), [2]);
    }

    #[test]
    fn ev_3_a_lost_acknowledgement_is_sent_again_without_doing_anything_again() {
        let mut phone = linked();
        phone.step(update(1, RESTART));
        phone.step(Input::Restarted);
        phone.step(Input::Unlinked("gone".into()));
        phone.step(Input::Linked);
        assert_eq!(phone.step(update(1, RESTART)), [Effect::Acknowledge(1)]);
        phone.step(Input::Acknowledged(1));
        phone.step(Input::Linked);
        assert_eq!(phone.step(update(1, PhoneActions::default())), []);
    }

    #[test]
    fn a_stale_generation_is_passed_over_unless_the_link_is_new() {
        let mut phone = linked();
        phone.step(update(5, PhoneActions::default()));
        assert_eq!(phone.step(update(4, PhoneActions::default())), []);
        phone.step(Input::Linked);
        assert_eq!(acknowledgements(&phone.step(update(4, PhoneActions::default()))), [4]);
    }

    #[test]
    fn a_link_that_stays_away_is_told_once() {
        let mut phone = linked();
        assert_eq!(phone.step(Input::Unlinked("gone".into())), [Effect::Tell(Event::Disconnected)]);
        assert_eq!(phone.step(Input::Unlinked("gone".into())), []);
    }

    proptest! {
        #[test]
        fn li_8_whatever_happens_it_never_changes_off_hook_and_never_acknowledges_what_it_does_not_wear(
            steps in proptest::collection::vec((0u8..5, 1u64..8, any::<bool>()), 0..60)
        ) {
            let mut phone = linked();
            for (what, generation, flag) in steps {
                let before = phone.worn().map(|worn| worn.generation);
                let effects = phone.step(match what {
                    0 => update(generation, PhoneActions { restart: flag, ..PhoneActions::default() }),
                    1 => Input::Handset(flag),
                    2 if phone.restarting() => Input::Restarted,
                    3 => Input::Linked,
                    _ => Input::Unlinked("gone".into()),
                });
                let worn = phone.worn().map(|worn| worn.generation);
                if phone.off_hook() {
                    prop_assert_eq!(before, worn);
                }
                for acknowledged in acknowledgements(&effects) {
                    prop_assert_eq!(Some(acknowledged), worn);
                }
            }
        }
    }
}
