//! Credentials and signing keys in SQL.

use std::collections::BTreeMap;

use async_trait::async_trait;
use roamline_domain::{ClusterId, PrincipalName};
use roamline_store::{CredentialStore, KeyRecord, Principal, SecretRecord, StoreError};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};

use crate::SqlStore;
use crate::column::{big, count, from_word, instant, micros, word};
use crate::entity::{principal, signing_key};
use crate::error::{Cause, corrupt, failed};
use crate::write::upsert;

const NAMES: usize = 500;

fn to_row(cluster: &ClusterId, principal: Principal) -> Result<principal::Model, Cause> {
    let set_at = |secret: &SecretRecord| micros(secret.set_at);
    let must_change = |secret: &SecretRecord| secret.must_change;
    Ok(principal::Model {
        cluster_id: cluster.to_string(),
        name: principal.name.into(),
        kind: word(&principal.kind)?,
        pin_must_change: principal.pin.as_ref().map(must_change),
        pin_set_at: principal.pin.as_ref().map(set_at),
        pin_hash: principal.pin.map(|secret| secret.hash),
        password_must_change: principal.password.as_ref().map(must_change),
        password_set_at: principal.password.as_ref().map(set_at),
        password_hash: principal.password.map(|secret| secret.hash),
        attempts: serde_json::to_string(&principal.attempts)?,
        version: big(principal.version)?,
    })
}

fn from_row(row: principal::Model) -> Result<Principal, Cause> {
    Ok(Principal {
        name: row.name.parse()?,
        kind: from_word(row.kind)?,
        pin: secret(row.pin_hash, row.pin_must_change, row.pin_set_at)?,
        password: secret(row.password_hash, row.password_must_change, row.password_set_at)?,
        attempts: serde_json::from_str(&row.attempts)?,
        version: count(row.version)?,
    })
}

fn secret(
    hash: Option<String>,
    must_change: Option<bool>,
    set_at: Option<i64>,
) -> Result<Option<SecretRecord>, Cause> {
    match (hash, must_change, set_at) {
        (None, None, None) => Ok(None),
        (Some(hash), Some(must_change), Some(set_at)) => {
            Ok(Some(SecretRecord { hash, must_change, set_at: instant(set_at)? }))
        }
        _ => Err("a secret of it is incomplete".into()),
    }
}

impl SqlStore {
    async fn principal_versions(
        &self,
        tx: &DatabaseTransaction,
        principals: &[Principal],
    ) -> Result<BTreeMap<String, i64>, DbErr> {
        use principal::Column;
        let mut versions = BTreeMap::new();
        for some in principals.chunks(NAMES) {
            let rows: Vec<(String, i64)> = principal::Entity::find()
                .select_only()
                .columns([Column::Name, Column::Version])
                .filter(Column::ClusterId.eq(self.cluster.as_str()))
                .filter(Column::Name.is_in(some.iter().map(|principal| principal.name.as_str())))
                .into_tuple()
                .all(tx)
                .await?;
            versions.extend(rows);
        }
        Ok(versions)
    }

    async fn read_keys(&self, db: &impl ConnectionTrait) -> Result<Vec<KeyRecord>, StoreError> {
        use signing_key::Column;
        let rows = signing_key::Entity::find()
            .filter(Column::ClusterId.eq(self.cluster.as_str()))
            .order_by_asc(Column::CreatedAt)
            .order_by_asc(Column::Kid)
            .all(db)
            .await
            .map_err(failed("a signing key"))?;
        let read = |row: signing_key::Model| {
            let created_at = instant(row.created_at).map_err(corrupt(format!("signing key {}", row.kid)))?;
            Ok(KeyRecord { kid: row.kid, pkcs8: row.pkcs8, created_at })
        };
        rows.into_iter().map(read).collect()
    }
}

#[async_trait]
impl CredentialStore for SqlStore {
    async fn principal(&self, name: &PrincipalName) -> Result<Option<Principal>, StoreError> {
        let key = (self.cluster.to_string(), name.to_string());
        let row = principal::Entity::find_by_id(key).one(&self.readers).await;
        let row = row.map_err(failed("a principal"))?;
        row.map(|row| from_row(row).map_err(corrupt(format!("principal {name}")))).transpose()
    }

    async fn set_principals(&self, principals: Vec<Principal>) -> Result<bool, StoreError> {
        let what = failed("a principal");
        let tx = self.write(&self.writers.credentials).await?;
        let mut versions = self.principal_versions(&tx, &principals).await.map_err(&what)?;
        let mut rows = BTreeMap::new();
        for mut principal in principals {
            let name = principal.name.to_string();
            let version = versions.get(&name).copied().unwrap_or(0);
            if big(principal.version).ok() != Some(version) {
                tx.rollback().await.map_err(&what)?;
                return Ok(false);
            }
            principal.version += 1;
            let row = to_row(&self.cluster, principal).map_err(corrupt(format!("principal {name}")))?;
            versions.insert(name.clone(), row.version);
            rows.insert(name, row);
        }
        upsert::<principal::Entity>(&tx, rows.into_values().collect()).await.map_err(&what)?;
        tx.commit().await.map_err(&what)?;
        Ok(true)
    }

    async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        self.read_keys(&self.readers).await
    }

    async fn ensure_keys(&self, keys: Vec<KeyRecord>) -> Result<Vec<KeyRecord>, StoreError> {
        let what = failed("a signing key");
        let tx = self.write(&self.writers.credentials).await?;
        let mut held = self.read_keys(&tx).await?;
        if held.is_empty() {
            let row = |key: KeyRecord| signing_key::Model {
                cluster_id: self.cluster.to_string(),
                kid: key.kid,
                pkcs8: key.pkcs8,
                created_at: micros(key.created_at),
            };
            let rows = keys.into_iter().map(row).collect();
            upsert::<signing_key::Entity>(&tx, rows).await.map_err(&what)?;
            held = self.read_keys(&tx).await?;
        }
        tx.commit().await.map_err(&what)?;
        Ok(held)
    }
}
