//! Reading the trail: pages, and all of it as a stream that holds one page at a time.

use std::sync::Arc;

use futures::Stream;
use futures::stream::unfold;
use roamline_domain::audit::AuditRecord;
use roamline_proto::error::ErrorReason;
use roamline_proto::refusal::Refusal;
use roamline_store::{AuditQuery, StoreError};

use crate::Core;
use crate::watch::server_stops;

/// Records read at once for a stream.
const PAGE: u32 = 500;
/// Bytes of bodies in one answer, unless a single one is larger: a client takes 4 MiB.
const BYTES: usize = 1 << 20;

impl Core {
    /// Records after that number, at most `limit`, and whether there are more.
    pub(crate) async fn audit_page(
        &self,
        query: &AuditQuery,
        after: u64,
        limit: u32,
    ) -> Result<(Vec<AuditRecord>, bool), Refusal> {
        let mut page = self.audit.records(query, after, limit + 1).await.map_err(|error| refused(&error))?;
        let fits = fitting(&page).min(limit as usize);
        let more = page.len() > fits;
        page.truncate(fits);
        Ok((page, more))
    }
}

/// How many of them make an answer.
fn fitting(page: &[AuditRecord]) -> usize {
    let mut bytes = 0;
    let fits = page.iter().take_while(|record| {
        bytes += record.body.len();
        bytes <= BYTES
    });
    fits.count().max(1)
}

/// All records after that number that are there now.
pub(crate) async fn export(
    core: Arc<Core>,
    query: AuditQuery,
    after: u64,
) -> Result<impl Stream<Item = Result<Vec<AuditRecord>, Refusal>> + Send, Refusal> {
    let last = core.audit.place().await.map_err(|error| refused(&error))?.number;
    let export = Export { core, query, last, begun: false, after: Some(after) };
    Ok(unfold(export, |mut export| async move {
        let page = export.next().await?;
        if page.is_err() {
            export.after = None;
        }
        Some((page, export))
    }))
}

/// A stream on its way.
struct Export {
    core: Arc<Core>,
    query: AuditQuery,
    /// The last record that was there when it began.
    last: u64,
    /// Whether a page was read.
    begun: bool,
    /// The last that was streamed; `None` at the end.
    after: Option<u64>,
}

impl Export {
    async fn next(&mut self) -> Option<Result<Vec<AuditRecord>, Refusal>> {
        let after = self.after.filter(|after| *after < self.last)?;
        if self.core.tasks.stopping().is_cancelled() {
            return Some(Err(server_stops()));
        }
        let (mut page, more) = match self.core.audit_page(&self.query, after, PAGE).await {
            Ok(read) => read,
            Err(refused) => return Some(Err(refused)),
        };
        if let Err(refused) = self.notice_gap(after, &page).await {
            return Some(Err(refused));
        }
        self.begun = true;
        page.retain(|record| record.number <= self.last);
        self.after = page.last().filter(|_| more).map(|record| record.number);
        (!page.is_empty()).then_some(Ok(page))
    }
}

impl Export {
    /// The oldest records may have been deleted. Whoever verifies the rest needs the record that says so: it may be newer
    /// than the last that was there at first.
    async fn notice_gap(&mut self, after: u64, page: &[AuditRecord]) -> Result<(), Refusal> {
        let is_whole = page.first().is_none_or(|first| first.number == after + 1);
        if is_whole || self.query != AuditQuery::default() {
            return Ok(());
        }
        if self.begun {
            return Err(Refusal::new(
                ErrorReason::StoreUnavailable,
                "the oldest records were deleted while they were read; begin anew",
            ));
        }
        self.last = self.core.audit.place().await.map_err(|error| refused(&error))?.number;
        Ok(())
    }
}

/// A trail that cannot be read. The cause is logged here, once, and not told.
fn refused(error: &StoreError) -> Refusal {
    match error {
        StoreError::Corrupt { what, source } => {
            tracing::error!(%what, error = %source, "a record of the audit trail is corrupt");
            Refusal::new(ErrorReason::Internal, format!("{what} is corrupt"))
        }
        StoreError::Unavailable(source) | StoreError::InDoubt(source) => {
            tracing::error!(error = %source, "the audit trail is unavailable");
            Refusal::new(ErrorReason::StoreUnavailable, "the audit trail is unavailable")
        }
        StoreError::Lost => Refusal::new(ErrorReason::StoreUnavailable, "the audit trail is unavailable"),
    }
}
