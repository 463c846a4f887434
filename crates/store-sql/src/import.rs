//! Imports in SQL. Staged rows stand, as the directory will have them, in tables of their own, so that a commit is a
//! handful of statements over whole tables. All that is written here is written in the directory's turn.
//!
//! What an import leaves behind is cleared away after it has ended, in small steps, so that nobody waits long.

mod clear;
mod commit;
mod stage;

use async_trait::async_trait;
use jiff::Timestamp;
use roamline_domain::directory::Key;
use roamline_store::{Change, Committed, Import, ImportError, ImportStore, StageError, Staged, StoreError};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, Select};

use crate::SqlStore;
use crate::column::{count, instant, micros};
use crate::directory::turn;
use crate::entity::import;
use crate::error::{Cause, corrupt, failed};
use crate::write::insert;

/// What a statement about imports failed at.
const WHAT: &str = "an import";
/// Changes that are so many that the database must learn of them.
pub(crate) const LARGE: u64 = 1_000;
/// Sizes of an import at which it does while that is being staged.
const TAKE_STOCK_AT: [u64; 3] = [LARGE, 10 * LARGE, 100 * LARGE];

fn from_row(row: import::Model) -> Result<Import, StoreError> {
    let id = row.id.clone();
    let read = || -> Result<Import, Cause> {
        Ok(Import {
            id: row.id,
            token: row.token.unwrap_or_default(),
            created_at: instant(row.created_at)?,
            next_row: count(row.next_row)?,
            staged: count(row.staged)?,
        })
    };
    read().map_err(corrupt(format!("import {id}")))
}

impl SqlStore {
    fn open_imports(&self) -> Select<import::Entity> {
        let of_cluster = import::Entity::find().filter(import::Column::ClusterId.eq(self.cluster.as_str()));
        of_cluster.filter(import::Column::Token.is_not_null())
    }

    /// Lets PostgreSQL count what has been written: for a minute or more it would take much for next to nothing, and
    /// search it by the wrong index. Not to have counted is no error.
    pub(crate) async fn take_stock(&self) {
        let db = self.writers.directory.connection();
        if db.get_database_backend() == DbBackend::Postgres {
            let tables =
                "resource, claim, reference, staged_resource, staged_claim, staged_reference, staged_guard";
            let _ = db.execute_unprepared(&format!("ANALYZE (SKIP_LOCKED) {tables}")).await;
        }
    }

    async fn open_import_row(
        &self,
        db: &impl ConnectionTrait,
        id: &str,
    ) -> Result<Option<Import>, StoreError> {
        let row = self.open_imports().filter(import::Column::Id.eq(id)).one(db).await;
        row.map_err(failed(WHAT))?.map(from_row).transpose()
    }
}

#[async_trait]
impl ImportStore for SqlStore {
    async fn open_import(&self, token: &str, id: &str, at: Timestamp) -> Result<Import, StoreError> {
        use import::Column;
        let tx = self.write(&self.writers.directory).await?;
        let open = self.open_imports().filter(Column::Token.eq(token)).one(&tx).await;
        let row = match open.map_err(failed(WHAT))? {
            Some(open) => {
                let used = import::Entity::update_many().col_expr(Column::UsedAt, Expr::value(micros(at)));
                let used = used.filter(Column::ClusterId.eq(self.cluster.as_str()));
                used.filter(Column::Id.eq(open.id.as_str())).exec(&tx).await.map_err(failed(WHAT))?;
                open
            }
            None => {
                let new = import::Model {
                    cluster_id: self.cluster.to_string(),
                    id: id.to_owned(),
                    token: Some(token.to_owned()),
                    created_at: micros(at),
                    used_at: micros(at),
                    next_row: 1,
                    staged: 0,
                };
                insert::<import::Entity>(&tx, vec![new.clone()]).await.map_err(failed(WHAT))?;
                new
            }
        };
        tx.commit().await.map_err(failed(WHAT))?;
        from_row(row)
    }

    async fn find_import(&self, id: &str) -> Result<Option<Import>, StoreError> {
        self.open_import_row(&self.readers, id).await
    }

    async fn discard_import(&self, id: &str) -> Result<bool, StoreError> {
        let ended = self.end_imports(import::Column::Id.eq(id)).await?;
        self.clear_ended().await?;
        Ok(ended > 0)
    }

    async fn discard_imports_before(&self, instant: Timestamp) -> Result<u64, StoreError> {
        let ended = self.end_imports(import::Column::UsedAt.lt(micros(instant))).await?;
        self.clear_ended().await?;
        Ok(ended)
    }

    async fn stage(
        &self,
        id: &str,
        from_row: u64,
        rows: Vec<(u64, Change)>,
        next_row: u64,
        at: Timestamp,
    ) -> Result<(), StageError> {
        let tx = self.write(&self.writers.directory).await?;
        let open = self.open_import_row(&tx, id).await?.ok_or(StageError::Unknown)?;
        if from_row != open.next_row {
            return Err(StageError::Row { expected: open.next_row });
        }
        let chunk = stage::Chunk::of(&self.cluster, &tx, id, rows).await?;
        let (before, staged) = (open.staged, open.staged + chunk.len());
        chunk.write(&tx).await?;
        let next = Import { next_row, staged, ..open };
        stage::advance(&self.cluster, &tx, &next, at).await?;
        tx.commit().await.map_err(failed(WHAT))?;
        if TAKE_STOCK_AT.iter().any(|size| (before..staged).contains(size)) {
            self.take_stock().await;
        }
        Ok(())
    }

    async fn find_staged(&self, id: &str, keys: &[Key]) -> Result<Vec<Option<Staged>>, StoreError> {
        let tx = self.read().await?;
        let found = match self.open_import_row(&tx, id).await? {
            Some(_) => stage::find(&self.cluster, &tx, id, keys).await?,
            None => Default::default(),
        };
        tx.commit().await.map_err(failed(WHAT))?;
        Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
    }

    async fn staged(&self, id: &str, after_row: u64, limit: u32) -> Result<Vec<Staged>, StoreError> {
        let tx = self.read().await?;
        let found = match self.open_import_row(&tx, id).await? {
            Some(_) => stage::rows_after(&self.cluster, &tx, id, after_row, limit).await?,
            None => Vec::new(),
        };
        tx.commit().await.map_err(failed(WHAT))?;
        Ok(found)
    }

    async fn commit_import(
        &self,
        id: &str,
        at: Timestamp,
        validate_only: bool,
    ) -> Result<Committed, ImportError> {
        let open = self.open_import_row(&self.readers, id).await?.ok_or(ImportError::Unknown)?;
        let is_large = open.staged >= LARGE;
        if is_large {
            self.take_stock().await;
        }
        // Nobody waits for this check. It holds if neither the directory nor the import has changed until the turn.
        let tx = self.read().await?;
        let open = self.open_import_row(&tx, id).await?.ok_or(ImportError::Unknown)?;
        let seen = turn::number(&self.cluster, &tx).await?;
        let mut committed = commit::Staging::new(&self.cluster, &tx, id).checked().await?;
        tx.commit().await.map_err(failed(WHAT))?;
        if validate_only {
            return Ok(committed);
        }
        let tx = self.write(&self.writers.directory).await?;
        let open_now = self.open_import_row(&tx, id).await?.ok_or(ImportError::Unknown)?;
        let import = commit::Staging::new(&self.cluster, &tx, id);
        if open_now != open || turn::number(&self.cluster, &tx).await? != seen {
            committed = import.checked().await?;
        }
        import.write(committed, at).await?;
        turn::count(&self.cluster, &tx).await?;
        tx.commit().await.map_err(failed(WHAT))?;
        if is_large {
            self.take_stock().await;
        }
        // It is made. What it leaves behind is cleared away later if it cannot be now.
        let _ = self.clear_ended().await;
        Ok(committed)
    }
}
