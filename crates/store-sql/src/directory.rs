//! The directory in SQL. A batch of changes is checked against what it is about, read at its beginning, and then
//! written with a few statements a table, however large it is.

mod check;
mod list;
pub(crate) mod rows;
mod snapshot;
pub(crate) mod turn;
mod users;

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use jiff::Timestamp;
use roamline_domain::directory::{Claim, Key, Kind};
use roamline_store::{Change, DirectoryError, DirectoryStore, ListQuery, StoreError, Stored};

use crate::SqlStore;
use crate::column::count;
use crate::error::{corrupt, failed};
use crate::import::LARGE;

#[async_trait]
impl DirectoryStore for SqlStore {
    async fn find(&self, keys: &[Key]) -> Result<Vec<Option<Stored>>, StoreError> {
        let found = if keys.len() <= rows::KEYS {
            rows::find(&self.cluster, &self.readers, keys).await?
        } else {
            let tx = self.read().await?;
            let found = rows::find(&self.cluster, &tx, keys).await?;
            tx.commit().await.map_err(failed("the database"))?;
            found
        };
        Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        count(turn::number(&self.cluster, &self.readers).await?).map_err(corrupt("the directory's revision"))
    }

    async fn list(&self, kind: Kind, query: &ListQuery) -> Result<Vec<Stored>, StoreError> {
        let Some(select) = list::select(&self.cluster, kind, query) else { return Ok(Vec::new()) };
        rows::all(select, &self.readers).await
    }

    async fn owners(&self, claims: &[Claim]) -> Result<BTreeMap<Claim, Key>, StoreError> {
        rows::owners(&self.cluster, &self.readers, claims).await
    }

    async fn used_by(&self, key: &Key, after: Option<&Key>, limit: u32) -> Result<Vec<Key>, StoreError> {
        let tx = self.read().await?;
        let users = users::of(&self.cluster, &tx, key, after, limit).await?;
        tx.commit().await.map_err(failed("the database"))?;
        Ok(users)
    }

    async fn first_users(&self, keys: &[Key], by: Kind) -> Result<BTreeMap<Key, Key>, StoreError> {
        users::first(&self.cluster, &self.readers, keys, by).await
    }

    fn snapshot(&self) -> BoxStream<'static, Result<Vec<Stored>, StoreError>> {
        snapshot::pages(self.cluster.clone(), self.readers.clone()).boxed()
    }

    async fn commit(&self, changes: Vec<Change>, at: Timestamp) -> Result<(), DirectoryError> {
        let is_large = changes.len() as u64 >= LARGE;
        let tx = self.write(&self.writers.directory).await?;
        let batch = check::checked(&self.cluster, &tx, changes).await?;
        if !batch.after.is_empty() {
            rows::write(&self.cluster, &tx, batch, at).await?;
            turn::count(&self.cluster, &tx).await?;
        }
        tx.commit().await.map_err(failed("the directory"))?;
        if is_large {
            self.take_stock().await;
        }
        Ok(())
    }
}
