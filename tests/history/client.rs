//! A client: logs random users in and out at random phones, each request under an id of its own and repeated until it
//! is answered, and writes down what it was told and when.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_proto::session::{EndedSession, LoginRequest, LogoutReason, LogoutRequest, Session};
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::Status;

use crate::check::{Ended, Operation, Outcome, Seen};
use crate::clients::{Sessions, login, logout, phone_name, user};

/// Users and phones that the clients share.
pub(crate) const USERS: u32 = 40;
pub(crate) const PHONES: u32 = 32;
/// How long one attempt may take, and how many there are.
const ATTEMPT: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 15;
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest that a login asks for, in seconds.
pub(crate) const LONGEST: u64 = 3;

pub(crate) struct Client {
    pub(crate) number: usize,
    pub(crate) servers: Arc<Vec<Sessions>>,
    pub(crate) began: Instant,
    pub(crate) stop: watch::Receiver<bool>,
}

/// What is asked for, in the same words each time.
#[derive(Clone)]
enum Request {
    Login(LoginRequest),
    Logout(LogoutRequest),
}

impl Request {
    async fn ask(self, mut server: Sessions) -> Result<Outcome, Status> {
        match self {
            Self::Login(request) => {
                let made = server.login(request).await?.into_inner();
                let ended = made.ended_sessions.into_iter().map(ended).collect();
                Ok(Outcome::LoggedIn(seen(made.session.expect("a session")), ended))
            }
            Self::Logout(request) => {
                let made = server.logout(request).await?.into_inner();
                Ok(Outcome::LoggedOut(ended(made.ended_session.expect("a session"))))
            }
        }
    }
}

/// What one attempt came to.
enum Attempt {
    Answered(Outcome),
    Refused,
    /// It may have happened, or may happen still.
    Open,
}

impl Client {
    /// Works until it is told to stop; its operations.
    pub(crate) async fn work(self) -> Vec<Operation> {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&(self.number as u64).to_le_bytes());
        let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let mut below = move |limit: u32| random.next_u32() % limit;
        let mut operations = Vec::new();
        while !*self.stop.borrow() {
            let (user, phone) = (user(below(USERS)), phone_name(below(PHONES)));
            let is_login = below(100) < 60;
            let duration = (below(3) == 0).then(|| Duration::from_secs(1 + u64::from(below(3)) % LONGEST));
            let request_id = format!("{}-{}", self.number, operations.len());
            let first = below(3) as usize;
            let called = self.began.elapsed();
            let request = if is_login {
                let duration = duration.map(|duration| duration.try_into().unwrap());
                Request::Login(LoginRequest { request_id, duration, take_over: true, ..login(&user, &phone) })
            } else {
                Request::Logout(LogoutRequest { request_id, ..logout(&phone) })
            };
            let outcome = self.until_answered(first, request).await;
            let returned = self.began.elapsed();
            operations.push(Operation { called, returned, user, phone, is_login, outcome });
        }
        operations
    }

    /// Asks one server after the other. A refusal is the answer only where no attempt before it may have been made.
    async fn until_answered(&self, first: usize, request: Request) -> Outcome {
        let mut open = false;
        let mut pace = tokio::time::interval(PAUSE);
        for attempt in 0..ATTEMPTS {
            pace.tick().await;
            let server = self.servers[(first + attempt) % self.servers.len()].clone();
            let made = match timeout(ATTEMPT, request.clone().ask(server)).await {
                Err(_elapsed) => Attempt::Open,
                Ok(Ok(outcome)) => Attempt::Answered(outcome),
                Ok(Err(status)) => refused(&status),
            };
            match made {
                Attempt::Answered(outcome) => return outcome,
                Attempt::Refused if open => return Outcome::Unknown,
                Attempt::Refused => return Outcome::Refused,
                Attempt::Open => open = true,
            }
        }
        Outcome::Unknown
    }
}

/// Whether it is certain that nothing was done, and will not be.
fn refused(status: &Status) -> Attempt {
    let Some(refusal) = Refusal::from_status(status) else { return Attempt::Open };
    match refusal.reason {
        ErrorReason::PhoneOccupied
        | ErrorReason::LoggedInElsewhere
        | ErrorReason::NotLoggedIn
        | ErrorReason::SessionNotFound => Attempt::Refused,
        ErrorReason::StoreUnavailable | ErrorReason::ServiceUnavailable | ErrorReason::TooManyRequests => {
            Attempt::Open
        }
        other => panic!("nobody expects {other:?}: {status:?}"),
    }
}

pub(crate) fn seen(session: Session) -> Seen {
    let instant = |at: prost_types::Timestamp| Timestamp::new(at.seconds, at.nanos).expect("an instant");
    Seen {
        id: session.session_id,
        user: session.user_id,
        phone: session.phone,
        epoch: session.phone_epoch,
        expires_at: session.expire_time.map(instant),
    }
}

pub(crate) fn ended(ended: EndedSession) -> Ended {
    let at = ended.logout_time.expect("when it ended");
    Ended {
        epoch: ended.phone_epoch,
        at: Timestamp::new(at.seconds, at.nanos).expect("an instant"),
        by_clock: ended.reason() == LogoutReason::MaximumTime,
        session: seen(ended.session.expect("a session")),
    }
}
