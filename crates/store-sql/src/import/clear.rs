//! How imports end, and how what they leave behind is cleared away.

use roamline_store::StoreError;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Statement, Value};

use super::WHAT;
use crate::SqlStore;
use crate::entity::import;
use crate::error::failed;

/// Rows that are deleted in one step.
const ROWS: u64 = 5_000;
/// The tables, each with what follows the import in its key, and as many parameters.
const TABLES: [(&str, &str, &str); 4] = [
    ("staged_resource", "kind, name", "$3, $4"),
    ("staged_claim", "space, name", "$3, $4"),
    ("staged_reference", "from_kind, from_name, to_kind, to_name", "$3, $4, $5, $6"),
    ("staged_guard", "kind, name", "$3, $4"),
];

impl SqlStore {
    /// Ends the open imports of which that holds; how many. Nobody finds them any more.
    pub(super) async fn end_imports(&self, which: Expr) -> Result<u64, StoreError> {
        use import::Column;
        let tx = self.write(&self.writers.directory).await?;
        let ended = import::Entity::update_many()
            .col_expr(Column::Token, Expr::value(None::<String>))
            .filter(Column::ClusterId.eq(self.cluster.as_str()))
            .filter(Column::Token.is_not_null())
            .filter(which);
        let ended = ended.exec(&tx).await.map_err(failed(WHAT))?;
        tx.commit().await.map_err(failed(WHAT))?;
        Ok(ended.rows_affected)
    }

    /// Clears away the rows of imports that have ended, those included that another process has left.
    pub(super) async fn clear_ended(&self) -> Result<(), StoreError> {
        use import::Column;
        let ended = import::Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::ClusterId.eq(self.cluster.as_str()))
            .filter(Column::Token.is_null());
        let ended: Vec<String> = ended.into_tuple().all(&self.readers).await.map_err(failed(WHAT))?;
        for id in ended {
            for table in TABLES {
                while self.clear_some(table, &id).await? {}
            }
            let cleared = import::Entity::delete_many().filter(Column::ClusterId.eq(self.cluster.as_str()));
            let cleared = cleared.filter(Column::Id.eq(id.as_str()));
            let tx = self.write(&self.writers.directory).await?;
            cleared.exec(&tx).await.map_err(failed(WHAT))?;
            tx.commit().await.map_err(failed(WHAT))?;
        }
        Ok(())
    }

    /// Deletes some rows of the import, those whose keys come first; whether there are more.
    async fn clear_some(
        &self,
        (table, key, bounds): (&str, &str, &str),
        id: &str,
    ) -> Result<bool, StoreError> {
        let tx = self.write(&self.writers.directory).await?;
        let statement = |sql: String, bounds: Vec<String>| {
            let import = [self.cluster.as_str().into(), id.into()];
            let values = import.into_iter().chain(bounds.into_iter().map(Value::from));
            Statement::from_sql_and_values(tx.get_database_backend(), sql, values)
        };
        let of_import = format!("FROM {table} WHERE cluster_id = $1 AND import_id = $2");
        let find = format!("SELECT {key} {of_import} ORDER BY {key} LIMIT 1 OFFSET {ROWS}");
        let last = tx.query_one_raw(statement(find, Vec::new())).await.map_err(failed(WHAT))?;
        let delete = match &last {
            None => statement(format!("DELETE {of_import}"), Vec::new()),
            Some(last) => {
                let columns = 0..key.split(',').count();
                let last = columns.map(|column| last.try_get_by_index(column)).collect::<Result<_, _>>();
                let delete = format!("DELETE {of_import} AND ({key}) <= ({bounds})");
                statement(delete, last.map_err(failed(WHAT))?)
            }
        };
        tx.execute_raw(delete).await.map_err(failed(WHAT))?;
        tx.commit().await.map_err(failed(WHAT))?;
        Ok(last.is_some())
    }
}
