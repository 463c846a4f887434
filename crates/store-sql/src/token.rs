//! Sign-ins, revocations and signing keys in SQL.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use jiff::Timestamp;
use roamline_store::{KeyRecord, Revocation, RevocationPage, Revoked, SignIn, StoreError, TokenStore};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};

use crate::SqlStore;
use crate::column::{big, count, from_word, instant, micros, word};
use crate::entity::{revocation, sign_in, signing_key};
use crate::error::{Cause, corrupt, failed};
use crate::write::{insert, upsert};

/// Names or ids in one statement.
const AT_ONCE: usize = 500;

const SIGN_IN: &str = "sign-in";
const PRINCIPAL: &str = "principal";
const KEY: &str = "key";

impl SqlStore {
    fn sign_in_row(&self, sign_in: SignIn) -> Result<sign_in::Model, Cause> {
        Ok(sign_in::Model {
            cluster_id: self.cluster.to_string(),
            id: sign_in.id,
            principal: sign_in.principal.into(),
            secret_kind: word(&sign_in.secret_kind)?,
            secret_set_at: micros(sign_in.secret_set_at),
            seed: sign_in.seed,
            counter: big(sign_in.counter)?,
            current: sign_in.current,
            previous: sign_in.previous,
            refreshed_at: micros(sign_in.refreshed_at),
            begun_at: micros(sign_in.begun_at),
            ends_at: micros(sign_in.ends_at),
            expires_at: micros(sign_in.expires_at),
        })
    }

    fn revocation_row(&self, revocation: Revocation, revision: i64) -> revocation::Model {
        let (kind, name) = match revocation.of {
            Revoked::SignIn(id) => (SIGN_IN, id),
            Revoked::Principal(name) => (PRINCIPAL, name.into()),
            Revoked::Key(kid) => (KEY, kid),
        };
        revocation::Model {
            cluster_id: self.cluster.to_string(),
            revision,
            kind: kind.to_owned(),
            name,
            signed_until: micros(revocation.signed_until),
            expires_at: micros(revocation.expires_at),
        }
    }

    fn key_row(&self, key: KeyRecord) -> signing_key::Model {
        signing_key::Model {
            cluster_id: self.cluster.to_string(),
            kid: key.kid,
            pkcs8: key.pkcs8,
            created_at: micros(key.created_at),
            signs_from: key.signs_from.map(micros),
            retired_at: key.retired_at.map(micros),
        }
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
            let what = corrupt(format!("signing key {}", row.kid));
            key_of(row).map_err(what)
        };
        rows.into_iter().map(read).collect()
    }

    /// The place after the last revocation.
    async fn last_revision(&self, db: &impl ConnectionTrait) -> Result<i64, DbErr> {
        use revocation::Column;
        let last: Option<Option<i64>> = revocation::Entity::find()
            .select_only()
            .column_as(Column::Revision.max(), "last")
            .filter(Column::ClusterId.eq(self.cluster.as_str()))
            .into_tuple()
            .one(db)
            .await?;
        Ok(last.flatten().unwrap_or(0))
    }

    /// Drops the principal's sign-ins that have expired, and all but the latest of the rest.
    async fn make_room(
        &self,
        tx: &DatabaseTransaction,
        principal: &str,
        others: usize,
        now: i64,
    ) -> Result<(), DbErr> {
        use sign_in::Column;
        let mine = || {
            sign_in::Entity::find()
                .filter(Column::ClusterId.eq(self.cluster.as_str()))
                .filter(Column::Principal.eq(principal))
        };
        let held: Vec<(String, i64)> = mine()
            .select_only()
            .columns([Column::Id, Column::ExpiresAt])
            .order_by_desc(Column::BegunAt)
            .order_by_desc(Column::Id)
            .into_tuple()
            .all(tx)
            .await?;
        let (live, ended): (Vec<_>, Vec<_>) = held.into_iter().partition(|(_, expires)| *expires > now);
        let gone: Vec<String> =
            ended.into_iter().chain(live.into_iter().skip(others)).map(|(id, _)| id).collect();
        self.delete_sign_ins(tx, &gone).await
    }

    async fn revoked_until(&self, tx: &DatabaseTransaction, principal: &str) -> Result<Option<i64>, DbErr> {
        use revocation::Column;
        let until: Option<Option<i64>> = revocation::Entity::find()
            .select_only()
            .column_as(Column::SignedUntil.max(), "until")
            .filter(Column::ClusterId.eq(self.cluster.as_str()))
            .filter(Column::Kind.eq(PRINCIPAL))
            .filter(Column::Name.eq(principal))
            .into_tuple()
            .one(tx)
            .await?;
        Ok(until.flatten())
    }

    /// Drops the sign-ins that revocations name and those of the principals that they name. Returns the ids of the latter.
    async fn end_sign_ins(
        &self,
        tx: &DatabaseTransaction,
        revocations: &[Revocation],
    ) -> Result<BTreeMap<String, Vec<String>>, DbErr> {
        use sign_in::Column;
        let (mut ids, mut names) = (Vec::new(), BTreeSet::new());
        for revocation in revocations {
            match &revocation.of {
                Revoked::SignIn(id) => ids.push(id.clone()),
                Revoked::Principal(name) => drop(names.insert(name.as_str())),
                Revoked::Key(_) => {}
            }
        }
        let names: Vec<&str> = names.into_iter().collect();
        let mut of_names = BTreeMap::<_, Vec<_>>::new();
        for some in names.chunks(AT_ONCE) {
            let held: Vec<(String, String)> = sign_in::Entity::find()
                .filter(Column::ClusterId.eq(self.cluster.as_str()))
                .filter(Column::Principal.is_in(some.iter().copied()))
                .select_only()
                .columns([Column::Id, Column::Principal])
                .order_by_asc(Column::Id)
                .into_tuple()
                .all(tx)
                .await?;
            for (id, name) in held {
                ids.push(id.clone());
                of_names.entry(name).or_default().push(id);
            }
        }
        self.delete_sign_ins(tx, &ids).await?;
        Ok(of_names)
    }

    async fn delete_sign_ins(&self, tx: &DatabaseTransaction, ids: &[String]) -> Result<(), DbErr> {
        use sign_in::Column;
        for some in ids.chunks(AT_ONCE) {
            sign_in::Entity::delete_many()
                .filter(Column::ClusterId.eq(self.cluster.as_str()))
                .filter(Column::Id.is_in(some))
                .exec(tx)
                .await?;
        }
        Ok(())
    }
}

/// Each revocation of a principal with those of his sign-ins after it.
fn with_sign_ins(
    revocations: Vec<Revocation>,
    mut ended: BTreeMap<String, Vec<String>>,
) -> impl Iterator<Item = Revocation> {
    revocations.into_iter().flat_map(move |revocation| {
        let ids = match &revocation.of {
            Revoked::Principal(name) => ended.remove(name.as_str()).unwrap_or_default(),
            _ => Vec::new(),
        };
        let Revocation { signed_until, expires_at, .. } = revocation;
        let of_sign_in = move |id| Revocation { of: Revoked::SignIn(id), signed_until, expires_at };
        std::iter::once(revocation).chain(ids.into_iter().map(of_sign_in))
    })
}

fn sign_in_of(row: sign_in::Model) -> Result<SignIn, Cause> {
    Ok(SignIn {
        id: row.id,
        principal: row.principal.parse()?,
        secret_kind: from_word(row.secret_kind)?,
        secret_set_at: instant(row.secret_set_at)?,
        seed: row.seed,
        counter: count(row.counter)?,
        current: row.current,
        previous: row.previous,
        refreshed_at: instant(row.refreshed_at)?,
        begun_at: instant(row.begun_at)?,
        ends_at: instant(row.ends_at)?,
        expires_at: instant(row.expires_at)?,
    })
}

fn revocation_of(row: revocation::Model) -> Result<Revocation, Cause> {
    let of = match row.kind.as_str() {
        SIGN_IN => Revoked::SignIn(row.name),
        PRINCIPAL => Revoked::Principal(row.name.parse()?),
        KEY => Revoked::Key(row.name),
        other => return Err(format!("{other} is nothing that is revoked").into()),
    };
    Ok(Revocation { of, signed_until: instant(row.signed_until)?, expires_at: instant(row.expires_at)? })
}

fn key_of(row: signing_key::Model) -> Result<KeyRecord, Cause> {
    Ok(KeyRecord {
        kid: row.kid,
        pkcs8: row.pkcs8,
        created_at: instant(row.created_at)?,
        signs_from: row.signs_from.map(instant).transpose()?,
        retired_at: row.retired_at.map(instant).transpose()?,
    })
}

#[async_trait]
impl TokenStore for SqlStore {
    async fn begin_sign_in(
        &self,
        sign_in: SignIn,
        most: u32,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let what = failed("a sign-in");
        let row = self.sign_in_row(sign_in).map_err(corrupt("a sign-in"))?;
        let others = (most as usize).saturating_sub(1);
        let tx = self.write(&self.writers.credentials).await?;
        self.make_room(&tx, &row.principal, others, micros(now)).await.map_err(&what)?;
        let until = self.revoked_until(&tx, &row.principal).await.map_err(&what)?;
        upsert::<sign_in::Entity>(&tx, vec![row]).await.map_err(&what)?;
        tx.commit().await.map_err(&what)?;
        until.map(|until| instant(until).map_err(corrupt("a revocation"))).transpose()
    }

    async fn sign_in(&self, id: &str) -> Result<Option<SignIn>, StoreError> {
        let key = (self.cluster.to_string(), id.to_owned());
        let row = sign_in::Entity::find_by_id(key).one(&self.readers).await.map_err(failed("a sign-in"))?;
        row.map(|row| sign_in_of(row).map_err(corrupt(format!("sign-in {id}")))).transpose()
    }

    async fn refresh_sign_in(&self, next: SignIn) -> Result<bool, StoreError> {
        let what = failed("a sign-in");
        // A counter that no row has follows none.
        if big(next.counter).is_err() {
            return Ok(false);
        }
        let row = self.sign_in_row(next).map_err(corrupt("a sign-in"))?;
        let tx = self.write(&self.writers.credentials).await?;
        let key = (row.cluster_id.clone(), row.id.clone());
        let held = sign_in::Entity::find_by_id(key).one(&tx).await.map_err(&what)?;
        if held.and_then(|held| held.counter.checked_add(1)) != Some(row.counter) {
            tx.rollback().await.map_err(&what)?;
            return Ok(false);
        }
        upsert::<sign_in::Entity>(&tx, vec![row]).await.map_err(&what)?;
        tx.commit().await.map_err(&what)?;
        Ok(true)
    }

    async fn revoke(&self, revocations: Vec<Revocation>) -> Result<u64, StoreError> {
        let what = failed("a revocation");
        let tx = self.write(&self.writers.credentials).await?;
        let mut last = self.last_revision(&tx).await.map_err(&what)?;
        let ended = self.end_sign_ins(&tx, &revocations).await.map_err(&what)?;
        let mut rows = Vec::with_capacity(revocations.len());
        for revocation in with_sign_ins(revocations, ended) {
            last = last.saturating_add(1);
            rows.push(self.revocation_row(revocation, last));
        }
        insert::<revocation::Entity>(&tx, rows).await.map_err(&what)?;
        tx.commit().await.map_err(&what)?;
        count(last).map_err(corrupt("the last revocation"))
    }

    async fn revocations(
        &self,
        after: u64,
        now: Timestamp,
        limit: u32,
    ) -> Result<RevocationPage, StoreError> {
        use revocation::Column;
        let what = failed("a revocation");
        let last = self.last_revision(&self.readers).await.map_err(&what)?;
        let after = big(after).ok().filter(|after| *after <= last).unwrap_or(0);
        let rows = revocation::Entity::find()
            .filter(Column::ClusterId.eq(self.cluster.as_str()))
            .filter(Column::Revision.gt(after))
            .order_by_asc(Column::Revision)
            .limit(u64::from(limit))
            .all(&self.readers)
            .await
            .map_err(&what)?;
        let revision = rows.last().map_or(after, |row| row.revision);
        let live = rows.into_iter().filter(|row| row.expires_at > micros(now));
        let read = |row: revocation::Model| {
            let what = corrupt(format!("revocation {}", row.revision));
            revocation_of(row).map_err(what)
        };
        let revision = count(revision).map_err(corrupt("the last revocation"))?;
        Ok(RevocationPage { revocations: live.map(read).collect::<Result<_, _>>()?, revision })
    }

    async fn trim_tokens(&self, now: Timestamp) -> Result<(), StoreError> {
        let what = failed("the tokens");
        let tx = self.write(&self.writers.credentials).await?;
        let last = self.last_revision(&tx).await.map_err(&what)?;
        sign_in::Entity::delete_many()
            .filter(sign_in::Column::ClusterId.eq(self.cluster.as_str()))
            .filter(sign_in::Column::ExpiresAt.lte(micros(now)))
            .exec(&tx)
            .await
            .map_err(&what)?;
        revocation::Entity::delete_many()
            .filter(revocation::Column::ClusterId.eq(self.cluster.as_str()))
            .filter(revocation::Column::ExpiresAt.lte(micros(now)))
            .filter(revocation::Column::Revision.lt(last))
            .exec(&tx)
            .await
            .map_err(&what)?;
        tx.commit().await.map_err(&what)
    }

    async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        self.read_keys(&self.readers).await
    }

    async fn swap_keys(&self, from: &[KeyRecord], to: Vec<KeyRecord>) -> Result<bool, StoreError> {
        let what = failed("a signing key");
        let tx = self.write(&self.writers.credentials).await?;
        if self.read_keys(&tx).await? != from {
            tx.rollback().await.map_err(&what)?;
            return Ok(false);
        }
        signing_key::Entity::delete_many()
            .filter(signing_key::Column::ClusterId.eq(self.cluster.as_str()))
            .exec(&tx)
            .await
            .map_err(&what)?;
        let rows = to.into_iter().map(|key| self.key_row(key)).collect();
        insert::<signing_key::Entity>(&tx, rows).await.map_err(&what)?;
        tx.commit().await.map_err(&what)?;
        Ok(true)
    }
}
