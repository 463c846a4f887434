//! What a user does at a phone that is for his profile to keep (LI-12).

use roamline_domain::PhoneName;
use roamline_proto::refusal::Refusal;

use crate::{Core, refusal};

impl Core {
    /// Takes a change of do-not-disturb at a phone over into the profile that is worn there. Ring type, contrast and
    /// volume stay with the phone, and so does this where nobody is logged in.
    ///
    /// # Errors
    /// The store or the directory cannot be had, or the profile is gone.
    pub(crate) async fn do_not_disturb(&self, phone: &PhoneName, on: bool) -> Result<(), Refusal> {
        let found = self.store.phone(phone).await.map_err(|error| refusal::store(&error))?;
        match found.and_then(|state| state.session) {
            Some(session) => self.peers.set_do_not_disturb(&session.profile, on).await,
            None => Ok(()),
        }
    }
}
