//! Listing records of one kind, page by page, in the order of their names.

use roamline_proto::refusal::Refusal;

use crate::read::message;
use crate::record::Record;
use crate::{Profile, page_token, refusal};

const USUAL_PAGE: u32 = 100;
const LARGEST_PAGE: u32 = 1000;

/// A page of records.
pub(crate) struct Page<M> {
    /// The records.
    pub(crate) records: Vec<M>,
    /// Asks for the next page; empty on the last.
    pub(crate) next: String,
}

impl Profile {
    /// A page of at most `size` records; 0 is taken as 100, more than 1000 as 1000.
    ///
    /// # Errors
    /// `PAGE_TOKEN_INVALID`, or a store's failure.
    pub(crate) async fn list<R: Record>(&self, size: u32, token: &str) -> Result<Page<R::Wire>, Refusal> {
        let after = match token {
            "" => None,
            token => Some(page_token::read(R::KIND, token).ok_or_else(refusal::page_token)?),
        };
        let size = if size == 0 { USUAL_PAGE } else { size.min(LARGEST_PAGE) };
        let found = self.store.list(R::KIND, after.as_deref(), size + 1).await.map_err(refusal::store)?;
        let whole = usize::try_from(size).unwrap_or(usize::MAX);
        let next = match found.get(..whole) {
            Some([.., last]) if found.len() > whole => page_token::make(R::KIND, &last.resource.key().name),
            _ => String::new(),
        };
        let records = found
            .iter()
            .take(whole)
            .map(|stored| message::<R>(&stored.resource, stored.version))
            .collect::<Result<_, _>>()?;
        Ok(Page { records, next })
    }
}
