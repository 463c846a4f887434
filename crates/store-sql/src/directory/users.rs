//! What refers to a resource.

use std::collections::BTreeMap;

use roamline_domain::ClusterId;
use roamline_domain::directory::{Key, Kind};
use roamline_store::StoreError;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};

use super::rows::{by_kind, key, named};
use crate::entity::reference::{Column, Entity};
use crate::error::failed;

/// In the order of keys: kind by kind, because that of kinds is not the order of their words.
pub(super) async fn of(
    cluster: &ClusterId,
    tx: &DatabaseTransaction,
    used: &Key,
    after: Option<&Key>,
    limit: u32,
) -> Result<Vec<Key>, StoreError> {
    let mut users = Vec::new();
    let limit = u64::from(limit);
    for kind in Kind::ALL.into_iter().filter(|kind| after.is_none_or(|after| *kind >= after.kind)) {
        let rest = limit.saturating_sub(users.len() as u64);
        if rest == 0 {
            break;
        }
        let mut select = Entity::find()
            .select_only()
            .column(Column::FromName)
            .filter(named(
                cluster,
                [Column::ClusterId, Column::ToKind, Column::ToName],
                (used.kind, vec![&used.name]),
            ))
            .filter(Column::FromKind.eq(kind.as_str()))
            .order_by_asc(Column::FromName)
            .limit(rest);
        if let Some(after) = after.filter(|after| after.kind == kind) {
            // PostgreSQL takes no NUL. No name holds one, so that the same names follow what stands before it.
            let name = after.name.split('\0').next().unwrap_or_default();
            select = select.filter(Column::FromName.gt(name));
        }
        let names: Vec<String> = select.into_tuple().all(tx).await.map_err(failed("a reference"))?;
        users.extend(names.into_iter().map(|name| Key::new(kind, name)));
    }
    Ok(users)
}

/// The first of that kind for each key.
pub(super) async fn first(
    cluster: &ClusterId,
    db: &impl ConnectionTrait,
    keys: &[Key],
    by: Kind,
) -> Result<BTreeMap<Key, Key>, StoreError> {
    let mut first: BTreeMap<Key, (i64, String)> = BTreeMap::new();
    for some in by_kind(keys) {
        let used: Vec<(String, String, i64, String)> = Entity::find()
            .select_only()
            .columns([Column::ToKind, Column::ToName, Column::Since, Column::FromName])
            .filter(named(cluster, [Column::ClusterId, Column::ToKind, Column::ToName], some))
            .filter(Column::FromKind.eq(by.as_str()))
            .into_tuple()
            .all(db)
            .await
            .map_err(failed("a reference"))?;
        for (to_kind, to_name, since, user) in used {
            let known = first.entry(key(&to_kind, to_name)?).or_insert_with(|| (since, user.clone()));
            if (since, &user) < (known.0, &known.1) {
                *known = (since, user);
            }
        }
    }
    Ok(first.into_iter().map(|(to, (_, user))| (to, Key::new(by, user))).collect())
}
