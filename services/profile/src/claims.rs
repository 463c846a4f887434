//! Names that resources of several kinds share (DP-1): who has them already. A commit finds the first clash; a check
//! that commits nothing, and a refusal that shall name every clash, look for all of them here.

use std::collections::{HashMap, HashSet};

use roamline_domain::directory::{Claim, Key, Kind, Resource};
use roamline_store::{DirectoryStore, StoreError};

const PAGE: u32 = 1000;

/// A name that is taken.
pub(crate) struct Taken {
    /// Who wants it, by its place among `wanted`.
    pub(crate) index: usize,
    /// The name.
    pub(crate) claim: Claim,
    /// Who has it.
    pub(crate) by: Key,
}

/// Every name that one of `wanted` claims and a stored resource has that is none of them.
///
/// # Errors
/// When the store fails.
pub(crate) async fn taken(
    store: &dyn DirectoryStore,
    wanted: &[(usize, &Resource)],
) -> Result<Vec<Taken>, StoreError> {
    let own: HashSet<Key> = wanted.iter().map(|(_, resource)| resource.key()).collect();
    let claims: HashMap<Claim, usize> = wanted
        .iter()
        .flat_map(|(index, resource)| resource.claims().into_iter().map(move |claim| (claim, *index)))
        .collect();
    let spaces: HashSet<&str> = claims.keys().map(|claim| claim.space).collect();
    let mut found = Vec::new();
    for (space, kind) in
        [("device", Kind::UserDeviceProfile), ("device", Kind::Phone), ("self-service", Kind::User)]
    {
        if !spaces.contains(space) {
            continue;
        }
        let mut after: Option<String> = None;
        loop {
            let page = store.list(kind, after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.resource.key().name);
            for resource in page.iter().map(|stored| &stored.resource).filter(|r| !own.contains(&r.key())) {
                let clashes = resource.claims().into_iter();
                found.extend(clashes.filter_map(|claim| {
                    let index = *claims.get(&claim)?;
                    Some(Taken { index, claim, by: resource.key() })
                }));
            }
        }
    }
    Ok(found)
}
