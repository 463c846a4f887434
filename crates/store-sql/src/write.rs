//! Rows written many at once.

use sea_orm::sea_query::OnConflict;
use sea_orm::{DatabaseTransaction, DbErr, EntityTrait, IntoActiveModel, Iterable, PrimaryKeyToColumn};

/// Rows in one statement at most: SQLite takes 32766 values.
const ROWS: usize = 500;

/// Writes rows whose keys are not there yet.
pub(crate) async fn insert<E>(tx: &DatabaseTransaction, rows: Vec<E::Model>) -> Result<(), DbErr>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel>,
{
    let mut rows = rows.into_iter().map(IntoActiveModel::into_active_model).peekable();
    while rows.peek().is_some() {
        E::insert_many(rows.by_ref().take(ROWS)).exec_without_returning(tx).await?;
    }
    Ok(())
}

/// Writes rows, except those whose keys are there already.
pub(crate) async fn insert_new<E>(tx: &DatabaseTransaction, rows: Vec<E::Model>) -> Result<(), DbErr>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel>,
{
    let keys: Vec<E::Column> = E::PrimaryKey::iter().map(PrimaryKeyToColumn::into_column).collect();
    let keep = OnConflict::columns(keys).do_nothing().to_owned();
    let mut rows = rows.into_iter().map(IntoActiveModel::into_active_model).peekable();
    while rows.peek().is_some() {
        let some = E::insert_many(rows.by_ref().take(ROWS));
        some.on_conflict(keep.clone()).exec_without_returning(tx).await?;
    }
    Ok(())
}

/// Writes rows; one whose key is there replaces the one that is. No key may be among them twice.
pub(crate) async fn upsert<E>(tx: &DatabaseTransaction, rows: Vec<E::Model>) -> Result<(), DbErr>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel>,
{
    let keys: Vec<E::Column> = E::PrimaryKey::iter().map(PrimaryKeyToColumn::into_column).collect();
    let fields = E::Column::iter().filter(|column| E::PrimaryKey::from_column(*column).is_none());
    let replace = OnConflict::columns(keys).update_columns(fields).to_owned();
    let mut rows = rows.into_iter().map(IntoActiveModel::into_active_model).peekable();
    while rows.peek().is_some() {
        let some = E::insert_many(rows.by_ref().take(ROWS));
        some.on_conflict(replace.clone()).exec_without_returning(tx).await?;
    }
    Ok(())
}
