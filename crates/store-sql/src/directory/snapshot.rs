//! Every resource as of one instant: a transaction that reads pages and ends with its reader.

use futures::TryStreamExt;
use futures::stream::{self, Stream};
use roamline_domain::ClusterId;
use roamline_domain::directory::Kind;
use roamline_store::{ListQuery, StoreError, Stored};
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, TransactionTrait};

use super::{list, rows};
use crate::error::failed;

const PAGE: u32 = 500;

/// Where a reader stands.
struct Reader {
    cluster: ClusterId,
    tx: DatabaseTransaction,
    kinds: std::iter::Peekable<std::array::IntoIter<Kind, { Kind::ALL.len() }>>,
    after: Option<String>,
}

/// The pages; the first one that is asked for sets the instant.
pub(super) fn pages(
    cluster: ClusterId,
    readers: DatabaseConnection,
) -> impl Stream<Item = Result<Vec<Stored>, StoreError>> + Send {
    let begin = async move {
        let tx = begin(&readers).await.map_err(failed("the database"))?;
        Ok(Reader { cluster, tx, kinds: Kind::ALL.into_iter().peekable(), after: None })
    };
    let pages = |reader| {
        stream::try_unfold(reader, async |mut reader: Reader| {
            let page = reader.next().await?;
            Ok(page.map(|page| (page, reader)))
        })
    };
    stream::once(begin).map_ok(pages).try_flatten()
}

/// PostgreSQL ends a transaction that rests: this one rests while its reader is busy.
async fn begin(readers: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let tx = readers.begin().await?;
    if tx.get_database_backend() == DbBackend::Postgres {
        tx.execute_unprepared("SET LOCAL idle_in_transaction_session_timeout = '5min'").await?;
    }
    Ok(tx)
}

impl Reader {
    async fn next(&mut self) -> Result<Option<Vec<Stored>>, StoreError> {
        while let Some(kind) = self.kinds.peek().copied() {
            let query = ListQuery::names_after(self.after.as_deref(), PAGE);
            let page = match list::select(&self.cluster, kind, &query) {
                Some(select) => rows::all(select, &self.tx).await?,
                None => Vec::new(),
            };
            match page.last() {
                Some(last) => self.after = Some(last.resource.key().name),
                None => {
                    self.kinds.next();
                    self.after = None;
                    continue;
                }
            }
            return Ok(Some(page));
        }
        Ok(None)
    }
}
