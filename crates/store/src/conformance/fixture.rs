//! Phones, users, logins and resources for tests of stores, and of what stands on them. Decisions are the domain's own.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use roamline_domain::directory::{
    AddressingMode, Key, Line, LineCapacity, LogoutChoice, OffHookPolicy, OwnerPolicy, Phone, Resource, User,
    UserDeviceProfile, UserLoginTime,
};
use roamline_domain::login::{LoginRequest, Rendering, decide_login};
use roamline_domain::logout::{Logout, decide_logout};
use roamline_domain::parameters::{MultipleLogin, OccupiedPhone, ServiceParameters};
use roamline_domain::phone_state::{Actor, Configuration, LogoutReason, PhoneState};
use roamline_domain::settings::{DeviceSettings, LineAppearance, LineKind, ProfileLine, Protocol};
use roamline_domain::{LineName, PhoneName, RequestId, SessionId, UserId};

use crate::{
    About, Change, Commit, CommitError, DirectoryStore, Expect, Guard, Keep, Loaded, Reply, Sequence,
    SessionStore, Snapshot, Stored, StoredEvent,
};

/// That many seconds after some instant.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_700_000_000 + seconds)
}

/// Events since that instant are to be kept, and no others for any other's sake.
pub fn since(instant: Timestamp) -> Keep {
    Keep { since: instant, after: Sequence::MAX }
}

/// The phone of that number; names are in the order of numbers.
pub fn phone(number: u32) -> PhoneName {
    format!("SEP{number:012X}").parse().unwrap()
}

/// The user of that number.
pub fn user(number: u32) -> UserId {
    format!("agent{number}").parse().unwrap()
}

/// The ACD line of that number.
pub fn acd_line(number: u32) -> LineName {
    format!("9{number:04}@queues").parse().unwrap()
}

/// Somebody who logs in.
#[derive(Clone, Debug)]
pub struct Agent {
    /// Who.
    pub user: UserId,
    /// His ACD line.
    pub acd_line: Option<LineName>,
    /// For how long.
    pub duration: Option<Duration>,
    /// How long he may be idle.
    pub idle_limit: Option<Duration>,
}

/// The agent of that number, without ACD line and limits.
pub fn agent(number: u32) -> Agent {
    Agent { user: user(number), acd_line: None, duration: None, idle_limit: None }
}

impl Agent {
    /// With that ACD line.
    #[must_use]
    pub fn on_line(mut self, number: u32) -> Self {
        self.acd_line = Some(acd_line(number));
        self
    }

    /// Logged in for that long.
    #[must_use]
    pub fn lasting(mut self, duration: Duration) -> Self {
        self.duration = Some(duration);
        self
    }

    /// Logged out once he is idle for that long.
    #[must_use]
    pub fn idle_for(mut self, limit: Duration) -> Self {
        self.idle_limit = Some(limit);
        self
    }

    /// What his login to the phone is about.
    pub fn about(&self, phone_number: u32) -> About {
        About { phone: phone(phone_number), user: Some(self.user.clone()), acd_line: self.acd_line.clone() }
    }

    /// His login, decided at [`at`]`(0)`: whoever is on the phone goes, other phones of his are left alone. The
    /// session's id is made from the phone and its generation.
    pub fn login(&self, read: Loaded) -> Commit {
        let policy = ServiceParameters {
            multiple_login: MultipleLogin::Allowed,
            occupied_phone: OccupiedPhone::Always,
            ..ServiceParameters::default()
        };
        let request = LoginRequest {
            session: session_id(&read.held.phone),
            user: self.user.clone(),
            rendering: Rendering {
                profile: "agents".parse().unwrap(),
                configuration: Configuration(format!("the wear of {}", self.user).into_bytes().into()),
                reset: false,
                lines: vec!["2101".parse().unwrap()],
                acd_line: self.acd_line.clone(),
                primary_extension: Some("2101@office".parse().unwrap()),
                idle_limit: self.idle_limit,
                logout_configuration: Configuration(vec![0, 159, 146, 150, 255].into()),
            },
            duration: self.duration,
            user_login_time: UserLoginTime::Unlimited,
            apply_within: Duration::from_secs(1800),
            take_over: true,
            actor: Actor { name: self.user.to_string(), source: "127.0.0.1".into(), ..Actor::default() },
        };
        let login = decide_login(&read.held, &request, &policy, at(0)).unwrap();
        Commit { read, states: login.states, events: login.events, reply: None, at: at(0) }
    }
}

fn session_id(phone: &PhoneState) -> SessionId {
    let mac = phone.phone.as_str().trim_start_matches("SEP");
    format!("{mac}{:014}", phone.generation + 1).parse().unwrap()
}

/// The logout of whoever is on the phone, decided at [`at`]`(60)`.
pub fn logout(read: Loaded) -> Commit {
    let why = Logout { reason: LogoutReason::User, wears: None, actor: Actor::default() };
    let done = decide_logout(&read.held.phone, why, &ServiceParameters::default(), at(60)).unwrap();
    let events = vec![done.event()];
    Commit { read, states: vec![done.state], events, reply: None, at: at(60) }
}

/// A commit that changes nothing but the state of the phone.
pub fn change(read: Loaded, state: PhoneState) -> Commit {
    Commit { read, states: vec![state], events: Vec::new(), reply: None, at: at(0) }
}

/// The answer to that request, remembered until [`at`]`(expires)`.
pub fn reply(request: &str, expires: i64) -> Reply {
    Reply {
        request: request_id(request),
        fingerprint: vec![0, 255, 1],
        answer: b"yes".to_vec(),
        expires_at: at(expires),
    }
}

/// The request id of that text.
pub fn request_id(text: &str) -> RequestId {
    text.parse().unwrap()
}

/// Loads, decides and commits a login; returns what was committed.
pub async fn log_in(store: &Arc<impl SessionStore>, phone_number: u32, agent: &Agent) -> Commit {
    let commit = agent.login(store.load(&agent.about(phone_number)).await.unwrap());
    store.commit(commit.clone()).await.unwrap();
    commit
}

/// Loads, decides and commits a logout; returns what was committed.
pub async fn log_out(store: &Arc<impl SessionStore>, phone_number: u32) -> Commit {
    let commit = logout(store.load(&About::phone(phone(phone_number))).await.unwrap());
    store.commit(commit.clone()).await.unwrap();
    commit
}

/// The versions of the guards of that agent.
pub async fn guards(store: &Arc<impl SessionStore>, agent: &Agent) -> Vec<(Guard, u64)> {
    store.load(&agent.about(9_999)).await.unwrap().guards
}

/// Everything that a commit about phones 1 to 4, agents 1 to 4 and request `r` can change.
#[derive(Debug, PartialEq, Eq)]
pub struct Everything {
    phones: Vec<Option<PhoneState>>,
    guards: Vec<Vec<(Guard, u64)>>,
    snapshot: Snapshot,
    events: Vec<StoredEvent>,
    reply: Option<Reply>,
    latest: Sequence,
}

/// Reads all that.
pub async fn everything(store: &Arc<impl SessionStore>) -> Everything {
    let mut phones = Vec::new();
    let mut all_guards = Vec::new();
    for number in 1..=4 {
        phones.push(store.phone(&phone(number)).await.unwrap());
        all_guards.push(guards(store, &agent(number).on_line(number)).await);
    }
    Everything {
        phones,
        guards: all_guards,
        snapshot: store.snapshot(None).await.unwrap(),
        events: store.events(0, 1_000).await.unwrap().events,
        reply: store.reply(&request_id("r"), at(0)).await.unwrap(),
        latest: *store.latest().borrow(),
    }
}

/// That the commit is refused as moved, and changes nothing.
pub async fn assert_moved(store: &Arc<impl SessionStore>, commit: Commit) {
    let before = everything(store).await;
    let refused = store.commit(commit).await;
    assert!(matches!(refused, Err(CommitError::Moved)), "{refused:?}");
    assert_eq!(everything(store).await, before);
}

/// A line.
pub fn line(number: &str) -> Resource {
    Resource::Line(Line {
        name: number.parse().unwrap(),
        description: "Zeile „eins“".into(),
        capacity: LineCapacity::Octo,
        display_name: "Zoë".into(),
        presence_group: None,
        intercom_phone: None,
        calling_search_space: None,
    })
}

/// Settings with these lines.
pub fn settings(lines: &[&str]) -> DeviceSettings {
    let entry = |number: &&str| ProfileLine {
        kind: LineKind::Normal,
        lines: vec![number.parse().unwrap()],
        appearance: LineAppearance::default(),
        template: None,
    };
    DeviceSettings { lines: lines.iter().map(entry).collect(), ..DeviceSettings::default() }
}

/// A user device profile with these lines.
pub fn profile(name: &str, lines: &[&str]) -> Resource {
    Resource::UserDeviceProfile(UserDeviceProfile {
        name: name.parse().unwrap(),
        description: String::new(),
        made_for: None,
        settings: settings(lines),
        agent: None,
        login_user_id: None,
        cross_cluster_calling_search_space: None,
        applications: Vec::new(),
    })
}

/// A phone resource with these lines.
pub fn device(name: &str, lines: &[&str]) -> Resource {
    Resource::Phone(Phone {
        name: name.parse().unwrap(),
        description: String::new(),
        model: "7960".parse().unwrap(),
        protocol: Protocol::Sccp,
        addressing_mode: AddressingMode::default(),
        extension_mobility_enabled: true,
        logout_choice: LogoutChoice::OwnSettings,
        settings: settings(lines),
        device_pool: None,
        owner: None,
        owner_policy: OwnerPolicy::default(),
        off_hook_policy: OffHookPolicy::default(),
        speed_dial_editing_disabled: false,
        autogenerated: None,
    })
}

/// A user with these profiles and that self-service id.
pub fn person(id: &str, profiles: &[&str], self_service_id: Option<&str>) -> Resource {
    Resource::User(User {
        user_id: id.parse().unwrap(),
        display_name: id.into(),
        profiles: profiles.iter().map(|name| name.parse().unwrap()).collect(),
        default_profile: None,
        maximum_login_time: UserLoginTime::Cluster,
        user_locale: None,
        cross_cluster_enabled: false,
        self_service_id: self_service_id.map(str::to_owned),
        primary_extension: None,
        teams: Vec::new(),
        supervised_teams: Vec::new(),
    })
}

/// Creates it.
pub fn create(resource: Resource) -> Change {
    Change::Put { resource, expect: Expect::Absent }
}

/// Puts it in the place of that version.
pub fn replace(resource: Resource, version: u64) -> Change {
    Change::Put { resource, expect: Expect::Version(version) }
}

/// Deletes it.
pub fn delete(resource: &Resource, version: u64) -> Change {
    Change::Delete { key: resource.key(), version }
}

/// Changes nothing, and demands that it has that version.
pub fn keep(resource: &Resource, version: Option<u64>) -> Change {
    Change::Keep { key: resource.key(), version }
}

/// Makes these changes at [`at`]`(0)`.
pub async fn made(store: &Arc<impl DirectoryStore>, changes: Vec<Change>) {
    store.commit(changes, at(0)).await.unwrap();
}

/// What is stored under the key.
pub async fn find(store: &Arc<impl DirectoryStore>, key: &Key) -> Option<Stored> {
    store.find(std::slice::from_ref(key)).await.unwrap().remove(0)
}

/// The version of the resource of the same key.
pub async fn version(store: &Arc<impl DirectoryStore>, resource: &Resource) -> Option<u64> {
    find(store, &resource.key()).await.map(|stored| stored.version)
}
