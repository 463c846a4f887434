//! Rows written many at once.

use sea_orm::sea_query::OnConflict;
use sea_orm::{
    DatabaseTransaction, DbErr, EntityTrait, InsertMany, IntoActiveModel, Iterable, PrimaryKeyToColumn,
};

/// Rows in one statement: of few numbers, so that statements come again and need not be parsed anew. SQLite takes 32766
/// values.
const ROWS: [usize; 4] = [500, 64, 8, 1];

/// The rows of one statement after the other.
fn parts<T>(rows: Vec<T>) -> impl Iterator<Item = Vec<T>> {
    let mut rows = rows.into_iter();
    std::iter::from_fn(move || {
        let size = ROWS.into_iter().find(|size| rows.len() >= *size)?;
        Some(rows.by_ref().take(size).collect())
    })
}

fn insert_many<E>(rows: Vec<E::Model>) -> InsertMany<E::ActiveModel>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel>,
{
    E::insert_many(rows.into_iter().map(IntoActiveModel::into_active_model))
}

/// Writes rows whose keys are not there yet.
pub(crate) async fn insert<E>(tx: &DatabaseTransaction, rows: Vec<E::Model>) -> Result<(), DbErr>
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel>,
{
    for some in parts(rows) {
        insert_many::<E>(some).exec_without_returning(tx).await?;
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
    for some in parts(rows) {
        insert_many::<E>(some).on_conflict(keep.clone()).exec_without_returning(tx).await?;
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
    for some in parts(rows) {
        insert_many::<E>(some).on_conflict(replace.clone()).exec_without_returning(tx).await?;
    }
    Ok(())
}
