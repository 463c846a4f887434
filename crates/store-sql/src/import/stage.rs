//! Rows of imports, on their way in and back.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use roamline_domain::ClusterId;
use roamline_domain::directory::{Claim, Key, Resource};
use roamline_store::{Change, Expect, Import, StageError, Staged, StoreError};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use super::WHAT;
use crate::column::{big, count, micros};
use crate::directory::rows::{KEYS, around, key};
use crate::entity::{import, staged_claim, staged_guard, staged_reference, staged_resource};
use crate::error::{Cause, corrupt, failed};
use crate::write::{insert, insert_new};

/// What a chunk adds to an import, as rows.
#[derive(Default)]
pub(super) struct Chunk {
    resources: Vec<staged_resource::Model>,
    claims: Vec<staged_claim::Model>,
    references: Vec<staged_reference::Model>,
    guards: BTreeMap<(Key, i64), staged_guard::Model>,
}

impl Chunk {
    /// The chunk, if none of its keys and names is in the import already.
    pub(super) async fn of(
        cluster: &ClusterId,
        tx: &DatabaseTransaction,
        id: &str,
        rows: Vec<(u64, Change)>,
    ) -> Result<Self, StageError> {
        let changed = rows.iter().filter(|(_, change)| !matches!(change, Change::Keep { .. }));
        let keys: Vec<Key> = changed.map(|(_, change)| change.key()).collect();
        let mut known = Known {
            keys: keys_of(cluster, tx, id, &keys).await?,
            claims: claims_of(cluster, tx, id, &rows).await?,
        };
        let import = Of { cluster: cluster.to_string(), import: id.to_owned() };
        let mut chunk = Self::default();
        for (row, change) in rows {
            known.add(row, &change)?;
            let key = change.key();
            let added = chunk.add(&import, row, change);
            added.map_err(|cause| StageError::Store(corrupt(key.to_string())(cause)))?;
        }
        Ok(chunk)
    }

    /// How many resources it changes.
    pub(super) fn len(&self) -> u64 {
        self.resources.len() as u64
    }

    fn add(&mut self, of: &Of, row: u64, change: Change) -> Result<(), Cause> {
        let key = change.key();
        let expected = expected(&change);
        match change {
            Change::Keep { .. } => {
                let guard = of.guard(row, &key, expected)?;
                self.guards.entry((key, expected)).or_insert(guard);
            }
            Change::Put { resource, .. } => {
                let body = serde_json::to_string(&resource)?;
                for claim in resource.claims() {
                    self.claims.push(of.claim(row, &key, claim)?);
                }
                for to in resource.references().into_keys() {
                    self.references.push(of.reference(row, &key, to)?);
                }
                self.resources.push(of.resource(row, key, expected, Some(body))?);
            }
            Change::Delete { .. } => self.resources.push(of.resource(row, key, expected, None)?),
        }
        Ok(())
    }

    pub(super) async fn write(self, tx: &DatabaseTransaction) -> Result<(), StoreError> {
        let what = failed(WHAT);
        insert::<staged_resource::Entity>(tx, self.resources).await.map_err(&what)?;
        insert::<staged_claim::Entity>(tx, self.claims).await.map_err(&what)?;
        insert::<staged_reference::Entity>(tx, self.references).await.map_err(&what)?;
        let guards = self.guards.into_values().collect();
        insert_new::<staged_guard::Entity>(tx, guards).await.map_err(&what)
    }
}

/// The version that a change demands, 0 for none. One that no resource can have stays one that none has.
fn expected(change: &Change) -> i64 {
    match change.expected() {
        None => 0,
        Some(0) => i64::MAX,
        Some(version) => i64::try_from(version).unwrap_or(i64::MAX),
    }
}

/// What an import has already: the rows that brought it.
struct Known {
    keys: BTreeMap<Key, u64>,
    claims: BTreeMap<Claim, u64>,
}

impl Known {
    fn add(&mut self, row: u64, change: &Change) -> Result<(), StageError> {
        if matches!(change, Change::Keep { .. }) {
            return Ok(());
        }
        let key = change.key();
        if let Some(first_row) = self.keys.insert(key.clone(), row) {
            return Err(StageError::Repeated { row, first_row, key });
        }
        if let Change::Put { resource, .. } = change {
            for claim in resource.claims() {
                if let Some(by) = self.claims.insert(claim.clone(), row) {
                    return Err(StageError::Taken { row, claim, by });
                }
            }
        }
        Ok(())
    }
}

/// Whose rows they are.
struct Of {
    cluster: String,
    import: String,
}

impl Of {
    fn resource(
        &self,
        row: u64,
        key: Key,
        expected: i64,
        body: Option<String>,
    ) -> Result<staged_resource::Model, Cause> {
        Ok(staged_resource::Model {
            cluster_id: self.cluster.clone(),
            import_id: self.import.clone(),
            kind: key.kind.as_str().to_owned(),
            name: key.name,
            at_row: big(row)?,
            expected,
            body,
        })
    }

    fn claim(&self, row: u64, owner: &Key, claim: Claim) -> Result<staged_claim::Model, Cause> {
        Ok(staged_claim::Model {
            cluster_id: self.cluster.clone(),
            import_id: self.import.clone(),
            space: claim.space.to_owned(),
            name: claim.name,
            at_row: big(row)?,
            owner_kind: owner.kind.as_str().to_owned(),
            owner_name: owner.name.clone(),
        })
    }

    fn reference(&self, row: u64, from: &Key, to: Key) -> Result<staged_reference::Model, Cause> {
        Ok(staged_reference::Model {
            cluster_id: self.cluster.clone(),
            import_id: self.import.clone(),
            from_kind: from.kind.as_str().to_owned(),
            from_name: from.name.clone(),
            to_kind: to.kind.as_str().to_owned(),
            to_name: to.name,
            at_row: big(row)?,
        })
    }

    fn guard(&self, row: u64, key: &Key, expected: i64) -> Result<staged_guard::Model, Cause> {
        Ok(staged_guard::Model {
            cluster_id: self.cluster.clone(),
            import_id: self.import.clone(),
            kind: key.kind.as_str().to_owned(),
            name: key.name.clone(),
            expected,
            at_row: big(row)?,
        })
    }
}

fn resources(cluster: &ClusterId, id: &str) -> Select<staged_resource::Entity> {
    use staged_resource::Column;
    let of_cluster = staged_resource::Entity::find().filter(Column::ClusterId.eq(cluster.as_str()));
    of_cluster.filter(Column::ImportId.eq(id))
}

const COLUMNS: [staged_resource::Column; 3] =
    [staged_resource::Column::ClusterId, staged_resource::Column::Kind, staged_resource::Column::Name];

/// Which rows have brought these keys.
async fn keys_of(
    cluster: &ClusterId,
    tx: &DatabaseTransaction,
    id: &str,
    keys: &[Key],
) -> Result<BTreeMap<Key, u64>, StoreError> {
    use staged_resource::Column;
    let mut found = BTreeMap::new();
    for some in keys.chunks(KEYS) {
        let rows = resources(cluster, id).select_only().columns([Column::Kind, Column::Name, Column::AtRow]);
        let rows = rows.filter(around(cluster, COLUMNS, some)).into_tuple();
        let rows: Vec<(String, String, i64)> = rows.all(tx).await.map_err(failed(WHAT))?;
        for (kind, name, row) in rows {
            let key = key(&kind, name)?;
            let row = count(row).map_err(corrupt(key.to_string()))?;
            found.insert(key, row);
        }
    }
    Ok(found)
}

/// Which rows have brought the names that these rows take.
async fn claims_of(
    cluster: &ClusterId,
    tx: &DatabaseTransaction,
    id: &str,
    rows: &[(u64, Change)],
) -> Result<BTreeMap<Claim, u64>, StoreError> {
    use staged_claim::Column;
    let mut wanted: HashMap<&'static str, Vec<String>> = HashMap::new();
    for (_, change) in rows {
        if let Change::Put { resource, .. } = change {
            for claim in resource.claims() {
                wanted.entry(claim.space).or_default().push(claim.name);
            }
        }
    }
    let mut found = BTreeMap::new();
    for (space, names) in wanted {
        for some in names.chunks(KEYS) {
            let rows: Vec<(String, i64)> = staged_claim::Entity::find()
                .select_only()
                .columns([Column::Name, Column::AtRow])
                .filter(Column::ClusterId.eq(cluster.as_str()))
                .filter(Column::ImportId.eq(id))
                .filter(Column::Space.eq(space))
                .filter(Column::Name.is_in(some.iter().map(String::as_str)))
                .into_tuple()
                .all(tx)
                .await
                .map_err(failed(WHAT))?;
            for (name, row) in rows {
                let row = count(row).map_err(corrupt(WHAT))?;
                found.insert(Claim { space, name }, row);
            }
        }
    }
    Ok(found)
}

/// Notes how far an import has come.
pub(super) async fn advance(
    cluster: &ClusterId,
    tx: &DatabaseTransaction,
    next: &Import,
    at: Timestamp,
) -> Result<(), StoreError> {
    use import::Column;
    let number = |number| big(number).map(Expr::value).map_err(corrupt(WHAT));
    let advanced = import::Entity::update_many()
        .col_expr(Column::NextRow, number(next.next_row)?)
        .col_expr(Column::Staged, number(next.staged)?)
        .col_expr(Column::UsedAt, Expr::value(micros(at)))
        .filter(Column::ClusterId.eq(cluster.as_str()))
        .filter(Column::Id.eq(next.id.as_str()));
    advanced.exec(tx).await.map(drop).map_err(failed(WHAT))
}

/// What is staged for these keys.
pub(super) async fn find(
    cluster: &ClusterId,
    tx: &DatabaseTransaction,
    id: &str,
    keys: &[Key],
) -> Result<BTreeMap<Key, Staged>, StoreError> {
    let mut found = BTreeMap::new();
    for some in keys.chunks(KEYS) {
        let rows = resources(cluster, id).filter(around(cluster, COLUMNS, some)).all(tx).await;
        for row in rows.map_err(failed(WHAT))? {
            let staged = from_row(row)?;
            found.insert(staged.change.key(), staged);
        }
    }
    Ok(found)
}

/// What is staged by the rows after that one, at most so many.
pub(super) async fn rows_after(
    cluster: &ClusterId,
    tx: &DatabaseTransaction,
    id: &str,
    after_row: u64,
    limit: u32,
) -> Result<Vec<Staged>, StoreError> {
    use staged_resource::Column;
    let Ok(after_row) = i64::try_from(after_row) else { return Ok(Vec::new()) };
    let rest = || resources(cluster, id).filter(Column::AtRow.gt(after_row));
    let rows = rest().select_only().column(Column::AtRow).distinct();
    let rows = rows.order_by_asc(Column::AtRow).limit(u64::from(limit)).into_tuple();
    let rows: Vec<i64> = rows.all(tx).await.map_err(failed(WHAT))?;
    let Some(last) = rows.last() else { return Ok(Vec::new()) };
    let found = rest().filter(Column::AtRow.lte(*last)).all(tx).await.map_err(failed(WHAT))?;
    let mut found = found.into_iter().map(from_row).collect::<Result<Vec<_>, _>>()?;
    found.sort_by_cached_key(|staged| (staged.row, staged.change.key()));
    Ok(found)
}

fn from_row(row: staged_resource::Model) -> Result<Staged, StoreError> {
    let key = key(&row.kind, row.name)?;
    let read = || -> Result<Staged, Cause> {
        let version = count(row.expected)?;
        let change = match row.body {
            None => Change::Delete { key: key.clone(), version },
            Some(body) => {
                let resource: Resource = serde_json::from_str(&body)?;
                if resource.key() != key {
                    return Err(format!("it holds {}", resource.key()).into());
                }
                let expect = if version == 0 { Expect::Absent } else { Expect::Version(version) };
                Change::Put { resource, expect }
            }
        };
        Ok(Staged { row: count(row.at_row)?, change })
    };
    read().map_err(corrupt(format!("{key} in an import")))
}
