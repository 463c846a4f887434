//! Records that stand in for names that nobody has: a failure for one is written as that of a principal is (LI-2), so that
//! neither its time nor how it fares beside other writes tells whether the name exists.

use std::hash::{BuildHasher, RandomState};

use roamline_domain::PrincipalName;

/// How many: as many failures of different unknown names as are likely to be written at once.
const DECOYS: u64 = 64;

/// Which record stands in for which name. It is chosen with a key of this process, so that nobody finds names that share one.
#[derive(Default)]
pub(crate) struct Decoys(RandomState);

impl Decoys {
    /// The name of the record that stands in for that name, which is always the same one in this process.
    pub(crate) fn of(&self, name: &PrincipalName) -> Option<PrincipalName> {
        format!("roamline.decoy.{}", self.0.hash_one(name.as_str()) % DECOYS).parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn li_2_every_name_has_one_decoy_and_there_are_no_more_than_are_meant() {
        let decoys = Decoys::default();
        let names = (0..10_000).map(|number| format!("ghost{number}").parse::<PrincipalName>().unwrap());
        let found: BTreeSet<_> =
            names.map(|name| (decoys.of(&name).unwrap(), decoys.of(&name).unwrap())).collect();
        assert_eq!(found.len(), usize::try_from(DECOYS).unwrap());
        assert!(found.iter().all(|(first, second)| first == second));
    }
}
