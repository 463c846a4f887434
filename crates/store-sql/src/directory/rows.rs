//! Resources, claims and references as rows.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use roamline_domain::ClusterId;
use roamline_domain::directory::{Claim, Key, Kind, Resource};
use roamline_store::{StoreError, Stored};
use sea_orm::sea_query::Condition;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QuerySelect, Select,
};

use super::check::Batch;
use crate::column::{big, count, instant, micros};
use crate::entity::{claim, reference, resource};
use crate::error::{Cause, corrupt, failed};
use crate::write::{insert, upsert};

/// Keys in one statement at most.
pub(crate) const KEYS: usize = 500;

const COLUMNS: [resource::Column; 3] =
    [resource::Column::ClusterId, resource::Column::Kind, resource::Column::Name];

/// The key of that kind and name.
pub(crate) fn key(kind: &str, name: String) -> Result<Key, StoreError> {
    let known = Kind::ALL.into_iter().find(|known| known.as_str() == kind);
    let known = known.ok_or_else(|| format!("{kind:?} is no kind of resource").into());
    Ok(Key::new(known.map_err(corrupt(format!("resource {name}")))?, name))
}

fn from_row(row: resource::Model) -> Result<(Key, Stored), StoreError> {
    let key = key(&row.kind, row.name)?;
    let read = || -> Result<Stored, Cause> {
        let resource: Resource = serde_json::from_str(&row.body)?;
        if resource.key() != key {
            return Err(format!("it holds {}", resource.key()).into());
        }
        Ok(Stored { resource, version: count(row.version)?, updated_at: instant(row.updated_at)? })
    };
    let stored = read().map_err(corrupt(key.to_string()))?;
    Ok((key, stored))
}

/// The names of these keys, kind by kind, as many at once as a statement takes. SQLite finds rows by an index where
/// the kind is given, and reads the whole table for some that ask for several.
pub(super) fn by_kind(keys: &[Key]) -> Vec<(Kind, Vec<&str>)> {
    let mut names: BTreeMap<Kind, Vec<&str>> = BTreeMap::new();
    for key in keys {
        names.entry(key.kind).or_default().push(&key.name);
    }
    let chunks = |(kind, names): (Kind, Vec<_>)| {
        let chunks: Vec<_> = names.chunks(KEYS).map(|some| (kind, some.to_vec())).collect();
        chunks
    };
    names.into_iter().flat_map(chunks).collect()
}

/// Rows of that kind with these names.
pub(super) fn named<C: ColumnTrait>(
    cluster: &ClusterId,
    [of, kind, name]: [C; 3],
    (of_kind, names): (Kind, Vec<&str>),
) -> Condition {
    let of_cluster = Condition::all().add(of.eq(cluster.as_str()));
    of_cluster.add(kind.eq(of_kind.as_str())).add(name.is_in(names))
}

/// Rows with these keys and, since kinds and names are asked for apart, some with others: one statement, by the
/// table's key.
pub(crate) fn around<C: ColumnTrait>(
    cluster: &ClusterId,
    [of, kind, name]: [C; 3],
    keys: &[Key],
) -> Condition {
    let kinds: BTreeSet<&str> = keys.iter().map(|key| key.kind.as_str()).collect();
    let names: BTreeSet<&str> = keys.iter().map(|key| key.name.as_str()).collect();
    let of_cluster = Condition::all().add(of.eq(cluster.as_str()));
    of_cluster.add(kind.is_in(kinds)).add(name.is_in(names))
}

/// The resources that are selected.
pub(super) async fn all(
    select: Select<resource::Entity>,
    db: &impl ConnectionTrait,
) -> Result<Vec<Stored>, StoreError> {
    let found = select.all(db).await.map_err(failed("a resource"))?;
    found.into_iter().map(|row| Ok(from_row(row)?.1)).collect()
}

pub(super) async fn find(
    cluster: &ClusterId,
    db: &impl ConnectionTrait,
    keys: &[Key],
) -> Result<BTreeMap<Key, Stored>, StoreError> {
    let mut found = BTreeMap::new();
    for some in keys.chunks(KEYS) {
        let asked: BTreeSet<_> = some.iter().map(|key| (key.kind.as_str(), key.name.as_str())).collect();
        let asked = |row: &resource::Model| asked.contains(&(row.kind.as_str(), row.name.as_str()));
        let rows = resource::Entity::find().filter(around(cluster, COLUMNS, some)).all(db).await;
        for row in rows.map_err(failed("a resource"))?.into_iter().filter(asked) {
            let (key, stored) = from_row(row)?;
            found.insert(key, stored);
        }
    }
    Ok(found)
}

/// The versions of those that are there.
pub(super) async fn versions(
    cluster: &ClusterId,
    tx: &DatabaseTransaction,
    keys: &[Key],
) -> Result<BTreeMap<Key, u64>, StoreError> {
    use resource::Column;
    let mut found = BTreeMap::new();
    for some in keys.chunks(KEYS) {
        let rows: Vec<(String, String, i64)> = resource::Entity::find()
            .select_only()
            .columns([Column::Kind, Column::Name, Column::Version])
            .filter(around(cluster, COLUMNS, some))
            .into_tuple()
            .all(tx)
            .await
            .map_err(failed("a resource"))?;
        for (kind, name, version) in rows {
            let key = key(&kind, name)?;
            let version = count(version).map_err(corrupt(key.to_string()))?;
            found.insert(key, version);
        }
    }
    Ok(found)
}

/// Who has these names.
pub(super) async fn owners(
    cluster: &ClusterId,
    db: &impl ConnectionTrait,
    claims: &[Claim],
) -> Result<BTreeMap<Claim, Key>, StoreError> {
    use claim::Column;
    let mut names: BTreeMap<&'static str, Vec<&str>> = BTreeMap::new();
    for claim in claims {
        names.entry(claim.space).or_default().push(&claim.name);
    }
    let mut found = BTreeMap::new();
    for (space, names) in names {
        for some in names.chunks(KEYS) {
            let rows = claim::Entity::find()
                .filter(Column::ClusterId.eq(cluster.as_str()))
                .filter(Column::Space.eq(space))
                .filter(Column::Name.is_in(some.iter().copied()))
                .all(db)
                .await
                .map_err(failed("a claim"))?;
            for row in rows {
                found.insert(Claim { space, name: row.name }, key(&row.owner_kind, row.owner_name)?);
            }
        }
    }
    Ok(found)
}

/// All references to these keys: from where, to where.
pub(super) async fn references_to(
    cluster: &ClusterId,
    tx: &DatabaseTransaction,
    keys: &[Key],
) -> Result<Vec<(Key, Key)>, StoreError> {
    use reference::Column;
    let mut found = Vec::new();
    for some in by_kind(keys) {
        let rows = reference::Entity::find()
            .filter(named(cluster, [Column::ClusterId, Column::ToKind, Column::ToName], some))
            .all(tx)
            .await
            .map_err(failed("a reference"))?;
        for row in rows {
            found.push((key(&row.from_kind, row.from_name)?, key(&row.to_kind, row.to_name)?));
        }
    }
    Ok(found)
}

/// Writes a batch that was checked: what its keys claimed and referred to before is gone.
pub(super) async fn write(
    cluster: &ClusterId,
    tx: &DatabaseTransaction,
    batch: Batch,
    at: Timestamp,
) -> Result<(), StoreError> {
    let (mut resources, mut claims, mut references) = (Vec::new(), Vec::new(), Vec::new());
    let (mut put, mut deleted) = (Vec::new(), Vec::new());
    let since = since(cluster, tx, &batch).await?;
    for (key, after) in batch.after {
        let Some((resource, version)) = after else {
            deleted.push(key);
            continue;
        };
        claims.extend(resource.claims().into_iter().map(|claim| claim_row(cluster, &key, claim)));
        for to in resource.references().into_keys() {
            let began = since.get(&(key.clone(), to.clone())).copied().unwrap_or(micros(at));
            references.push(reference_row(cluster, &key, to, began));
        }
        resources.push(to_row(cluster, &key, &resource, version, at).map_err(corrupt(key.to_string()))?);
        put.push(key);
    }
    let what = failed("the directory");
    delete_resources(cluster, tx, &deleted).await?;
    put.append(&mut deleted);
    delete_belongings(cluster, tx, &put).await?;
    upsert::<resource::Entity>(tx, resources).await.map_err(&what)?;
    insert::<claim::Entity>(tx, claims).await.map_err(&what)?;
    insert::<reference::Entity>(tx, references).await.map_err(&what)
}

/// Since when what is replaced refers to what: from where, to where.
async fn since(
    cluster: &ClusterId,
    tx: &DatabaseTransaction,
    batch: &Batch,
) -> Result<BTreeMap<(Key, Key), i64>, StoreError> {
    use reference::Column;
    let replaced: Vec<Key> = batch.after.keys().cloned().collect();
    let mut found = BTreeMap::new();
    for some in by_kind(&replaced) {
        let rows = reference::Entity::find()
            .filter(named(cluster, [Column::ClusterId, Column::FromKind, Column::FromName], some))
            .all(tx)
            .await
            .map_err(failed("a reference"))?;
        for row in rows {
            let ends = (key(&row.from_kind, row.from_name)?, key(&row.to_kind, row.to_name)?);
            found.insert(ends, row.since);
        }
    }
    Ok(found)
}

fn to_row(
    cluster: &ClusterId,
    key: &Key,
    resource: &Resource,
    version: u64,
    at: Timestamp,
) -> Result<resource::Model, Cause> {
    Ok(resource::Model {
        cluster_id: cluster.to_string(),
        kind: key.kind.as_str().to_owned(),
        name: key.name.clone(),
        version: big(version)?,
        updated_at: micros(at),
        body: serde_json::to_string(resource)?,
    })
}

fn claim_row(cluster: &ClusterId, owner: &Key, claim: Claim) -> claim::Model {
    claim::Model {
        cluster_id: cluster.to_string(),
        space: claim.space.to_owned(),
        name: claim.name,
        owner_kind: owner.kind.as_str().to_owned(),
        owner_name: owner.name.clone(),
    }
}

fn reference_row(cluster: &ClusterId, from: &Key, to: Key, since: i64) -> reference::Model {
    reference::Model {
        cluster_id: cluster.to_string(),
        from_kind: from.kind.as_str().to_owned(),
        from_name: from.name.clone(),
        to_kind: to.kind.as_str().to_owned(),
        to_name: to.name,
        since,
    }
}

async fn delete_resources(
    cluster: &ClusterId,
    tx: &DatabaseTransaction,
    keys: &[Key],
) -> Result<(), StoreError> {
    use resource::Column;
    for some in by_kind(keys) {
        let condition = named(cluster, [Column::ClusterId, Column::Kind, Column::Name], some);
        let deleted = resource::Entity::delete_many().filter(condition).exec(tx).await;
        deleted.map_err(failed("a resource"))?;
    }
    Ok(())
}

async fn delete_belongings(
    cluster: &ClusterId,
    tx: &DatabaseTransaction,
    keys: &[Key],
) -> Result<(), StoreError> {
    for some in by_kind(keys) {
        let columns = [claim::Column::ClusterId, claim::Column::OwnerKind, claim::Column::OwnerName];
        let claims = claim::Entity::delete_many().filter(named(cluster, columns, some.clone()));
        claims.exec(tx).await.map_err(failed("a claim"))?;
        let columns =
            [reference::Column::ClusterId, reference::Column::FromKind, reference::Column::FromName];
        let references = reference::Entity::delete_many().filter(named(cluster, columns, some));
        references.exec(tx).await.map_err(failed("a reference"))?;
    }
    Ok(())
}
