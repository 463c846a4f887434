//! Getting several records at once.

use roamline_domain::directory::Key;
use roamline_proto::refusal::Refusal;

use crate::record::Record;
use crate::{Profile, refusal};

const LARGEST_BATCH: usize = 1000;

/// Records that were asked for together.
pub(crate) struct Batch<M, N> {
    /// Those that are there, in the order of the request.
    pub(crate) records: Vec<M>,
    /// The names of those that are not.
    pub(crate) missing: Vec<N>,
}

impl Profile {
    /// The records of these names, as of one instant; a name that is given twice is answered twice.
    ///
    /// # Errors
    /// `INVALID_REQUEST`, or a store's failure.
    pub(crate) async fn batch_get<R, N>(&self, field: &str, given: &[N]) -> Result<Batch<R::Wire, N>, Refusal>
    where
        R: Record,
        N: std::borrow::Borrow<R::Given> + Clone + Sync,
    {
        if given.len() > LARGEST_BATCH {
            let problem = format!("has {}, more than {LARGEST_BATCH}", given.len());
            return Err(refusal::malformed(field, problem));
        }
        let keys = given
            .iter()
            .enumerate()
            .map(|(index, name)| {
                R::key(name.borrow(), self.catalogue)
                    .map_err(|error| refusal::malformed(&format!("{field}[{index}]"), error.to_string()))
            })
            .collect::<Result<Vec<Key>, Refusal>>()?;
        let found = self.store.find(&keys).await.map_err(refusal::store)?;
        let (mut there, mut missing) = (Vec::new(), Vec::new());
        for (name, stored) in given.iter().zip(found) {
            match stored {
                Some(stored) => there.push(stored),
                None => missing.push(name.clone()),
            }
        }
        Ok(Batch { records: self.messages::<R>(&there).await?, missing })
    }
}
