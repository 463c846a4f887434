//! Credentials in SQL.

use std::collections::BTreeMap;

use async_trait::async_trait;
use roamline_domain::credential::PrincipalKind;
use roamline_domain::{ClusterId, PrincipalName};
use roamline_store::{CredentialStore, Principal, SecretRecord, StoreError};
use sea_orm::{ColumnTrait, Condition, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QuerySelect};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::SqlStore;
use crate::column::{big, count, from_word, instant, micros, word};
use crate::entity::{principal, principal_gone};
use crate::error::{Cause, corrupt, failed};
use crate::write::upsert;

const NAMES: usize = 500;

fn to_row(cluster: &ClusterId, principal: Principal) -> Result<principal::Model, Cause> {
    let (pin, password) = (parts(principal.pin)?, parts(principal.password)?);
    Ok(principal::Model {
        cluster_id: cluster.to_string(),
        name: principal.name.into(),
        kind: word(&principal.kind)?,
        pin_hash: pin.hash,
        pin_must_change: pin.must_change,
        pin_set_at: pin.set_at,
        pin_used_at: pin.used_at,
        pin_history: pin.history,
        password_hash: password.hash,
        password_must_change: password.must_change,
        password_set_at: password.set_at,
        password_used_at: password.used_at,
        password_history: password.history,
        attempts: serde_json::to_string(&principal.attempts)?,
        version: big(principal.version)?,
        roles: list(&principal.roles, principal.roles.is_empty())?,
        policy: list(&principal.policy, principal.policy.is_empty())?,
    })
}

fn from_row(row: principal::Model) -> Result<Principal, Cause> {
    let pin = Parts {
        hash: row.pin_hash,
        must_change: row.pin_must_change,
        set_at: row.pin_set_at,
        used_at: row.pin_used_at,
        history: row.pin_history,
    };
    let password = Parts {
        hash: row.password_hash,
        must_change: row.password_must_change,
        set_at: row.password_set_at,
        used_at: row.password_used_at,
        history: row.password_history,
    };
    Ok(Principal {
        name: row.name.parse()?,
        kind: from_word(row.kind)?,
        roles: listed(row.roles)?,
        pin: secret(pin)?,
        password: secret(password)?,
        attempts: serde_json::from_str(&row.attempts)?,
        policy: listed(row.policy)?,
        version: count(row.version)?,
    })
}

/// The columns of one secret.
#[derive(Default)]
struct Parts {
    hash: Option<String>,
    must_change: Option<bool>,
    set_at: Option<i64>,
    used_at: Option<i64>,
    history: Option<String>,
}

fn parts(secret: Option<SecretRecord>) -> Result<Parts, Cause> {
    let Some(secret) = secret else { return Ok(Parts::default()) };
    Ok(Parts {
        must_change: Some(secret.must_change),
        set_at: Some(micros(secret.set_at)),
        used_at: secret.used_at.map(micros),
        history: list(&secret.history, secret.history.is_empty())?,
        hash: Some(secret.hash),
    })
}

fn secret(parts: Parts) -> Result<Option<SecretRecord>, Cause> {
    match (parts.hash, parts.must_change, parts.set_at) {
        (None, None, None) => Ok(None),
        (Some(hash), Some(must_change), Some(set_at)) => Ok(Some(SecretRecord {
            hash,
            must_change,
            set_at: instant(set_at)?,
            used_at: parts.used_at.map(instant).transpose()?,
            history: listed(parts.history)?,
        })),
        _ => Err("a secret of it is incomplete".into()),
    }
}

fn list(of: &impl Serialize, is_empty: bool) -> Result<Option<String>, Cause> {
    Ok(if is_empty { None } else { Some(serde_json::to_string(of)?) })
}

fn listed<T: DeserializeOwned + Default>(text: Option<String>) -> Result<T, Cause> {
    Ok(text.map(|text| serde_json::from_str(&text)).transpose()?.unwrap_or_default())
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

    /// The highest version of those who are gone.
    async fn gone(&self, tx: &DatabaseTransaction) -> Result<i64, DbErr> {
        let row = principal_gone::Entity::find_by_id(self.cluster.to_string()).one(tx).await?;
        Ok(row.map_or(0, |row| row.version))
    }

    async fn delete(
        &self,
        tx: &DatabaseTransaction,
        names: &[PrincipalName],
        kind: Option<&str>,
    ) -> Result<(), DbErr> {
        use principal::Column;
        let before = self.gone(tx).await?;
        let mut gone = before;
        for some in names.chunks(NAMES) {
            let these = Condition::all()
                .add(Column::ClusterId.eq(self.cluster.as_str()))
                .add(Column::Name.is_in(some.iter().map(PrincipalName::as_str)))
                .add_option(kind.map(|kind| Column::Kind.eq(kind)));
            let last: Option<Option<i64>> = principal::Entity::find()
                .select_only()
                .column_as(Column::Version.max(), "last")
                .filter(these.clone())
                .into_tuple()
                .one(tx)
                .await?;
            gone = gone.max(last.flatten().unwrap_or(0));
            principal::Entity::delete_many().filter(these).exec(tx).await?;
        }
        if gone > before {
            let row = principal_gone::Model { cluster_id: self.cluster.to_string(), version: gone };
            upsert::<principal_gone::Entity>(tx, vec![row]).await?;
        }
        Ok(())
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
        let is_new = |principal: &Principal| principal.version == 0;
        let gone = if principals.iter().any(is_new) { self.gone(&tx).await.map_err(&what)? } else { 0 };
        let gone = count(gone).map_err(corrupt("the principals who are gone"))?;
        for mut principal in principals {
            let name = principal.name.to_string();
            let version = versions.get(&name).copied().unwrap_or(0);
            if big(principal.version).ok() != Some(version) {
                tx.rollback().await.map_err(&what)?;
                return Ok(false);
            }
            principal.version = if is_new(&principal) { gone } else { principal.version } + 1;
            let row = to_row(&self.cluster, principal).map_err(corrupt(format!("principal {name}")))?;
            versions.insert(name.clone(), row.version);
            rows.insert(name, row);
        }
        upsert::<principal::Entity>(&tx, rows.into_values().collect()).await.map_err(&what)?;
        tx.commit().await.map_err(&what)?;
        Ok(true)
    }

    async fn delete_principals(
        &self,
        names: &[PrincipalName],
        kind: Option<PrincipalKind>,
    ) -> Result<(), StoreError> {
        let what = failed("a principal");
        let kind = kind.map(|kind| word(&kind)).transpose().map_err(corrupt("a kind of principals"))?;
        let tx = self.write(&self.writers.credentials).await?;
        self.delete(&tx, names, kind.as_deref()).await.map_err(&what)?;
        tx.commit().await.map_err(&what)
    }
}
