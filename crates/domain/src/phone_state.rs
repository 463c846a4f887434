//! What is live on a phone: the session it holds, what it shall wear, and what it must still do.
//!
//! A session stands inside its phone's state, so that no phone can hold two and no session can lack its phone.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::deadline::PendingLogout;
use crate::name::{LineName, PhoneName, ProfileName, SessionId, UserId};

/// A rendering, as the profile service made it and as the phone gets it. Nothing here reads what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration(pub Vec<u8>);

/// Whether a phone's handset is down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookState {
    /// Down.
    #[default]
    OnHook,
    /// Up: the phone wears nothing new until it is down again (LI-8).
    OffHook,
}

/// What a phone must still do. These add up until the phone acknowledges (EV-3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actions {
    /// Register anew with the configuration.
    pub restart: bool,
    /// Reset after the restart (LI-7).
    pub reset: bool,
    /// Clear the call history (LO-3).
    pub clear_call_history: bool,
    /// Cancel active call-back services (LO-3).
    pub cancel_call_back: bool,
}

impl Actions {
    /// Both what was to be done and what is to be done now.
    #[must_use]
    pub fn and(self, more: Actions) -> Actions {
        Actions {
            restart: self.restart || more.restart,
            reset: self.reset || more.reset,
            clear_call_history: self.clear_call_history || more.clear_call_history,
            cancel_call_back: self.cancel_call_back || more.cancel_call_back,
        }
    }
}

/// Who caused something, and from where. The default is the cluster itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The caller's name; empty when the cluster did it by itself.
    pub name: String,
    /// His address; empty when the cluster did it by itself.
    pub source: String,
}

/// One login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Which.
    pub id: SessionId,
    /// Who.
    pub user: UserId,
    /// Where.
    pub phone: PhoneName,
    /// As what.
    pub profile: ProfileName,
    /// Since when.
    pub since: Timestamp,
    /// The end of its maximum time; `None` is without limit.
    pub expires_at: Option<Timestamp>,
    /// How long its user may be idle (DP-14); `None` is without limit.
    #[serde(default)]
    pub idle_limit: Option<Duration>,
    /// Since when its user may be idle: since the handset is down, or since the login; `None` while it is up (LO-6).
    #[serde(default)]
    pub idle_since: Option<Timestamp>,
    /// The first daily logout time after its login, or after those times were changed (LO-7).
    #[serde(default)]
    pub daily_logout_at: Option<Timestamp>,
    /// Set once an automatic logout waits for the handset (LO-4).
    #[serde(default)]
    pub pending_logout: Option<PendingLogout>,
    /// The user's first number of all.
    pub primary_extension: Option<LineName>,
    /// Lines the phone wears.
    pub lines: Vec<LineName>,
    /// The agent's ACD line (CC-7).
    pub acd_line: Option<LineName>,
    /// The generation of the phone that this login made: the login is applied once the phone acknowledges it.
    pub generation: u64,
    /// The phone's epoch when the session began: a message about the phone with a smaller one is from before it.
    pub epoch: u64,
    /// Who logged him in.
    pub actor: Actor,
    /// What the phone wears afterwards, unless the directory says otherwise then.
    pub logout_configuration: Configuration,
}

/// Why a session ended (LO-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogoutReason {
    /// The user asked for it.
    User,
    /// The next user took the phone over.
    NextUser,
    /// An administrator asked for it.
    Administrator,
    /// A supervisor asked for it.
    Supervisor,
    /// The user logged in at another phone.
    LoggedInElsewhere,
    /// The maximum login time was over.
    MaximumTime,
    /// The phone was idle for too long.
    Idle,
    /// A daily logout time came.
    TimeOfDay,
    /// The phone was removed.
    PhoneRemoved,
    /// The peer cluster ended it.
    CrossClusterPeer,
    /// An application asked for it.
    Application,
    /// A policy ended it.
    Policy,
}

impl LogoutReason {
    /// Whether a person ended the session, rather than the clock or a policy (SP-8).
    pub fn is_manual(self) -> bool {
        matches!(
            self,
            Self::User | Self::NextUser | Self::Administrator | Self::Supervisor | Self::Application
        )
    }
}

/// A session that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedSession {
    /// As it was.
    pub session: Session,
    /// Why it ended.
    pub reason: LogoutReason,
    /// When.
    pub at: Timestamp,
    /// Who ended it.
    pub actor: Actor,
}

/// What others are told about a change to a phone (EV-2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(clippy::large_enum_variant, reason = "events live one at a time")]
pub enum SessionEvent {
    /// A login.
    LoggedIn(Session),
    /// A logout.
    LoggedOut(EndedSession),
    /// A session whose automatic logout waits for the handset (LO-4).
    LogoutPending(Session),
    /// The phone shall wear something else, with nobody logging in or out.
    Redressed(PhoneName),
}

impl SessionEvent {
    /// The phone it is about.
    pub fn phone(&self) -> &PhoneName {
        match self {
            Self::LoggedIn(session) | Self::LogoutPending(session) => &session.phone,
            Self::LoggedOut(ended) => &ended.session.phone,
            Self::Redressed(phone) => phone,
        }
    }

    /// The user it is about.
    pub fn user(&self) -> Option<&UserId> {
        match self {
            Self::LoggedIn(session) | Self::LogoutPending(session) => Some(&session.user),
            Self::LoggedOut(ended) => Some(&ended.session.user),
            Self::Redressed(_) => None,
        }
    }
}

/// Everything that is live on one phone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhoneState {
    /// Which phone.
    pub phone: PhoneName,
    /// Grows with every change of this state; 0 before the first. The store refuses a change made from an older one.
    pub epoch: u64,
    /// Which state of wear the phone shall have; grows with each.
    pub generation: u64,
    /// The generation the phone said it wears.
    pub acknowledged: u64,
    /// What it shall wear: as it was rendered, so that a change to the profile waits for the next login (DP-10).
    pub wears: Configuration,
    /// What it must still do.
    pub actions: Actions,
    /// Where its handset is.
    pub hook: HookState,
    /// Who is logged in.
    pub session: Option<Session>,
    /// The last user, where the cluster remembers him (SP-7).
    pub last_user: Option<UserId>,
}

/// A phone acknowledged a generation that it was never given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the phone was given generation {newest} at most, not {acknowledged}")]
pub struct GenerationUnknown {
    /// The newest it was given.
    pub newest: u64,
    /// What it acknowledged.
    pub acknowledged: u64,
}

impl PhoneState {
    /// A phone of which nothing is known yet.
    pub fn new(phone: PhoneName) -> Self {
        Self {
            phone,
            epoch: 0,
            generation: 0,
            acknowledged: 0,
            wears: Configuration::default(),
            actions: Actions::default(),
            hook: HookState::default(),
            session: None,
            last_user: None,
        }
    }

    /// The phone in other wear: one generation on, with what is to be done added to what was.
    #[must_use]
    pub fn dressed(&self, wears: Configuration, actions: Actions) -> Self {
        Self {
            epoch: self.epoch + 1,
            generation: self.generation + 1,
            wears,
            actions: self.actions.and(actions),
            ..self.clone()
        }
    }

    /// The phone after it said that it wears a generation; `None` when that changes nothing. What was to be done is
    /// done once the newest generation is acknowledged.
    ///
    /// # Errors
    /// When the phone was never given that generation.
    pub fn acknowledged(&self, generation: u64) -> Result<Option<Self>, GenerationUnknown> {
        if generation > self.generation {
            return Err(GenerationUnknown { newest: self.generation, acknowledged: generation });
        }
        if generation <= self.acknowledged {
            return Ok(None);
        }
        let actions = if generation == self.generation { Actions::default() } else { self.actions };
        Ok(Some(Self { epoch: self.epoch + 1, acknowledged: generation, actions, ..self.clone() }))
    }

    /// The phone with its handset there since `now`; `None` when it was there already. The idle clock stands while it
    /// is up, and begins anew when it is down (LO-6); a logout that waits for it waits no longer then (LO-4).
    pub fn with_hook(&self, hook: HookState, now: Timestamp) -> Option<Self> {
        if self.hook == hook {
            return None;
        }
        let mut next = Self { epoch: self.epoch + 1, hook, ..self.clone() };
        if let Some(session) = &mut next.session {
            session.idle_since = (hook == HookState::OnHook).then_some(now);
            if let (HookState::OnHook, Some(pending)) = (hook, &mut session.pending_logout) {
                pending.until = pending.until.min(now);
            }
        }
        Some(next)
    }

    /// Whether the phone wears what its session brought.
    pub fn session_is_applied(&self) -> bool {
        self.session.as_ref().is_some_and(|session| self.acknowledged >= session.generation)
    }
}

#[cfg(test)]
mod tests {
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
        let twice = phone().dressed(Configuration(vec![1]), restart()).dressed(Configuration(vec![2]), clear);
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
}
