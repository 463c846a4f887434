//! With which user device profiles an application is associated (EV-4).

use roamline_domain::directory::{Key, Kind, Resource};
use roamline_domain::{PrincipalName, ProfileName, Violations};
use roamline_proto::refusal::Refusal;

use crate::{Profile, refusal};

/// Profiles in one question.
const LARGEST_BATCH: usize = 1000;

impl Profile {
    /// Those of the profiles that are there and name the application, in their order, all as of one instant.
    ///
    /// # Errors
    /// `INVALID_REQUEST`, or a store's failure.
    pub(crate) async fn find_associated(
        &self,
        application: &str,
        mut profiles: Vec<String>,
    ) -> Result<Vec<String>, Refusal> {
        if profiles.len() > LARGEST_BATCH {
            let problem = format!("has {}, more than {LARGEST_BATCH}", profiles.len());
            return Err(refusal::malformed("profiles", problem));
        }
        let mut found = Violations::new();
        let application = found.take("application", application.parse::<PrincipalName>());
        let mut keys = Vec::with_capacity(profiles.len());
        for (index, profile) in profiles.iter().enumerate() {
            let name = found.take(format!("profiles[{index}]"), profile.parse::<ProfileName>());
            keys.extend(name.map(|name| Key::new(Kind::UserDeviceProfile, name.as_str())));
        }
        let Some(application) = application.filter(|_| found.is_empty()) else {
            return Err(refusal::all_malformed(found));
        };
        let stored = self.store.find(&keys).await.map_err(refusal::store)?;
        let mut associated = stored.into_iter().map(|stored| match stored.map(|stored| stored.resource) {
            Some(Resource::UserDeviceProfile(profile)) => profile.applications.contains(&application),
            _ => false,
        });
        profiles.retain(|_| associated.next().unwrap_or_default());
        Ok(profiles)
    }
}
