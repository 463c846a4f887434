//! What can happen, and how often: the operations of which runs are made.

use proptest::prelude::*;
use proptest::sample::select;
use roamline_proto::session::AgentState;

use crate::daily::Daily;
use crate::site::{PHONES, USERS};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Administrator,
    Application,
    User(usize),
    /// Nobody who is known, with the user's credential or a wrong one.
    Credential(bool),
}

/// Which replica is asked.
pub(crate) type Replica = usize;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) by: By,
    pub(crate) user: usize,
    pub(crate) phone: usize,
    /// Seconds.
    pub(crate) asks: Option<u64>,
    pub(crate) take_over: bool,
}

/// Which session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Phone(usize),
    /// Counted back from the newest there ever was.
    Session(usize),
    /// An id that never was.
    Nothing,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Logout {
    pub(crate) by: By,
    pub(crate) target: Target,
    /// Whatever the agent does (CC-9).
    pub(crate) force: bool,
    /// Whether the asker knows only what was before the newest session of the phone that he names.
    pub(crate) is_late: bool,
}

/// What a phone says it wears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worn {
    Newest,
    OneOlder,
    NeverGiven,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Multiple {
    Allowed,
    NotAllowed,
    AutoLogout,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occupied {
    Refuse,
    OnRequest,
    Always,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clear {
    Never,
    Manual,
    EveryLogout,
}

/// What is done about the logout of an agent who is at work (CC-9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guard {
    Allow,
    Warn,
    Block,
}

/// A parameter that is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Multiple(Multiple),
    Occupied(Occupied),
    Enforce(bool),
    /// Seconds.
    MaximumTime(u64),
    Remember(bool),
    Clear(Clear),
    Guard(Guard),
    Daily(Daily),
}

/// How the clock moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// By seconds.
    On(u32),
    /// By milliseconds.
    Back(u32),
    /// To the next deadline there is, and so many nanoseconds on.
    ToDeadline(i64),
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Login {
        on: Replica,
        login: Login,
        request: Option<u8>,
    },
    Logout {
        on: Replica,
        logout: Logout,
        request: Option<u8>,
    },
    Hook {
        on: Replica,
        phone: usize,
        up: bool,
    },
    Acknowledge {
        on: Replica,
        phone: usize,
        worn: Worn,
    },
    /// What an agent does, as he or another says.
    Agent {
        on: Replica,
        by: By,
        user: usize,
        state: AgentState,
    },
    Clock(Move),
    Set(Change),
    Sweep {
        on: Replica,
    },
    /// One replica ends and begins anew, or both at once.
    Restart {
        one: Option<Replica>,
    },
    /// The watch is dropped, and resumed there.
    Resume {
        on: Replica,
    },
    /// A phone is watched anew.
    Look {
        on: Replica,
        phone: usize,
    },
}

impl Step {
    /// What is counted.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Login { request: None, .. } => "login",
            Self::Login { .. } => "login with request id",
            Self::Logout { request: None, .. } => "logout",
            Self::Logout { .. } => "logout with request id",
            Self::Hook { .. } => "hook",
            Self::Acknowledge { .. } => "acknowledgement",
            Self::Agent { .. } => "agent state",
            Self::Clock(Move::Back(_)) => "clock back",
            Self::Clock(_) => "clock forward",
            Self::Set(Change::Daily(_)) => "daily times set",
            Self::Set(_) => "parameter set",
            Self::Sweep { .. } => "sweep",
            Self::Restart { .. } => "restart",
            Self::Resume { .. } => "watch resumed",
            Self::Look { .. } => "phone watched",
        }
    }
}

/// Any operation.
pub(crate) fn any_step() -> BoxedStrategy<Step> {
    let on = || 0..2_usize;
    let phone = || 0..PHONES;
    let request = || prop_oneof![3 => Just(None), 1 => (0..6_u8).prop_map(Some)];
    prop_oneof![
        300 => (on(), login(), request()).prop_map(|(on, login, request)| Step::Login { on, login, request }),
        160 => (on(), logout(), request()).prop_map(|(on, logout, request)| Step::Logout { on, logout, request }),
        130 => (on(), phone(), any::<bool>()).prop_map(|(on, phone, up)| Step::Hook { on, phone, up }),
        60 => (on(), phone(), worn()).prop_map(|(on, phone, worn)| Step::Acknowledge { on, phone, worn }),
        50 => (on(), agent()).prop_map(|(on, (by, user, state))| Step::Agent { on, by, user, state }),
        160 => clock().prop_map(Step::Clock),
        60 => change().prop_map(Step::Set),
        5 => daily().prop_map(|daily| Step::Set(Change::Daily(daily))),
        100 => on().prop_map(|on| Step::Sweep { on }),
        12 => prop_oneof![2 => on().prop_map(Some), 1 => Just(None)].prop_map(|one| Step::Restart { one }),
        25 => on().prop_map(|on| Step::Resume { on }),
        25 => (on(), phone()).prop_map(|(on, phone)| Step::Look { on, phone }),
    ]
    .boxed()
}

fn login() -> impl Strategy<Value = Login> {
    let phone = prop_oneof![30 => 0..PHONES, 1 => Just(PHONES)];
    let by = prop_oneof![
        6 => Just(None),
        1 => Just(Some(By::Administrator)),
        1 => Just(Some(By::Application)),
        1 => (0..USERS).prop_map(|user| Some(By::User(user))),
        1 => any::<bool>().prop_map(|right| Some(By::Credential(right))),
    ];
    let asks = select(vec![None, None, None, Some(1), Some(60), Some(3_600), Some(7_200), Some(7_201)]);
    (by, 0..USERS, phone, asks, any::<bool>()).prop_map(|(by, user, phone, asks, take_over)| Login {
        by: by.unwrap_or(By::User(user)),
        user,
        phone,
        asks,
        take_over,
    })
}

fn logout() -> impl Strategy<Value = Logout> {
    let by = prop_oneof![
        3 => Just(By::Administrator),
        1 => Just(By::Application),
        4 => (0..USERS).prop_map(By::User),
        1 => Just(By::Credential(true)),
    ];
    let target = prop_oneof![
        20 => (0..PHONES).prop_map(Target::Phone),
        1 => Just(Target::Phone(PHONES)),
        10 => (0..4_usize).prop_map(Target::Session),
        1 => Just(Target::Nothing),
    ];
    let (force, is_late) = (prop::bool::weighted(0.1), prop::bool::weighted(0.1));
    (by, target, force, is_late).prop_map(|(by, target, force, is_late)| {
        // Only who names a phone can know of its past.
        let is_late = is_late && matches!(target, Target::Phone(phone) if phone < PHONES);
        Logout { by, target, force, is_late }
    })
}

fn agent() -> impl Strategy<Value = (By, usize, AgentState)> {
    let states = vec![AgentState::NotReady, AgentState::Ready, AgentState::Talking, AgentState::WrapUp];
    let by = prop_oneof![3 => Just(None), 1 => (0..USERS).prop_map(|user| Some(By::User(user))), 1 => Just(Some(By::Administrator))];
    (by, 0..USERS, select(states)).prop_map(|(by, user, state)| (by.unwrap_or(By::User(user)), user, state))
}

fn worn() -> impl Strategy<Value = Worn> {
    prop_oneof![6 => Just(Worn::Newest), 2 => Just(Worn::OneOlder), 1 => Just(Worn::NeverGiven)]
}

/// Seconds to days, and often to just before, at and after a deadline. Stores keep deadlines to the microsecond.
fn clock() -> impl Strategy<Value = Move> {
    prop_oneof![
        4 => (1..120_u32).prop_map(Move::On),
        3 => (120..7_200_u32).prop_map(Move::On),
        1 => (7_200..172_800_u32).prop_map(Move::On),
        1 => (1..5_000_u32).prop_map(Move::Back),
        6 => select(vec![-1_000, 0, 0, 1_000_000_000]).prop_map(Move::ToDeadline),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    use Change::{Clear as ClearLogs, Enforce, MaximumTime, Multiple as Multi, Occupied as Busy, Remember};
    prop_oneof![
        3 => select(vec![Multiple::Allowed, Multiple::NotAllowed, Multiple::AutoLogout]).prop_map(Multi),
        3 => select(vec![Occupied::Refuse, Occupied::OnRequest, Occupied::Always]).prop_map(Busy),
        1 => any::<bool>().prop_map(Enforce),
        1 => select(vec![3_600, 28_800]).prop_map(MaximumTime),
        1 => any::<bool>().prop_map(Remember),
        2 => select(vec![Guard::Allow, Guard::Warn, Guard::Block]).prop_map(Change::Guard),
        1 => select(vec![Clear::Never, Clear::Manual, Clear::EveryLogout]).prop_map(ClearLogs),
    ]
}

fn daily() -> impl Strategy<Value = Daily> {
    let times = prop_oneof![
        1 => Just(Vec::new()),
        4 => proptest::collection::vec(select(vec![0, 105, 120, 150, 180, 720, 1_080, 1_440]), 1..=3),
    ];
    let zone = select(vec!["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns"]);
    (times, zone).prop_map(|(minutes, zone)| Daily { minutes, zone })
}
