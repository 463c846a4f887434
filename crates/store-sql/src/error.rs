//! What the driver says, as what a store says: by error codes, never by texts.

use std::borrow::Cow;

use roamline_store::StoreError;
use sea_orm::sqlx::error::DatabaseError as _;
use sea_orm::sqlx::sqlite::SqliteError;
use sea_orm::{DbErr, RuntimeErr, SqlxError};

/// Any error, boxed as [`StoreError`] keeps it.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

const SQLITE_CORRUPT: i32 = 11;
const SQLITE_NOTADB: i32 = 26;
/// `data_corrupted` and `index_corrupted`.
const POSTGRES_CORRUPT: [&str; 2] = ["XX001", "XX002"];

/// The store's word for a failed statement about `what`: corrupt where a record cannot be read, and unavailable
/// otherwise (a lost connection, a server that stops or takes no more connections, a full disk, a read-only file).
pub(crate) fn failed(what: &'static str) -> impl Fn(DbErr) -> StoreError {
    move |error| {
        if is_corrupt(&error) {
            corrupt(what)(error.into())
        } else {
            StoreError::Unavailable(Box::new(error))
        }
    }
}

/// The store's word for a record that cannot be read.
pub(crate) fn corrupt(what: impl Into<String>) -> impl FnOnce(Cause) -> StoreError {
    let what = what.into();
    move |source| StoreError::Corrupt { what, source }
}

/// A second copy, for another of those who wait for the same step.
pub(crate) fn copy(error: &StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(source) => StoreError::Unavailable(source.to_string().into()),
        StoreError::InDoubt(source) => StoreError::InDoubt(source.to_string().into()),
        StoreError::Lost => StoreError::Lost,
        StoreError::Corrupt { what, source } => {
            StoreError::Corrupt { what: what.clone(), source: source.to_string().into() }
        }
    }
}

/// Whether the file is something else than a SQLite database.
pub(crate) fn is_not_a_database(error: &DbErr) -> bool {
    sqlite_code(error) == Some(SQLITE_NOTADB)
}

fn is_corrupt(error: &DbErr) -> bool {
    let unreadable = match driver(error) {
        Some(error) => matches!(
            error,
            SqlxError::ColumnDecode { .. }
                | SqlxError::Decode(_)
                | SqlxError::ColumnNotFound(_)
                | SqlxError::TypeNotFound { .. }
        ),
        None => matches!(error, DbErr::Type(_) | DbErr::Json(_) | DbErr::TryIntoErr { .. }),
    };
    unreadable
        || matches!(sqlite_code(error), Some(SQLITE_CORRUPT | SQLITE_NOTADB))
        || sqlstate(error).is_some_and(|state| POSTGRES_CORRUPT.contains(&state.as_ref()))
}

pub(crate) fn driver(error: &DbErr) -> Option<&SqlxError> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}

/// SQLite's primary result code, the low byte of the extended one.
fn sqlite_code(error: &DbErr) -> Option<i32> {
    let code = driver(error)?.as_database_error()?.try_downcast_ref::<SqliteError>()?.code()?;
    code.parse::<i32>().ok().map(|code| code & 0xff)
}

/// The SQLSTATE of PostgreSQL.
fn sqlstate(error: &DbErr) -> Option<Cow<'_, str>> {
    let error = driver(error)?.as_database_error()?;
    match error.try_downcast_ref::<SqliteError>() {
        Some(_) => None,
        None => error.code(),
    }
}
