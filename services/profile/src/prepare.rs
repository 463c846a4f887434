//! What the directory knows about a login or logout that is about to be decided, in three reads at most.

use roamline_domain::catalogue::{Catalogue, PhoneModel};
use roamline_domain::check::{PhoneRefused, may_be_used};
use roamline_domain::contact_centre::{Enforced, Finding, enforce};
use roamline_domain::directory::{
    DefaultDeviceProfile, Key, Kind, LogoutChoice, LogoutProfile, Phone, User, UserDeviceProfile,
};
use roamline_domain::parameters::ServiceParameters;
use roamline_domain::profile_choice::{ChoiceRefused, choose};
use roamline_domain::render::{
    EffectiveConfiguration, LogoutSource, NoDefaultDeviceProfile, render_login, render_logout,
};
use roamline_domain::settings::DeviceSettings;
use roamline_domain::{LineName, PhoneName, ProfileName, UserId, Violations};
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_store::Stored;

use crate::read::etag;
use crate::record::Record;
use crate::{Profile, refusal};

/// Who wants to log in, where, and as what.
pub(crate) struct Question {
    phone: PhoneName,
    user_id: String,
    profile: Option<ProfileName>,
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
}

/// What the directory knows about a logout.
pub(crate) struct PreparedLogout {
    /// What the phone wears with nobody logged in.
    pub(crate) configuration: EffectiveConfiguration,
    /// The parameters in force.
    pub(crate) parameters: ServiceParameters,
    /// Their etag.
    pub(crate) etag: String,
}

/// What a login puts on.
pub(crate) struct Outfit {
    /// The user.
    pub(crate) user: User,
    /// His profile, set right where the policy says so (CC-5).
    pub(crate) profile: UserDeviceProfile,
    /// What the phone would wear.
    pub(crate) configuration: EffectiveConfiguration,
    /// What it would wear after the logout.
    pub(crate) logout_configuration: EffectiveConfiguration,
    /// What the policy warns of or has set right, or all for which it refuses the profile.
    pub(crate) findings: Result<Vec<Finding>, Vec<Finding>>,
}

impl Outfit {
    /// The line that is the user's first of all, or the first that the phone would wear.
    pub(crate) fn primary_extension(&self) -> Option<LineName> {
        let own = self.user.primary_extension.clone();
        own.or_else(|| self.configuration.lines().into_iter().next())
    }
}

impl Profile {
    /// What the directory knows about a login, in the order of LI-2.
    ///
    /// # Errors
    /// The refusals that come before the user is authenticated: of the phone, then of the form of the user id.
    pub(crate) async fn prepare_login(&self, question: &Question) -> Result<Prepared, Refusal> {
        let user_id = question.user_id.parse::<UserId>();
        let mut keys = vec![Key::service_parameters(), Key::new(Kind::Phone, question.phone.as_str())];
        keys.extend(user_id.as_ref().ok().map(|user_id| Key::new(Kind::User, user_id.as_str())));
        let found = self.store.find(&keys).await.map_err(refusal::store)?;
        let (parameters, etag) = parameters(&found);
        let phone = only::<Phone>(&found).ok_or_else(|| phone_not_found(&question.phone))?;
        let model = may_be_used(&phone, self.catalogue).map_err(|why| phone_refused(&why))?;
        let user_id = user_id.map_err(|error| user_id_malformed(error.to_string()))?;
        if !parameters.takes_user_id(&user_id) {
            return Err(user_id_malformed("a user id must be of digits only in this cluster (SP-6)".into()));
        }
        let user = only::<User>(&found);
        let outfit = match user {
            None => {
                // As long as for a user who is there: what is not told in words is not told in time (LI-2).
                self.records(&phone, None).await?;
                Err(user_not_found(&user_id))
            }
            Some(user) => {
                let records = self.records(&phone, Some(&user)).await?;
                dress(&phone, model, user, question.profile.as_ref(), &records, &parameters)
            }
        };
        Ok(Prepared { phone: phone.name, user_id, parameters, etag, outfit })
    }

    /// What a phone wears with nobody logged in, and the parameters in force.
    ///
    /// # Errors
    /// `INVALID_REQUEST`, `PHONE_NOT_FOUND`, or a store's failure.
    pub(crate) async fn prepare_logout(&self, phone: &str) -> Result<PreparedLogout, Refusal> {
        let name: PhoneName =
            phone.parse().map_err(|error| refusal::malformed("phone", format!("{error}")))?;
        let keys = [Key::service_parameters(), Key::new(Kind::Phone, name.as_str())];
        let found = self.store.find(&keys).await.map_err(refusal::store)?;
        let (parameters, etag) = parameters(&found);
        let phone = only::<Phone>(&found).ok_or_else(|| phone_not_found(&name))?;
        let model = known_model(&phone, self.catalogue)?;
        let records = self.records(&phone, None).await?;
        let configuration = render_logout(&phone, model, logout_source(&phone, &records).0, &parameters);
        Ok(PreparedLogout { configuration, parameters, etag })
    }

    /// What a rendering is made from beside phone, user and parameters.
    async fn records(&self, phone: &Phone, user: Option<&User>) -> Result<Records, Refusal> {
        let mut keys: Vec<Key> = user
            .iter()
            .flat_map(|user| &user.profiles)
            .map(|name| Key::new(Kind::UserDeviceProfile, name.as_str()))
            .collect();
        if user.is_some() {
            keys.push(Key::new(Kind::DefaultDeviceProfile, phone.model.as_str()));
        }
        match &phone.logout_choice {
            LogoutChoice::OwnSettings => {}
            LogoutChoice::Shared(tag) => keys.push(Key::logout_profile(*tag)),
            LogoutChoice::UserDeviceProfile(name) => {
                keys.push(Key::new(Kind::UserDeviceProfile, name.as_str()));
            }
        }
        if keys.is_empty() {
            return Ok(Records::default());
        }
        let found = self.store.find(&keys).await.map_err(refusal::store)?;
        Ok(Records {
            default: only(&found),
            shared: only(&found),
            profiles: found.iter().flatten().filter_map(of_stored::<UserDeviceProfile>).collect(),
        })
    }
}

/// The records that a rendering is made from.
#[derive(Default)]
struct Records {
    /// The default device profile of the phone's model.
    default: Option<DefaultDeviceProfile>,
    /// The phone's shared logout profile.
    shared: Option<LogoutProfile>,
    /// The user's profiles, and the one that is the phone's logout profile.
    profiles: Vec<UserDeviceProfile>,
}

fn of_stored<R: Record + Clone>(stored: &Stored) -> Option<R> {
    R::of_resource(&stored.resource).cloned()
}

/// The first record of that kind.
fn only<R: Record + Clone>(found: &[Option<Stored>]) -> Option<R> {
    found.iter().flatten().find_map(of_stored)
}

/// The parameters in force and their etag: those stored, or the defaults.
fn parameters(found: &[Option<Stored>]) -> (ServiceParameters, String) {
    let stored = found.iter().flatten().find_map(|stored| Some((of_stored(stored)?, etag(stored.version))));
    stored.unwrap_or_else(|| (ServiceParameters::default(), etag(0)))
}

/// What the phone wears with nobody logged in. A logout profile that was deleted a moment ago, between two reads,
/// leaves the phone its own settings.
fn logout_source<'a>(phone: &'a Phone, records: &'a Records) -> (LogoutSource<'a>, &'a DeviceSettings) {
    let own = (LogoutSource::OwnSettings, &phone.settings);
    match &phone.logout_choice {
        LogoutChoice::OwnSettings => own,
        LogoutChoice::Shared(_) => {
            records.shared.as_ref().map_or(own, |profile| (LogoutSource::Shared(profile), &profile.settings))
        }
        LogoutChoice::UserDeviceProfile(name) => records
            .profiles
            .iter()
            .find(|profile| profile.name == *name)
            .map_or(own, |profile| (LogoutSource::Profile(profile), &profile.settings)),
    }
}

/// What a login puts on.
///
/// # Errors
/// The refusals of the choice of profile.
fn dress(
    phone: &Phone,
    model: &PhoneModel,
    user: User,
    named: Option<&ProfileName>,
    records: &Records,
    parameters: &ServiceParameters,
) -> Result<Outfit, Refusal> {
    let chosen = choose(&user, named, &records.profiles, &phone.model).map_err(|why| choice_refused(&why))?;
    let (profile, findings) = match enforce(chosen.clone(), parameters.contact_centre_policy) {
        Ok(Enforced { profile, findings }) => (profile, Ok(findings)),
        Err(findings) => (chosen.clone(), Err(findings)),
    };
    let (logout, logged_out) = logout_source(phone, records);
    let configuration =
        render_login(phone, model, &user, &profile, records.default.as_ref(), parameters, logged_out)
            .map_err(|why| no_default(&why))?;
    let logout_configuration = render_logout(phone, model, logout, parameters);
    Ok(Outfit { user, profile, configuration, logout_configuration, findings })
}

/// The model of a phone that nobody need be able to log in to.
fn known_model<'a>(phone: &Phone, catalogue: &'a Catalogue) -> Result<&'a PhoneModel, Refusal> {
    catalogue
        .get(&phone.model)
        .ok_or_else(|| refusal::internal("a stored phone is of a model that the catalogue lacks"))
}

fn phone_not_found(name: &PhoneName) -> Refusal {
    Refusal::new(ErrorReason::PhoneNotFound, format!("there is no phone {name}")).with("phone", name.as_str())
}

fn phone_refused(why: &PhoneRefused) -> Refusal {
    let reason = match why {
        PhoneRefused::NotEnabled => ErrorReason::PhoneNotEnabled,
        PhoneRefused::ModelNotAllowed { .. } => ErrorReason::PhoneModelNotAllowed,
        PhoneRefused::Ipv6Only => ErrorReason::PhoneIpv6Only,
    };
    Refusal::new(reason, why.to_string())
}

fn user_id_malformed(problem: String) -> Refusal {
    Refusal::new(ErrorReason::UserIdMalformed, "the user id is not well-formed").violation("user_id", problem)
}

fn user_not_found(user_id: &UserId) -> Refusal {
    Refusal::new(ErrorReason::UserNotFound, format!("the directory has no user {:?}", user_id.as_str()))
        .with("userId", user_id.as_str())
}

fn choice_refused(why: &ChoiceRefused) -> Refusal {
    match why {
        ChoiceRefused::NoProfile => Refusal::new(ErrorReason::ProfileMissing, why.to_string()),
        ChoiceRefused::NotOwned { profile } => {
            Refusal::new(ErrorReason::ProfileNotOwned, why.to_string()).with("profile", profile.as_str())
        }
        ChoiceRefused::ChoiceNeeded { profiles } => {
            let names = profiles.iter().map(ProfileName::as_str).collect::<Vec<_>>().join(",");
            Refusal::new(ErrorReason::ProfileChoiceNeeded, "the user has several profiles and must name one")
                .with("profiles", names)
        }
    }
}

fn no_default(why: &NoDefaultDeviceProfile) -> Refusal {
    Refusal::new(ErrorReason::DefaultDeviceProfileMissing, why.to_string()).with("model", why.model.as_str())
}
