//! The directory in SQL. A batch of changes is checked against what it is about, read at its beginning, and then
//! written with a few statements a table, however large it is.

mod check;
mod rows;

use async_trait::async_trait;
use jiff::Timestamp;
use roamline_domain::directory::{Key, Kind};
use roamline_store::{Change, DirectoryError, DirectoryStore, StoreError, Stored};
use sea_orm::sea_query::{Order, Value, Values};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::SqlStore;
use crate::entity::{reference, resource};
use crate::error::failed;

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

    async fn list(&self, kind: Kind, after: Option<&str>, limit: u32) -> Result<Vec<Stored>, StoreError> {
        use resource::Column;
        let mut select = resource::Entity::find()
            .filter(Column::ClusterId.eq(self.cluster.as_str()))
            .filter(Column::Kind.eq(kind.as_str()))
            .order_by_asc(Column::Name)
            .limit(u64::from(limit));
        if let Some(after) = after {
            // PostgreSQL takes no NUL. No name holds one, so that the same names follow what stands before it.
            let after = after.split('\0').next().unwrap_or_default();
            select = select.filter(Column::Name.gt(after));
        }
        let found = select.all(&self.readers).await.map_err(failed("a resource"))?;
        found.into_iter().map(|row| Ok(rows::from_row(row)?.1)).collect()
    }

    async fn used_by(&self, key: &Key, limit: u32) -> Result<Vec<Key>, StoreError> {
        use reference::Column;
        let kinds = Kind::ALL.map(|kind| Value::from(kind.as_str()));
        let found: Vec<(String, String)> = reference::Entity::find()
            .select_only()
            .columns([Column::FromKind, Column::FromName])
            .filter(Column::ClusterId.eq(self.cluster.as_str()))
            .filter(Column::ToKind.eq(key.kind.as_str()))
            .filter(Column::ToName.eq(key.name.as_str()))
            .order_by(Column::FromKind, Order::Field(Values(kinds.to_vec())))
            .order_by_asc(Column::FromName)
            .limit(u64::from(limit))
            .into_tuple()
            .all(&self.readers)
            .await
            .map_err(failed("a reference"))?;
        found.into_iter().map(|(kind, name)| rows::key(&kind, name)).collect()
    }

    async fn commit(&self, changes: Vec<Change>, at: Timestamp) -> Result<(), DirectoryError> {
        let tx = self.write(&self.writers.directory).await?;
        let batch = check::checked(&self.cluster, &tx, changes).await?;
        rows::write(&self.cluster, &tx, batch, at).await?;
        Ok(tx.commit().await.map_err(failed("the directory"))?)
    }
}
