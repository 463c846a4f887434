//! Associations (EV-4): with which profiles an application is associated is the directory's to say.

use std::collections::HashSet;

use roamline_domain::{PrincipalName, ProfileName};
use roamline_proto::refusal::Refusal;
use tokio::time::Instant;

use crate::Core;
use crate::believed::Believed;

/// Profiles that the directory is asked about at once.
const AT_ONCE: usize = 1000;

/// Whether applications are associated with profiles, as the directory told it.
pub(crate) type Recalled = Believed<(PrincipalName, ProfileName), bool>;

impl Core {
    /// Those of the profiles that the application is associated with, as the directory had it at most 2 s ago.
    pub(crate) async fn associated_with(
        &self,
        application: &PrincipalName,
        profiles: Vec<&ProfileName>,
    ) -> Result<HashSet<ProfileName>, Refusal> {
        let now = Instant::now();
        let asked: HashSet<&ProfileName> = profiles.into_iter().collect();
        let pairs = asked.into_iter().map(|profile| (application.clone(), profile.clone()));
        let (known, missing) = self.recalled_associations.recall(pairs, now);
        let mut found: HashSet<ProfileName> =
            known.into_iter().filter(|(_, is)| *is).map(|((_, profile), _)| profile).collect();
        let missing: Vec<ProfileName> = missing.into_iter().map(|(_, profile)| profile).collect();
        for some in missing.chunks(AT_ONCE) {
            let told: HashSet<_> = self.peers.associated(application, some).await?.into_iter().collect();
            let noted: Vec<_> = some
                .iter()
                .map(|profile| ((application.clone(), profile.clone()), told.contains(profile)))
                .collect();
            self.recalled_associations.note(&noted, now);
            found.extend(some.iter().filter(|profile| told.contains(*profile)).cloned());
        }
        Ok(found)
    }
}
