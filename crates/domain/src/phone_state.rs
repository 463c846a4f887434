//! What is live on a phone: the session it holds, what it shall wear, and what it must still do.
//!
//! A session stands inside its phone's state, so that no phone can hold two and no session can lack its phone.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::deadline::PendingLogout;
use crate::name::{LineName, PhoneName, ProfileName, SessionId, UserId};

/// A rendering, as the profile service made it. Nothing here reads what is in it, and copies share it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<u8>", into = "Vec<u8>")]
pub struct Configuration(pub Bytes);

impl From<Vec<u8>> for Configuration {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<Configuration> for Vec<u8> {
    fn from(configuration: Configuration) -> Self {
        configuration.0.into()
    }
}

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
    /// The program he did it with, as it names itself (`user-agent`); empty where it does not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub application: String,
    /// The trace it belongs to: 32 hexadecimal digits of W3C's `traceparent`; empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub trace_id: String,
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
    /// Until when the phone must be on hook, so that it can wear what the login brought: the login is dropped otherwise.
    /// Set where the handset was up at the login (LI-8), `None` once it was down.
    #[serde(default)]
    pub apply_by: Option<Timestamp>,
    /// What the agent does, as his desktop reported it last (CC-9); `None` before the first report.
    #[serde(default)]
    pub agent_state: Option<AgentState>,
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
    /// What the phone wears afterwards, unless the directory says otherwise then. Empty in events.
    pub logout_configuration: Configuration,
}

impl Session {
    /// The session as events tell of it: without the logout rendering, which nobody reads there.
    #[must_use]
    pub fn told(&self) -> Self {
        Self { logout_configuration: Configuration::default(), ..self.clone() }
    }
}

impl EndedSession {
    /// What others are told.
    pub fn told(&self) -> SessionEvent {
        SessionEvent::LoggedOut(Self { session: self.session.told(), ..self.clone() })
    }
}

/// What an agent does, as his desktop reports it (CC-9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentState {
    /// Signed in to no skill group, or signed out.
    LoggedOut,
    /// Takes no calls.
    NotReady,
    /// Waits for a call.
    Ready,
    /// A call is on its way to him.
    Reserved,
    /// On a call.
    Talking,
    /// Works on the call that has ended.
    WrapUp,
}

impl AgentState {
    /// Whether the contact centre counts on him: ready, reserved, talking or in wrap-up (CC-9).
    pub fn is_busy(self) -> bool {
        matches!(self, Self::Ready | Self::Reserved | Self::Talking | Self::WrapUp)
    }
}

impl fmt::Display for AgentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LoggedOut => "logged out",
            Self::NotReady => "not ready",
            Self::Ready => "ready",
            Self::Reserved => "reserved",
            Self::Talking => "talking",
            Self::WrapUp => "in wrap-up",
        })
    }
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
    /// The phone's epoch when it had ended.
    #[serde(default)]
    pub epoch: u64,
    /// Why it was ended whatever the agent did, in the words of who forced it (CC-9); empty otherwise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// A session that goes on with its profile as it is now (DP-10).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshedSession {
    /// The session.
    #[serde(flatten)]
    pub session: Session,
    /// Who asked for it.
    #[serde(default, rename = "refreshed_by")]
    pub actor: Actor,
}

/// What was asked for and refused. What it names is as it was sent, and need not exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// A login, or a logout.
    pub what: Asked,
    /// The phone.
    pub phone: PhoneName,
    /// The user; empty where a logout names none.
    pub user: String,
    /// The profile; empty where none was named.
    #[serde(default)]
    pub profile: String,
    /// The reason, by its name in the API's errors.
    pub reason: String,
    /// Who asked.
    pub actor: Actor,
    /// How many refusals of the same source it stands for, beside itself: of too many at once not each is told of by
    /// itself. Where they came from more sources than are told apart, it names no actor and no user.
    #[serde(default)]
    pub more: u64,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asked {
    /// A login.
    Login,
    /// A logout.
    Logout,
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
    /// A session goes on with its profile as it is now (DP-10).
    Refreshed(RefreshedSession),
    /// Something was refused (EV-1).
    Refused(Refused),
}

impl SessionEvent {
    /// The phone it is about.
    pub fn phone(&self) -> &PhoneName {
        match self {
            Self::LoggedIn(session) | Self::LogoutPending(session) => &session.phone,
            Self::Refreshed(refreshed) => &refreshed.session.phone,
            Self::LoggedOut(ended) => &ended.session.phone,
            Self::Redressed(phone) => phone,
            Self::Refused(refused) => &refused.phone,
        }
    }

    /// The session it is about, as it is then or was.
    pub fn session(&self) -> Option<&Session> {
        match self {
            Self::LoggedIn(session) | Self::LogoutPending(session) => Some(session),
            Self::Refreshed(refreshed) => Some(&refreshed.session),
            Self::LoggedOut(ended) => Some(&ended.session),
            Self::Redressed(_) | Self::Refused(_) => None,
        }
    }

    /// The user whose session it is about.
    pub fn user(&self) -> Option<&UserId> {
        self.session().map(|session| &session.user)
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
    /// is up, and begins anew when it is down (LO-6); a logout that waits for it waits no longer then (LO-4), and what
    /// a login brought can be worn (LI-8).
    pub fn with_hook(&self, hook: HookState, now: Timestamp) -> Option<Self> {
        if self.hook == hook {
            return None;
        }
        let mut next = Self { epoch: self.epoch + 1, hook, ..self.clone() };
        if let Some(session) = &mut next.session {
            session.idle_since = (hook == HookState::OnHook).then_some(now);
            if hook == HookState::OnHook {
                session.apply_by = None;
            }
            if let (HookState::OnHook, Some(pending)) = (hook, &mut session.pending_logout) {
                pending.until = pending.until.min(now);
            }
        }
        Some(next)
    }

    /// The phone after that user's desktop reported what he does (CC-9); `None` when that changes nothing here.
    pub fn with_agent_state(&self, user: &UserId, agent_state: AgentState) -> Option<Self> {
        let session = self.session.as_ref().filter(|session| session.user == *user)?;
        if session.agent_state == Some(agent_state) {
            return None;
        }
        let session = Session { agent_state: Some(agent_state), ..session.clone() };
        Some(Self { epoch: self.epoch + 1, session: Some(session), ..self.clone() })
    }

    /// Whether the phone wears what its session brought.
    pub fn session_is_applied(&self) -> bool {
        self.session.as_ref().is_some_and(|session| self.acknowledged >= session.generation)
    }
}

#[cfg(test)]
#[path = "phone_state_tests.rs"]
mod tests;
