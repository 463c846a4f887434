//! How an import is checked and made: whole tables at once, the staged rows against those of the directory.

use jiff::Timestamp;
use roamline_domain::ClusterId;
use roamline_domain::directory::{Key, Kind, Resource};
use roamline_store::import::MOST_ERRORS;
use roamline_store::{Committed, DirectoryError, ImportError, RowError, StoreError};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, QueryResult, Statement, Value};

use super::WHAT;
use crate::column::{count, micros};
use crate::directory::rows::key;
use crate::error::{Cause, corrupt, failed};

/// The rows of one import: `$1` is the cluster, `$2` the import.
const OF_IMPORT: &str = "cluster_id = $1 AND import_id = $2";

/// The staged rows of an import, in the transaction that commits it.
pub(super) struct Staging<'a> {
    cluster: &'a ClusterId,
    tx: &'a DatabaseTransaction,
    id: &'a str,
}

impl<'a> Staging<'a> {
    pub(super) fn new(cluster: &'a ClusterId, tx: &'a DatabaseTransaction, id: &'a str) -> Self {
        Self { cluster, tx, id }
    }

    fn statement(&self, sql: &str, more: Option<Value>) -> Statement {
        let values = [self.cluster.as_str().into(), self.id.into()].into_iter().chain(more);
        Statement::from_sql_and_values(self.tx.get_database_backend(), sql, values)
    }

    async fn rows(&self, sql: &str) -> Result<Vec<QueryResult>, StoreError> {
        self.tx.query_all_raw(self.statement(sql, None)).await.map_err(failed(WHAT))
    }

    async fn execute(&self, sql: &str) -> Result<(), StoreError> {
        self.tx.execute_raw(self.statement(sql, None)).await.map(drop).map_err(failed(WHAT))
    }

    /// As [`Self::execute`]; `$3` is that instant.
    async fn execute_at(&self, sql: &str, at: Timestamp) -> Result<(), StoreError> {
        let statement = self.statement(sql, Some(micros(at).into()));
        self.tx.execute_raw(statement).await.map(drop).map_err(failed(WHAT))
    }

    /// How many resources it changes, if nothing stands in its way.
    pub(super) async fn checked(&self) -> Result<Committed, ImportError> {
        let committed = self.counted().await?;
        self.check(committed).await?;
        Ok(committed)
    }

    async fn counted(&self) -> Result<Committed, StoreError> {
        let sql = format!(
            "SELECT COUNT(CASE WHEN body IS NOT NULL AND expected = 0 THEN 1 END), \
             COUNT(CASE WHEN body IS NOT NULL AND expected > 0 THEN 1 END), \
             COUNT(CASE WHEN body IS NULL THEN 1 END) FROM staged_resource WHERE {OF_IMPORT}"
        );
        let mut committed = Committed::default();
        for row in self.rows(&sql).await? {
            let read = || -> Result<Committed, Cause> {
                let (created, updated, deleted): (i64, i64, i64) = row.try_get_many_by_index()?;
                Ok(Committed { created: count(created)?, updated: count(updated)?, deleted: count(deleted)? })
            };
            committed = read().map_err(corrupt(WHAT))?;
        }
        Ok(committed)
    }

    /// Looks for everything that stands in its way.
    async fn check(&self, committed: Committed) -> Result<(), ImportError> {
        let mut errors = Vec::new();
        for table in ["staged_resource", "staged_guard"] {
            self.gather(&mut errors, &moved(table), read_moved).await?;
        }
        self.gather(&mut errors, TAKEN, read_taken).await?;
        self.gather(&mut errors, MISSING, read_missing).await?;
        if committed.deleted > 0 {
            self.gather(&mut errors, &in_use(), read_in_use).await?;
        }
        if errors.is_empty() {
            return Ok(());
        }
        errors.sort_by_key(|error| error.row);
        errors.truncate(MOST_ERRORS);
        Err(ImportError::Refused(errors))
    }

    /// The errors that a statement finds, whose first column is the row.
    async fn gather(
        &self,
        errors: &mut Vec<RowError>,
        sql: &str,
        read: fn(&Row<'_>) -> Result<DirectoryError, Cause>,
    ) -> Result<(), StoreError> {
        let sql = format!("{sql} ORDER BY 1 LIMIT {MOST_ERRORS}");
        for row in self.rows(&sql).await? {
            let row = Row(&row);
            let error = || Ok(RowError { row: count(row.get("at_row")?)?, error: read(&row)? });
            errors.push(error().map_err(corrupt(WHAT))?);
        }
        Ok(())
    }

    /// Makes the changes, and ends the import.
    pub(super) async fn write(&self, committed: Committed, at: Timestamp) -> Result<(), StoreError> {
        if committed.updated + committed.deleted > 0 {
            self.execute(DROP_CLAIMS).await?;
            self.execute(DROP_REFERENCES).await?;
        }
        if committed.deleted > 0 {
            self.execute(DELETE_RESOURCES).await?;
        }
        self.execute_at(PUT_RESOURCES, at).await?;
        self.execute(INSERT_CLAIMS).await?;
        self.execute_at(INSERT_REFERENCES, at).await?;
        self.execute("UPDATE import SET token = NULL WHERE cluster_id = $1 AND id = $2").await
    }
}

// Each staged row is compared with one row of the directory, found by its key in a subquery of its own. A join would
// leave it to the planner, which knows too little about tables that were filled a moment ago.

/// Resources or guards whose version is not what is demanded.
fn moved(table: &str) -> String {
    format!(
        "SELECT at_row, kind, name, version FROM (SELECT s.at_row, s.kind, s.name, s.expected, \
         (SELECT r.version FROM resource r WHERE r.cluster_id = $1 AND r.kind = s.kind AND r.name = s.name) \
         AS version FROM {table} s WHERE {OF_IMPORT}) AS found WHERE COALESCE(version, 0) <> expected"
    )
}

/// Names that others have, who keep them.
const TAKEN: &str = "SELECT at_row, space, name, by_kind, by_name, \
    (SELECT s.body FROM staged_resource s WHERE s.cluster_id = $1 AND s.import_id = $2 \
     AND s.kind = owner_kind AND s.name = owner_name) AS body \
    FROM (SELECT w.at_row, w.space, w.name, w.owner_kind, w.owner_name, \
     (SELECT c.owner_kind FROM claim c WHERE c.cluster_id = $1 AND c.space = w.space AND c.name = w.name) \
     AS by_kind, \
     (SELECT c.owner_name FROM claim c WHERE c.cluster_id = $1 AND c.space = w.space AND c.name = w.name) \
     AS by_name FROM staged_claim w WHERE cluster_id = $1 AND import_id = $2) AS found \
    WHERE by_kind IS NOT NULL AND (SELECT o.at_row FROM staged_resource o \
     WHERE o.cluster_id = $1 AND o.import_id = $2 AND o.kind = by_kind AND o.name = by_name) IS NULL";

/// References to what neither is put nor is there and stays.
const MISSING: &str = "SELECT f.at_row, f.from_kind, f.from_name, f.to_kind, f.to_name \
    FROM staged_reference f WHERE f.cluster_id = $1 AND f.import_id = $2 \
    AND (SELECT p.at_row FROM staged_resource p WHERE p.cluster_id = $1 AND p.import_id = $2 \
     AND p.kind = f.to_kind AND p.name = f.to_name AND p.body IS NOT NULL) IS NULL \
    AND ((SELECT r.version FROM resource r WHERE r.cluster_id = $1 \
     AND r.kind = f.to_kind AND r.name = f.to_name) IS NULL \
    OR (SELECT d.at_row FROM staged_resource d WHERE d.cluster_id = $1 AND d.import_id = $2 \
     AND d.kind = f.to_kind AND d.name = f.to_name AND d.body IS NULL) IS NOT NULL)";

/// What is to be deleted and is referred to by what stays as it is, with the first that does: its kind, a space, and
/// its name.
fn in_use() -> String {
    let places = Kind::ALL.iter().enumerate();
    let places: String = places.map(|(place, kind)| format!(" WHEN '{kind}' THEN {place}")).collect();
    format!(
        "SELECT at_row, kind, name, used_by FROM (SELECT s.at_row, s.kind, s.name, \
         (SELECT f.from_kind || ' ' || f.from_name FROM reference f \
          WHERE f.cluster_id = $1 AND f.to_kind = s.kind AND f.to_name = s.name \
          AND (SELECT o.at_row FROM staged_resource o WHERE o.cluster_id = $1 AND o.import_id = $2 \
           AND o.kind = f.from_kind AND o.name = f.from_name) IS NULL \
          ORDER BY CASE f.from_kind{places} END, f.from_name LIMIT 1) AS used_by \
         FROM staged_resource s WHERE {OF_IMPORT} AND s.body IS NULL) AS found WHERE used_by IS NOT NULL"
    )
}

const DROP_CLAIMS: &str = "DELETE FROM claim WHERE cluster_id = $1 AND (owner_kind, owner_name) IN \
    (SELECT kind, name FROM staged_resource WHERE cluster_id = $1 AND import_id = $2 AND expected > 0)";

/// Those that are put again go on.
const DROP_REFERENCES: &str = "DELETE FROM reference WHERE cluster_id = $1 AND (from_kind, from_name) IN \
    (SELECT kind, name FROM staged_resource WHERE cluster_id = $1 AND import_id = $2 AND expected > 0) \
    AND NOT EXISTS (SELECT 1 FROM staged_reference f WHERE f.cluster_id = $1 AND f.import_id = $2 \
        AND f.from_kind = reference.from_kind AND f.from_name = reference.from_name \
        AND f.to_kind = reference.to_kind AND f.to_name = reference.to_name)";

const DELETE_RESOURCES: &str = "DELETE FROM resource WHERE cluster_id = $1 AND (kind, name) IN \
    (SELECT kind, name FROM staged_resource WHERE cluster_id = $1 AND import_id = $2 AND body IS NULL)";

const PUT_RESOURCES: &str = "INSERT INTO resource (cluster_id, kind, name, version, updated_at, body) \
    SELECT cluster_id, kind, name, expected + 1, CAST($3 AS BIGINT), body FROM staged_resource \
    WHERE cluster_id = $1 AND import_id = $2 AND body IS NOT NULL ORDER BY kind, name \
    ON CONFLICT (cluster_id, kind, name) DO UPDATE \
    SET version = excluded.version, updated_at = excluded.updated_at, body = excluded.body";

const INSERT_CLAIMS: &str = "INSERT INTO claim (cluster_id, space, name, owner_kind, owner_name) \
    SELECT cluster_id, space, name, owner_kind, owner_name FROM staged_claim \
    WHERE cluster_id = $1 AND import_id = $2 ORDER BY space, name";

const INSERT_REFERENCES: &str = "INSERT INTO reference \
    (cluster_id, from_kind, from_name, to_kind, to_name, since) \
    SELECT cluster_id, from_kind, from_name, to_kind, to_name, CAST($3 AS BIGINT) FROM staged_reference \
    WHERE cluster_id = $1 AND import_id = $2 ORDER BY from_kind, from_name, to_kind, to_name \
    ON CONFLICT DO NOTHING";

/// A row that tells of an error.
struct Row<'a>(&'a QueryResult);

impl Row<'_> {
    fn get<T: sea_orm::TryGetable>(&self, column: &str) -> Result<T, DbErr> {
        self.0.try_get("", column)
    }

    fn key(&self, kind: &str, name: &str) -> Result<Key, Cause> {
        let found: String = self.get(kind)?;
        Ok(key(&found, self.get(name)?)?)
    }
}

fn read_moved(row: &Row<'_>) -> Result<DirectoryError, Cause> {
    let version: Option<i64> = row.get("version")?;
    Ok(DirectoryError::Moved { key: row.key("kind", "name")?, version: version.map(count).transpose()? })
}

fn read_taken(row: &Row<'_>) -> Result<DirectoryError, Cause> {
    let body: String = row.get("body")?;
    let resource: Resource = serde_json::from_str(&body)?;
    let (space, name): (String, String) = (row.get("space")?, row.get("name")?);
    let claim = resource.claims().into_iter().find(|claim| claim.space == space && claim.name == name);
    let claim = claim.ok_or_else(|| format!("{} does not claim {name:?}", resource.key()))?;
    Ok(DirectoryError::Taken { claim, by: row.key("by_kind", "by_name")? })
}

fn read_missing(row: &Row<'_>) -> Result<DirectoryError, Cause> {
    Ok(DirectoryError::Missing {
        from: row.key("from_kind", "from_name")?,
        to: row.key("to_kind", "to_name")?,
    })
}

fn read_in_use(row: &Row<'_>) -> Result<DirectoryError, Cause> {
    let user: String = row.get("used_by")?;
    let (kind, name) = user.split_once(' ').ok_or_else(|| format!("{user:?} is no key"))?;
    Ok(DirectoryError::InUse { key: row.key("kind", "name")?, by: key(kind, name.to_owned())? })
}
