//! The number of commits of the directory: where it has not changed, what was read of the directory still holds.

use roamline_domain::ClusterId;
use roamline_store::StoreError;
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, Statement};

use crate::entity::guard;
use crate::error::failed;

/// Stands beside the guards of users and ACD lines.
const KIND: &str = "directory";

/// How many commits there were.
pub(crate) async fn number(cluster: &ClusterId, db: &impl ConnectionTrait) -> Result<i64, StoreError> {
    use guard::Column;
    let of_cluster = guard::Entity::find().filter(Column::ClusterId.eq(cluster.as_str()));
    let row = of_cluster.filter(Column::Kind.eq(KIND)).filter(Column::Name.eq(KIND)).one(db).await;
    Ok(row.map_err(failed("the directory"))?.map_or(0, |row| row.version))
}

/// Counts the commit that is being made.
pub(crate) async fn count(cluster: &ClusterId, tx: &DatabaseTransaction) -> Result<(), StoreError> {
    let sql = "INSERT INTO guard (cluster_id, kind, name, version) VALUES ($1, $2, $2, 1) \
               ON CONFLICT (cluster_id, kind, name) DO UPDATE SET version = guard.version + 1";
    let values = [cluster.as_str().into(), KIND.into()];
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
    tx.execute_raw(statement).await.map(drop).map_err(failed("the directory"))
}
