//! What the directory asks of the session service: who wears a profile that is to be deleted, or sits at a phone that
//! is (DP-9, LO-1).

use async_trait::async_trait;
use roamline_domain::{PhoneName, ProfileName};
use roamline_proto::refusal::Refusal;

/// A live session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worn {
    /// Its id.
    pub session_id: String,
    /// Who.
    pub user_id: String,
    /// At which phone.
    pub phone: String,
}

/// Why a session is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its phone is deleted (LO-1).
    PhoneRemoved,
    /// The profile that it wears is deleted (DP-9).
    ProfileRemoved,
}

/// The live sessions of the cluster, as this service sees them.
#[async_trait]
pub trait Sessions: Send + Sync + 'static {
    /// Those that wear a profile, the first thousand.
    ///
    /// # Errors
    /// They cannot be asked for now.
    async fn wearing(&self, profile: &ProfileName) -> Result<Vec<Worn>, Refusal>;

    /// The one at a phone.
    ///
    /// # Errors
    /// It cannot be asked for now.
    async fn at(&self, phone: &PhoneName) -> Result<Option<Worn>, Refusal>;

    /// Ends a session. That it has ended meanwhile is as good.
    ///
    /// # Errors
    /// It goes on, or nobody knows.
    async fn end(&self, session: &Worn, why: Ending) -> Result<(), Refusal>;
}

/// A cluster in which nobody logs in: the directory alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSessions;

#[async_trait]
impl Sessions for NoSessions {
    async fn wearing(&self, _: &ProfileName) -> Result<Vec<Worn>, Refusal> {
        Ok(Vec::new())
    }

    async fn at(&self, _: &PhoneName) -> Result<Option<Worn>, Refusal> {
        Ok(None)
    }

    async fn end(&self, _: &Worn, _: Ending) -> Result<(), Refusal> {
        Ok(())
    }
}
