//! What a user does at a phone that is for his profile to keep (LI-12).

use roamline_domain::phone_state::PhoneState;
use roamline_proto::refusal::Refusal;

use crate::Core;

impl Core {
    /// Takes a change of do-not-disturb at a phone over into the profile that is worn there. Ring type, contrast and
    /// volume stay with the phone, and so does this where nobody is logged in.
    ///
    /// # Errors
    /// The directory cannot be had, or the profile is gone.
    pub(crate) async fn do_not_disturb(&self, phone: &PhoneState, on: bool) -> Result<(), Refusal> {
        match &phone.session {
            Some(session) => self.peers.set_do_not_disturb(&session.profile, on).await,
            None => Ok(()),
        }
    }
}
