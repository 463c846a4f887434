//! What a phone would wear, without logging anybody in (LI-6).

use roamline_domain::contact_centre::Finding;
use roamline_domain::render::EffectiveConfiguration;
use roamline_proto::refusal::Refusal;

use crate::prepare::Question;
use crate::{Profile, refusal};

impl Profile {
    /// What the phone would wear with that user logged in; without a user, with that profile; without either, with
    /// nobody logged in.
    ///
    /// # Errors
    /// Everything that the directory would refuse the login for, in the order of LI-2; `RESOURCE_NOT_FOUND` of a
    /// profile that is looked at without a user.
    pub(crate) async fn preview(
        &self,
        phone: &str,
        user_id: &str,
        profile: &str,
    ) -> Result<(EffectiveConfiguration, Vec<Finding>), Refusal> {
        let question = Question::read(phone, user_id, profile)?;
        let worn = match &question.profile {
            None if user_id.is_empty() => {
                return Ok((self.prepare_logout(phone).await?.configuration, Vec::new()));
            }
            Some(profile) if user_id.is_empty() => self.try_on(&question.phone, profile).await?,
            _ => self.prepare_login(&question).await?.outfit?.worn,
        };
        let findings = worn.findings.map_err(|findings| refusal::contact_centre(&findings))?;
        Ok((worn.configuration, findings))
    }
}
