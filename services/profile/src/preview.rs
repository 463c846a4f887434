//! What a phone would wear, without logging anybody in (LI-6).

use roamline_domain::contact_centre::Finding;
use roamline_domain::render::EffectiveConfiguration;
use roamline_proto::refusal::Refusal;

use crate::prepare::Question;
use crate::{Profile, refusal};

impl Profile {
    /// What the phone would wear with that user logged in, or with nobody where `user_id` is empty.
    ///
    /// # Errors
    /// Everything that the directory would refuse the login for, in the order of LI-2.
    pub(crate) async fn preview(
        &self,
        phone: &str,
        user_id: &str,
        profile: &str,
    ) -> Result<(EffectiveConfiguration, Vec<Finding>), Refusal> {
        let question = Question::read(phone, user_id, profile)?;
        if user_id.is_empty() {
            if !profile.is_empty() {
                return Err(refusal::malformed("profile", "must be empty where no user is named"));
            }
            return Ok((self.prepare_logout(phone).await?.configuration, Vec::new()));
        }
        let outfit = self.prepare_login(&question).await?.outfit?;
        let findings = outfit.findings.map_err(|findings| refusal::contact_centre(&findings))?;
        Ok((outfit.configuration, findings))
    }
}
