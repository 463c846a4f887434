//! The audit trail in SQL. A step is one transaction of the one who writes the trail, so that the place that it
//! compares holds until COMMIT.

use async_trait::async_trait;
use roamline_domain::audit::{AuditRecord, EventMark, Hash};
use roamline_domain::phone_state::Session;
use roamline_domain::{ClusterId, PhoneName, SessionId};
use roamline_store::{AuditError, AuditPlace, AuditQuery, AuditStep, AuditStore, Sequence, StoreError};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect,
};

use crate::SqlStore;
use crate::column::{big, count, from_word, instant, micros, word};
use crate::entity::{audit_live, audit_place, audit_record};
use crate::error::{Cause, corrupt, failed};
use crate::write::{insert, upsert};

const WHAT: &str = "the audit trail";
/// Sessions in one statement at most.
const SESSIONS: usize = 500;

impl SqlStore {
    async fn audit_place(&self, db: &impl ConnectionTrait) -> Result<AuditPlace, StoreError> {
        let row = audit_place::Entity::find_by_id(self.cluster.to_string()).one(db).await;
        let place = row.map_err(failed(WHAT))?.map(place_from_row).transpose();
        Ok(place.map_err(corrupt("the place of the audit trail"))?.unwrap_or_default())
    }

    /// Makes a step, and deletes the records up to that number by it.
    async fn audit_step(&self, step: AuditStep, until: i64) -> Result<(), AuditError> {
        let from = step.from.clone();
        let rows = Rows::of(&self.cluster, step).map_err(corrupt("a step of the audit trail"))?;
        let tx = self.write(&self.writers.audit).await?;
        if self.audit_place(&tx).await? != from {
            tx.rollback().await.map_err(failed(WHAT))?;
            return Err(AuditError::Moved);
        }
        rows.write(&tx, until).await.map_err(failed(WHAT))?;
        Ok(tx.commit().await.map_err(failed(WHAT))?)
    }

    /// The first and the last number of records of that time, so that the others need not be looked at: records are
    /// listed by their numbers, and numbers follow time as far as clocks agree.
    async fn numbers_of(&self, query: &AuditQuery) -> Result<Option<(i64, i64)>, StoreError> {
        use audit_record::Column;
        let (first, last): (Option<i64>, Option<i64>) = audit_record::Entity::find()
            .select_only()
            .column_as(Column::Number.min(), "first")
            .column_as(Column::Number.max(), "last")
            .filter(Column::ClusterId.eq(self.cluster.as_str()))
            .filter(of_time(query))
            .into_tuple()
            .one(&self.readers)
            .await
            .map_err(failed(WHAT))?
            .unwrap_or_default();
        Ok(first.zip(last))
    }
}

fn of_time(query: &AuditQuery) -> Condition {
    use audit_record::Column;
    Condition::all()
        .add_option(query.from.map(|from| Column::At.gte(micros(from))))
        .add_option(query.until.map(|until| Column::At.lt(micros(until))))
}

fn matching(query: &AuditQuery) -> Result<Condition, Cause> {
    use audit_record::Column;
    let kinds = query.kinds.iter().map(word).collect::<Result<Vec<_>, _>>()?;
    Ok(of_time(query)
        .add_option(query.user.as_ref().map(|user| Column::UserId.eq(user)))
        .add_option(query.phone.as_ref().map(|phone| Column::Phone.eq(phone.as_str())))
        .add_option((!kinds.is_empty()).then(|| Column::Kind.is_in(kinds))))
}

/// What a step writes.
struct Rows {
    place: audit_place::Model,
    records: Vec<audit_record::Model>,
    live: Vec<audit_live::Model>,
    ended: Vec<SessionId>,
}

impl Rows {
    fn of(cluster: &ClusterId, step: AuditStep) -> Result<Self, Cause> {
        let records = step.records.into_iter().map(|record| to_row(cluster, record));
        let live = step.live.into_iter().map(|session| {
            Ok::<_, Cause>(audit_live::Model {
                cluster_id: cluster.to_string(),
                phone: session.phone.to_string(),
                session_id: session.id.to_string(),
                session: serde_json::to_string(&session)?,
            })
        });
        Ok(Self {
            place: audit_place::Model {
                cluster_id: cluster.to_string(),
                sequence: big(step.to.sequence)?,
                fingerprint: step.to.fingerprint,
                number: big(step.to.number)?,
                hash: step.to.hash.0.to_vec(),
            },
            records: records.collect::<Result<_, _>>()?,
            live: live.collect::<Result<_, _>>()?,
            ended: step.ended,
        })
    }

    /// Deletes the records up to that number, then writes these.
    async fn write(self, tx: &DatabaseTransaction, until: i64) -> Result<(), DbErr> {
        use audit_live::Column;
        if until > 0 {
            audit_record::Entity::delete_many()
                .filter(audit_record::Column::ClusterId.eq(self.place.cluster_id.as_str()))
                .filter(audit_record::Column::Number.lte(until))
                .exec(tx)
                .await?;
        }
        for some in self.ended.chunks(SESSIONS) {
            audit_live::Entity::delete_many()
                .filter(Column::ClusterId.eq(self.place.cluster_id.as_str()))
                .filter(Column::SessionId.is_in(some.iter().map(SessionId::as_str)))
                .exec(tx)
                .await?;
        }
        upsert::<audit_live::Entity>(tx, self.live).await?;
        insert::<audit_record::Entity>(tx, self.records).await?;
        upsert::<audit_place::Entity>(tx, vec![self.place]).await
    }
}

fn to_row(cluster: &ClusterId, record: AuditRecord) -> Result<audit_record::Model, Cause> {
    let (event, fingerprint) = record.event.map(|mark| (mark.sequence, mark.fingerprint)).unzip();
    Ok(audit_record::Model {
        cluster_id: cluster.to_string(),
        number: big(record.number)?,
        at: micros(record.at),
        kind: word(&record.kind)?,
        phone: record.phone,
        user_id: record.user,
        event: event.map(big).transpose()?,
        fingerprint,
        body: record.body,
        hash: record.hash.0.to_vec(),
    })
}

fn from_row(row: audit_record::Model) -> Result<AuditRecord, StoreError> {
    let what = format!("record {} of the audit trail", row.number);
    let read = || -> Result<AuditRecord, Cause> {
        Ok(AuditRecord {
            number: count(row.number)?,
            at: instant(row.at)?,
            kind: from_word(row.kind)?,
            phone: row.phone,
            user: row.user_id,
            body: row.body,
            event: row.event.zip(row.fingerprint).map(mark).transpose()?,
            hash: hash(row.hash)?,
        })
    };
    read().map_err(corrupt(what))
}

fn place_from_row(row: audit_place::Model) -> Result<AuditPlace, Cause> {
    Ok(AuditPlace {
        sequence: count(row.sequence)?,
        fingerprint: row.fingerprint,
        number: count(row.number)?,
        hash: hash(row.hash)?,
    })
}

fn mark((sequence, fingerprint): (i64, Vec<u8>)) -> Result<EventMark, Cause> {
    Ok(EventMark { sequence: count(sequence)?, fingerprint })
}

fn hash(bytes: Vec<u8>) -> Result<Hash, Cause> {
    let hash: Result<[u8; 32], _> = bytes.try_into();
    Ok(Hash(hash.map_err(|_| "its hash has not 32 bytes")?))
}

fn session(row: &audit_live::Model) -> Result<Session, StoreError> {
    let read = || -> Result<Session, Cause> {
        let session: Session = serde_json::from_str(&row.session)?;
        match session.phone.as_str() == row.phone && session.id.as_str() == row.session_id {
            true => Ok(session),
            false => Err("its session is not the one it is found by".into()),
        }
    };
    read().map_err(corrupt(format!("phone {} in the audit trail", row.phone)))
}

#[async_trait]
impl AuditStore for SqlStore {
    async fn place(&self) -> Result<AuditPlace, StoreError> {
        self.audit_place(&self.readers).await
    }

    async fn append(&self, step: AuditStep) -> Result<(), AuditError> {
        self.audit_step(step, 0).await
    }

    async fn prune(&self, step: AuditStep, until: u64) -> Result<(), AuditError> {
        self.audit_step(step, i64::try_from(until).unwrap_or(i64::MAX)).await
    }

    async fn records(
        &self,
        query: &AuditQuery,
        after: u64,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        use audit_record::Column;
        let Ok(after) = i64::try_from(after) else { return Ok(Vec::new()) };
        let mut select = audit_record::Entity::find()
            .filter(Column::ClusterId.eq(self.cluster.as_str()))
            .filter(Column::Number.gt(after))
            .filter(matching(query).map_err(corrupt("a query of the audit trail"))?)
            .order_by_asc(Column::Number)
            .limit(u64::from(limit));
        // Later pages begin where matching records are.
        if after == 0 && (query.from.is_some() || query.until.is_some()) {
            let Some((first, last)) = self.numbers_of(query).await? else { return Ok(Vec::new()) };
            select = select.filter(Column::Number.between(first, last));
        }
        let rows = select.all(&self.readers).await.map_err(failed(WHAT))?;
        rows.into_iter().map(from_row).collect()
    }

    async fn recorded(&self, after: Sequence, until: Sequence) -> Result<Vec<EventMark>, StoreError> {
        use audit_record::Column;
        let Ok(after) = i64::try_from(after) else { return Ok(Vec::new()) };
        let rows: Vec<(i64, Vec<u8>)> = audit_record::Entity::find()
            .select_only()
            .columns([Column::Event, Column::Fingerprint])
            .filter(Column::ClusterId.eq(self.cluster.as_str()))
            .filter(Column::Event.gt(after))
            .filter(Column::Event.lte(i64::try_from(until).unwrap_or(i64::MAX)))
            .order_by_asc(Column::Event)
            .into_tuple()
            .all(&self.readers)
            .await
            .map_err(failed(WHAT))?;
        rows.into_iter().map(mark).collect::<Result<_, _>>().map_err(corrupt(WHAT))
    }

    async fn live(&self, after: Option<&PhoneName>, limit: u32) -> Result<Vec<Session>, StoreError> {
        use audit_live::Column;
        let mut select = audit_live::Entity::find()
            .filter(Column::ClusterId.eq(self.cluster.as_str()))
            .order_by_asc(Column::Phone)
            .limit(u64::from(limit));
        if let Some(after) = after {
            select = select.filter(Column::Phone.gt(after.as_str()));
        }
        let rows = select.all(&self.readers).await.map_err(failed(WHAT))?;
        rows.iter().map(session).collect()
    }

    async fn live_among(&self, sessions: &[SessionId]) -> Result<Vec<Session>, StoreError> {
        use audit_live::Column;
        let mut found = Vec::new();
        for some in sessions.chunks(SESSIONS) {
            let select = audit_live::Entity::find()
                .filter(Column::ClusterId.eq(self.cluster.as_str()))
                .filter(Column::SessionId.is_in(some.iter().map(SessionId::as_str)));
            found.extend(select.all(&self.readers).await.map_err(failed(WHAT))?);
        }
        found.sort_by(|one, next| one.phone.cmp(&next.phone));
        found.iter().map(session).collect()
    }
}
