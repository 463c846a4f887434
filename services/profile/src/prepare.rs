//! What the directory knows about a login or logout that is about to be decided, in three reads at most. It is read anew
//! for each: a change to a profile is worn at the next login (on other replicas within 100 ms), and a session that is
//! running keeps what it has (DP-10).

mod logouts;
mod records;
mod refused;

use roamline_domain::catalogue::PhoneModel;
use roamline_domain::check::may_be_used;
use roamline_domain::contact_centre::{Enforced, Finding, enforce};
use roamline_domain::directory::{Key, Kind, OffHookPolicy, Phone, User, UserDeviceProfile};
use roamline_domain::parameters::ServiceParameters;
use roamline_domain::profile_choice::{ChoiceRefused, choose};
use roamline_domain::render::{Around, EffectiveConfiguration, render_login, render_logout};
use roamline_domain::{LineName, PhoneName, ProfileName, UserId, Violations};
use roamline_proto::refusal::Refusal;

use self::records::{Records, only, parameters};
use self::refused::{
    choice_refused, device_name_duplicate, no_default, phone_not_found, phone_refused, reserved,
    user_id_malformed, user_not_found,
};
use crate::{Profile, refusal};

/// Who wants to log in, where, and as what.
pub(crate) struct Question {
    pub(crate) phone: PhoneName,
    user_id: String,
    pub(crate) profile: Option<ProfileName>,
}

impl Question {
    /// Reads a question. A malformed user id has its own reason, which comes after the phone's (LI-2), and is left to
    /// the answer.
    ///
    /// # Errors
    /// `INVALID_REQUEST`.
    pub(crate) fn read(phone: &str, user_id: &str, profile: &str) -> Result<Self, Refusal> {
        let mut found = Violations::new();
        let phone = found.take("phone", phone.parse());
        let profile = match profile {
            "" => None,
            profile => found.take("profile", profile.parse()),
        };
        match phone {
            Some(phone) if found.is_empty() => Ok(Self { phone, user_id: user_id.to_owned(), profile }),
            _ => Err(refusal::all_malformed(found)),
        }
    }
}

/// What the directory knows about a login.
pub(crate) struct Prepared {
    /// The phone.
    pub(crate) phone: PhoneName,
    /// The user id, as stored.
    pub(crate) user_id: UserId,
    /// The parameters in force.
    pub(crate) parameters: ServiceParameters,
    /// Their etag.
    pub(crate) etag: String,
    /// What the phone would wear, or why the directory refuses the choice of profile, once the user is authenticated.
    pub(crate) outfit: Result<Outfit, Refusal>,
    /// Set when the phone's owner keeps it to himself, and this is another user (LI-13).
    pub(crate) owner_refusal: Option<Refusal>,
    /// Whether the login is refused while the handset is up (LI-8).
    pub(crate) refuse_off_hook: bool,
}

/// What a profile comes to at a phone.
pub(crate) struct Worn {
    /// The profile, set right where the policy says so (CC-5).
    pub(crate) profile: UserDeviceProfile,
    /// What the phone would wear.
    pub(crate) configuration: EffectiveConfiguration,
    /// What the policy warns of or has set right, or all for which it refuses the profile.
    pub(crate) findings: Result<Vec<Finding>, Vec<Finding>>,
}

/// What a login puts on.
pub(crate) struct Outfit {
    /// The user.
    pub(crate) user: User,
    /// What his profile comes to.
    pub(crate) worn: Worn,
    /// What the phone would wear after the logout.
    pub(crate) logout_configuration: EffectiveConfiguration,
    /// Search spaces of the lines that it would wear and that have one.
    pub(crate) line_search_spaces: Vec<(LineName, String)>,
}

impl Outfit {
    /// The line that is the user's first of all, or the first that the phone would wear.
    pub(crate) fn primary_extension(&self) -> Option<LineName> {
        let own = self.user.primary_extension.clone();
        own.or_else(|| self.worn.configuration.lines().into_iter().next())
    }
}

impl Profile {
    /// What the directory knows about a login, in the order of LI-2.
    ///
    /// # Errors
    /// The refusals that come before the user is authenticated: of the phone, then of the form of the user id.
    pub(crate) async fn prepare_login(&self, question: &Question) -> Result<Prepared, Refusal> {
        self.prepare_at(question, None).await
    }

    /// As [`Profile::prepare_login`], at a phone of another cluster, which is given as that one has it (XC-3).
    ///
    /// # Errors
    /// As there, and `DEVICE_NAME_DUPLICATE` where this cluster has a device of that name, too (XC-6).
    pub(crate) async fn prepare_roaming(
        &self,
        phone: Phone,
        question: &Question,
    ) -> Result<Prepared, Refusal> {
        self.prepare_at(question, Some(phone)).await
    }

    async fn prepare_at(&self, question: &Question, visiting: Option<Phone>) -> Result<Prepared, Refusal> {
        let user_id = question.user_id.parse::<UserId>();
        let mut keys = vec![Key::service_parameters(), Key::new(Kind::Phone, question.phone.as_str())];
        keys.extend(user_id.as_ref().ok().map(|user_id| Key::new(Kind::User, user_id.as_str())));
        let found = self.recalled.find_lately(&keys).await.map_err(refusal::store)?;
        let (parameters, etag) = parameters(&found);
        let phone = match (visiting, only::<Phone>(&found)) {
            (None, own) => own.ok_or_else(|| phone_not_found(&question.phone))?,
            (Some(_), Some(own)) => return Err(device_name_duplicate(&own.name)),
            (Some(visiting), None) => visiting,
        };
        let model = may_be_used(&phone, self.catalogue).map_err(|why| phone_refused(&why))?;
        let user_id = user_id.map_err(|error| user_id_malformed(error.to_string()))?;
        if !parameters.takes_user_id(&user_id) {
            return Err(user_id_malformed("a user id must be of digits only in this cluster (SP-6)".into()));
        }
        let user = only::<User>(&found);
        let names = user.as_ref().map(|user| user.profiles.as_slice()).unwrap_or_default();
        let records = self.records(&phone, names).await?;
        let chosen = match &user {
            None => Err(user_not_found(&user_id)),
            Some(user) => {
                let named = question.profile.as_ref();
                choose(user, named, &records.profiles, &phone.model)
                    .map_err(|why: ChoiceRefused| choice_refused(&why))
            }
        };
        let around = self.around(&phone, &records, chosen.as_ref().ok().copied(), parameters).await?;
        let outfit = chosen.and_then(|profile| {
            let worn = put_on(&phone, model, Some(&user_id), profile, &records, &around)?;
            let logout_configuration = render_logout(&phone, model, records.logout(&phone), &around);
            let user = user.ok_or_else(|| user_not_found(&user_id))?;
            let line_search_spaces = search_spaces(&worn.configuration, &around);
            Ok(Outfit { user, worn, logout_configuration, line_search_spaces })
        });
        Ok(Prepared {
            owner_refusal: reserved(&phone, &user_id),
            refuse_off_hook: phone.off_hook_policy == OffHookPolicy::Refuse,
            phone: phone.name,
            user_id,
            parameters: around.parameters,
            etag,
            outfit,
        })
    }

    /// What a phone would wear with a profile, whoever brought it.
    ///
    /// # Errors
    /// The refusals of the phone, `RESOURCE_NOT_FOUND` of the profile, `DEFAULT_DEVICE_PROFILE_MISSING`, or a store's
    /// failure.
    pub(crate) async fn try_on(&self, phone: &PhoneName, profile: &ProfileName) -> Result<Worn, Refusal> {
        let profile = Key::new(Kind::UserDeviceProfile, profile.as_str());
        let keys = [Key::service_parameters(), Key::new(Kind::Phone, phone.as_str()), profile.clone()];
        let found = self.recalled.find_lately(&keys).await.map_err(refusal::store)?;
        let (parameters, _) = parameters(&found);
        let phone = only::<Phone>(&found).ok_or_else(|| phone_not_found(phone))?;
        let model = may_be_used(&phone, self.catalogue).map_err(|why| phone_refused(&why))?;
        let profile = only::<UserDeviceProfile>(&found).ok_or_else(|| refusal::not_found(&profile))?;
        let records = self.records(&phone, &[]).await?;
        let around = self.around(&phone, &records, Some(&profile), parameters).await?;
        put_on(&phone, model, None, &profile, &records, &around)
    }
}

fn search_spaces(worn: &EffectiveConfiguration, around: &Around) -> Vec<(LineName, String)> {
    let of = |line: &LineName| around.lines.get(line)?.calling_search_space.clone();
    worn.lines().into_iter().filter_map(|line| of(&line).map(|space| (line, space))).collect()
}

/// What a profile comes to at a phone.
///
/// # Errors
/// `DEFAULT_DEVICE_PROFILE_MISSING` (LI-5).
fn put_on(
    phone: &Phone,
    model: &PhoneModel,
    user: Option<&UserId>,
    profile: &UserDeviceProfile,
    records: &Records,
    around: &Around,
) -> Result<Worn, Refusal> {
    let policy = around.parameters.contact_centre_policy;
    let (profile, findings) = match enforce(profile.clone(), policy, &around.line_templates) {
        Ok(Enforced { profile, findings }) => (profile, Ok(findings)),
        Err(findings) => (profile.clone(), Err(findings)),
    };
    let logged_out = records.logout(phone);
    let configuration =
        render_login(phone, model, user, &profile, records.default.as_ref(), logged_out, around)
            .map_err(|why| no_default(&why))?;
    Ok(Worn { profile, configuration, findings })
}
