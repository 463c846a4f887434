//! A session service that knows what a test tells it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use roamline_domain::{PhoneName, ProfileName};
use roamline_profile::{Ending, Sessions, Worn};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;

#[derive(Default)]
pub(crate) struct FakeSessions {
    live: Mutex<Vec<(Worn, String)>>,
    ended: Mutex<Vec<(String, Ending)>>,
    broken: AtomicBool,
}

impl FakeSessions {
    pub(crate) fn log_in(&self, user_id: &str, phone: &str, profile: &str) {
        let session_id = format!("{user_id} at {phone}");
        let worn = Worn { session_id, user_id: user_id.into(), phone: phone.into() };
        self.live.lock().unwrap().push((worn, profile.to_owned()));
    }

    /// The sessions that were ended, and why.
    pub(crate) fn ended(&self) -> Vec<(String, Ending)> {
        self.ended.lock().unwrap().clone()
    }

    pub(crate) fn break_down(&self) {
        self.broken.store(true, Ordering::SeqCst);
    }

    fn those(&self, fits: impl Fn(&Worn, &str) -> bool) -> Result<Vec<Worn>, Refusal> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(Refusal::new(ErrorReason::ServiceUnavailable, "the session service does not answer"));
        }
        let live = self.live.lock().unwrap();
        Ok(live.iter().filter(|(worn, profile)| fits(worn, profile)).map(|(worn, _)| worn.clone()).collect())
    }
}

#[async_trait]
impl Sessions for FakeSessions {
    async fn wearing(&self, profile: &ProfileName) -> Result<Vec<Worn>, Refusal> {
        self.those(|_, worn| worn == profile.as_str())
    }

    async fn at(&self, phone: &PhoneName) -> Result<Option<Worn>, Refusal> {
        Ok(self.those(|worn, _| worn.phone == phone.as_str())?.into_iter().next())
    }

    async fn end(&self, session: &Worn, why: Ending) -> Result<(), Refusal> {
        self.live.lock().unwrap().retain(|(worn, _)| worn != session);
        self.ended.lock().unwrap().push((session.session_id.clone(), why));
        Ok(())
    }
}
