//! Other clusters, and halves of the sessions with them, in SQL. They are written in the turn of credentials, with which
//! they have nothing in common but that both are short.

use async_trait::async_trait;
use jiff::Timestamp;
use roamline_domain::SessionId;
use roamline_domain::emcc::base_device::BaseDevice;
use roamline_domain::emcc::half::Half;
use roamline_store::StoreError;
use roamline_store::federation::{
    Begun, Changed, FederationStore, From, HalfQuery, Setting, SettingKind, StoredSetting,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect,
};

use crate::SqlStore;
use crate::column::{big, count, from_word, instant, micros, word};
use crate::entity::{federation_half, federation_setting};
use crate::error::{Cause, corrupt, failed};
use crate::write::{insert, upsert};

const WHAT: &str = "a half of a cross-cluster session";

/// Their order is that of the kinds.
fn kind_word(kind: SettingKind) -> &'static str {
    match kind {
        SettingKind::RemoteCluster => "1-remote-cluster",
        SettingKind::Geolocation => "2-geolocation",
        SettingKind::GeolocationFilter => "3-geolocation-filter",
        SettingKind::Parameters => "4-parameters",
        SettingKind::Invitation => "5-invitation",
    }
}

fn allows(from: From, version: u64) -> bool {
    match from {
        From::Any => true,
        From::Nothing => version == 0,
        From::Something => version > 0,
        From::Version(expected) => version == expected,
    }
}

fn half_of(row: federation_half::Model) -> Result<Half, Cause> {
    Ok(Half {
        session: row.session_id.parse()?,
        side: from_word(row.side)?,
        peer: row.peer.parse()?,
        user: row.user_id.parse()?,
        visiting_phone: row.visiting_phone.parse()?,
        base_device: row.base_device.map(u32::try_from).transpose()?,
        begun_at: instant(row.begun_at)?,
        ended_at: row.ended_at.map(instant).transpose()?,
        told: row.told != 0,
    })
}

fn read_half(row: federation_half::Model) -> Result<Half, StoreError> {
    let what = corrupt(format!("half of session {}", row.session_id));
    half_of(row).map_err(what)
}

impl SqlStore {
    fn half_row(&self, half: &Half) -> Result<federation_half::Model, Cause> {
        let device = half.base_device.map(i64::from);
        Ok(federation_half::Model {
            cluster_id: self.cluster.to_string(),
            session_id: half.session.to_string(),
            side: word(&half.side)?,
            peer: half.peer.to_string(),
            user_id: half.user.to_string(),
            visiting_phone: half.visiting_phone.to_string(),
            base_device: device,
            held_device: device.filter(|_| half.is_live()),
            begun_at: micros(half.begun_at),
            ended_at: half.ended_at.map(micros),
            told: i64::from(half.told),
        })
    }

    async fn half_in(
        &self,
        db: &impl ConnectionTrait,
        session: &SessionId,
    ) -> Result<Option<Half>, StoreError> {
        let key = (self.cluster.to_string(), session.to_string());
        let row = federation_half::Entity::find_by_id(key).one(db).await.map_err(failed(WHAT))?;
        row.map(read_half).transpose()
    }

    async fn setting_version(
        &self,
        tx: &DatabaseTransaction,
        kind: SettingKind,
        name: &str,
    ) -> Result<u64, StoreError> {
        let key = (self.cluster.to_string(), kind_word(kind).to_owned(), name.to_owned());
        let row = federation_setting::Entity::find_by_id(key).one(tx).await;
        let row = row.map_err(failed("a setting of the federation"))?;
        let version = row.map_or(Ok(0), |row| count(row.version));
        version.map_err(corrupt("a setting of the federation"))
    }

    /// A base device of the pool that nobody holds: the first choice, else the first one free after it, else any.
    async fn free_device(
        &self,
        tx: &DatabaseTransaction,
        first: BaseDevice,
        pool: u32,
    ) -> Result<Option<i64>, DbErr> {
        use federation_half::Column;
        let (first, pool) = (i64::from(first.number()), i64::from(pool));
        let mut next = first;
        loop {
            // Those that are held in a row from there on, some at a time.
            let held: Vec<i64> = federation_half::Entity::find()
                .select_only()
                .column(Column::HeldDevice)
                .filter(Column::ClusterId.eq(self.cluster.as_str()))
                .filter(Column::HeldDevice.between(next, pool))
                .order_by_asc(Column::HeldDevice)
                .limit(64)
                .into_tuple()
                .all(tx)
                .await?;
            let run = (next..=pool).zip(&held).take_while(|(free, held)| free == *held).count();
            let free = next + i64::try_from(run).unwrap_or(i64::MAX);
            if free <= pool && run < 64 {
                return Ok(Some(free));
            }
            if free > pool {
                break;
            }
            next = free;
        }
        // None from the first choice to the end of the pool: what is before it.
        let held: Vec<i64> = federation_half::Entity::find()
            .select_only()
            .column(Column::HeldDevice)
            .filter(Column::ClusterId.eq(self.cluster.as_str()))
            .filter(Column::HeldDevice.lte((first - 1).min(pool)))
            .order_by_asc(Column::HeldDevice)
            .into_tuple()
            .all(tx)
            .await?;
        let run = (1..).zip(&held).take_while(|(free, held)| free == *held).count();
        let free = i64::try_from(run).unwrap_or(i64::MAX).saturating_add(1);
        Ok((free <= pool && free < first).then_some(free))
    }
}

#[async_trait]
impl FederationStore for SqlStore {
    async fn settings(&self) -> Result<Vec<StoredSetting>, StoreError> {
        use federation_setting::Column;
        let rows = federation_setting::Entity::find()
            .filter(Column::ClusterId.eq(self.cluster.as_str()))
            .order_by_asc(Column::Kind)
            .order_by_asc(Column::Name)
            .all(&self.readers)
            .await
            .map_err(failed("the settings of the federation"))?;
        let read = |row: federation_setting::Model| -> Result<StoredSetting, Cause> {
            Ok(StoredSetting { version: count(row.version)?, setting: serde_json::from_str(&row.body)? })
        };
        let read_or_say = |row: federation_setting::Model| {
            let what = corrupt(format!("setting {} {}", row.kind, row.name));
            read(row).map_err(what)
        };
        rows.into_iter().map(read_or_say).collect()
    }

    async fn set_setting(&self, setting: Setting, from: From) -> Result<Changed, StoreError> {
        let what = "a setting of the federation";
        let tx = self.write(&self.writers.credentials).await?;
        let version = self.setting_version(&tx, setting.kind(), setting.name()).await?;
        if !allows(from, version) {
            tx.rollback().await.map_err(failed(what))?;
            return Ok(Changed::Moved(version));
        }
        let row = |setting: &Setting| -> Result<federation_setting::Model, Cause> {
            Ok(federation_setting::Model {
                cluster_id: self.cluster.to_string(),
                kind: kind_word(setting.kind()).to_owned(),
                name: setting.name().to_owned(),
                version: big(version + 1)?,
                body: serde_json::to_string(setting)?,
            })
        };
        let row = row(&setting).map_err(corrupt(what))?;
        upsert::<federation_setting::Entity>(&tx, vec![row]).await.map_err(failed(what))?;
        tx.commit().await.map_err(failed(what))?;
        Ok(Changed::Made(version + 1))
    }

    async fn remove_setting(&self, kind: SettingKind, name: &str, from: From) -> Result<Changed, StoreError> {
        let what = "a setting of the federation";
        let tx = self.write(&self.writers.credentials).await?;
        let version = self.setting_version(&tx, kind, name).await?;
        if version == 0 || !allows(from, version) {
            tx.rollback().await.map_err(failed(what))?;
            return Ok(Changed::Moved(version));
        }
        let key = (self.cluster.to_string(), kind_word(kind).to_owned(), name.to_owned());
        federation_setting::Entity::delete_by_id(key).exec(&tx).await.map_err(failed(what))?;
        tx.commit().await.map_err(failed(what))?;
        Ok(Changed::Made(0))
    }

    async fn begin_half(
        &self,
        mut half: Half,
        device: Option<(BaseDevice, u32)>,
    ) -> Result<Begun, StoreError> {
        let tx = self.write(&self.writers.credentials).await?;
        if let Some(known) = self.half_in(&tx, &half.session).await? {
            tx.rollback().await.map_err(failed(WHAT))?;
            return Ok(Begun::Known(known));
        }
        if let Some((first, pool)) = device {
            let free = self.free_device(&tx, first, pool).await.map_err(failed(WHAT))?;
            let Some(free) = free.and_then(|free| u32::try_from(free).ok()) else {
                tx.rollback().await.map_err(failed(WHAT))?;
                return Ok(Begun::PoolEmpty);
            };
            half.base_device = Some(free);
        }
        let row = self.half_row(&half).map_err(corrupt(WHAT))?;
        insert::<federation_half::Entity>(&tx, vec![row]).await.map_err(failed(WHAT))?;
        tx.commit().await.map_err(failed(WHAT))?;
        Ok(Begun::Begun(half))
    }

    async fn half(&self, session: &SessionId) -> Result<Option<Half>, StoreError> {
        self.half_in(&self.readers, session).await
    }

    async fn end_half(
        &self,
        session: &SessionId,
        at: Timestamp,
        told: bool,
    ) -> Result<Option<Half>, StoreError> {
        let tx = self.write(&self.writers.credentials).await?;
        let Some(before) = self.half_in(&tx, session).await? else {
            tx.rollback().await.map_err(failed(WHAT))?;
            return Ok(None);
        };
        let after =
            Half { ended_at: before.ended_at.or(Some(at)), told: before.told || told, ..before.clone() };
        if after != before {
            let row = self.half_row(&after).map_err(corrupt(WHAT))?;
            upsert::<federation_half::Entity>(&tx, vec![row]).await.map_err(failed(WHAT))?;
        }
        tx.commit().await.map_err(failed(WHAT))?;
        Ok(Some(before))
    }

    async fn halves(&self, query: &HalfQuery) -> Result<Vec<Half>, StoreError> {
        use federation_half::Column;
        let mut select = federation_half::Entity::find().filter(Column::ClusterId.eq(self.cluster.as_str()));
        if let Some(peer) = &query.peer {
            select = select.filter(Column::Peer.eq(peer.as_str()));
        }
        if let Some(after) = &query.after {
            select = select.filter(Column::SessionId.gt(after.as_str()));
        }
        select = match query.live {
            None => select,
            Some(true) => select.filter(Column::EndedAt.is_null()),
            Some(false) => select.filter(Column::EndedAt.is_not_null()).filter(Column::Told.eq(0)),
        };
        let rows = select
            .order_by_asc(Column::SessionId)
            .limit(u64::from(query.limit))
            .all(&self.readers)
            .await
            .map_err(failed(WHAT))?;
        rows.into_iter().map(read_half).collect()
    }

    async fn base_devices_held(&self) -> Result<u32, StoreError> {
        use federation_half::Column;
        let held = federation_half::Entity::find()
            .filter(Column::ClusterId.eq(self.cluster.as_str()))
            .filter(Column::HeldDevice.is_not_null())
            .count(&self.readers)
            .await
            .map_err(failed(WHAT))?;
        Ok(u32::try_from(held).unwrap_or(u32::MAX))
    }

    async fn forget_halves(&self, before: Timestamp) -> Result<(), StoreError> {
        use federation_half::Column;
        let tx = self.write(&self.writers.credentials).await?;
        federation_half::Entity::delete_many()
            .filter(Column::ClusterId.eq(self.cluster.as_str()))
            .filter(Column::Told.eq(1))
            .filter(Column::EndedAt.lt(micros(before)))
            .exec(&tx)
            .await
            .map_err(failed(WHAT))?;
        tx.commit().await.map_err(failed(WHAT))
    }
}
