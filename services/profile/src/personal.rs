//! What a user may do with what is his own: see his profiles, edit their speed dials (DP-13), and not be disturbed
//! (LI-12).

use roamline_domain::UserId;
use roamline_domain::directory::{Key, Kind, Phone, Resource, User, UserDeviceProfile};
use roamline_proto::auth::PrincipalKind;
use roamline_proto::error::ErrorReason;
use roamline_proto::profile as wire;
use roamline_proto::refusal::Refusal;
use roamline_store::{Change, Expect};
use roamline_token::Caller;
use roamline_token::scope::{DIRECTORY_READ, DIRECTORY_WRITE};

use crate::commit::Outcome;
use crate::examine::examine;
use crate::read::{etag, message};
use crate::record::{Record, keep_pin};
use crate::surroundings::Surroundings;
use crate::{ATTEMPTS, Profile, refusal};

/// A user, and the version that was read.
struct Known {
    user: User,
    version: u64,
}

impl Profile {
    /// The profiles of the caller, or of another user whom he may see.
    ///
    /// # Errors
    /// `INVALID_REQUEST`, `SCOPE_MISSING`, `USER_NOT_FOUND`, or a store's failure.
    pub(crate) async fn own_profiles(
        &self,
        user_id: &str,
        caller: &Caller,
    ) -> Result<Vec<wire::UserDeviceProfile>, Refusal> {
        let user = self.himself(user_id, caller, DIRECTORY_READ).await?.user;
        let keys: Vec<Key> =
            user.profiles.iter().map(|name| Key::new(Kind::UserDeviceProfile, name.as_str())).collect();
        let found = self.store.find(&keys).await.map_err(refusal::store)?;
        let found: Vec<_> = found.into_iter().flatten().collect();
        self.messages::<UserDeviceProfile>(&found).await
    }

    /// Replaces the speed dials of a profile of the caller, or of another user whose records he may change.
    ///
    /// # Errors
    /// `INVALID_REQUEST`, `SCOPE_MISSING`, `USER_NOT_FOUND`, `PROFILE_NOT_OWNED`, `PHONE_NOT_FOUND`,
    /// `SPEED_DIAL_EDITING_DISABLED`, `ETAG_MISMATCH`, `RESOURCE_INVALID`, or a store's failure.
    pub(crate) async fn update_own_speed_dials(
        &self,
        asked: &wire::UpdateOwnSpeedDialsRequest,
        caller: &Caller,
    ) -> Result<wire::UserDeviceProfile, Refusal> {
        for _ in 0..ATTEMPTS {
            let known = self.himself(&asked.user_id, caller, DIRECTORY_WRITE).await?;
            let key = his_profile(&known.user, &asked.profile)?;
            let phone = self.editing_phone(&asked.phone).await?;
            let (stored, version) = self.current(&key).await?.ok_or_else(|| refusal::not_found(&key))?;
            if !asked.etag.is_empty() && asked.etag != etag(version) {
                return Err(refusal::stale(&key, etag(version)));
            }
            let resource = self.with_speed_dials(&stored, &asked.speed_dials)?;
            if resource == stored {
                return self
                    .owned::<UserDeviceProfile>(key, message::<UserDeviceProfile>(&stored, version)?)
                    .await;
            }
            let around = Surroundings::of(&*self.store, std::iter::once(&resource)).await;
            let around = around.map_err(refusal::store)?;
            let examined = examine(resource, &around, self.catalogue)
                .map_err(|fault| refused(fault.into_violations()))?;
            let record = message::<UserDeviceProfile>(&examined.resource, version + 1)?;
            let mut changes =
                vec![Change::Put { resource: examined.resource, expect: Expect::Version(version) }];
            let whose = Key::new(Kind::User, known.user.user_id.as_str());
            changes.push(Change::Keep { key: whose, version: Some(known.version) });
            changes.extend(phone.map(|(key, version)| Change::Keep { key, version: Some(version) }));
            if let Outcome::Done = self.commit(changes, &around).await? {
                return self.owned::<UserDeviceProfile>(key, record).await;
            }
        }
        Err(refusal::contended())
    }

    /// Sets do-not-disturb of a profile, as its user did at the phone that wears it (LI-12).
    ///
    /// # Errors
    /// `INVALID_REQUEST`, `RESOURCE_NOT_FOUND`, `RESOURCE_INVALID`, or a store's failure.
    pub(crate) async fn set_do_not_disturb(&self, profile: &str, on: bool) -> Result<(), Refusal> {
        let key = self.key_in::<UserDeviceProfile>("profile", profile)?;
        for _ in 0..ATTEMPTS {
            let Some((Resource::UserDeviceProfile(mut profile), version)) = self.current(&key).await? else {
                return Err(refusal::not_found(&key));
            };
            if profile.settings.do_not_disturb.on == on {
                return Ok(());
            }
            profile.settings.do_not_disturb.on = on;
            let resource = Resource::UserDeviceProfile(profile);
            let around = Surroundings::of(&*self.store, std::iter::once(&resource)).await;
            let around = around.map_err(refusal::store)?;
            let examined = examine(resource, &around, self.catalogue)
                .map_err(|fault| refused(fault.into_violations()))?;
            let change = Change::Put { resource: examined.resource, expect: Expect::Version(version) };
            if let Outcome::Done = self.commit(vec![change], &around).await? {
                return Ok(());
            }
        }
        Err(refusal::contended())
    }

    /// The user that is meant: the caller, or with that scope, another.
    async fn himself(&self, named: &str, caller: &Caller, scope: &str) -> Result<Known, Refusal> {
        let is_user = caller.kind == PrincipalKind::User;
        let meant = match named {
            "" if is_user => caller.name.as_str(),
            "" => return Err(refusal::malformed("user_id", "must be given: the caller is no user")),
            named => named,
        };
        let user_id: UserId = meant.parse().map_err(|error: roamline_domain::InvalidName| {
            refusal::malformed("user_id", error.to_string())
        })?;
        let is_his_own = is_user && caller.name == user_id.as_str();
        if !is_his_own && !caller.has(scope) {
            let told = format!("the token lacks the scope {scope}, which others' profiles need");
            return Err(Refusal::new(ErrorReason::ScopeMissing, told).with("scope", scope));
        }
        match self.current(&Key::new(Kind::User, user_id.as_str())).await? {
            Some((Resource::User(user), version)) => Ok(Known { user, version }),
            _ => {
                let told = format!("there is no user {:?}", user_id.as_str());
                Err(Refusal::new(ErrorReason::UserNotFound, told).with("userId", user_id.as_str()))
            }
        }
    }

    /// The phone at which speed dials are edited: one with a display, at which it is not switched off.
    async fn editing_phone(&self, phone: &str) -> Result<Option<(Key, u64)>, Refusal> {
        if phone.is_empty() {
            return Ok(None);
        }
        let key = self.key_in::<Phone>("phone", phone)?;
        let Some((Resource::Phone(phone), version)) = self.current(&key).await? else {
            let told = format!("there is no phone {:?}", key.name);
            return Err(Refusal::new(ErrorReason::PhoneNotFound, told).with("phone", key.name));
        };
        let has_display = self.catalogue.get(&phone.model).is_some_and(|model| model.display);
        if phone.speed_dial_editing_disabled || !has_display {
            let why = if has_display { "is switched off at" } else { "takes a display, which lacks" };
            let told = format!("editing speed dials {why} phone {}", key.name);
            return Err(Refusal::new(ErrorReason::SpeedDialEditingDisabled, told).with("phone", key.name));
        }
        Ok(Some((key, version)))
    }

    /// A profile with other speed dials.
    fn with_speed_dials(&self, stored: &Resource, dials: &[wire::SpeedDial]) -> Result<Resource, Refusal> {
        let mut wanted = message::<UserDeviceProfile>(stored, 0)?;
        wanted.settings.get_or_insert_default().speed_dials = dials.to_vec();
        let parsed = UserDeviceProfile::parse(&wanted, self.catalogue).map_err(refused)?;
        let mut resource = parsed.into_resource();
        keep_pin(&mut resource, stored);
        Ok(resource)
    }
}

/// The profile of a user that is named, or his only one, or his default.
fn his_profile(user: &User, named: &str) -> Result<Key, Refusal> {
    let key = |name: &roamline_domain::ProfileName| Key::new(Kind::UserDeviceProfile, name.as_str());
    if !named.is_empty() {
        let found = user.profiles.iter().find(|name| name.as_str() == named);
        return found.map(key).ok_or_else(|| {
            let told = format!("{:?} is no profile of user {}", named, user.user_id);
            Refusal::new(ErrorReason::ProfileNotOwned, told).with("profile", named)
        });
    }
    match (&user.default_profile, user.profiles.as_slice()) {
        (_, [only]) => Ok(key(only)),
        (Some(default), _) => Ok(key(default)),
        (None, []) => {
            let told = format!("user {} has no profile", user.user_id);
            Err(Refusal::new(ErrorReason::ProfileNotOwned, told))
        }
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|name| name.as_str()).collect();
            Err(refusal::malformed("profile", format!("must name one of {}", names.join(", "))))
        }
    }
}

/// Violations under the paths of the request, which carries the speed dials and nothing around them.
fn refused(found: roamline_domain::Violations) -> Refusal {
    let mut all = roamline_domain::Violations::new();
    for violation in found {
        let field = violation.field.strip_prefix("settings.").unwrap_or(&violation.field).to_owned();
        all.add(field, violation.rule, violation.message);
    }
    refusal::invalid(all)
}
