//! Live sessions in SQL: what is read. Commits are made by the [`committer`](crate::committer).

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use roamline_domain::login::Held;
use roamline_domain::phone_state::{PhoneState, SessionEvent};
use roamline_domain::{PhoneName, RequestId, SessionId, UserId};
use roamline_store::{
    About, Commit, CommitError, EventPage, EventsError, Keep, Loaded, Reply, Sequence, SessionStore,
    Snapshot, StoreError,
};
use sea_orm::sea_query::UnionType;
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Select,
};
use tokio::sync::watch;

use crate::SqlStore;
use crate::column::{count, instant, micros};
use crate::committer::{self, guard_key, guard_versions};
use crate::entity::phone_state::Column;
use crate::entity::{phone_state, reply, session_event};
use crate::error::{corrupt, failed};
use crate::phone::{event_from_row, from_row};

impl SqlStore {
    /// Phones with a session, or one user's, in the order of their names.
    pub(crate) fn live(&self, user: Option<&UserId>) -> Select<phone_state::Entity> {
        let live = match user {
            Some(user) => Column::SessionUser.eq(user.as_str()),
            None => Column::SessionId.is_not_null(),
        };
        phone_state::Entity::find()
            .filter(Column::ClusterId.eq(self.cluster.as_str()))
            .filter(live)
            .order_by_asc(Column::Phone)
    }

    /// The phone that is asked for, and all that share its user or its ACD line; some may come twice. A union, since
    /// SQLite reads the whole table for an OR of two indexes.
    pub(crate) fn about(&self, about: &About) -> Select<phone_state::Entity> {
        let branch = |column: Column, value: &str| {
            let of_cluster = phone_state::Entity::find().filter(Column::ClusterId.eq(self.cluster.as_str()));
            of_cluster.filter(column.eq(value))
        };
        let mut select = branch(Column::Phone, about.phone.as_str());
        let user = about.user.as_ref().map(|user| branch(Column::SessionUser, user.as_str()));
        let line = about.acd_line.as_ref().map(|line| branch(Column::SessionAcdLine, line.as_str()));
        for more in user.into_iter().chain(line) {
            QueryTrait::query(&mut select).union(UnionType::All, more.into_query());
        }
        select
    }
}

fn phones(rows: impl IntoIterator<Item = phone_state::Model>) -> Result<Vec<PhoneState>, StoreError> {
    rows.into_iter().map(from_row).collect()
}

#[async_trait]
impl SessionStore for SqlStore {
    async fn load(&self, about: &About) -> Result<Loaded, StoreError> {
        let user = about.user.clone().map(roamline_store::Guard::User);
        let line = about.acd_line.clone().map(roamline_store::Guard::AcdLine);
        let guards: Vec<_> = user.into_iter().chain(line).collect();
        if guards.is_empty() {
            let phone = self.phone(&about.phone).await?;
            let phone = phone.unwrap_or_else(|| PhoneState::new(about.phone.clone()));
            return Ok(Loaded {
                held: Held { phone, others: Vec::new() },
                guards: Vec::new(),
                history: Arc::default(),
            });
        }
        let tx = self.read().await?;
        let rows = self.about(about).all(&tx).await.map_err(failed("a phone"))?;
        let keys: Vec<_> = guards.iter().cloned().map(guard_key).collect();
        let known = guard_versions(&self.cluster, &tx, &keys).await.map_err(failed("a guard"))?;
        tx.commit().await.map_err(failed("the database"))?;

        let rows: BTreeMap<_, _> = rows.into_iter().map(|row| (row.phone.clone(), row)).collect();
        let mut others = phones(rows.into_values())?;
        let own = others.iter().position(|state| state.phone == about.phone).map(|own| others.remove(own));
        let phone = own.unwrap_or_else(|| PhoneState::new(about.phone.clone()));
        let version = |key| known.iter().find(|(known, _)| *known == key).map_or(Ok(0), |(_, v)| count(*v));
        let versions = keys.into_iter().map(version).collect::<Result<Vec<_>, _>>();
        let versions = versions.map_err(corrupt("a guard"))?;
        Ok(Loaded {
            held: Held { phone, others },
            guards: guards.into_iter().zip(versions).collect(),
            history: Arc::default(),
        })
    }

    /// What is loaded is not kept.
    fn recall(&self, _: &About) -> Option<Loaded> {
        None
    }

    async fn commit(&self, commit: Commit) -> Result<Sequence, CommitError> {
        committer::commit(&self.cluster, &self.commits, commit).await
    }

    async fn tell(&self, events: Vec<SessionEvent>, at: Timestamp) -> Result<Sequence, StoreError> {
        committer::tell(&self.cluster, &self.commits, events, at).await
    }

    async fn phone(&self, phone: &PhoneName) -> Result<Option<PhoneState>, StoreError> {
        let key = (self.cluster.to_string(), phone.to_string());
        let row = phone_state::Entity::find_by_id(key).one(&self.readers).await;
        row.map_err(failed("a phone"))?.map(from_row).transpose()
    }

    async fn session(&self, id: &SessionId) -> Result<Option<PhoneState>, StoreError> {
        let row = phone_state::Entity::find()
            .filter(Column::ClusterId.eq(self.cluster.as_str()))
            .filter(Column::SessionId.eq(id.as_str()))
            .one(&self.readers)
            .await;
        row.map_err(failed("a phone"))?.map(from_row).transpose()
    }

    async fn list(
        &self,
        user: Option<&UserId>,
        after: Option<&PhoneName>,
        limit: u32,
    ) -> Result<Vec<PhoneState>, StoreError> {
        let mut select = self.live(user).limit(u64::from(limit));
        if let Some(after) = after {
            select = select.filter(Column::Phone.gt(after.as_str()));
        }
        phones(select.all(&self.readers).await.map_err(failed("a phone"))?)
    }

    async fn count(&self) -> Result<u64, StoreError> {
        PaginatorTrait::count(self.live(None), &self.readers).await.map_err(failed("a phone"))
    }

    async fn snapshot(&self, user: Option<&UserId>) -> Result<Snapshot, StoreError> {
        let tx = self.read().await?;
        let last = committer::last(&self.cluster, &tx).await.map_err(failed("an event"))?;
        let rows = self.live(user).all(&tx).await.map_err(failed("a phone"))?;
        tx.commit().await.map_err(failed("the database"))?;
        Ok(Snapshot { sequence: count(last).map_err(corrupt("an event"))?, phones: phones(rows)? })
    }

    async fn place(&self) -> Result<Sequence, StoreError> {
        let last = committer::last(&self.cluster, &self.readers).await.map_err(failed("an event"))?;
        count(last).map_err(corrupt("an event"))
    }

    async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<PhoneName>, StoreError> {
        let names: Vec<String> = phone_state::Entity::find()
            .select_only()
            .column(Column::Phone)
            .filter(Column::ClusterId.eq(self.cluster.as_str()))
            .filter(Column::SessionExpiresAt.lte(micros(now)))
            .order_by_asc(Column::SessionExpiresAt)
            .order_by_asc(Column::Phone)
            .limit(u64::from(limit))
            .into_tuple()
            .all(&self.readers)
            .await
            .map_err(failed("a phone"))?;
        let parse = |name: String| {
            let parsed = name.parse::<PhoneName>();
            parsed.map_err(|error| corrupt(format!("phone {name}"))(error.into()))
        };
        names.into_iter().map(parse).collect()
    }

    async fn next_deadline(&self) -> Result<Option<Timestamp>, StoreError> {
        let next: Option<i64> = phone_state::Entity::find()
            .select_only()
            .column(Column::SessionExpiresAt)
            .filter(Column::ClusterId.eq(self.cluster.as_str()))
            .filter(Column::SessionExpiresAt.is_not_null())
            .order_by_asc(Column::SessionExpiresAt)
            .limit(1)
            .into_tuple()
            .one(&self.readers)
            .await
            .map_err(failed("a deadline"))?;
        next.map(instant).transpose().map_err(corrupt("a deadline"))
    }

    /// One statement answers it: the event asked about is read too, and is missing only if it was trimmed, since the
    /// last event always stays.
    async fn events(&self, after: Sequence, limit: u32) -> Result<EventPage, EventsError> {
        let Ok(from) = i64::try_from(after) else { return Err(EventsError::Ahead { after }) };
        let rows = session_event::Entity::find()
            .filter(session_event::Column::ClusterId.eq(self.cluster.as_str()))
            .filter(session_event::Column::Sequence.gte(from))
            .order_by_asc(session_event::Column::Sequence)
            .limit(u64::from(limit) + 1)
            .all(&self.readers)
            .await
            .map_err(failed("an event"))?;
        match rows.first().map(|first| first.sequence) {
            None if from > 0 => return Err(EventsError::Ahead { after }),
            Some(first) if first > from.saturating_add(1) => {
                let oldest = count(first).map_err(corrupt("an event"))?;
                return Err(EventsError::TooOld { after, oldest });
            }
            _ => {}
        }
        let newer = rows.into_iter().filter(|row| row.sequence > from).take(limit as usize);
        Ok(EventPage { events: newer.map(event_from_row).collect::<Result<_, _>>()? })
    }

    fn latest(&self) -> watch::Receiver<Sequence> {
        self.latest.subscribe()
    }

    async fn reply(&self, request: &RequestId, now: Timestamp) -> Result<Option<Reply>, StoreError> {
        let key = (self.cluster.to_string(), request.to_string());
        let row = reply::Entity::find_by_id(key)
            .filter(reply::Column::ExpiresAt.gt(micros(now)))
            .one(&self.readers)
            .await
            .map_err(failed("a reply"))?;
        let read = |row: reply::Model| {
            Ok(Reply {
                request: request.clone(),
                fingerprint: row.fingerprint,
                answer: row.answer,
                expires_at: instant(row.expires_at).map_err(corrupt(format!("reply {request}")))?,
            })
        };
        row.map(read).transpose()
    }

    async fn trim(&self, now: Timestamp, keep: Keep) -> Result<(), StoreError> {
        use session_event::Column as Event;
        let tx = self.write(&self.writers.sessions).await?;
        let what = failed("an event");
        let after = i64::try_from(keep.after).unwrap_or(i64::MAX);
        reply::Entity::delete_many()
            .filter(reply::Column::ClusterId.eq(self.cluster.as_str()))
            .filter(reply::Column::ExpiresAt.lte(micros(now)))
            .exec(&tx)
            .await
            .map_err(&what)?;
        let kept: Option<i64> = session_event::Entity::find()
            .select_only()
            .column(Event::Sequence)
            .filter(Event::ClusterId.eq(self.cluster.as_str()))
            .filter(Condition::any().add(Event::At.gte(micros(keep.since))).add(Event::Sequence.gt(after)))
            .order_by_asc(Event::Sequence)
            .limit(1)
            .into_tuple()
            .one(&tx)
            .await
            .map_err(&what)?;
        let kept = match kept {
            Some(kept) => kept,
            None => committer::last(&self.cluster, &tx).await.map_err(&what)?,
        };
        session_event::Entity::delete_many()
            .filter(Event::ClusterId.eq(self.cluster.as_str()))
            .filter(Event::Sequence.lt(kept))
            .exec(&tx)
            .await
            .map_err(&what)?;
        tx.commit().await.map_err(&what)
    }
}
